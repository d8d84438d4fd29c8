//! The Helpdesk example, driven as two companies. It stands here so that the example
//! stays as short as such a service is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use std::sync::atomic::{AtomicU32, Ordering};

use aimate::serde_json::{Value, json};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt as _;

/// The service on a file of its own.
struct Service {
    router: Router,
    folder: std::path::PathBuf,
}

impl Service {
    async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("aimate-helpdesk-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let router = super::helpdesk(&folder.join("helpdesk.db").display().to_string()).await.unwrap();
        Self { router, folder }
    }

    /// Sends a request as the user with this token; the status and what came.
    async fn send(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, String) {
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "helpdesk.example.org")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", if body.is_string() { "text/plain" } else { "application/json" })
            .body(Body::from(if body.is_null() { String::new() } else { text }))
            .unwrap();
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, 1 << 24).await.unwrap();
        (head.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn json(&self, token: &str, method: &str, path: &str, body: Value) -> Value {
        let (status, body) = self.send(token, method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn titles(&self, token: &str) -> usize {
        let list = self.json(token, "GET", "/ai/api/v1/conversations", Value::Null).await;
        list["data"].as_array().unwrap().len()
    }
}

use aimate::serde_json;

impl Drop for Service {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn two_companies_chat_apart_are_billed_and_leave() {
    let service = Service::new().await;
    let (status, stream) = service.send("ann", "POST", "/tickets/7/ask", json!("Why is it cold?")).await;
    assert_eq!(status, 200, "{stream}");
    assert!(stream.contains("The boiler lost pressure.") && stream.contains("[1]"), "{stream}");
    assert!(stream.contains("event: finished") && stream.contains("ticket:7"), "{stream}");
    service.send("bob", "POST", "/tickets/8/ask", json!("And here?")).await;
    assert_eq!(
        (service.titles("ann").await, service.titles("al").await, service.titles("bob").await),
        (1, 0, 1)
    );

    // Ann's conversation is not there for the other company, nor for her colleague.
    let list = service.json("ann", "GET", "/ai/api/v1/conversations", Value::Null).await;
    let at = format!("/ai/api/v1/conversations/{}", list["data"][0]["id"].as_str().unwrap());
    for (token, expected) in [("ann", 200), ("al", 404), ("bob", 404), ("nobody", 401)] {
        assert_eq!(service.send(token, "GET", &at, Value::Null).await.0, expected, "{token}");
    }

    // What the boss shares, the company finds; nobody else does.
    let shared = json!({"name": "manuals", "shared": true});
    let manuals = service.json("ann", "POST", "/ai/api/v1/knowledge/collections", shared).await;
    let at_manuals = format!("/ai/api/v1/knowledge/collections/{}", manuals["id"].as_str().unwrap());
    assert_eq!(service.json("al", "GET", &at_manuals, Value::Null).await["name"], "manuals");
    assert_eq!(service.send("bob", "GET", &at_manuals, Value::Null).await.0, 404);
    assert_eq!(service.send("al", "DELETE", &at_manuals, Value::Null).await.0, 403);

    // Bills come behind the turns.
    for _ in 0..100 {
        if service.json("ann", "GET", "/bill", Value::Null).await == json!(1) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(service.json("ann", "GET", "/bill", Value::Null).await, json!(1));
    assert_eq!(service.json("bob", "GET", "/bill", Value::Null).await, json!(1));
    let by_user = service.json("ann", "GET", "/ai/api/v1/usage?group_by=user", Value::Null).await;
    assert_eq!(by_user["data"].as_array().unwrap().len(), 1, "{by_user}");

    assert_eq!(service.send("al", "DELETE", "/company", Value::Null).await.0, 403);
    let receipt = service.json("ann", "DELETE", "/company", Value::Null).await;
    assert_eq!(receipt["counts"]["users"], 2, "{receipt}");
    assert_eq!(receipt["counts"]["conversations"], 1, "{receipt}");
    assert_eq!((service.titles("ann").await, service.titles("bob").await), (0, 1));
}

#[tokio::test]
async fn who_has_used_up_the_plan_is_told_so() {
    let service = Service::new().await;
    let mut refused = None;
    for _ in 0..150 {
        let (status, body) = service.send("bob", "POST", "/tickets/1/ask", json!("Again?")).await;
        if status != 200 {
            refused = Some((status, body));
            break;
        }
    }
    let (status, body) = refused.unwrap();
    assert_eq!(status, 403);
    assert!(body.contains("the plan of your company is used up"), "{body}");
    // Another company's plan is its own.
    assert_eq!(service.send("ann", "POST", "/tickets/1/ask", json!("And I?")).await.0, 200);
}
