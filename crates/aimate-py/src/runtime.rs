//! The async runtime, one for the process.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// How long engines that nobody closed have at the interpreter's end.
const LAST_DRAIN: Duration = Duration::from_secs(2);
/// How long the runtime waits for work that cannot be broken off.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What ends with the interpreter.
pub(crate) trait Ending: Send + Sync {
    /// Ends it at once.
    fn end(&self) -> BoxFuture<'_, ()>;
}

static STATE: Mutex<RuntimeState> =
    Mutex::new(RuntimeState { runtime: None, engines: Vec::new(), is_over: false });
/// The process that the runtime was started in; 0 before.
static STARTED_BY: AtomicU32 = AtomicU32::new(0);

struct RuntimeState {
    runtime: Option<Runtime>,
    engines: Vec<Weak<dyn Ending>>,
    is_over: bool,
}

/// The runtime's handle, starting it if need be.
///
/// # Errors
/// `RuntimeError` in a process that was forked from the one that started it, and at the
/// interpreter's end.
pub(crate) fn handle() -> PyResult<Handle> {
    check_process()?;
    let mut state = state();
    if state.is_over {
        return Err(PyRuntimeError::new_err("aimate is shut down: the interpreter is ending"));
    }
    if let Some(runtime) = &state.runtime {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread().thread_name("aimate").enable_all().build();
    let runtime = runtime
        .map_err(|error| PyRuntimeError::new_err(format!("aimate's threads do not start: {error}")))?;
    STARTED_BY.store(std::process::id(), Ordering::Relaxed);
    let handle = runtime.handle().clone();
    state.runtime = Some(runtime);
    Ok(handle)
}

/// Whether this process was forked from the one that the runtime was started in: its
/// threads, and whatever they held, are not here.
pub(crate) fn is_forked() -> bool {
    let started_by = STARTED_BY.load(Ordering::Relaxed);
    started_by != 0 && started_by != std::process::id()
}

fn check_process() -> PyResult<()> {
    if is_forked() {
        return Err(PyRuntimeError::new_err(
            "aimate was started before this process was forked, and its threads are not here; open engines after \
             the fork, or start processes with the method `spawn` or `forkserver`",
        ));
    }
    Ok(())
}

/// Notes an engine, so that it ends with the interpreter.
pub(crate) fn note(engine: Weak<dyn Ending>) {
    let mut state = state();
    state.engines.retain(|known| known.strong_count() > 0);
    state.engines.push(engine);
}

/// Runs work on the runtime; `None` if it is over.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<JoinHandle<T>> {
    if is_forked() {
        return None;
    }
    state().runtime.as_ref().map(|runtime| runtime.spawn(work))
}

/// Ends all engines and the runtime, at the interpreter's end.
#[pyfunction]
pub(crate) fn shutdown(py: Python<'_>) {
    // What the fork left here is locked by threads that are not.
    if is_forked() {
        return;
    }
    py.detach(|| {
        let (runtime, engines) = {
            let mut state = state();
            state.is_over = true;
            (state.runtime.take(), std::mem::take(&mut state.engines))
        };
        let Some(runtime) = runtime else { return };
        runtime.block_on(async {
            let closing = engines.iter().filter_map(Weak::upgrade).map(|engine| async move {
                engine.end().await;
            });
            // Each of its last writes has a limit; together they may take longer.
            let _ = tokio::time::timeout(LAST_DRAIN, join_all(closing)).await;
        });
        runtime.shutdown_timeout(LAST_WAIT);
    });
}

fn state() -> MutexGuard<'static, RuntimeState> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
