//! OpenAI's shapes.

use std::time::Duration;

use aimate_core::message::{MessageRole, Part, ToolCall, text_of};
use aimate_core::provider::{FinishReason, ProviderEvent};
use aimate_core::testing::{Step, answer};
use aimate_core::{Error, ErrorReason};
use base64::Engine as _;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Reply, bench, end, request, say, until};

fn chat(content: &str) -> Value {
    json!({"model": "lab/test", "messages": [{"role": "user", "content": content}]})
}

fn with(mut body: Value, more: Value) -> Value {
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}

/// The chunks before `[DONE]`.
fn chunks(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let mut frames: Vec<_> = reply.body.split_terminator("\n\n").collect();
    assert_eq!(frames.pop(), Some("data: [DONE]"));
    let data = frames.iter().map(|frame| frame.strip_prefix("data: ").unwrap());
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn told(chunks: &[Value], field: &str) -> String {
    let deltas = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
    deltas.filter_map(|delta| delta[field].as_str()).collect()
}

fn call() -> Step {
    let arguments = json!({"zone": "UTC"});
    Step::Say(ProviderEvent::ToolCall(ToolCall::new("c1", "time", arguments)))
}

#[tokio::test]
async fn plain_answer_has_every_field() {
    let bench = bench([answer("Say \"hi\"\n✓")]).await;
    let reply = bench.post("/v1/chat/completions", chat("x")).await;
    assert_eq!(reply.header("content-type"), "application/json");
    let mut told = reply.json();
    let id = told["id"].take();
    assert!(id.as_str().unwrap().starts_with("chatcmpl-"));
    assert!(told["created"].take().as_i64().unwrap() > 1_700_000_000);
    assert_eq!(
        told,
        json!({
            "id": null, "object": "chat.completion", "created": null, "model": "lab/test",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "Say \"hi\"\n✓", "refusal": null},
                "logprobs": null, "finish_reason": "stop",
            }],
            "usage": {
                "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        })
    );
    assert!(!bench.provider.requests()[0].stream);
    let listed = bench.get("/api/v1/conversations").await.json();
    assert_eq!(listed["data"], json!([]), "nothing is stored");
}

#[tokio::test]
async fn stream_begins_with_the_role_and_ends_with_done() {
    let bench = bench([answer("one two three")]).await;
    let chunks = chunks(&bench.post("/v1/chat/completions", with(chat("x"), json!({"stream": true}))).await);
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    assert_eq!(told(&chunks, "content"), "one two three");
    assert_eq!(told(&chunks, "role"), "assistant");
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["id"], &chunk["created"]), (&chunks[0]["id"], &chunks[0]["created"]));
        assert_eq!(chunk["choices"][0]["logprobs"], Value::Null);
        assert!(chunk["choices"][0].as_object().unwrap().contains_key("finish_reason"));
        assert!(chunk.get("usage").is_none() && chunk.get("conversation_id").is_none());
    }
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert!(before.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()));
    assert!(bench.provider.requests()[0].stream);
}

#[tokio::test]
async fn usage_comes_last_where_it_is_asked_for() {
    let bench = bench([]).await;
    let body = with(chat("x"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let chunks = chunks(&bench.post("/v1/chat/completions", body).await);
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 10);
    assert!(before.iter().all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some()));
}

