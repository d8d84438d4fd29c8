//! The child process that reads a document, and its protocol.

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::document::Extracted;
use super::error::ExtractError;
use super::limits::Limits;
use super::progress::ReadProgress;
use super::read::extract_watched;

/// The argument that runs an executable as the worker.
pub(super) const ARGUMENT: &str = "extract-worker";
/// The exit code of a worker that exceeded its memory limit.
pub(super) const OUT_OF_MEMORY: u8 = 77;
/// Maximum bytes of a request: a path and a name.
const MAX_REQUEST: u64 = 64 << 10;

/// The request to a worker, as one line of JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) media_type: Option<String>,
    pub(super) limits: Limits,
}

/// The response of a worker, as one line of JSON. The text follows unencoded: as
/// JSON it could double in size.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WorkerResponse {
    Extracted { document: Box<Extracted>, text: usize },
    Failed(ExtractError),
}

/// How far a worker has come, as a line of JSON before its response.
#[derive(Serialize, Deserialize)]
struct ProgressLine {
    progress: f32,
}

/// How such a line begins, and how long it is at most.
const PROGRESS: &[u8] = b"{\"progress\":";
const MAX_PROGRESS: usize = 64;
/// How often a worker looks at its memory, and after how many looks it says how far it
/// has come.
const TICK: Duration = Duration::from_millis(10);
const TELL: u32 = 25;

/// The `main` of a worker: reads a request from standard input, limits the
/// resources of this process, extracts the document and writes the response to
/// standard output.
///
/// The limits stay for the life of the process: call it before anything else and
/// exit with the returned code.
pub fn worker_main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // The parent logs it.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> io::Result<()> {
    let mut line = String::new();
    io::stdin().lock().take(MAX_REQUEST).read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    limit(&request.limits)?;
    let progress = ReadProgress::default();
    let is_read = Arc::new(AtomicBool::new(false));
    watch(request.limits.memory, progress.clone(), Arc::clone(&is_read))?;
    let Request { path, name, media_type, limits } = &request;
    let outcome = extract_watched(path, name, media_type.as_deref(), limits, &progress);
    let mut output = io::stdout().lock();
    is_read.store(true, Ordering::Release);
    respond(outcome, &mut output)
}

/// Watches the reading from a thread of its own: exits when it uses more memory than
/// allowed, and says how far it has come until `is_read`. One thread for both, since
/// each costs address space, which is limited.
fn watch(max: u64, progress: ReadProgress, is_read: Arc<AtomicBool>) -> io::Result<()> {
    let watching = move || {
        let mut told = 0.0;
        for tick in 1_u32.. {
            std::thread::sleep(TICK);
            check_memory(max);
            let fraction = progress.fraction();
            if tick.is_multiple_of(TELL) && fraction > told && tell(fraction, &is_read).is_ok() {
                told = fraction;
            }
        }
    };
    std::thread::Builder::new().name("watch".to_owned()).stack_size(256 << 10).spawn(watching).map(|_| ())
}

fn tell(fraction: f32, is_read: &AtomicBool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    // Nothing may stand in the response, which is written under the same lock.
    if is_read.load(Ordering::Acquire) {
        return Ok(());
    }
    serde_json::to_writer(&mut output, &ProgressLine { progress: fraction })?;
    output.write_all(b"\n")?;
    output.flush()
}

/// Takes the lines that say how far a worker has come from the beginning of its output,
/// and returns what the last whole one of them says.
pub(super) fn take_progress(bytes: &mut Vec<u8>) -> Option<f32> {
    let (mut taken, mut last) = (0, None);
    while let Some(rest) = bytes.get(taken..).filter(|rest| rest.starts_with(PROGRESS)) {
        let Some(end) = rest.iter().take(MAX_PROGRESS).position(|byte| *byte == b'\n') else { break };
        let line = rest.get(..end).unwrap_or_default();
        let Ok(ProgressLine { progress }) = serde_json::from_slice(line) else { break };
        (taken, last) = (taken + end + 1, Some(progress));
    }
    bytes.drain(..taken);
    last
}

