//! The engine as the Python package holds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aimate::{Role, Scope};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use http::Method;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use tokio::sync::OnceCell;
use tokio_util::io::ReaderStream;

use crate::asgi::{Exchange, Mounts, no_mount};
use crate::config::Config;
use crate::documents::{add, add_all, new_document};
use crate::door::{Answered, Asked, Door};
use crate::fault::{Fault, Result};
use crate::host::{Home, Host};
use crate::observer::HostObserver;
use crate::open::Parts;
use crate::outcome::Outcome;
use crate::pending::Pending;
use crate::port::Port;
use crate::provider::HostProvider;
use crate::rerank::HostReranker;
use crate::retriever::HostRetriever;
use crate::runtime::Ending;
use crate::scripted::PlayedScript;
use crate::server::{HostCallers, KnownUsers, Server, Serving, Who};
use crate::stream::Stream;
use crate::vector::HostEmbedder;
use crate::{convert, open as build, runtime, tenant, tool};

/// An engine until it is closed.
pub(crate) struct EngineState {
    open: Mutex<Option<OpenEngine>>,
    pub(crate) host: Arc<Host>,
    mounts: Mounts,
}

/// An engine and its door.
#[derive(Clone)]
pub(crate) struct OpenEngine {
    pub(crate) engine: aimate::Engine,
    pub(crate) door: Door,
    /// The scope of the local user, after its first use.
    local: Arc<OnceCell<Scope>>,
}

impl EngineState {
    pub(crate) fn open(&self) -> Result<OpenEngine> {
        self.slot().clone().ok_or_else(Fault::closed)
    }

    fn slot(&self) -> MutexGuard<'_, Option<OpenEngine>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes it: answers have until `drain` to become whole.
    pub(crate) async fn close(&self, drain: Duration) {
        let open = self.slot().take();
        self.mounts.clear();
        if let Some(open) = open {
            open.engine.drain(drain).await;
        }
    }
}

impl Ending for EngineState {
    fn end(&self) -> BoxFuture<'_, ()> {
        // No loop runs any more.
        self.host.end();
        self.close(Duration::ZERO).boxed()
    }
}

impl Drop for EngineState {
    fn drop(&mut self) {
        let open = self.slot().take();
        if runtime::is_forked() {
            // Its locks may be held by threads that are not in this process.
            std::mem::forget(open);
        }
    }
}

/// One engine; `aimate.Engine` and `aimate.SyncEngine` are made of it.
#[pyclass(frozen, name = "Engine", module = "aimate._aimate")]
pub(crate) struct NativeEngine {
    state: Arc<EngineState>,
}

impl KnownUsers for OpenEngine {
    fn scope(&self, who: Who) -> PyResult<BoxFuture<'static, Result<Scope>>> {
        let open = self.clone();
        let Some((tenant, user, role, name)) = who else {
            return Ok(async move {
                let local = open.local.get_or_try_init(|| open.engine.local_scope()).await?;
                Ok(*local)
            }
            .boxed());
        };
        let role = role.map(|role| role.parse::<Role>().map_err(|_| wrong_role(&role))).transpose()?;
        Ok(async move {
            let mut builder = open.engine.scope(tenant, user);
            if let Some(role) = role {
                builder = builder.role(role);
            }
            if let Some(name) = name {
                builder = builder.name(name);
            }
            Ok(builder.ensure().await?)
        }
        .boxed())
    }
}

fn wrong_role(role: &str) -> PyErr {
    PyValueError::new_err(format!("role: is `{role}`; it is `user` or `admin`"))
}

fn asked(method: &str, path: String, body: Option<&Bound<'_, PyAny>>) -> PyResult<Asked> {
    let method: Method = method.parse().map_err(|_| PyValueError::new_err("method: is none of HTTP"))?;
    let body = body.map(|body| convert::value(body, "body")).transpose()?;
    Ok(Asked { method, path, body: body.map(|body| body.to_string().into_bytes()) })
}

#[pymethods]
impl NativeEngine {
    /// Asks the HTTP API; the outcome is its JSON as objects.
    #[pyo3(signature = (who, method, path, body=None))]
    fn request(
        &self,
        py: Python<'_>,
        who: Who,
        method: &str,
        path: String,
        body: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Pending> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let scope = open.scope(who)?;
        let knock = open.door.ask(asked(method, path, body)?, scope);
        Ok(Pending::new(async move {
            match knock.await? {
                Answered::Whole(outcome) => Ok(outcome),
                Answered::Stream(_) => Ok(Outcome::Nothing),
            }
        }))
    }

    /// Asks the HTTP API for a stream of events.
    #[pyo3(signature = (who, method, path, body=None))]
    fn stream(
        &self,
        py: Python<'_>,
        who: Who,
        method: &str,
        path: String,
        body: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Stream> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let scope = open.scope(who)?;
        Ok(Stream::new(open.door.ask(asked(method, path, body)?, scope)))
    }

