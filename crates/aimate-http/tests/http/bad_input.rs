//! What is wrong gets its status, its code and a sentence that says what would
//! be right; nothing is stored by half.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::common::{Bench, bench, request};

const UNKNOWN: &str = "0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f";

/// The path of the first wrong field.
fn field(problem: &Value) -> &str {
    problem["errors"][0]["path"].as_str().unwrap_or_default()
}

fn raw(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/json; charset=utf-8")
        .body(body.into())
        .unwrap()
}

#[tokio::test]
async fn unknown_fields_are_refused_by_name() {
    let bench = bench([]).await;
    let at = bench.conversation().await;
    for (path, body, wrong) in [
        ("/api/v1/conversations", json!({"titel": "x"}), "titel"),
        (&format!("{at}/messages"), json!({"content": "x", "modle": "m"}), "modle"),
        (
            "/api/v1/connections",
            json!({"name": "x", "provider": "openai", "settings": {"retry": 1}}),
            "settings.retry",
        ),
        ("/api/v1/workspaces", json!({"name": "x", "colour": "red"}), "colour"),
        ("/api/v1/prompts", json!({"title": "x", "content": "y", "active": true}), "active"),
    ] {
        let problem = bench.post(path, body).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("expected"), "{problem}");
    }
    let problem = bench.get("/api/v1/conversations?archive=true").await.problem(400, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("`archived`"), "{problem}");
}

#[tokio::test]
async fn wrong_types_are_refused_by_path() {
    let bench = bench([]).await;
    let at = bench.conversation().await;
    for (path, body, wrong) in [
        ("/api/v1/conversations", json!({"tags": ["a", 1]}), "tags[1]"),
        ("/api/v1/conversations", json!({"is_pinned": "yes"}), "is_pinned"),
        ("/api/v1/conversations", json!({"workspace_id": "x"}), "workspace_id"),
        ("/api/v1/connections", json!({"name": "x", "provider": "gpt"}), "provider"),
        (&format!("{at}/messages"), json!({"content": 7}), "content"),
        (&format!("{at}/messages"), json!({"content": [{"type": "text"}]}), "content[0]"),
        (&format!("{at}/messages"), json!({"content": [{"type": "sound"}]}), "content[0].type"),
        (&format!("{at}/messages"), json!({"content": "x", "parent_id": 3}), "parent_id"),
        (&format!("{at}/messages"), json!({"content": "x", "knowledge": "a"}), "knowledge"),
        (&format!("{at}/messages"), json!({"content": "x", "knowledge": [{}]}), "knowledge[0]"),
        (&format!("{at}/messages"), json!({"content": "x", "on_disconnect": "stop"}), "on_disconnect"),
        (&format!("{at}/messages"), json!({}), "content"),
        (&format!("{at}/messages"), json!({"content": [{"type": "reasoning", "text": "x"}]}), "content[0]"),
    ] {
        let problem = bench.post(path, body.clone()).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{body} {problem}");
    }
    for (query, wrong) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("workspace_id=x", "workspace_id"),
    ] {
        let problem = bench.get(&format!("/api/v1/conversations?{query}")).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{problem}");
    }
}

#[tokio::test]
async fn too_long_texts_are_refused_with_the_limit() {
    let bench = bench([]).await;
    let long = |count: usize| "x".repeat(count);
    for (path, body, wrong) in [
        ("/api/v1/conversations", json!({"title": long(501)}), "title"),
        ("/api/v1/conversations", json!({"title": " "}), "title"),
        ("/api/v1/conversations", json!({"tags": [long(101)]}), "tags[0]"),
        ("/api/v1/conversations", json!({"metadata": {"a": long(70_000)}}), "metadata"),
        ("/api/v1/workspaces", json!({"name": long(201)}), "name"),
        ("/api/v1/connections", json!({"name": "a/b", "provider": "openai"}), "name"),
        ("/api/v1/prompts", json!({"title": "x", "content": long(100_001)}), "content"),
    ] {
        let problem = bench.post(path, body).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{problem}");
    }
    let at = bench.conversation().await;
    let metadata = json!({"content": "x", "metadata": {"a": long(70_000)}});
    let problem = bench.post(&format!("{at}/messages"), metadata).await.problem(400, "invalid");
    assert_eq!(field(&problem), "metadata");
}

