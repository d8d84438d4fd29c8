//! What a client and a server say to each other when both do right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aimate_core::ErrorKind;
use aimate_core::tool::{ElicitationAnswer, ToolContent, ToolOutput, ToolServerClient};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::person::Person;
use crate::server::{Asked, Reply, Server, answer, error, legacy, modern, result, tool};
use crate::{client, endpoint};

fn arguments(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn text(text: &str) -> ToolOutput {
    ToolOutput::text(text)
}

fn says(asked: &Asked, text: &str) -> Value {
    result(asked, json!({"resultType": "complete", "content": [{"type": "text", "text": text}]}))
}

/// Each revision's handshake.
const REVISIONS: [(&str, fn(&Asked) -> Option<Reply>); 2] = [("2025-11-25", legacy), ("2026-07-28", modern)];

#[tokio::test]
async fn tools_are_listed_and_called_in_each_revision() {
    for (revision, handshake) in REVISIONS {
        let server = Server::start(move |asked| {
            handshake(asked).unwrap_or_else(|| match asked.method() {
                "tools/list" => answer(asked, json!({
                    "resultType": "complete", "tools": [tool("add"), tool("odd name!")], "ttlMs": 60_000, "cacheScope": "private",
                })),
                _ => Reply::Json(says(asked, asked.body["params"]["arguments"]["a"].as_str().unwrap())),
            })
        })
        .await;
        let (client, endpoint) = (client(), endpoint(&server.url));
        let listing = client.list(&endpoint).await.unwrap();
        let names: Vec<_> = listing.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["add", "odd name!"], "{revision}");
        assert_eq!((listing.server.name.as_str(), listing.server.protocol.as_str()), ("fault", revision));
        assert_eq!((listing.problems, listing.ttl), (vec![], Some(Duration::from_secs(60))), "{revision}");

        let output = client
            .call(&endpoint, "add", &arguments(json!({"a": "one"})), "key-1", Person::away())
            .await
            .unwrap();
        assert_eq!(output, text("one"), "{revision}");
        let calls = server.asked_for("tools/call");
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].body["params"]["_meta"]["aimate/idempotency-key"], "key-1", "{revision}");
        assert_eq!(calls[0].header("mcp-protocol-version"), revision);
    }
}

#[tokio::test]
async fn session_is_used_again_and_made_again_when_the_server_forgot_it() {
    let sessions = Arc::new(AtomicUsize::new(0));
    let made = sessions.clone();
    let server = Server::start(move |asked| {
        let newest = made.load(Ordering::SeqCst).to_string();
        match asked.method() {
            "initialize" => {
                let number = made.fetch_add(1, Ordering::SeqCst) + 1;
                let Some(Reply::Json(body)) = legacy(asked) else { unreachable!() };
                let headers =
                    vec![("mcp-session-id", number.to_string()), ("content-type", "application/json".into())];
                Reply::Status(200, headers, body.to_string())
            }
            "tools/call" if asked.header("mcp-session-id") != newest => {
                Reply::Status(404, vec![], "no such session".into())
            }
            // The server forgets the session as it answers.
            "tools/call" if asked.body["params"]["name"] == "forget" => {
                made.fetch_add(1, Ordering::SeqCst);
                Reply::Json(says(asked, "forgotten"))
            }
            "tools/call" => Reply::Json(says(asked, asked.header("mcp-session-id"))),
            _ => legacy(asked).unwrap_or_else(|| error(asked, -32601, "no")),
        }
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&server.url));
    for (tool, expected) in [("a", "1"), ("b", "1"), ("forget", "forgotten"), ("c", "3"), ("d", "3")] {
        let output = client.call(&endpoint, tool, &Map::new(), "k", Person::away()).await.unwrap();
        assert_eq!(output, text(expected), "{tool}");
    }
    assert_eq!(server.asked_for("initialize").len(), 2);
    // The one that the server refused was sent again, the others once.
    let names: Vec<_> =
        server.asked_for("tools/call").iter().map(|asked| asked.body["params"]["name"].clone()).collect();
    assert_eq!(names, ["a", "b", "forget", "c", "c", "d"]);
}

#[tokio::test]
async fn progress_reaches_who_waits() {
    for (revision, handshake) in REVISIONS {
        let server = Server::start(move |asked| {
            handshake(asked).unwrap_or_else(|| {
                let token = &asked.body["params"]["_meta"]["progressToken"];
                let progress = |token: &Value, done: u32| {
                    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {
                        "progressToken": token, "progress": done, "total": 3, "message": "step",
                    }})
                };
                Reply::Events(vec![
                    progress(token, 1),
                    progress(&json!(9_999), 2),
                    progress(token, 3),
                    says(asked, "done"),
                ])
            })
        })
        .await;
        let person = Person::away();
        let (client, endpoint) = (client(), endpoint(&server.url));
        let output = client.call(&endpoint, "slow", &Map::new(), "k", person.clone()).await.unwrap();
        assert_eq!(output, text("done"));
        // Each notice is a task of its own, which may run after the answer is there.
        while person.progress.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let told = person.progress.lock().unwrap().clone();
        assert!(told.iter().all(|told| told.progress != 2.0), "{revision}: {told:?}");
        assert_eq!((told[0].total, told[0].message.as_deref()), (Some(3.0), Some("step")));
    }
}

