//! `/v1/responses`: what is asked, answered, kept, read again and deleted.

use aimate_core::message::ToolCall;
use aimate_core::message::{MessageRole, Part, text_of};
use aimate_core::provider::{FinishReason, ProviderEvent, ToolChoice};
use aimate_core::testing::{Step, answer};
use aimate_core::{Error, ErrorKind};
use http::Method;
use serde_json::{Value, json};

use crate::common::{Bench, bench, end, request, say, until};

pub(crate) fn ask(input: impl Into<Value>) -> Value {
    json!({"model": "lab/test", "input": input.into()})
}

pub(crate) fn with(mut body: Value, more: Value) -> Value {
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}

impl Bench {
    /// A response that is made.
    pub(crate) async fn respond(&self, body: Value) -> Value {
        let reply = self.post("/v1/responses", body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }
}

pub(crate) fn output_text(response: &Value) -> String {
    let items = response["output"].as_array().unwrap().iter();
    let texts =
        items.filter_map(|item| item["content"][0]["text"].as_str().filter(|_| item["type"] == "message"));
    texts.collect()
}

fn path(response: &Value) -> String {
    format!("/v1/responses/{}", response["id"].as_str().unwrap())
}

/// What the model was told, as role and text.
fn told(bench: &Bench) -> Vec<(MessageRole, String)> {
    let requests = bench.provider.requests();
    let last = requests.last().unwrap();
    last.messages.iter().map(|message| (message.role, text_of(&message.content))).collect()
}

fn call(id: &str, name: &str) -> Step {
    Step::Say(ProviderEvent::ToolCall(ToolCall::new(id, name, json!({"zone": "UTC"}))))
}

#[tokio::test]
async fn response_has_every_field_and_is_read_again_as_it_was() {
    let bench = bench([answer("Hello there")]).await;
    let response = bench.respond(with(ask("Hi"), json!({"metadata": {"a": "b"}, "temperature": 0.5}))).await;
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert!(response["created_at"].as_u64().unwrap() > 1_700_000_000);
    assert!(response["completed_at"].as_u64() >= response["created_at"].as_u64());
    assert_eq!((&response["status"], &response["model"]), (&json!("completed"), &json!("lab/test")));
    assert_eq!((&response["metadata"], &response["temperature"]), (&json!({"a": "b"}), &json!(0.5)));
    assert_eq!(response["usage"]["total_tokens"], 10);
    assert_eq!(
        response["usage"]["input_tokens_details"],
        json!({"cached_tokens": 0, "cache_write_tokens": 0})
    );
    assert_eq!(output_text(&response), "Hello there");
    assert_eq!(bench.get(&path(&response)).await.json(), response);
    assert!(!bench.provider.requests()[0].stream);
}

#[tokio::test]
async fn what_is_asked_reaches_the_model() {
    let bench = bench([]).await;
    bench
        .respond(json!({
            "model": "test", "instructions": "Be short.", "max_output_tokens": 99, "top_p": 0.5,
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
            "tools": [{"type": "function", "name": "time"}], "tool_choice": "required",
            "input": [{"role": "developer", "content": "b"}, {"role": "user", "content": [{"type": "input_text", "text": "c"}]}],
        }))
        .await;
    let request = bench.provider.requests().pop().unwrap();
    assert_eq!(request.sampling.max_tokens, Some(99));
    assert_eq!(request.sampling.reasoning_effort.as_deref(), Some("low"));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert!(request.response_format.is_some());
    let told = told(&bench);
    assert_eq!(told[0], (MessageRole::System, "Be short.".to_owned()));
    assert_eq!(told.last().unwrap(), &(MessageRole::User, "c".to_owned()));
    assert!(told.iter().any(|(_, text)| text.contains('b')));
}

#[tokio::test]
async fn chain_shows_the_model_all_before_and_no_instructions_of_before() {
    let bench = bench([answer("one"), answer("two"), answer("three")]).await;
    let first = bench.respond(with(ask("a"), json!({"instructions": "Be a pirate."}))).await;
    let follow = |of: &Value, text: &str| with(ask(text), json!({"previous_response_id": of["id"]}));
    let second = bench.respond(follow(&first, "b")).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    let texts: Vec<_> = told(&bench).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["a", "one", "b"]);
    // A tree: the first can be followed again.
    bench.respond(follow(&first, "c")).await;
    let texts: Vec<_> = told(&bench).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["a", "one", "c"]);
    let listed = bench.get("/api/v1/conversations").await.json();
    assert_eq!(listed["data"], json!([]), "a chain is in no list of conversations");
}

