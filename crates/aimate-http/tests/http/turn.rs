//! Turns: the stream, resuming it, stopping it, branches, doing it once.

use std::time::Duration;

use aimate_core::Error;
use aimate_core::message::ToolCall;
use aimate_core::provider::ProviderEvent;
use aimate_core::testing::{Step, answer};
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::common::{Bench, Event, bench, end, events, request, said, say, text, until};

/// Reads frames until one holds an event of this name; gives what was read.
async fn read_to(body: &mut Body, name: &str) -> String {
    let mut read = String::new();
    while !read.contains(&format!("event: {name}\n")) {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        read.push_str(std::str::from_utf8(&frame).unwrap());
    }
    read
}

async fn resumed(bench: &Bench, run: &str, after: u64) -> Vec<Event> {
    let mut request = request(Method::GET, &format!("/api/v1/runs/{run}/events"), None);
    request.headers_mut().insert("last-event-id", after.into());
    bench.ask(request).await.events()
}

#[tokio::test]
async fn turn_starts_a_conversation() {
    let broken = vec![say("half"), Step::Fail(Error::upstream("cut"))];
    let bench = bench([broken, answer("whole")]).await;
    let body = json!({"content": "a", "client_id": "once", "conversation": {"title": "The pump", "tags": ["t"],
        "metadata": {"ticket": 42}}});
    let events = bench.post("/api/v1/messages", body.clone()).await.events();
    let at = format!("/api/v1/conversations/{}", events[0].data["conversation_id"].as_str().unwrap());
    let stored = bench.get(&at).await.json();
    assert_eq!(
        (&stored["title"], &stored["tags"], &stored["metadata"]["ticket"]),
        (&json!("The pump"), &json!(["t"]), &json!(42))
    );
    assert_eq!(events.last().unwrap().name, "error");
    // The same question anew, beside the answer that broke off.
    let mut again = body.clone();
    again["retry"] = json!(true);
    let events = bench.post("/api/v1/messages", again.clone()).await.events();
    assert_eq!(text(&events.last().unwrap().data["message"]), "whole");
    let listed = bench.get(&format!("{at}/messages")).await.json();
    assert_eq!(listed["data"][1]["sibling_ids"].as_array().unwrap().len(), 2);
    bench.post(&format!("{at}/messages"), body).await.problem(400, "invalid");
    again.as_object_mut().unwrap().remove("client_id");
    bench.post("/api/v1/messages", again).await.problem(400, "invalid");
}

#[tokio::test]
async fn stream_is_numbered_and_ends_once() {
    let bench = bench([answer("The boiler is serviced in May.")]).await;
    let at = bench.conversation().await;
    let reply = bench.post(&format!("{at}/messages"), json!({"content": "When?"})).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-accel-buffering"), "no");
    assert_eq!(reply.header("content-encoding"), "");
    let events = reply.events();
    assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event.data["type"] == event.name));
    let started = &events[0].data;
    assert_eq!(events[0].name, "started");
    for field in ["run_id", "conversation_id", "user_message_id", "message_id", "model"] {
        assert!(started[field].is_string(), "{started}");
    }
    assert_eq!(said(&events), "The boiler is serviced in May.");
    let ends = events.iter().filter(|event| ["finished", "error"].contains(&event.name.as_str()));
    assert_eq!(ends.count(), 1);
    let finished = &events.last().unwrap().data;
    assert_eq!(finished["finish_reason"], "stop");
    assert_eq!(finished["usage"]["input_tokens"], 7);
    assert_eq!(finished["message"]["id"], started["message_id"]);
    assert_eq!(bench.branch(&at).await, ["When?", "The boiler is serviced in May."]);
}