fn respond(outcome: Result<Extracted, ExtractError>, output: &mut impl Write) -> io::Result<()> {
    let (response, text) = match outcome {
        Ok(mut document) => {
            let text = std::mem::take(&mut document.text);
            (WorkerResponse::Extracted { document: Box::new(document), text: text.len() }, text)
        }
        Err(failure) => (WorkerResponse::Failed(failure), String::new()),
    };
    serde_json::to_writer(&mut *output, &response)?;
    output.write_all(b"\n")?;
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Parses the output of a worker; `None` if it is not a complete response.
pub(super) fn parse(mut bytes: Vec<u8>) -> Option<Result<Extracted, ExtractError>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let response = serde_json::from_slice(bytes.get(..end)?).ok()?;
    bytes.drain(..=end);
    match response {
        WorkerResponse::Failed(failure) => Some(Err(failure)),
        WorkerResponse::Extracted { mut document, text } => {
            document.text = String::from_utf8(bytes).ok().filter(|found| found.len() == text)?;
            is_sound(&document).then_some(Ok(*document))
        }
    }
}

/// Checks the offsets: a worker that a hostile document has taken over may respond
/// with anything.
fn is_sound(document: &Extracted) -> bool {
    let pages = document.pages.iter().map(|page| page.start);
    let headings = document.headings.iter().map(|heading| heading.start);
    pages.clone().is_sorted()
        && headings.clone().is_sorted()
        && pages.chain(headings).all(|start| document.text.is_char_boundary(start))
}

#[cfg(unix)]
fn limit(limits: &Limits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let set = |resource: Resource, wanted: u64| -> io::Result<()> {
        let max = getrlimit(resource).maximum.map_or(wanted, |max| max.min(wanted));
        setrlimit(resource, Rlimit { current: Some(max), maximum: Some(max) }).map_err(io::Error::from)
    };
    set(Resource::Core, 0)?;
    set(Resource::Fsize, 0)?;
    set(Resource::Nofile, 32)?;
    let seconds = limits.cpu.as_secs() + u64::from(limits.cpu.subsec_nanos() > 0);
    // The hard limit is later, so that the soft one ends the process with SIGXCPU,
    // which tells the cause.
    let hard = getrlimit(Resource::Cpu).maximum.map_or(seconds + 2, |hard| hard.min(seconds + 2));
    setrlimit(Resource::Cpu, Rlimit { current: Some(seconds.min(hard)), maximum: Some(hard) })?;
    // Memory that is mapped already (the program, the allocator's reserve) does
    // not count.
    #[cfg(target_os = "linux")]
    {
        let mapped = memory_pages()?.0 * rustix::param::page_size() as u64;
        set(Resource::As, mapped + limits.memory + super::read::STACK as u64)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn limit(_: &Limits) -> io::Result<()> {
    Ok(())
}

/// Exits when the process uses more memory than allowed. `RLIMIT_AS` does not see
/// memory within address space that the allocator had reserved before.
#[cfg(target_os = "linux")]
fn check_memory(max: u64) {
    let page = rustix::param::page_size() as u64;
    match memory_pages() {
        Ok((_, used)) if used.saturating_mul(page) <= max => {}
        _ => std::process::exit(i32::from(OUT_OF_MEMORY)),
    }
}

#[cfg(not(target_os = "linux"))]
fn check_memory(_: u64) {}

/// How many pages this process has mapped, and how many are in memory.
#[cfg(target_os = "linux")]
fn memory_pages() -> io::Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse().ok());
    let (mapped, used) = (numbers.next(), numbers.next());
    mapped.zip(used).ok_or_else(|| io::Error::other("/proc/self/statm has no numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_taken_from_before_a_response() {
        for (said, progress, left) in [
            ("", None, ""),
            ("{\"progress\":0.25}\n", Some(0.25), ""),
            ("{\"progress\":0.25}\n{\"progress\":0.5}\n{\"fai", Some(0.5), "{\"fai"),
            // The rest of the line comes later.
            ("{\"progress\":0.25}\n{\"progress\":0.", Some(0.25), "{\"progress\":0."),
            ("{\"failed\":1}\n{\"progress\":0.5}\n", None, "{\"failed\":1}\n{\"progress\":0.5}\n"),
            ("{\"progress\":x}\n", None, "{\"progress\":x}\n"),
        ] {
            let mut bytes = said.as_bytes().to_vec();
            assert_eq!(take_progress(&mut bytes), progress, "{said}");
            assert_eq!(bytes, left.as_bytes(), "{said}");
        }
    }
}
