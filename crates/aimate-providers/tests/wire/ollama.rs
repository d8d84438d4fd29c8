//! OLLAMA's native chat API.

use aimate_core::message::{MessageRole, Part, ToolCall, ToolResult};
use aimate_core::provider::ProviderEvent::{Finish, Reasoning, Text, Usage, Warning};
use aimate_core::provider::{
    ChatRequest, FinishReason, ProviderEvent, ResponseFormat, Sampling, ToolChoice, ToolSpec,
};
use aimate_core::usage::TokenUsage;
use aimate_core::{ErrorKind, WarningCode};
use aimate_providers::OLLAMA;
use serde_json::{Value, json};

use crate::server::{
    Script, Server, Step, answer, ask, chunk, collect, end, head, message, pieces, provider, question, stream,
};

const HALLO: &str = r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Hallo"},"done":false}"#;
const DONE: &str = r#"{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":5,"prompt_eval_count":11,"eval_count":3}"#;

fn lines(lines: &[&str]) -> Script {
    stream(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

async fn read(all: &[&str]) -> Vec<ProviderEvent> {
    let (events, error) = ask(OLLAMA, lines(all), &question()).await;
    assert!(error.is_none(), "{error:?} after {events:?}");
    events
}

fn usage(input_tokens: u64, output_tokens: u64) -> ProviderEvent {
    Usage(TokenUsage { input_tokens, output_tokens, ..TokenUsage::default() })
}

async fn sent(request: &ChatRequest) -> Value {
    let server = Server::once(lines(&[HALLO, DONE])).await;
    drop(provider(&OLLAMA).chat(&server.endpoint(OLLAMA), request).await.unwrap());
    assert_eq!(server.asked()[0].line, "POST /api/chat HTTP/1.1");
    server.body()
}

#[tokio::test]
async fn text_usage_and_reason_are_read() {
    let expected = [Text("Hallo".into()), usage(11, 3), Finish(FinishReason::Stop)];
    assert_eq!(read(&[HALLO, "", DONE]).await, expected);
}

#[tokio::test]
async fn any_split_gives_the_same_events() {
    let body = [
        r#"{"message":{"role":"assistant","content":"","thinking":"Hm ä"},"done":false}"#,
        r#"{"message":{"role":"assistant","content":"Grüße 😀"},"done":false}"#,
        r#"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"f","arguments":{"x":1}}}]},"done":false}"#,
        DONE,
    ]
    .map(|line| format!("{line}\r\n"))
    .concat();
    let call = ToolCall::new("call_1", "f", json!({"x": 1}));
    let expected = [
        Reasoning("Hm ä".into()),
        Text("Grüße 😀".into()),
        ProviderEvent::ToolCall(call),
        usage(11, 3),
        Finish(FinishReason::ToolCalls),
    ];
    let scripts: Vec<Script> =
        (0..=body.len()).map(|at| pieces(&[&body.as_bytes()[..at], &body.as_bytes()[at..]])).collect();
    let (tries, server) = (scripts.len(), Server::start(scripts).await);
    let (provider, endpoint) = (provider(&OLLAMA), server.endpoint(OLLAMA));
    for at in 0..tries {
        let answer = provider.chat(&endpoint, &question()).await.unwrap();
        assert_eq!(collect(answer).await.unwrap(), expected, "split at {at}");
    }
}

#[tokio::test]
async fn plain_answer_gives_the_same_events() {
    let body = r#"{"message":{"role":"assistant","content":"Hallo","thinking":"Hm"},"done":true,"done_reason":"stop","prompt_eval_count":11,"eval_count":3}"#;
    let request = ChatRequest { stream: false, ..question() };
    let (found, error) = ask(OLLAMA, crate::server::json(body), &request).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        found,
        [Reasoning("Hm".into()), Text("Hallo".into()), usage(11, 3), Finish(FinishReason::Stop)]
    );
}

#[tokio::test]
async fn window_is_always_asked_for() {
    assert_eq!(sent(&question()).await["options"], json!({"num_ctx": 8192}));
    let request = ChatRequest { context_window: Some(16_384), ..question() };
    assert_eq!(sent(&request).await["options"]["num_ctx"], 16_384);
    let server = Server::once(lines(&[DONE])).await;
    let mut endpoint = server.endpoint(OLLAMA);
    endpoint.settings.context_window = Some(4_096);
    endpoint.settings.keep_alive = Some("10m".into());
    drop(provider(&OLLAMA).chat(&endpoint, &question()).await.unwrap());
    assert_eq!(
        (&server.body()["options"]["num_ctx"], &server.body()["keep_alive"]),
        (&json!(4_096), &json!("10m"))
    );
}

#[tokio::test]
async fn everything_is_sent_under_ollamas_names() {
    let request = ChatRequest {
        tools: vec![ToolSpec {
            name: "f".into(),
            description: "d".into(),
            parameters: json!({"type": "object"}),
            strict: None,
            extra: serde_json::Map::new(),
        }],
        response_format: Some(ResponseFormat::JsonSchema {
            name: "s".into(),
            schema: json!({"type": "object"}),
            strict: None,
        }),
        sampling: Sampling {
            temperature: Some(0.5),
            max_tokens: Some(7),
            stop: vec!["END".into()],
            seed: Some(1),
            reasoning_effort: Some("high".into()),
            ..Sampling::default()
        },
        extra: json!({"logit_bias": {}}).as_object().unwrap().clone(),
        ..question()
    };
    let expected = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": true,
        "options": {"num_ctx": 8192, "temperature": 0.5, "num_predict": 7, "stop": ["END"], "seed": 1},
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
        "format": {"type": "object"}, "think": true,
    });
    assert_eq!(sent(&request).await, expected);
    let gpt_oss = ChatRequest {
        model: "gpt-oss:20b".into(),
        response_format: Some(ResponseFormat::JsonObject),
        ..request
    };
    let body = sent(&gpt_oss).await;
    assert_eq!((&body["think"], &body["format"]), (&json!("high"), &json!("json")));
}

