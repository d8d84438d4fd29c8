//! Calling what is written in Python: tools, providers, embedders and so on.
//!
//! A call is put into the queue of an event loop, which runs it as a task: the loop that
//! the engine was used in last, or one of the package's own in a thread (`aimate._host`)
//! where none runs, as for the blocking engine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aimate::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::fault;
use crate::port::{Delivery, LoopCall, Port, PortInner};

/// How long a loop may take to begin with a call before somebody looks whether it runs
/// at all.
const STALLED: Duration = Duration::from_millis(500);

/// An event loop, and what says whether it runs.
pub(crate) struct Home {
    pub(crate) port: Arc<PortInner>,
    pub(crate) is_running: Py<PyAny>,
}

/// Where an engine's calls into Python are run.
#[derive(Default)]
pub(crate) struct Host {
    home: Mutex<Option<Arc<Home>>>,
    /// Fires at the interpreter's end: nothing can be called any more.
    over: CancellationToken,
}

/// A function of the application's own. Shared instead of cloned, which needs Python's
/// lock.
pub(crate) type Function = Arc<Py<PyAny>>;
/// Makes the arguments, where Python's lock is held.
pub(crate) type Arguments = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyTuple>> + Send>;
type Deliver = Box<dyn FnOnce(PyResult<Bound<'_, PyAny>>, Python<'_>) + Send>;

/// One call.
pub(crate) struct Job {
    function: Function,
    parts: Mutex<Option<(Arguments, Deliver)>>,
    task: Mutex<Option<Py<PyAny>>>,
    is_over: AtomicBool,
    begun: Notify,
}

impl LoopCall for Job {
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let Some((arguments, deliver)) = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return Ok(());
        };
        self.begun.notify_one();
        let reply = Py::new(py, Reply { deliver: Mutex::new(Some(deliver)) })?;
        let started = arguments(py).and_then(|arguments| {
            let host = py.import("aimate._host")?;
            host.call_method1("start", (self.function.bind(py), arguments, reply.clone_ref(py)))
        });
        match started {
            Ok(task) if self.is_over.load(Ordering::Acquire) => drop(task.call_method0("cancel")?),
            Ok(task) => {
                *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.unbind());
            }
            Err(error) => reply.get().settle(py, Err(error)),
        }
        Ok(())
    }

    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        self.is_over.store(true, Ordering::Release);
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.call_method0(py, "cancel")?;
        }
        Ok(())
    }
}

impl Job {
    fn is_begun(&self) -> bool {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// Where a call's task leaves what came of it.
#[pyclass(frozen, module = "aimate._aimate")]
pub(crate) struct Reply {
    deliver: Mutex<Option<Deliver>>,
}

impl Reply {
    fn settle(&self, py: Python<'_>, outcome: PyResult<Bound<'_, PyAny>>) {
        let deliver = self.deliver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(deliver) = deliver {
            deliver(outcome, py);
        }
    }
}

#[pymethods]
impl Reply {
    /// It returned this.
    fn give(&self, py: Python<'_>, result: Bound<'_, PyAny>) {
        self.settle(py, Ok(result));
    }

    /// It raised this.
    fn fail(&self, py: Python<'_>, exception: Bound<'_, PyAny>) {
        self.settle(py, Err(PyErr::from_value(exception)));
    }
}

impl Host {
    /// Uses this loop from now on.
    pub(crate) fn adopt(&self, home: Home) {
        let before = self.home.lock().unwrap_or_else(PoisonError::into_inner).replace(Arc::new(home));
        drop(before);
    }

    /// Whether it has a loop.
    pub(crate) fn has_home(&self) -> bool {
        self.home().is_some()
    }

    /// Gives up every call: the interpreter ends.
    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    fn home(&self) -> Option<Arc<Home>> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `function` and reads what it returns. Dropping the future cancels the task.
    ///
    /// # Errors
    /// What it raised (see [`fault::of_exception`]); `Upstream` for a result that `read`
    /// refuses, with its reason; `Unavailable` where no loop runs any more.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        who: &str,
        function: &Function,
        arguments: Arguments,
        read: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let name = who.to_owned();
        let _running = self.begin(
            function,
            arguments,
            Box::new(move |outcome, py| {
                let read = match outcome {
                    Ok(object) => read(&object).map_err(|error| fault::of_result(py, &error, &name)),
                    Err(error) => Err(fault::of_exception(py, &error, &name)),
                };
                let _ = sender.send(read);
            }),
        );
        let gone = || Error::unavailable(format!("{who} was not called: its event loop is gone"));
        match self.over.run_until_cancelled(receiver).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => Err(gone()),
        }
    }

    /// Begins a call, which ends when what is returned is dropped.
    pub(crate) fn begin(&self, function: &Function, arguments: Arguments, deliver: Deliver) -> Running {
        let job = Arc::new(Job {
            function: function.clone(),
            parts: Mutex::new(Some((arguments, deliver))),
            task: Mutex::default(),
            is_over: AtomicBool::new(false),
            begun: Notify::new(),
        });
        let home = self.home();
        if let Some(home) = &home {
            home.port.send(Delivery::Call(job.clone()));
        }
        let port = home.as_ref().map(|home| home.port.clone());
        let watch = tokio::runtime::Handle::current().spawn(elsewhere(job.clone(), home));
        Running { job, port, watch }
    }
}

/// A call that is under way.
pub(crate) struct Running {
    job: Arc<Job>,
    port: Option<Arc<PortInner>>,
    watch: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.watch.abort();
        self.job.is_over.store(true, Ordering::Release);
        // Whichever loop took it: the task's own is found where it is cancelled.
        if let Some(port) = &self.port {
            port.send(Delivery::Cancel(self.job.clone()));
        }
    }
}

/// Runs a call in the package's own loop if that of the application does not begin with it
/// because it does not run (any more).
async fn elsewhere(job: Arc<Job>, home: Option<Arc<Home>>) {
    while let Some(home) = &home {
        if tokio::time::timeout(STALLED, job.begun.notified()).await.is_ok() || job.is_begun() {
            return;
        }
        let home = home.clone();
        // The one place where a thread of the runtime waits for Python's lock: a loop that
        // does not run does not bring anything.
        let is_running = blocking(move |py| home.is_running.call0(py)?.is_truthy(py)).await;
        if is_running == Some(false) {
            break;
        }
    }
    let port = blocking(|py| {
        let port = py.import("aimate._host")?.call_method0("own_port")?;
        Ok(port.cast::<Port>()?.get().inner())
    });
    if let Some(port) = port.await {
        port.send(Delivery::Call(job));
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce(Python<'_>) -> PyResult<T> + Send + 'static,
) -> Option<T> {
    let work = tokio::task::spawn_blocking(move || Python::try_attach(|py| work(py).ok()).flatten());
    work.await.ok().flatten()
}