#[tokio::test]
async fn dropped_call_is_cancelled_at_the_server() {
    for (revision, handshake) in REVISIONS {
        let server =
            Server::start(move |asked| handshake(asked).unwrap_or_else(|| Reply::Held(vec![]))).await;
        let (client, endpoint) = (client(), endpoint(&server.url));
        let empty = Map::new();
        let call = client.call(&endpoint, "never", &empty, "k", Person::away());
        tokio::select! {
            output = call => panic!("{output:?}"),
            () = server.until_asked("tools/call") => {}
        }
        if revision == "2025-11-25" {
            server.until_asked("notifications/cancelled").await;
            let call = &server.asked_for("tools/call")[0];
            let cancelled = &server.asked_for("notifications/cancelled")[0];
            assert_eq!(cancelled.body["params"]["requestId"], call.body["id"]);
        }
        // The stream of the call is closed, which in the current revision is the whole message.
        server.until_gone().await;
    }
}

#[tokio::test]
async fn person_is_asked_while_the_call_waits() {
    let (answered, gate) = watch::channel(false);
    let server = Server::legacy(move |asked| {
        if asked.body["id"] == "q1" {
            answered.send_replace(true);
            return Reply::Status(202, vec![], String::new());
        }
        let question = json!({"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create", "params": {
            "message": "Which one?",
            "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
        }});
        Reply::Paused(vec![question], gate.clone(), vec![says(asked, "asked")])
    })
    .await;
    let content = arguments(json!({"name": "this"}));
    let person = Person::who_answers(ElicitationAnswer::Accept { content });
    let (client, endpoint) = (client(), endpoint(&server.url));
    let output = client.call(&endpoint, "ask", &Map::new(), "k", person.clone()).await.unwrap();
    assert_eq!((output, person.questions()), (text("asked"), vec!["Which one?".to_owned()]));
    let answer = server.asked().into_iter().find(|asked| asked.body["id"] == "q1").unwrap();
    assert_eq!(answer.body["result"], json!({"action": "accept", "content": {"name": "this"}}));
}

#[tokio::test]
async fn stream_of_events_is_open_before_the_first_call() {
    let (called, is_called) = watch::channel(false);
    let (answered, is_answered) = watch::channel(false);
    let server = Server::start(move |asked| {
        if asked.body["id"] == "q1" {
            answered.send_replace(true);
            return Reply::Status(202, vec![], String::new());
        }
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let question = json!({"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create", "params": {
            "message": "Which one?", "requestedSchema": schema,
        }});
        match (asked.verb.as_str(), asked.method()) {
            ("GET", _) => Reply::Paused(vec![], is_called.clone(), vec![question]),
            (_, "initialize") => {
                assert_eq!(asked.body["params"]["protocolVersion"], "2025-11-25");
                let Some(Reply::Json(body)) = legacy(asked) else { unreachable!() };
                let headers =
                    vec![("mcp-session-id", "1".to_owned()), ("content-type", "application/json".into())];
                Reply::Status(200, headers, body.to_string())
            }
            (_, "tools/call") => {
                called.send_replace(true);
                Reply::Paused(vec![], is_answered.clone(), vec![says(asked, "asked")])
            }
            _ => legacy(asked).unwrap(),
        }
    })
    .await;
    let person = Person::who_answers(ElicitationAnswer::Decline);
    let (client, endpoint) = (client(), endpoint(&server.url));
    let output = client.call(&endpoint, "ask", &Map::new(), "k", person.clone()).await.unwrap();
    assert_eq!((output, person.questions()), (text("asked"), vec!["Which one?".to_owned()]));
    let place = |is: &dyn Fn(&Asked) -> bool| server.asked().iter().position(is).unwrap();
    assert!(place(&|asked| asked.verb == "GET") < place(&|asked| asked.method() == "tools/call"));
}

