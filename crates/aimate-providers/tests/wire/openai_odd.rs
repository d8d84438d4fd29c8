//! Answers of odd servers: what strangers reported, and the rest of its kind.

use std::time::Duration;

use aimate_core::message::ToolCall;
use aimate_core::provider::ProviderEvent::{
    Extra, Finish, Reasoning, Text, TextWasReasoning, Usage, Warning,
};
use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::{Error, ErrorKind, WarningCode};
use aimate_providers::OPENAI;
use serde_json::{Value, json};

use crate::server::{
    Script, Server, Step, all, answer, ask, chunk, collect, end, events, head, pieces, provider, question,
    sse, stream, text_of,
};

const HALLO: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hallo"}}]}"#;
const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const STOP: ProviderEvent = Finish(FinishReason::Stop);

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

fn calls(events: &[ProviderEvent]) -> Vec<(&str, &Value)> {
    let calls = events.iter().filter_map(|event| match event {
        ProviderEvent::ToolCall(ToolCall { name, arguments, .. }) => Some((name.as_str(), arguments)),
        _ => None,
    });
    calls.collect()
}

/// The events of a stream of these `tool_calls` lists.
async fn called(lists: &[&str]) -> Vec<ProviderEvent> {
    let mut data: Vec<String> =
        lists.iter().map(|list| delta(&format!(r#"{{"tool_calls":{list}}}"#))).collect();
    data.push(FINISH.to_owned());
    play(sse(&data.iter().map(String::as_str).collect::<Vec<_>>())).await
}

#[tokio::test]
async fn text_after_a_reason_counts() {
    let early = |text: &str| {
        format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#)
    };
    let mut script = vec![head()];
    for word in ["a", "b", "c"] {
        script.extend([chunk(events(&[&early(word)]).as_bytes()), Step::Wait(Duration::from_millis(30))]);
    }
    script.push(end());
    assert_eq!(text_of(&play(script.clone()).await), "abc");
    let error = r#"{"error":{"message":"died"}}"#;
    let (found, told) = fails(sse(&[&early("a"), &early("b"), error])).await;
    assert!(text_of(&found) == "ab" && told.message().contains("died"), "{told}");
    let first = [early(""), delta(r#"{"content":"late"}"#)];
    assert_eq!(text_of(&play(sse(&[&first[0], &first[1]])).await), "late");
}

#[tokio::test]
async fn reason_that_says_nothing_is_none() {
    for none in ["\"null\"", "\"\"", "null", "\" \"", "\"None\"", "[]", "{}"] {
        let chunk =
            format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"x"}},"finish_reason":{none}}}]}}"#);
        let (found, error) = fails(stream(&events(&[&chunk]))).await;
        assert!(text_of(&found) == "x" && error.message().contains("broke off"), "{none}: {error}");
        assert_eq!(play(sse(&[&chunk])).await.last(), Some(&STOP), "{none}");
    }
}

#[tokio::test]
async fn reasons_of_every_vendor_are_told_apart() {
    use FinishReason::{ContentFilter, Length, Stop};
    for (word, reason) in [
        ("STOP", Stop),
        ("eos_token", Stop),
        ("end_turn", Stop),
        ("stop_sequence", Stop),
        ("COMPLETE", Stop),
        ("FinishReason.STOP", Stop),
        ("MAX_TOKENS", Length),
        ("max_tokens", Length),
        ("MODEL_LENGTH", Length),
        ("max_output_tokens", Length),
        ("Length", Length),
        ("FINISH_REASON_MAX_TOKENS", Length),
        ("model_context_window_exceeded", Length),
        ("ERROR_LIMIT", Length),
        ("SAFETY", ContentFilter),
        ("RECITATION", ContentFilter),
        ("PROHIBITED_CONTENT", ContentFilter),
        ("content_filtered", ContentFilter),
        ("guardrail_intervened", ContentFilter),
        ("refusal", ContentFilter),
        ("ERROR_TOXIC", ContentFilter),
        ("sensitive", ContentFilter),
    ] {
        let finish = format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{word}"}}]}}"#);
        assert_eq!(play(sse(&[HALLO, &finish])).await.last(), Some(&Finish(reason)), "{word}");
    }
    let odd = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"my_own"}]}"#;
    assert_eq!(play(sse(&[HALLO, odd])).await.last(), Some(&Finish(FinishReason::Other("my_own".into()))));
    let native =
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","native_finish_reason":"MAX_TOKENS"}]}"#;
    assert_eq!(play(sse(&[HALLO, native])).await.last(), Some(&Finish(Length)));
    for word in ["error", "insufficient_system_resource", "abort", "network_error", "MALFORMED_FUNCTION_CALL"]
    {
        let finish = format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{word}"}}]}}"#);
        let (found, error) = fails(sse(&[HALLO, &finish])).await;
        assert!(text_of(&found) == "Hallo" && error.message().contains(word), "{error}");
    }
}

