//! Sequences of events, as clients check them.

use aimate_core::chat::event::{ChatEvent, Started};
use aimate_core::message::{Part, ToolCall, ToolResult};
use aimate_core::provider::FinishReason;
use aimate_core::usage::TokenUsage;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::echo::Echo;
use super::super::frame::Framing;
use super::super::output::output;
use super::*;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_a5d2_7c1e_7cc3_98c4_0000_0000_0000 + n)
}

fn started() -> ChatEvent {
    ChatEvent::Started(Box::new(Started {
        run_id: id(1).into(),
        conversation_id: id(2).into(),
        user_message_id: None,
        message_id: id(3).into(),
        model: "lab/test".into(),
    }))
}

fn text(text: &str) -> ChatEvent {
    ChatEvent::Text { text: text.into() }
}

fn reasoning(text: &str) -> ChatEvent {
    ChatEvent::Reasoning { text: text.into() }
}

fn called(call: ToolCall) -> ChatEvent {
    ChatEvent::ToolCalled { call: Box::new(call) }
}

fn own_call(id: &str) -> ToolCall {
    ToolCall { is_made_here: true, ..ToolCall::new(id, "search", json!({"q": "x"})) }
}

fn passage(n: u32) -> Citation {
    Citation::new(n, id(10 + u128::from(n)).into(), id(9).into(), &format!("{n}.txt"), "text")
}

/// The frames of a response with this log, after the event that the client has.
fn frames_of(
    echo: &Echo,
    log: &[ChatEvent],
    parts: &[Part],
    state: State,
    after: Option<u64>,
) -> Vec<String> {
    let head = Head { id: id(1).into(), model: String::new(), echo: echo.clone() };
    let mut events = ResponseEvents::new(head, id(3).into(), Frames::new(Framing::Sse, after));
    log.iter().for_each(|event| events.apply(event));
    let found = events.found.clone();
    let last = Outcome {
        output: output(echo, id(3).into(), parts, &found, state.is_whole()),
        usage: Some(TokenUsage { input_tokens: 7, output_tokens: 3, ..TokenUsage::default() }),
        ended_at: Some(1_000),
        state,
    };
    events.finish(&last);
    std::iter::from_fn(|| events.pop()).map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
}

/// The events of a response, each checked for its frame and its number.
fn events_of(echo: &Echo, log: &[ChatEvent], parts: &[Part], state: State) -> Vec<Value> {
    let mut frames = frames_of(echo, log, parts, state, None);
    assert_eq!(frames.pop().as_deref(), Some("data: [DONE]\n\n"));
    let events: Vec<Value> = frames
        .iter()
        .map(|frame| {
            let (name, data) = frame.strip_suffix("\n\n").unwrap().split_once("\ndata: ").unwrap();
            let event: Value = serde_json::from_str(data).unwrap();
            assert_eq!(name, format!("event: {}", event["type"].as_str().unwrap()));
            event
        })
        .collect();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], n);
    }
    hold(&events);
    events
}

/// What the official clients hold every stream to.
fn hold(events: &[Value]) {
    assert_eq!(events[0]["type"], "response.created");
    let mut open: Vec<Option<Value>> = Vec::new();
    for event in events {
        let place = usize::try_from(event["output_index"].as_u64().unwrap_or(0)).unwrap();
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                assert_eq!(place, open.len(), "{event}");
                open.push(Some(event["item"].clone()));
            }
            "response.output_item.done" => {
                let added = open[place].take().unwrap();
                assert_eq!((&added["id"], &added["type"]), (&event["item"]["id"], &event["item"]["type"]));
            }
            name if event.get("item_id").is_some() => {
                assert_eq!(open[place].as_ref().unwrap()["id"], event["item_id"], "{name}");
            }
            _ => assert!(event.get("response").is_some(), "{event}"),
        }
    }
    assert!(open.iter().all(Option::is_none), "an item was not closed");
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().strip_prefix("response.").unwrap()).collect()
}

fn last(events: &[Value]) -> &Value {
    &events.last().unwrap()["response"]
}

/// The items of a stream as they ended.
fn done(events: &[Value]) -> Vec<Value> {
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    done.map(|event| event["item"].clone()).collect()
}

