//! What is around every route.

use std::sync::Arc;

use aimate_core::connection::NewConnection;
use aimate_core::provider::{ChatProvider, ChatRequest, Embeddings, Endpoint, ListedModel, ProviderStream};
use aimate_core::{Engine, Result};
use aimate_http::Options;
use http::Method;
use serde_json::json;

use crate::common::{Bench, bench, bench_with, request};

#[tokio::test]
async fn only_loopback_hosts_are_answered() {
    let bench = bench([]).await;
    let asked = async |host: &str, path: &str| {
        let mut request = request(Method::GET, path, None);
        request.headers_mut().insert("host", host.parse().unwrap());
        bench.ask(request).await
    };
    for host in ["127.0.0.1", "localhost:3000", "[::1]:9"] {
        assert_eq!(asked(host, "/api/v1/conversations").await.status, 200, "{host}");
    }
    for path in ["/api/v1/conversations", "/health", "/openapi.json", "/metrics", "/api/v1/none"] {
        let problem = asked("rebound.example", path).await.problem(403, "forbidden");
        assert!(problem["detail"].as_str().unwrap().contains("127.0.0.1"));
    }
    asked("rebound.example", "/v1/models").await.openai_error(403, "forbidden");
    let open = bench_with([], Options::default()).await;
    let mut request = request(Method::GET, "/health", None);
    request.headers_mut().insert("host", "aimate.example.org".parse().unwrap());
    assert_eq!(open.ask(request).await.status, 200);
}

fn from_page(method: Method, origin: &str) -> http::Request<axum::body::Body> {
    let body = (method == Method::POST).then(|| json!({}));
    let mut request = request(method, "/api/v1/conversations", body);
    request.headers_mut().insert("origin", origin.parse().unwrap());
    request
}