    /// Tells what the HTTP API has no route for: see `tenant.rs`.
    fn manage(
        &self,
        py: Python<'_>,
        who: Who,
        act: String,
        arguments: &Bound<'_, PyAny>,
    ) -> PyResult<Pending> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let scope = open.scope(who)?;
        let arguments = convert::value(arguments, "arguments")?;
        Ok(Pending::new(async move { tenant::manage(&open.engine, scope.await?, &act, arguments).await }))
    }

    /// The collection of this id or name; with `create`, made where there is none.
    fn collection(&self, py: Python<'_>, who: Who, id_or_name: String, create: bool) -> PyResult<Pending> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let scope = open.scope(who)?;
        Ok(Pending::new(async move {
            let knowledge = open.engine.knowledge(&scope.await?);
            let collection = match create {
                true => knowledge.collection_or_new(&id_or_name).await?,
                false => knowledge.collection(&id_or_name).await?,
            };
            Outcome::of(&collection)
        }))
    }

    /// Adds the file at `path` to a collection, piece by piece.
    fn add_file(
        &self,
        py: Python<'_>,
        who: Who,
        collection: String,
        path: std::path::PathBuf,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<Pending> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let scope = open.scope(who)?;
        let new = new_document(new)?;
        Ok(Pending::new(async move {
            let file = tokio::fs::File::open(&path).await.map_err(|error| {
                let message = format!("cannot read {}: {}", path.display(), error.kind());
                match error.kind() {
                    std::io::ErrorKind::NotFound => aimate::Error::not_found(message),
                    _ => aimate::Error::invalid(message),
                }
                .with_source(error)
            })?;
            let unreadable = |error: std::io::Error| {
                aimate::Error::invalid("the file cannot be read any further").with_source(error)
            };
            let bytes =
                ReaderStream::with_capacity(file, 64 << 10).map(move |piece| piece.map_err(unreadable));
            add(open.engine, scope.await?, &collection, new, bytes.boxed()).await
        }))
    }

    /// Adds bytes to a collection.
    fn add_bytes(
        &self,
        py: Python<'_>,
        who: Who,
        collection: String,
        content: Vec<u8>,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<Pending> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let scope = open.scope(who)?;
        let new = new_document(new)?;
        Ok(Pending::new(async move {
            let bytes = aimate::stream::iter([Ok(bytes::Bytes::from(content))]);
            add(open.engine, scope.await?, &collection, new, bytes.boxed()).await
        }))
    }

    /// Adds several documents, each the body of a request, to the collection of this id; see
    /// `documents.rs`.
    fn add_documents(
        &self,
        py: Python<'_>,
        who: Who,
        collection: String,
        documents: Vec<Bound<'_, PyAny>>,
        wait: bool,
    ) -> PyResult<Pending> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let scope = open.scope(who)?;
        let named = documents
            .into_iter()
            .enumerate()
            .map(|(n, document)| convert::value(&document, &format!("documents[{n}]")));
        let bodies = named.collect::<PyResult<Vec<_>>>()?;
        Ok(Pending::new(async move {
            add_all(open.engine, open.door, scope.await?, collection, bodies, wait).await
        }))
    }

    /// Adds a tool while the engine runs.
    fn register_tool(&self, py: Python<'_>, spec: &Bound<'_, PyAny>, call: Py<PyAny>) -> PyResult<()> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let tool = tool::host_tool(&self.state.host, &convert::value(spec, "tool")?, call)
            .map_err(|error| Fault::from(error).into_error(py))?;
        open.engine.register_tool(tool).map_err(|error| Fault::from(error).into_error(py))
    }

    /// One request of an ASGI server, for `who`; with `known=False` for nobody.
    #[expect(clippy::too_many_arguments, reason = "they are the fields of a request")]
    fn exchange(
        &self,
        py: Python<'_>,
        who: Who,
        known: bool,
        prefix: &str,
        method: &str,
        target: &str,
        headers: Vec<(Vec<u8>, Vec<u8>)>,
        has_body: bool,
    ) -> PyResult<Exchange> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let scope = known.then(|| open.scope(who)).transpose()?;
        let door = self.state.mounts.door(&open.engine, prefix);
        let door = door.ok_or_else(|| no_mount().into_error(py))?;
        Exchange::new(door, scope, method, target, headers, has_body)
    }

    /// Starts an HTTP server for the local user, or for whom `who` says; the outcome is a `Server`.
    fn serve(
        &self,
        py: Python<'_>,
        host: String,
        port: u16,
        allowed_origins: Vec<String>,
        drain: f64,
        who: Option<Py<PyAny>>,
    ) -> PyResult<Pending> {
        let open = self.state.open().map_err(|fault| fault.into_error(py))?;
        let callers = who.map(|who| HostCallers {
            host: self.state.host.clone(),
            who: Arc::new(who),
            users: Arc::new(open.clone()),
        });
        Ok(Pending::new(async move {
            let serving = Serving { callers, host, port, allowed_origins, drain };
            let server = Server::start(open.engine, serving).await?;
            Ok(Outcome::Made(Box::new(move |py| Ok(Py::new(py, server)?.into_any()))))
        }))
    }

    /// Notes the loop that calls tools and providers from now on.
    fn adopt(&self, port: &Port, is_running: Py<PyAny>) {
        self.state.host.adopt(Home { port: port.inner(), is_running });
    }

    /// Ends the engine, once running answers are whole or `drain` seconds have passed.
    fn close(&self, drain: f64) -> PyResult<Pending> {
        let drain = crate::config::duration("drain", drain)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let state = self.state.clone();
        Ok(Pending::new(async move {
            state.close(drain).await;
            Ok(Outcome::Nothing)
        }))
    }

    /// Whether it is closed.
    #[getter]
    fn is_closed(&self) -> bool {
        self.state.slot().is_none()
    }

    /// Whether it has a loop that calls tools and providers.
    #[getter]
    fn has_home(&self) -> bool {
        self.state.host.has_home()
    }

    /// How many answers are being written.
    #[getter]
    fn running(&self) -> usize {
        self.state.slot().as_ref().map_or(0, |open| open.engine.running())
    }
}

