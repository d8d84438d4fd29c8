//! `/api/v1/ws`: turns and the events of runs over a `WebSocket`.

use std::time::Duration;

use aimate_core::testing::{Step, answer};
use aimate_http::Options;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::common::{bench, end, say};
use crate::responses_socket::{Server, Socket, server, server_with};

const PATH: &str = "/api/v1/ws";

async fn connect(server: &Server) -> Socket {
    server.connect_to(PATH).await
}

/// A question as a request.
fn create(id: &str, content: &str) -> Value {
    json!({"id": id, "type": "message.create", "body": {"content": content}})
}

impl Socket {
    /// The reply to a request, which is sent first; events that come before it are left out.
    async fn reply(&mut self, request: Value) -> Value {
        let id = request["id"].clone();
        self.send(request).await;
        loop {
            let message = self.event().await;
            if message["reply_to"] == id {
                return message;
            }
        }
    }

    /// The events of a run to its last.
    async fn events_of(&mut self, run: &Value) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let message = self.event().await;
            if message["run_id"] == *run {
                events.push(message);
                if matches!(events.last().unwrap()["event"].as_str(), Some("finished" | "error")) {
                    return events;
                }
            }
        }
    }
}

fn text(events: &[Value]) -> String {
    events
        .iter()
        .filter(|event| event["event"] == "text")
        .map(|event| event["data"]["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn turn_is_replied_to_and_told() {
    let server = server([answer("one two"), answer("three")]).await;
    let mut socket = connect(&server).await;
    let reply = socket.reply(create("a", "Count")).await;
    assert_eq!(reply["status"], 200);
    let events = socket.events_of(&reply["body"]["run_id"]).await;
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted() && ids[0] == 1, "{ids:?}");
    assert_eq!(events[0]["event"], "started");
    assert_eq!(text(&events), "one two");
    let conversation = &reply["body"]["conversation_id"];
    let more = json!({"id": "b", "type": "message.create", "conversation_id": conversation, "body": {"content": "More"}});
    let reply = socket.reply(more).await;
    assert_eq!(&reply["body"]["conversation_id"], conversation);
    assert_eq!(text(&socket.events_of(&reply["body"]["run_id"]).await), "three");
}

#[tokio::test]
async fn events_are_those_of_the_stream_over_http() {
    let server = server([answer("one two")]).await;
    let mut socket = connect(&server).await;
    let reply = socket.reply(create("a", "Count")).await;
    let run = &reply["body"]["run_id"];
    let first = socket.events_of(run).await;
    let path = format!("/api/v1/runs/{}/events", run.as_str().unwrap());
    let over_http: Vec<Value> =
        server.bench.get(&path).await.events().into_iter().map(|event| event.data).collect();
    // What is told live may come in more pieces than what is stored.
    assert_eq!(over_http.last(), first.last().map(|event| &event["data"]));
    // Again, after the first event, on another connection.
    let mut other = connect(&server).await;
    let reply = other.reply(json!({"id": "x", "type": "run.events", "run_id": run, "after": 1})).await;
    assert_eq!(reply["status"], 200);
    let again = other.events_of(run).await;
    assert!(again.iter().all(|event| event["id"].as_u64() > Some(1)));
    let data: Vec<_> = again.iter().map(|event| event["data"].clone()).collect();
    assert_eq!(data, over_http[1..]);
}

#[tokio::test]
async fn runs_are_told_beside_each_other_and_cancelled() {
    let hanging = vec![say("never "), Step::Hang];
    let server = server([hanging, answer("done")]).await;
    let mut socket = connect(&server).await;
    let hanging = socket.reply(create("a", "Hang")).await["body"]["run_id"].clone();
    let quick = socket.reply(create("b", "Quick")).await["body"]["run_id"].clone();
    assert_eq!(text(&socket.events_of(&quick).await), "done");
    let reply = socket.reply(json!({"id": "c", "type": "run.cancel", "run_id": hanging})).await;
    assert_eq!(reply["status"], 200);
    let events = socket.events_of(&hanging).await;
    assert_eq!(events.last().unwrap()["data"]["message"]["status"], "cancelled");
}

#[tokio::test]
async fn run_is_left_and_listened_to_again_but_not_twice() {
    let slow = vec![say("one "), Step::Wait(Duration::from_millis(300)), say("two"), end()];
    let server = server([slow]).await;
    let mut socket = connect(&server).await;
    let run = socket.reply(create("a", "Count")).await["body"]["run_id"].clone();
    let listen = |id: &str| json!({"id": id, "type": "run.events", "run_id": run});
    assert_eq!(socket.reply(listen("b")).await["status"], 409);
    let leave = json!({"id": "c", "type": "run.leave", "run_id": run});
    assert_eq!(socket.reply(leave.clone()).await["status"], 204);
    assert_eq!(socket.reply(leave).await["status"], 404);
    assert_eq!(socket.reply(listen("d")).await["status"], 200);
    assert_eq!(text(&socket.events_of(&run).await), "one two");
}

#[tokio::test]
async fn message_is_edited_and_answered_again() {
    let server = server([answer("one"), answer("two"), answer("three")]).await;
    let mut socket = connect(&server).await;
    let first = socket.reply(create("a", "Count")).await["body"].clone();
    let events = socket.events_of(&first["run_id"]).await;
    let question = &events[0]["data"]["user_message_id"];
    let conversation = &first["conversation_id"];
    let again = json!({"id": "b", "type": "message.regenerate", "conversation_id": conversation, "message_id": first["message_id"]});
    let run = socket.reply(again).await["body"]["run_id"].clone();
    assert_eq!(text(&socket.events_of(&run).await), "two");
    let edit = json!({"id": "c", "type": "message.edit", "conversation_id": conversation, "message_id": question, "body": {"content": "Else"}});
    let run = socket.reply(edit).await["body"]["run_id"].clone();
    assert_eq!(text(&socket.events_of(&run).await), "three");
    let wording = json!({"id": "d", "type": "message.edit", "conversation_id": conversation, "message_id": first["message_id"], "body": {"content": "uno"}});
    let reply = socket.reply(wording).await;
    assert_eq!((&reply["status"], &reply["body"]["content"][0]["text"]), (&json!(200), &json!("uno")));
}

#[tokio::test]
async fn nonsense_is_answered_and_the_connection_goes_on() {
    let server = server([answer("one")]).await;
    let mut socket = connect(&server).await;
    let nobody = "00000000-0000-7000-8000-000000000000";
    for (request, status) in [
        (json!({"id": "a"}), 400),
        (json!({"id": "a", "type": "run.explode"}), 400),
        (json!({"id": "a", "type": "message.create"}), 400),
        (json!({"id": "a", "type": "message.create", "body": {"content": ""}}), 400),
        (json!({"id": "a", "type": "message.create", "body": {"content": "x", "colour": 1}}), 400),
        (json!({"id": "a", "type": "message.create", "after": 1, "body": {"content": "x"}}), 400),
        (json!({"id": "a", "type": "message.edit", "body": {"content": "x"}}), 400),
        (json!({"id": "a", "type": "run.cancel"}), 400),
        (json!({"id": "a", "type": "run.cancel", "run_id": "x"}), 400),
        (json!({"id": "a", "type": "run.cancel", "run_id": nobody}), 404),
        (json!({"id": "a", "type": "run.events", "run_id": nobody}), 404),
        (json!({"id": "a", "type": "run.leave", "run_id": nobody}), 404),
        (
            json!({"id": "a", "type": "run.approve", "run_id": nobody, "call_id": "c", "body": {"approve": true}}),
            404,
        ),
        (
            json!({"id": "a", "type": "run.input", "run_id": nobody, "call_id": "c", "body": {"action": "decline"}}),
            404,
        ),
    ] {
        let reply = socket.reply(request.clone()).await;
        assert_eq!(reply["status"], status, "{request} {reply}");
        assert!(reply["body"]["detail"].is_string(), "{reply}");
    }
    let long = json!({"id": "x".repeat(101), "type": "run.cancel"});
    for text in ["no json".to_owned(), "[1]".to_owned(), "{}".to_owned(), long.to_string()] {
        socket.0.send(Message::text(text.clone())).await.unwrap();
        let reply = socket.event().await;
        assert_eq!((&reply["reply_to"], &reply["status"]), (&Value::Null, &json!(400)), "{text}");
    }
    socket.0.send(Message::binary(vec![1, 2])).await.unwrap();
    assert_eq!(socket.event().await["status"], 400);
    let run = socket.reply(create("b", "Count")).await["body"]["run_id"].clone();
    assert_eq!(text(&socket.events_of(&run).await), "one");
}

#[tokio::test]
async fn each_run_that_is_listened_to_takes_a_seat() {
    let hanging = || vec![say("never "), Step::Hang];
    // One is the connection's own.
    let options = Options::local().max_listeners_per_user(2);
    let server = server_with([hanging(), hanging()], options).await;
    let mut socket = connect(&server).await;
    let run = socket.reply(create("a", "Hang")).await["body"]["run_id"].clone();
    let reply = socket.reply(create("b", "Hang")).await;
    assert_eq!((&reply["status"], &reply["body"]["code"]), (&json!(429), &json!("rate_limited")));
    socket.reply(json!({"id": "c", "type": "run.leave", "run_id": run})).await;
    crate::common::until(async || socket.reply(create("d", "Hang")).await["status"] == 200).await;
}

#[tokio::test]
async fn same_turn_sent_twice_is_one_run() {
    let server = server([answer("one"), vec![say("never "), Step::Hang]]).await;
    let mut socket = connect(&server).await;
    let turn = |id: &str| json!({"id": id, "type": "message.create", "body": {"content": "Count", "client_id": "mine"}});
    let run = socket.reply(turn("a")).await["body"]["run_id"].clone();
    socket.events_of(&run).await;
    let slow = json!({"id": "s", "type": "message.create", "body": {"content": "Slow", "client_id": "slow"}});
    let begun = socket.reply(slow.clone()).await;
    let again = socket.reply(slow).await;
    assert_eq!(
        (&again["status"], &again["body"]),
        (&json!(200), &begun["body"]),
        "it is listened to already"
    );
    let mut other = connect(&server).await;
    assert_eq!(other.reply(turn("b")).await["body"]["run_id"], run);
    assert_eq!(text(&other.events_of(&run).await), "one");
    assert_eq!(server.provider.requests().len(), 2);
}

#[tokio::test]
async fn cancelling_is_done_though_the_client_is_gone() {
    for _ in 0..10 {
        let server = server([vec![say("never "), Step::Hang]]).await;
        let mut socket = connect(&server).await;
        let run = socket.reply(create("a", "Hang")).await["body"]["run_id"].clone();
        socket.send(json!({"id": "b", "type": "run.cancel", "run_id": run})).await;
        socket.0.close(None).await.unwrap();
        let path = format!("/api/v1/runs/{}", run.as_str().unwrap());
        crate::common::until(async || server.bench.get(&path).await.json()["status"] == "cancelled").await;
    }
}

#[tokio::test]
async fn client_that_does_not_read_keeps_no_place_in_work() {
    let long = vec![say(&"word ".repeat(400_000)), end()];
    let hanging = vec![say("never "), Step::Hang];
    let server = server_with([long, hanging], Options::local().max_requests(2)).await;
    let mut socket = connect(&server).await;
    let run = socket.reply(create("a", "Long")).await["body"]["run_id"].clone();
    socket.events_of(&run).await;
    // Megabytes that nobody reads, and requests behind them.
    for n in 0..20 {
        let after = json!({"id": format!("l{n}"), "type": "run.events", "run_id": run});
        socket.send(after).await;
        socket.send(json!({"id": format!("c{n}"), "type": "run.cancel", "run_id": run})).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    crate::common::until(async || server.bench.get("/api/v1/conversations").await.status == 200).await;
    crate::common::until(async || server.bench.get("/api/v1/models").await.status == 200).await;
}

#[tokio::test]
async fn what_cannot_be_read_counts_for_the_rate_limit() {
    use aimate_core::rate_limit::{RateLimit, RateLimits, RequestClass};
    let limits = RateLimits::default().with(RequestClass::Read, Some(RateLimit::per_minute(60).burst(5)));
    let server = server_with([], Options::local().rate_limits(limits)).await;
    let mut socket = connect(&server).await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(socket.reply(json!({"id": "a"})).await["status"].clone());
    }
    assert_eq!(statuses.last(), Some(&json!(429)), "{statuses:?}");
}

#[tokio::test]
async fn message_that_is_too_large_is_told_so() {
    let server = server_with([], Options::local().body_limit(10_000)).await;
    let mut socket = connect(&server).await;
    socket.send(create("a", &"x".repeat(20_000))).await;
    assert_eq!(socket.event().await["status"], 413);
    let next = timeout(Duration::from_secs(10), socket.0.next()).await.unwrap();
    let Some(Ok(Message::Close(Some(close)))) = next else { panic!("{next:?}") };
    assert_eq!(u16::from(close.code), 1009);
}

#[tokio::test]
async fn plain_get_is_told_what_to_do() {
    bench([]).await.get(PATH).await.problem(426, "invalid");
}
