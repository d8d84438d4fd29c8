//! What is sent to OpenAI-like servers.

use aimate_core::message::{MessageRole, Part, ToolCall, ToolResult};
use aimate_core::provider::{ChatRequest, Endpoint, ResponseFormat, Sampling, ToolChoice, ToolSpec};
use aimate_core::{ErrorKind, FileId};
use aimate_providers::OPENAI;
use serde_json::{Value, json};

use crate::server::{CANARY, Server, message, provider, question, sse};

const ANSWER: &str = r#"{"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}"#;

/// The body that `request` becomes, and the headers beside it.
async fn sent_to(request: &ChatRequest, change: impl FnOnce(&mut Endpoint)) -> (Value, String) {
    let server = Server::once(sse(&[ANSWER])).await;
    let mut endpoint = server.endpoint(OPENAI);
    change(&mut endpoint);
    drop(provider(&OPENAI).chat(&endpoint, request).await.unwrap());
    assert_eq!(server.asked()[0].line, "POST /chat/completions HTTP/1.1");
    (server.body(), server.asked()[0].headers.clone())
}

async fn sent(request: &ChatRequest) -> Value {
    sent_to(request, |_| ()).await.0
}

fn of(role: MessageRole, content: Vec<Part>) -> ChatRequest {
    ChatRequest { messages: vec![message(role, content)], ..question() }
}

fn weather() -> ToolSpec {
    ToolSpec {
        name: "weather".into(),
        description: "Tells.".into(),
        parameters: json!({"type": "object"}),
        strict: Some(true),
        extra: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn smallest_request() {
    let (body, headers) = sent_to(&question(), |_| ()).await;
    let expected = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}],
        "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(body, expected);
    for line in [
        &format!("authorization: bearer {CANARY}\r\n"),
        "content-type: application/json\r\n",
        "user-agent: aimate/",
    ] {
        assert!(headers.contains(line), "{headers}");
    }
    assert!(!headers.contains("cookie") && !headers.contains("accept-encoding"), "{headers}");
}

#[tokio::test]
async fn without_key_no_authorization_is_sent() {
    let (_, headers) = sent_to(&question(), |endpoint| {
        endpoint.api_key = None;
        endpoint.settings.organization = Some("org-1".into());
    })
    .await;
    assert!(
        !headers.contains("authorization") && headers.contains("openai-organization: org-1"),
        "{headers}"
    );
}

#[tokio::test]
async fn everything_is_sent_under_openais_names() {
    let request = ChatRequest {
        tools: vec![
            weather(),
            ToolSpec {
                name: "f".into(),
                description: String::new(),
                parameters: Value::Null,
                strict: None,
                extra: serde_json::Map::new(),
            },
        ],
        tool_choice: Some(ToolChoice::Tool("weather".into())),
        parallel_tool_calls: Some(false),
        response_format: Some(ResponseFormat::JsonSchema {
            name: "s".into(),
            schema: json!({"type": "object"}),
            strict: Some(true),
        }),
        sampling: Sampling {
            temperature: Some(0.5),
            top_p: Some(0.9),
            max_tokens: Some(7),
            stop: vec!["END".into()],
            seed: Some(1),
            frequency_penalty: Some(0.1),
            presence_penalty: Some(0.2),
            reasoning_effort: Some("low".into()),
        },
        stream: false,
        extra: json!({"user": "u", "seed": 9, "model": "other", "n": 1}).as_object().unwrap().clone(),
        ..question()
    };
    let expected = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": false,
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "Tells.", "parameters": {"type": "object"}, "strict": true}},
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "weather"}}, "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": true}},
        "temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "stop": ["END"], "seed": 1,
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "reasoning_effort": "low", "user": "u", "n": 1,
    });
    let server = Server::once(crate::server::json(r#"{"choices":[{"message":{"content":"ok"}}]}"#)).await;
    drop(provider(&OPENAI).chat(&server.endpoint(OPENAI), &request).await.unwrap());
    assert_eq!(server.body(), expected);
}

#[tokio::test]
async fn choice_without_tools_is_not_sent() {
    let request = ChatRequest {
        tool_choice: Some(ToolChoice::Auto),
        parallel_tool_calls: Some(true),
        response_format: Some(ResponseFormat::JsonObject),
        ..question()
    };
    let body = sent(&request).await;
    assert!(body.get("tool_choice").is_none() && body.get("parallel_tool_calls").is_none());
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
}

#[tokio::test]
async fn text_alone_is_a_string_unless_parts_are_wanted() {
    let request = of(MessageRole::User, vec![Part::text("a"), Part::text("b")]);
    assert_eq!(sent(&request).await["messages"], json!([{"role": "user", "content": "ab"}]));
    let (body, _) = sent_to(&request, |endpoint| {
        endpoint.settings.text_as_parts = Some(true);
    })
    .await;
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    );
}

#[tokio::test]
async fn images_go_by_address_or_as_data() {
    let image = |url: Option<&str>, data: Option<&str>| Part::Image {
        url: url.map(Into::into),
        data: data.map(Into::into),
        media_type: Some("image/jpeg".into()),
    };
    let request = of(
        MessageRole::User,
        vec![Part::text("?"), image(Some("https://x/a.png"), None), image(None, Some("aGk="))],
    );
    let expected = json!([
        {"type": "text", "text": "?"},
        {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,aGk="}},
    ]);
    assert_eq!(sent(&request).await["messages"][0]["content"], expected);
}

#[tokio::test]
async fn calls_and_results_become_messages() {
    let call = |id: &str, arguments| Part::ToolCall(ToolCall::new(id, "f", arguments));
    let result = |id: &str, output| Part::ToolResult(ToolResult::new(id, output));
    let mut request = question();
    request.messages = vec![
        message(MessageRole::System, vec![Part::text("Be brief.")]),
        message(
            MessageRole::Assistant,
            vec![
                Part::Reasoning { text: "Hm".into(), details: Some(json!([1])) },
                Part::text("Let me see."),
                call("a", json!({"x": 1})),
                call("b", json!("{oops")),
            ],
        ),
        message(MessageRole::Tool, vec![result("a", json!("sunny")), result("b", json!({"t": 2}))]),
        message(
            MessageRole::Assistant,
            vec![call("c", json!({})), result("c", json!(null)), Part::text("Done.")],
        ),
    ];
    let wire_call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Let me see.", "reasoning_content": "Hm", "reasoning_details": [1],
            "tool_calls": [wire_call("a", "{\"x\":1}"), wire_call("b", "{oops")]},
        {"role": "tool", "tool_call_id": "a", "content": "sunny"},
        {"role": "tool", "tool_call_id": "b", "content": "{\"t\":2}"},
        {"role": "assistant", "content": null, "tool_calls": [wire_call("c", "{}")]},
        {"role": "tool", "tool_call_id": "c", "content": "null"},
        {"role": "assistant", "content": "Done."},
    ]);
    assert_eq!(sent(&request).await["messages"], expected);
}

#[tokio::test]
async fn file_is_unsupported() {
    let file = Part::File { file_id: uuid(), name: "a.pdf".into(), media_type: "application/pdf".into() };
    let endpoint = crate::server::endpoint_at("http://127.0.0.1:9", OPENAI);
    let error = provider(&OPENAI).chat(&endpoint, &of(MessageRole::User, vec![file])).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("a.pdf"));
}

fn uuid() -> FileId {
    "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
}
