//! A relay between a client and a server that is slow in one direction, that can
//! be cut, and that can lose answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    cut: broadcast::Sender<()>,
    loses: Arc<AtomicBool>,
    is_down: Arc<AtomicBool>,
}

impl Relay {
    /// Relays to `server`, whose bytes arrive `delay` late.
    pub(crate) async fn to(server: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, _) = broadcast::channel(1);
        let (server, cutting) = (server.to_owned(), cut.clone());
        let loses = Arc::new(AtomicBool::new(false));
        let losing = Arc::clone(&loses);
        let is_down = Arc::new(AtomicBool::new(false));
        let down = Arc::clone(&is_down);
        spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if down.load(Ordering::Relaxed) {
                    continue;
                }
                let server = TcpStream::connect(&server).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let (mut one, mut two) = (cutting.subscribe(), cutting.subscribe());
                let losing = Arc::clone(&losing);
                let to_server = copy(from_client, to_server, Duration::ZERO, |_| true);
                let to_client = copy(from_server, to_client, delay, move |_| !losing.load(Ordering::Relaxed));
                spawn(async move {
                    tokio::select! { () = to_server => {}, _ = one.recv() => {} }
                });
                spawn(async move {
                    tokio::select! { () = to_client => {}, _ = two.recv() => {} }
                });
            }
        });
        Self { address, cut, loses, is_down }
    }

    /// Whether what the server answers from now on is lost.
    pub(crate) fn loses_answers(&self, does: bool) {
        self.loses.store(does, Ordering::Relaxed);
    }

    /// Whether nobody comes through from now on.
    pub(crate) fn is_down(&self, is: bool) {
        self.is_down.store(is, Ordering::Relaxed);
        self.cut();
    }

    /// Breaks every connection that is open.
    pub(crate) fn cut(&self) {
        let _ = self.cut.send(());
    }
}

/// Copies what `passes`.
async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Duration,
    passes: impl Fn(&[u8]) -> bool,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(delay).await;
        if passes(&bytes[..count]) && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "ends with the test")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}
