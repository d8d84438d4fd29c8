//! Servers that run as child processes: this program again, told by its environment to be one.
//! What the test runner prints first is the banner that some servers print.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Duration;

use aimate_core::tool::{ToolAccess, ToolContent, ToolEndpoint, ToolOutput, ToolServerClient};
use aimate_core::{ErrorKind, Secret, ToolServerId};
use serde_json::{Map, Value, json};

use crate::person::Person;
use crate::{client, scope};

const ROLE: &str = "FAULT_SERVER";

/// The server of the other tests; nothing when it is run as a test.
#[test]
#[expect(clippy::disallowed_methods, reason = "its role is in its environment")]
fn child_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let variables: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    // The test runner's line about this test is not at its end.
    println!();
    eprintln!("starting as {role}");
    if role == "dead" {
        eprintln!("fatal: no configuration, key sk-secret-0123456789");
        std::process::exit(3);
    }
    let mut out = std::io::stdout();
    let mut say = |value: Value| {
        writeln!(out, "{value}").unwrap();
        out.flush().unwrap();
    };
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let result = |value: Value| json!({"jsonrpc": "2.0", "id": asked["id"], "result": value});
        let text = |text: &str| result(json!({"content": [{"type": "text", "text": text}]}));
        match (role.as_str(), asked["method"].as_str().unwrap_or_default()) {
            ("silent", _) => {}
            (_, "server/discover") => say(json!({
                "jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "Method not found"},
            })),
            (_, "initialize") => say(result(json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "child", "version": "1"},
            }))),
            (_, "tools/list") => say(result(json!({"tools": [{"name": "it", "inputSchema": {}}]}))),
            (_, "tools/call") => match asked["params"]["name"].as_str().unwrap() {
                "variables" => say(text(&variables.join(","))),
                "die" => {
                    eprintln!("dying of key sk-secret-0123456789");
                    std::process::exit(1);
                }
                "large" => say(text(&"x".repeat(3_000_000))),
                "garbage" => {
                    println!("{{\"broken\": ");
                    println!("warning: this is no JSON \u{1b}[31m");
                    say(json!({"jsonrpc": "2.0", "id": 999_999, "result": {"content": []}}));
                    say(text("through"));
                }
                "never" => {}
                "spawn" => {
                    let own = std::process::id();
                    let child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap().id();
                    say(text(&format!("{own} {child}")));
                }
                name => say(text(name)),
            },
            (_, "notifications/cancelled") => eprintln!("cancelled {}", asked["params"]["requestId"]),
            _ => {}
        }
    }
}

fn endpoint(role: &str) -> ToolEndpoint {
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let command = [&program, "stdio::child_process", "--exact", "--nocapture", "--test-threads=1"];
    let environment = [(ROLE, role), ("KEY", "sk-secret-0123456789")];
    let access = ToolAccess::Stdio {
        command: command.map(str::to_owned).to_vec(),
        environment: environment.map(|(name, value)| (name.to_owned(), Secret::new(value))).into(),
    };
    ToolEndpoint::new(ToolServerId(uuid::Uuid::from_u128(8)), "child", scope(1), access)
}

async fn call(
    client: &aimate_mcp::client::McpClient,
    endpoint: &ToolEndpoint,
    tool: &str,
) -> aimate_core::Result<ToolOutput> {
    client.call(endpoint, tool, &Map::new(), "k", Person::away()).await
}

#[tokio::test]
async fn child_is_listed_and_called_behind_its_banner() {
    let (client, endpoint) = (client(), endpoint("good"));
    let listing = client.list(&endpoint).await.unwrap();
    assert_eq!((listing.tools.len(), listing.server.protocol.as_str()), (1, "2025-06-18"));
    assert_eq!(call(&client, &endpoint, "it").await.unwrap(), ToolOutput::text("it"));
    // Lines that are no messages, and answers to nobody.
    assert_eq!(call(&client, &endpoint, "garbage").await.unwrap(), ToolOutput::text("through"));
}

