//! Many users at one server.

use std::time::Duration;

use aimate_core::tool::{ToolOutput, ToolServerClient};
use aimate_mcp::client::McpClient;
use aimate_providers::Transport;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::person::Person;
use crate::server::{Asked, Reply, Server, legacy, modern, result};
use crate::{client, endpoint_of};

/// Answers with whose request it is, as the headers say, and with what was sent.
fn echo(asked: &Asked) -> Reply {
    let text = format!("{}/{}", asked.header("x-user"), asked.body["params"]["arguments"]["word"]);
    Reply::Events(vec![result(asked, json!({"content": [{"type": "text", "text": text}]}))])
}

fn word(word: &str) -> Map<String, Value> {
    Map::from_iter([("word".to_owned(), word.into())])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_user_gets_the_reply_of_another() {
    for handshake in [legacy, modern] {
        let server = Server::start(move |asked| handshake(asked).unwrap_or_else(|| echo(asked))).await;
        let client = client();
        let calls = (0..200_u32).map(|user| {
            let (client, url) = (client.clone(), server.url.clone());
            async move {
                let name = format!("user-{user}");
                let endpoint = endpoint_of(u128::from(user), &url, &[("x-user", &name)]);
                for turn in 0..3 {
                    let said = format!("{name}-{turn}");
                    let output = client.call(&endpoint, "echo", &word(&said), &said, Person::away()).await;
                    assert_eq!(output.unwrap(), ToolOutput::text(format!("{name}/{said:?}")));
                }
            }
        });
        join_all(calls).await;
        let mut ids: Vec<_> =
            server.asked_for("tools/call").into_iter().map(|asked| asked.body["id"].to_string()).collect();
        assert_eq!(ids.len(), 600);
        ids.sort();
        ids.dedup();
        // The case is that of equal ids: all users count from the same number.
        assert!(ids.len() <= 6, "{ids:?}");
    }
}

#[tokio::test]
async fn session_longest_unused_goes_when_there_are_too_many() {
    let server = Server::legacy(echo).await;
    let client = McpClient::new(Transport::new()).sessions(3, Duration::from_secs(600));
    let call = async |user: u128| {
        let endpoint = endpoint_of(user, &server.url, &[]);
        client.call(&endpoint, "echo", &word("x"), "k", Person::away()).await.unwrap();
        server.asked_for("initialize").len()
    };
    assert_eq!([call(1).await, call(2).await, call(3).await, call(1).await], [1, 2, 3, 3]);
    // The fourth takes the place of the second, which is made again.
    assert_eq!([call(4).await, call(1).await, call(3).await, call(2).await], [4, 4, 4, 5]);
}

#[tokio::test]
async fn unused_session_is_ended() {
    let server = Server::start(|asked| match (asked.verb.as_str(), asked.method()) {
        ("GET", _) => Reply::Held(vec![]),
        ("DELETE", _) => Reply::Status(200, vec![], String::new()),
        (_, "initialize") => {
            let Some(Reply::Json(body)) = legacy(asked) else { unreachable!() };
            let headers =
                vec![("mcp-session-id", "1".to_owned()), ("content-type", "application/json".into())];
            Reply::Status(200, headers, body.to_string())
        }
        _ => legacy(asked).unwrap_or_else(|| echo(asked)),
    })
    .await;
    let client = client();
    let endpoint = endpoint_of(1, &server.url, &[]);
    client.call(&endpoint, "echo", &word("x"), "k", Person::away()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(9 * 60)).await;
    tokio::task::yield_now().await;
    tokio::time::resume();
    client.call(&endpoint, "echo", &word("x"), "k", Person::away()).await.unwrap();
    assert_eq!(server.asked_for("initialize").len(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11 * 60)).await;
    tokio::task::yield_now().await;
    tokio::time::resume();
    // Its stream of events is closed.
    server.until_gone().await;
    client.call(&endpoint, "echo", &word("x"), "k", Person::away()).await.unwrap();
    assert_eq!(server.asked_for("initialize").len(), 2);
}

#[tokio::test]
async fn changed_settings_make_another_session() {
    let server = Server::legacy(echo).await;
    let client = client();
    let mut endpoint = endpoint_of(1, &server.url, &[]);
    client.call(&endpoint, "echo", &word("x"), "k", Person::away()).await.unwrap();
    client.call(&endpoint, "echo", &word("x"), "k", Person::away()).await.unwrap();
    assert_eq!(server.asked_for("initialize").len(), 1);
    endpoint.version = 1;
    client.call(&endpoint, "echo", &word("x"), "k", Person::away()).await.unwrap();
    assert_eq!(server.asked_for("initialize").len(), 2);
    client.forget(endpoint.id).await;
    client.call(&endpoint, "echo", &word("x"), "k", Person::away()).await.unwrap();
    assert_eq!(server.asked_for("initialize").len(), 3);
}

#[tokio::test]
async fn calls_go_beside_each_other_in_one_session() {
    let server = Server::modern(echo).await;
    let (client, endpoint) = (client(), endpoint_of(1, &server.url, &[]));
    let calls = (0..50).map(|call| {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        async move {
            let said = format!("call-{call}");
            let output = client.call(&endpoint, "echo", &word(&said), &said, Person::away()).await.unwrap();
            assert_eq!(output, ToolOutput::text(format!("/{said:?}")));
        }
    });
    join_all(calls).await;
    assert_eq!(server.asked_for("server/discover").len(), 1);
}
