//! A model server for tests of the command.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A model server that says `Yes`, and what it was asked.
pub(crate) struct ModelServer {
    pub(crate) url: String,
    asked: Arc<Mutex<String>>,
}

impl ModelServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked: Arc<Mutex<String>> = Arc::default();
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &log);
            }
        });
        Self { url, asked }
    }

    /// All requests, one after the other.
    pub(crate) fn asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, log: &Mutex<String>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let is_whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        body.len() >= length.unwrap_or(0)
    };
    while !is_whole(&request) {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    log.lock().unwrap().push_str(&String::from_utf8_lossy(&request));
    let chunk = r#"data: {"choices":[{"index":0,"delta":{"content":"Yes"},"finish_reason":"stop"}]}"#;
    let body = if request.starts_with(b"GET") {
        r#"{"data":[{"id":"m"}]}"#.to_owned()
    } else {
        format!("{chunk}\n\ndata: [DONE]\n\n")
    };
    let kind = if request.starts_with(b"GET") { "application/json" } else { "text/event-stream" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let _ = stream.write_all((head + &body).as_bytes());
}
