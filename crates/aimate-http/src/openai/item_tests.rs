use aimate_core::chat::InputMessage;
use aimate_core::message::{ToolCall, ToolResult};
use serde_json::json;
use uuid::Uuid;

use super::*;

const ID: Uuid = Uuid::from_u128(0x0190_a5d2_7c1e_7cc3_98c4_dc0c_0c07_398f);
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

fn message(role: MessageRole, model: Option<&str>, content: Vec<Part>) -> Message {
    Message {
        id: ID.into(),
        conversation_id: ID.into(),
        parent_id: None,
        role,
        content,
        status: MessageStatus::Complete,
        model: model.map(Into::into),
        usage: None,
        cost: None,
        metadata: serde_json::Map::new(),
        created_at: aimate_core::Timestamp(0),
        path_stats: aimate_core::message::PathStats::default(),
    }
}

fn answer(content: Vec<Part>) -> Message {
    message(MessageRole::Assistant, Some("lab/test"), content)
}

fn written(message: &Message) -> Value {
    serde_json::to_value(items(message)).unwrap()
}

fn thought(text: &str) -> Part {
    Part::Reasoning { text: text.to_owned(), details: Some(json!([1])) }
}

#[test]
fn answer_is_made_of_items() {
    let mut call = ToolCall::new("c1", "files__read", json!({"path": "a"}));
    (call.is_made_here, call.server) = (true, Some("files".to_owned()));
    let own = ToolCall::new("c2", "f", json!({}));
    let content = vec![
        thought("Hm."),
        Part::text("Let me look."),
        Part::ToolCall(call),
        Part::ToolResult(ToolResult::new("c1", "text of a")),
        Part::text("It says a."),
        Part::ToolCall(own),
    ];
    let id = "0190a5d27c1e7cc398c4dc0c0c07398f";
    let text = |text: &str| json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
    assert_eq!(
        written(&answer(content)),
        json!([
            {"type": "reasoning", "id": format!("rs_{id}0000"), "summary": [], "status": "completed",
                "content": [{"type": "reasoning_text", "text": "Hm."}]},
            {"type": "message", "id": format!("msg_{id}0001"), "status": "completed", "role": "assistant",
                "content": text("Let me look.")},
            {"type": "mcp_call", "id": format!("mcp_{id}0002"), "server_label": "files", "name": "read",
                "arguments": "{\"path\":\"a\"}", "output": "text of a", "error": null,
                "approval_request_id": null, "status": "completed"},
            {"type": "message", "id": format!("msg_{id}0004"), "status": "completed", "role": "assistant",
                "content": text("It says a.")},
            {"type": "function_call", "id": format!("fc_{id}0005"), "call_id": "c2", "name": "f",
                "arguments": "{}", "status": "completed"},
        ])
    );
}

#[test]
fn hidden_thoughts_count_for_nothing() {
    let content = vec![thought(""), Part::text("a"), thought(""), Part::text("b"), thought("c")];
    let placed = placed(&answer(content));
    let ids: Vec<&str> = placed.iter().map(|one| one.item.id()).collect();
    let expected = [item_id(prefix::MESSAGE, ID.into(), 0), item_id(prefix::REASONING, ID.into(), 1)];
    assert_eq!(ids, expected);
    assert_eq!(placed[0].parts, [1, 3]);
    let Item::Message { content, .. } = &placed[0].item else { panic!() };
    assert_eq!(content, &[ContentPart::output_text("ab", Vec::new())]);
}

#[test]
fn what_was_taken_out_leaves_the_others_their_ids() {
    let own = |id: &str| Part::ToolCall(ToolCall::new(id, "f", json!({})));
    let before = written(&answer(vec![Part::text("a"), own("1"), own("2")]));
    let after = written(&answer(vec![Part::text("a"), Part::text(""), own("2")]));
    assert_eq!(after, json!([before[0], before[2]]));
}

#[test]
fn last_item_of_a_broken_answer_is_incomplete() {
    for (status, expected) in [
        (MessageStatus::Complete, "completed"),
        (MessageStatus::Streaming, "in_progress"),
        (MessageStatus::Interrupted, "incomplete"),
        (MessageStatus::Cancelled, "incomplete"),
        (MessageStatus::Failed, "incomplete"),
    ] {
        let broken = Message { status, ..answer(vec![thought("a"), Part::text("b")]) };
        let items = written(&broken);
        assert_eq!((&items[0]["status"], &items[1]["status"]), (&json!("completed"), &json!(expected)));
    }
}

#[test]
fn marks_are_annotations() {
    let mut page = Citation::new(2, ID.into(), ID.into(), "b", "x");
    (page.document_id, page.url) = (None, Some("https://example.org".to_owned()));
    let file = Citation::new(1, ID.into(), ID.into(), "a.md", "x");
    let content = vec![Part::text("Größe [1]. See [2]."), Part::Citation(file), Part::Citation(page)];
    let items = written(&answer(content));
    assert_eq!(
        items[0]["content"][0]["annotations"],
        json!([
            {"type": "file_citation", "file_id": "file-0190a5d27c1e7cc398c4dc0c0c07398f", "filename": "a.md", "index": 6},
            {"type": "url_citation", "url": "https://example.org", "title": "b", "start_index": 15, "end_index": 18},
        ])
    );
    assert_eq!(items.as_array().unwrap().len(), 1);
}