#[test]
fn text_comes_in_the_order_that_clients_want() {
    let log = [started(), text("one "), text("two")];
    let events = events_of(&Echo::default(), &log, &[Part::text("one two")], State::Completed);
    assert_eq!(
        names(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    let first = &events[0]["response"];
    assert_eq!(
        (&first["status"], &first["output"], &first["usage"]),
        (&json!("in_progress"), &json!([]), &Value::Null)
    );
    assert_eq!(first["model"], "lab/test");
    assert_eq!(
        events[3]["part"],
        json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []})
    );
    assert_eq!((&events[4]["delta"], &events[4]["logprobs"]), (&json!("one "), &json!([])));
    assert_eq!(events[4]["content_index"], 0);
    assert_eq!(events[6]["text"], "one two");
    assert_eq!(events[7]["part"]["text"], "one two");
    let last = last(&events);
    assert_eq!(last["output"], Value::from(done(&events)));
    assert_eq!((&last["status"], &last["completed_at"]), (&json!("completed"), &json!(1_000)));
    assert_eq!(last["usage"]["total_tokens"], 10);
    assert_eq!(last["id"], first["id"]);
    assert!(last["created_at"].as_u64().unwrap() > 1_700_000_000);
}

#[test]
fn every_field_of_the_object_is_there() {
    let events = events_of(&Echo::default(), &[started()], &[], State::Completed);
    let required = [
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "conversation",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
    ];
    for event in &events {
        let fields = event["response"].as_object().unwrap();
        for name in required {
            assert!(fields.contains_key(name), "{name}");
        }
        for absent in ["user", "prompt", "logprobs", "phase", "output_text"] {
            assert!(!fields.contains_key(absent), "{absent}");
        }
    }
}

#[test]
fn reasoning_is_an_item_before_the_text() {
    let log = [started(), reasoning("h"), reasoning("m"), text("a")];
    let parts = [Part::Reasoning { text: "hm".into(), details: None }, Part::text("a")];
    let events = events_of(&Echo::default(), &log, &parts, State::Completed);
    assert_eq!(
        names(&events)[2..9],
        [
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
            "output_item.done"
        ]
    );
    assert_eq!(last(&events)["output"], Value::from(done(&events)));
    assert_eq!(last(&events)["output"][0]["content"][0], json!({"type": "reasoning_text", "text": "hm"}));
    assert_eq!(last(&events)["output"][0]["summary"], json!([]));
}

#[test]
fn calls_of_functions_are_items_of_their_own() {
    let calls = [ToolCall::new("c1", "time", json!({"zone": "UTC"})), ToolCall::new("c2", "date", json!({}))];
    let log = [started(), text("I look."), called(calls[0].clone()), called(calls[1].clone())];
    let parts = [Part::text("I look."), Part::ToolCall(calls[0].clone()), Part::ToolCall(calls[1].clone())];
    let events = events_of(&Echo::default(), &log, &parts, State::Completed);
    let function = [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ];
    assert_eq!(names(&events)[8..16], [function, function].concat());
    assert_eq!(events[8]["item"]["arguments"], "");
    assert_eq!(
        (&events[10]["name"], &events[10]["arguments"]),
        (&json!("time"), &json!("{\"zone\":\"UTC\"}"))
    );
    let output = &last(&events)["output"];
    assert_eq!(*output, Value::from(done(&events)));
    assert_eq!(output[1]["call_id"], "c1");
    assert!(output[1]["id"].as_str().unwrap().starts_with("fc_"));
    assert_ne!(output[1]["id"], output[2]["id"]);
    assert_eq!(last(&events)["status"], "completed");
}

#[test]
fn calls_that_the_server_makes_end_when_they_return() {
    let (one, two) = (own_call("1"), own_call("2"));
    let failed = ToolResult::error("2", "no");
    let log = [
        started(),
        called(one.clone()),
        called(two.clone()),
        ChatEvent::ToolReturned(Box::new(failed.clone())),
        ChatEvent::ToolReturned(Box::new(ToolResult::new("1", "found"))),
        text("Yes."),
    ];
    let parts = [
        Part::ToolCall(one),
        Part::ToolCall(two),
        Part::ToolResult(failed),
        Part::ToolResult(ToolResult::new("1", "found")),
        Part::text("Yes."),
    ];
    let events = events_of(&Echo::default(), &log, &parts, State::Completed);
    let output = last(&events)["output"].as_array().unwrap();
    let mut ended = done(&events);
    ended.sort_by_key(|item| output.iter().position(|one| one["id"] == item["id"]));
    assert_eq!(*output, ended);
    assert_eq!((&output[0]["output"], &output[0]["status"]), (&json!("found"), &json!("completed")));
    assert_eq!(
        (&output[1]["error"], &output[1]["status"]),
        (&crate::openai::item::mcp_error("no"), &json!("failed"))
    );
    assert!(names(&events).contains(&"mcp_call_arguments.done"));
}

