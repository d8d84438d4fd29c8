//! The items of an answer, out of its parts.

use aimate_core::MessageId;
use aimate_core::message::{Citation, Part, ToolCall, ToolResult};
use serde_json::{Value, json};

use super::annotation::{marked, unmarked};
use super::echo::Echo;
use crate::openai::wire_id;

/// Under which the tools that aiMate calls itself are shown.
const OWN_SERVER: &str = "aimate";

/// What an item is, as the beginning of its id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    Message,
    Reasoning,
    FunctionCall,
    McpCall,
    FileSearch,
}

impl ItemKind {
    /// What its ids begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Message => "msg_",
            Self::Reasoning => "rs_",
            Self::FunctionCall => "fc_",
            Self::McpCall => "mcp_",
            Self::FileSearch => "fs_",
        }
    }

    /// The id of the item that is number `index` of a message.
    pub(super) fn id(self, message: MessageId, index: usize) -> String {
        format!("{}{index:04x}", wire_id::write(self.prefix(), message.0))
    }
}

/// Whether an item is whole.
pub(super) fn status(is_whole: bool) -> &'static str {
    if is_whole { "completed" } else { "incomplete" }
}

/// Some text of the model.
pub(super) fn text_item(id: &str, text: &str, annotations: &[Value], status: &str) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "status": status,
        "content": [text_part(text, annotations)],
    })
}

/// The content of [`text_item`].
pub(super) fn text_part(text: &str, annotations: &[Value]) -> Value {
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

/// A call that aiMate makes, with what it returned, if it has.
pub(super) fn mcp_item(id: &str, call: &ToolCall, arguments: &str, result: Option<&ToolResult>, status: &str) -> Value {
    let text = result.map(|result| result.text());
    let is_error = result.is_some_and(|result| result.is_error);
    json!({
        "id": id, "type": "mcp_call", "server_label": OWN_SERVER, "name": call.name,
        "arguments": arguments, "output": text.as_ref().filter(|_| !is_error),
        "error": text.as_ref().filter(|_| is_error), "approval_request_id": null, "status": status,
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
    let passages = if found.is_empty() { cited(parts) } else { found.iter().collect() };
    let passages: Vec<_> = passages.into_iter().cloned().collect();
    let has_marks =
        said.iter().any(|(_, one)| matches!(one, Said::Text(text) if !marked(text, &passages).is_empty()));
    let items = said.into_iter().enumerate().map(|(n, (index, one))| {
        let status = status(is_whole || n < last);
        match one {
            Said::Text(text) => {
                let annotations =
                    if !has_marks && n == last { unmarked(&text, found) } else { marked(&text, &passages) };
                text_item(&ItemKind::Message.id(message, index), &text, &annotations, status)
            }
            Said::Reasoning(text) => reasoning_item(&ItemKind::Reasoning.id(message, index), &text, status),
            Said::Call(call) if call.is_made_here => {
                let result = result_of(parts, &call.id);
                let id = ItemKind::McpCall.id(message, index);
                mcp_item(&id, call, &call.arguments_json(), result, call_status(result))
            }
            Said::Call(call) => {
                let id = ItemKind::FunctionCall.id(message, index);
                function_item(&id, call, &call.arguments_json(), "completed")
            }
        }
    });
    search.into_iter().chain(items).collect()
}

/// What of an answer is an item.
enum Said<'a> {
    Text(String),
    Reasoning(String),
    Call(&'a ToolCall),
}

/// What is said in `parts`, each with its place among the parts. Reasoning that its provider
/// keeps hidden counts for nothing: no event tells of it.
fn said(parts: &[Part]) -> Vec<(usize, Said<'_>)> {
    let mut said: Vec<(usize, Said<'_>)> = Vec::with_capacity(parts.len());
    let mut place = 0;
    // Whether the part before is the last that was said, so that more of its kind joins it.
    let mut joins = false;
    for part in parts {
        let next = match part {
            Part::Reasoning { text, .. } if text.is_empty() => continue,
            Part::Text { text } if text.is_empty() => None,
            Part::Text { text } => match said.last_mut().filter(|_| joins) {
                Some((_, Said::Text(all))) => {
                    all.push_str(text);
                    continue;
                }
                _ => Some(Said::Text(text.clone())),
            },
            Part::Reasoning { text, .. } => match said.last_mut().filter(|_| joins) {
                Some((_, Said::Reasoning(all))) => {
                    all.push_str(text);
                    continue;
                }
                _ => Some(Said::Reasoning(text.clone())),
            },
            Part::ToolCall(call) => Some(Said::Call(call)),
            _ => None,
        };
        joins = next.is_some();
        said.extend(next.map(|next| (place, next)));
        place += 1;
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
