//! What OPENROUTER does otherwise than OpenAI.

use aimate_core::ErrorKind;
use aimate_core::message::{MessageRole, Part};
use aimate_core::provider::ProviderEvent::{Finish, Reasoning, ReasoningDetails, Text, Usage};
use aimate_core::provider::{ChatRequest, FinishReason, Sampling};
use aimate_core::usage::{Cost, TokenUsage};
use aimate_providers::OPENROUTER;
use serde_json::json;

use crate::server::{Server, ask, collect, events, message, provider, question, sse, stream};

const FINISH: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"STOP"}]}"#;

#[tokio::test]
async fn headers_and_reasoning_are_sent() {
    let server = Server::once(sse(&[r#"{"choices":[{"index":0,"delta":{"content":"ok"}}]}"#, FINISH])).await;
    let mut request = ChatRequest {
        sampling: Sampling {
            reasoning_effort: Some("high".into()),
            max_tokens: Some(5),
            ..Sampling::default()
        },
        extra: json!({"provider": {"order": ["x"]}, "models": ["a/b"]}).as_object().unwrap().clone(),
        ..question()
    };
    let thought = Part::Reasoning {
        text: "Hm".into(),
        details: Some(json!([{"type": "reasoning.text", "text": "Hm"}])),
    };
    request.messages.push(message(MessageRole::Assistant, vec![thought, Part::text("Hallo")]));
    let answer = provider(&OPENROUTER).chat(&server.endpoint(OPENROUTER), &request).await.unwrap();
    collect(answer).await.unwrap();
    let headers = &server.asked()[0].headers;
    assert!(headers.contains("http-referer: https://") && headers.contains("x-title: aimate"), "{headers}");
    let body = server.body();
    assert_eq!(body["reasoning"], json!({"effort": "high"}));
    assert_eq!(
        (&body["max_tokens"], &body["provider"]["order"][0], &body["models"][0]),
        (&json!(5), &json!("x"), &json!("a/b"))
    );
    let expected = json!({"role": "assistant", "content": "Hallo", "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]});
    assert_eq!(body["messages"][1], expected);
}

#[tokio::test]
async fn comments_cost_and_details_are_read() {
    let body = format!(
        ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n{}data: [DONE]\n\n",
        events(&[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Hm","reasoning_details":[{"type":"reasoning.summary","summary":"Hm","index":0}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hallo"}}]}"#,
            FINISH,
            r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4,"cost":0.00014,"cost_details":{"upstream_inference_cost":null},"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":2}}}"#,
        ])
    );
    let (found, error) = ask(OPENROUTER, stream(&body), &question()).await;
    assert!(error.is_none(), "{error:?}");
    let usage = TokenUsage {
        input_tokens: 10,
        output_tokens: 4,
        cached_tokens: 8,
        reasoning_tokens: 2,
        cost: Some(Cost::from_dollars(0.00014)),
        estimated: false,
    };
    let details = json!([{"type": "reasoning.summary", "summary": "Hm", "index": 0}]);
    let expected = [
        Reasoning("Hm".into()),
        Text("Hallo".into()),
        ReasoningDetails(details),
        Usage(usage),
        Finish(FinishReason::Stop),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn errors_in_mid_stream_are_numbers() {
    for (data, kind) in [
        (
            r#"{"id":"g","error":{"code":429,"message":"Rate limit"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#,
            ErrorKind::RateLimited,
        ),
        (
            r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"Provider disconnected","metadata":{"provider_name":"x"}}}]}"#,
            ErrorKind::Upstream,
        ),
        (
            r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","native_finish_reason":"x"}]}"#,
            ErrorKind::Upstream,
        ),
        (r#"{"error":{"code":402,"message":"Insufficient credits"},"user_id":"u"}"#, ErrorKind::Upstream),
        (r#"{"error":{"code":408,"message":"Timed out"}}"#, ErrorKind::Timeout),
    ] {
        let (_, error) = ask(OPENROUTER, sse(&[data]), &question()).await;
        assert_eq!(error.expect(data).kind(), kind, "{data}");
    }
}

#[tokio::test]
async fn error_in_the_body_of_a_200_is_an_error() {
    let script = crate::server::json(r#"{"error":{"code":503,"message":"No provider available"}}"#);
    let (_, error) = ask(OPENROUTER, script, &ChatRequest { stream: false, ..question() }).await;
    let error = error.unwrap();
    assert!(
        error.kind() == ErrorKind::Upstream && error.message().contains("No provider available"),
        "{error}"
    );
}