#[tokio::test]
async fn page_of_another_origin_changes_and_reads_nothing() {
    let bench = bench([]).await;
    bench.ask(from_page(Method::POST, "https://evil.example")).await.problem(403, "forbidden");
    bench.ask(from_page(Method::POST, "null")).await.problem(403, "forbidden");
    let read = bench.ask(from_page(Method::GET, "https://evil.example")).await;
    assert_eq!(read.header("access-control-allow-origin"), "");
    assert_eq!(bench.ask(from_page(Method::POST, "http://127.0.0.1:3000")).await.status, 201);
    assert_eq!(bench.get("/api/v1/conversations").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_listed_origins_get_cors_headers() {
    let allowed = "https://app.example.org";
    let options = Options::local().allowed_origins([allowed, "*"]);
    let bench = bench_with([], options).await;
    let listed = bench.ask(from_page(Method::POST, allowed)).await;
    assert_eq!(listed.status, 201);
    assert_eq!(listed.header("access-control-allow-origin"), allowed);
    for origin in ["https://app.example.org.evil.example", "http://app.example.org", "https://evil.example"] {
        let other = bench.ask(from_page(Method::POST, origin)).await;
        assert_eq!((other.status.as_u16(), other.header("access-control-allow-origin")), (403, ""));
    }
    let mut preflight = from_page(Method::OPTIONS, allowed);
    preflight.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
    let preflight = bench.ask(preflight).await;
    assert_eq!(preflight.status, 200);
    assert!(preflight.header("access-control-allow-methods").contains("POST"));
}

#[tokio::test]
async fn every_answer_names_its_request_and_its_type() {
    let bench = bench([]).await;
    for path in ["/health", "/api/v1/none", "/v1/models", "/openapi.json"] {
        let reply = bench.get(path).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("x-request-id").len(), 32, "{path}");
    }
    let mut own = request(Method::GET, "/health", None);
    own.headers_mut().insert("x-request-id", "mine-1".parse().unwrap());
    assert_eq!(bench.ask(own).await.header("x-request-id"), "mine-1");
    let mut long = request(Method::GET, "/health", None);
    long.headers_mut().insert("x-request-id", "x".repeat(200).parse().unwrap());
    assert_eq!(bench.ask(long).await.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn unknown_addresses_and_methods_have_the_form_of_their_face() {
    let bench = bench([]).await;
    for path in ["/api/v1", "/api/v1/", "/api/v1/none", "/api/v1/conversations/", "/api/v1/runs"] {
        bench.get(path).await.problem(404, "not_found");
    }
    for path in ["/v1", "/v1/none", "/v1/chat"] {
        bench.get(path).await.openai_error(404, "not_found");
    }
    let reply = bench.delete("/api/v1/conversations").await;
    reply.problem(405, "invalid");
    let mut allowed: Vec<_> = reply.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    let reply = bench.get("/v1/chat/completions").await;
    reply.openai_error(405, "invalid");
    assert_eq!(reply.header("allow"), "POST");
}

/// A provider with a bug.
struct Broken;

#[async_trait::async_trait]
impl ChatProvider for Broken {
    async fn chat(&self, _: &Endpoint, _: &ChatRequest) -> Result<ProviderStream> {
        panic!("a bug")
    }

    async fn models(&self, _: &Endpoint) -> Result<Vec<ListedModel>> {
        panic!("a bug")
    }

    async fn embed(&self, _: &Endpoint, _: &str, _: &[String], _: Option<u32>) -> Result<Embeddings> {
        panic!("a bug")
    }
}

#[tokio::test]
async fn panic_is_an_answer() {
    let engine = Engine::builder()
        .store(aimate_store::connect("sqlite::memory:").await.unwrap())
        .provider("broken", Arc::new(Broken))
        .connection(NewConnection::new("lab", "broken").url("http://127.0.0.1:9/v1"))
        .build()
        .await
        .unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    let bench = Bench { engine, provider: aimate_core::testing::ScriptedProvider::new([]), router };
    let list = bench.get("/api/v1/connections").await.json();
    let id = list["data"][0]["id"].as_str().unwrap();
    let problem = bench.post(&format!("/api/v1/connections/{id}/models/refresh"), json!({})).await;
    assert!(!problem.problem(500, "internal").to_string().contains("a bug"));
    let chat = json!({"model": "lab/x", "messages": [{"role": "user", "content": "x"}]});
    bench.post("/v1/chat/completions", chat).await.openai_error(500, "internal");
    assert_eq!(bench.get("/health").await.status, 200);
}

#[tokio::test]
async fn lists_are_compressed_for_who_wants_it() {
    let bench = bench([]).await;
    for n in 0..20 {
        bench.post("/api/v1/conversations", json!({"title": n.to_string()})).await;
    }
    let mut wants = request(Method::GET, "/api/v1/conversations", None);
    wants.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let reply = bench.send(wants).await;
    assert_eq!(reply.headers()["content-encoding"], "gzip");
    let turn = json!({"messages": [{"role": "user", "content": "x"}], "stream": true});
    let mut stream = request(Method::POST, "/v1/chat/completions", Some(turn));
    stream.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    assert!(!bench.send(stream).await.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn router_goes_into_another_one() {
    let engine = crate::common::engine(aimate_core::testing::ScriptedProvider::new([])).await;
    let own = axum::Router::new()
        .route("/mine", axum::routing::get(|| async { "mine" }))
        .fallback(|| async { (http::StatusCode::NOT_FOUND, "nothing of mine") });
    let router = own.merge(aimate_http::router(engine.clone(), Options::local()));
    let bench = Bench { engine, provider: aimate_core::testing::ScriptedProvider::new([]), router };
    assert_eq!(bench.get("/mine").await.body, "mine");
    assert_eq!(bench.get("/other").await.body, "nothing of mine");
    assert_eq!(bench.get("/api/v1/conversations").await.status, 200);
    bench.get("/api/v1/none").await.problem(404, "not_found");
}
