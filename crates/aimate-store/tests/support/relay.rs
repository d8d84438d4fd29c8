//! A relay between a client and a server that is slow in one direction, and
//! that can be cut.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    cut: broadcast::Sender<()>,
}

impl Relay {
    /// Relays to `server`, whose bytes arrive `delay` late.
    pub(crate) async fn to(server: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, _) = broadcast::channel(1);
        let (server, cutting) = (server.to_owned(), cut.clone());
        spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let (mut one, mut two) = (cutting.subscribe(), cutting.subscribe());
                spawn(async move {
                    tokio::select! { () = copy(from_client, to_server, Duration::ZERO) => {}, _ = one.recv() => {} }
                });
                spawn(async move {
                    tokio::select! { () = copy(from_server, to_client, delay) => {}, _ = two.recv() => {} }
                });
            }
        });
        Self { address, cut }
    }

    /// Breaks every connection that is open.
    pub(crate) fn cut(&self) {
        let _ = self.cut.send(());
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Duration,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(delay).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "ends with the test")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}
