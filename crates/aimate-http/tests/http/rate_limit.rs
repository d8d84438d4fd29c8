//! Rate limits and overload over HTTP.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::knowledge::{StorageQuota, StorageQuotas};
use aimate_core::rate_limit::{RateLimits, RequestClass};
use aimate_core::testing::{ScriptedProvider, Step, answer};
use aimate_core::{Engine, Scope};
use aimate_http::{Options, ScopeResolver};
use axum::body::Body;
use futures_util::future::join_all;
use http::{Method, Request};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::common::{Bench, bench, bench_with, engine, request, say, until};

/// Takes the caller's name for a credential; `slow` is known only when the gate opens.
struct Names {
    users: Vec<(&'static str, Scope)>,
    gate: Arc<Semaphore>,
}

#[aimate_http::async_trait]
impl ScopeResolver for Names {
    async fn resolve(&self, head: &http::request::Parts) -> aimate_core::Result<Option<Scope>> {
        let name = head.headers.get("x-user").and_then(|name| name.to_str().ok()).unwrap_or_default();
        if name == "slow" {
            let _open = self.gate.acquire().await;
        }
        Ok(self.users.iter().find(|(known, _)| *known == name).map(|(_, scope)| *scope))
    }
}

/// A router with several users, on whose gate `slow` waits.
async fn house(scripts: impl IntoIterator<Item = Vec<Step>>, options: Options) -> (Bench, Arc<Semaphore>) {
    let provider = ScriptedProvider::new(scripts);
    let engine = engine(provider.clone()).await;
    let gate = Arc::new(Semaphore::new(0));
    let users = users(&engine).await;
    let names = Names { users, gate: gate.clone() };
    let router = aimate_http::router(engine.clone(), options.resolver(Arc::new(names)));
    (Bench { engine, provider, router }, gate)
}

async fn users(engine: &Engine) -> Vec<(&'static str, Scope)> {
    let mut users = Vec::new();
    for name in ["ann", "bob", "slow"] {
        users.push((name, engine.scope("acme", name).ensure().await.unwrap()));
    }
    users
}

fn of(user: &str, method: Method, path: &str, body: Option<serde_json::Value>) -> Request<Body> {
    let mut request = request(method, path, body);
    request.headers_mut().insert("x-user", user.parse().unwrap());
    request
}

fn limits(text: &str) -> Options {
    Options::default().rate_limits(text.parse().unwrap())
}

const LIST: &str = "/api/v1/conversations";

#[tokio::test]
async fn request_beyond_the_limit_is_told_when_to_come_back() {
    let (bench, _) = house([], limits("read=2/2,write=1/1")).await;
    let list = async |user: &str| bench.ask(of(user, Method::GET, LIST, None)).await;
    for _ in 0..2 {
        assert_eq!(list("ann").await.status, 200);
    }
    let refused = list("ann").await;
    let problem = refused.problem(429, "rate_limited");
    let wait = problem["retry_after"].as_u64().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(refused.header("retry-after"), wait.to_string());
    assert_eq!(refused.header("ratelimit-policy"), "\"read\";q=2;w=60");
    assert_eq!(refused.header("ratelimit"), format!("\"read\";r=0;t={wait}"));
    // Neither another user nor another class of requests is kept out.
    assert_eq!(list("bob").await.status, 200);
    let create = || of("ann", Method::POST, LIST, Some(json!({})));
    assert_eq!(bench.ask(create()).await.status, 201);
    let refused = bench.ask(create()).await;
    refused.problem(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 30);
    // The other face has its own form of error.
    let refused = bench.ask(of("ann", Method::GET, "/v1/models", None)).await;
    refused.openai_error(429, "rate_limited");
    assert_ne!(refused.header("retry-after"), "");
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(bench.ask(of("ann", Method::GET, path, None)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn sec_t32_body_of_a_refused_request_is_not_read() {
    let (bench, _) = house([], limits("write=1/1,ingest=1/1")).await;
    let path = "/api/v1/knowledge/collections/0190a000-0000-7000-8000-000000000001/documents";
    for (path, media_type) in [(LIST, "application/json"), (path, "multipart/form-data; boundary=x")] {
        let with = |user: &str, body: Body| {
            let head = Request::post(path).header("host", "127.0.0.1").header("content-type", media_type);
            head.header("x-user", user).body(body).unwrap()
        };
        // The first one uses the limit up, whatever comes of it.
        bench.ask(with("ann", Body::from("{}"))).await;
        for (user, status, code) in [("ann", 429, "rate_limited"), ("nobody", 401, "unauthenticated")] {
            let unread = futures_util::stream::poll_fn(
                |_| -> std::task::Poll<Option<Result<Vec<u8>, std::io::Error>>> {
                    panic!("the body is read")
                },
            );
            let reply = bench.ask(with(user, Body::from_stream(unread))).await;
            reply.problem(status, code);
        }
    }
}

#[tokio::test]
async fn without_settings_nothing_is_limited() {
    let bench = bench([]).await;
    for _ in 0..500 {
        assert_eq!(bench.get("/v1/models").await.status, 200);
    }
    assert!(Options::local().rate_limits.is_none() && Options::default().rate_limits.is_none());
}

#[tokio::test]
async fn user_has_so_many_streams_at_once() {
    let scripts = (0..6).map(|_| vec![say("a"), Step::Hang]);
    let (bench, _) = house(scripts, Options::default().max_listeners_per_user(2)).await;
    let ask = |user: &str| of(user, Method::POST, "/api/v1/messages", Some(json!({"content": "x"})));
    let first = bench.send(ask("ann")).await;
    let second = bench.send(ask("ann")).await;
    assert_eq!((first.status(), second.status()), (http::StatusCode::OK, http::StatusCode::OK));
    let refused = bench.ask(ask("ann")).await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(bench.send(ask("bob")).await.status(), 200);
    assert_eq!(bench.ask(of("ann", Method::GET, LIST, None)).await.status, 200);
    drop(first);
    assert_eq!(bench.send(ask("ann")).await.status(), 200);
}

#[tokio::test]
async fn user_has_so_many_answers_written_at_once() {
    let provider = ScriptedProvider::new((0..4).map(|_| vec![say("a"), Step::Hang]));
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let engine = crate::common::builder(store, provider.clone()).max_runs_per_user(2).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    let bench = Bench { engine, provider, router };
    let body = || json!({"content": "x", "on_disconnect": "continue"});
    // Nobody listens to them any more, and still they are under way.
    for _ in 0..2 {
        let started = bench.send(request(Method::POST, "/api/v1/messages", Some(body()))).await;
        assert_eq!(started.status(), 200);
    }
    until(async || bench.engine.running() == 2).await;
    let refused = bench.post("/api/v1/messages", body()).await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "5");
    bench.engine.drain(Duration::ZERO).await;
}

#[tokio::test]
async fn server_with_too_much_to_do_refuses_at_once() {
    let (bench, gate) = house([answer("x"), answer("y")], Options::default().max_requests(3)).await;
    let slow = || bench.ask(of("slow", Method::GET, LIST, None));
    let busy = async {
        until(async || bench.get("/metrics").await.body.contains("aimate_http_requests_in_work 3\n")).await;
        // Nothing of what is in work has ended: the gate opens below.
        let refused = bench.ask(of("ann", Method::GET, LIST, None)).await;
        let problem = refused.problem(503, "unavailable");
        assert_eq!((problem["retry_after"].as_u64(), refused.header("retry-after")), (Some(1), "1"));
        bench.ask(of("ann", Method::GET, "/v1/models", None)).await.openai_error(503, "unavailable");
        for path in ["/health", "/ready", "/metrics"] {
            assert_eq!(bench.get(path).await.status, 200, "{path}");
        }
        let metrics = bench.get("/metrics").await.body;
        assert!(metrics.contains("aimate_http_overload_refusals_total 2\n"), "{metrics}");
        gate.add_permits(3);
    };
    let (replies, ()) = futures_util::future::join(join_all([slow(), slow(), slow()]), busy).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(bench.ask(of("ann", Method::GET, LIST, None)).await.status, 200);
    assert!(bench.get("/metrics").await.body.contains("aimate_http_requests_in_work 0\n"));
}

/// A file that has come whole is in work, and while it comes it keeps nobody out.
#[tokio::test]
async fn upload_finds_a_place_when_it_has_come() {
    let (bench, gate) = house([], Options::default().max_requests(1)).await;
    let collection = of("ann", Method::POST, "/api/v1/knowledge/collections", Some(json!({"name": "a"})));
    let documents = format!("{}/documents", bench.ask(collection).await.header("location"));
    let (sent, pieces) = tokio::sync::mpsc::channel::<&str>(1);
    let pieces = futures_util::stream::unfold(pieces, async |mut pieces| {
        pieces.recv().await.map(|piece| (Ok::<_, std::convert::Infallible>(piece), pieces))
    });
    let upload = Request::post(&documents)
        .header("host", "127.0.0.1")
        .header("x-user", "ann")
        .header("content-type", "multipart/form-data; boundary=x")
        .body(Body::from_stream(pieces))
        .unwrap();
    let uploaded = async {
        let reply = bench.ask(upload).await;
        gate.add_permits(1);
        reply
    };
    let sender = async {
        let begin = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.md\"\r\n\r\n";
        // The second one is taken when the first one was read.
        for piece in [begin, "The boiler ", "is serviced "] {
            sent.send(piece).await.unwrap();
        }
        let end = async {
            until(async || bench.get("/metrics").await.body.contains("aimate_http_requests_in_work 1\n"))
                .await;
            sent.send("in May.\r\n--x--\r\n").await.unwrap();
            drop(sent);
        };
        tokio::join!(bench.ask(of("slow", Method::GET, LIST, None)), end).0
    };
    let (refused, slow) = tokio::join!(uploaded, sender);
    let problem = refused.problem(503, "unavailable");
    assert_eq!(problem["retry_after"], 1);
    assert_eq!(slow.status, 200);
    let listed = bench.ask(of("ann", Method::GET, "/api/v1/knowledge/documents", None)).await.json();
    assert_eq!(listed["data"], json!([]), "nothing of it is stored");
}

#[tokio::test]
async fn who_waits_for_a_model_is_not_in_work() {
    let scripts = [vec![say("a"), Step::Hang], answer("b")];
    let bench = bench_with(scripts, Options::local().max_requests(1)).await;
    let body = json!({"messages": [{"role": "user", "content": "x"}], "stream": false});
    let waiting = bench.post("/v1/chat/completions", body);
    let meanwhile = async {
        until(async || bench.provider.open() == 1).await;
        assert_eq!(bench.get(LIST).await.status, 200);
    };
    tokio::select! {
        reply = waiting => panic!("{}", reply.body),
        () = meanwhile => {}
    }
}

#[tokio::test]
async fn machine_has_so_many_tries_to_sign_in() {
    let (bench, _) = house([], limits("auth=1/3")).await;
    let try_from = async |address: &str| {
        let mut request = request(Method::POST, "/api/v1/auth/login", Some(json!({})));
        let peer = std::net::SocketAddr::new(address.parse().unwrap(), 9);
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        bench.ask(request).await
    };
    for _ in 0..3 {
        assert_ne!(try_from("192.0.2.1").await.status, 429);
    }
    let refused = try_from("192.0.2.1").await;
    refused.problem(429, "rate_limited");
    assert!(refused.header("ratelimit").starts_with("\"auth\";r=0;t="));
    assert_ne!(try_from("192.0.2.2").await.status, 429);
    // Of IPv6, a machine has a whole network.
    for n in 0..3 {
        assert_ne!(try_from(&format!("2001:db8::{n}")).await.status, 429);
    }
    try_from("2001:db8::ffff").await.problem(429, "rate_limited");
}

#[tokio::test]
async fn document_beyond_the_quota_is_refused() {
    let provider = ScriptedProvider::new([]);
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let user = StorageQuota { documents: Some(2), bytes: Some(30) };
    let quotas = StorageQuotas { user, ..StorageQuotas::default() };
    let engine =
        crate::common::builder(store, provider.clone()).storage_quotas(quotas).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    let bench = Bench { engine, provider, router };
    let collection = bench.post("/api/v1/knowledge/collections", json!({"name": "a"})).await;
    let documents = format!("{}/documents", collection.header("location"));
    let add = async |text: &str| bench.post(&documents, json!({"name": "a.md", "text": text})).await;
    assert_eq!(add(&"x".repeat(20)).await.status, 202);
    let problem = add(&"x".repeat(11)).await.problem(413, "too_large");
    assert_eq!(problem["reason"], "quota_exceeded");
    assert_eq!(add(&"x".repeat(10)).await.status, 202);
    let full = add("x").await.problem(413, "too_large");
    assert!(full["detail"].as_str().unwrap().contains("2 of 2 documents and 30 of 30 bytes"), "{full}");
    let listed = bench.get("/api/v1/knowledge/documents").await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}

#[test]
fn defaults_let_people_work() {
    let limits = RateLimits::default();
    for class in RequestClass::ALL {
        let limit = limits.of(class).unwrap();
        limit.check().unwrap();
        assert!(limit.burst >= 10, "{class}");
    }
}

#[tokio::test]
async fn each_question_of_a_search_counts() {
    let (bench, _) = house([], limits("search=1/4")).await;
    let store = bench.ask(of("ann", Method::POST, "/v1/vector_stores", Some(json!({})))).await.json();
    let at = format!("/v1/vector_stores/{}/search", store["id"].as_str().unwrap());
    let search = async |query| bench.ask(of("ann", Method::POST, &at, Some(json!({"query": query})))).await;
    assert_eq!(search(json!(["a", "b", "c"])).await.status, 200);
    assert_eq!(search(json!(["a", "b"])).await.status, 429);
}
