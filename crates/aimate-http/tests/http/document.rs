//! The OpenAPI document and the service's own routes.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;

use crate::common::{Bench, bench, request};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// An address of a path of the document.
fn address(path: &str) -> String {
    path.replace("{id}", "x").replace("{mid}", "x")
}

async fn document(bench: &Bench) -> Value {
    let reply = bench.get("/openapi.json").await;
    assert_eq!(reply.status, 200);
    reply.json()
}

#[tokio::test]
async fn document_and_router_agree() {
    let bench = bench([]).await;
    let document = document(&bench).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["info"]["license"]["name"], "MIT OR Apache-2.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        let documented: BTreeSet<_> =
            METHODS.into_iter().filter(|method| item.get(method).is_some()).map(str::to_uppercase).collect();
        let odd = Request::builder().method("TRACE").uri(address(path)).header("host", "localhost");
        let reply = bench.ask(odd.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 405, "{path}");
        let allowed: BTreeSet<_> =
            reply.header("allow").split(',').filter(|method| *method != "HEAD").map(str::to_owned).collect();
        assert_eq!(allowed, documented, "{path}");
    }
}

#[tokio::test]
async fn contract_is_routed() {
    let bench = bench([]).await;
    let document = document(&bench).await;
    for route in [
        "GET /api/v1/connections",
        "POST /api/v1/connections",
        "GET /api/v1/connections/{id}",
        "PUT /api/v1/connections/{id}",
        "PATCH /api/v1/connections/{id}",
        "DELETE /api/v1/connections/{id}",
        "POST /api/v1/connections/{id}/test",
        "POST /api/v1/connections/{id}/models/refresh",
        "GET /api/v1/models",
        "POST /api/v1/models/{id}/enable",
        "POST /api/v1/models/{id}/disable",
        "GET /api/v1/conversations",
        "POST /api/v1/conversations",
        "GET /api/v1/conversations/search",
        "GET /api/v1/conversations/{id}",
        "PUT /api/v1/conversations/{id}",
        "PATCH /api/v1/conversations/{id}",
        "DELETE /api/v1/conversations/{id}",
        "POST /api/v1/messages",
        "GET /api/v1/conversations/{id}/messages",
        "POST /api/v1/conversations/{id}/messages",
        "POST /api/v1/conversations/{id}/messages/{mid}/regenerate",
        "PUT /api/v1/conversations/{id}/messages/{mid}",
        "POST /api/v1/conversations/{id}/fork",
        "GET /api/v1/runs/{id}",
        "GET /api/v1/runs/{id}/events",
        "POST /api/v1/runs/{id}/cancel",
        "POST /api/v1/chat/completions",
        "GET /api/v1/workspaces",
        "POST /api/v1/workspaces",
        "GET /api/v1/workspaces/{id}",
        "PUT /api/v1/workspaces/{id}",
        "PATCH /api/v1/workspaces/{id}",
        "DELETE /api/v1/workspaces/{id}",
        "GET /api/v1/prompts",
        "POST /api/v1/prompts",
        "GET /api/v1/prompts/{id}",
        "PUT /api/v1/prompts/{id}",
        "PATCH /api/v1/prompts/{id}",
        "DELETE /api/v1/prompts/{id}",
        "GET /api/v1/knowledge/collections",
        "POST /api/v1/knowledge/collections",
        "GET /api/v1/knowledge/collections/{id}",
        "PATCH /api/v1/knowledge/collections/{id}",
        "DELETE /api/v1/knowledge/collections/{id}",
        "POST /api/v1/knowledge/collections/{id}/documents",
        "GET /api/v1/knowledge/documents",
        "GET /api/v1/knowledge/documents/{id}",
        "DELETE /api/v1/knowledge/documents/{id}",
        "GET /api/v1/knowledge/documents/{id}/chunks",
        "POST /api/v1/knowledge/search",
        "GET /api/v1/usage",
        "GET /api/v1/usage/records",
        "POST /v1/chat/completions",
        "GET /v1/models",
        "GET /v1/models/{id}",
        "POST /v1/embeddings",
        "GET /health",
        "GET /ready",
        "GET /metrics",
    ] {
        let (method, path) = route.split_once(' ').unwrap();
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation["responses"].is_object(), "{route}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{route}");
    }
}

#[tokio::test]
async fn every_operation_says_how_it_fails() {
    let bench = bench([]).await;
    let document = document(&bench).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let (kind, schema) = match path.as_str() {
            path if path.starts_with("/api/v1/") => ("application/problem+json", "Problem"),
            path if path.starts_with("/v1/") => ("application/json", "OpenAiError"),
            _ => continue,
        };
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let body = operation.get("requestBody").is_some();
            let more: &[&str] = if body { &["413", "415"] } else { &[] };
            for status in ["400", "403", "404", "405", "409", "422", "429", "500"].iter().chain(more) {
                let reference = &operation["responses"][*status]["content"][kind]["schema"]["$ref"];
                assert_eq!(*reference, format!("#/components/schemas/{schema}"), "{method} {path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let bench = bench([]).await;
    let text = bench.get("/openapi.json").await.body;
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut count = 0;
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        count += 1;
    }
    assert!(count > 100, "{count}");
    let key = &document["components"]["schemas"]["NewConnection"]["properties"]["api_key"];
    assert_eq!(key["writeOnly"], true);
    assert!(document["components"]["schemas"]["Connection"]["properties"].get("api_key").is_none());
}

#[cfg(feature = "docs")]
#[tokio::test]
async fn page_works_without_the_network() {
    let bench = bench([]).await;
    for path in ["/docs", "/docs/"] {
        let page = bench.get(path).await;
        assert!(page.status == 200 && page.header("content-type").starts_with("text/html"), "{path}");
        assert!(page.body.contains("openapi.json"), "{path}");
        assert!(!page.body.contains("://"), "{path}");
    }
}

#[tokio::test]
async fn service_tells_how_it_is() {
    let bench = bench([]).await;
    let health = bench.get("/health").await;
    assert_eq!(health.json()["status"], "healthy");
    assert!(health.json()["version"].is_string());
    assert_eq!(bench.get("/ready").await.status, 200);
    assert_eq!(bench.ask(request(Method::HEAD, "/health", None)).await.status, 200);
    bench.get("/api/v1/conversations/x").await;
    bench.get("/nowhere").await;
    let metrics = bench.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "aimate_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 1",
        "aimate_http_requests_total{method=\"GET\",route=\"/api/v1/conversations/{id}\",status=\"404\"} 1",
        "aimate_http_request_duration_seconds_bucket{method=\"GET\",route=\"/health\",status=\"200\",le=\"+Inf\"} 1",
        "aimate_http_streams_open 0",
        "aimate_runs_running 0",
    ] {
        assert!(metrics.body.contains(line), "{line}\n{}", metrics.body);
    }
    bench.engine.drain(std::time::Duration::ZERO).await;
    let ready = bench.get("/ready").await;
    assert_eq!((ready.status.as_u16(), ready.json()["status"].as_str()), (503, Some("draining")));
}

#[tokio::test]
async fn schema_of_the_document_is_one_object_and_not_several_that_refuse_each_other() {
    let document = bench([]).await.get("/openapi.json").await.json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let several: Vec<_> = schemas.iter().filter(|(_, schema)| schema.get("allOf").is_some()).collect();
    assert!(several.is_empty(), "{several:?}");
    for field in ["id", "subject", "max_cost", "max_tokens"] {
        assert!(schemas["Budget"]["properties"][field].is_object(), "{field}: {}", schemas["Budget"]);
    }
}
