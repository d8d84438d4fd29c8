//! Extraction without blocking the caller, isolated from the process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use super::document::Extracted;
use super::error;
use super::error::{ExtractError, ExtractErrorKind};
use super::limits::Limits;
use super::progress::ReadProgress;
use super::read::{SourceFile, extract_watched, read_on_thread};
use super::source::Source;
use super::worker::{ARGUMENT, OUT_OF_MEMORY, Request, parse, take_progress};

/// Maximum bytes of a response besides the text: the pages and headings.
const MAX_METADATA: usize = 32 << 20;
/// Maximum bytes of a worker's standard error that are kept.
const MAX_STDERR: usize = 2 << 10;

/// Extracts documents without blocking the caller, risky formats in a child
/// process if a worker is set. Clones share the limit on concurrent documents.
#[derive(Clone, Debug)]
pub struct Extractor {
    limits: Arc<Limits>,
    worker: Option<Arc<WorkerCommand>>,
    /// One permit per CPU: parsers are CPU-bound.
    permits: Arc<Semaphore>,
}

impl Extractor {
    /// Extracts every format in this process.
    ///
    /// A hostile file can end the process, by a stack overflow or by exhausting
    /// memory: use it for tests and trusted files. The limits `memory` and `cpu`
    /// have no effect, and `wall` ends the waiting only, not the work.
    pub fn in_process(limits: Limits) -> Self {
        Self::new(None, limits)
    }

    /// Extracts risky formats (PDF, office files, books, web pages, e-mail) by
    /// running `worker extract-worker`, whose `main` calls [`super::worker_main`].
    /// Plain text, Markdown, CSV, JSON and source code are read in this process.
    pub fn with_worker(worker: PathBuf, limits: Limits) -> Self {
        Self::with_command(worker, [ARGUMENT], limits)
    }

    /// As [`with_worker`](Self::with_worker), for a worker that another program runs, such as an
    /// interpreter: it is started with these arguments, without `extract-worker`, and must end in
    /// [`super::worker_main`].
    pub fn with_command(
        program: PathBuf,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        limits: Limits,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self::new(Some(Arc::new(WorkerCommand { program, arguments })), limits)
    }

    fn new(worker: Option<Arc<WorkerCommand>>, limits: Limits) -> Self {
        let cpus = std::thread::available_parallelism().map_or(2, usize::from);
        Self { limits: Arc::new(limits), worker, permits: Arc::new(Semaphore::new(cpus)) }
    }

    /// Extracts the document at `path`; see [`super::extract`].
    ///
    /// Waits while as many documents are being read as there are CPUs. Dropping
    /// the future kills the worker.
    pub async fn extract(
        &self,
        path: &Path,
        name: &str,
        media_type: Option<&str>,
    ) -> Result<Extracted, ExtractError> {
        self.extract_watched(path, name, media_type, &ReadProgress::default()).await
    }