#[tokio::test]
async fn child_has_the_named_variables_alone() {
    let (client, endpoint) = (client(), endpoint("good"));
    let output = call(&client, &endpoint, "variables").await.unwrap();
    let ToolContent::Text { text } = &output.content[0] else { panic!("{output:?}") };
    let mut names: Vec<_> = text.split(',').collect();
    names.sort_unstable();
    assert_eq!(names, [ROLE, "KEY"]);
}

#[tokio::test]
async fn end_at_the_start_is_told_with_the_last_words() {
    let refused = client().list(&endpoint("dead")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let said = refused.message();
    assert!(said.contains("fatal: no configuration") && !said.contains("sk-secret"), "{said}");
}

#[tokio::test]
async fn program_that_is_not_there_is_told() {
    let mut endpoint = endpoint("good");
    let access = |command: &[&str]| ToolAccess::Stdio {
        command: command.iter().map(|part| (*part).to_owned()).collect(),
        environment: BTreeMap::new(),
    };
    endpoint.access = access(&["/nowhere/at-all"]);
    assert_eq!(client().list(&endpoint).await.unwrap_err().kind(), ErrorKind::Unavailable);
    endpoint.access = access(&[]);
    assert_eq!(client().list(&endpoint).await.unwrap_err().kind(), ErrorKind::Invalid);
    // One argument is one argument, whatever a shell would make of it.
    endpoint.access = access(&["/bin/sh -c 'exit 0'"]);
    assert_eq!(client().list(&endpoint).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn silent_child_ends_with_the_deadline() {
    let mut endpoint = endpoint("silent");
    endpoint.timeout = Duration::from_millis(300);
    let refused = client().list(&endpoint).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout, "{refused}");
}

#[tokio::test]
async fn end_within_a_call_is_told_and_the_child_is_started_again() {
    let (client, endpoint) = (client(), endpoint("good"));
    let refused = call(&client, &endpoint, "die").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let said = refused.message();
    assert!(said.contains("dying of key [key]"), "{said}");
    assert_eq!(call(&client, &endpoint, "it").await.unwrap(), ToolOutput::text("it"));
}

#[tokio::test]
async fn child_that_ends_again_and_again_is_left_alone_for_a_while() {
    tokio::time::pause();
    let (client, endpoint) = (client(), endpoint("dead"));
    let mut refused = client.list(&endpoint).await.unwrap_err();
    for _ in 0..8 {
        if refused.retry_after().is_some() {
            break;
        }
        refused = client.list(&endpoint).await.unwrap_err();
    }
    assert!(refused.retry_after().is_some(), "{refused}");
    assert!(refused.message().contains("times in a row"), "{refused}");
}

#[cfg(target_os = "linux")]
/// Whether a process runs; one that has ended may be there until somebody asks how.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn forgotten_child_ends_with_those_that_it_started() {
    let (client, endpoint) = (client(), endpoint("good"));
    let output = call(&client, &endpoint, "spawn").await.unwrap();
    let ToolContent::Text { text } = &output.content[0] else { panic!("{output:?}") };
    assert!(text.split(' ').all(is_running), "{text}");
    client.forget(endpoint.id).await;
    while text.split(' ').any(is_running) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn line_beyond_the_limit_ends_all_that_wait() {
    let (client, mut endpoint) = (client(), endpoint("good"));
    endpoint.max_bytes = 1_000_000;
    let never = call(&client, &endpoint, "never");
    let large = async {
        tokio::task::yield_now().await;
        call(&client, &endpoint, "large").await
    };
    let (never, large) = tokio::join!(never, large);
    assert!(never.is_err(), "{never:?}");
    let refused = large.unwrap_err();
    assert!(refused.message().contains("1000000 bytes"), "{refused}");
    assert_eq!(call(&client, &endpoint, "it").await.unwrap(), ToolOutput::text("it"));
}