#[tokio::test]
async fn choice_of_tools_is_kept_as_far_as_ollama_can() {
    let tool = |name: &str| ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: Value::Null,
        strict: None,
        extra: serde_json::Map::new(),
    };
    let request =
        |choice| ChatRequest { tools: vec![tool("f"), tool("g")], tool_choice: Some(choice), ..question() };
    assert!(sent(&request(ToolChoice::None)).await.get("tools").is_none());
    let one = sent(&request(ToolChoice::Tool("g".into()))).await;
    assert_eq!(
        (one["tools"].as_array().unwrap().len(), &one["tools"][0]["function"]["name"]),
        (1, &json!("g"))
    );
    let (found, _) = ask(OLLAMA, lines(&[HALLO, DONE]), &request(ToolChoice::Required)).await;
    assert!(matches!(&found[0], Warning { code: WarningCode::ToolChoiceIgnored, .. }), "{found:?}");
}

#[tokio::test]
async fn calls_results_and_images_become_messages() {
    let call = ToolCall::new("a", "weather", json!({"x": 1}));
    let broken = ToolCall::new("b", "weather", json!("{oops"));
    let mut request = question();
    request.messages = vec![
        message(
            MessageRole::User,
            vec![
                Part::text("?"),
                Part::Image { url: None, data: Some("aGk=".into()), media_type: Some("image/png".into()) },
            ],
        ),
        message(
            MessageRole::Assistant,
            vec![
                Part::Reasoning { text: "Hm".into(), details: None },
                Part::ToolCall(call),
                Part::ToolCall(broken),
            ],
        ),
        message(MessageRole::Tool, vec![Part::ToolResult(ToolResult::new("a", json!({"t": 2})))]),
    ];
    let expected = json!([
        {"role": "user", "content": "?", "images": ["aGk="]},
        {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [
            {"id": "a", "function": {"name": "weather", "arguments": {"x": 1}}},
            {"id": "b", "function": {"name": "weather", "arguments": {"arguments": "{oops"}}},
        ]},
        {"role": "tool", "tool_name": "weather", "tool_call_id": "a", "content": "{\"t\":2}"},
    ]);
    assert_eq!(sent(&request).await["messages"], expected);
}

#[tokio::test]
async fn image_by_address_is_unsupported() {
    let image = Part::Image { url: Some("https://x/a.png".into()), data: None, media_type: None };
    let request = ChatRequest { messages: vec![message(MessageRole::User, vec![image])], ..question() };
    let endpoint = crate::server::endpoint_at("http://127.0.0.1:9", OLLAMA);
    let error = provider(&OLLAMA).chat(&endpoint, &request).await.err().unwrap();
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("`data`"), "{error}");
}

#[tokio::test]
async fn calls_come_whole_and_get_ids() {
    let line = r#"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":"a\u0000"}}},{"id":"own","function":{"name":"g","arguments":"{\"y\":2}"}},{"function":{"name":"h"}}]},"done":false}"#;
    let found = read(&[line, DONE]).await;
    let call = |id: &str, name: &str, arguments| ProviderEvent::ToolCall(ToolCall::new(id, name, arguments));
    let calls = [
        call("call_1", "f", json!({"x": "a"})),
        call("own", "g", json!({"y": 2})),
        call("call_2", "h", json!({})),
    ];
    assert_eq!((&found[..3], &found[4]), (&calls[..], &Finish(FinishReason::ToolCalls)));
}

