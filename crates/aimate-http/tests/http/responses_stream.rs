//! `/v1/responses` as a stream: told once, told again, resumed.

use aimate_core::Error;
use aimate_core::provider::ProviderEvent;
use aimate_core::testing::{Step, answer};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::common::{Reply, bench, end, request, say, until};
use crate::responses::{ask, output_text, with};

/// The events of a stream, each checked for its frame and its number.
pub(crate) fn events(reply: &Reply, first: u64) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let mut frames: Vec<_> = reply.body.split_terminator("\n\n").collect();
    assert_eq!(frames.pop(), Some("data: [DONE]"));
    let read = |(n, frame): (u64, &&str)| {
        let (name, data) = frame.split_once("\ndata: ").unwrap();
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", event["type"].as_str().unwrap()));
        assert_eq!(event["sequence_number"], n);
        event
    };
    (first..).zip(&frames).map(read).collect()
}

pub(crate) fn streamed(input: &str) -> Value {
    with(ask(input), json!({"stream": true}))
}

#[tokio::test]
async fn last_event_is_what_is_read_afterwards() {
    let script = vec![Step::Say(ProviderEvent::Reasoning("hm".into())), say("one "), say("two"), end()];
    let bench = bench([script]).await;
    let events = events(&bench.post("/v1/responses", streamed("a")).await, 0);
    let last = &events.last().unwrap()["response"];
    assert_eq!((&last["status"], output_text(last).as_str()), (&json!("completed"), "one two"));
    let at = format!("/v1/responses/{}", last["id"].as_str().unwrap());
    assert_eq!(bench.get(&at).await.json(), *last);
    let done: Vec<_> = events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    assert_eq!(done[1]["item"], last["output"][1]);
}

#[tokio::test]
async fn replay_is_the_first_telling_from_any_number() {
    let bench = bench([answer("one two three")]).await;
    let told = bench.post("/v1/responses", streamed("a")).await;
    let all = events(&told, 0);
    let at = format!("/v1/responses/{}?stream=true", all[0]["response"]["id"].as_str().unwrap());
    assert_eq!(bench.get(&at).await.body, told.body);
    for after in 0..all.len() {
        let rest = bench.get(&format!("{at}&starting_after={after}")).await;
        assert_eq!(events(&rest, after as u64 + 1), all[after + 1..], "after {after}");
    }
}

#[tokio::test]
async fn background_stream_is_left_and_resumed() {
    let script = vec![say("one "), Step::Wait(std::time::Duration::from_millis(100)), say("two"), end()];
    let bench = bench([script]).await;
    let body = with(streamed("a"), json!({"background": true}));
    let response = bench.send(request(Method::POST, "/v1/responses", Some(body))).await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    assert!(
        first.ends_with("}\n\n") && first.matches("\n\n").count() == 1,
        "one event is one write: {first}"
    );
    let created: Value = serde_json::from_str(first.trim().split_once("\ndata: ").unwrap().1).unwrap();
    assert_eq!(
        (&created["type"], &created["response"]["status"]),
        (&json!("response.created"), &json!("queued"))
    );
    drop(body);
    let at = format!("/v1/responses/{}", created["response"]["id"].as_str().unwrap());
    let rest = bench.get(&format!("{at}?stream=true&starting_after=0")).await;
    let rest = events(&rest, 1);
    assert_eq!(rest[0]["type"], "response.queued");
    let last = &rest.last().unwrap()["response"];
    assert_eq!(output_text(last), "one two");
    assert_eq!(bench.get(&at).await.json(), *last);
}

#[tokio::test]
async fn what_fails_before_anything_was_sent_has_a_status_of_its_own() {
    let fail = || Step::Fail(Error::upstream("the server is on fire"));
    let bench = bench([vec![fail()], vec![say("one "), fail()]]).await;
    bench.post("/v1/responses", streamed("a")).await.openai_error(502, "upstream");
    let events = events(&bench.post("/v1/responses", streamed("a")).await, 0);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["error"]["code"], "server_error");
    assert_eq!(output_text(&last["response"]), "one ");
    let at = format!("/v1/responses/{}", last["response"]["id"].as_str().unwrap());
    assert_eq!(bench.get(&at).await.json(), last["response"]);
}

