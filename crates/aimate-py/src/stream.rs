//! A stream of events on its way into Python.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use pyo3::prelude::*;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::door::{Answered, DoorBody, Knock};
use crate::fault::{Fault, Result, bug};
use crate::outcome::Outcome;
use crate::pending::wait_for;
use crate::port::{Delivery, Port, PortInner};
use crate::sse::SseReader;
use crate::{convert, runtime};

/// Bytes of events that wait for Python; then the answer waits.
const MAX_WAITING: usize = 256 << 10;
/// Events that wait, however small.
const MAX_EVENTS: usize = 4_096;

/// The events of a chat, a run or a document. It begins with `start`, and dropping it, or
/// `close`, ends it: the run of a turn with `on_disconnect: "cancel"` with it.
#[pyclass(frozen, module = "aimate._aimate")]
pub(crate) struct Stream {
    shared: Arc<SharedStream>,
    knock: Mutex<Option<Knock>>,
    pump: Mutex<Option<AbortHandle>>,
}

#[derive(Default)]
struct SharedStream {
    state: Mutex<StreamState>,
    /// There is room again.
    room: Notify,
}

#[derive(Default)]
struct StreamState {
    events: VecDeque<(Option<u64>, Bytes)>,
    bytes: usize,
    end: Option<Result<(), Fault>>,
    /// Usually one: who iterates.
    waiters: Vec<Waiter>,
    /// The number of the last event that was taken.
    last: u64,
}

/// Who waits for an event.
enum Waiter {
    Future(Arc<PortInner>, Py<PyAny>),
    Thread(mpsc::SyncSender<()>),
}

impl Waiter {
    fn wake(self) {
        match self {
            Self::Future(port, future) => port.send(Delivery::Settle(future, Ok(Outcome::Nothing))),
            Self::Thread(sender) => drop(sender.send(())),
        }
    }
}

impl SharedStream {
    fn state(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: Result<()>) {
        let waiters = {
            let mut state = self.state();
            state.end.get_or_insert(end);
            std::mem::take(&mut state.waiters)
        };
        waiters.into_iter().for_each(Waiter::wake);
    }

    /// Adds events, waiting while there are too many.
    async fn add(&self, events: Vec<(Option<u64>, Bytes)>) {
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let room = self.room.notified();
            let waiters = {
                let mut state = self.state();
                while state.has_room()
                    && let Some(event) = events.next()
                {
                    state.bytes += event.1.len();
                    state.events.push_back(event);
                }
                std::mem::take(&mut state.waiters)
            };
            waiters.into_iter().for_each(Waiter::wake);
            if events.peek().is_some() {
                room.await;
            }
        }
    }
}

impl StreamState {
    fn has_room(&self) -> bool {
        self.bytes <= MAX_WAITING && self.events.len() < MAX_EVENTS
    }
}

impl Stream {
    pub(crate) fn new(knock: Knock) -> Self {
        Self { shared: Arc::default(), knock: Mutex::new(Some(knock)), pump: Mutex::default() }
    }

    /// Registers who waits, or says that there is no need to.
    fn wait_as(&self, waiter: Waiter) -> Option<Waiter> {
        let mut state = self.shared.state();
        if !state.events.is_empty() || state.end.is_some() {
            return Some(waiter);
        }
        state.waiters.push(waiter);
        None
    }
}

/// Takes the events out of the response as fast as they are taken from here.
async fn pump(knock: Knock, shared: &SharedStream) -> Result<()> {
    let body = match knock.await? {
        Answered::Stream(body) => body,
        Answered::Whole(outcome) => {
            // An answer that is no stream, such as that of an edited message.
            if let Outcome::Json(json) = outcome {
                shared.add(vec![(None, json)]).await;
            }
            return Ok(());
        }
    };
    read(body, shared).await
}

async fn read(mut body: DoorBody, shared: &SharedStream) -> Result<()> {
    let mut reader = SseReader::default();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(bug()) };
        let Some(piece) = frame.data_ref() else { continue };
        reader.push(piece);
        let events = std::iter::from_fn(|| reader.next()).map(|event| {
            // The type of a document's event is its name alone.
            (event.id, event.data)
        });
        let events: Vec<_> = events.collect();
        shared.add(events).await;
    }
    Ok(())
}

#[pymethods]
impl Stream {
    /// Begins, once.
    fn start(&self) -> PyResult<()> {
        let runtime = runtime::handle()?;
        let Some(knock) = self.knock.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let shared = self.shared.clone();
        let task = runtime.spawn(async move {
            let pumped = std::panic::AssertUnwindSafe(pump(knock, &shared)).catch_unwind().await;
            shared.end(pumped.unwrap_or_else(|_| Err(bug())));
        });
        *self.pump.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(())
    }

    /// The next event without waiting: a dict; `None` if there is none yet; `False` after the
    /// last one.
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (event, was_full) = {
            let mut state = self.shared.state();
            let Some((id, event)) = state.events.pop_front() else {
                return match &mut state.end {
                    None => Ok(py.None()),
                    Some(end) => {
                        let end = std::mem::replace(end, Ok(()));
                        drop(state);
                        end.map_err(|fault| fault.into_error(py))?;
                        Ok(false.into_pyobject(py)?.to_owned().into_any().unbind())
                    }
                };
            };
            let was_full = state.bytes > MAX_WAITING || state.events.len() + 1 >= MAX_EVENTS;
            state.bytes = state.bytes.saturating_sub(event.len());
            state.last = id.unwrap_or(state.last);
            (event, was_full)
        };
        if was_full {
            self.shared.room.notify_one();
        }
        convert::object(py, &event).map(Bound::unbind)
    }

    /// Settles `future`, of the loop of `port`, once there is something to take.
    fn wait(&self, port: &Port, future: Py<PyAny>) {
        if let Some(waiter) = self.wait_as(Waiter::Future(port.inner(), future)) {
            waiter.wake();
        }
    }

    /// Waits until there is something to take, without holding Python's lock.
    fn block(&self, py: Python<'_>) -> PyResult<()> {
        let (sender, receiver) = mpsc::sync_channel(1);
        if self.wait_as(Waiter::Thread(sender)).is_none() {
            wait_for(py, receiver)?;
        }
        Ok(())
    }

    /// The sequence number of the event that was taken last; 0 before the first.
    #[getter]
    fn last_event_id(&self) -> u64 {
        self.shared.state().last
    }

    /// Ends it. Who waits is told that it has ended.
    fn close(&self) {
        self.knock.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pump) = self.pump.lock().unwrap_or_else(PoisonError::into_inner).take() {
            pump.abort();
        }
        {
            let mut state = self.shared.state();
            state.events.clear();
            state.bytes = 0;
        }
        self.shared.end(Ok(()));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !runtime::is_forked() {
            self.close();
        }
    }
}
