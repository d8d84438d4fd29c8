//! The server: accepts connections and shuts down gracefully.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::Engine;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::options::Options;
use crate::router;

/// How long connections may take to close once all answers are finished.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// TCP keep-alive: idle time before the first probe, and between probes. A
/// stream that waits for a slow model is idle, so only probes find out that its
/// client is gone.
const KEEPALIVE_TIME: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// `TCP_USER_TIMEOUT`: how long sent data may stay unacknowledged. Keep-alive
/// does not probe while data is in flight.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a failed `accept`, mostly for want of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves `engine` until `shutdown` completes, then shuts down gracefully:
/// accepts no new connection and no new turn, lets running answers finish within
/// [`Options::drain`], stores the others as interrupted and closes.
///
/// # Errors
/// If the address of the listener cannot be read.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let server = Server::new(engine, &options);
    tracing::info!(%address, "serving");
    server.accept_until(listener, shutdown).await;
    tracing::info!(running = server.engine.running(), "shutting down");
    server.shut_down(options.drain).await;
    Ok(())
}

struct Server {
    engine: Engine,
    service: TowerToHyperService<axum::Router>,
    http: http1::Builder,
    connection_permits: Arc<Semaphore>,
    connections: TaskTracker,
    graceful: GracefulShutdown,
    /// Cancelled when connections must close at once.
    abort: CancellationToken,
}

impl Server {
    fn new(engine: Engine, options: &Options) -> Self {
        let router = router::standalone(engine.clone(), options.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
        Self {
            engine,
            service: TowerToHyperService::new(router),
            http,
            connection_permits: Arc::new(Semaphore::new(options.max_connections)),
            connections: TaskTracker::new(),
            graceful: GracefulShutdown::new(),
            abort: CancellationToken::new(),
        }
    }

    async fn accept_until(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            // The permit comes first: beyond the limit, connections wait in the
            // backlog of the operating system and cost nothing here.
            let next = async {
                // Invariant: the semaphore is never closed.
                let permit = self.connection_permits.clone().acquire_owned().await.ok()?;
                Some((accept(&listener).await, permit))
            };
            tokio::select! {
                () = &mut shutdown => return,
                next = next => match next {
                    Some((stream, permit)) => self.spawn_connection(stream, permit),
                    None => return,
                },
            }
        }
    }

    fn spawn_connection(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        if let Err(error) = set_socket_options(&stream) {
            tracing::debug!(%error, "failed to set socket options");
        }
        let connection = self.http.serve_connection(TokioIo::new(stream), self.service.clone());
        let connection = self.graceful.watch(connection);
        let abort = self.abort.clone();
        self.connections.spawn(async move {
            let _permit = permit;
            tokio::select! {
                outcome = connection => if let Err(error) = outcome {
                    tracing::debug!(%error, "connection failed");
                },
                () = abort.cancelled() => {}
            }
        });
    }

    async fn shut_down(self, drain: Duration) {
        self.engine.drain(drain).await;
        if timeout(CLOSE_TIMEOUT, self.graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "aborting connections that do not close");
        }
        self.abort.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

/// Turns Nagle's algorithm off (a token would wait up to 40 ms for the
/// acknowledgement of the one before) and finds out within half a minute that a
/// client vanished without closing its connection.
fn set_socket_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// Accepts the next connection. A client that has left again is no error of the
/// listener, and one for want of resources passes.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                tracing::error!(%error, "failed to accept a connection; retrying");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
