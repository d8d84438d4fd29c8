//! What of the tool `mcp` is read, refused, and repeated.

use super::*;

fn tool(more: Value) -> Value {
    let mut tool =
        json!({"type": "mcp", "server_label": "shop", "server_url": "https://a.example/x?key=tok"});
    if let (Value::Object(tool), Value::Object(more)) = (&mut tool, more) {
        tool.extend(more);
    }
    tool
}

fn refused(more: Value) -> (String, String) {
    match read(&tool(more), "tools[0]") {
        Ok(_) => panic!("it is taken"),
        Err(failure) => (failure.error.fields()[0].path.clone(), failure.error.to_string()),
    }
}

#[test]
fn secrets_are_taken_and_not_repeated() {
    let more = json!({"authorization": "tok-canary", "headers": {"X-Key": "tok-canary"}});
    let (mcp, echoed) = read(&tool(more), "tools[0]").unwrap();
    assert_eq!(mcp.wanted.token.as_ref().unwrap().expose(), "tok-canary");
    assert_eq!(mcp.wanted.headers["X-Key"].expose(), "tok-canary");
    assert!(!echoed.to_string().contains("tok"), "{echoed}");
    assert_eq!(echoed["server_url"], "https://a.example/<redacted>");
    assert!(!format!("{mcp:?}").contains("canary"));
}

#[test]
fn what_is_wrong_is_named_without_its_secret() {
    for (more, path) in [
        (json!({"authorization": ["tok-canary"]}), "tools[0].authorization"),
        (json!({"headers": "tok-canary"}), "tools[0].headers"),
        (json!({"headers": {"a": ["tok-canary"]}}), "tools[0].headers.a"),
        (
            json!({"authorization": "a", "headers": {"authorization": "tok-canary"}}),
            "tools[0].headers.Authorization",
        ),
        (json!({"server_url": 7}), "tools[0].server_url"),
        (json!({"server_label": " "}), "tools[0].server_label"),
        (json!({"server_url": null, "authorization": "tok-canary"}), "tools[0].authorization"),
        (json!({"allowed_tools": "add"}), "tools[0].allowed_tools"),
        (json!({"allowed_tools": [1]}), "tools[0].allowed_tools"),
        (json!({"allowed_tools": {"read_only": "yes"}}), "tools[0].allowed_tools.read_only"),
        (json!({"require_approval": "sometimes"}), "tools[0].require_approval"),
        (json!({"require_approval": {"never": {}}}), "tools[0].require_approval.never.tool_names"),
        (
            json!({"require_approval": {"always": {"tool_names": ["a"]}, "never": {"tool_names": ["a"]}}}),
            "tools[0].require_approval.never.tool_names",
        ),
    ] {
        let (named, text) = refused(more);
        assert_eq!(named, path);
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn approvals_are_those_of_the_request() {
    let approval = json!({"always": {"tool_names": ["drop"]}, "never": {"tool_names": ["add"]}});
    let (mcp, echoed) = read(&tool(json!({"require_approval": approval})), "tools[0]").unwrap();
    assert_eq!((mcp.wanted.policy, mcp.wanted.policies["drop"]), (None, ToolPolicy::Ask));
    assert_eq!(mcp.wanted.policies["add"], ToolPolicy::Allow);
    assert_eq!(echoed["require_approval"], approval);
    let (mcp, echoed) = read(&tool(json!({"require_approval": "never"})), "tools[0]").unwrap();
    assert_eq!((mcp.wanted.policy, &echoed["require_approval"]), (Some(ToolPolicy::Allow), &json!("never")));
    let (mcp, echoed) =
        read(&tool(json!({"allowed_tools": {"tool_names": ["a"], "read_only": true}})), "t").unwrap();
    assert_eq!((mcp.wanted.only, mcp.wanted.read_only), (Some(vec!["a".to_owned()]), Some(true)));
    assert_eq!(echoed["allowed_tools"]["read_only"], true);
}

#[test]
fn long_list_keeps_its_names() {
    let mut room = 100;
    let small = listed(&Tool::new("a", "", json!({})));
    assert_eq!(within(small.clone(), &mut room), small);
    let cut = within(listed(&Tool::new("b", "d".repeat(200), json!({"x": 1}))), &mut room);
    assert_eq!(
        (&cut["name"], &cut["input_schema"], &cut["description"]),
        (&json!("b"), &json!({"type": "object"}), &Value::Null)
    );
}
