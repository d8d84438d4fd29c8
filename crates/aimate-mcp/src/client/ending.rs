//! How a child process ended, and what it said.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aimate_core::Error;
use aimate_core::tool::ToolEndpoint;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::errors::Errors;

/// Bytes that are kept of what a process wrote last to its standard error.
const TAIL: usize = 4 * 1024;
/// How long the end of its standard error is waited for once its output has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a process ends, and what it wrote last.
#[derive(Clone)]
pub(super) struct Ending {
    tail: Arc<Mutex<Tail>>,
    /// Becomes true once its standard error has ended.
    is_silent: watch::Receiver<bool>,
    /// What reads it: as long as anybody wants to know, whether or not the process is spoken to.
    _reading: Arc<JoinSet<()>>,
}

#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
    /// Whether nothing more is read of its output.
    is_over: bool,
    /// A line of its output that was longer than an answer may be.
    too_large: Option<usize>,
}

impl Ending {
    /// That of the process whose standard error this is.
    pub(super) fn of(stderr: ChildStderr) -> Self {
        let (silent, is_silent) = watch::channel(false);
        let tail = Arc::<Mutex<Tail>>::default();
        let mut reading = JoinSet::new();
        reading.spawn(keep_tail(stderr, tail.clone(), silent));
        Self { tail, is_silent, _reading: Arc::new(reading) }
    }

    /// A line of its output is longer than an answer may be.
    pub(super) fn wrote_too_much(&self, max: usize) {
        self.tail().too_large = Some(max);
    }

    /// Its output has ended, or is not read any more.
    pub(super) async fn over(&self) {
        if self.tail().too_large.is_none() {
            self.wait().await;
        }
        self.tail().is_over = true;
    }

    /// Waits a moment for its last words.
    pub(super) async fn wait(&self) {
        let mut is_silent = self.is_silent.clone();
        let _ = tokio::time::timeout(LAST_WORDS, is_silent.wait_for(|is_silent| *is_silent)).await;
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the process has ended, or is not listened to any more.
    pub(super) fn is_over(&self) -> bool {
        self.tail().is_over
    }

    /// `error` with what the process wrote last: its last lines to the caller, all of it to the
    /// log.
    pub(super) fn explain(&self, error: Error, endpoint: &ToolEndpoint) -> Error {
        let errors = Errors(endpoint);
        let tail = self.tail();
        if let Some(max) = tail.too_large {
            return errors.too_large(max).with_source(error);
        }
        let bytes: Vec<u8> = tail.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
        if lines.is_empty() {
            return error;
        }
        let last = lines.into_iter().rev().collect::<Vec<_>>().join(" / ");
        let advice = format!("it wrote: {}", errors.quoted(&last));
        let source = std::io::Error::other(text.into_owned());
        error.with_advice(&advice).with_source(source)
    }
}

/// Keeps what a process wrote last to its standard error.
async fn keep_tail(mut stderr: ChildStderr, tail: Arc<Mutex<Tail>>, silent: watch::Sender<bool>) {
    let mut piece = [0; 1_024];
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.bytes.extend(piece.get(..count).unwrap_or_default());
        let excess = tail.bytes.len().saturating_sub(TAIL);
        tail.bytes.drain(..excess);
    }
    let _ = silent.send(true);
}
