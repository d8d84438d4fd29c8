//! Connections and models.

use aimate_core::Error;
use serde_json::{Value, json};

use crate::common::{bench, bench_with};
use aimate_http::Options;

const CANARY: &str = "sk-canary-0123456789abcdef-WXYZ";

#[tokio::test]
async fn key_never_comes_back() {
    let bench = bench([]).await;
    let new = json!({"name": "own", "provider": "openai", "url": "http://127.0.0.1:9/v1", "api_key": CANARY});
    let reply = bench.post("/api/v1/connections", new.clone()).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let own = reply.json();
    assert_eq!((&own["has_key"], &own["key_hint"]), (&json!(true), &json!("WXYZ")));
    let at = reply.header("location").to_owned();

    let mut said = vec![reply.body];
    said.push(bench.post("/api/v1/connections", new).await.body);
    said.push(bench.get(&at).await.body);
    said.push(bench.get("/api/v1/connections").await.body);
    said.push(bench.post(&format!("{at}/test"), json!({})).await.body);
    said.push(bench.post(&format!("{at}/models/refresh"), json!({})).await.body);
    said.push(bench.patch(&at, json!({"name": "mine"})).await.body);
    said.push(bench.patch(&at, json!({"api_key": format!("{CANARY}\n")})).await.body);
    said.push(bench.patch(&at, json!({"api_key": {"x": CANARY}})).await.body);
    said.push(
        bench
            .post("/api/v1/connections", json!({"name": "x", "provider": "openai", "api_kye": CANARY}))
            .await
            .body,
    );
    for path in ["/api/v1/models", "/v1/models", "/metrics", "/health", "/api/v1/usage"] {
        said.push(bench.get(path).await.body);
    }
    for body in said {
        assert!(!body.contains("sk-canary"), "{body}");
    }
}

#[tokio::test]
async fn connection_is_made_changed_and_deleted() {
    let bench = bench([]).await;
    let reply = bench.post("/api/v1/connections", json!({"name": "a", "provider": "ollama"})).await;
    let at = reply.header("location").to_owned();
    assert_eq!(reply.json()["url"], "http://127.0.0.1:11434");
    assert_eq!(bench.put(&at, json!({"is_enabled": false})).await.json()["is_enabled"], false);
    assert_eq!(bench.patch(&at, json!({"name": "b"})).await.json()["name"], "b");
    bench
        .post("/api/v1/connections", json!({"name": "b", "provider": "ollama"}))
        .await
        .problem(409, "conflict");
    let deleted = bench.delete(&at).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.as_str()), (204, ""));
    bench.get(&at).await.problem(404, "not_found");
    bench.delete(&at).await.problem(404, "not_found");
}

#[tokio::test]
async fn unregistered_provider_is_refused_with_those_there_are() {
    let bench = bench([]).await;
    let reply = bench.post("/api/v1/connections", json!({"name": "a", "provider": "nope"})).await;
    let problem = reply.problem(400, "invalid");
    assert_eq!(problem["errors"][0]["path"], "provider");
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("registered are `ollama`, `openai`"), "{message}");
    bench
        .post("/api/v1/connections", json!({"name": "a", "provider": "Open AI"}))
        .await
        .problem(400, "invalid");
}

#[tokio::test]
async fn address_elsewhere_drops_the_key() {
    let bench = bench([]).await;
    let new = json!({"name": "own", "provider": "openai", "url": "http://127.0.0.1:9/v1", "api_key": CANARY});
    let at = bench.post("/api/v1/connections", new).await.header("location").to_owned();
    let moved = bench.patch(&at, json!({"url": "http://127.0.0.1:10/v1"})).await.json();
    assert_eq!((&moved["has_key"], &moved["key_hint"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn models_are_listed_switched_and_refreshed() {
    let bench = bench([]).await;
    let ids = |list: Value| -> Vec<String> {
        let data = list["data"].as_array().unwrap().clone();
        data.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let list = bench.get("/api/v1/models").await.json();
    assert_eq!(list["next_cursor"], Value::Null);
    assert_eq!(ids(list), ["lab/test", "lab/tiny"]);
    for (path, active) in [
        ("/api/v1/models/lab/tiny/disable", false),
        ("/api/v1/models/lab%2Ftiny/enable", true),
        ("/api/v1/models/lab%2ftiny/disable", false),
    ] {
        let reply = bench.post(path, json!({})).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["is_active"]), (200, &json!(active)), "{path}");
    }
    assert_eq!(ids(bench.get("/v1/models").await.json()), ["lab/test"]);
    bench.get("/v1/models/lab/tiny").await.openai_error(404, "not_found");
    bench.post("/api/v1/models/lab/none/enable", json!({})).await.problem(404, "not_found");
    bench.post("/api/v1/models/lab/tiny", json!({})).await.problem(404, "not_found");

    let connections = bench.get("/api/v1/connections").await.json();
    let id = connections["data"][0]["id"].as_str().unwrap();
    bench.provider.list_once(Err(Error::unavailable("`lab` cannot be reached")));
    let tested = bench.post(&format!("/api/v1/connections/{id}/test"), json!({})).await.json();
    assert_eq!((&tested["ok"], &tested["error"]), (&json!(false), &json!("`lab` cannot be reached")));
    bench.provider.list_once(Ok(vec![]));
    bench.post(&format!("/api/v1/connections/{id}/models/refresh"), json!({})).await.problem(502, "upstream");
    assert_eq!(ids(bench.get("/api/v1/models").await.json()), ["lab/test", "lab/tiny"]);
    let tested = bench.post(&format!("/api/v1/connections/{id}/test"), json!({})).await.json();
    assert_eq!((&tested["ok"], &tested["models"]), (&json!(true), &json!(["test", "tiny"])));
    assert!(tested["latency_ms"].is_u64());
}

#[tokio::test]
async fn any_credential_is_ignored_in_local_mode() {
    let bench = bench_with([], Options::local()).await;
    for credential in ["Bearer nonsense", "Basic eDp5", ""] {
        let mut request = crate::common::request(http::Method::GET, "/api/v1/connections", None);
        request.headers_mut().insert("authorization", credential.parse().unwrap());
        assert_eq!(bench.ask(request).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_shared_says_so() {
    let bench = bench([]).await;
    for (path, own, listed) in [
        ("/api/v1/connections", json!({"name": "a", "provider": "ollama"}), "NewConnection"),
        ("/api/v1/prompts", json!({"title": "a", "content": "b"}), "NewPrompt"),
        ("/api/v1/knowledge/collections", json!({"name": "a", "embedder": "none"}), "NewCollection"),
    ] {
        let reply = bench.post(path, own.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["is_shared"]),
            (201, &json!(false)),
            "{}",
            reply.body
        );
        let mut shared = own;
        shared["shared"] = json!(true);
        let reply = bench.post(path, shared).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["is_shared"]),
            (201, &json!(true)),
            "{}",
            reply.body
        );
        let at = reply.header("location").to_owned();
        assert_eq!(bench.get(&at).await.json()["is_shared"], true);
        let api = bench.get("/openapi.json").await.json();
        let schemas = &api["components"]["schemas"];
        assert_eq!(schemas[listed]["properties"]["shared"]["type"], "boolean", "{listed}");
        assert_eq!(bench.delete(&at).await.status, 204);
    }
}
