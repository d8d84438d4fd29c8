//! Reading documents without blocking the caller.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use super::worker::{ARGUMENT, OUT_OF_MEMORY, Request, parse};
use super::{ExtractError, ExtractErrorKind, Extracted, Limits, Subject, error, extract, read_aside};

/// What an answer may have besides the text: places of pages and headings.
const MAX_OF_PLACES: usize = 32 << 20;
/// How much of what a worker complains about is kept.
const MAX_OF_COMPLAINTS: usize = 2 << 10;

/// Reads documents without blocking the caller, risky formats in a child
/// process where a worker is set. Clones share their limit on how many run.
#[derive(Clone, Debug)]
pub struct Extractor {
    limits: Arc<Limits>,
    worker: Option<Arc<Path>>,
    /// As many documents are read at once as there are processors.
    slots: Arc<Semaphore>,
}

impl Extractor {
    /// Reads every format in this process.
    ///
    /// A hostile file can end it, by a stack overflow or by taking all memory:
    /// for tests and for files whose origin is known. `memory` and `cpu` of the
    /// limits do nothing here, and `wall` only ends the waiting, not the work.
    pub fn in_process(limits: Limits) -> Self {
        Self::new(None, limits)
    }

    /// Reads risky formats (PDF, office files, books, web pages, e-mail) by running
    /// `worker extract-worker`, whose `main` calls [`super::worker_main`]. Plain
    /// text, Markdown, tables of text, JSON and source code are read in this
    /// process.
    pub fn with_worker(worker: PathBuf, limits: Limits) -> Self {
        Self::new(Some(worker.into()), limits)
    }

    fn new(worker: Option<Arc<Path>>, limits: Limits) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self { limits: Arc::new(limits), worker, slots: Arc::new(Semaphore::new(processors)) }
    }

    /// Reads the document at `path`; see [`super::extract`].
    ///
    /// Waits while as many documents are being read as there are processors.
    /// Dropping the future kills the worker.
    pub async fn extract(
        &self,
        path: &Path,
        name: &str,
        media_type: Option<&str>,
    ) -> Result<Extracted, ExtractError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_| error::crashed("no more documents are read"))?;
        let request = Request {
            path: std::path::absolute(path).map_err(|failure| error::io(&failure))?,
            name: tail(name).to_owned(),
            media_type: media_type.map(|media_type| tail(media_type).to_owned()),
            limits: Limits::clone(&self.limits),
        };
        let Some(worker) = &self.worker else {
            // Work that is no longer waited for keeps its slot until it ends.
            let work = blocking(move || {
                let _slot = slot;
                let Request { path, name, media_type, limits } = request;
                extract(&path, &name, media_type.as_deref(), &limits)
            });
            return self.in_time(work).await;
        };
        let (request, read) = blocking(move || {
            let read = read_harmless(&request);
            Ok((request, read))
        })
        .await?;
        match read {
            Read::Here(outcome) => outcome,
            Read::Worker(noun) => self.in_worker(worker, &request, noun).await,
        }
    }

    async fn in_worker(
        &self,
        worker: &Path,
        request: &Request,
        noun: &'static str,
    ) -> Result<Extracted, ExtractError> {
        let mut child = start(worker)?;
        let outcome = self.in_time(self.converse(&mut child, request, noun)).await;
        // It has ended by itself, unless time or its answer was too long.
        let _ = child.kill().await;
        outcome
    }

    async fn converse(
        &self,
        child: &mut Child,
        request: &Request,
        noun: &'static str,
    ) -> Result<Extracted, ExtractError> {
        let mut line = serde_json::to_vec(request).map_err(|failure| error::io(&failure.into()))?;
        line.push(b'\n');
        let (Some(mut input), Some(output), Some(complaints)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(error::crashed("the worker has no pipes"));
        };
        // One that ended already says why below.
        let _ = input.write_all(&line).await;
        drop(input);
        let max = self.limits.output.saturating_add(MAX_OF_PLACES);
        let (answer, complaints) =
            tokio::join!(collect(output, max, false), collect(complaints, MAX_OF_COMPLAINTS, true));
        let Some(answer) = answer else {
            return Err(error::crashed(format!("the reader of the {noun} answered more than it may")));
        };
        let status = child.wait().await.map_err(|failure| error::io(&failure))?;
        if let Some(outcome) = parse(answer) {
            return outcome;
        }
        let complaints = String::from_utf8_lossy(&complaints.unwrap_or_default()).into_owned();
        tracing::warn!(%status, complaints = complaints.trim(), noun, "a document's reader ended without an answer");
        Err(self.without_answer(status, &complaints, noun))
    }

    fn without_answer(&self, status: ExitStatus, complaints: &str, noun: &'static str) -> ExtractError {
        let (seconds, memory) = (self.limits.cpu.as_secs_f32(), error::size(self.limits.memory));
        let too_large =
            || error::too_large(format!("reading the {noun} took more than {memory} of memory; split it"));
        let is_out_of_memory = complaints.contains("memory allocation of");
        match (status.code(), signal(status)) {
            (Some(code), _) if code == i32::from(OUT_OF_MEMORY) => too_large(),
            _ if is_out_of_memory => too_large(),
            (_, Some(SIGXCPU)) => ExtractError::new(
                ExtractErrorKind::Timeout,
                format!("reading the {noun} took longer than {seconds} s of processor time; split it"),
            ),
            // Nobody else sends it but the system, when memory runs out.
            (_, Some(SIGKILL)) => too_large(),
            _ => error::crashed(format!(
                "the file made the reader of its format ({noun}) crash; save it again in its program, or as PDF"
            )),
        }
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ExtractError>>,
    ) -> Result<T, ExtractError> {
        tokio::time::timeout(self.limits.wall, work).await.unwrap_or_else(|_| {
            let seconds = self.limits.wall.as_secs_f32();
            let message =
                format!("reading the file took longer than {seconds} s; split it, or try again later");
            Err(ExtractError::new(ExtractErrorKind::Timeout, message))
        })
    }
}

