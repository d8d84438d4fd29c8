//! Documents that are fetched by their address.

use std::sync::Arc;

use aimate_core::knowledge::{Fetched, Fetcher};
use aimate_core::{Error, Result};
use aimate_http::Options;
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::knowledge::{BOILER, COLLECTIONS, Library, UNKNOWN, field, library, library_with};

/// Knows one page.
struct OnePage;

#[async_trait]
impl Fetcher for OnePage {
    async fn fetch(&self, url: &str, max: u64) -> Result<Fetched> {
        assert_eq!(max, aimate_core::engine::MAX_BYTES);
        let pieces: Vec<Result<bytes::Bytes>> = match url {
            "http://example.org/boiler.md" => vec![Ok(BOILER.into())],
            "http://example.org/broken" => {
                vec![Ok(BOILER.into()), Err(Error::upstream("it broke off half-way"))]
            }
            "http://10.0.0.1/" => return Err(Error::forbidden("`url`: 10.0.0.1 is not a public address")),
            _ => return Err(Error::field("url", "leads to nothing")),
        };
        let media_type = Some("text/markdown; charset=utf-8".to_owned());
        Ok(Fetched::new("boiler.md", stream::iter(pieces).boxed()).media_type(media_type))
    }
}

async fn online() -> (Library, String) {
    let library = library_with([], Options::local(), |builder| builder.fetcher(Arc::new(OnePage))).await;
    let at = format!("{}/documents", library.collection("pages").await);
    (library, at)
}

#[tokio::test]
async fn address_becomes_a_document() {
    let (library, at) = online().await;
    let url = "http://example.org/boiler.md";
    let reply = library.bench.post(&at, json!({"url": url, "metadata": {"a": 1}})).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let document = library.ready(&reply.json()).await;
    assert_eq!((&document["name"], &document["source"]), (&json!("boiler.md"), &json!(url)));
    assert_eq!((&document["title"], &document["metadata"]), (&json!("Boiler"), &json!({"a": 1})));
    let again = library.bench.post(&at, json!({"url": url, "name": "The boiler"})).await.json();
    assert_eq!((&again["id"], &again["name"]), (&document["id"], &json!("The boiler")));
}

#[tokio::test]
async fn what_cannot_be_fetched_leaves_nothing() {
    let (library, at) = online().await;
    let bench = &library.bench;
    bench.post(&at, json!({"url": "http://10.0.0.1/"})).await.problem(403, "forbidden");
    bench.post(&at, json!({"url": "http://example.org/broken"})).await.problem(502, "upstream");
    for (body, wrong) in [
        (json!({"url": "http://example.org/none"}), "url"),
        (json!({"url": ""}), "url"),
        (json!({"url": "x".repeat(4_001)}), "url"),
        (json!({"url": "http://example.org/boiler.md", "name": "x".repeat(4_001)}), "name"),
        (json!({"url": 7}), "url"),
    ] {
        let problem = bench.post(&at, body).await.problem(400, "invalid");
        assert_eq!(field(&problem), wrong, "{problem}");
    }
    let unknown = format!("{COLLECTIONS}/{UNKNOWN}/documents");
    bench.post(&unknown, json!({"url": "http://example.org/boiler.md"})).await.problem(404, "not_found");
    library.nothing_stored().await;
}

#[tokio::test]
async fn without_a_fetcher_it_is_unsupported() {
    let library = library().await;
    let at = format!("{}/documents", library.collection("pages").await);
    library.bench.post(&at, json!({"url": "http://example.org/"})).await.problem(422, "unsupported");
}
