//! What a request may say, and what it is told else.

use super::*;

#[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
fn parse(more: Value) -> Result<ParsedResponse> {
    let mut body = json!({"model": "lab/test", "input": "Hi"});
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    crate::json::parse::<ResponseBody>(body.to_string().as_bytes())?.parse()
}

fn field(more: Value) -> String {
    let shown = more.to_string();
    let failure = parse(more).err().unwrap_or_else(|| panic!("{shown} was taken"));
    assert_eq!(failure.openai_status(), 400, "{shown}");
    let body = serde_json::to_value(failure.openai_error()).unwrap();
    body["error"]["param"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn text_is_one_message_and_every_field_has_its_value() {
    let parsed = parse(json!({"unknown": 1, "stream_options": {"include_obfuscation": true}})).unwrap();
    assert_eq!(parsed.items, [json!({"type": "message", "role": "user", "content": "Hi"})]);
    assert_eq!(parsed.echo.fields, Echo::default().fields);
    assert!(!parsed.is_streamed && parsed.is_stored() && !parsed.is_cut);
}

#[test]
fn wrong_fields_are_named() {
    for (more, name) in [
        (json!({"model": null}), "model"),
        (json!({"model": " "}), "model"),
        (json!({"input": null}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": 1}), "input"),
        (json!({"temperature": 2.1}), "temperature"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"top_p": -0.1}), "top_p"),
        (json!({"presence_penalty": 3}), "presence_penalty"),
        (json!({"top_logprobs": 21}), "top_logprobs"),
        (json!({"top_logprobs": 1}), "top_logprobs"),
        (json!({"max_output_tokens": 15}), "max_output_tokens"),
        (json!({"max_tool_calls": 0}), "max_tool_calls"),
        (json!({"truncation": "some"}), "truncation"),
        (json!({"include": ["all"]}), "include[0]"),
        (json!({"reasoning": {"effort": "much"}}), "reasoning.effort"),
        (json!({"reasoning": {"summary": "long"}}), "reasoning.summary"),
        (json!({"background": true, "store": false}), "background"),
        (json!({"metadata": {"a": 1}}), "metadata.a"),
        (json!({"metadata": {"a": "x".repeat(513)}}), "metadata.a"),
        (json!({"text": {"format": {"type": "xml"}}}), "text.format.type"),
        (json!({"text": {"format": {"type": "json_schema", "schema": {}}}}), "text.format.name"),
        (json!({"text": {"format": {"type": "json_schema", "name": "a"}}}), "text.format.schema"),
        (json!({"text": {"verbosity": "loud"}}), "text.verbosity"),
        (json!({"conversation": 1}), "conversation"),
        (json!({"conversation": "abc"}), "conversation"),
        (json!({"conversation": "conv_1", "previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"user": "x".repeat(513)}), "user"),
    ] {
        assert_eq!(field(more), name);
    }
    let many: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
    assert_eq!(field(json!({"metadata": many})), "metadata");
}

#[test]
fn unknown_ids_are_not_found() {
    let failure = parse(json!({"previous_response_id": "resp_1"})).unwrap_err();
    assert_eq!(failure.openai_status(), 404);
    let body = serde_json::to_value(failure.openai_error()).unwrap();
    assert_eq!(body["error"]["code"], "previous_response_not_found");
    assert!(body["error"]["message"].as_str().unwrap().contains("resp_1"));
    assert_eq!(parse(json!({"conversation": "conv_1"})).unwrap_err().openai_status(), 404);
}

#[test]
fn ids_of_both_forms_are_read() {
    let id = "0190a5d27c1e7cc398c40000000000aa";
    for conversation in [json!(format!("conv_{id}")), json!({"id": format!("conv_{id}")})] {
        let parsed = parse(json!({"conversation": conversation, "input": null})).unwrap();
        assert_eq!(parsed.conversation.unwrap().0.simple().to_string(), id);
        assert_eq!(parsed.echo.fields["conversation"], json!({"id": format!("conv_{id}")}));
        assert!(parsed.items.is_empty());
    }
    let previous = format!("resp_{id}");
    let parsed = parse(json!({"previous_response_id": previous})).unwrap();
    assert_eq!(parsed.echo.fields["previous_response_id"], previous);
}

#[test]
fn input_is_bounded() {
    let items: Vec<_> = (0..10_001).map(|_| json!({"role": "user", "content": "a"})).collect();
    assert_eq!(field(json!({"input": items})), "input");
    let failure = parse(json!({"input": "x".repeat(MAX_INPUT + 1)})).unwrap_err();
    assert_eq!(failure.openai_status(), 413);
}

#[test]
fn tools_are_checked_and_repeated_with_every_field() {
    let parsed = parse(json!({"tools": [{"type": "function", "name": "time"}]})).unwrap();
    assert_eq!(
        parsed.echo.fields["tools"],
        json!([{"type": "function", "name": "time", "description": null, "parameters": null, "strict": null}])
    );
    let time = json!({"type": "function", "name": "time"});
    for (tool, name) in [
        (json!({"type": "magic"}), "tools[0].type"),
        (json!({"name": "time"}), "tools[0].type"),
        (json!({"type": "function"}), "tools[0]"),
        (json!({"type": "function", "name": "a b"}), "tools[0].name"),
        (json!({"type": "function", "name": "a", "parameters": []}), "tools[0].parameters"),
        (json!({"type": "file_search", "vector_store_ids": []}), "tools[0].vector_store_ids"),
    ] {
        let named = field(json!({"tools": [tool]}));
        assert!(named.starts_with(name), "{named} {name}");
    }
    assert_eq!(field(json!({"tools": [time, time]})), "tools[1].name");
    let store = format!("vs_{}", "0190a5d27c1e7cc398c40000000000aa");
    let search = |more: Value| {
        let mut tool = json!({"type": "file_search", "vector_store_ids": [store]});
        if let (Value::Object(tool), Value::Object(more)) = (&mut tool, more) {
            tool.extend(more);
        }
        json!({"tools": [tool]})
    };
    assert!(
        parse(search(json!({"filters": {"type": "eq", "key": "a", "value": 1}}))).unwrap().search.is_some()
    );
    assert!(field(search(json!({"filters": {"type": "is"}}))).contains("filters"));
    assert!(field(search(json!({"max_num_results": 51}))).contains("max_num_results"));
    assert!(field(search(json!({"ranking_options": {"score_threshold": 2}}))).contains("score_threshold"));
}

#[test]
fn choice_of_tools_is_enforced() {
    let tools = json!([
        {"type": "function", "name": "time"}, {"type": "function", "name": "date"},
        {"type": "file_search", "vector_store_ids": ["vs_0190a5d27c1e7cc398c40000000000aa"]},
    ]);
    let with = |choice: Value| parse(json!({"tools": tools, "tool_choice": choice}));
    let offered = |choice: Value| {
        let parsed = with(choice.clone()).unwrap();
        assert_eq!(parsed.echo.fields["tool_choice"], choice);
        assert_eq!(parsed.echo.fields["tools"].as_array().unwrap().len(), 3);
        let names: Vec<_> = parsed.tools.iter().map(|tool| tool.name.clone()).collect();
        (names.join(","), parsed.tool_choice, parsed.search.is_some())
    };
    let both = || "time,date".to_owned();
    assert_eq!(offered(json!("auto")), (both(), Some(ToolChoice::Auto), true));
    assert_eq!(offered(json!("none")), (both(), Some(ToolChoice::None), false));
    assert_eq!(
        offered(json!({"type": "function", "name": "date"})),
        (both(), Some(ToolChoice::Tool("date".into())), false)
    );
    let allowed =
        json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "date"}]});
    assert_eq!(offered(allowed), ("date".to_owned(), Some(ToolChoice::Required), false));
    let allowed = json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "file_search"}]});
    assert_eq!(offered(allowed), (String::new(), None, true));
    for (choice, name) in [
        (json!("some"), "tool_choice"),
        (json!({"type": "function", "name": "year"}), "tool_choice.name"),
        (json!({"type": "function"}), "tool_choice.name"),
        (json!({"type": "mcp", "server_label": "x"}), "tool_choice.server_label"),
        (json!({"type": "allowed_tools", "mode": "auto", "tools": []}), "tool_choice.tools"),
        (
            json!({"type": "allowed_tools", "mode": "x", "tools": [{"type": "file_search"}]}),
            "tool_choice.mode",
        ),
        (
            json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "x"}]}),
            "tool_choice.tools[0]",
        ),
    ] {
        assert_eq!(field(json!({"tools": tools, "tool_choice": choice})), name);
    }
    assert_eq!(field(json!({"tool_choice": "required"})), "tool_choice");
}

#[test]
fn format_is_repeated_flat() {
    let format = json!({"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": true});
    let parsed = parse(json!({"text": {"format": format, "verbosity": "low"}})).unwrap();
    assert!(parsed.response_format.is_some());
    assert_eq!(parsed.echo.fields["text"], json!({"format": format, "verbosity": "low"}));
}