#[tokio::test]
async fn unknown_ids_are_not_found() {
    let bench = bench([]).await;
    let at = bench.conversation().await;
    for id in [UNKNOWN, "nonsense", "..", "1"] {
        for path in [
            format!("/api/v1/conversations/{id}"),
            format!("/api/v1/conversations/{id}/messages"),
            format!("/api/v1/connections/{id}"),
            format!("/api/v1/runs/{id}"),
            format!("/api/v1/runs/{id}/events"),
            format!("/api/v1/workspaces/{id}"),
            format!("/api/v1/prompts/{id}"),
        ] {
            bench.get(&path).await.problem(404, "not_found");
            if !path.contains("messages") && !path.contains("/runs/") {
                bench.delete(&path).await.problem(404, "not_found");
            }
        }
        let turn = json!({"content": "x"});
        bench
            .post(&format!("/api/v1/conversations/{id}/messages"), turn.clone())
            .await
            .problem(404, "not_found");
        bench.post(&format!("{at}/messages/{id}/regenerate"), json!({})).await.problem(404, "not_found");
        bench.put(&format!("{at}/messages/{id}"), turn).await.problem(404, "not_found");
        bench.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await.problem(404, "not_found");
        bench.post(&format!("/api/v1/connections/{id}/test"), json!({})).await.problem(404, "not_found");
    }
    for (path, body) in [
        (format!("{at}/fork"), json!({"message_id": UNKNOWN})),
        (format!("{at}/messages"), json!({"content": "x", "parent_id": UNKNOWN})),
        ("/api/v1/conversations".to_owned(), json!({"workspace_id": UNKNOWN})),
        ("/api/v1/prompts".to_owned(), json!({"title": "x", "content": "y", "workspace_id": UNKNOWN})),
    ] {
        bench.post(&path, body).await.problem(404, "not_found");
    }
    bench.get(&format!("{at}/messages?leaf={UNKNOWN}")).await.problem(404, "not_found");
    bench.get(&format!("{at}/messages?through={UNKNOWN}")).await.problem(404, "not_found");
    bench.get(&format!("{at}/messages?leaf={UNKNOWN}&through={UNKNOWN}")).await.problem(400, "invalid");
    nothing_stored(&bench, &at).await;
}

#[tokio::test]
async fn parent_of_another_conversation_is_not_found() {
    let bench = bench([]).await;
    let (one, other) = (bench.conversation().await, bench.conversation().await);
    let theirs = bench.say(&other, "x").await;
    let id = theirs["id"].as_str().unwrap();
    let body = json!({"content": "x", "parent_id": id});
    bench.post(&format!("{one}/messages"), body).await.problem(404, "not_found");
    bench.post(&format!("{one}/messages/{id}/regenerate"), json!({})).await.problem(404, "not_found");
    bench.put(&format!("{one}/messages/{id}"), json!({"content": "x"})).await.problem(404, "not_found");
    bench.post(&format!("{one}/fork"), json!({"message_id": id})).await.problem(404, "not_found");
    bench.patch(&one, json!({"active_leaf_id": id})).await.problem(404, "not_found");
    nothing_stored(&bench, &one).await;
}