#[tokio::test]
async fn call_goes_on_with_the_answers_that_it_needs() {
    let server = Server::modern(|asked| {
        let params = &asked.body["params"];
        let round = params["requestState"].as_str().map_or(0, |state| state.parse::<usize>().unwrap());
        if round == 2 {
            let answers = params["inputResponses"].to_string();
            return Reply::Json(says(asked, &answers));
        }
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "default": 5}}});
        answer(
            asked,
            json!({
                "resultType": "input_required", "requestState": (round + 1).to_string(),
                "inputRequests": {"first": {"method": "elicitation/create", "params": {
                    "mode": "form", "message": format!("round {round}"), "requestedSchema": schema,
                }}},
            }),
        )
    })
    .await;
    let person = Person::who_answers(ElicitationAnswer::Accept { content: Map::new() });
    let (client, endpoint) = (client(), endpoint(&server.url));
    let output = client.call(&endpoint, "ask", &Map::new(), "key", person.clone()).await.unwrap();
    assert_eq!(output, text(r#"{"first":{"action":"accept","content":{"n":5}}}"#));
    assert_eq!(person.questions(), ["round 0", "round 1"]);
    let keys: Vec<_> = server
        .asked_for("tools/call")
        .iter()
        .map(|asked| asked.body["params"]["_meta"]["aimate/idempotency-key"].clone())
        .collect();
    assert_eq!(keys, ["key", "key", "key"]);
}

#[tokio::test]
async fn server_that_asks_for_ever_is_stopped() {
    let server = Server::modern(|asked| {
        answer(asked, json!({"resultType": "input_required", "requestState": "again"}))
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&server.url));
    let refused = client.call(&endpoint, "ask", &Map::new(), "k", Person::away()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Upstream, "{refused}");
    assert_eq!(server.asked_for("tools/call").len(), 9);
}

#[tokio::test]
async fn sampling_and_roots_are_refused() {
    for method in ["sampling/createMessage", "roots/list"] {
        let server = Server::modern(move |asked| {
            let params = json!({"messages": [{"role": "user", "content": {"type": "text", "text": "?"}}], "maxTokens": 1});
            let request = json!({"method": method, "params": params});
            answer(asked, json!({"resultType": "input_required", "inputRequests": {"it": request}}))
        })
        .await;
        let (client, endpoint) = (client(), endpoint(&server.url));
        let refused = client.call(&endpoint, "ask", &Map::new(), "k", Person::away()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Upstream, "{method}: {refused}");
        assert_eq!(server.asked_for("tools/call").len(), 1, "{method}");

        let server = Server::legacy(move |asked| match asked.method() {
            "tools/call" => {
                let params = json!({"messages": [], "maxTokens": 1});
                let request = json!({"jsonrpc": "2.0", "id": "r", "method": method, "params": params});
                Reply::Held(vec![request])
            }
            _ => Reply::Status(202, vec![], String::new()),
        })
        .await;
        let (client, endpoint) = (crate::client(), crate::endpoint(&server.url));
        let empty = Map::new();
        let call = client.call(&endpoint, "ask", &empty, "k", Person::away());
        let refused = async {
            let refused = |asked: &Asked| asked.body["id"] == "r" && asked.body["error"]["code"] == -32601;
            while !server.asked().iter().any(refused) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            output = call => panic!("{method}: {output:?}"),
            () = refused => {}
        }
    }
}

#[tokio::test]
async fn resources_and_prompts_are_listed_and_read() {
    for (_, handshake) in REVISIONS {
        let server = Server::start(move |asked| {
            handshake(asked).unwrap_or_else(|| match asked.method() {
                "resources/list" => answer(asked, json!({"resources": [{"uri": "a://1", "name": "one", "mimeType": "text/plain"}, {"name": "damaged"}]})),
                "resources/templates/list" => answer(asked, json!({"resourceTemplates": [{"uriTemplate": "a://{id}", "name": "any"}]})),
                "resources/read" if asked.body["params"]["uri"] == "a://1" => {
                    answer(asked, json!({"contents": [{"uri": "a://1", "text": "content"}, {"uri": "a://2", "blob": "AAAA"}]}))
                }
                "resources/read" => error(asked, -32602, "no such resource"),
                "prompts/list" => answer(asked, json!({"prompts": [{"name": "greet", "arguments": [{"name": "who", "required": true}, {"name": "how"}]}]})),
                "prompts/get" => answer(asked, json!({"messages": [
                    {"role": "user", "content": {"type": "text", "text": asked.body["params"]["arguments"]["who"]}},
                    {"role": "assistant", "content": {"type": "image", "data": "AAAA", "mimeType": "image/png"}},
                ]})),
                _ => error(asked, -32601, "no"),
            })
        })
        .await;
        let (client, endpoint) = (client(), endpoint(&server.url));
        let resources = client.resources(&endpoint).await.unwrap();
        let listed: Vec<_> = resources.iter().map(|one| (one.uri.as_str(), one.is_template)).collect();
        assert_eq!(listed, [("a://1", false), ("a://{id}", true)]);
        let content = client.read_resource(&endpoint, "a://1").await.unwrap();
        assert!(matches!(&content[0], ToolContent::Resource { text: Some(text), .. } if text == "content"));
        assert!(matches!(&content[1], ToolContent::Resource { data: Some(data), .. } if data == "AAAA"));
        let absent = client.read_resource(&endpoint, "a://9").await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound, "{absent}");

        let prompts = client.prompts(&endpoint).await.unwrap();
        assert_eq!(prompts[0].arguments, [("who".to_owned(), true), ("how".to_owned(), false)]);
        let who = BTreeMap::from([("who".to_owned(), "Jo".to_owned())]);
        let messages = client.prompt(&endpoint, "greet", &who).await.unwrap();
        assert_eq!(messages[0], ("user".to_owned(), ToolContent::Text { text: "Jo".into() }));
        assert!(matches!(&messages[1], (role, ToolContent::Image { .. }) if role == "assistant"));
    }
}
