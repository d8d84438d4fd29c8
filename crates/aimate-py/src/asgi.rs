//! One request of an ASGI server.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use aimate::Scope;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use http_body::Frame;
use http_body_util::BodyExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use tokio::sync::mpsc;

use crate::door::{BodyFailed, Door, DoorBody};
use crate::fault::{Fault, Result, bug};
use crate::outcome::Outcome;
use crate::pending::Pending;

/// Pieces of a request's body that wait.
const WAITING: usize = 8;
/// Prefixes under which an engine is mounted, at most: who asks names one.
const MAX_DOORS: usize = 16;
/// Bytes of a prefix at most.
const MAX_PREFIX: usize = 500;

/// The doors of an engine by the prefix they are mounted under.
#[derive(Default)]
pub(crate) struct Mounts(Mutex<HashMap<String, Door>>);

impl Mounts {
    /// Lets go of the engine.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The door under `prefix`, percent-encoded, such as `/ai`; `None` for too many of them,
    /// or none that is one.
    pub(crate) fn door(&self, engine: &aimate::Engine, prefix: &str) -> Option<Door> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~%".contains(c);
        let is_prefix = prefix.starts_with('/') && prefix.len() > 1 && prefix.len() <= MAX_PREFIX;
        let fits = is_prefix && !prefix.ends_with('/') && prefix.chars().all(is_plain);
        if !(prefix.is_empty() || fits) {
            return None;
        }
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.get(prefix) {
            return Some(door.clone());
        }
        if doors.len() >= MAX_DOORS {
            return None;
        }
        let door = Door::new(engine.clone(), prefix);
        doors.insert(prefix.to_owned(), door.clone());
        Some(door)
    }
}

/// A request and its response, both piece by piece. Dropping it breaks both off.
#[pyclass(frozen, module = "aimate._aimate")]
pub(crate) struct Exchange {
    request: Mutex<Option<BoxFuture<'static, Result<http::Response<DoorBody>>>>>,
    sender: Mutex<Option<mpsc::Sender<Bytes>>>,
    /// The response's body, while nobody reads it.
    body: std::sync::Arc<Mutex<Option<DoorBody>>>,
}

/// A body that another task brings.
struct Brought(mpsc::Receiver<Bytes>);

impl http_body::Body for Brought {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BodyFailed>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Exchange {
    pub(crate) fn new(
        door: Door,
        scope: Option<BoxFuture<'static, Result<Scope>>>,
        method: &str,
        target: &str,
        headers: Vec<(Vec<u8>, Vec<u8>)>,
        has_body: bool,
    ) -> PyResult<Self> {
        let method: Method = method.parse().map_err(|_| PyValueError::new_err("method: is none of HTTP"))?;
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(&name)
                .map_err(|_| PyValueError::new_err("headers: a name is none"))?;
            let value = HeaderValue::from_bytes(&value)
                .map_err(|_| PyValueError::new_err("headers: a value is none"))?;
            all.append(name, value);
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        let body = match has_body {
            true => Brought(receiver).boxed_unsync(),
            false => crate::door::whole(Bytes::new()),
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().map_err(|_| PyValueError::new_err("path: is no path"))?;
        *request.headers_mut() = all;
        let answered = async move {
            let scope = match scope {
                Some(scope) => Some(scope.await?),
                None => None,
            };
            Ok(door.send(request, scope).await)
        };
        Ok(Self {
            request: Mutex::new(Some(Box::pin(answered))),
            sender: Mutex::new(has_body.then_some(sender)),
            body: std::sync::Arc::default(),
        })
    }
}

#[pymethods]
impl Exchange {
    /// Brings a piece of the request's body; the last one with `more=False`. `False` if
    /// nobody reads any more.
    fn feed(&self, piece: Vec<u8>, more: bool) -> Pending {
        let sender = {
            let mut slot = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
            if more { slot.clone() } else { slot.take() }
        };
        Pending::new(async move {
            let is_read = match sender {
                Some(_) if piece.is_empty() => true,
                Some(sender) => sender.send(piece.into()).await.is_ok(),
                None => false,
            };
            Outcome::of(&is_read)
        })
    }

    /// The head of the response: `(status, [(name, value)])`.
    fn head(&self) -> Pending {
        let request = self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        let slot = self.body.clone();
        Pending::new(async move {
            let response = request.ok_or_else(bug)?.await?;
            let (head, body) = response.into_parts();
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
            Ok(Outcome::Made(Box::new(move |py| {
                let headers = PyList::empty(py);
                for (name, value) in &head.headers {
                    headers.append((
                        PyBytes::new(py, name.as_str().as_bytes()),
                        PyBytes::new(py, value.as_bytes()),
                    ))?;
                }
                Ok((head.status.as_u16(), headers).into_pyobject(py)?.into_any().unbind())
            })))
        })
    }

    /// The next piece of the response's body; `None` after the last one.
    fn piece(&self) -> Pending {
        let slot = self.body.clone();
        let body = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        Pending::new(async move {
            let Some(mut body) = body else { return Ok(Outcome::Nothing) };
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| bug())?;
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
                    return Ok(Outcome::Bytes(data));
                }
            }
            Ok(Outcome::Nothing)
        })
    }

    /// Breaks it off.
    fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// For a prefix that is none.
pub(crate) fn no_mount() -> Fault {
    Fault::Engine(aimate::Error::invalid(
        "the app is mounted under more than 16 paths, or under one that is none: it begins with `/` and has at most 500 \
         bytes, percent-encoded",
    ))
}