#[tokio::test]
async fn each_done_reason_is_told() {
    for (reason, expected) in [
        (r#","done_reason":"stop""#, FinishReason::Stop),
        (r#","done_reason":"length""#, FinishReason::Length),
        (r#","done_reason":"load""#, FinishReason::Other("load".into())),
        (r#","done_reason":"unload""#, FinishReason::Other("unload".into())),
        ("", FinishReason::Stop),
    ] {
        let done = format!(r#"{{"message":{{"role":"assistant","content":""}},"done":true{reason}}}"#);
        assert_eq!(read(&[HALLO, &done]).await, [Text("Hallo".into()), Finish(expected)]);
    }
}

#[tokio::test]
async fn thoughts_in_tags_are_thoughts() {
    let line = r#"{"message":{"role":"assistant","content":"<think>Hm</think>Hallo"},"done":false}"#;
    assert_eq!(read(&[line, DONE]).await[..2], [Reasoning("Hm".into()), Text("Hallo".into())]);
}

#[tokio::test]
async fn error_line_in_mid_stream_fails_after_what_came() {
    let (found, error) =
        ask(OLLAMA, lines(&[HALLO, r#"{"error":"llama runner process has terminated"}"#]), &question()).await;
    assert_eq!(found, [Text("Hallo".into())]);
    let error = error.unwrap();
    assert!(
        error.kind() == ErrorKind::Upstream
            && error.message().ends_with("llama runner process has terminated"),
        "{error}"
    );
}

#[tokio::test]
async fn refusals_are_told() {
    for (status, body, kind, words) in [
        (404, r#"{"error":"model 'm' not found"}"#, ErrorKind::NotFound, "no model `m`"),
        (
            400,
            r#"{"error":"\"m\" does not support thinking"}"#,
            ErrorKind::Invalid,
            "does not support thinking",
        ),
        (429, r#"{"error":"too many requests"}"#, ErrorKind::RateLimited, "too many requests"),
        (502, r#"{"error":"cloud model down"}"#, ErrorKind::Upstream, "cloud model down"),
        (
            500,
            r#"{"error":"input length exceeds maximum context length"}"#,
            ErrorKind::ContextOverflow,
            "does not fit",
        ),
    ] {
        let (_, error) = ask(OLLAMA, answer(status, &[], body), &question()).await;
        let error = error.unwrap();
        assert!(error.kind() == kind && error.message().contains(words), "{error}");
    }
}

#[tokio::test]
async fn end_without_done_is_an_error() {
    for script in [
        lines(&[HALLO]),
        vec![head(), chunk(format!("{HALLO}\n").as_bytes()), Step::Close],
        stream(&format!("{HALLO}\n{{\"mess")),
    ] {
        let (found, error) = ask(OLLAMA, script, &question()).await;
        assert_eq!(found, [Text("Hallo".into())]);
        assert!(error.unwrap().message().contains("broke off"));
    }
    for body in ["", "\n\n"] {
        assert!(ask(OLLAMA, stream(body), &question()).await.1.unwrap().message().contains("nothing"));
    }
    assert_eq!(ask(OLLAMA, lines(&["{}"]), &question()).await.1.unwrap().kind(), ErrorKind::Upstream);
    assert!(ask(OLLAMA, stream("<html>\n"), &question()).await.1.unwrap().message().contains("web page"));
}

#[tokio::test]
async fn last_line_may_lack_its_end() {
    let script = vec![head(), chunk(format!("{HALLO}\n{DONE}").as_bytes()), end()];
    let (found, error) = ask(OLLAMA, script, &question()).await;
    assert!(error.is_none() && found.len() == 3, "{found:?} {error:?}");
}

/// Whether a prompt of `bytes` letters in a window of 1,000 tokens is taken for
/// cut when the server says to have read `read` tokens.
async fn is_cut(bytes: usize, read: &str) -> bool {
    let request = ChatRequest {
        messages: vec![message(MessageRole::User, vec![Part::text("word ".repeat(bytes / 5))])],
        context_window: Some(1_000),
        ..question()
    };
    let done = format!(r#"{{"message":{{"content":"x"}},"done":true,{read}"eval_count":1}}"#);
    let (found, error) = ask(OLLAMA, lines(&[&done]), &request).await;
    assert!(error.is_none(), "{error:?}");
    found.iter().any(|event| matches!(event, Warning { code: WarningCode::ContextTruncated, .. }))
}

#[tokio::test]
async fn silent_truncation_is_warned_of() {
    assert!(is_cut(10_000, r#""prompt_eval_count":1000,"#).await);
    assert!(is_cut(10_000, r#""prompt_eval_count":980,"#).await);
}

#[tokio::test]
async fn cached_or_fitting_prompts_are_not_warned_of() {
    assert!(!is_cut(10_000, r#""prompt_eval_count":20,"#).await, "a cached prompt");
    assert!(!is_cut(10_000, "").await, "a wholly cached prompt");
    assert!(!is_cut(3_900, r#""prompt_eval_count":1000,"#).await, "a prompt that just fits");
    assert!(!is_cut(500, r#""prompt_eval_count":110,"#).await, "a short prompt");
}