#[tokio::test]
async fn tool_calls_are_whole_and_indexed() {
    let script = || vec![Step::Say(ProviderEvent::Reasoning("hm".into())), call(), call(), end()];
    let bench = bench([script(), script()]).await;
    let tools =
        json!({"tools": [{"type": "function", "function": {"name": "time"}}], "tool_choice": "required"});
    let body = with(chat("x"), tools);
    let plain = bench.post("/v1/chat/completions", body.clone()).await.json();
    let choice = &plain["choices"][0];
    let whole = json!({"id": "c1", "type": "function", "function": {"name": "time", "arguments": "{\"zone\":\"UTC\"}"}});
    // A server that gives two calls one id is told apart.
    let wholes = [whole.clone(), with(whole, json!({"id": "c1_2"}))];
    assert_eq!(choice["message"]["tool_calls"], json!(wholes));
    assert_eq!(choice["message"]["content"], Value::Null);
    assert_eq!(choice["message"]["reasoning_content"], "hm");
    assert_eq!(choice["finish_reason"], "tool_calls");

    let chunks = chunks(&bench.post("/v1/chat/completions", with(body, json!({"stream": true}))).await);
    let calls: Vec<_> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"].get("tool_calls")).collect();
    for (n, call) in calls.iter().enumerate() {
        assert_eq!(**call, json!([with(wholes[n].clone(), json!({"index": n}))]));
    }
    assert_eq!((calls.len(), told(&chunks, "reasoning_content").as_str()), (2, "hm"));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn request_reaches_the_model_as_it_was_meant() {
    let bench = bench([]).await;
    let body = json!({
        "model": "test",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "12:00"},
        ],
        "max_completion_tokens": 9, "max_tokens": 5, "stop": "END", "temperature": 0.5, "seed": 1,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        "top_k": 4, "service_tier": null,
    });
    assert_eq!(bench.post("/v1/chat/completions", body).await.status, 200);
    let asked = bench.provider.requests().remove(0);
    use MessageRole::{Assistant, System, Tool, User};
    let roles: Vec<_> = asked.messages.iter().map(|message| message.role).collect();
    assert_eq!((asked.model.as_str(), roles), ("test", vec![System, User, Assistant, Tool]));
    assert!(
        matches!(&asked.messages[1].content[1], Part::Image { data: Some(data), .. } if data == "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
    );
    assert_eq!((asked.sampling.max_tokens, asked.sampling.stop), (Some(9), vec!["END".to_owned()]));
    assert!(asked.response_format.is_some());
    assert_eq!(Value::Object(asked.extra), json!({"top_k": 4}));
}

#[tokio::test]
async fn errors_are_openai_objects() {
    let bench = bench([
        vec![Step::Fail(
            Error::rate_limited("`lab`: slow down").with_retry_after(Duration::from_millis(2_500)),
        )],
        vec![Step::Fail(Error::context_overflow("`lab`: too long"))],
        vec![say("half"), Step::Fail(Error::upstream("`lab`: broke off"))],
        vec![say("half")],
        vec![say("half")],
    ])
    .await;
    let at = "/v1/chat/completions";
    let reply = bench.post(at, chat("x")).await;
    assert_eq!(reply.openai_error(429, "rate_limited")["type"], "rate_limit_error");
    assert_eq!(reply.header("retry-after"), "3");
    bench
        .post(at, with(chat("x"), json!({"stream": true})))
        .await
        .openai_error(400, "context_length_exceeded");
    let stream = bench.post(at, with(chat("x"), json!({"stream": true}))).await;
    let broken = chunks(&stream);
    assert_eq!(told(&broken, "content"), "half");
    assert_eq!(broken.last().unwrap()["error"]["code"], "upstream");
    let cut = chunks(&bench.post(at, with(chat("x"), json!({"stream": true}))).await);
    assert_eq!(cut.last().unwrap()["error"]["code"], "upstream");
    bench.post(at, chat("x")).await.openai_error(502, "upstream");

    bench.post(at, with(chat("x"), json!({"model": "none/x"}))).await.openai_error(404, "not_found");
    bench.post(at, with(chat("x"), json!({"knowledge": ["x"]}))).await.openai_error(404, "not_found");
    for (more, param) in [
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
    ] {
        assert_eq!(
            bench.post(at, with(chat("x"), more)).await.openai_error(400, "unsupported")["param"],
            param
        );
    }
    for (more, param) in [
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [{"role": "x"}]}), "messages[0].role"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"tool_choice": "some"}), "tool_choice"),
        (json!({"conversation_id": "x"}), "conversation_id"),
    ] {
        assert_eq!(bench.post(at, with(chat("x"), more)).await.openai_error(400, "invalid")["param"], param);
    }
}