#[tokio::test]
async fn unknown_ids_are_not_found_with_the_id_in_the_text() {
    let bench = bench([]).await;
    let unknown = "resp_0190a5d27c1e7cc398c4dc0c0c07398f";
    for id in [unknown, "resp_1", "x"] {
        for path in ["", "/input_items"] {
            let error = bench.get(&format!("/v1/responses/{id}{path}")).await.openai_error(404, "not_found");
            assert!(error["message"].as_str().unwrap().contains(id), "{error}");
        }
        bench.delete(&format!("/v1/responses/{id}")).await.openai_error(404, "not_found");
        bench.post(&format!("/v1/responses/{id}/cancel"), json!({})).await.openai_error(404, "not_found");
        let follow = with(ask("a"), json!({"previous_response_id": id}));
        let error =
            bench.post("/v1/responses", follow).await.openai_error(404, "previous_response_not_found");
        assert_eq!(error["param"], "previous_response_id");
    }
    let conversation = "conv_0190a5d27c1e7cc398c4dc0c0c07398f";
    let reply = bench.post("/v1/responses", with(ask("a"), json!({"conversation": conversation}))).await;
    assert!(reply.openai_error(404, "not_found")["message"].as_str().unwrap().contains(conversation));
    let error = bench.post("/v1/responses", with(ask("a"), json!({"model": "nobody/x"}))).await;
    let error = error.openai_error(404, "model_not_found");
    assert!(error["message"].as_str().unwrap().contains("nobody"), "{error}");
    assert_eq!(bench.provider.requests().len(), 0);
}

#[tokio::test]
async fn bad_requests_are_400_in_the_form_of_openai() {
    let bench = bench([]).await;
    let both = json!({"previous_response_id": "resp_1", "conversation": "conv_1"});
    let error = bench.post("/v1/responses", with(ask("a"), both)).await.openai_error(400, "invalid");
    let text = error["message"].as_str().unwrap();
    assert!(text.contains("mutually exclusive") && text.contains("conversation"), "{text}");
    for (body, param) in [
        (json!({}), "model"),
        (json!({"model": "lab/test"}), "input"),
        (ask(json!([{"role": "user", "content": "a"}, {"type": "magic"}])), "input[1].type"),
        (ask(json!([{"type": "function_call_output", "call_id": "c1", "output": "7"}])), "input"),
        (with(ask("a"), json!({"tools": [{"type": "mcp"}]})), "tools[0].server_label"),
        (with(ask("a"), json!({"tools": [{"type": "shell"}]})), "tools[0].type"),
        (with(ask("a"), json!({"include": ["x"]})), "include[0]"),
    ] {
        let reply = bench.post("/v1/responses", body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
    }
    let malformed = http::Request::post("/v1/responses")
        .header("host", "127.0.0.1:3000")
        .header("content-type", "application/json")
        .body(axum::body::Body::from("{\"model\": "))
        .unwrap();
    bench.ask(malformed).await.openai_error(400, "invalid");
    assert_eq!(bench.provider.requests().len(), 0, "nothing was asked");
}

#[tokio::test]
async fn function_is_called_and_its_output_goes_on() {
    let bench = bench([vec![call("c1", "time"), call("c2", "date"), end()], answer("Noon.")]).await;
    let tools =
        json!({"tools": [{"type": "function", "name": "time"}, {"type": "function", "name": "date"}]});
    let first = bench.respond(with(ask("When?"), tools)).await;
    assert_eq!(first["status"], "completed");
    let calls = first["output"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!((&calls[0]["type"], &calls[0]["call_id"]), (&json!("function_call"), &json!("c1")));
    assert_eq!(calls[0]["arguments"], "{\"zone\":\"UTC\"}");
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "12:00"});
    let follow = |items: Value| with(ask(items), json!({"previous_response_id": first["id"]}));
    for wrong in [json!([output("c9")]), json!([output("c1"), output("c1")])] {
        let error = bench.post("/v1/responses", follow(wrong)).await.openai_error(400, "invalid");
        assert!(error["message"].as_str().unwrap().contains("call_id"), "{error}");
    }
    let second = bench.respond(follow(json!([output("c1"), output("c2")]))).await;
    assert_eq!(output_text(&second), "Noon.");
    let request = bench.provider.requests().pop().unwrap();
    let results = request.messages.iter().flat_map(|message| &message.content);
    assert_eq!(results.filter(|part| matches!(part, Part::ToolResult(_))).count(), 2);
}

