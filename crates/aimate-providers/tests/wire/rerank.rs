//! Rerankers: both shapes, and answers that must not be believed.

use aimate_core::knowledge::Reranker;
use aimate_core::{ErrorKind, Secret};
use aimate_providers::{HttpReranker, RerankShape, Transport};
use serde_json::json;

use crate::server::{CANARY, Server, json as whole};

async fn rerank(shape: RerankShape, body: &str) -> (aimate_core::Result<Vec<f32>>, Server) {
    let server = Server::once(whole(body)).await;
    let reranker = HttpReranker::new(Transport::new(), shape, &server.url);
    let reranker = reranker.model("r").api_key(Secret::new(CANARY));
    let scores = reranker.rerank("q", &["a".to_owned(), "b".to_owned()]).await;
    (scores, server)
}

#[tokio::test]
async fn cohere_scores_are_put_in_the_order_of_the_passages() {
    let body = r#"{"results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1}]}"#;
    let (scores, server) = rerank(RerankShape::Cohere, body).await;
    assert_eq!(scores.unwrap(), [0.1, 0.9]);
    assert_eq!(server.body(), json!({"model": "r", "query": "q", "documents": ["a", "b"], "top_n": 2}));
    assert_eq!(server.asked()[0].line, "POST /rerank HTTP/1.1");
}

#[tokio::test]
async fn tei_answers_a_bare_list() {
    let (scores, server) =
        rerank(RerankShape::Tei, r#"[{"index":0,"score":-3},{"index":1,"score":2}]"#).await;
    assert_eq!(scores.unwrap(), [-3.0, 2.0]);
    assert_eq!(server.body()["texts"], json!(["a", "b"]));
}

#[tokio::test]
async fn scores_that_do_not_fit_are_refused() {
    for wrong in [
        r#"[{"index":0,"score":1}]"#,
        r#"[{"index":0,"score":1},{"index":7,"score":1}]"#,
        r#"{"results":"x"}"#,
        "<html>",
    ] {
        let error = rerank(RerankShape::Tei, wrong).await.0.expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::Upstream, "{error}");
        assert!(!format!("{error:?}").contains(CANARY));
    }
}