#[tokio::test]
async fn exchange_is_kept_and_goes_on() {
    let bench = bench([answer("one"), answer("two"), answer("three")]).await;
    let at = "/api/v1/chat/completions";
    let first = json!({"messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
    ]});
    let reply = bench.post(at, first).await.json();
    assert_eq!(reply["choices"][0]["message"]["content"], "one");
    assert_eq!(reply["usage"]["total_tokens"], 10);
    assert!(!bench.provider.requests()[0].stream, "a plain call is not streamed");
    let id = reply["conversation_id"].as_str().unwrap();
    let conversation = format!("/api/v1/conversations/{id}");
    assert_eq!(bench.get(&conversation).await.json()["system_prompt"], "Be brief.");

    let next = json!({"conversation_id": id, "stream": true, "messages": [
        {"role": "user", "content": "ignored"}, {"role": "assistant", "content": "one"}, {"role": "user", "content": "d"},
    ]});
    let chunks = chunks(&bench.post(at, next).await);
    assert!(chunks.iter().all(|chunk| chunk["conversation_id"] == id && chunk["model"] == "lab/test"));
    assert_eq!(told(&chunks, "content"), "two");
    assert_eq!(bench.branch(&conversation).await, ["a", "b", "c", "one", "d", "two"]);
    let asked = &bench.provider.requests()[1].messages;
    assert_eq!(text_of(&asked[0].content), "Be brief.");

    let by_v1 = with(chat("e"), json!({"conversation_id": id}));
    assert_eq!(bench.post("/v1/chat/completions", by_v1).await.json()["conversation_id"], id);
    assert_eq!(bench.branch(&conversation).await.len(), 8);
    let contradiction = with(chat("f"), json!({"conversation_id": id, "store": false}));
    bench.post(at, contradiction).await.problem(400, "invalid");
    let nothing_new = json!({"conversation_id": id, "messages": [{"role": "assistant", "content": "x"}]});
    bench.post(at, nothing_new).await.problem(400, "invalid");
    bench.post(at, with(chat("x"), json!({"model": "none/x"}))).await.problem(404, "not_found");
}

#[tokio::test]
async fn store_decides_what_is_kept() {
    let bench = bench([]).await;
    let count = async || bench.get("/api/v1/conversations").await.json()["data"].as_array().unwrap().len();
    let passing = with(chat("x"), json!({"store": false}));
    assert!(bench.post("/api/v1/chat/completions", passing).await.json().get("conversation_id").is_none());
    assert_eq!(count().await, 0);
    let kept = with(chat("x"), json!({"store": true, "metadata": {"a": "b"}}));
    let kept = bench.post("/v1/chat/completions", kept).await.json();
    assert_eq!(count().await, 1);
    let at = format!("/api/v1/conversations/{}/messages", kept["conversation_id"].as_str().unwrap());
    assert_eq!(bench.get(&at).await.json()["data"][0]["metadata"], json!({"a": "b"}));
}