/// Opens an engine: `config` is plain data, `parts` what is written in Python. The outcome is
/// an `Engine`.
#[pyfunction]
pub(crate) fn open(config: &Bound<'_, PyAny>, parts: &Bound<'_, PyAny>) -> PyResult<Pending> {
    let py = config.py();
    let config = convert::value(config, "config")?;
    // Of what is wrong the place is told alone: the value may be a secret.
    let config: Config = serde_json::from_value(config)
        .map_err(|error| Fault::Engine(aimate::Error::invalid(error.to_string())).into_error(py))?;
    let host = Arc::new(Host::default());
    let parts = take_parts(&host, parts)?;
    Ok(Pending::new(async move {
        let engine = build::engine(config, parts).await?;
        let door = Door::new(engine.clone(), "");
        let state = Arc::new(EngineState {
            open: Mutex::new(Some(OpenEngine { engine, door, local: Arc::default() })),
            host,
            mounts: Mounts::default(),
        });
        let ending: Arc<dyn Ending> = state.clone();
        runtime::note(Arc::downgrade(&ending));
        Ok(Outcome::Made(Box::new(move |py| Ok(Py::new(py, NativeEngine { state })?.into_any()))))
    }))
}

/// `{"providers": {name: object}, "tools": [(spec, call)], "embedders": [(model, embed)],
/// "reranker": (name, rerank), "retrievers": [(name, retrieve)], "observers": [plan]}`.
fn take_parts(host: &Arc<Host>, parts: &Bound<'_, PyAny>) -> PyResult<Parts> {
    let py = parts.py();
    let failed = |error: aimate::Error| Fault::from(error).into_error(py);
    let mut taken = Parts::default();
    for item in parts.get_item("providers")?.try_iter()? {
        let (name, provider): (String, Py<PyAny>) = item?.extract()?;
        if let Ok(script) = provider.bind(py).cast::<PlayedScript>() {
            taken.providers.push((name, script.get().provider()));
        } else {
            taken.providers.push((name.clone(), Arc::new(HostProvider::new(host, name, provider.bind(py))?)));
        }
    }
    for item in parts.get_item("tools")?.try_iter()? {
        let (spec, call): (Bound<'_, PyAny>, Py<PyAny>) = item?.extract()?;
        let spec = convert::value(&spec, "tool")?;
        taken.tools.push(tool::host_tool(host, &spec, call).map_err(failed)?);
    }
    for item in parts.get_item("embedders")?.try_iter()? {
        let (model, embed): (Bound<'_, PyAny>, Py<PyAny>) = item?.extract()?;
        let model = serde_json::from_value(convert::value(&model, "embedder")?)
            .map_err(|error| PyTypeError::new_err(format!("embedder: {error}")))?;
        taken.embedders.push(Arc::new(HostEmbedder::new(host, model, embed)));
    }
    let reranker = parts.get_item("reranker")?;
    if !reranker.is_none() {
        let (name, rerank): (String, Py<PyAny>) = reranker.extract()?;
        taken.reranker = Some(Arc::new(HostReranker::new(host, name, rerank)));
    }
    for item in parts.get_item("retrievers")?.try_iter()? {
        let (name, retrieve): (String, Py<PyAny>) = item?.extract()?;
        let retriever = HostRetriever::new(host, &name, retrieve);
        taken.retrievers.push((name, Arc::new(retriever)));
    }
    for plan in parts.get_item("observers")?.try_iter()? {
        taken.observers.push(Arc::new(HostObserver::new(host, &plan?)?));
    }
    Ok(taken)
}

/// A new encryption key, for `keys`.
#[pyfunction]
pub(crate) fn generate_key(py: Python<'_>) -> PyResult<String> {
    let key = aimate::KeyRing::generate().map_err(|error| Fault::from(error).into_error(py))?;
    Ok(key.expose().to_owned())
}
