//! Items as clients write them.

use super::*;

#[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
fn read(items: Value) -> Result<Vec<InputMessage>> {
    let Value::Array(items) = items else { panic!("a list") };
    messages(&items, &|sealed| (sealed == "good").then(|| "short".to_owned()))
}

fn refused(item: Value) -> String {
    let failure = read(json!([item])).unwrap_err();
    assert_eq!(failure.openai_status(), 400);
    let body = serde_json::to_value(failure.openai_error()).unwrap();
    body["error"]["param"].as_str().unwrap().to_owned()
}

#[test]
fn messages_of_every_role_and_form_are_read() {
    let read = read(json!([
        {"role": "user", "content": "a"},
        {"role": "developer", "content": [{"type": "input_text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "d", "annotations": [], "logprobs": []}, {"type": "refusal", "refusal": "e"}]},
        {"role": "assistant", "content": ""},
        {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["x"]},
    ]))
    .unwrap();
    use MessageRole::{Assistant, System, User};
    let roles: Vec<_> = read.iter().map(|message| message.role).collect();
    assert_eq!(roles, [User, System, Assistant, Assistant]);
    assert_eq!(read[3].content, [Part::text("d"), Part::text("e")]);
}

#[test]
fn calls_reasoning_and_outputs_are_read() {
    let read = read(json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "7"}]},
        {"type": "compaction", "encrypted_content": "good"},
    ]))
    .unwrap();
    assert_eq!(read.len(), 4);
    assert_eq!(read[0].content, [Part::Reasoning { text: "hm".into(), details: None }]);
    assert_eq!(read[1].content, [Part::ToolCall(ToolCall::new("c1", "f", json!({"a": 1})))]);
    assert_eq!(read[2].content, [Part::ToolResult(ToolResult::new("c1", "7"))]);
    assert_eq!(read[3].content, [Part::text("short")]);
    assert!(check_outputs(&read).is_ok());
}

#[test]
fn wrong_items_are_named() {
    for (item, param) in [
        (json!("a"), "input[0]"),
        (json!({}), "input[0].type"),
        (json!({"type": "magic"}), "input[0].type"),
        (json!({"type": "item_reference", "id": "msg_1"}), "input[0].type"),
        (json!({"role": "robot", "content": "a"}), "input[0].role"),
        (json!({"role": "user"}), "input[0].content"),
        (json!({"role": "user", "content": " "}), "input[0].content"),
        (json!({"role": "user", "content": [{"type": "input_text"}]}), "input[0].content[0].text"),
        (json!({"role": "user", "content": [{"type": "video"}]}), "input[0].content[0].type"),
        (json!({"role": "user", "content": [{"type": "input_image"}]}), "input[0].content[0].image_url"),
        (json!({"role": "user", "content": [{"type": "input_image", "image_url": "file:///x"}]}), "input[0].content[0].image_url"),
        (json!({"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}), "input[0].content[0].type"),
        (json!({"type": "function_call", "name": "f", "arguments": "{}"}), "input[0].call_id"),
        (json!({"type": "function_call", "call_id": "c", "name": "f"}), "input[0].arguments"),
        (json!({"type": "function_call_output", "call_id": "c"}), "input[0].output"),
        (json!({"type": "compaction", "encrypted_content": "bad"}), "input[0].encrypted_content"),
    ] {
        assert_eq!(refused(item.clone()), param, "{item}");
    }
}

#[test]
fn outputs_need_their_calls() {
    let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c1", "output": "7"});
    let check = |items: Value| check_outputs(&read(items).unwrap()).map_err(|failure| failure.error.message().to_owned());
    assert!(check(json!([call, output])).is_ok());
    for wrong in [json!([output]), json!([output, call]), json!([call, output, output])] {
        assert!(check(wrong.clone()).unwrap_err().contains("call_id c1"), "{wrong}");
    }
}