    /// As [`extract`](Self::extract), and tells `progress` how far it has come: PDFs
    /// and books by their pages, old workbooks by their sheets, other office files by
    /// their bytes.
    pub async fn extract_watched(
        &self,
        path: &Path,
        name: &str,
        media_type: Option<&str>,
        progress: &ReadProgress,
    ) -> Result<Extracted, ExtractError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        // Invariant: the semaphore is never closed.
        let permit = permit.map_err(|_| error::crashed("no more documents are read"))?;
        let request = Request {
            path: std::path::absolute(path).map_err(|failure| error::io(&failure))?,
            name: tail(name).to_owned(),
            media_type: media_type.map(|media_type| tail(media_type).to_owned()),
            limits: Limits::clone(&self.limits),
        };
        let Some(worker) = &self.worker else {
            // Work whose caller has gone keeps its permit until it ends.
            let progress = progress.clone();
            let work = blocking(move || {
                let _permit = permit;
                let Request { path, name, media_type, limits } = request;
                extract_watched(&path, &name, media_type.as_deref(), &limits, &progress)
            });
            return self.in_time(work).await;
        };
        let watched = progress.clone();
        let (request, read) = blocking(move || {
            let read = read_harmless(&request, &watched);
            Ok((request, read))
        })
        .await?;
        match read {
            ReadIn::ThisProcess(outcome) => outcome,
            ReadIn::Worker(noun) => self.in_worker(worker, &request, noun, progress).await,
        }
    }

    async fn in_worker(
        &self,
        worker: &WorkerCommand,
        request: &Request,
        noun: &'static str,
        progress: &ReadProgress,
    ) -> Result<Extracted, ExtractError> {
        let mut child = start(worker)?;
        let outcome = self.in_time(self.converse(&mut child, request, noun, progress)).await;
        // It has exited by itself, unless it took too long or wrote too much.
        let _ = child.kill().await;
        outcome
    }

    async fn converse(
        &self,
        child: &mut Child,
        request: &Request,
        noun: &'static str,
        progress: &ReadProgress,
    ) -> Result<Extracted, ExtractError> {
        let mut line = serde_json::to_vec(request).map_err(|failure| error::io(&failure.into()))?;
        line.push(b'\n');
        let (Some(mut input), Some(output), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(error::crashed("the worker has no pipes"));
        };
        // A worker that has exited already is reported below.
        let _ = input.write_all(&line).await;
        drop(input);
        let max = self.limits.output.saturating_add(MAX_METADATA);
        let (response, stderr) = tokio::join!(response(output, max, progress), complaints(stderr));
        let Some(response) = response else {
            return Err(error::crashed(format!("the reader of the {noun} answered more than it may")));
        };
        let status = child.wait().await.map_err(|failure| error::io(&failure))?;
        if let Some(outcome) = parse(response) {
            return outcome;
        }
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        tracing::warn!(%status, stderr = stderr.trim(), noun, "the extract worker exited without a response");
        Err(self.exit_error(status, &stderr, noun))
    }

    fn exit_error(&self, status: ExitStatus, stderr: &str, noun: &'static str) -> ExtractError {
        let (seconds, memory) = (self.limits.cpu.as_secs_f32(), error::size(self.limits.memory));
        let too_large =
            || error::too_large(format!("reading the {noun} took more than {memory} of memory; split it"));
        let is_out_of_memory = stderr.contains("memory allocation of");
        match (status.code(), signal(status)) {
            (Some(code), _) if code == i32::from(OUT_OF_MEMORY) => too_large(),
            _ if is_out_of_memory => too_large(),
            (_, Some(SIGXCPU)) => ExtractError::new(
                ExtractErrorKind::Timeout,
                format!("reading the {noun} took longer than {seconds} s of processor time; split it"),
            ),
            // Sent by the kernel's out-of-memory killer.
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

/// Returns the end of a name, with its extension: names may have any length.
fn tail(name: &str) -> &str {
    name.get(name.ceil_char_boundary(name.len().saturating_sub(200))..).unwrap_or_default()
}

/// Where a document is read.
enum ReadIn {
    /// It has been read in this process, or cannot be read at all.
    ThisProcess(Result<Extracted, ExtractError>),
    /// Its format is risky; the name of it for messages.
    Worker(&'static str),
}

fn read_harmless(request: &Request, progress: &ReadProgress) -> ReadIn {
    let Request { path, name, media_type, limits } = request;
    match SourceFile::open(Source::File(path.clone()), name, media_type.as_deref(), limits) {
        Ok(file) if file.is_harmless() => ReadIn::ThisProcess(read_on_thread(&file, limits, progress)),
        Ok(file) => ReadIn::Worker(file.noun()),
        Err(failure) => ReadIn::ThisProcess(Err(failure)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExtractError> + Send + 'static,
) -> Result<T, ExtractError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|_| Err(error::crashed("reading the file was broken off; try again")))
}

/// What is run to read a document.
#[derive(Debug)]
struct WorkerCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
}

fn start(worker: &WorkerCommand) -> Result<Child, ExtractError> {
    let child = Command::new(&worker.program)
        .args(&worker.arguments)
        .env_clear()
        // mimalloc would reserve 1 GiB of address space, which counts towards the
        // limit of the worker.
        .env("MIMALLOC_ARENA_RESERVE", "65536")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    child.map_err(|failure| {
        tracing::error!(%failure, worker = %worker.program.display(), "failed to start the extract worker");
        ExtractError::new(
            ExtractErrorKind::Io,
            "the reader of documents could not be started; try again later",
        )
    })
}

/// Reads the response of a worker, and before it how far the worker has come; `None`
/// beyond `max` bytes.
async fn response(mut from: impl AsyncRead + Unpin, max: usize, progress: &ReadProgress) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return Some(bytes),
            Ok(read) if read > max.saturating_sub(bytes.len()) => return None,
            Ok(read) => bytes.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
        if let Some(fraction) = take_progress(&mut bytes) {
            progress.raise(fraction);
        }
    }
}

/// Reads what a worker complains of, and throws away what is too much of it.
async fn complaints(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 4 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = MAX_STDERR.saturating_sub(bytes.len());
        bytes.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
    }
    bytes
}