#[tokio::test]
async fn resumed_stream_is_the_same_at_every_cut() {
    let bench = bench([answer("a b c d e")]).await;
    let at = bench.conversation().await;
    let whole = bench.post(&format!("{at}/messages"), json!({"content": "x"})).await.events();
    let run = whole[0].data["run_id"].as_str().unwrap();
    for cut in 0..whole.len() {
        let rest = resumed(&bench, run, cut as u64).await;
        assert_eq!([&whole[..cut], &rest[..]].concat(), whole, "cut after {cut}");
    }
    let known = format!("/api/v1/runs/{run}/events?after={}", whole.len());
    assert_eq!(bench.get(&known).await.status, 204, "nothing is told twice");
    let by_query = bench.get(&format!("/api/v1/runs/{run}/events?after=2")).await.events();
    assert_eq!(by_query, whole[2..]);
    let mut request = request(Method::GET, &format!("/api/v1/runs/{run}/events"), None);
    request.headers_mut().insert("last-event-id", "x".parse().unwrap());
    bench.ask(request).await.problem(400, "invalid");
}

#[tokio::test]
async fn live_run_is_resumed_where_it_was_left() {
    let pause = || Step::Wait(Duration::from_millis(50));
    let bench = bench([vec![say("a "), pause(), say("b "), pause(), say("c"), end()]]).await;
    let at = bench.conversation().await;
    let asked = request(Method::POST, &format!("{at}/messages"), Some(json!({"content": "x"})));
    let mut body = bench.send(asked).await.into_body();
    let read = events(&read_to(&mut body, "text").await);
    drop(body);
    let run = read[0].data["run_id"].as_str().unwrap();
    let rest = resumed(&bench, run, read.last().unwrap().id).await;
    let all = [read, rest].concat();
    assert_eq!(said(&all), "a b c");
    assert_eq!(all.last().unwrap().name, "finished");
    assert!(all.windows(2).all(|pair| pair[0].id + 1 == pair[1].id));
}

#[tokio::test]
async fn plain_answer_is_the_finished_message() {
    let bench = bench([answer("yes"), answer("again")]).await;
    let at = bench.conversation().await;
    let message = bench.say(&at, "x").await;
    assert_eq!((message["role"].as_str(), message["status"].as_str()), (Some("assistant"), Some("complete")));
    assert_eq!((text(&message), message["model"].as_str()), ("yes", Some("lab/test")));
    assert!(!bench.provider.requests()[0].stream);
    let mut by_accept = request(Method::POST, &format!("{at}/messages"), Some(json!({"content": "y"})));
    by_accept.headers_mut().insert("accept", "application/json".parse().unwrap());
    assert_eq!(text(&bench.ask(by_accept).await.json()), "again");
}

#[tokio::test]
async fn what_fails_is_told_and_what_came_is_kept() {
    let bench = bench([
        vec![Step::Fail(Error::rate_limited("`lab`: slow down").with_retry_after(Duration::from_secs(7)))],
        vec![say("half"), Step::Fail(Error::upstream("`lab`: the server broke off"))],
    ])
    .await;
    let at = bench.conversation().await;
    let body = json!({"content": "x", "stream": false});
    let reply = bench.post(&format!("{at}/messages"), body).await;
    reply.problem(429, "rate_limited");
    assert!(!reply.header("retry-after").is_empty());
    let events = bench.post(&format!("{at}/messages"), json!({"content": "y"})).await.events();
    let last = events.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["code"]), ("error", &json!("upstream")));
    assert_eq!(last.data["retryable"], true);
    let list = bench.get(&format!("{at}/messages")).await.json();
    let answer = list["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((text(&answer), answer["status"].as_str()), ("half", Some("interrupted")));
}