const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// The end of a name, where its extension is; a name may have any length.
fn tail(name: &str) -> &str {
    name.get(name.ceil_char_boundary(name.len().saturating_sub(200))..).unwrap_or_default()
}

enum Read {
    /// Read, or found not to be readable.
    Here(Result<Extracted, ExtractError>),
    /// It is of a risky kind, which people call so.
    Worker(&'static str),
}

fn read_harmless(request: &Request) -> Read {
    let Request { path, name, media_type, limits } = request;
    match Subject::open(path, name, media_type.as_deref(), limits) {
        Ok(subject) if subject.is_harmless() => Read::Here(read_aside(&subject, limits)),
        Ok(subject) => Read::Worker(subject.noun()),
        Err(failure) => Read::Here(Err(failure)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExtractError> + Send + 'static,
) -> Result<T, ExtractError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|_| Err(error::crashed("reading the file was broken off; try again")))
}

fn start(worker: &Path) -> Result<Child, ExtractError> {
    let child = Command::new(worker)
        .arg(ARGUMENT)
        .env_clear()
        // The allocator would set aside 1 GiB of addresses beforehand.
        .env("MIMALLOC_ARENA_RESERVE", "65536")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    child.map_err(|failure| {
        tracing::error!(%failure, worker = %worker.display(), "the worker that reads documents cannot be started");
        ExtractError::new(ExtractErrorKind::Io, "the reader of documents could not be started; try again later")
    })
}

/// Reads to the end; beyond `max` bytes, gives up or throws the rest away.
async fn collect(mut from: impl AsyncRead + Unpin, max: usize, may_cut: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return Some(bytes),
            Ok(read) => {
                let room = max.saturating_sub(bytes.len());
                if read > room && !may_cut {
                    return None;
                }
                bytes.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
            }
        }
    }
}
