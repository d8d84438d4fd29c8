//! A router over an in-memory store and a provider that plays scripts, and
//! what reads its answers.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::connection::NewConnection;
use aimate_core::provider::{FinishReason, ProviderEvent};
use aimate_core::testing::{ScriptedProvider, Step};
use aimate_core::{Engine, EngineBuilder, KeyRing};
use aimate_http::Options;
use aimate_providers::{OLLAMA, OPENAI, Ollama, Transport};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// An engine behind its HTTP face. Its connection is `lab`; its models are
/// `lab/test` and `lab/tiny`.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) provider: Arc<ScriptedProvider>,
    pub(crate) router: Router,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

pub(crate) async fn engine(provider: Arc<ScriptedProvider>) -> Engine {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    builder(store, provider).build().await.unwrap()
}

pub(crate) fn builder(store: aimate_store::Store, provider: Arc<ScriptedProvider>) -> EngineBuilder {
    Engine::builder()
        .store(store)
        .provider(OPENAI, provider)
        .provider(OLLAMA, Arc::new(Ollama::new(Transport::new())))
        .connection(NewConnection::new("lab", OPENAI).url("http://127.0.0.1:9/v1"))
        .keys(KeyRing::parse(KeyRing::generate().unwrap().expose()).unwrap())
}

pub(crate) async fn bench(scripts: impl IntoIterator<Item = Vec<Step>>) -> Bench {
    bench_with(scripts, Options::local()).await
}

pub(crate) async fn bench_with(scripts: impl IntoIterator<Item = Vec<Step>>, options: Options) -> Bench {
    let provider = ScriptedProvider::new(scripts);
    let engine = engine(provider.clone()).await;
    let router = aimate_http::router(engine.clone(), options);
    Bench { engine, provider, router }
}

impl Bench {
    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> http::Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Reply {
        let (head, body) = self.send(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Reply { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(request(Method::GET, path, None)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask(request(Method::DELETE, path, None)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(request(Method::POST, path, Some(body))).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask(request(Method::PUT, path, Some(body))).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask(request(Method::PATCH, path, Some(body))).await
    }

    /// A new conversation's address.
    pub(crate) async fn conversation(&self) -> String {
        let reply = self.post("/api/v1/conversations", json!({})).await;
        reply.headers["location"].to_str().unwrap().to_owned()
    }

    /// Asks in a conversation and gives the finished answer.
    pub(crate) async fn say(&self, conversation: &str, text: &str) -> Value {
        let body = json!({"content": text, "stream": false});
        let reply = self.post(&format!("{conversation}/messages"), body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    /// The texts of the branch that is open.
    pub(crate) async fn branch(&self, conversation: &str) -> Vec<String> {
        let list = self.get(&format!("{conversation}/messages")).await.json();
        let messages = list["data"].as_array().unwrap().iter();
        messages.map(|message| text(message).to_owned()).collect()
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The events of a stream.
    pub(crate) fn events(&self) -> Vec<Event> {
        assert_eq!(self.header("content-type"), "text/event-stream", "{}", self.body);
        events(&self.body)
    }

    /// Asserts a problem of `/api/v1` and gives it.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:aimate:error:{code}"));
        assert!(problem["title"].is_string() && problem["detail"].as_str().unwrap().len() > 10);
        problem
    }

    /// Asserts an error of `/v1` and gives what is in it.
    pub(crate) fn openai_error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/json");
        let error = self.json()["error"].take();
        assert_eq!(error["code"], code, "{error}");
        for field in ["message", "type", "param"] {
            assert!(error.get(field).is_some(), "{field}: {error}");
        }
        error
    }
}

pub(crate) fn request(method: Method, path: &str, body: Option<Value>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:3000");
    match body {
        None => request.body(Body::empty()),
        Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
    }
    .unwrap()
}

pub(crate) fn events(body: &str) -> Vec<Event> {
    let frames = body.split("\n\n").filter(|frame| !frame.is_empty() && !frame.starts_with(':'));
    frames.map(event).collect()
}

fn event(frame: &str) -> Event {
    let field = |name: &str| {
        let line = frame.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {frame}")).to_owned()
    };
    assert_eq!(frame.lines().count(), 3, "{frame}");
    Event {
        id: field("id: ").parse().unwrap(),
        name: field("event: "),
        data: serde_json::from_str(&field("data: ")).unwrap(),
    }
}

/// The text of the `text` events.
pub(crate) fn said(events: &[Event]) -> String {
    let texts = events.iter().filter(|event| event.name == "text");
    texts.map(|event| event.data["text"].as_str().unwrap()).collect()
}

/// The text of a message's only part.
pub(crate) fn text(message: &Value) -> &str {
    message["content"][0]["text"].as_str().unwrap_or_default()
}

pub(crate) fn say(text: &str) -> Step {
    Step::Say(ProviderEvent::Text(text.to_owned()))
}

pub(crate) fn end() -> Step {
    Step::Say(ProviderEvent::Finish(FinishReason::Stop))
}

/// Waits until `is_true`, at most five seconds.
pub(crate) async fn until(mut is_true: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if is_true().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true in five seconds");
}