#[tokio::test]
async fn cancel_keeps_what_came() {
    let bench = bench([vec![say("half"), Step::Hang]]).await;
    let at = bench.conversation().await;
    let asked = request(Method::POST, &format!("{at}/messages"), Some(json!({"content": "x"})));
    let mut body = bench.send(asked).await.into_body();
    let read = events(&read_to(&mut body, "text").await);
    let run = read[0].data["run_id"].as_str().unwrap().to_owned();
    assert_eq!(bench.post(&format!("/api/v1/runs/{run}/cancel"), json!({})).await.status, 200);
    let rest = events(&read_to(&mut body, "finished").await);
    assert_eq!(rest.last().unwrap().data["finish_reason"], "cancelled");
    assert!(body.frame().await.is_none());
    assert_eq!(bench.provider.open(), 0);
    let stored = bench.get(&format!("/api/v1/runs/{run}")).await.json();
    assert_eq!(stored["status"], "cancelled");
    assert!(stored["context"]["included"].is_array());
    let again = bench.post(&format!("/api/v1/runs/{run}/cancel"), json!({})).await;
    assert_eq!((again.status.as_u16(), &again.json()["status"]), (200, &json!("cancelled")));
}

#[tokio::test]
async fn disconnecting_does_what_the_turn_says() {
    for (choice, status) in [("cancel", "cancelled"), ("continue", "complete")] {
        let script = vec![say("a"), Step::Wait(Duration::from_millis(100)), say("b"), end()];
        let bench = bench([script]).await;
        let at = bench.conversation().await;
        let turn = json!({"content": "x", "on_disconnect": choice});
        let asked = request(Method::POST, &format!("{at}/messages"), Some(turn));
        let mut body = bench.send(asked).await.into_body();
        read_to(&mut body, "text").await;
        drop(body);
        until(async || {
            let list = bench.get(&format!("{at}/messages")).await.json();
            list["data"][1]["status"] == status
        })
        .await;
        assert_eq!(bench.provider.open(), 0);
        let expected = if choice == "cancel" { "a" } else { "ab" };
        assert_eq!(bench.branch(&at).await[1], expected);
    }
}

#[tokio::test]
async fn edits_and_second_answers_are_branches() {
    let bench = bench([answer("one"), answer("two"), answer("three")]).await;
    let at = bench.conversation().await;
    let first = bench.say(&at, "question").await;
    let (question, first) = (first["parent_id"].as_str().unwrap(), first["id"].as_str().unwrap());

    let again =
        bench.post(&format!("{at}/messages/{first}/regenerate"), json!({"stream": false})).await.json();
    assert_eq!((text(&again), again["parent_id"].as_str()), ("two", Some(question)));
    let edited = json!({"content": "better question", "stream": false});
    let edited = bench.put(&format!("{at}/messages/{question}"), edited).await.json();
    assert_eq!(text(&edited), "three");
    assert_eq!(bench.branch(&at).await, ["better question", "three"]);

    let corrected = bench.put(&format!("{at}/messages/{first}"), json!({"content": "ONE"})).await;
    assert_eq!(corrected.status, 200);
    assert_eq!(text(&corrected.json()), "ONE");
    assert_eq!(bench.branch(&at).await, ["question", "ONE"]);
    let list = bench.get(&format!("{at}/messages?leaf={first}")).await.json();
    assert_eq!(list["data"][1]["sibling_ids"].as_array().unwrap().len(), 3);
    let through = bench.get(&format!("{at}/messages?through={first}")).await.json();
    assert_eq!(through, list);
    let run = list["data"][1]["run_id"].as_str().unwrap();
    let run = bench.get(&format!("/api/v1/runs/{run}")).await.json();
    assert_eq!(run["message_id"], list["data"][1]["id"]);

    let bare = request(Method::POST, &format!("{at}/messages/{first}/regenerate"), None);
    assert_eq!(said(&bench.ask(bare).await.events()), "Hello there");
    let extra = json!({"content": "no"});
    bench.post(&format!("{at}/messages/{first}/regenerate"), extra).await.problem(400, "invalid");
}