#[tokio::test]
async fn kept_answer_that_fails_at_once_has_a_status() {
    let refused = || vec![Step::Fail(Error::unavailable("`lab` cannot be reached"))];
    let bench = bench([refused(), refused()]).await;
    for stream in [true, false] {
        let body = with(chat("x"), json!({"stream": stream}));
        let reply = bench.post("/api/v1/chat/completions", body).await;
        reply.problem(503, "unavailable");
        assert_eq!(reply.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn leaving_a_passing_stream_stops_the_model() {
    let bench = bench([vec![say("a"), Step::Hang]]).await;
    let body = with(chat("x"), json!({"stream": true}));
    let response = bench.send(request(Method::POST, "/v1/chat/completions", Some(body))).await;
    assert_eq!(bench.provider.open(), 1);
    drop(response);
    assert_eq!(bench.provider.open(), 0);
    until(async || bench.get("/api/v1/usage").await.json()["data"][0]["calls"] == 1).await;
}

#[tokio::test]
async fn unknown_finish_reason_is_told_beside_stop() {
    let reason = FinishReason::Other("insufficient_system_resource".into());
    let bench = bench([vec![say("a"), Step::Say(ProviderEvent::Finish(reason))]]).await;
    let choice = bench.post("/v1/chat/completions", chat("x")).await.json()["choices"][0].take();
    assert_eq!(
        (&choice["finish_reason"], &choice["native_finish_reason"]),
        (&json!("stop"), &json!("insufficient_system_resource"))
    );
}

#[tokio::test]
async fn models_have_openais_fields() {
    let bench = bench([]).await;
    let list = bench.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let model = &list["data"][0];
    assert_eq!(
        (&model["id"], &model["object"], &model["owned_by"]),
        (&json!("lab/test"), &json!("model"), &json!("lab"))
    );
    assert!(model["created"].as_u64().unwrap() > 1_700_000_000);
    for path in ["/v1/models/lab/test", "/v1/models/lab%2Ftest", "/v1/models/test"] {
        assert_eq!(bench.get(path).await.json(), *model, "{path}");
    }
    bench.get("/v1/models/lab/none").await.openai_error(404, "not_found");
}

#[tokio::test]
async fn embeddings_are_numbers_or_base64() {
    let bench = bench([]).await;
    let at = "/v1/embeddings";
    let body = |input: Value, more: Value| with(json!({"model": "lab/test", "input": input}), more);
    let list = bench.post(at, body(json!(["a", "b"]), json!({}))).await.json();
    assert_eq!((&list["object"], &list["model"]), (&json!("list"), &json!("lab/test")));
    assert_eq!(list["data"][1]["index"], 1);
    let numbers: Vec<f32> = serde_json::from_value(list["data"][0]["embedding"].clone()).unwrap();
    let packed = bench.post(at, body(json!("a"), json!({"encoding_format": "base64"}))).await.json();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed["data"][0]["embedding"].as_str().unwrap())
        .unwrap();
    let unpacked: Vec<f32> =
        bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(unpacked, numbers);
    let short = bench.post(at, body(json!("a"), json!({"dimensions": 3, "user": "x"}))).await.json();
    assert_eq!(short["data"][0]["embedding"].as_array().unwrap().len(), 3);
    for wrong in [json!([]), json!(""), json!(7), json!(["a", ""]), json!(null)] {
        bench.post(at, body(wrong, json!({}))).await.openai_error(400, "invalid");
    }
    bench.post(at, body(json!("a"), json!({"encoding_format": "hex"}))).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn answers_have_ids_of_their_own() {
    let bench = bench([]).await;
    let replies = (0..20).map(|_| bench.post("/v1/chat/completions", chat("x")));
    let replies = futures_util::future::join_all(replies).await;
    let ids: std::collections::HashSet<_> =
        replies.iter().map(|reply| reply.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn unlisted_model_is_passed_on_and_its_refusal_is_not_found() {
    let no_such = Error::not_found("no such model").with_reason(ErrorReason::UnknownModel);
    let refusal =
        || vec![Step::Fail(Error::not_found("no such model").with_reason(ErrorReason::UnknownModel))];
    let bench = bench([answer("Yes."), vec![Step::Fail(no_such)], refusal(), refusal(), refusal()]).await;
    bench.get("/api/v1/models").await;
    let named = |model: &str| with(chat("x"), json!({"model": model}));
    let reply = bench.post("/v1/chat/completions", named("lab/openai/gpt-5:online")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.json()["model"], "lab/openai/gpt-5:online");
    assert_eq!(bench.provider.requests()[0].model, "openai/gpt-5:online");

    let error = bench.post("/v1/chat/completions", named("lab/tinny")).await.openai_error(404, "not_found");
    assert_eq!(error["message"], "no such model; the nearest listed are `lab/tiny`");
    for stream in [true, false] {
        let body = with(named("lab/tinny"), json!({"stream": stream}));
        let problem = bench.post("/api/v1/chat/completions", body).await.problem(404, "not_found");
        assert_eq!(problem["detail"], "no such model; the nearest listed are `lab/tiny`");
    }
    let at = bench.conversation().await;
    let body = json!({"content": "x", "model": "lab/tinny", "stream": false});
    bench.post(&format!("{at}/messages"), body).await.problem(404, "not_found");
}
