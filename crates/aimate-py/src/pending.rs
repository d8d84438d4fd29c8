//! A call that is under way, for a coroutine or a blocking caller.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::fault::{Result, bug};
use crate::outcome::Outcome;
use crate::port::{Delivery, Port};
use crate::runtime;

/// How often a blocking caller looks whether Ctrl-C was pressed.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// Work that makes an outcome.
pub(crate) type Work = BoxFuture<'static, Result<Outcome>>;

/// One call of the engine. It begins when it is awaited (`start`) or waited for
/// (`wait`), once.
#[pyclass(frozen, module = "aimate._aimate")]
pub(crate) struct Pending {
    work: Mutex<Option<Work>>,
    under_way: Mutex<Option<AbortHandle>>,
}

impl Pending {
    pub(crate) fn new(work: impl Future<Output = Result<Outcome>> + Send + 'static) -> Self {
        Self { work: Mutex::new(Some(work.boxed())), under_way: Mutex::default() }
    }

    fn begin(&self, done: impl FnOnce(Result<Outcome>) + Send + 'static) -> PyResult<()> {
        let runtime = runtime::handle()?;
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let work =
            work.ok_or_else(|| PyRuntimeError::new_err("this call was made already; a call is made once"))?;
        let task = runtime.spawn(async move {
            done(caught(work).await);
        });
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(())
    }
}

/// The outcome of work; of a panic, which the log has, that it was one.
pub(crate) async fn caught(work: Work) -> Result<Outcome> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(bug()))
}

#[pymethods]
impl Pending {
    /// Begins, and brings the outcome to `future`, a future of the loop of `port`.
    fn start(&self, port: &Port, future: Py<PyAny>) -> PyResult<()> {
        let port = port.inner();
        self.begin(move |outcome| port.send(Delivery::Settle(future, outcome)))
    }

    /// Begins, and waits for the outcome without holding Python's lock.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.begin(move |outcome| drop(sender.send(outcome)))?;
        let outcome = wait_for(py, receiver).inspect_err(|_| self.cancel())?;
        outcome.map_err(|fault| fault.into_error(py))?.into_object(py)
    }

    /// Breaks it off, if it is under way.
    fn cancel(&self) {
        if let Some(task) = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// Waits for what comes, and for Ctrl-C.
///
/// # Errors
/// What a signal's handler raises; `RuntimeError` if nothing can come any more.
pub(crate) fn wait_for<T: Send>(py: Python<'_>, mut receiver: mpsc::Receiver<T>) -> PyResult<T> {
    loop {
        let received;
        // It goes there and back: another thread may not look at it meanwhile.
        (received, receiver) = py.detach(move || (receiver.recv_timeout(SIGNAL_CHECK), receiver));
        match received {
            Ok(received) => return Ok(received),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("aimate was shut down while this call waited"));
            }
        }
    }
}
