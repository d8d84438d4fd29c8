//! Vectors: in every form that servers write them, and never wrong ones.

use aimate_core::ErrorKind;
use aimate_core::provider::{Embeddings, ProviderId};
use aimate_providers::{OLLAMA, OPENAI, OPENROUTER};
use serde_json::json;

use crate::server::{Script, Server, answer, json as whole, keeps_the_key, provider};

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("text {n}")).collect()
}

async fn embed(
    id: ProviderId,
    body: &str,
    count: usize,
    dimensions: Option<u32>,
) -> aimate_core::Result<Embeddings> {
    let server = Server::once(whole(body)).await;
    provider(&id).embed(&server.endpoint(id), "e", &texts(count), dimensions).await
}

async fn refused(body: &str, count: usize, dimensions: Option<u32>) -> String {
    let error = embed(OPENAI, body, count, dimensions).await.expect_err(body);
    keeps_the_key(&error);
    assert_eq!(error.kind(), ErrorKind::Upstream, "{error}");
    error.message().to_owned()
}

#[tokio::test]
async fn vectors_are_sorted_by_their_index() {
    let body = r#"{"data":[{"index":1,"embedding":[3,4.5]},{"index":0,"embedding":[1,-2e-1]}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let found = embed(OPENAI, body, 2, None).await.unwrap();
    assert_eq!(found.vectors, [[1.0, -0.2], [3.0, 4.5]]);
    assert_eq!(found.usage.input_tokens, 4);
}

#[tokio::test]
async fn base64_is_read_though_nobody_asked() {
    let body = r#"{"data":[{"index":0,"embedding":"AACAPwAAAMA="}]}"#;
    assert_eq!(embed(OPENAI, body, 1, None).await.unwrap().vectors, [[1.0, -2.0]]);
    assert!(refused(r#"{"data":[{"index":0,"embedding":"AACA"}]}"#, 1, None).await.contains("base64"));
}

#[tokio::test]
async fn request_names_model_texts_and_dimensions() {
    let server = Server::once(whole(r#"{"data":[{"embedding":[1,2]}]}"#)).await;
    let provider = provider(&OPENAI);
    provider.embed(&server.endpoint(OPENAI), "e", &texts(1), Some(2)).await.unwrap();
    assert_eq!(server.body(), json!({"model": "e", "input": ["text 0"], "dimensions": 2}));
    assert_eq!(server.asked()[0].line, "POST /embeddings HTTP/1.1");
}

#[tokio::test]
async fn nested_vectors_are_refused_with_a_reason() {
    let message = refused(r#"{"data":[{"index":0,"embedding":[ [1,2],[3,4]]}]}"#, 1, None).await;
    assert!(message.contains("for each token") && message.contains("pooling"), "{message}");
}

#[tokio::test]
async fn wrong_counts_and_indexes_are_refused() {
    let one = r#"{"data":[{"index":0,"embedding":[1]}]}"#;
    assert!(refused(one, 2, None).await.contains("1 vectors came for 2 texts"));
    assert!(refused(r#"{"data":[]}"#, 1, None).await.contains("0 vectors"));
    let double = r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}"#;
    assert!(refused(double, 2, None).await.contains("indexes"));
}

#[tokio::test]
async fn wrong_lengths_are_refused() {
    let uneven = r#"{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1]}]}"#;
    assert!(refused(uneven, 2, None).await.contains("1 numbers where 2"));
    assert!(
        refused(r#"{"data":[{"index":0,"embedding":[1,2]}]}"#, 1, Some(3))
            .await
            .contains("2 numbers where 3")
    );
    assert!(refused(r#"{"data":[{"index":0,"embedding":[]}]}"#, 1, None).await.contains("0 numbers"));
}

#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    for number in ["null", "1e999", "\"x\""] {
        let message =
            refused(&format!(r#"{{"data":[{{"index":0,"embedding":[{number}]}}]}}"#), 1, None).await;
        assert!(message.contains("not finite") || message.contains("not a list of"), "{message}");
    }
    // The float32 NaN in base64.
    assert!(
        refused(r#"{"data":[{"index":0,"embedding":"AADAfw=="}]}"#, 1, None).await.contains("not finite")
    );
    assert!(refused("<html>", 1, None).await.contains("web page"));
    assert!(refused(r#"{"error":{"message":"bad day"}}"#, 1, None).await.contains("bad day"));
}

#[tokio::test]
async fn many_texts_go_in_batches() {
    let reply = |count: usize, first: usize| -> Script {
        let data: Vec<_> = (0..count).map(|n| json!({"index": n, "embedding": [first + n]})).collect();
        whole(&json!({"data": data, "usage": {"prompt_tokens": count, "cost": 0.5}}).to_string())
    };
    let server = Server::start(vec![reply(256, 0), reply(44, 256)]).await;
    let found =
        provider(&OPENROUTER).embed(&server.endpoint(OPENROUTER), "e", &texts(300), None).await.unwrap();
    let flat: Vec<f32> = found.vectors.concat();
    assert!(flat.iter().zip(0_u16..).all(|(found, n)| *found == f32::from(n)) && flat.len() == 300);
    assert_eq!((found.usage.input_tokens, found.usage.cost.unwrap().dollars()), (300, 1.0));
    assert_eq!(server.asked()[1].body["input"].as_array().unwrap().len(), 44);
}

#[tokio::test]
async fn no_texts_ask_nobody() {
    let server = Server::once(whole("{}")).await;
    assert!(
        provider(&OPENAI).embed(&server.endpoint(OPENAI), "e", &[], None).await.unwrap().vectors.is_empty()
    );
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn ollama_embeds_without_cutting() {
    let server =
        Server::once(whole(r#"{"model":"e","embeddings":[[1,2],[3,4]],"prompt_eval_count":6}"#)).await;
    let mut endpoint = server.endpoint(OLLAMA);
    endpoint.settings.keep_alive = Some("5m".into());
    let found = provider(&OLLAMA).embed(&endpoint, "e", &texts(2), None).await.unwrap();
    assert_eq!((found.vectors, found.usage.input_tokens), (vec![vec![1.0, 2.0], vec![3.0, 4.0]], 6));
    assert_eq!(server.asked()[0].line, "POST /api/embed HTTP/1.1");
    assert_eq!(
        server.body(),
        json!({"model": "e", "input": ["text 0", "text 1"], "truncate": false, "keep_alive": "5m"})
    );
}

#[tokio::test]
async fn ollama_without_the_model_is_not_found() {
    let server =
        Server::once(answer(404, &[], r#"{"error":"model \"e\" not found, try pulling it first"}"#)).await;
    let error = provider(&OLLAMA).embed(&server.endpoint(OLLAMA), "e", &texts(1), None).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::NotFound && error.message().contains("try pulling it first"),
        "{error}"
    );
}
