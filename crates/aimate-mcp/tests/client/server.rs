//! A server of HTTP in this process that answers as a test says, however wrong that is.
#![allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Such as `POST`.
    pub(crate) verb: String,
    /// The path with its query.
    pub(crate) path: String,
    /// The headers, their names in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// The body as text.
    pub(crate) text: String,
    /// The body as JSON, or null.
    pub(crate) body: Value,
}

impl Asked {
    /// The method of the message.
    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// This JSON.
    Json(Value),
    /// This status with these headers and this body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// These messages as an event stream, which then ends.
    Events(Vec<Value>),
    /// The same, which then stays open.
    Held(Vec<Value>),
    /// These messages, then, once it is true, those.
    Paused(Vec<Value>, watch::Receiver<bool>, Vec<Value>),
    /// A head, then these bytes for ever.
    Flood(&'static str, Vec<u8>),
    /// Nothing, as long as the client waits.
    Silence,
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

pub(crate) struct Server {
    /// Where messages go.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Clients that went away while they waited.
    gone: watch::Receiver<usize>,
}

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (left, gone) = watch::channel(0);
        let (asked, handler, left) = (Arc::default(), Arc::new(handler), Arc::new(left));
        let server = Self { url, asked: Arc::clone(&asked), gone };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, handler, left) = (asked.clone(), handler.clone(), left.clone());
                tokio::spawn(async move { talk(stream, &asked, handler.as_ref(), &left).await });
            }
        });
        server
    }

    /// A server that speaks revision 2025-11-25, and answers each request but those of the
    /// handshake as `handler` says.
    pub(crate) async fn legacy(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |asked| legacy(asked).unwrap_or_else(|| handler(asked))).await
    }

    /// The same in revision 2026-07-28.
    pub(crate) async fn modern(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |asked| modern(asked).unwrap_or_else(|| handler(asked))).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests of a method.
    pub(crate) fn asked_for(&self, method: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.method() == method).collect()
    }

    /// Returns once a client that was kept waiting has gone away.
    pub(crate) async fn until_gone(&self) {
        let mut gone = self.gone.clone();
        gone.wait_for(|gone| *gone > 0).await.unwrap();
    }

    /// Returns once a request of `method` came.
    pub(crate) async fn until_asked(&self, method: &str) {
        while self.asked_for(method).is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// What the server of a test can do.
fn capabilities() -> Value {
    json!({"tools": {}, "resources": {}, "prompts": {}})
}

/// The handshake of revision 2025-11-25.
pub(crate) fn legacy(asked: &Asked) -> Option<Reply> {
    let accepted = Reply::Status(202, vec![], String::new());
    if asked.verb == "GET" {
        return Some(Reply::Status(405, vec![], String::new()));
    }
    match asked.method() {
        "server/discover" => Some(error(asked, -32601, "Method not found")),
        "initialize" => Some(answer(
            asked,
            json!({
                "protocolVersion": "2025-11-25", "capabilities": capabilities(),
                "serverInfo": {"name": "fault", "version": "1.2"}, "instructions": "Be careful.",
            }),
        )),
        method if method.starts_with("notifications/") => Some(accepted),
        _ => None,
    }
}

/// The handshake of revision 2026-07-28.
pub(crate) fn modern(asked: &Asked) -> Option<Reply> {
    let info = json!({"io.modelcontextprotocol/serverInfo": {"name": "fault", "version": "2.0"}});
    match asked.method() {
        "server/discover" => Some(answer(
            asked,
            json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": capabilities(),
                "ttlMs": 0, "cacheScope": "private", "_meta": info,
            }),
        )),
        method if method.starts_with("notifications/") => Some(Reply::Status(202, vec![], String::new())),
        _ => None,
    }
}

/// An answer as a message.
pub(crate) fn result(asked: &Asked, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": asked.body["id"], "result": result})
}

pub(crate) fn answer(asked: &Asked, value: Value) -> Reply {
    Reply::Json(result(asked, value))
}

pub(crate) fn error(asked: &Asked, code: i32, message: &str) -> Reply {
    let error = json!({"code": code, "message": message});
    Reply::Json(json!({"jsonrpc": "2.0", "id": asked.body["id"], "error": error}))
}

/// A tool that takes anything.
pub(crate) fn tool(name: &str) -> Value {
    json!({"name": name, "description": "does", "inputSchema": {"type": "object"}})
}

async fn talk(
    mut stream: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    handler: &Handler,
    gone: &watch::Sender<usize>,
) {
    stream.set_nodelay(true).unwrap();
    let Some(request) = read(&mut stream).await else { return };
    asked.lock().unwrap().push(request.clone());
    let events = |messages: &[Value]| -> String {
        messages.iter().map(|message| format!("event: message\ndata: {message}\n\n")).collect()
    };
    const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    match handler(&request) {
        Reply::Json(value) => {
            send(&mut stream, 200, &[("content-type", "application/json".into())], &value.to_string()).await;
        }
        Reply::Status(status, headers, body) => send(&mut stream, status, &headers, &body).await,
        Reply::Events(messages) => {
            let _ = stream.write_all([STREAM, &events(&messages)].concat().as_bytes()).await;
        }
        Reply::Held(messages) => {
            let _ = stream.write_all([STREAM, &events(&messages)].concat().as_bytes()).await;
            until_closed(&mut stream, gone).await;
        }
        Reply::Paused(first, mut gate, rest) => {
            let _ = stream.write_all([STREAM, &events(&first)].concat().as_bytes()).await;
            gate.wait_for(|is_open| *is_open).await.unwrap();
            let _ = stream.write_all(events(&rest).as_bytes()).await;
        }
        Reply::Flood(head, bytes) => {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&bytes).await.is_ok() {}
            gone.send_modify(|gone| *gone += 1);
        }
        Reply::Silence => until_closed(&mut stream, gone).await,
    }
}

async fn until_closed(stream: &mut TcpStream, gone: &watch::Sender<usize>) {
    while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
    gone.send_modify(|gone| *gone += 1);
}

async fn send(stream: &mut TcpStream, status: u16, headers: &[(&'static str, String)], body: &str) {
    let mut head =
        format!("HTTP/1.1 {status} Test\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let _ = stream.write_all([&head, "\r\n", body].concat().as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (verb, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8(bytes[end + 4..end + 4 + length].to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Some(Asked { verb, path, headers, text, body })
}
