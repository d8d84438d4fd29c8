//! How OpenAI-like answers are read: each departure from OpenAI's own wire that
//! some server is known for.

use aimate_core::message::{MessageRole, Part, ToolCall};
use aimate_core::provider::ProviderEvent::{Finish, Reasoning, ReasoningDetails, Text, Usage, Warning};
use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::usage::TokenUsage;
use aimate_core::{Error, ErrorKind, WarningCode};
use aimate_providers::OPENAI;
use serde_json::{Value, json};

use crate::server::{
    Script, Server, Step, answer, ask, chunk, events, head, json, message, pieces, provider, question, sse,
    stream,
};

fn text(text: &str) -> ProviderEvent {
    Text(text.into())
}

fn call(id: &str, name: &str, arguments: Value) -> ProviderEvent {
    ProviderEvent::ToolCall(ToolCall::new(id, name, arguments))
}

fn usage(input_tokens: u64, output_tokens: u64) -> ProviderEvent {
    Usage(TokenUsage { input_tokens, output_tokens, ..TokenUsage::default() })
}

const STOP: ProviderEvent = Finish(FinishReason::Stop);
const CALLS: ProviderEvent = Finish(FinishReason::ToolCalls);
const HALLO: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hallo"}}]}"#;
const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

/// The events of a stream of `data` that ends in `[DONE]`.
async fn read(data: &[&str]) -> Vec<ProviderEvent> {
    play(sse(data)).await
}

async fn play(script: Script) -> Vec<ProviderEvent> {
    let (events, error) = ask(OPENAI, script, &question()).await;
    assert!(error.is_none(), "{error:?} after {events:?}");
    events
}

async fn fails(script: Script) -> (Vec<ProviderEvent>, Error) {
    let (events, error) = ask(OPENAI, script, &question()).await;
    (events, error.expect("an error"))
}

fn delta(delta: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)
}

