//! Search engines: what they are asked, and answers that must not be believed.

use aimate_core::tool::{WebHit, WebSearch};
use aimate_core::{ErrorKind, Secret};
use aimate_providers::{BraveSearch, SearxngSearch, Transport};

use crate::server::{CANARY, Server, json as whole};

#[tokio::test]
async fn searxng_is_asked_for_json() {
    let body = r#"{"query":"q","results":[{"url":"https://a.example/","title":"A","content":"<b>x</b>","engine":"e",
        "publishedDate":"2026-05-01T00:00:00"},{"url":"https://b.example/","title":null},{"url":"https://c.example/"}]}"#;
    let server = Server::once(whole(body)).await;
    let search = SearxngSearch::new(Transport::new(), &format!("{}/search/", server.url));
    let found = search.search("a b&c=ü", 2).await.unwrap();
    let mut first = WebHit::new("A", "https://a.example/", "x");
    first.published = Some("2026-05-01T00:00:00".to_owned());
    assert_eq!(found, [first, WebHit::new("", "https://b.example/", "")]);
    assert_eq!(server.asked()[0].line, "GET /search?format=json&q=a%20b%26c%3D%C3%BC HTTP/1.1");
}

#[tokio::test]
async fn brave_is_asked_with_its_key() {
    let body = r#"{"web":{"results":[{"url":"https://a.example/","title":"A","description":"<strong>x</strong>","page_age":"2026-05-01"}]}}"#;
    let server = Server::once(whole(body)).await;
    let search = BraveSearch::at(Transport::new(), &server.url, Secret::new(CANARY));
    let found = search.search("q", 99).await.unwrap();
    assert_eq!((found[0].title.as_str(), found[0].snippet.as_str()), ("A", "x"));
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "GET /res/v1/web/search?count=20&q=q HTTP/1.1");
    assert!(
        asked.headers.contains(&format!("x-subscription-token: {}", CANARY.to_lowercase())),
        "{}",
        asked.headers
    );
    assert!(!asked.headers.contains("authorization"), "{}", asked.headers);
    let nothing = Server::once(whole(r#"{"type":"search"}"#)).await;
    let search = BraveSearch::at(Transport::new(), &nothing.url, Secret::new(CANARY));
    assert_eq!(search.search("q", 5).await.unwrap(), []);
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    for wrong in [r#"{"results":"x"}"#, r#"{"results":[{"title":"no address"}]}"#, "<html>no JSON</html>"] {
        let server = Server::once(whole(wrong)).await;
        let error = SearxngSearch::new(Transport::new(), &server.url).search("q", 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Upstream, "{wrong}: {error}");
    }
}