#[tokio::test]
async fn stream_that_is_not_stored_has_the_same_events() {
    let bench = bench([answer("one two"), answer("one two")]).await;
    let kinds = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    let stored = events(&bench.post("/v1/responses", streamed("a")).await, 0);
    let body = with(streamed("a"), json!({"store": false}));
    let unstored = events(&bench.post("/v1/responses", body).await, 0);
    assert_eq!(kinds(&stored), kinds(&unstored));
    let last = &unstored.last().unwrap()["response"];
    assert_eq!((output_text(last).as_str(), &last["usage"]["total_tokens"]), ("one two", &json!(10)));
}

#[tokio::test]
async fn response_is_found_before_its_last_event() {
    let bench = bench([answer("one")]).await;
    let response = bench.send(request(Method::POST, "/v1/responses", Some(streamed("a")))).await;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
        if let Some(data) = text.strip_prefix("event: response.completed\ndata: ") {
            let event: Value = serde_json::from_str(data).unwrap();
            let at = format!("/v1/responses/{}", event["response"]["id"].as_str().unwrap());
            assert_eq!(bench.get(&at).await.json()["status"], "completed");
            return;
        }
    }
    panic!("no last event");
}

#[tokio::test]
async fn cancelled_stream_ends() {
    let bench = bench([vec![say("one "), Step::Hang]]).await;
    let body = with(streamed("a"), json!({"background": true}));
    let response = bench.send(request(Method::POST, "/v1/responses", Some(body))).await;
    until(async || bench.provider.open() == 1).await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let created: Value = serde_json::from_slice(
        first.split(|byte| *byte == b'\n').nth(1).unwrap().strip_prefix(b"data: ").unwrap(),
    )
    .unwrap();
    let at = format!("/v1/responses/{}/cancel", created["response"]["id"].as_str().unwrap());
    let cancelled = bench.post(&at, json!({})).await.json();
    let rest = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(rest.contains("event: response.incomplete") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(cancelled["status"], "cancelled");
}

#[tokio::test]
async fn text_is_gone_on_with_in_the_old_form() {
    let bench = bench([answer("there was a boiler."), answer("one two")]).await;
    let body = json!({"model": "lab/test", "prompt": "Once ", "echo": true, "max_tokens": 5});
    let mut whole = bench.post("/v1/completions", body).await.json();
    assert!(whole["id"].take().as_str().unwrap().starts_with("cmpl-"));
    assert_eq!(whole["object"], "text_completion");
    assert_eq!(
        whole["choices"],
        json!([{"index": 0, "text": "Once there was a boiler.", "logprobs": null, "finish_reason": "stop"}])
    );
    assert_eq!(whole["usage"]["total_tokens"], 10);
    let body = json!({"prompt": ["Once"], "stream": true, "stream_options": {"include_usage": true}});
    let reply = bench.post("/v1/completions", body).await;
    let mut frames: Vec<_> = reply.body.split_terminator("\n\n").collect();
    assert_eq!(frames.pop(), Some("data: [DONE]"));
    let pieces: Vec<Value> = frames.iter().map(|frame| serde_json::from_str(&frame[6..]).unwrap()).collect();
    let told: String = pieces.iter().filter_map(|piece| piece["choices"][0]["text"].as_str()).collect();
    assert_eq!(told, "one two");
    assert_eq!(pieces.last().unwrap()["usage"]["total_tokens"], 10);
    for (body, param) in [
        (json!({}), "prompt"),
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": "a", "n": 2}), "n"),
    ] {
        let reply = bench.post("/v1/completions", body).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (400, &json!(param)));
    }
}