/// What is made of an item, as it is shown again.
fn again(item: Value) -> Value {
    let InputMessage { role, content, .. } = input_messages(&[item], "items").unwrap().remove(0);
    written(&message(role, None, content))[0].clone()
}

#[test]
fn brought_items_are_shown_as_they_came() {
    let id = |prefix: &str| item_id(prefix, ID.into(), 0);
    let user = again(json!({"role": "user", "content": "Hi"}));
    let expected = json!({"type": "message", "id": id("msg_"), "status": "completed", "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}]});
    assert_eq!(user, expected);
    let developer = again(
        json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]}),
    );
    assert_eq!(developer["role"], "system");
    // As clients send answers back: without id, status and annotations.
    let said = again(
        json!({"role": "assistant", "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]}),
    );
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    assert_eq!(said["content"], json!([part("a"), part("b")]));
    for item in [
        json!({"type": "function_call", "id": id("fc_"), "call_id": "c", "name": "f", "arguments": "{\"a\":1}", "status": "completed"}),
        json!({"type": "function_call_output", "id": id("fco_"), "call_id": "c", "output": "7", "status": "completed"}),
        json!({"type": "reasoning", "id": id("rs_"), "summary": [], "status": "completed",
            "content": [{"type": "reasoning_text", "text": "Hm."}], "encrypted_content": "gAAA"}),
        json!({"type": "mcp_call", "id": id("mcp_"), "server_label": "files", "name": "read", "arguments": "{}",
            "output": null, "error": mcp_error("no such file"), "approval_request_id": null, "status": "failed"}),
    ] {
        assert_eq!(again(item.clone()), item);
    }
    // A function's output with a picture, as it came too.
    let png = format!("data:image/png;base64,{PIXEL}");
    let output = json!([{"type": "input_text", "text": "the plot"},
        {"type": "input_image", "image_url": png, "detail": "auto"}]);
    let item = json!({"type": "function_call_output", "id": id("fco_"), "call_id": "c", "output": output, "status": "completed"});
    assert_eq!(again(item.clone()), item);
    let picture = json!({"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"});
    assert_eq!(again(json!({"role": "user", "content": [picture]}))["content"], json!([picture]));
}

#[test]
fn items_that_say_nothing_are_none() {
    let items = [
        json!({"role": "assistant", "content": ""}),
        json!({"type": "reasoning", "summary": []}),
        json!({"type": "mcp_list_tools", "server_label": "files", "tools": []}),
    ];
    assert_eq!(input_messages(&items, "items").unwrap(), []);
}

#[test]
fn wrong_item_is_named() {
    for (item, path) in [
        (json!({}), "items[0].type"),
        (json!({"type": "dream"}), "items[0].type"),
        (json!({"type": "message", "content": "x"}), "items[0].role"),
        (json!({"role": "tool", "content": "x"}), "items[0].role"),
        (json!({"role": "user"}), "items[0].content"),
        (json!({"role": "user", "content": [{"type": "input_text"}]}), "items[0].content[0].text"),
        (json!({"role": "user", "content": [{"type": "input_audio"}]}), "items[0].content[0].type"),
        (
            json!({"role": "user", "content": [{"type": "input_image", "image_url": "file:///etc/passwd"}]}),
            "items[0].content[0].image_url",
        ),
        (json!({"type": "function_call", "name": "f", "arguments": "{}"}), "items[0].call_id"),
        (json!({"type": "function_call_output", "call_id": "c"}), "items[0].output"),
        (
            json!({"type": "function_call_output", "call_id": "c", "output": [
                {"type": "input_image", "image_url": "https://example.org/a.png"}]}),
            "items[0].output[0].image_url",
        ),
        (
            json!({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_id": "f"}]}),
            "items[0].output[0].type",
        ),
        (json!({"type": "item_reference", "id": "msg_1"}), "items[0].type"),
        (json!(7), "items[0]"),
    ] {
        let failure = input_messages(std::slice::from_ref(&item), "items").unwrap_err();
        assert_eq!(failure.status(), 400, "{item}");
        assert_eq!(failure.error.fields()[0].path, path, "{item}");
    }
}

#[test]
fn id_leads_to_its_message() {
    let id = item_id(prefix::OUTPUT, ID.into(), 0x1a);
    assert_eq!(id, "fco_0190a5d27c1e7cc398c4dc0c0c07398f001a");
    assert_eq!(message_of(&id), Some(ID.into()));
    for wrong in [
        "",
        "msg_",
        "0190a5d27c1e7cc398c4dc0c0c07398f0000",
        "msg_0190a5d27c1e7cc398c4dc0c0c07398f",
        "msg_0190a5d27c1e7cc398c4dc0c0c07398fzzzz",
        "msg_ä190a5d27c1e7cc398c4dc0c0c07398f0000",
    ] {
        assert_eq!(message_of(wrong), None, "{wrong}");
    }
}
