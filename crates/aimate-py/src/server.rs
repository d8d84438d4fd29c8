//! The HTTP server within the process.

use std::sync::{Mutex, PoisonError};

use aimate::http as api;
use aimate::{Engine, Error};
use pyo3::prelude::*;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config;
use crate::fault::{Fault, Result};
use crate::outcome::Outcome;
use crate::pending::Pending;
use crate::runtime;

/// A server that runs until it is stopped; the engine goes on.
#[pyclass(frozen, module = "aimate._aimate")]
pub(crate) struct Server {
    address: std::net::SocketAddr,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

/// What a server is told.
pub(crate) struct Serving {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) allowed_origins: Vec<String>,
    /// Seconds.
    pub(crate) drain: f64,
}

impl Server {
    /// Serves the local user on a loopback address.
    pub(crate) async fn start(engine: Engine, serving: Serving) -> Result<Self> {
        let Serving { host, port, allowed_origins, drain } = serving;
        let options = api::Options::local()
            .allowed_origins(allowed_origins)
            .drain(config::duration("drain", drain)?)
            .ends_engine(false);
        options.check().map_err(|error| Error::field("allowed_origins", error.to_string()))?;
        let wrong = |why: String| Error::field("host", why);
        let mut found = tokio::net::lookup_host((host.as_str(), port))
            .await
            .map_err(|error| wrong(format!("`{host}` is no address: {error}")))?;
        let address = found.next().ok_or_else(|| wrong(format!("`{host}` has no address")))?;
        if !address.ip().is_loopback() {
            return Err(wrong(format!(
                "other machines can reach `{host}`, and `serve` has no login; mount `asgi(scope=…)` behind your own, \
                 or run `aimate serve` with accounts"
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
