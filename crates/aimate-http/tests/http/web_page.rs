//! The page, and its files.

use aimate_core::testing::ScriptedProvider;
use aimate_http::Options;
use axum::Router;
use axum::body::Body;
use http::header::{ACCEPT_ENCODING, HOST, IF_NONE_MATCH};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::common::{engine, request};

const PATHS: [&str; 12] = [
    "/",
    "/new",
    "/search",
    "/sign-in",
    "/settings",
    "/settings/account",
    "/knowledge",
    "/knowledge/collections/1",
    "/c/1",
    "/c/1/2",
    "/shared/ais_1",
    "/workspaces/1",
];

async fn router(options: Options) -> Router {
    aimate_http::router(engine(ScriptedProvider::new([])).await, options)
}

async fn page() -> Router {
    router(Options::local().web_page(true)).await
}

async fn ask(router: &Router, request: Request<Body>) -> (http::response::Parts, Vec<u8>) {
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    (head, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn get(router: &Router, path: &str) -> (http::response::Parts, String) {
    let (head, body) = ask(router, request(Method::GET, path, None)).await;
    (head, String::from_utf8(body).unwrap())
}

/// Where the files of a page are.
fn assets(page: &str) -> &str {
    page.split("src=\"").nth(1).unwrap().split("/app.js\"").next().unwrap()
}

#[tokio::test]
async fn every_screen_is_the_page() {
    let router = page().await;
    let (first, html) = get(&router, "/").await;
    assert!(html.starts_with("<!doctype html>") && !html.contains("{{"), "{html}");
    for path in PATHS {
        let (head, found) = get(&router, path).await;
        assert_eq!((head.status, &found), (StatusCode::OK, &html), "{path}");
        let header = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert_eq!(header("cache-control"), "no-cache");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("permissions-policy"), "camera=(), geolocation=(), microphone=()");
        let policy = header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types aimate",
        ] {
            assert!(policy.split("; ").any(|found| found == rule), "{rule}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(head.headers["etag"], first.headers["etag"]);
        let (head, body) = ask(&router, request(Method::HEAD, path, None)).await;
        assert_eq!((head.status, body.len()), (StatusCode::OK, 0));
    }
    let (head, body) = ask(&router, request(Method::POST, "/settings", None)).await;
    assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED, "{}", String::from_utf8_lossy(&body));
}

#[tokio::test]
async fn known_page_is_not_sent_again() {
    let router = page().await;
    let (head, _) = get(&router, "/").await;
    let tag = head.headers["etag"].to_str().unwrap().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let mut request = request(Method::GET, "/c/1", None);
        request.headers_mut().insert(IF_NONE_MATCH, known.parse().unwrap());
        let (head, body) = ask(&router, request).await;
        assert_eq!((head.status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
        assert_eq!(head.headers["etag"].to_str().unwrap(), tag);
        assert!(head.headers["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    }
    let mut request = request(Method::GET, "/", None);
    request.headers_mut().insert(IF_NONE_MATCH, "\"other\"".parse().unwrap());
    assert_eq!(ask(&router, request).await.0.status, StatusCode::OK);
}

#[tokio::test]
async fn files_are_kept_and_come_compressed() {
    let router = page().await;
    let (_, html) = get(&router, "/").await;
    let mut whole = Vec::new();
    for (accepted, expected) in [("", None), ("gzip", Some("gzip")), ("gzip, br", Some("br"))] {
        let mut request = request(Method::GET, &format!("{}/app.css", assets(&html)), None);
        request.headers_mut().insert(ACCEPT_ENCODING, accepted.parse().unwrap());
        let (head, body) = ask(&router, request).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.headers.get("content-encoding").map(|value| value.to_str().unwrap()), expected);
        assert_eq!(head.headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(head.headers["content-type"], "text/css; charset=utf-8");
        assert_eq!(head.headers["vary"], "accept-encoding");
        assert_eq!(head.headers["x-content-type-options"], "nosniff");
        match expected {
            None => whole = body,
            Some("gzip") => assert_eq!(body[..2], [0x1f, 0x8b]),
            Some(_) => assert!(body.len() <= whole.len().max(2), "{} of {}", body.len(), whole.len()),
        }
    }
    let script = request(Method::GET, &format!("{}/app.js", assets(&html)), None);
    assert_eq!(ask(&router, script).await.0.headers["content-type"], "text/javascript; charset=utf-8");
}

#[tokio::test]
async fn file_of_another_version_is_missing() {
    let router = page().await;
    let (_, html) = get(&router, "/").await;
    for path in [
        "/assets/0123456789abcdef/app.js".to_owned(),
        format!("{}/index.html", assets(&html)),
        format!("{}/..%2fapp.js", assets(&html)),
        "/assets/app.js".to_owned(),
    ] {
        let (head, _) = get(&router, &path).await;
        assert_eq!(head.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            !head
                .headers
                .get("cache-control")
                .is_some_and(|kept| kept.to_str().unwrap().contains("immutable"))
        );
    }
}

#[tokio::test]
async fn page_works_under_a_prefix() {
    let router = Router::new().nest("/tools/ai", page().await);
    for path in ["/tools/ai", "/tools/ai/settings", "/tools/ai/c/1"] {
        let (head, html) = get(&router, path).await;
        assert_eq!(head.status, StatusCode::OK, "{path}");
        assert!(assets(&html).starts_with("/tools/ai/assets/"), "{path}: {html}");
        let (head, _) = get(&router, &format!("{}/app.js", assets(&html))).await;
        assert_eq!(head.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn prefix_is_no_way_into_the_page() {
    let router = Router::new().nest("/{tenant}", page().await);
    let (_, html) = get(&router, "/a%22%3E%3Cscript%3E/settings").await;
    assert!(!html.contains("<script>"), "{html}");
    let (_, html) = get(&router, "/a'b&c=").await;
    assert!(html.contains("/a'b&amp;c="), "{html}");
}

#[tokio::test]
async fn application_has_no_page_unless_it_asks_for_it() {
    let router = router(Options::local()).await;
    for path in PATHS {
        assert_eq!(get(&router, path).await.0.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn page_of_local_mode_is_for_this_machine_alone() {
    let router = page().await;
    let mut request = request(Method::GET, "/", None);
    request.headers_mut().insert(HOST, "evil.example".parse().unwrap());
    assert_eq!(ask(&router, request).await.0.status, StatusCode::FORBIDDEN);
}
