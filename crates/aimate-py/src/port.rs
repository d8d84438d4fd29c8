//! The way from the runtime's threads into an event loop of Python.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::fault::Result;
use crate::outcome::Outcome;

/// A call of a function of the application's.
pub(crate) trait LoopCall: Send + Sync {
    /// Starts it, unless it was started or given up before.
    fn start(&self, py: Python<'_>) -> PyResult<()>;
    /// Ends it: nobody waits for it any more.
    fn cancel(&self, py: Python<'_>) -> PyResult<()>;
}

/// What is brought to a loop.
pub(crate) enum Delivery {
    /// The outcome of what an `asyncio.Future` stands for.
    Settle(Py<PyAny>, Result<Outcome>),
    /// A call of a function of the application's.
    Call(Arc<dyn LoopCall>),
    /// The end of such a call that nobody waits for.
    Cancel(Arc<dyn LoopCall>),
}

/// The queue of one event loop, and what wakes it: a pair of sockets, of which the loop
/// watches one. A thread that has something writes one byte for however much there is,
/// without taking Python's lock.
#[pyclass(frozen, module = "aimate._aimate")]
pub(crate) struct Port {
    inner: Arc<PortInner>,
    reader: UnixStream,
}

/// The end that the runtime's threads hold.
pub(crate) struct PortInner {
    queue: Mutex<Vec<Delivery>>,
    is_woken: AtomicBool,
    writer: UnixStream,
}

impl PortInner {
    /// Puts something into the loop's queue. A loop that is closed never takes it.
    pub(crate) fn send(&self, delivery: Delivery) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            // A full socket wakes the loop as well; a closed one has no loop.
            let _ = (&self.writer).write(&[1]);
        }
    }
}

impl Port {
    pub(crate) fn inner(&self) -> Arc<PortInner> {
        self.inner.clone()
    }
}

#[pymethods]
impl Port {
    #[new]
    fn new() -> PyResult<Self> {
        let failed =
            |error: std::io::Error| PyOSError::new_err(format!("no socket for an event loop: {error}"));
        let (reader, writer) = UnixStream::pair().map_err(failed)?;
        for socket in [&reader, &writer] {
            socket.set_nonblocking(true).map_err(failed)?;
        }
        let inner = PortInner { queue: Mutex::default(), is_woken: AtomicBool::new(false), writer };
        Ok(Self { inner: Arc::new(inner), reader })
    }

    /// The file descriptor that becomes readable.
    fn fileno(&self) -> i32 {
        self.reader.as_raw_fd()
    }

    /// Delivers what has come; the loop calls it.
    fn drain(&self, py: Python<'_>) {
        let mut bytes = [0; 64];
        while (&self.reader).read(&mut bytes).is_ok_and(|read| read == bytes.len()) {}
        // Before the queue is taken: what comes after wakes the loop again.
        self.inner.is_woken.store(false, Ordering::Release);
        let deliveries =
            std::mem::take(&mut *self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner));
        for delivery in deliveries {
            let delivered = match delivery {
                Delivery::Settle(future, outcome) => settle(py, future.bind(py), outcome),
                Delivery::Call(call) => call.start(py),
                Delivery::Cancel(call) => call.cancel(py),
            };
            if let Err(error) = delivered {
                error.write_unraisable(py, None);
            }
        }
    }
}

/// Hands the outcome to a future that is not cancelled meanwhile.
fn settle(py: Python<'_>, future: &Bound<'_, PyAny>, outcome: Result<Outcome>) -> PyResult<()> {
    if future.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    match outcome.map_err(|fault| fault.into_error(py)).and_then(|outcome| outcome.into_object(py)) {
        Ok(object) => future.call_method1("set_result", (object,)),
        Err(error) => future.call_method1("set_exception", (error.into_value(py),)),
    }?;
    Ok(())
}
