//! The server: connections in, and a graceful end.

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

use crate::{Options, router};

/// How long connections may take to end once every answer has.
const CLOSE: Duration = Duration::from_secs(5);
/// Silence after which a client is asked whether it is there, and how often.
const SILENCE: Duration = Duration::from_secs(10);
const PROBE: Duration = Duration::from_secs(5);
/// How long a client may leave what was sent unacknowledged.
#[cfg(target_os = "linux")]
const UNHEARD: Duration = Duration::from_secs(20);
/// How long to wait when the machine has no socket left.
const NO_SOCKET: Duration = Duration::from_millis(100);

/// Serves `engine` until `shutdown`, then ends gracefully: takes no new
/// connection and no new turn, lets running answers go on for
/// [`Options::drain`], stores what came of the others, closes.
///
/// # Errors
/// If the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let server = Server::new(engine, &options);
    tracing::info!(%address, "serving");
    server.accept(listener, shutdown).await;
    tracing::info!(running = server.engine.running(), "stopping");
    server.end(options.drain).await;
    Ok(())
}

struct Server {
    engine: Engine,
    service: TowerToHyperService<axum::Router>,
    http: http1::Builder,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    graceful: GracefulShutdown,
    /// Fires when connections must end at once.
    cut: CancellationToken,
}

impl Server {
    fn new(engine: Engine, options: &Options) -> Self {
        let router = router::whole(engine.clone(), options.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
        Self {
            engine,
            service: TowerToHyperService::new(router),
            http,
            places: Arc::new(Semaphore::new(options.max_connections)),
            connections: TaskTracker::new(),
            graceful: GracefulShutdown::new(),
            cut: CancellationToken::new(),
        }
    }

    async fn accept(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let next = async {
                // Invariant: nobody closes the semaphore.
                let place = self.places.clone().acquire_owned().await.ok()?;
                Some((accepted(&listener).await, place))
            };
            tokio::select! {
                () = &mut shutdown => return,
                next = next => match next {
                    Some((stream, place)) => self.connect(stream, place),
                    None => return,
                },
            }
        }
    }

    fn connect(&self, stream: TcpStream, place: OwnedSemaphorePermit) {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "a socket could not be prepared");
        }
        let connection = self.http.serve_connection(TokioIo::new(stream), self.service.clone());
        let connection = self.graceful.watch(connection);
        let cut = self.cut.clone();
        self.connections.spawn(async move {
            let _place = place;
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                },
                () = cut.cancelled() => {}
            }
        });
    }

    async fn end(self, drain: Duration) {
        self.engine.drain(drain).await;
        if timeout(CLOSE, self.graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "cutting connections that do not end");
        }
        self.cut.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

/// Lets each piece go at once (else a token may wait 40 ms for the one before to
/// be acknowledged) and notices within half a minute that a client is gone
/// without a word.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(PROBE))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNHEARD))?;
    Ok(())
}

/// The next connection. A client that has gone again is no reason to stop.
async fn accepted(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted; trying again");
                sleep(NO_SOCKET).await;
            }
        }
    }
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
