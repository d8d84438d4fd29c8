//! The server: accepts connections and shuts down gracefully.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::Engine;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::client_stream::ClientStream;
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
/// Bytes that a connection buffers of a request head, and of what is to be sent
/// beside the piece that it was given last.
const MAX_BUFFER: usize = 64 * 1024;
/// Bytes that the operating system buffers of what is sent to a client. Its own
/// choice can be megabytes, for each client that reads slowly.
const SEND_BUFFER: usize = 256 * 1024;
/// Connections beyond the limit that are told so at once, how long that may take,
/// and how many bytes of their requests are read meanwhile.
const MAX_REFUSED: usize = 32;
const REFUSAL_TIME: Duration = Duration::from_secs(1);
const MAX_REQUEST: u64 = 64 * 1024;
/// What they are told.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: application/problem+json\r\ncontent-length: 155\r\n\r\n\
    {\"type\":\"urn:aimate:error:unavailable\",\"title\":\"Temporarily unavailable\",\"status\":503,\
    \"detail\":\"too many connections\",\"code\":\"unavailable\",\"retry_after\":1}";
/// Pause after a failed `accept`, mostly for want of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves `engine` until `shutdown` completes, then shuts down gracefully:
/// accepts no new connection and no new turn, lets running answers finish within
/// [`Options::drain`], stores the others as interrupted and closes. With
/// [`Options::ends_engine`] off, the engine is left as it is.
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
    server.shut_down(options.drain, options.ends_engine).await;
    Ok(())
}

struct Server {
    engine: Engine,
    app: App,
    service: TowerToHyperService<axum::Router>,
    http: http1::Builder,
    write_timeout: Duration,
    connection_permits: Arc<Semaphore>,
    refusal_permits: Arc<Semaphore>,
    connections: TaskTracker,
    /// Cancelled when connections must close behind the response that is under way.
    closing: CancellationToken,
    /// Cancelled when connections must close at once.
    abort: CancellationToken,
}

impl Server {
    fn new(engine: Engine, options: &Options) -> Self {
        // A server of its own has nothing else to show at `/`.
        #[cfg(feature = "page")]
        let options = &options.clone().web_page(true);
        let app = App::new(engine.clone(), options.clone());
        let router = router::standalone(app.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(options.header_timeout).max_buf_size(MAX_BUFFER);
        Self {
            engine,
            app,
            service: TowerToHyperService::new(router),
            http,
            write_timeout: options.write_timeout,
            connection_permits: Arc::new(Semaphore::new(options.max_connections.min(Semaphore::MAX_PERMITS))),
            refusal_permits: Arc::new(Semaphore::new(MAX_REFUSED)),
            connections: TaskTracker::new(),
            closing: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    async fn accept_until(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let stream = tokio::select! {
                () = &mut shutdown => return,
                stream = accept(&listener) => stream,
            };
            match self.connection_permits.clone().try_acquire_owned() {
                Ok(permit) => self.spawn_connection(stream, permit),
                Err(_) => self.refuse(stream).await,
            }
        }
    }

    /// Tells a client that there is no connection left: one that waited in the
    /// backlog of the operating system would not know whether the server lives.
    /// At most [`MAX_REFUSED`] are told at once; the next ones do wait.
    async fn refuse(&self, mut stream: TcpStream) {
        // Invariant: the semaphore is never closed.
        let Ok(permit) = self.refusal_permits.clone().acquire_owned().await else { return };
        let abort = self.abort.clone();
        self.connections.spawn(async move {
            let _permit = permit;
            let refusal = async {
                stream.write_all(REFUSAL).await?;
                stream.shutdown().await?;
                // A connection that is closed with something unread is reset, and
                // its client may not see the response.
                tokio::io::copy(&mut (&mut stream).take(MAX_REQUEST), &mut tokio::io::sink()).await
            };
            tokio::select! {
                outcome = timeout(REFUSAL_TIME, refusal) => drop(outcome),
                () = abort.cancelled() => {}
            }
        });
    }

    fn spawn_connection(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        if let Err(error) = set_socket_options(&stream) {
            tracing::debug!(%error, "failed to set socket options");
        }
        let peer = stream.peer_addr().ok();
        let connection = {
            let stream = ClientStream::new(stream, self.write_timeout);
            let place = ConnectionPlace(Arc::new(permit));
            let service = PeerService { service: self.service.clone(), peer, place };
            self.http.serve_connection(TokioIo::new(stream), service).with_upgrades()
        };
        let (closing, abort) = (self.closing.clone(), self.abort.clone());
        self.connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let mut is_closing = false;
            loop {
                tokio::select! {
                    outcome = connection.as_mut() => {
                        if let Err(error) = outcome {
                            tracing::debug!(%error, "connection failed");
                        }
                        return;
                    }
                    () = closing.cancelled(), if !is_closing => {
                        is_closing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    () = abort.cancelled() => return,
                }
            }
        });
    }

    async fn shut_down(self, drain: Duration, ends_engine: bool) {
        if ends_engine {
            self.engine.drain(drain).await;
        }
        // Their clients listen for as long as the server is there.
        #[cfg(feature = "mcp")]
        self.app.mcp.stop();
        let closing = if ends_engine { CLOSE_TIMEOUT } else { drain };
        self.closing.cancel();
        self.connections.close();
        let closed = async { tokio::join!(self.connections.wait(), self.app.sockets.close()) };
        if timeout(closing, closed).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "aborting connections that do not close");
        }
        self.abort.cancel();
        self.app.sockets.abort();
        tokio::join!(self.connections.wait(), self.app.sockets.close());
        self.app.rate_limiter.give_back().await;
    }
}

/// The place of a connection among those that there may be. It is handed to each request, so that
/// one that goes on as a `WebSocket` keeps it.
#[derive(Clone)]
struct ConnectionPlace(#[expect(dead_code, reason = "it is held")] Arc<OwnedSemaphorePermit>);

/// The router for one connection: each of its requests knows the peer's address.
struct PeerService {
    service: TowerToHyperService<axum::Router>,
    peer: Option<SocketAddr>,
    place: ConnectionPlace,
}

impl Service<Request<Incoming>> for PeerService {
    type Response = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        request.extensions_mut().insert(self.place.clone());
        self.service.call(request)
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
    socket.set_send_buffer_size(SEND_BUFFER)?;
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