#[tokio::test]
async fn input_items_are_the_whole_context_and_keep_their_ids() {
    let bench = bench([answer("one"), answer("two")]).await;
    let first = bench.respond(ask("a")).await;
    let second = bench.respond(with(ask("b"), json!({"previous_response_id": first["id"]}))).await;
    let list = |query: &str| {
        let path = format!("{}/input_items?{query}", path(&second));
        let bench = &bench;
        async move { bench.get(&path).await.json() }
    };
    let all = list("order=asc").await;
    let texts: Vec<_> =
        all["data"].as_array().unwrap().iter().map(|item| &item["content"][0]["text"]).collect();
    assert_eq!(texts, ["a", "one", "b"]);
    assert_eq!(all["data"][1]["id"], first["output"][0]["id"], "an item has one id");
    assert_eq!((&all["object"], &all["has_more"]), (&json!("list"), &json!(false)));
    let newest = list("limit=1").await;
    assert_eq!((&newest["data"][0]["content"][0]["text"], &newest["has_more"]), (&json!("b"), &json!(true)));
    let rest = list(&format!("after={}", newest["last_id"].as_str().unwrap())).await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 2);
    let path = format!("{}/input_items?after=msg_1", path(&second));
    assert_eq!(bench.get(&path).await.openai_error(400, "invalid")["param"], "after");
}

#[tokio::test]
async fn deleted_response_is_gone_and_its_followers_stay() {
    let bench = bench([answer("one"), answer("two")]).await;
    let first = bench.respond(ask("a")).await;
    let second = bench.respond(with(ask("b"), json!({"previous_response_id": first["id"]}))).await;
    let deleted = bench.delete(&path(&first)).await.json();
    assert_eq!(deleted, json!({"id": first["id"], "object": "response.deleted", "deleted": true}));
    bench.get(&path(&first)).await.openai_error(404, "not_found");
    bench.delete(&path(&first)).await.openai_error(404, "not_found");
    let follow = with(ask("c"), json!({"previous_response_id": first["id"]}));
    bench.post("/v1/responses", follow).await.openai_error(404, "previous_response_not_found");
    assert_eq!(bench.get(&path(&second)).await.json(), second);
}

#[tokio::test]
async fn what_is_not_stored_is_nowhere() {
    let bench = bench([answer("one"), answer("two")]).await;
    let response = bench.respond(with(ask("a"), json!({"store": false, "instructions": "Be short."}))).await;
    assert_eq!((output_text(&response).as_str(), &response["store"]), ("one", &json!(false)));
    assert_eq!(response["status"], "completed");
    assert_eq!(told(&bench)[0], (MessageRole::System, "Be short.".to_owned()));
    bench.get(&path(&response)).await.openai_error(404, "not_found");
    let follow = with(ask("b"), json!({"previous_response_id": response["id"]}));
    bench.post("/v1/responses", follow).await.openai_error(404, "previous_response_not_found");
    // A stored one can be followed by one that is not.
    let stored = bench.respond(ask("c")).await;
    let follow = json!({"previous_response_id": stored["id"], "store": false});
    bench.respond(with(ask("d"), follow)).await;
    let texts: Vec<_> = told(&bench).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["c", "two", "d"]);
}