#[tokio::test]
async fn error_after_the_finish_costs_no_answer() {
    let error = r#"{"error":{"message":"usage service is down","code":500}}"#;
    assert_eq!(play(sse(&[HALLO, FINISH, error])).await, [Text("Hallo".into()), STOP]);
    let (_, told) = fails(sse(&[FINISH, error])).await;
    assert!(told.message().contains("usage service"), "{told}");
}

#[tokio::test]
async fn halves_of_characters_are_joined() {
    let halves = [
        delta(r#"{"content":"a\ud83d"}"#),
        delta(r#"{"content":"\ude00b"}"#),
        delta(r#"{"content":"\ud83d"}"#),
    ];
    let found = play(sse(&[&halves[0], &halves[1], &halves[2], FINISH])).await;
    assert_eq!(text_of(&found), "a😀b\u{FFFD}");
    let smile = "😀".as_bytes();
    let piece = |bytes: &[u8]| {
        [b"data: {\"choices\":[{\"delta\":{\"content\":\"".as_slice(), bytes, b"\"}}]}\n\n"].concat()
    };
    let body = [piece(&smile[..2]), piece(&smile[2..]), b"data: [DONE]\n\n".to_vec()].concat();
    assert_eq!(text_of(&play(pieces(&[&body])).await), "😀");
    let found = called(&[
        r#"[{"index":0,"id":"a","function":{"name":"say","arguments":"{\"t\":\"\ud83d"}}]"#,
        r#"[{"index":0,"function":{"arguments":"\ude00\"}"}}]"#,
    ])
    .await;
    assert_eq!(calls(&found), [("say", &json!({"t": "😀"}))]);
    let found =
        called(&[r#"[{"index":0,"id":"a","function":{"name":"say","arguments":"{\"t\":\"\\ud83d\"}"}}]"#])
            .await;
    assert_eq!(calls(&found), [("say", &json!({"t": "\u{FFFD}"}))]);
}

#[tokio::test]
async fn call_whose_arguments_cannot_be_read_is_not_made() {
    for arguments in ["5", "true"] {
        let list = format!(r#"[{{"index":0,"id":"a","function":{{"name":"say","arguments":{arguments}}}}}]"#);
        let found = called(&[&list]).await;
        assert!(
            calls(&found).is_empty()
                && matches!(found[0], Warning { code: WarningCode::ToolCallTruncated, .. }),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn calls_of_one_number_are_told_apart() {
    let expected = [("f", &json!({"x": 1})), ("f", &json!({"x": 2}))];
    let (one, two) = (
        r#""function":{"name":"f","arguments":"{\"x\":1}"}"#,
        r#""function":{"name":"f","arguments":"{\"x\":2}"}"#,
    );
    for (a, b) in [
        (r#""index":0,"id":"","#, r#""index":0,"id":"","#),
        (r#""index":0,"#, r#""index":0,"#),
        ("", ""),
        (r#""id":"","#, r#""id":null,"#),
        (r#""index":"0","id":"a","#, r#""index":"0","id":"b","#),
    ] {
        let (a, b) = (format!("{{{a}{one}}}"), format!("{{{b}{two}}}"));
        assert_eq!(calls(&called(&[&format!("[{a}]"), &format!("[{b}]")]).await), expected, "{a}");
        assert_eq!(calls(&called(&[&format!("[{a},{b}]")]).await), expected, "{a}");
    }
    let found = called(&[
        r#"[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]"#,
        r#"[{"index":0,"id":"b","function":{"name":"g","arguments":""}}]"#,
    ])
    .await;
    assert_eq!(calls(&found), [("f", &json!({})), ("g", &json!({}))]);
    let joined =
        called(&[r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}{\"x\":2}"}}]"#]).await;
    assert_eq!(calls(&joined), expected);
    let flat = called(&[
        r#"{"index":0,"id":"a","name":"f","arguments":{"x":1}}"#,
        r#"[null,7,{"index":1,"id":"b","function":{"name":"f","arguments":{"x":2}}}]"#,
    ])
    .await;
    assert_eq!(calls(&flat), expected);
}

#[tokio::test]
async fn odd_shapes_cost_only_themselves() {
    for odd in [
        r#"{"choices":[{"index":0,"delta":{"content":"x","function_call":"","tool_calls":{}}}],"usage":""}"#,
        r#"{"choices":[null,{"index":0,"delta":{"content":"x","tool_calls":"none"}}]}"#,
        r#"{"choices":{"index":0,"delta":{"content":"x"}}}"#,
        r#"{"choices":[{"index":"0","delta":{"content":["x"],"reasoning":{},"refusal":[]}}],"error":""}"#,
        r#"{"choices":[{"delta":{"content":{"type":"text","text":"x"}},"delta":{"content":"x"}}],"usage":[]}"#,
        r#"{"choices":[{"delta":"x"}],"error":false,"usage":{"prompt_tokens_details":[],"cost":{}}}"#,
        r#"{"choices":[{"text":"x"}],"error":{}}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"x","tool_calls":[{"function":""}]}}],"x_groq":"","citations":7}"#,
    ] {
        let found = play(sse(&[HALLO, odd, FINISH])).await;
        assert_eq!(text_of(&found), "Hallox", "{odd}");
        assert!(!found.iter().any(|event| matches!(event, Warning { .. })), "{odd}: {found:?}");
    }
    for noise in [
        "null",
        "keep-alive",
        ": OPENROUTER PROCESSING",
        "[]",
        "7",
        "\"ping\"",
        "{}",
        r#"{"type":"ping"}"#,
        "{\"choices\":[]}",
    ] {
        assert_eq!(play(sse(&[noise, HALLO, noise, FINISH])).await, [Text("Hallo".into()), STOP], "{noise}");
        assert_eq!(fails(sse(&[noise])).await.1.kind(), ErrorKind::Upstream, "{noise}");
    }
    let found = play(sse(&[HALLO, r#"{"choices":[{"delta":{"content":"lost"}"#, FINISH])).await;
    assert!(matches!(&found[1], Warning { code: WarningCode::AnswerIncomplete, .. }), "{found:?}");
}

/// Events of a server of its own devising ran in the browser of one peer (CVE-2025-64496).
#[tokio::test]
async fn sec_t27_events_that_are_no_part_of_the_protocol_are_dropped() {
    let names =
        ["execute", "message", "started", "tool_called", "finished", "call:function", "x\u{0}y", "replace"];
    for data in [
        r#"{"type":"execute","data":{"code":"alert(1)"}}"#,
        r#"{"event":{"type":"execute","data":{"code":"alert(1)"}}}"#,
        r#"{"type":"finished","message":{"role":"assistant"},"finish_reason":"stop"}"#,
        r#"{"type":"started","run_id":"0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f"}"#,
        r#"{"type":"tool_called","call":{"id":"a","name":"shell","arguments":{}}}"#,
        r#"{"object":"aimate.event","text":"alert(1)"}"#,
        "alert(1)",
    ] {
        for name in names {
            let noise = format!("event: {name}\nid: 9\nretry: 1\ndata: {data}\n\n");
            let body = format!("{noise}data: {HALLO}\n\n{noise}data: {FINISH}\n\n{noise}data: [DONE]\n\n");
            assert_eq!(play(stream(&body)).await, [Text("Hallo".into()), STOP], "{name} {data}");
        }
    }
}

#[tokio::test]
async fn framing_is_told_by_the_first_bytes() {
    let single = format!("data: {HALLO}\ndata: {FINISH}\ndata: [DONE]\n");
    assert_eq!(play(stream(&single)).await, [Text("Hallo".into()), STOP]);
    let crlf = format!("\u{FEFF}data:{HALLO}\r\n\r\nevent: x\r\ndata:{FINISH}\r\n\r\n");
    assert_eq!(play(stream(&crlf)).await, [Text("Hallo".into()), STOP]);
    let lines = format!("{HALLO}\n{FINISH}\n");
    assert_eq!(play(stream(&lines)).await, [Text("Hallo".into()), STOP]);
    let plain = "\n {\n \"choices\": [\n {\"message\": {\"content\": \"Hallo\"}}\n ]\n}\n";
    assert_eq!(play(stream(plain)).await, [Text("Hallo".into()), STOP]);
    let gzip: &[u8] = include_bytes!("../files/answer.sse.gz");
    let deflate: &[u8] = include_bytes!("../files/answer.sse.zlib");
    for (encoding, body) in [("gzip", gzip), ("x-gzip", gzip), ("identity", gzip), ("deflate", deflate)] {
        let head = format!(
            "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let script = vec![Step::Send([head.as_bytes(), body].concat())];
        assert_eq!(play(script).await, [Text("Hallo".into()), STOP], "{encoding}");
    }
    let (_, error) = fails(answer(200, &[("content-encoding", "br")], "\u{1b}\u{0f}\u{0}")).await;
    assert!(error.message().contains("`br`"), "{error}");
    for script in [
        answer(204, &[], ""),
        answer(200, &[], " \n"),
        answer(200, &[("content-type", "application/json")], "null"),
    ] {
        assert_eq!(fails(script).await.1.kind(), ErrorKind::Upstream);
    }
}

#[tokio::test]
async fn pictures_and_sources_are_kept() {
    let image =
        delta(r#"{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}"#);
    let found = play(sse(&[&image, FINISH])).await;
    let Extra(fields) = &found[0] else { panic!("{found:?}") };
    assert_eq!(fields["images"][0]["image_url"]["url"], "data:image/png;base64,AA==");
    let note = delta(
        r#"{"content":"so [1]","annotations":[{"type":"url_citation","url_citation":{"url":"https://a"}}]}"#,
    );
    let sources = r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"citations":["https://a"],"search_results":[{"url":"https://a"}]}"#;
    let found = play(sse(&[&note, sources])).await;
    let Extra(fields) = &found[1] else { panic!("{found:?}") };
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["annotations", "citations", "search_results"]);
    let part = delta(
        r#"{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://a"}},{"type":"new_kind","x":1}]}"#,
    );
    let found = play(sse(&[&part, FINISH])).await;
    let Extra(fields) = &found[1] else { panic!("{found:?}") };
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["images", "parts"]);
}

#[tokio::test]
async fn answer_that_says_nothing_is_not_whole() {
    for chunk in
        [FINISH, r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls"}]}"#]
    {
        let (_, error) = fails(sse(&[chunk])).await;
        assert!(error.message().contains("answered with nothing"), "{error}");
    }
    let cut = r#"{"choices":[{"delta":{"content":""},"finish_reason":"length"}]}"#;
    assert_eq!(play(sse(&[cut])).await, [Finish(FinishReason::Length)]);
}

#[tokio::test]
async fn message_that_repeats_its_pieces_is_read_once() {
    let whole = r#"{"object":"chat.completion","choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"Hallo"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let found = play(stream(&events(&[HALLO, whole]))).await;
    assert!(
        text_of(&found) == "Hallo" && found.last() == Some(&STOP) && matches!(found[1], Usage(_)),
        "{found:?}"
    );
}

#[tokio::test]
async fn thoughts_are_sorted_out_of_the_text() {
    for tag in ["think", "thinking", "thought"] {
        let found =
            play(sse(&[&delta(&format!(r#"{{"content":"<{tag}>hm</{tag}>\n\nok"}}"#)), FINISH])).await;
        assert_eq!(found, [Reasoning("hm".into()), Text("ok".into()), STOP]);
    }
    let late = [delta(r#"{"content":"hm\n</th"}"#), delta(r#"{"content":"ink>\n\nok"}"#)];
    let found = play(sse(&[&late[0], &late[1], FINISH])).await;
    assert_eq!(found, [Text("hm\n".into()), TextWasReasoning, Text("ok".into()), STOP]);
}

#[tokio::test]
async fn silence_before_the_first_word_is_not_the_end() {
    let role = events(&[r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#]);
    let script = vec![
        head(),
        chunk(role.as_bytes()),
        Step::Wait(Duration::from_millis(250)),
        chunk(events(&[HALLO, FINISH]).as_bytes()),
        end(),
    ];
    let server = Server::once(script).await;
    let mut endpoint = server.endpoint(OPENAI);
    endpoint.settings.idle_timeout_ms = Some(100);
    endpoint.settings.first_byte_timeout_ms = Some(2_000);
    let stream = provider(&OPENAI).chat(&endpoint, &question()).await.unwrap();
    assert_eq!(text_of(&collect(stream).await.unwrap()), "Hallo");
    let server = Server::once(vec![head(), chunk(role.as_bytes()), Step::UntilClosed]).await;
    let transport = aimate_providers::Transport::new().patience(Duration::from_millis(150));
    let stream = aimate_providers::with(&transport)[&OPENAI]
        .chat(&server.endpoint(OPENAI), &question())
        .await
        .unwrap();
    let (_, error) = all(stream).await;
    assert!(error.unwrap().message().contains("did not begin to answer for 150 ms"));
}

#[tokio::test]
async fn proxy_is_that_of_the_connection_or_of_all() {
    let proxy = Server::once(sse(&[HALLO, FINISH])).await;
    let transport = aimate_providers::Transport::new().proxy(proxy.url.clone());
    let mut endpoint = crate::server::endpoint_at("http://models.example.org/v1", OPENAI);
    let stream = aimate_providers::with(&transport)[&OPENAI].chat(&endpoint, &question()).await.unwrap();
    assert_eq!(text_of(&collect(stream).await.unwrap()), "Hallo");
    assert!(proxy.asked()[0].line.starts_with("POST http://models.example.org/v1/chat/completions"));
    endpoint.settings.proxy = Some(proxy.url.clone());
    let stream =
        provider(&OPENAI).chat(&endpoint, &ChatRequest { stream: true, ..question() }).await.unwrap();
    collect(stream).await.unwrap();
    assert_eq!(proxy.asked().len(), 2);
}
