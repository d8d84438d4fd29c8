//! A model server, and a proxy to it, that gives away all it is told: its errors quote the
//! request, credentials and all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub(crate) struct Upstream {
    pub(crate) url: String,
    asked: Arc<Mutex<String>>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<String>> = Arc::default();
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = log.clone();
                std::thread::spawn(move || answer(stream, &log));
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, log: &Mutex<String>) {
    let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(5)));
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    log.lock().unwrap().push_str(&request);
    let head = request.split("\r\n\r\n").next().unwrap_or_default();
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (status, kind, body) = if target.contains("/models") {
        (200, "application/json", r#"{"data":[{"id":"m"}]}"#.to_owned())
    } else if target.contains("/echo") {
        let quoted = serde_json::to_string(&format!("you said: {head}")).unwrap();
        (401, "application/json", format!(r#"{{"error":{{"message":{quoted},"code":"invalid_api_key"}}}}"#))
    } else if target.contains("/broken") {
        let quoted = serde_json::to_string(head).unwrap();
        let chunk = r#"data: {"choices":[{"index":0,"delta":{"content":"Ye"}}]}"#;
        (200, "text/event-stream", format!("{chunk}\n\ndata: {{\"error\":{{\"message\":{quoted}}}}}\n\n"))
    } else {
        let chunk = r#"data: {"choices":[{"index":0,"delta":{"content":"Yes"},"finish_reason":"stop"}]}"#;
        (200, "text/event-stream", format!("{chunk}\n\ndata: [DONE]\n\n"))
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let _ = stream.write_all((head + &body).as_bytes());
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