#[tokio::test]
async fn turn_that_cannot_be_answered_stores_nothing() {
    let bench = bench([]).await;
    let at = bench.conversation().await;
    let path = format!("{at}/messages");
    for model in ["lab/", "none/test", "none"] {
        let problem =
            bench.post(&path, json!({"content": "x", "model": model})).await.problem(404, "not_found");
        assert!(problem["detail"].as_str().unwrap().contains("CONNECTION/MODEL"), "{problem}");
    }
    bench.post("/api/v1/models/lab/tiny/disable", json!({})).await;
    let problem =
        bench.post(&path, json!({"content": "x", "model": "lab/tiny"})).await.problem(404, "not_found");
    assert!(problem["detail"].as_str().unwrap().contains("disabled"), "{problem}");
    for content in [json!(""), json!(" \n"), json!([]), json!([{"type": "text", "text": ""}])] {
        let problem = bench.post(&path, json!({"content": content})).await.problem(400, "invalid");
        assert_eq!(field(&problem), "content");
    }
    let large = "x".repeat(10 * 1024 * 1024);
    bench.post(&path, json!({"content": large})).await.problem(413, "too_large");
    let long = "word ".repeat(20_000);
    bench.post(&path, json!({"content": long})).await.problem(422, "context_overflow");
    let knowledge = json!({"content": "x", "knowledge": [UNKNOWN]});
    bench.post(&path, knowledge).await.problem(404, "not_found");
    let file = json!({"content": [{"type": "file", "file_id": UNKNOWN, "name": "a", "media_type": "b"}]});
    bench.post(&path, file).await.problem(422, "unsupported");
    nothing_stored(&bench, &at).await;
    assert!(bench.provider.requests().is_empty());
}

#[tokio::test]
async fn address_that_is_none_is_refused() {
    let bench = bench([]).await;
    for url in [
        "http://user:secret@example.org/v1",
        "ftp://example.org",
        "example.org/v1",
        "http://",
        "file:///etc/passwd",
        "http://example.org/v1?key=secret",
        "http://example.org/#x",
    ] {
        let new = json!({"name": "x", "provider": "openai", "url": url});
        let problem = bench.post("/api/v1/connections", new).await.problem(400, "invalid");
        assert_eq!(field(&problem), "url", "{url}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
    let list = bench.get("/api/v1/connections").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sec_t32_body_that_is_no_json_is_refused() {
    let bench = bench([]).await;
    let path = "/api/v1/conversations";
    for (body, says) in [
        (b"{\"title\":\"\xff\xfe\"}".to_vec(), "not UTF-8"),
        (b"{".to_vec(), "not JSON"),
        (b"{\"title\":\"x\"} x".to_vec(), "not JSON"),
        (format!("{{\"metadata\":{{\"a\":{}", "[".repeat(100_000)).into_bytes(), "not JSON"),
        (b"[]".to_vec(), "must be a JSON object"),
    ] {
        let problem = bench.ask(raw(path, body)).await.problem(400, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    bench.ask(raw("/v1/chat/completions", "{")).await.openai_error(400, "invalid");
    bench.ask(raw("/v1/chat/completions", "")).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let bench = bench([]).await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "x", "é"] {
        let mut request = raw("/api/v1/workspaces", "{\"name\":\"x\"}");
        request.headers_mut().insert("content-type", http::HeaderValue::from_bytes(kind.as_bytes()).unwrap());
        let problem = bench.ask(request).await.problem(415, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains("application/json"));
    }
    let mut request = raw("/v1/embeddings", "x");
    request.headers_mut().remove("content-type");
    bench.ask(request).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn sec_t11_large_body_is_refused_before_it_is_parsed() {
    let options = aimate_http::Options::local().body_limit(1_000);
    let bench = crate::common::bench_with([], options).await;
    let large = "x".repeat(2_000);
    bench.post("/api/v1/conversations", json!({"title": large})).await.problem(413, "too_large");
    bench.ask(raw("/v1/chat/completions", large.clone())).await.openai_error(413, "too_large");
    let mut announced = request(Method::POST, "/api/v1/conversations", Some(json!({})));
    announced.headers_mut().insert("content-length", "5000000".parse().unwrap());
    bench.ask(announced).await.problem(413, "too_large");
}

async fn nothing_stored(bench: &Bench, at: &str) {
    let stored = bench.get(at).await.json();
    assert_eq!((&stored["message_count"], &stored["active_leaf_id"]), (&json!(0), &Value::Null));
}