/// The events of a stream of these `tool_calls` deltas.
async fn calls(deltas: &[&str]) -> Vec<ProviderEvent> {
    let deltas: Vec<String> =
        deltas.iter().map(|calls| delta(&format!(r#"{{"tool_calls":{calls}}}"#))).collect();
    let mut data: Vec<&str> = deltas.iter().map(String::as_str).collect();
    data.push(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#);
    read(&data).await
}

#[tokio::test]
async fn endless_arguments_are_cut_at_their_limit() {
    let first = delta(
        r#"{"content":"So:","tool_calls":[{"index":0,"id":"c","function":{"name":"say","arguments":"{\"a\":\""}}]}"#,
    );
    let more = delta(&format!(
        r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{}"}}}}]}}"#,
        "x".repeat(64_000)
    ));
    let open = [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".as_slice(),
        events(&[&first]).as_bytes(),
    ]
    .concat();
    let found = play(vec![Step::Send(open), Step::Flood(events(&[&more]).into_bytes())]).await;
    let [said, Warning { code, detail }, Warning { .. }, Finish(FinishReason::Length)] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!(*said, text("So:"));
    assert_eq!(*code, WarningCode::AnswerCut);
    assert_eq!(detail, "the answer was cut at the limit of 1048576 bytes of arguments of one tool call");
}

#[tokio::test]
async fn endless_details_of_reasoning_are_dropped() {
    let detail =
        delta(&format!(r#"{{"reasoning_details":[{{"type":"x","data":"{}"}}]}}"#, "y".repeat(1 << 20)));
    let data = [detail.as_str(), &detail, &detail, &detail, &detail, HALLO, FINISH];
    assert_eq!(read(&data).await, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn text_usage_and_reason_are_read() {
    let found = read(&[
        r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}"#,
        HALLO,
        r#"{"choices":[{"index":0,"delta":{"content":" \"Welt\" \u00e4"},"finish_reason":null}]}"#,
        FINISH,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
    ])
    .await;
    let usage = TokenUsage {
        input_tokens: 9,
        output_tokens: 3,
        cached_tokens: 4,
        reasoning_tokens: 1,
        ..TokenUsage::default()
    };
    assert_eq!(found, [text("Hallo"), text(" \"Welt\" ä"), Usage(usage), STOP]);
}

#[tokio::test]
async fn any_split_gives_the_same_events() {
    let body = events(&[
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"<think>Hm ä</think>"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"Grüße 😀"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":"tool_calls"}]}"#,
    ]) + ": bye\r\n\r\ndata: [DONE]\r\n\r\n";
    let expected = [Reasoning("Hm ä".into()), text("Grüße 😀"), call("a", "f", json!({"x": 1})), CALLS];
    let scripts = (0..=body.len()).map(|at| pieces(&[&body.as_bytes()[..at], &body.as_bytes()[at..]]));
    let scripts: Vec<Script> =
        scripts.chain([pieces(&body.as_bytes().chunks(1).collect::<Vec<_>>())]).collect();
    let (tries, server) = (scripts.len(), Server::start(scripts).await);
    let (provider, endpoint) = (provider(&OPENAI), server.endpoint(OPENAI));
    for at in 0..tries {
        let answer = provider.chat(&endpoint, &question()).await.unwrap();
        let found = crate::server::collect(answer).await.unwrap();
        let merged = found.into_iter().fold(Vec::new(), |mut all: Vec<ProviderEvent>, event| {
            match (all.last_mut(), event) {
                (Some(Reasoning(all)), Reasoning(more)) => all.push_str(&more),
                (_, event) => all.push(event),
            }
            all
        });
        assert_eq!(merged, expected, "split at {at}");
    }
}

#[tokio::test]
async fn comments_crlf_and_data_of_several_lines_are_read() {
    let body = ": OPENROUTER PROCESSING\r\n\r\ndata: {\"choices\":[{\"index\":0,\r\ndata: \"delta\":{\"content\":\"Hallo\"}}]}\r\n\r\n: x\n\nevent: message\rid: 1\rretry: 5\rdata: ";
    let found = play(stream(&format!("{body}{FINISH}\r\rdata: [DONE]\n\n"))).await;
    assert_eq!(found, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn azure_chunks_without_choices_or_delta_are_skipped() {
    let found = read(&[
        r#"{"id":"","model":"","created":0,"object":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
        HALLO,
        r#"{"choices":[{"index":0,"finish_reason":null,"content_filter_offsets":{}}]}"#,
        r#"{"choices":null}"#,
        FINISH,
    ])
    .await;
    assert_eq!(found, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn nulls_and_odd_types_are_nothing() {
    let found = read(&[
        r#"{"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":null,"function_call":null,"reasoning":null,"refusal":null},"finish_reason":null}],"usage":null,"error":null}"#,
        r#"{"choices":[{"index":null,"delta":null,"finish_reason":""}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Hallo"}]}}],"usage":{"prompt_tokens":null}}"#,
        FINISH,
    ])
    .await;
    assert_eq!(found, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn usage_is_read_wherever_it_stands() {
    let in_finish = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    assert_eq!(read(&[HALLO, in_finish]).await, [text("Hallo"), usage(5, 2), STOP]);
    let beside_delta =
        r#"{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    assert_eq!(read(&[HALLO, FINISH, beside_delta]).await, [text("Hallo"), usage(5, 2), STOP]);
    assert_eq!(read(&[beside_delta, HALLO, FINISH]).await, [text("Hallo"), usage(5, 2), STOP]);
    assert_eq!(read(&[HALLO, FINISH]).await, [text("Hallo"), STOP]);
    let running = r#"{"choices":[{"index":0,"delta":{"content":"!"}}],"usage":{"prompt_tokens":"5","completion_tokens":1.0}}"#;
    assert_eq!(read(&[running, FINISH]).await, [text("!"), usage(5, 1), STOP]);
}

#[tokio::test]
async fn chunk_after_finish_without_reason_changes_nothing() {
    let found = read(&[HALLO, FINISH, r#"{"choices":[{"index":0,"delta":{}}]}"#]).await;
    assert_eq!(found, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn other_choices_are_ignored() {
    let other = r#"{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"}]}"#;
    assert_eq!(read(&[HALLO, other, FINISH]).await, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn call_is_put_together_from_pieces() {
    let found = calls(&[
        r#"[{"index":0,"id":"call_a","type":"function","function":{"name":"weather","arguments":""}}]"#,
        r#"[{"index":0,"function":{"arguments":"{\"ci"}}]"#,
        r#"[{"index":0,"function":{"arguments":"ty\":\"Köln\"}"}}]"#,
    ])
    .await;
    assert_eq!(found, [call("call_a", "weather", json!({"city": "Köln"})), CALLS]);
}

#[tokio::test]
async fn name_and_id_repeated_in_every_delta_are_taken_once() {
    let piece = |arguments: &str| {
        format!(
            r#"[{{"index":0,"id":"call__0","type":"function","function":{{"name":"get_weather","arguments":"{arguments}"}}}}]"#
        )
    };
    let found = calls(&[&piece(" { "), &piece(r#"\"a\""#), &piece(": 1 }")]).await;
    assert_eq!(found, [call("call__0", "get_weather", json!({"a": 1})), CALLS]);
}

#[tokio::test]
async fn interleaved_indexes_make_calls_in_order() {
    let found = calls(&[
        r#"[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}]"#,
        r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1"}},{"index":1,"function":{"arguments":":2}"}}]"#,
        r#"[{"index":0,"function":{"arguments":"}"}}]"#,
    ])
    .await;
    assert_eq!(found, [call("a", "f", json!({"x": 1})), call("b", "g", json!({"y": 2})), CALLS]);
}

#[tokio::test]
async fn calls_all_numbered_zero_are_told_apart() {
    let found = calls(&[
        r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]"#,
        r#"[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]"#,
    ])
    .await;
    assert_eq!(found, [call("a", "f", json!({"x": 1})), call("b", "g", json!({})), CALLS]);
}

#[tokio::test]
async fn calls_without_index_are_told_apart() {
    let found = calls(&[
        r#"[{"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]"#,
        r#"[{"function":{"arguments":"1}"}}]"#,
        r#"[{"function":{"name":"g","arguments":"{}"}}]"#,
    ])
    .await;
    assert_eq!(found, [call("a", "f", json!({"x": 1})), call("call_1", "g", json!({})), CALLS]);
}

#[tokio::test]
async fn missing_ids_are_made_and_new_in_the_prompt() {
    let mut request = question();
    let old = ToolCall::new("call_7", "f", json!({}));
    request.messages.push(message(MessageRole::Assistant, vec![Part::ToolCall(old)]));
    let deltas = delta(
        r#"{"tool_calls":[{"index":0,"function":{"name":"f"}},{"index":1,"id":"","function":{"name":"g","arguments":null}},{"index":2,"id":"x","function":{"name":"h"}},{"index":3,"id":"x","function":{"name":"i"}}]}"#,
    );
    let (found, _) = ask(OPENAI, sse(&[&deltas]), &request).await;
    let ids: Vec<_> = found
        .iter()
        .filter_map(
            |event| {
                if let ProviderEvent::ToolCall(call) = event { Some(call.id.as_str()) } else { None }
            },
        )
        .collect();
    assert_eq!(ids, ["call_8", "call_9", "x", "call_10"]);
}

#[tokio::test]
async fn arguments_may_be_empty_an_object_or_broken() {
    let found = calls(&[
        r#"[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]"#,
        r#"[{"index":1,"id":"b","function":{"name":"f","arguments":{"x":[1]}}}]"#,
        r#"[{"index":2,"id":"c","function":{"name":"f","arguments":"{oops"}}]"#,
        r#"[{"index":3,"id":"d","function":{"name":"f","arguments":"{\"x\":\"a\\u0000b\"}"}}]"#,
    ])
    .await;
    let expected = [
        call("a", "f", json!({})),
        call("b", "f", json!({"x": [1]})),
        call("c", "f", json!("{oops")),
        call("d", "f", json!({"x": "ab"})),
        CALLS,
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn presence_of_calls_decides_not_the_reason() {
    let with_call = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"#;
    assert_eq!(read(&[with_call]).await, [call("a", "f", json!({})), CALLS]);
    let without = r#"{"choices":[{"index":0,"delta":{"content":"Hallo"},"finish_reason":"tool_calls"}]}"#;
    assert_eq!(read(&[without]).await, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn call_cut_off_by_the_limit_is_not_made() {
    let half = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]},"finish_reason":"length"}]}"#;
    let found = read(&[half]).await;
    assert!(
        matches!(
            &found[..],
            [Warning { code: WarningCode::ToolCallTruncated, .. }, Finish(FinishReason::Length)]
        ),
        "{found:?}"
    );
}

#[tokio::test]
async fn legacy_function_call_counts_only_without_tool_calls() {
    let both = delta(
        r#"{"function_call":{"name":"f","arguments":"{}"},"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
    );
    assert_eq!(read(&[&both, FINISH]).await, [call("a", "f", json!({})), CALLS]);
    let pieces = [
        delta(r#"{"function_call":{"name":"f","arguments":"{\"a\""}}"#),
        delta(r#"{"function_call":{"arguments":":1}"}}"#),
    ];
    let finish = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"function_call"}]}"#;
    assert_eq!(read(&[&pieces[0], &pieces[1], finish]).await, [call("call_1", "f", json!({"a": 1})), CALLS]);
}

#[tokio::test]
async fn filter_and_refusal_are_told() {
    let filter = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#;
    assert_eq!(read(&[HALLO, filter]).await, [text("Hallo"), Finish(FinishReason::ContentFilter)]);
    let refusal = delta(r#"{"refusal":"I will not."}"#);
    assert_eq!(read(&[&refusal, FINISH]).await, [text("I will not."), Finish(FinishReason::ContentFilter)]);
}

#[tokio::test]
async fn reasoning_is_read_under_every_name() {
    for name in ["reasoning", "reasoning_content"] {
        let thought = delta(&format!(r#"{{"{name}":"Hm"}}"#));
        assert_eq!(read(&[&thought, HALLO, FINISH]).await, [Reasoning("Hm".into()), text("Hallo"), STOP]);
    }
    let both = delta(r#"{"reasoning":"Hm","reasoning_content":"Hm"}"#);
    assert_eq!(read(&[&both, FINISH]).await, [Reasoning("Hm".into()), STOP]);
    let tags = ["<th", "ink>H", "m</thi", "nk>\n\nHal", "lo <think>"]
        .map(|text| delta(&json!({"content": text}).to_string()));
    let found = read(&tags.iter().map(String::as_str).chain([FINISH]).collect::<Vec<_>>()).await;
    assert_eq!(found, [Reasoning("H".into()), Reasoning("m".into()), text("Hal"), text("lo <think>"), STOP]);
}

#[tokio::test]
async fn reasoning_details_are_put_together() {
    let one =
        delta(r#"{"reasoning_details":[{"type":"reasoning.text","index":0,"text":"H","signature":null}]}"#);
    let two = delta(
        r#"{"reasoning":"m","reasoning_details":[{"type":"reasoning.text","index":0,"text":"m","signature":"s"},{"type":"reasoning.encrypted","index":1,"data":"x"}]}"#,
    );
    let details = json!([
        {"type": "reasoning.text", "index": 0, "text": "Hm", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 1, "data": "x"},
    ]);
    let found = read(&[&one, &two, FINISH]).await;
    assert_eq!(found, [Reasoning("H".into()), Reasoning("m".into()), ReasoningDetails(details), STOP]);
}

#[tokio::test]
async fn nul_is_stripped_and_other_controls_stay() {
    let odd = delta(r#"{"content":"a\u0000b\b\u000f","reasoning":"\u0000"}"#);
    assert_eq!(read(&[&odd, FINISH]).await, [text("ab\u{8}\u{f}"), STOP]);
}

#[tokio::test]
async fn broken_utf8_is_mended() {
    let body =
        [b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xFFb\"}}]}\n\n".as_slice(), b"data: [DONE]\n\n"]
            .concat();
    assert_eq!(play(pieces(&[&body])).await, [text("a\u{FFFD}b"), STOP]);
}

#[tokio::test]
async fn error_object_in_mid_stream_fails_after_what_came() {
    let cases = [
        (r#"{"error":{"message":"overloaded","code":503,"type":"x"}}"#, ErrorKind::Upstream, "overloaded"),
        (r#"{"error":"out of memory","choices":[]}"#, ErrorKind::Upstream, "out of memory"),
        (r#"{"error":{"message":"slow down","code":"429"}}"#, ErrorKind::RateLimited, "slow down"),
        (
            r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#,
            ErrorKind::RateLimited,
            "slow down",
        ),
        (
            r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#,
            ErrorKind::ContextOverflow,
            "too long",
        ),
        (
            r#"{"choices":[{"index":0,"delta":{},"error":{"code":502,"message":"provider died"},"finish_reason":"error"}]}"#,
            ErrorKind::Upstream,
            "provider died",
        ),
    ];
    for (data, kind, words) in cases {
        let (events, error) = fails(sse(&[HALLO, data])).await;
        assert_eq!((events, error.kind()), (vec![text("Hallo")], kind), "{data}");
        assert!(error.message().contains(words), "{error}");
    }
    let raw = stream(&format!("data: {HALLO}\n\n{{\"error\":\"bare line\"}}\n"));
    assert!(fails(raw).await.1.message().contains("bare line"));
    let named = stream(&format!("data: {HALLO}\n\nevent: error\ndata: {{\"message\":\"named\"}}\n\n"));
    assert!(fails(named).await.1.message().contains("named"));
}

#[tokio::test]
async fn done_ends_without_waiting_for_the_end_of_the_body() {
    let body = events(&[HALLO, FINISH]) + "data: [DONE]\n\n";
    let server = Server::once(vec![head(), chunk(body.as_bytes()), Step::UntilClosed]).await;
    let answer = provider(&OPENAI).chat(&server.endpoint(OPENAI), &question()).await.unwrap();
    let found = tokio::time::timeout(std::time::Duration::from_secs(2), crate::server::collect(answer)).await;
    assert_eq!(found.expect("it waited").unwrap(), [text("Hallo"), STOP]);
    server.closed().await;
}

#[tokio::test]
async fn done_without_reason_is_whole() {
    assert_eq!(read(&[HALLO]).await, [text("Hallo"), STOP]);
    assert_eq!(play(stream(&(events(&[HALLO]) + "data: [DONE]"))).await, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn reason_without_done_is_whole() {
    assert_eq!(play(stream(&events(&[HALLO, FINISH]))).await, [text("Hallo"), STOP]);
    let cut = vec![head(), chunk(events(&[HALLO, FINISH]).as_bytes()), Step::Close];
    assert_eq!(play(cut).await, [text("Hallo"), STOP]);
    let last_blank_line_missing = format!("data: {HALLO}\n\ndata: {FINISH}");
    assert_eq!(play(stream(&last_blank_line_missing)).await, [text("Hallo"), STOP]);
}

#[tokio::test]
async fn end_without_reason_and_done_is_an_error() {
    for body in [events(&[HALLO]), events(&[HALLO]) + "data: {\"choices\":[{\"del"] {
        let (found, error) = fails(stream(&body)).await;
        assert_eq!((found, error.kind()), (vec![text("Hallo")], ErrorKind::Upstream));
        assert!(error.kind().retryable() && error.message().contains("broke off"), "{error}");
    }
}

#[tokio::test]
async fn usage_of_a_broken_answer_is_kept() {
    let data = r#"{"choices":[{"index":0,"delta":{"content":"Hallo"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#;
    let (found, _) = fails(stream(&events(&[data]))).await;
    assert_eq!(found, [text("Hallo"), usage(5, 1)]);
}

#[tokio::test]
async fn empty_answers_are_errors() {
    let event_stream = [("content-type", "text/event-stream")];
    for script in [
        stream(""),
        answer(200, &event_stream, ""),
        stream(": ping\n\n"),
        json(""),
        stream("data: [DONE]\n\n"),
    ] {
        let (found, error) = fails(script).await;
        assert_eq!((found.len(), error.kind()), (0, ErrorKind::Upstream));
        assert!(error.message().contains("nothing"), "{error}");
    }
}

#[tokio::test]
async fn web_page_with_200_is_an_error() {
    let page = "<!doctype html><title>Login</title>";
    let html = answer(200, &[("content-type", "text/html; charset=utf-8")], page);
    let mislabelled = answer(200, &[("content-type", "application/json")], page);
    for script in [html, mislabelled] {
        let (_, error) = fails(script).await;
        assert!(error.kind() == ErrorKind::Upstream && error.message().contains("web page"), "{error}");
        assert!(!error.message().contains("doctype"), "{error}");
    }
}

#[tokio::test]
async fn nonsense_is_an_error() {
    for body in ["data: hello\n\n", "data: {\"choices\":[{]}\n\n", "data: [1]\n\n"] {
        assert_eq!(fails(stream(body)).await.1.kind(), ErrorKind::Upstream, "{body}");
    }
}

#[tokio::test]
async fn plain_answer_gives_the_same_events() {
    let body = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"<think>Hm</think>Hallo","refusal":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","function":{"name":"g","arguments":{}}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    let expected = [
        Reasoning("Hm".into()),
        text("Hallo"),
        call("a", "f", json!({"x": 1})),
        call("b", "g", json!({})),
        usage(5, 2),
        CALLS,
    ];
    let server = Server::once(json(body)).await;
    let (provider, endpoint) = (provider(&OPENAI), server.endpoint(OPENAI));
    for stream in [false, true] {
        let answer = provider.chat(&endpoint, &ChatRequest { stream, ..question() }).await.unwrap();
        assert_eq!(crate::server::collect(answer).await.unwrap(), expected, "stream: {stream}");
    }
    assert_eq!(server.asked()[0].body["stream"], false);
    assert!(server.asked()[0].body.get("stream_options").is_none());
}

#[tokio::test]
async fn plain_answer_without_choices_is_an_error() {
    for (body, words) in [
        ("{}", "no `choices`"),
        (r#"{"choices":[]}"#, "no `choices`"),
        (r#"{"error":{"message":"bad day"}}"#, "bad day"),
        (r#"{"detail":"odd day"}"#, "odd day"),
    ] {
        let (_, error) = ask(OPENAI, json(body), &ChatRequest { stream: false, ..question() }).await;
        let error = error.unwrap();
        assert!(error.kind() == ErrorKind::Upstream && error.message().contains(words), "{error}");
    }
}
