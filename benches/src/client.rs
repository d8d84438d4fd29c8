//! An HTTP/1.1 client that costs little: one connection that is kept, two buffers
//! that are kept, nothing allocated for an answer. It knows what the servers of
//! this suite send and no more.

use std::net::SocketAddr;
use std::time::Instant;

use memchr::memmem;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

const BUFFER: usize = 16 * 1024;

/// One connection.
pub(crate) struct Client {
    address: SocketAddr,
    stream: TcpStream,
    inbox: Vec<u8>,
    body: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self {
            address,
            stream: open(address).await?,
            inbox: Vec::with_capacity(BUFFER),
            body: Vec::with_capacity(BUFFER),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// After a failure: a fresh connection.
    pub(crate) async fn reconnect(&mut self) -> Result {
        self.stream = open(self.address).await?;
        self.inbox.clear();
        Ok(())
    }

    /// Sends a request, reads the whole answer and returns its status. `seen` is
    /// shown the body as far as it has come, each time more of it has.
    pub(crate) async fn exchange(&mut self, request: &[u8], mut seen: impl FnMut(&[u8])) -> Result<u16> {
        self.body.clear();
        self.stream.write_all(request).await?;
        let (status, mut framing) = self.head().await?;
        loop {
            let before = self.body.len();
            let is_whole = framing.take(&mut self.inbox, &mut self.body)?;
            if self.body.len() > before {
                seen(&self.body);
            }
            if is_whole {
                return Ok(status);
            }
            self.fill().await?;
        }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Sends JSON and reads JSON; anything but success is an error that quotes the answer.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request(method, self.address, path, &body);
        let status = self.exchange(&request, |_| ()).await?;
        if !(200..300).contains(&status) {
            let said = String::from_utf8_lossy(&self.body);
            return Err(format!("{method} {path} was answered {status}: {said}").into());
        }
        Ok(serde_json::from_slice(&self.body).unwrap_or(Value::Null))
    }

    async fn head(&mut self) -> Result<(u16, Framing)> {
        let end = loop {
            match memmem::find(&self.inbox, b"\r\n\r\n") {
                Some(end) => break end,
                None => self.fill().await?,
            }
        };
        let head = self.inbox.get(..end).unwrap_or_default();
        let head = std::str::from_utf8(head)?.to_ascii_lowercase();
        self.inbox.drain(..end + 4);
        let status = head.get(9..12).ok_or("no status")?.parse()?;
        let header = |name: &str| {
            let lines = head.split("\r\n").skip(1);
            let mut pairs = lines.filter_map(|line| line.split_once(':'));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
        };
        let framing = match (header("transfer-encoding"), header("content-length")) {
            (Some(_), _) => Framing::Size,
            (None, Some(length)) => Framing::Length(length.parse()?),
            (None, None) if status == 204 => Framing::Length(0),
            (None, None) => return Err("an answer without a length".into()),
        };
        Ok((status, framing))
    }

    async fn fill(&mut self) -> Result {
        self.inbox.reserve(BUFFER / 2);
        match self.stream.read_buf(&mut self.inbox).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

async fn open(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A request as bytes.
pub(crate) fn request(method: &str, address: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\naccept: */*\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// How much of a body is to come.
#[derive(Clone, Copy)]
enum Framing {
    /// So many bytes.
    Length(usize),
    /// Chunked, before a chunk's size line.
    Size,
    /// Chunked, in a chunk and the line end after it; the last chunk is empty.
    Chunk { left: usize, is_last: bool },
}

impl Framing {
    /// Moves what it can from `inbox` to `body`; true when the body is whole.
    fn take(&mut self, inbox: &mut Vec<u8>, body: &mut Vec<u8>) -> Result<bool> {
        let mut at = 0;
        let is_whole = loop {
            let rest = inbox.get(at..).unwrap_or_default();
            match *self {
                Self::Length(left) => {
                    let now = rest.len().min(left);
                    body.extend(rest.iter().take(now));
                    at += now;
                    *self = Self::Length(left - now);
                    break left == now;
                }
                Self::Size => {
                    let Some(end) = memmem::find(rest, b"\r\n") else {
                        break false;
                    };
                    let line = std::str::from_utf8(rest.get(..end).unwrap_or_default())?;
                    let size = usize::from_str_radix(line.trim(), 16)?;
                    at += end + 2;
                    *self = Self::Chunk { left: size + 2, is_last: size == 0 };
                }
                Self::Chunk { left, is_last } => {
                    let now = rest.len().min(left);
                    // The two bytes of the line end are no part of the body.
                    let data = now.min(left.saturating_sub(2));
                    body.extend_from_slice(rest.get(..data).unwrap_or_default());
                    at += now;
                    if now < left {
                        *self = Self::Chunk { left: left - now, is_last };
                        break false;
                    }
                    if is_last {
                        break true;
                    }
                    *self = Self::Size;
                }
            }
        };
        inbox.drain(..at);
        Ok(is_whole)
    }
}

/// What the text of a chat completion follows, streamed or not.
pub(crate) const OF_COMPLETION: &[u8] = b"\"content\":\"";
/// What the text of a response's stream follows.
pub(crate) const OF_RESPONSE: &[u8] = b"\"delta\":\"";

/// Reads the text out of an OpenAI answer without parsing JSON: the model server's text
/// has nothing that JSON escapes.
pub(crate) struct Reader {
    /// What each piece of text follows.
    mark: &'static [u8],
    at: usize,
    /// The text so far.
    pub(crate) text: Vec<u8>,
    /// When the first of it was there.
    pub(crate) first: Option<Instant>,
}

impl Reader {
    pub(crate) fn new(mark: &'static [u8]) -> Self {
        Self { mark, at: 0, text: Vec::new(), first: None }
    }

    /// Reads what is new in `body`; `each` gets every piece of text.
    pub(crate) fn read(&mut self, body: &[u8], mut each: impl FnMut(&[u8])) {
        let mark = self.mark;
        while let Some(found) = memmem::find(body.get(self.at..).unwrap_or_default(), mark) {
            let start = self.at + found + mark.len();
            let rest = body.get(start..).unwrap_or_default();
            let Some(length) = memchr::memchr(b'"', rest) else {
                self.at += found;
                return;
            };
            let piece = rest.get(..length).unwrap_or_default();
            self.at = start + length;
            if !piece.is_empty() {
                self.first.get_or_insert_with(Instant::now);
                self.text.extend_from_slice(piece);
                each(piece);
            }
        }
        self.at = self.at.max(body.len().saturating_sub(mark.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_read_wherever_it_is_cut() {
        let wire = b"5\r\nhello\r\n1\r\n \r\na\r\nworld12345\r\n0\r\n\r\nNEXT";
        for cut in 0..wire.len() - 4 {
            let (mut framing, mut body) = (Framing::Size, Vec::new());
            let mut inbox = wire[..cut].to_vec();
            assert!(!framing.take(&mut inbox, &mut body).unwrap(), "cut at {cut}");
            inbox.extend_from_slice(&wire[cut..]);
            assert!(framing.take(&mut inbox, &mut body).unwrap());
            assert_eq!(body, b"hello world12345");
            assert_eq!(inbox, b"NEXT");
        }
    }

    #[test]
    fn text_is_read_wherever_it_is_cut() {
        let body = br#"{"delta":{"content":""}} {"delta":{"content":"one "}} {"delta":{"content":"two"}}"#;
        for cut in 0..body.len() {
            let mut reader = Reader::new(OF_COMPLETION);
            reader.read(&body[..cut], |_| ());
            reader.read(body, |_| ());
            assert_eq!(reader.text, b"one two", "cut at {cut}");
        }
    }
}
