//! `aimate tools` and what `aimate doctor` says of tool servers, with `aimate mcp` as the
//! server.
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
use std::process::Output;

use command::{Folder, err, out};
use serde_json::{Value, json};

const BUILTIN: (&str, &str) = ("AI_PROVIDER", "builtin");

/// A folder whose operator named these servers.
struct Operator {
    folder: Folder,
    servers: String,
}

impl Operator {
    fn new(name: &str, servers: &Value) -> Self {
        let folder = Folder::new(name);
        let file = folder.0.join("tools.json");
        fs::write(&file, json!({ "servers": servers }).to_string()).unwrap();
        Self { servers: file.to_str().unwrap().to_owned(), folder }
    }

    fn aimate(&self, arguments: &[&str]) -> Output {
        self.folder.aimate(arguments, &[BUILTIN, ("AIMATE_TOOL_SERVERS", &self.servers)])
    }
}

/// A folder with a document, and the tool server of it.
fn library(name: &str) -> (Folder, Value) {
    let folder = Folder::new(name);
    fs::write(folder.0.join("boiler.md"), "# Heating\n\nThe boiler is serviced in May.\n").unwrap();
    let added = folder.aimate(&["ingest", "boiler.md"], &[BUILTIN]);
    assert!(added.status.success(), "{}{}", out(&added), err(&added));
    let data = folder.0.join("aimate-data");
    let command = [env!("CARGO_BIN_EXE_aimate"), "mcp", "--read-only", "--data-dir", data.to_str().unwrap()];
    let server = json!({"command": command, "env": {"AI_PROVIDER": "builtin"}, "policy": {"*": "allow"}});
    (folder, server)
}

#[test]
fn tools_of_a_child_process_are_listed_tested_and_called() {
    let (_library, server) = library("tools-library");
    let operator = Operator::new("tools-operator", &json!({ "library": server }));

    let tested = operator.aimate(&["tools", "test"]);
    assert!(tested.status.success(), "{}{}", out(&tested), err(&tested));
    assert!(out(&tested).contains("library: ") && out(&tested).contains("tools in "), "{}", out(&tested));

    let listed = operator.aimate(&["tools", "list"]);
    assert!(out(&listed).contains("library/search  [allow]"), "{}{}", out(&listed), err(&listed));
    assert!(out(&listed).contains("current_time  ["), "{}", out(&listed));
    let listed = operator.aimate(&["tools", "list", "--json"]);
    let tools: Value = serde_json::from_str(&out(&listed)).unwrap();
    let search = tools.as_array().unwrap().iter().find(|tool| tool["id"] == "library/search").unwrap();
    assert_eq!(search["input_schema"]["type"], "object", "{search}");

    let query = r#"{"query": "boiler serviced", "mode": "text"}"#;
    let called = operator.aimate(&["tools", "call", "library/search", "--arguments", query]);
    assert!(called.status.success(), "{}{}", out(&called), err(&called));
    assert!(out(&called).contains("serviced in May"), "{}", out(&called));
    let called = operator.aimate(&["tools", "call", "library/search", "--arguments", query, "--json"]);
    let output: Value = serde_json::from_str(&out(&called)).unwrap();
    assert_eq!(output["is_error"], false, "{output}");

    let doctor = operator.aimate(&["doctor"]);
    assert!(doctor.status.success(), "{}{}", out(&doctor), err(&doctor));
    assert!(out(&doctor).contains("ok       tool server library: "), "{}", out(&doctor));
}

#[test]
fn tool_that_fails_or_is_unknown_ends_with_an_error() {
    let (_library, server) = library("tools-wrong-library");
    let operator = Operator::new("tools-wrong", &json!({ "library": server }));
    let call = |tool: &str, arguments: &str| {
        let called = operator.aimate(&["tools", "call", tool, "--arguments", arguments]);
        assert!(!called.status.success(), "{tool} {arguments}: {}", out(&called));
        err(&called)
    };
    assert!(call("library/search", "[1]").contains("no object"));
    assert!(call("library/search", "{").contains("no JSON"));
    assert!(call("library/nothing", "{}").contains("nothing"));
    assert!(call("elsewhere/search", "{}").contains("elsewhere"));
    // The model's fault, and so told as the tool tells it.
    assert!(!call("library/search", r#"{"query": 7}"#).contains("panicked"));
    let tested = operator.aimate(&["tools", "test", "elsewhere"]);
    assert!(err(&tested).contains("there is no tool server `elsewhere`"), "{}", err(&tested));
}

#[test]
fn server_that_is_down_is_a_problem_and_keeps_no_other_from_use() {
    let (_library, server) = library("tools-down-library");
    let gone = json!({"command": ["/nowhere/mcp-server"]});
    let servers = json!({"gone": gone, "down": {"url": "http://127.0.0.1:9/mcp"}, "library": server});
    let operator = Operator::new("tools-down", &servers);
    let tested = operator.aimate(&["tools", "test"]);
    assert!(!tested.status.success());
    assert!(err(&tested).contains("2 tool servers failed"), "{}{}", out(&tested), err(&tested));
    let doctor = operator.aimate(&["doctor"]);
    assert!(!doctor.status.success());
    for told in
        ["PROBLEM  tool server down: ", "PROBLEM  tool server gone: ", "ok       tool server library: "]
    {
        assert!(out(&doctor).contains(told), "{told}: {}", out(&doctor));
    }
    let called = operator.aimate(&["tools", "call", "library/list_documents"]);
    assert!(out(&called).contains("boiler.md"), "{}{}", out(&called), err(&called));
}
