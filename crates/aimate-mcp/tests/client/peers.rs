//! Servers that others wrote, as child processes. They are looked for in the folders that
//! `AIMATE_TEST_MCP_SERVERS` names, separated by colons; those that are not there are skipped:
//!
//! ```text
//! npm i @modelcontextprotocol/server-everything @modelcontextprotocol/server-filesystem \
//!     @modelcontextprotocol/server-memory @modelcontextprotocol/server-sequential-thinking
//! pip install mcp mcp-server-time mcp-server-git
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aimate_core::tool::{
    ElicitationAnswer, ToolAccess, ToolContent, ToolEndpoint, ToolOutput, ToolServerClient,
};
use aimate_core::{ErrorKind, Secret, ToolServerId};
use serde_json::{Map, Value, json};

use crate::person::Person;
use crate::{client, scope};

/// The program of a server; `None` where it is not installed.
#[expect(clippy::disallowed_methods, reason = "where the servers are is told by the environment")]
fn program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var("AIMATE_TEST_MCP_SERVERS").unwrap_or_default();
    let found = folders.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "interpreters are found by it")]
fn endpoint(name: &str, arguments: &[&str]) -> Option<ToolEndpoint> {
    let program = program(name)?;
    let mut command = vec![program.to_str()?.to_owned()];
    command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let folder = program.parent()?.to_str()?;
    let path = [folder, ":", &std::env::var("PATH").unwrap_or_default()].concat();
    let environment = BTreeMap::from([("PATH".to_owned(), Secret::new(path))]);
    let access = ToolAccess::Stdio { command, environment };
    let mut endpoint = ToolEndpoint::new(ToolServerId(uuid::Uuid::from_u128(9)), name, scope(1), access);
    endpoint.timeout = Duration::from_secs(120);
    Some(endpoint)
}

async fn call(endpoint: &ToolEndpoint, tool: &str, arguments: Value) -> aimate_core::Result<ToolOutput> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    client().call(endpoint, tool, &arguments, "k", Person::away()).await
}

fn text(output: &ToolOutput) -> String {
    let text = |content: &ToolContent| match content {
        ToolContent::Text { text } => text.clone(),
        _ => String::new(),
    };
    output.content.iter().map(text).collect::<Vec<_>>().join("\n")
}

async fn names(endpoint: &ToolEndpoint) -> Vec<String> {
    let listing = client().list(endpoint).await.unwrap();
    assert_eq!(listing.problems, Vec::<String>::new());
    listing.tools.into_iter().map(|tool| tool.name).collect()
}

#[tokio::test]
async fn server_everything_is_used_in_full() {
    let Some(endpoint) = endpoint("mcp-server-everything", &["stdio"]) else { return };
    let client = client();
    let listing = client.list(&endpoint).await.unwrap();
    assert!(listing.tools.len() >= 13, "{:?}", listing.tools);
    assert_eq!((listing.problems.len(), listing.server.protocol.as_str()), (0, "2025-11-25"));

    let person = Person::who_answers(ElicitationAnswer::Accept { content: Map::new() });
    let call = async |tool: &str, arguments: Value| {
        let arguments = arguments.as_object().unwrap().clone();
        client.call(&endpoint, tool, &arguments, "k", person.clone()).await.unwrap()
    };
    assert_eq!(text(&call("echo", json!({"message": "hello"})).await), "Echo: hello");
    let wrong = call("get-sum", json!({"a": "x"})).await;
    assert!(wrong.is_error, "{wrong:?}");
    let absent = call("no-such-tool", json!({})).await;
    assert!(absent.is_error, "{absent:?}");
    let image = call("get-tiny-image", json!({})).await;
    let is_image = |content: &ToolContent| matches!(content, ToolContent::Image { media_type, .. } if media_type == "image/png");
    assert!(image.content.iter().any(is_image), "{image:?}");
    let structured = call("get-structured-content", json!({"location": "Chicago"})).await;
    assert!(structured.structured.is_some_and(|value| value.is_object()));
    let links = call("get-resource-links", json!({"count": 2})).await;
    let is_link = |content: &&ToolContent| matches!(content, ToolContent::ResourceLink { .. });
    assert_eq!(links.content.iter().filter(is_link).count(), 2);
    let reference = call("get-resource-reference", json!({"resourceType": "Text", "resourceId": 1})).await;
    assert!(reference.content.iter().any(|content| matches!(content, ToolContent::Resource { .. })));

    let slow = call("trigger-long-running-operation", json!({"duration": 1, "steps": 4})).await;
    assert!(!slow.is_error, "{slow:?}");
    let told = person.progress.lock().unwrap().len();
    assert!((1..=4).contains(&told), "{told}");
    // A call that is dropped, and one after it.
    let long = json!({"duration": 600, "steps": 600}).as_object().unwrap().clone();
    let endless = client.call(&endpoint, "trigger-long-running-operation", &long, "k", person.clone());
    let stopped = tokio::time::timeout(Duration::from_millis(1_500), endless).await;
    assert!(stopped.is_err(), "{stopped:?}");
    assert_eq!(text(&call("echo", json!({"message": "again"})).await), "Echo: again");

    let resources = client.resources(&endpoint).await.unwrap();
    assert!(resources.iter().any(|one| one.is_template) && resources.iter().any(|one| !one.is_template));
    let content = client.read_resource(&endpoint, &resources[0].uri).await.unwrap();
    assert!(matches!(&content[0], ToolContent::Resource { text: Some(text), .. } if !text.is_empty()));
    let absent = client.read_resource(&endpoint, "demo://nowhere").await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound, "{absent:?}");
    let prompts = client.prompts(&endpoint).await.unwrap();
    assert!(prompts.iter().any(|prompt| prompt.name == "args-prompt"), "{prompts:?}");
    let city = BTreeMap::from([("city".to_owned(), "Oslo".to_owned())]);
    let messages = client.prompt(&endpoint, "args-prompt", &city).await.unwrap();
    assert!(matches!(&messages[0].1, ToolContent::Text { text } if text.contains("Oslo")), "{messages:?}");
}

