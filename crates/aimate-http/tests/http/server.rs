//! The server on a real socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::Engine;
use aimate_core::testing::{ScriptedProvider, Step, answer};
use aimate_http::{Options, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::common::{end, engine, events, said, say, until};

struct RunningServer {
    address: SocketAddr,
    engine: Engine,
    provider: Arc<ScriptedProvider>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn server(scripts: impl IntoIterator<Item = Vec<Step>>, options: Options) -> RunningServer {
    let provider = ScriptedProvider::new(scripts);
    let engine = engine(provider.clone()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    #[expect(clippy::disallowed_methods, reason = "the test is the process here")]
    let served = tokio::spawn(serve(listener, engine.clone(), options, shutdown));
    RunningServer { address, engine, provider, stop: Some(stop), served }
}

impl RunningServer {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request on a connection of its own.
    async fn begin(&self, method: &str, path: &str, body: Option<Value>) -> TcpStream {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len(),
        );
        let mut stream = self.connect().await;
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> String {
        rest(&mut self.begin(method, path, body).await).await
    }

    async fn conversation(&self) -> String {
        let scope = self.engine.local_scope().await.unwrap();
        let new = aimate_core::conversation::NewConversation::default();
        let made = self.engine.conversations(&scope).create(new).await.unwrap();
        format!("/api/v1/conversations/{}", made.id)
    }

    fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }
}

/// All that comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await.unwrap().unwrap();
    String::from_utf8(text).unwrap()
}

/// Reads until `what` came.
async fn read_to(stream: &mut TcpStream, what: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(what) {
        let count = timeout(Duration::from_secs(5), stream.read_buf(&mut read)).await.unwrap().unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

/// The body of a chunked answer.
fn unchunked(answer: &str) -> String {
    let (_, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    let mut body = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.push_str(&more[..size]);
        rest = &more[size + 2..];
    }
    body
}

#[tokio::test]
async fn every_address_is_answered() {
    let server = server([], Options::local()).await;
    assert!(server.ask("GET", "/health", None).await.starts_with("HTTP/1.1 200"));
    let nowhere = server.ask("GET", "/nowhere", None).await;
    assert!(nowhere.starts_with("HTTP/1.1 404") && nowhere.contains("application/problem+json"), "{nowhere}");
    // The page, where it is built in, and else what describes the API.
    let root = server.ask("GET", "/", None).await;
    let is_page = cfg!(feature = "page") && root.contains("<!doctype html>");
    assert!(is_page != root.contains("location: /docs/"), "{root}");
}

#[tokio::test]
async fn pieces_arrive_as_they_are_said() {
    let server = server(
        [vec![say("first"), Step::Wait(Duration::from_millis(300)), say("second"), end()]],
        Options::local(),
    )
    .await;
    let at = server.conversation().await;
    let turn = json!({"content": "x"});
    let mut stream = server.begin("POST", &format!("{at}/messages"), Some(turn)).await;
    let begun = read_to(&mut stream, "first").await;
    assert!(!begun.contains("second"));
    let whole = begun + &rest(&mut stream).await;
    assert_eq!(said(&events(&unchunked(&whole))), "firstsecond");
}

#[tokio::test]
async fn client_that_goes_stops_a_passing_answer() {
    let server = server([vec![say("a"), Step::Hang]], Options::local()).await;
    let body = json!({"messages": [{"role": "user", "content": "x"}], "stream": true});
    let mut stream = server.begin("POST", "/v1/chat/completions", Some(body)).await;
    read_to(&mut stream, "\"a\"").await;
    drop(stream);
    until(async || server.provider.open() == 0).await;
}

#[tokio::test]
async fn client_that_goes_stops_an_answer_that_wants_it() {
    let hang = || vec![say("a"), Step::Hang];
    let server = server([hang(), hang()], Options::local()).await;
    for stream in [true, false] {
        let at = server.conversation().await;
        let turn = json!({"content": "x", "on_disconnect": "cancel", "stream": stream});
        let connection = server.begin("POST", &format!("{at}/messages"), Some(turn)).await;
        until(async || server.engine.running() == 1).await;
        drop(connection);
        until(async || server.engine.running() == 0).await;
    }
}

#[tokio::test]
async fn stop_lets_answers_end() {
    let script = vec![say("a"), Step::Wait(Duration::from_millis(300)), say("b"), end()];
    let mut server = server([script], Options::local()).await;
    let at = server.conversation().await;
    let mut idle = server.connect().await;
    let mut stream = server.begin("POST", &format!("{at}/messages"), Some(json!({"content": "x"}))).await;
    let mut kept_alive = server.connect().await;
    let ask = format!("GET /ready HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    kept_alive.write_all(ask.as_bytes()).await.unwrap();
    read_to(&mut kept_alive, "\"ready\"").await;
    let begun = read_to(&mut stream, "event: text").await;
    server.stop();
    until(async || server.engine.is_draining()).await;
    kept_alive.write_all(ask.as_bytes()).await.unwrap();
    assert!(read_to(&mut kept_alive, "draining").await.starts_with("HTTP/1.1 503"));
    assert!(TcpStream::connect(server.address).await.is_err(), "no new connection is taken");
    let whole = begun + &rest(&mut stream).await;
    let told = events(&unchunked(&whole));
    assert_eq!((said(&told).as_str(), told.last().unwrap().name.as_str()), ("ab", "finished"));
    timeout(Duration::from_secs(2), server.served).await.unwrap().unwrap().unwrap();
    assert_eq!(rest(&mut idle).await, "");
}

#[tokio::test]
async fn stop_interrupts_what_does_not_end() {
    let options = Options::local().drain(Duration::from_millis(100));
    let mut server = server([vec![say("half"), Step::Hang]], options).await;
    let at = server.conversation().await;
    let mut stream = server.begin("POST", &format!("{at}/messages"), Some(json!({"content": "x"}))).await;
    let begun = read_to(&mut stream, "event: text").await;
    server.stop();
    let whole = begun + &rest(&mut stream).await;
    let last = events(&unchunked(&whole)).pop().unwrap();
    assert_eq!((last.name.as_str(), &last.data["code"]), ("error", &json!("unavailable")));
    timeout(Duration::from_secs(2), server.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let options = Options::local().header_timeout(Duration::from_millis(200));
    let server = server([], options).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: loc").await.unwrap();
    let begun = Instant::now();
    rest(&mut slow).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn slow_bodies_are_cut_off() {
    let options = Options::local().body_timeout(Duration::from_millis(200));
    let server = server([], options).await;
    let mut slow = server.connect().await;
    let head = "POST /api/v1/workspaces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    assert!(read_to(&mut slow, "\r\n\r\n").await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn connections_beyond_the_most_are_told_so() {
    let options = Options::local().max_connections(1);
    let server = server([answer("x")], options).await;
    let first = server.connect().await;
    until(async || server.ask("GET", "/health", None).await.starts_with("HTTP/1.1 503")).await;
    let refused = server.ask("POST", "/api/v1/workspaces", Some(json!({"name": "x".repeat(50_000)}))).await;
    assert!(refused.contains("retry-after: 1\r\n") && refused.contains("connection: close\r\n"), "{refused}");
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())));
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["code"], "unavailable");
    drop(first);
    until(async || server.ask("GET", "/health", None).await.starts_with("HTTP/1.1 200")).await;
}

#[tokio::test]
async fn listeners_beyond_the_most_are_refused_and_others_answered() {
    let options = Options::local().max_listeners(2);
    let server = server([vec![say("a"), Step::Hang]], options).await;
    let path = format!("{}/messages", server.conversation().await);
    let mut first = server.begin("POST", &path, Some(json!({"content": "q"}))).await;
    let started = read_to(&mut first, "\"text\":\"a\"").await;
    let run = &started.split_once("\"run_id\":\"").unwrap().1[..36];
    let listen = format!("/api/v1/runs/{run}/events");
    let mut second = server.begin("GET", &listen, None).await;
    read_to(&mut second, "\"text\":\"a\"").await;
    // Neither to listen nor for an answer of one's own is there a seat, and nothing is begun.
    for (method, path, body) in [
        ("GET", listen.as_str(), None),
        ("POST", &path, Some(json!({"content": "q"}))),
        ("POST", "/v1/chat/completions", Some(json!({"messages": [{"role": "user", "content": "q"}]}))),
    ] {
        let refused = server.ask(method, path, body).await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(
            refused.contains("retry-after: 5\r\n") && refused.contains("connection: close\r\n"),
            "{refused}"
        );
        assert!(server.ask("GET", "/health", None).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(server.provider.requests().len(), 1);
    drop(second);
    until(async || {
        let mut third = server.begin("GET", &listen, None).await;
        let mut head = [0; 12];
        third.read_exact(&mut head).await.is_ok() && &head == b"HTTP/1.1 200"
    })
    .await;
}

#[tokio::test]
async fn large_bodies_share_their_room_and_leave_small_ones_theirs() {
    let server = server([], Options::local().bodies_limit(1 << 20)).await;
    let head = "POST /api/v1/workspaces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n";
    let large = json!({"name": "x", "description": " ".repeat(500_000)});
    let mut holding = None;
    until(async || {
        // Which of the two is refused depends on whose bytes come first.
        let mut first = server.connect().await;
        first.write_all(head.as_bytes()).await.unwrap();
        first.write_all(&vec![b' '; 1_000_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut other = server.begin("POST", "/api/v1/workspaces", Some(large.clone())).await;
        let mut answer = [0; 12];
        let is_refused = other.read_exact(&mut answer).await.is_ok() && &answer == b"HTTP/1.1 503";
        holding = is_refused.then_some(first);
        is_refused
    })
    .await;
    let small = server.ask("POST", "/api/v1/workspaces", Some(json!({"name": "x"}))).await;
    assert!(small.starts_with("HTTP/1.1 201"), "{small}");
    drop(holding);
    until(async || {
        server
            .ask("POST", "/api/v1/workspaces", Some(large.clone()))
            .await
            .contains("characters; the most is")
    })
    .await;
}

#[tokio::test]
async fn client_that_reads_nothing_is_let_go() {
    let options = Options::local().write_timeout(Duration::from_millis(300));
    let long = "x".repeat(64 * 1024);
    let mut script: Vec<_> = (0..63).map(|_| say(&long)).collect();
    script.push(end());
    let server = server([script], options).await;
    let path = format!("{}/messages", server.conversation().await);
    let mut slow = server.begin("POST", &path, Some(json!({"content": "q"}))).await;
    until(async || server.engine.running() == 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut read = Vec::new();
    let _ = timeout(Duration::from_secs(10), slow.read_to_end(&mut read)).await.unwrap();
    assert!(read.len() < 63 * long.len(), "{}", read.len());
    assert!(!String::from_utf8_lossy(&read).contains("event: finished"));
}