#[tokio::test]
async fn conversation_gets_what_is_said_once_stored_or_not() {
    let bench = bench([answer("one"), answer("two"), answer("three")]).await;
    let at = bench.conversation().await;
    let id = format!("conv_{}", at.rsplit('/').next().unwrap().replace('-', ""));
    let say = |text: &str, more: Value| with(with(ask(text), json!({"conversation": id})), more);
    let first = bench.respond(say("a", json!({}))).await;
    assert_eq!(first["conversation"], json!({"id": id}));
    let second = bench.respond(say("b", json!({"store": false, "conversation": {"id": id}}))).await;
    bench.get(&path(&second)).await.openai_error(404, "not_found");
    assert_eq!(bench.branch(&at).await, ["a", "one", "b", "two"]);
    let error = bench.post("/v1/responses", json!({"model": "lab/test", "conversation": id})).await;
    assert_eq!(error.openai_error(400, "invalid")["param"], "input");
}

#[tokio::test]
async fn answer_that_is_cut_off_is_incomplete() {
    let script = vec![say("one tw"), Step::Say(ProviderEvent::Finish(FinishReason::Length))];
    let bench = bench([script]).await;
    let response = bench.respond(with(ask("a"), json!({"max_output_tokens": 16}))).await;
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(response["output"][0]["status"], "incomplete");
    assert_eq!(bench.get(&path(&response)).await.json(), response);
}

#[tokio::test]
async fn failure_of_the_model_is_an_error_and_the_response_says_so() {
    let fail = || vec![Step::Fail(Error::upstream("the server is on fire"))];
    let bench = bench([fail(), fail()]).await;
    let reply = bench.post("/v1/responses", ask("a")).await;
    assert!(reply.openai_error(502, "upstream")["message"].as_str().unwrap().contains("on fire"));
    let reply = bench.post("/v1/responses", with(ask("a"), json!({"store": false}))).await;
    reply.openai_error(502, "upstream");
}

#[tokio::test]
async fn background_response_is_there_at_once_and_is_cancelled_once() {
    let hang = || vec![say("one "), Step::Hang];
    let bench = bench([hang(), answer("whole")]).await;
    let queued = bench.respond(with(ask("a"), json!({"background": true}))).await;
    assert_eq!((&queued["status"], &queued["output"]), (&json!("queued"), &json!([])));
    let follow = with(ask("b"), json!({"previous_response_id": queued["id"]}));
    bench.post("/v1/responses", follow).await.openai_error(400, "invalid");
    until(async || bench.provider.open() == 1).await;
    let at = format!("{}/cancel", path(&queued));
    let cancelled = bench.post(&at, json!({})).await.json();
    assert_eq!((&cancelled["status"], &cancelled["background"]), (&json!("cancelled"), &json!(true)));
    assert_eq!(bench.post(&at, json!({})).await.json(), cancelled, "once more changes nothing");
    assert_eq!(bench.get(&path(&queued)).await.json(), cancelled);
    let whole = bench.respond(with(ask("a"), json!({"background": true}))).await;
    let at = path(&whole);
    until(async || bench.get(&at).await.json()["status"] == "completed").await;
    let whole = bench.get(&at).await.json();
    assert_eq!(output_text(&whole), "whole");
    assert_eq!(bench.post(&format!("{at}/cancel"), json!({})).await.json(), whole);
    let plain = bench.respond(ask("a")).await;
    bench.post(&format!("{}/cancel", path(&plain)), json!({})).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn tokens_of_a_request_are_counted_and_nothing_is_asked() {
    let bench = bench([answer("one")]).await;
    let count = |body: Value| {
        let bench = &bench;
        async move {
            let counted = bench.post("/v1/responses/input_tokens", body).await.json();
            assert_eq!(counted["object"], "response.input_tokens");
            counted["input_tokens"].as_u64().unwrap()
        }
    };
    let short = count(ask("a")).await;
    let tools =
        json!({"tools": [{"type": "function", "name": "time", "description": "Says what time it is."}]});
    assert!(short > 0 && count(with(ask("a"), tools)).await > short);
    assert!(count(with(ask("a"), json!({"instructions": "Be very short."}))).await > short);
    let first = bench.respond(ask("a long question about boilers")).await;
    assert!(count(with(ask("a"), json!({"previous_response_id": first["id"]}))).await > short);
    assert_eq!(bench.provider.requests().len(), 1);
}

#[tokio::test]
async fn context_is_made_shorter_and_goes_back_as_input() {
    let bench = bench([answer("They talked of boilers."), answer("Yes.")]).await;
    let input = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "7"},
        {"role": "user", "content": "c"},
    ]);
    let compacted = bench.post("/v1/responses/compact", ask(input)).await.json();
    assert_eq!(compacted["object"], "response.compaction");
    let output = compacted["output"].as_array().unwrap();
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "message", "compaction"]);
    let sealed = output[2]["encrypted_content"].as_str().unwrap();
    assert!(!sealed.contains("boilers"));
    let mut items = output.clone();
    items.push(json!({"role": "user", "content": "d"}));
    bench.respond(ask(items)).await;
    let texts: Vec<_> = told(&bench).into_iter().map(|(_, text)| text).collect();
    assert!(texts.iter().any(|text| text.contains("They talked of boilers.")), "{texts:?}");
    let forged = json!([{"type": "compaction", "encrypted_content": format!("{sealed}AAAA")}, {"role": "user", "content": "d"}]);
    bench.post("/v1/responses", ask(forged)).await.openai_error(400, "invalid");
    bench.post("/v1/responses/compact", json!({"model": "lab/test"})).await.openai_error(400, "invalid");
}