#[tokio::test]
async fn server_filesystem_reads_and_refuses() {
    let folder = tempfile();
    std::fs::write(folder.join("note.txt"), "written here").unwrap();
    let Some(endpoint) = endpoint("mcp-server-filesystem", &[folder.to_str().unwrap()]) else { return };
    assert!(names(&endpoint).await.len() >= 10);
    let path = folder.join("note.txt");
    let read = call(&endpoint, "read_text_file", json!({"path": path})).await.unwrap();
    assert!(text(&read).contains("written here"), "{read:?}");
    let outside = call(&endpoint, "read_text_file", json!({"path": "/etc/passwd"})).await.unwrap();
    assert!(outside.is_error, "{outside:?}");
}

fn tempfile() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("aimate-mcp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}

#[tokio::test]
async fn server_memory_and_sequential_thinking_are_called() {
    if let Some(endpoint) = endpoint("mcp-server-memory", &[]) {
        assert!(names(&endpoint).await.contains(&"read_graph".to_owned()));
        let found = call(&endpoint, "search_nodes", json!({"query": "nothing like this"})).await.unwrap();
        assert!(!found.is_error, "{found:?}");
    }
    if let Some(endpoint) = endpoint("mcp-server-sequential-thinking", &[]) {
        let thought =
            json!({"thought": "one", "nextThoughtNeeded": false, "thoughtNumber": 1, "totalThoughts": 1});
        let said = call(&endpoint, "sequentialthinking", thought).await.unwrap();
        assert!(text(&said).contains("thoughtNumber"), "{said:?}");
    }
}

#[tokio::test]
async fn servers_in_python_are_called() {
    if let Some(endpoint) = endpoint("mcp-server-time", &["--local-timezone", "UTC"]) {
        assert_eq!(names(&endpoint).await, ["get_current_time", "convert_time"]);
        let now = call(&endpoint, "get_current_time", json!({"timezone": "Europe/Oslo"})).await.unwrap();
        assert!(text(&now).contains("Europe/Oslo"), "{now:?}");
        let wrong = call(&endpoint, "get_current_time", json!({"timezone": "Nowhere/At All"})).await.unwrap();
        assert!(wrong.is_error, "{wrong:?}");
    }
    if let Some(endpoint) = endpoint("mcp-server-git", &[]) {
        assert!(names(&endpoint).await.contains(&"git_status".to_owned()));
    }
}

/// A server of the Python SDK, which speaks the current revision.
const PYTHON: &str = r#"
import asyncio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("peer")

@server.tool()
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b

@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("on purpose")

@server.tool()
async def slow(context: Context) -> str:
    """Tells how far it is."""
    for step in range(3):
        await context.report_progress(step + 1, 3)
    return "done"

@server.resource("peer://note")
def note() -> str:
    return "a note"

@server.prompt()
def greet(name: str) -> str:
    return f"Hello {name}"

server.run("stdio")
"#;

#[tokio::test]
async fn server_of_the_python_sdk_speaks_the_current_revision() {
    let Some(endpoint) = endpoint("python", &["-c", PYTHON]) else { return };
    let client = client();
    let listing = client.list(&endpoint).await.unwrap();
    let names: Vec<_> = listing.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((names, listing.server.protocol.as_str()), (vec!["add", "fail", "slow"], "2026-07-28"));
    let person = Person::away();
    let call = async |tool: &str, arguments: Value| {
        let arguments = arguments.as_object().unwrap().clone();
        client.call(&endpoint, tool, &arguments, "k", person.clone()).await.unwrap()
    };
    assert_eq!(text(&call("add", json!({"a": 2, "b": 3})).await), "5");
    assert!(call("add", json!({"a": "x"})).await.is_error);
    assert!(call("fail", json!({})).await.is_error);
    assert!(call("no-such-tool", json!({})).await.is_error);
    assert_eq!(text(&call("slow", json!({})).await), "done");
    assert!(!person.progress.lock().unwrap().is_empty());
    let content = client.read_resource(&endpoint, "peer://note").await.unwrap();
    assert!(matches!(&content[0], ToolContent::Resource { text: Some(text), .. } if text == "a note"));
    let name = BTreeMap::from([("name".to_owned(), "Jo".to_owned())]);
    let messages = client.prompt(&endpoint, "greet", &name).await.unwrap();
    assert!(matches!(&messages[0].1, ToolContent::Text { text } if text == "Hello Jo"), "{messages:?}");
}