#[test]
fn search_is_the_first_item_and_its_sources_come_before_the_text_is_done() {
    let echo = Echo {
        queries: Some(vec!["boiler".into()]),
        include: vec![crate::openai::include::SEARCH_RESULTS.into()],
        ..Echo::default()
    };
    let found = vec![passage(1), passage(2)];
    for (said, indices) in
        [("In May [2].", vec![("2.txt", 7)]), ("In May.", vec![("1.txt", 7), ("2.txt", 7)])]
    {
        let log = [started(), ChatEvent::Retrieved { citations: found.clone() }, text(said)];
        let events = events_of(&echo, &log, &[Part::text(said)], State::Completed);
        let names = names(&events);
        assert_eq!(
            names[2..7],
            [
                "output_item.added",
                "file_search_call.in_progress",
                "file_search_call.searching",
                "file_search_call.completed",
                "output_item.done"
            ]
        );
        let annotated = names.iter().position(|name| *name == "output_text.annotation.added").unwrap();
        assert!(annotated < names.iter().position(|name| *name == "output_text.done").unwrap());
        let output = &last(&events)["output"];
        assert_eq!(*output, Value::from(done(&events)));
        assert_eq!(output[0]["queries"], json!(["boiler"]));
        assert_eq!(output[0]["results"][1]["filename"], "2.txt");
        let annotations = output[1]["content"][0]["annotations"].as_array().unwrap();
        let places: Vec<_> = annotations
            .iter()
            .map(|one| (one["filename"].as_str().unwrap(), one["index"].as_i64().unwrap()))
            .collect();
        assert_eq!(places, indices);
    }
}

#[test]
fn search_without_hits_is_an_item_too() {
    let echo = Echo { queries: Some(vec!["boiler".into()]), ..Echo::default() };
    let events = events_of(&echo, &[started(), text("No.")], &[Part::text("No.")], State::Completed);
    assert_eq!(last(&events)["output"], Value::from(done(&events)));
    assert_eq!(last(&events)["output"][0]["results"], Value::Null);
}

