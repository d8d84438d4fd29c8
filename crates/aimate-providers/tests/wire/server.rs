//! A server that answers each request with the next of its scripts, byte for
//! byte, and remembers what it was asked.
#![allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aimate_core::connection::ConnectionSettings;
use aimate_core::message::{MessageRole, Part};
use aimate_core::provider::{
    AddressSource, ChatMessage, ChatProvider, ChatRequest, Endpoint, ProviderEvent, ProviderId,
    ProviderStream,
};
use aimate_core::{Error, Result, Secret};
use aimate_providers::Transport;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The key of every test; it must turn up in no error.
pub(crate) const CANARY: &str = "sk-canary-0123456789abcdef";

/// What a server does next.
#[derive(Clone)]
pub(crate) enum Step {
    /// Writes.
    Send(Vec<u8>),
    /// Writes the same bytes again and again until nobody reads.
    Flood(Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Waits until the client closes the connection.
    UntilClosed,
    /// Closes the connection.
    Close,
}
use Step::{Close, Send, UntilClosed};

pub(crate) type Script = Vec<Step>;

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Such as `POST /chat/completions HTTP/1.1`.
    pub(crate) line: String,
    /// All headers, in lower case.
    pub(crate) headers: String,
    /// The JSON sent, or null.
    pub(crate) body: Value,
    /// The number of the connection it came on.
    pub(crate) connection: usize,
}

pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    closed: Arc<Notify>,
}

impl Server {
    /// A server that answers the n-th request with the n-th script, and all
    /// that follow with the last.
    pub(crate) async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, asked: Arc::default(), closed: Arc::default() };
        let (asked, closed) = (server.asked.clone(), server.closed.clone());
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                stream.set_nodelay(true).unwrap();
                tokio::spawn(talk(stream, connection, scripts.clone(), asked.clone(), closed.clone()));
            }
        });
        server
    }

    pub(crate) async fn once(script: Script) -> Self {
        Self::start(vec![script]).await
    }

    pub(crate) fn endpoint(&self, provider: ProviderId) -> Endpoint {
        endpoint_at(&self.url, provider)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What the one request so far sent.
    pub(crate) fn body(&self) -> Value {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].body.clone()
    }

    /// Returns once a client has closed its connection.
    pub(crate) async fn closed(&self) {
        tokio::time::timeout(Duration::from_secs(5), self.closed.notified()).await.expect("nobody closed");
    }
}

async fn talk(
    mut stream: TcpStream,
    connection: usize,
    scripts: Vec<Script>,
    asked: Arc<Mutex<Vec<Asked>>>,
    closed: Arc<Notify>,
) {
    let mut buffer = Vec::new();
    while let Some(mut request) = read_request(&mut stream, &mut buffer).await {
        request.connection = connection;
        let script = {
            let mut asked = asked.lock().unwrap();
            asked.push(request);
            scripts.get(asked.len() - 1).or(scripts.last()).unwrap().clone()
        };
        for step in script {
            match step {
                Send(bytes) => drop(stream.write_all(&bytes).await),
                Step::Flood(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                Step::Wait(time) => tokio::time::sleep(time).await,
                UntilClosed => {
                    while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
                    closed.notify_one();
                    return;
                }
                Close => return,
            }
        }
    }
    closed.notify_one();
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let (line, headers) = head.split_once("\r\n").unwrap();
            let headers = headers.to_lowercase();
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = serde_json::from_slice(&buffer[end + 4..whole]).unwrap_or_default();
                let asked =
                    Asked { line: line.to_owned(), headers: format!("{headers}\r\n"), body, connection: 0 };
                buffer.drain(..whole);
                return Some(asked);
            }
        }
        match stream.read(&mut piece).await {
            Ok(read @ 1..) => buffer.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
}

/// The bytes of a whole answer.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Script {
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    vec![Send(format!("{head}\r\n{body}").into_bytes())]
}

/// A whole JSON answer with status 200.
pub(crate) fn json(body: &str) -> Script {
    answer(200, &[("content-type", "application/json")], body)
}

/// The head of a stream in chunks.
pub(crate) fn head() -> Step {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    Send(head.into())
}

/// One chunk, which the client gets as one piece.
pub(crate) fn chunk(bytes: &[u8]) -> Step {
    Send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}

/// The end of a stream in chunks.
pub(crate) fn end() -> Step {
    Send(b"0\r\n\r\n".to_vec())
}

/// A whole stream whose body comes in these pieces.
pub(crate) fn pieces(pieces: &[&[u8]]) -> Script {
    let mut script = vec![head()];
    script.extend(pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| chunk(piece)));
    script.push(end());
    script
}

/// A whole stream of `body`.
pub(crate) fn stream(body: &str) -> Script {
    pieces(&[body.as_bytes()])
}

/// A stream of SSE events that ends in `[DONE]`.
pub(crate) fn sse(data: &[&str]) -> Script {
    stream(&(events(data) + "data: [DONE]\n\n"))
}

/// `data` as SSE events.
pub(crate) fn events(data: &[&str]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect()
}

pub(crate) fn endpoint_at(url: &str, provider: ProviderId) -> Endpoint {
    Endpoint {
        name: "here".into(),
        provider,
        url: url.to_owned(),
        address_source: AddressSource::Operator,
        api_key: Some(Secret::new(CANARY)),
        settings: ConnectionSettings::default(),
    }
}

pub(crate) fn provider(id: &ProviderId) -> Arc<dyn ChatProvider> {
    aimate_providers::with(&Transport::new().backoff(Duration::from_millis(1)))[id].clone()
}

/// A streamed question of one message.
pub(crate) fn question() -> ChatRequest {
    ChatRequest {
        model: "m".into(),
        messages: vec![message(MessageRole::User, vec![Part::text("Hi")])],
        stream: true,
        ..ChatRequest::default()
    }
}

pub(crate) fn message(role: MessageRole, content: Vec<Part>) -> ChatMessage {
    ChatMessage::new(role, content)
}

/// All events, or those before the error with the error.
pub(crate) async fn all(mut stream: ProviderStream) -> (Vec<ProviderEvent>, Option<Error>) {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => {
                assert!(stream.next().await.is_none(), "something came after the error");
                keeps_the_key(&error);
                return (events, Some(error));
            }
        }
    }
    (events, None)
}

pub(crate) async fn collect(stream: ProviderStream) -> Result<Vec<ProviderEvent>> {
    let (events, error) = all(stream).await;
    error.map_or(Ok(events), Err)
}

/// Asks a server of provider `id` that plays `script`.
pub(crate) async fn ask(
    id: ProviderId,
    script: Script,
    request: &ChatRequest,
) -> (Vec<ProviderEvent>, Option<Error>) {
    let server = Server::once(script).await;
    match provider(&id).chat(&server.endpoint(id), request).await {
        Ok(stream) => all(stream).await,
        Err(error) => {
            keeps_the_key(&error);
            (Vec::new(), Some(error))
        }
    }
}

/// No face of the error shows the key, and its sentence is one line.
pub(crate) fn keeps_the_key(error: &Error) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let faces = format!("{error} {error:?} {error:#?} {source:?}");
    assert!(!faces.contains(CANARY), "{faces}");
    assert!(!error.message().contains('\n') && error.message().starts_with("connection `here`"), "{error}");
}

/// All text of `events`.
pub(crate) fn text_of(events: &[ProviderEvent]) -> String {
    events
        .iter()
        .filter_map(|event| if let ProviderEvent::Text(text) = event { Some(text.as_str()) } else { None })
        .collect()
}