#[tokio::test]
async fn parent_branches_off_earlier() {
    let bench = bench([answer("one"), answer("two"), answer("three")]).await;
    let at = bench.conversation().await;
    let first = bench.say(&at, "a").await;
    bench.say(&at, "b").await;
    let body = json!({"content": "c", "parent_id": first["id"], "stream": false});
    bench.post(&format!("{at}/messages"), body).await;
    assert_eq!(bench.branch(&at).await, ["a", "one", "c", "three"]);
}

#[tokio::test]
async fn fifty_duplicates_are_one_run() {
    let bench = bench([vec![Step::Wait(Duration::from_millis(20)), say("once"), end()]]).await;
    let at = bench.conversation().await;
    let turn = || {
        let body = json!({"content": "x", "stream": false});
        let mut request = request(Method::POST, &format!("{at}/messages"), Some(body));
        request.headers_mut().insert("idempotency-key", "k1".parse().unwrap());
        bench.ask(request)
    };
    let replies = futures_util::future::join_all((0..50).map(|_| turn())).await;
    let ids: Vec<Value> = replies.iter().map(|reply| reply.json()["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()), "{replies:?}");
    assert_eq!(bench.provider.requests().len(), 1);
    assert_eq!(bench.branch(&at).await, ["x", "once"]);

    let other = json!({"content": "another", "client_id": "k1"});
    bench.post(&format!("{at}/messages"), other).await.problem(409, "conflict");
    let mut both =
        request(Method::POST, &format!("{at}/messages"), Some(json!({"content": "x", "client_id": "k2"})));
    both.headers_mut().insert("idempotency-key", "k1".parse().unwrap());
    bench.ask(both).await.problem(400, "invalid");
}

#[tokio::test]
async fn tool_calls_come_back_and_take_results() {
    let call = ToolCall::new("c1", "time", json!({"zone": "UTC"}));
    let bench = bench([vec![Step::Say(ProviderEvent::ToolCall(call)), end()], answer("noon")]).await;
    let at = bench.conversation().await;
    let turn = json!({"content": "time?", "tools": [{"name": "time", "parameters": {"type": "object"}}]});
    let events = bench.post(&format!("{at}/messages"), turn).await.events();
    assert_eq!(events[1].name, "tool_called");
    assert_eq!(events[1].data["call"], json!({"id": "c1", "name": "time", "arguments": {"zone": "UTC"}}));
    assert_eq!(events.last().unwrap().data["finish_reason"], "tool_calls");
    let result =
        json!({"content": [{"type": "tool_result", "id": "c1", "output": "12:00"}], "stream": false});
    let told = bench.post(&format!("{at}/messages"), result).await;
    assert_eq!(text(&told.json()), "noon");
    let asked = &bench.provider.requests()[1].messages;
    assert_eq!(asked.last().unwrap().role, aimate_core::message::MessageRole::Tool);
}

#[tokio::test]
async fn answer_that_is_written_cannot_be_answered() {
    let bench = bench([vec![say("half"), Step::Hang]]).await;
    let at = bench.conversation().await;
    let asked: Request<Body> =
        request(Method::POST, &format!("{at}/messages"), Some(json!({"content": "x"})));
    let mut body = bench.send(asked).await.into_body();
    read_to(&mut body, "text").await;
    bench.post(&format!("{at}/messages"), json!({"content": "y"})).await.problem(409, "conflict");
}

#[tokio::test]
async fn what_is_ready_goes_in_one_piece() {
    let words = "word ".repeat(50);
    let bench = bench([answer(&words), answer(&words)]).await;
    let at = bench.conversation().await;
    let passing = json!({"messages": [{"role": "user", "content": "x"}], "stream": true});
    for (path, body) in
        [(format!("{at}/messages"), json!({"content": "x"})), ("/v1/chat/completions".to_owned(), passing)]
    {
        let mut body = bench.send(request(Method::POST, &path, Some(body))).await.into_body();
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            frames += 1;
        }
        assert!(frames < 10, "{path}: 50 pieces in {frames} frames");
    }
}
