//! `aimate mcp`: one client on standard input and output.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "common/command.rs"]
mod command;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use command::{Folder, err, out};
use serde_json::{Value, json};

const BUILTIN: (&str, &str) = ("AI_PROVIDER", "builtin");

/// A client that started `aimate mcp`.
struct Client {
    server: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Client {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = folder.command(&[&["mcp"], arguments].concat(), &[BUILTIN]);
        let mut server =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (server.stdin.take(), BufReader::new(server.stdout.take().unwrap()));
        Self { server, input, output, id: 0 }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    /// The result of a request. Every line that comes is a message of the protocol.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "{method}: the server is gone");
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no message: {line}"));
            if message["id"] == self.id {
                assert!(message["error"].is_null(), "{message}");
                return message["result"].clone();
            }
        }
    }

    fn open(&mut self) -> Value {
        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let opened = self.ask("initialize", &params);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        opened
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Closes the input, with which the server ends.
    fn end(mut self) {
        self.input = None;
        assert!(self.server.wait().unwrap().success());
    }
}

#[test]
fn client_searches_reads_and_asks_over_standard_input() {
    let folder = Folder::new("mcp");
    fs::write(folder.0.join("boiler.md"), "# Heating\n\nThe boiler is serviced in May.\n").unwrap();
    let added = folder.aimate(&["ingest", "boiler.md"], &[BUILTIN]);
    assert!(added.status.success(), "{}{}", out(&added), err(&added));
    let mut client = Client::start(&folder, &[]);
    let opened = client.open();
    assert_eq!(
        (&opened["protocolVersion"], &opened["serverInfo"]["name"]),
        (&json!("2025-11-25"), &json!("aimate"))
    );
    let found = client.call("search", &json!({"query": "boiler serviced", "mode": "text"}));
    let passage = found["structuredContent"]["passages"][0].clone();
    assert!(passage["text"].as_str().unwrap().contains("serviced in May"), "{found}");
    let document = client.ask("resources/read", &json!({"uri": passage["uri"]}));
    assert!(document["contents"][0]["text"].as_str().unwrap().contains("# Heating"), "{document}");
    let asked = client.call("ask", &json!({"question": "When is the boiler serviced?"}));
    let answered = &asked["structuredContent"];
    assert_eq!(answered["citations"][0]["document_id"], passage["document_id"], "{asked}");
    let kept = client.call("get_conversation", &json!({"conversation_id": answered["conversation_id"]}));
    assert_eq!(kept["structuredContent"]["messages"].as_array().unwrap().len(), 2, "{kept}");
    client.end();
}

#[test]
fn client_that_may_only_read_is_not_offered_what_stores() {
    let folder = Folder::new("mcp-read-only");
    let mut client = Client::start(&folder, &["--read-only"]);
    client.open();
    let tools = client.ask("tools/list", &json!({}));
    assert!(
        tools["tools"].as_array().unwrap().iter().all(|tool| tool["annotations"]["readOnlyHint"] == true),
        "{tools}"
    );
    let asked = client.call("ask", &json!({"question": "x"}));
    assert_eq!(asked["isError"], true, "{asked}");
    client.end();
}

#[test]
fn account_is_served_by_its_address() {
    let folder = Folder::new("mcp-user");
    let add = ["user", "add", "ann@example.org", "--password-stdin"];
    let mut added =
        folder.command(&add, &[BUILTIN]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    added.stdin.take().unwrap().write_all(b"correct horse battery\n").unwrap();
    assert!(added.wait().unwrap().success());
    let mut client = Client::start(&folder, &["--user", "ann@example.org"]);
    client.open();
    assert_eq!(client.call("list_documents", &json!({}))["structuredContent"]["documents"], json!([]));
    client.end();
    let nobody = folder.aimate(&["mcp", "--user", "bob@example.org"], &[BUILTIN]);
    assert!(!nobody.status.success() && err(&nobody).contains("there is no account bob@example.org"));
    assert_eq!(out(&nobody), "", "standard output is the protocol's");
}
