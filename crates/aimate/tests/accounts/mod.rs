//! The example of accounts, driven as two users. It stands here so that the example stays
//! as short as such an application is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use aimate::accounts::SigningSecret;
use aimate::serde_json::{self, Value, json};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt as _;

async fn send(router: &Router, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "app.example.org")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    (head.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
}

async fn register(router: &Router, email: &str) -> String {
    let body = json!({"email": email, "password": "correct horse battery"}).to_string();
    let (status, body) = send(router, "", "POST", "/ai/api/v1/auth/register", &body).await;
    assert_eq!(status, 201, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_users_ask_and_see_their_own_alone() {
    let router = super::application("sqlite::memory:", SigningSecret::generate().unwrap()).await.unwrap();
    let (ada, bob) = (register(&router, "ada@example.org").await, register(&router, "bob@example.org").await);
    let (status, told) = send(&router, &ada, "POST", "/ask", "Hello").await;
    assert!(status == 200 && told.contains("event: finished"), "{status} {told}");
    assert_eq!(send(&router, "", "POST", "/ask", "Hello").await.0, 401);
    for (token, count) in [(&ada, 1), (&bob, 0)] {
        let (_, list) = send(&router, token, "GET", "/ai/api/v1/conversations", "").await;
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["data"].as_array().unwrap().len(), count);
    }
    assert_eq!(send(&router, &ada, "POST", "/ai/api/v1/auth/logout", "").await.0, 204);
    assert_eq!(send(&router, &ada, "POST", "/ask", "Hello").await.0, 401);
}