#[test]
fn answer_that_is_cut_off_is_incomplete_with_its_last_item() {
    let state = State::of_reason(Some(&FinishReason::Length));
    let log = [started(), reasoning("hm"), text("one tw")];
    let parts = [Part::Reasoning { text: "hm".into(), details: None }, Part::text("one tw")];
    let events = events_of(&Echo::default(), &log, &parts, state);
    assert_eq!(events.last().unwrap()["type"], "response.incomplete");
    let last = last(&events);
    assert_eq!(last["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!((&last["error"], &last["completed_at"]), (&Value::Null, &Value::Null));
    assert_eq!(last["output"], Value::from(done(&events)));
    assert_eq!(last["output"][0]["status"], "completed");
    assert_eq!(last["output"][1]["status"], "incomplete");
    assert_eq!(State::of_reason(Some(&FinishReason::ContentFilter)), State::Incomplete("content_filter"));
}

#[test]
fn failure_keeps_what_was_said() {
    let state = State::failed(aimate_core::ErrorKind::Upstream, "the server broke off".into());
    let events = events_of(&Echo::default(), &[started(), text("one")], &[Part::text("one")], state);
    assert_eq!(events.last().unwrap()["type"], "response.failed");
    let last = last(&events);
    assert_eq!(last["error"], json!({"code": "server_error", "message": "the server broke off"}));
    assert_eq!((&last["status"], &last["output"][0]["status"]), (&json!("failed"), &json!("incomplete")));
    let limited = State::failed(aimate_core::ErrorKind::RateLimited, String::new());
    assert_eq!(limited, State::Failed("rate_limit_exceeded", String::new()));
}

#[test]
fn cancelled_response_ends_with_an_event_that_clients_know() {
    let events =
        events_of(&Echo::default(), &[started(), text("one")], &[Part::text("one")], State::Cancelled);
    assert_eq!(events.last().unwrap()["type"], "response.incomplete");
    assert_eq!(last(&events)["status"], "cancelled");
    assert_eq!(last(&events)["incomplete_details"], Value::Null);
}

#[test]
fn background_begins_queued() {
    let mut echo = Echo::default();
    echo.set("background", true);
    let events = events_of(&echo, &[started(), text("a")], &[Part::text("a")], State::Completed);
    assert_eq!(names(&events)[..3], ["created", "queued", "in_progress"]);
    assert_eq!(events[0]["response"]["status"], "queued");
    assert_eq!(events[2]["response"]["status"], "in_progress");
}

#[test]
fn text_that_was_reasoning_is_reasoning_in_the_end() {
    let log = [started(), text("so "), text("it is"), ChatEvent::TextWasReasoning, text("Yes.")];
    let parts = [Part::Reasoning { text: "so it is".into(), details: None }, Part::text("Yes.")];
    let events = events_of(&Echo::default(), &log, &parts, State::Completed);
    let ended = done(&events);
    assert_eq!(ended.len(), 2, "what was sent stays sent");
    assert_eq!(last(&events)["output"][1], ended[1], "the answer has one id");
    assert_eq!(last(&events)["output"][0]["type"], "reasoning");
}

#[test]
fn what_is_not_stored_ends_with_what_was_sent() {
    let head = Head { id: id(1).into(), model: "lab/test".into(), echo: Echo::default() };
    let mut events = ResponseEvents::new(head, id(3).into(), Frames::new(Framing::Json, None));
    events.begin();
    for event in [text("so"), ChatEvent::TextWasReasoning, text("Yes.")] {
        events.apply(&event);
    }
    events.finish_with(State::Completed, TokenUsage::default(), 5);
    let parts = [Part::Reasoning { text: "so".into(), details: None }, Part::text("Yes.")];
    assert_eq!(events.output(), output(&Echo::default(), id(3).into(), &parts, &[], true));
    let frames: Vec<_> = std::iter::from_fn(|| events.pop()).collect();
    let last: Value = serde_json::from_slice(frames.last().unwrap()).unwrap();
    assert_eq!(last["response"]["output"], Value::from(events.output()));
}

#[test]
fn replay_is_the_first_telling_from_any_number() {
    let log = [started(), reasoning("hm"), text("one "), called(own_call("1")), text("two")];
    let all = frames_of(&Echo::default(), &log, &[], State::Completed, None);
    for after in 0..all.len() - 1 {
        let rest = frames_of(&Echo::default(), &log, &[], State::Completed, Some(after as u64));
        assert_eq!(rest, all[after + 1..], "after {after}");
    }
}

#[test]
fn parts_that_nobody_sees_are_no_items() {
    let hidden = || Part::Reasoning { text: String::new(), details: Some(json!([1])) };
    let parts = [hidden(), Part::text("a"), hidden(), Part::text("b")];
    let log = [started(), text("a"), text("b")];
    let events = events_of(&Echo::default(), &log, &parts, State::Completed);
    assert_eq!(last(&events)["output"], Value::from(done(&events)));
}

#[test]
fn parts_that_were_taken_out_keep_their_places() {
    let extra = || serde_json::Map::from_iter([("a".to_owned(), json!(1))]);
    let call = || ToolCall::new("1", "f", json!({}));
    let parts = [
        Part::text("a"),
        Part::text(""),
        Part::ToolCall(call()),
        Part::Extra { fields: extra() },
        Part::text("b"),
    ];
    let log =
        [started(), text("a"), text(""), called(call()), ChatEvent::Extra { fields: extra() }, text("b")];
    let events = events_of(&Echo::default(), &log, &parts, State::Completed);
    assert_eq!(last(&events)["output"], Value::from(done(&events)));
    assert_eq!(done(&events).len(), 3);
}

#[test]
fn stream_whose_end_nobody_knows_ends_with_an_error() {
    let head = Head { id: id(1).into(), model: String::new(), echo: Echo::default() };
    let mut events = ResponseEvents::new(head, id(3).into(), Frames::new(Framing::Sse, Some(7)));
    events.apply(&started());
    events.fail(&Error::unavailable("the database is away"));
    let frames: Vec<_> = std::iter::from_fn(|| events.pop()).collect();
    assert_eq!(frames.len(), 2);
    let told = String::from_utf8(frames[0].to_vec()).unwrap();
    let (name, data) = told.trim_end().split_once("\ndata: ").unwrap();
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!(
        (name, &event["type"], &event["sequence_number"]),
        ("event: error", &json!("error"), &json!(8))
    );
    assert_eq!((&event["code"], &event["error"]["code"]), (&json!("unavailable"), &json!("unavailable")));
    assert_eq!(event["message"], event["error"]["message"]);
}
