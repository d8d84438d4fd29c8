//! A model server in the test's own process, which knows what it has sent.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::random::Random;

/// Pieces that would show a cut inside a character.
const WORDS: [&str; 6] = ["boiler ", "süß ", "日本語", "🙂 ", "\"quoted\"\n", "e\u{301}"];

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    ledger: Arc<Ledger>,
}

/// What was sent, by the question it answers.
struct Ledger {
    seed: u64,
    answers: Mutex<HashMap<String, Sent>>,
    /// How often each text was embedded.
    embedded: Mutex<HashMap<String, u64>>,
}

/// What was sent to one question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// How often it was asked.
    pub(crate) calls: u32,
    /// Each piece, and when it was handed to the network.
    pub(crate) pieces: Vec<(Instant, String)>,
    /// The answer was sent to its end.
    pub(crate) is_whole: bool,
}

impl Sent {
    pub(crate) fn text(&self) -> String {
        self.pieces.iter().map(|(_, piece)| piece.as_str()).collect()
    }
}

pub(crate) fn now() -> Instant {
    Instant::now()
}

impl Upstream {
    pub(crate) async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let ledger = Arc::new(Ledger { seed, answers: Mutex::default(), embedded: Mutex::default() });
        let shared = Arc::clone(&ledger);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ledger = Arc::clone(&shared);
                // Ends with an error when its client is killed.
                tokio::spawn(async move { ledger.serve(stream).await });
            }
        });
        Self { address, ledger }
    }

    /// How often each text was embedded.
    pub(crate) fn embedded(&self) -> HashMap<String, u64> {
        self.ledger.embedded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn forget_embedded(&self) {
        self.ledger.embedded.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What was sent to a question.
    pub(crate) fn sent(&self, question: &str) -> Sent {
        self.ledger.answers().get(question).cloned().unwrap_or_default()
    }
}

impl Ledger {
    fn answers(&self) -> MutexGuard<'_, HashMap<String, Sent>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        while let Some((line, body)) = request(&mut stream).await? {
            if line.starts_with("GET /v1/models ") {
                let list = json!({"object": "list", "data": [{"id": "mock", "object": "model"}]});
                whole(&mut stream, &list).await?;
            } else if line.starts_with("POST /v1/embeddings ") {
                let request: Value = serde_json::from_slice(&body).unwrap_or_default();
                self.embed(&mut stream, &request).await?;
            } else {
                let request: Value = serde_json::from_slice(&body).unwrap_or_default();
                self.answer(&mut stream, &request).await?;
            }
        }
        Ok(())
    }

    /// Vectors of the texts' hashes, after a while that a kill can fall into.
    async fn embed(&self, stream: &mut BufReader<TcpStream>, request: &Value) -> std::io::Result<()> {
        let texts: Vec<_> =
            request["input"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for text in texts.iter().filter(|text| text.contains("document")) {
            *self
                .embedded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry((*text).to_owned())
                .or_default() += 1;
        }
        sleep(Duration::from_millis(60)).await;
        let data: Vec<_> =
            (0..).zip(&texts).map(|(n, text)| json!({"index": n, "embedding": vector(text)})).collect();
        whole(
            stream,
            &json!({"object": "list", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
        )
        .await
    }

    async fn answer(&self, stream: &mut BufReader<TcpStream>, request: &Value) -> std::io::Result<()> {
        let question = question(request);
        let mut hasher = DefaultHasher::new();
        (self.seed, &question).hash(&mut hasher);
        let mut random = Random::new(hasher.finish());
        self.answers().entry(question.clone()).or_default().calls += 1;

        let count = if random.once_in(4) { 300 } else { random.within(1..80) };
        let streamed = request["stream"] == true;
        if streamed {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
        }
        let mut text = String::new();
        for n in 0..count {
            let word = WORDS[random.within(0..WORDS.len() as u64) as usize];
            let piece = format!("{n}{word}");
            let pause = if random.once_in(40) { 300 } else { random.within(0..9) };
            sleep(Duration::from_millis(pause)).await;
            text.push_str(&piece);
            self.note(&question, piece.clone());
            if streamed {
                chunk(stream, &json!({"role": "assistant", "content": piece}), &Value::Null).await?;
            }
        }
        // Before its last bytes, so that nobody can have them before they are noted.
        self.answers().entry(question).or_default().is_whole = true;
        if streamed {
            chunk(stream, &json!({}), &json!("stop")).await?;
            stream.write_all(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").await
        } else {
            let message = json!({"role": "assistant", "content": text});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            whole(stream, &json!({"object": "chat.completion", "choices": [choice]})).await
        }
    }

    fn note(&self, question: &str, piece: String) {
        let mut answers = self.answers();
        let sent = answers.entry(question.to_owned()).or_default();
        sent.pieces.push((now(), piece));
    }
}

/// The first line and the body of the next request; `None` at the end of the connection.
pub(crate) async fn request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut line, mut length) = (String::new(), 0);
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let header = header.trim_end().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some((line, body)))
}

fn vector(text: &str) -> Vec<f64> {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let mut random = Random::new(hasher.finish());
    (0..16).map(|_| random.within(0..1_000) as f64 - 500.5).collect()
}

/// What the user asked last: the end of their last message, which begins with an
/// earlier question where that was answered with nothing.
pub(crate) fn question(request: &Value) -> String {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    let text = match last.map(|message| &message["content"]) {
        Some(Value::String(text)) => text.as_str(),
        Some(parts) => parts[0]["text"].as_str().unwrap_or_default(),
        None => "",
    };
    text.rsplit("\n\n").next().unwrap_or_default().to_owned()
}

pub(crate) async fn chunk(
    stream: &mut BufReader<TcpStream>,
    delta: &Value,
    reason: &Value,
) -> std::io::Result<()> {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
    let event = json!({"object": "chat.completion.chunk", "model": "mock", "choices": [choice]});
    let data = format!("data: {event}\n\n");
    stream.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes()).await
}

pub(crate) async fn whole(stream: &mut BufReader<TcpStream>, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await
}