#[tokio::test]
async fn stored_prompt_is_filled_in() {
    let bench = bench([]).await;
    let new = json!({"title": "Pirate", "content": "Speak like {{who}}."});
    let prompt = bench.post("/api/v1/prompts", new).await.json();
    let id = format!("pmpt_{}", prompt["id"].as_str().unwrap().replace('-', ""));
    let body = with(ask("Hi"), json!({"prompt": {"id": id, "variables": {"who": "a pirate"}}}));
    let response = bench.respond(body).await;
    assert_eq!(response["prompt"]["id"], id);
    assert_eq!(told(&bench)[0], (MessageRole::System, "Speak like a pirate.".to_owned()));
    let missing = with(ask("Hi"), json!({"prompt": {"id": id}}));
    let error = bench.post("/v1/responses", missing).await.openai_error(400, "invalid");
    assert_eq!(error["param"], "prompt.variables.who");
    let unknown = with(ask("Hi"), json!({"prompt": {"id": "pmpt_1"}}));
    bench.post("/v1/responses", unknown).await.openai_error(404, "not_found");
}

#[tokio::test]
async fn response_that_is_sent_again_is_made_once() {
    let fails = vec![say("tw"), Step::Fail(Error::new(ErrorKind::Upstream, "the model server fell over"))];
    let bench = bench([answer("one"), fails, answer("two"), answer("three")]).await;
    let send = async |key: &str, body: Value| {
        let mut request = request(Method::POST, "/v1/responses", Some(body));
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        bench.ask(request).await
    };
    let first = send("a", ask("Count")).await.json();
    let again = send("a", ask("Count")).await.json();
    assert_eq!((&again["id"], &again["output"]), (&first["id"], &first["output"]));
    send("a", ask("Something else")).await.openai_error(400, "conflict");
    let background = with(ask("Count"), json!({"background": true}));
    // One that failed is answered anew.
    assert_eq!(send("b", ask("More")).await.status, 502);
    let retried = send("b", ask("More")).await.json();
    assert_eq!(output_text(&retried), "two");
    let read = bench.get(&format!("/v1/responses/{}", retried["id"].as_str().unwrap())).await.json();
    assert_eq!(output_text(&read), "two");
    send("a", background).await.openai_error(400, "conflict");
    // One that was deleted is not told again.
    bench.delete(&format!("/v1/responses/{}", retried["id"].as_str().unwrap())).await;
    let conversation = bench.post("/v1/conversations", json!({})).await.json()["id"].clone();
    let within = with(ask("Last"), json!({"conversation": conversation}));
    let last = send("c", within.clone()).await.json();
    bench.delete(&format!("/v1/responses/{}", last["id"].as_str().unwrap())).await;
    send("c", within).await.openai_error(404, "not_found");
    send("", ask("x")).await.openai_error(400, "invalid");
    let error = send(&"k".repeat(300), ask("x")).await.openai_error(400, "invalid");
    assert_eq!(error["param"], "Idempotency-Key");
}
