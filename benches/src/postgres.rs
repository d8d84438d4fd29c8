//! As much of PostgreSQL's protocol as the suite needs: making a database, and
//! counting how often a client waits for the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::Result;
use crate::upstream::stamp;

/// Makes an empty database on the server of `server` and returns its address.
/// The server must trust whoever connects, as that of `cargo xtask bench` does.
pub(crate) async fn create_database(server: &str, name: &str) -> Result<String> {
    let mut url = Url::parse(server)?;
    let mut stream = TcpStream::connect(host(&url)?).await?;
    let database = url.path().trim_start_matches('/');
    let body = format!("\0\x03\0\0user\0{}\0database\0{database}\0\0", url.username());
    stream.write_all(&framed(&body)).await?;
    until_ready(&mut stream).await?;
    for statement in [format!("DROP DATABASE IF EXISTS \"{name}\""), format!("CREATE DATABASE \"{name}\"")] {
        stream.write_u8(b'Q').await?;
        stream.write_all(&framed(&format!("{statement}\0"))).await?;
        until_ready(&mut stream).await?;
    }
    url.set_path(name);
    // The relay below reads what is sent.
    url.set_query(Some("sslmode=disable"));
    Ok(url.into())
}

/// Stands between a client and a server and notes when the server was done with
/// what the client waited for.
pub(crate) struct Relay {
    /// The database's address through the relay.
    pub(crate) url: String,
    waits: Arc<Mutex<Vec<u64>>>,
}

impl Relay {
    pub(crate) async fn start(database: &str) -> Result<Self> {
        let mut url = Url::parse(database)?;
        let server = host(&url)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        url.set_port(Some(port)).map_err(|()| "a URL without a port")?;
        let waits: Arc<Mutex<Vec<u64>>> = Arc::default();
        let noted = Arc::clone(&waits);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, Arc::clone(&noted)));
            }
        });
        Ok(Self { url: url.into(), waits })
    }

    /// Round trips that ended between two stamps.
    pub(crate) fn trips(&self, from: u64, until: u64) -> usize {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.iter().filter(|at| (from..until).contains(*at)).count()
    }
}

async fn relay(client: TcpStream, server: SocketAddr, waits: Arc<Mutex<Vec<u64>>>) -> Result {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let (mut buffer, mut messages) = (vec![0; 64 * 1024], Messages::default());
    loop {
        let read = from_server.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        // Several statements that were sent at once are waited for once.
        if messages.read(bytes) {
            waits.lock().unwrap_or_else(PoisonError::into_inner).push(stamp());
        }
        to_client.write_all(bytes).await?;
    }
}

/// Where in a server's messages the bytes are: type, length (itself included), content.
#[derive(Default)]
struct Messages {
    head: Vec<u8>,
    skip: usize,
}

impl Messages {
    /// Whether `ReadyForQuery` begins in these bytes.
    fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut is_ready = false;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = (5 - self.head.len()).min(bytes.len());
            let (head, rest) = bytes.split_at(wanted);
            self.head.extend_from_slice(head);
            bytes = rest;
            if let [kind, length @ ..] = self.head.as_slice()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                is_ready |= *kind == b'Z';
                self.skip = (u32::from_be_bytes(length) as usize).saturating_sub(4);
                self.head.clear();
            }
        }
        is_ready
    }
}

/// Reads up to `ReadyForQuery`.
async fn until_ready(stream: &mut TcpStream) -> Result {
    loop {
        let kind = stream.read_u8().await?;
        let length = stream.read_u32().await?.saturating_sub(4);
        let mut content = vec![0; usize::try_from(length)?];
        stream.read_exact(&mut content).await?;
        match (kind, content.as_slice()) {
            (b'Z', _) => return Ok(()),
            (b'E', said) => {
                let said = String::from_utf8_lossy(said).replace('\0', " ");
                return Err(format!("PostgreSQL: {said}").into());
            }
            (b'R', [0, 0, 0, 0]) => {}
            (b'R', _) => return Err("PostgreSQL asks for a password; the suite has none".into()),
            _ => {}
        }
    }
}

fn framed(body: &str) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or_default();
    [&length.to_be_bytes(), body.as_bytes()].concat()
}

fn host(url: &Url) -> Result<SocketAddr> {
    let addresses = url.socket_addrs(|| Some(5432))?;
    Ok(addresses.into_iter().next().ok_or("a URL without a host")?)
}

#[cfg(test)]
mod tests {
    use super::Messages;

    #[test]
    fn the_end_of_an_answer_is_seen_wherever_it_is_cut() {
        let wire = b"T\0\0\0\x06ZZZ\0\0\0\x05I";
        assert!(Messages::default().read(wire));
        for cut in 0..wire.len() {
            let mut messages = Messages::default();
            let (first, second) = wire.split_at(cut);
            let seen = [messages.read(first), messages.read(second)];
            assert_eq!(seen.iter().filter(|seen| **seen).count(), 1, "cut at {cut}");
        }
    }
}
