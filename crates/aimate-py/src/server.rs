//! The HTTP server within the process.

use std::sync::{Arc, Mutex, PoisonError};

use aimate::http as api;
use aimate::{Engine, Error, Scope, async_trait};
use futures_util::future::BoxFuture;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config;
use crate::fault::{Fault, Result};
use crate::host::{Function, Host};
use crate::outcome::Outcome;
use crate::pending::Pending;
use crate::runtime;

/// A server that runs until it is stopped; the engine goes on.
#[pyclass(frozen, module = "aimate._aimate")]
pub(crate) struct Server {
    address: std::net::SocketAddr,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

/// Who asks, as a function of the application's says.
pub(crate) struct HostCallers {
    pub(crate) host: Arc<Host>,
    /// `who(method, path, headers)` returns `None` for nobody, else `(who,)`.
    pub(crate) who: Function,
    pub(crate) users: Arc<dyn KnownUsers>,
}

/// Makes scopes of who asks.
pub(crate) trait KnownUsers: Send + Sync {
    /// The scope of who asks, made where it is not there.
    fn scope(&self, who: Who) -> PyResult<BoxFuture<'static, Result<Scope>>>;
}

/// The local user, or `(tenant, user, role, name)` by the application's own keys.
pub(crate) type Who = Option<(String, String, Option<String>, Option<String>)>;

#[async_trait]
impl api::ScopeResolver for HostCallers {
    async fn resolve(&self, head: &http::request::Parts) -> aimate::Result<Option<Scope>> {
        let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
        let headers: Vec<(Vec<u8>, Vec<u8>)> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        let arguments = move |py: Python<'_>| -> PyResult<_> {
            let all = PyList::empty(py);
            for (name, value) in &headers {
                all.append((PyBytes::new(py, name), PyBytes::new(py, value)))?;
            }
            Ok((method, path, all).into_pyobject(py)?.unbind())
        };
        let users = self.users.clone();
        let read = move |result: &Bound<'_, PyAny>| {
            let found: Option<(Who,)> = result.extract()?;
            found.map(|(who,)| users.scope(who)).transpose()
        };
        let scope =
            self.host.call("the function `scope` of `serve`", &self.who, Box::new(arguments), read).await?;
        let Some(scope) = scope else { return Ok(None) };
        scope.await.map(Some).map_err(|fault| match fault {
            Fault::Engine(error) => error,
            Fault::Problem(..) | Fault::Closed(_) => Error::unavailable("the engine is closed"),
        })
    }
}

/// What a server is told.
pub(crate) struct Serving {
    /// Who asks; the local user without it.
    pub(crate) callers: Option<HostCallers>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) allowed_origins: Vec<String>,
    /// Seconds.
    pub(crate) drain: f64,
}

impl Server {
    /// Serves whom the application knows, or the local user on a loopback address.
    pub(crate) async fn start(engine: Engine, serving: Serving) -> Result<Self> {
        let Serving { callers, host, port, allowed_origins, drain } = serving;
        let is_local = callers.is_none();
        let callers = match callers {
            Some(callers) => api::Callers::Resolver(Arc::new(callers)),
            None => api::Callers::Local,
        };
        let options = api::Options::default()
            .callers(callers)
            .allowed_origins(allowed_origins)
            .drain(config::duration("drain", drain)?)
            .ends_engine(false);
        options.check().map_err(|error| Error::field("allowed_origins", error.to_string()))?;
        let wrong = |why: String| Error::field("host", why);
        let mut found = tokio::net::lookup_host((host.as_str(), port))
            .await
            .map_err(|error| wrong(format!("`{host}` is no address: {error}")))?;
        let address = found.next().ok_or_else(|| wrong(format!("`{host}` has no address")))?;
        if is_local && !address.ip().is_loopback() {
            return Err(wrong(format!(
                "other machines can reach `{host}`, so who asks has to be known: give `scope=`, a function of a request's \
                 headers, or run `aimate serve` with accounts"
            ))
            .into());
        }
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Error::unavailable(format!("cannot listen on {address}: {}", error.kind())).with_source(error)
        })?;
        let address = listener.local_addr().unwrap_or(address);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = async move {
            let shutdown = async move { drop(stopped.await) };
            if let Err(error) = api::serve(listener, engine, options, shutdown).await {
                tracing::error!(%error, "the server failed");
            }
        };
        let task = runtime::spawn(serving).ok_or_else(Fault::closed)?;
        Ok(Self { address, running: Mutex::new(Some((stop, task))) })
    }

    fn take(&self) -> Option<(oneshot::Sender<()>, JoinHandle<()>)> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Server {
    /// The port that it listens on.
    #[getter]
    fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it is, such as `http://127.0.0.1:3000`.
    #[getter]
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops it; the outcome comes once its connections are closed.
    fn stop(&self) -> Pending {
        let running = self.take();
        Pending::new(async move {
            if let Some((stop, task)) = running {
                drop(stop);
                let _ = task.await;
            }
            Ok(Outcome::Nothing)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The sender that is dropped stops it.
        drop(self.take());
    }
}
