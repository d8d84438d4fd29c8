//! The items of an answer, out of its parts: as those of a conversation are, with what only its
//! response knows.

use aimate_core::MessageId;
use aimate_core::message::{Citation, Part, ToolCall, ToolResult};
use serde_json::{Value, json};

use super::citation::{marked, unmarked};
use super::echo::Echo;
use super::hosted::{hosted_item, kind_of, list_items};
use super::item_kind::ItemKind;
use crate::openai::item::{Annotation, ItemCounter};

/// Whether an item is whole.
pub(super) fn status(is_whole: bool) -> &'static str {
    if is_whole { "completed" } else { "incomplete" }
}

/// Some text of the model.
pub(super) fn text_item(id: &str, text: &str, annotations: &[Annotation], status: &str) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "status": status,
        "content": [text_part(text, annotations)],
    })
}

/// The content of [`text_item`].
pub(super) fn text_part(text: &str, annotations: &[Annotation]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []})
}

/// Some reasoning of the model.
pub(super) fn reasoning_item(id: &str, text: &str, status: &str) -> Value {
    json!({
        "id": id, "type": "reasoning", "status": status, "summary": [],
        "content": [{"type": "reasoning_text", "text": text}],
    })
}

/// A call that is the client's to make.
pub(super) fn function_item(id: &str, call: &ToolCall, arguments: &str, status: &str) -> Value {
    json!({
        "id": id, "type": "function_call", "call_id": call.id, "name": call.name,
        "arguments": arguments, "status": status,
    })
}

/// The state of a call by what it returned.
pub(super) fn call_status(result: Option<&ToolResult>) -> &'static str {
    match result {
        Some(result) if result.is_error => "failed",
        Some(_) => "completed",
        None => "incomplete",
    }
}

/// The items of the answer `message`, which is made of `parts`: whole, or cut off in the last
/// of them.
pub(super) fn output(
    echo: &Echo,
    message: MessageId,
    parts: &[Part],
    found: &[Citation],
    is_whole: bool,
) -> Vec<Value> {
    let search = echo.search_item(&ItemKind::FileSearch.id(message, 0), "completed", found);
    let said = said(parts);
    let last = said.len().saturating_sub(1);
    let passages: Vec<&Citation> = if found.is_empty() { cited(parts) } else { found.iter().collect() };
    let has_marks =
        said.iter().any(|(_, one)| matches!(one, Said::Text(text) if !marked(text, &passages).is_empty()));
    let items = said.into_iter().enumerate().map(|(n, (place, one))| {
        let status = status(is_whole || n < last);
        match one {
            Said::Text(text) => {
                let annotations =
                    if !has_marks && n == last { unmarked(&text, found) } else { marked(&text, &passages) };
                text_item(&ItemKind::Message.id(message, place), &text, &annotations, status)
            }
            Said::Reasoning(text) => reasoning_item(&ItemKind::Reasoning.id(message, place), &text, status),
            Said::Call(call) if call.is_made_here => {
                let result = result_of(parts, &call.id);
                let id = kind_of(call).id(message, place);
                hosted_item(echo, &id, call, &call.arguments_json(), result, call_status(result))
            }
            Said::Call(call) => {
                let id = ItemKind::FunctionCall.id(message, place);
                function_item(&id, call, &call.arguments_json(), "completed")
            }
        }
    });
    let lists = list_items(echo, message).into_iter().map(|(_, item)| item);
    lists.chain(search).chain(items).collect()
}

/// What of an answer is an item.
enum Said<'a> {
    Text(String),
    Reasoning(String),
    Call(&'a ToolCall),
}

/// What is said in `parts`, each with its place.
fn said(parts: &[Part]) -> Vec<(u32, Said<'_>)> {
    let mut said: Vec<(u32, Said<'_>)> = Vec::with_capacity(parts.len());
    let mut counter = ItemCounter::default();
    for part in parts {
        let counted = counter.part(part, false);
        let last = said.last_mut().map(|(_, last)| last);
        match (part, last) {
            (Part::Text { text }, Some(Said::Text(all))) if !counted.is_new => all.push_str(text),
            (Part::Reasoning { text, .. }, Some(Said::Reasoning(all))) if !counted.is_new => {
                all.push_str(text);
            }
            (Part::Text { text } | Part::Reasoning { text, .. }, _) if text.is_empty() => {}
            (Part::Text { text }, _) => said.push((counted.place, Said::Text(text.clone()))),
            (Part::Reasoning { text, .. }, _) => said.push((counted.place, Said::Reasoning(text.clone()))),
            (Part::ToolCall(call), _) => said.push((counted.place, Said::Call(call))),
            _ => {}
        }
    }
    said
}

fn result_of<'a>(parts: &'a [Part], id: &str) -> Option<&'a ToolResult> {
    parts.iter().find_map(|part| match part {
        Part::ToolResult(result) if result.id == id => Some(result),
        _ => None,
    })
}

/// The passages that an answer names.
fn cited(parts: &[Part]) -> Vec<&Citation> {
    parts.iter().filter_map(|part| if let Part::Citation(one) = part { Some(one) } else { None }).collect()
}
