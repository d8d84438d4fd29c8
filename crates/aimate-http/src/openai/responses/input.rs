//! The items of `input` as messages: one message for each, so that each has an id of its own.

use aimate_core::Error;
use aimate_core::chat::InputMessage;
use aimate_core::message::{MessageRole, Part, ToolCall, ToolResult};
use serde_json::{Value, json};

use crate::error::{Failure, Result};
use crate::openai::message::image;

/// Parts of one item at most.
const MAX_PARTS: usize = 2_000;
/// Characters of a call's id at most.
const MAX_CALL_ID: usize = 512;

/// Items that say nothing to a model: what the server did for an earlier answer.
const SERVER_SIDE: [&str; 8] = [
    "file_search_call",
    "web_search_call",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
];

/// What opens an item that was sealed: the text of a compaction.
pub(super) type Open<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The messages that `items` are. Ids that the caller wrote are not looked up.
///
/// # Errors
/// `Invalid` or `Unsupported`, naming the item.
pub(super) fn messages(items: &[Value], open: Open<'_>) -> Result<Vec<InputMessage>> {
    let mut messages = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        messages.extend(message(item, &format!("input[{n}]"), open)?);
    }
    Ok(messages)
}

fn message(item: &Value, path: &str, open: Open<'_>) -> Result<Option<InputMessage>> {
    if !item.is_object() {
        return Err(Error::field(path, "must be an item, which is an object").into());
    }
    let role = item.get("role").and_then(Value::as_str);
    let kind = match item.get("type") {
        None | Some(Value::Null) if role.is_some() => "message",
        Some(Value::String(kind)) => kind.as_str(),
        _ => return Err(Error::field(format!("{path}.type"), "is missing; it says what the item is").into()),
    };
    match kind {
        "message" => said(item, role, path),
        "function_call" => {
            let id = call_id(item, path)?;
            let name = text(item, "name", path)?;
            let arguments = match item.get("arguments") {
                Some(Value::String(arguments)) => ToolCall::parse_arguments(arguments),
                Some(arguments @ Value::Object(_)) => arguments.clone(),
                _ => return Err(Error::field(format!("{path}.arguments"), "must be JSON in a text").into()),
            };
            let call = Part::ToolCall(ToolCall::new(id, name, arguments));
            Ok(Some(InputMessage::new(MessageRole::Assistant, vec![call])))
        }
        "function_call_output" => {
            let result = ToolResult::new(call_id(item, path)?, output(item, path)?);
            Ok(Some(InputMessage::new(MessageRole::Tool, vec![Part::ToolResult(result)])))
        }
        "reasoning" => {
            let text = reasoning(item);
            let part = Part::Reasoning { text, details: None };
            let is_empty = matches!(&part, Part::Reasoning { text, .. } if text.trim().is_empty());
            Ok((!is_empty).then(|| InputMessage::new(MessageRole::Assistant, vec![part])))
        }
        "compaction" => {
            let sealed = text(item, "encrypted_content", path)?;
            let opened = open(&sealed).ok_or_else(|| {
                Error::field(format!("{path}.encrypted_content"), "does not open: it was changed, or is another's")
            })?;
            Ok(Some(InputMessage::new(MessageRole::User, vec![Part::text(opened)])))
        }
        kind if SERVER_SIDE.contains(&kind) => Ok(None),
        "item_reference" | "mcp_approval_response" => {
            let why = format!("`{kind}` is not supported; send the item itself");
            Err(Failure::unsupported(format!("{path}.type"), why))
        }
        kind => {
            let shown: String = kind.chars().take(64).collect();
            let why = format!(
                "`{shown}` is no item that is known; send `message`, `function_call`, `function_call_output`, \
                 `reasoning` or `compaction`"
            );
            Err(Error::field(format!("{path}.type"), why).into())
        }
    }
}

/// A message; `None` for one of an assistant that says nothing.
fn said(item: &Value, role: Option<&str>, path: &str) -> Result<Option<InputMessage>> {
    let role = match role {
        Some("user") => MessageRole::User,
        Some("assistant") => MessageRole::Assistant,
        Some("system" | "developer") => MessageRole::System,
        _ => {
            let why = "must be `user`, `assistant`, `system` or `developer`";
            return Err(Error::field(format!("{path}.role"), why).into());
        }
    };
    let place = format!("{path}.content");
    let content = match item.get("content") {
        Some(Value::String(text)) => vec![Part::text(text)],
        Some(Value::Array(parts)) => content(parts, role, &place)?,
        _ => return Err(Error::field(place, "must be a text or a list of parts").into()),
    };
    let is_blank = content.iter().all(|part| matches!(part, Part::Text { text } if text.trim().is_empty()));
    match (is_blank, role) {
        (false, _) => Ok(Some(InputMessage::new(role, content))),
        // Clients send back the empty answer that they got.
        (true, MessageRole::Assistant) => Ok(None),
        (true, _) => Err(Error::field(place, "is empty; a message needs some text or an image").into()),
    }
}

fn content(parts: &[Value], role: MessageRole, path: &str) -> Result<Vec<Part>> {
    if parts.len() > MAX_PARTS {
        let count = parts.len();
        return Err(Error::field(path, format!("has {count} parts; the most is {MAX_PARTS}")).into());
    }
    parts.iter().enumerate().map(|(n, part)| read_part(part, role, &format!("{path}[{n}]"))).collect()
}

fn read_part(part: &Value, role: MessageRole, path: &str) -> Result<Part> {
    match part.get("type").and_then(Value::as_str) {
        Some("input_text" | "output_text" | "text" | "summary_text") => Ok(Part::text(text(part, "text", path)?)),
        Some("refusal") => Ok(Part::text(text(part, "refusal", path)?)),
        Some("input_image") if role == MessageRole::User => {
            // Some clients write it as chat completions have it.
            let url = part.get("image_url").and_then(|url| url.as_str().or_else(|| url.get("url")?.as_str()));
            match url {
                Some(url) => image(&format!("{path}.image_url"), url.to_owned()),
                None if part.get("file_id").is_some_and(|id| !id.is_null()) => {
                    Err(Failure::unsupported(format!("{path}.file_id"), "is not supported; send `image_url`"))
                }
                None => Err(Error::field(format!("{path}.image_url"), "is missing").into()),
            }
        }
        Some("input_image") => {
            Err(Error::field(format!("{path}.type"), "is a part of a user's message alone").into())
        }
        Some(kind @ ("input_file" | "input_audio")) => Err(Failure::unsupported(
            format!("{path}.type"),
            format!("`{kind}` is not supported; send text, or let `file_search` look into the file"),
        )),
        _ => Err(Error::field(
            format!("{path}.type"),
            "must be `input_text`, `input_image`, `output_text` or `refusal`",
        )
        .into()),
    }
}

/// What a function returned.
fn output(item: &Value, path: &str) -> Result<Value> {
    let path = format!("{path}.output");
    match item.get("output") {
        Some(Value::String(text)) => Ok(json!(text)),
        Some(Value::Array(parts)) => {
            let parts = content(parts, MessageRole::User, &path)?;
            let texts: Option<Vec<_>> = parts
                .into_iter()
                .map(|part| if let Part::Text { text } = part { Some(text) } else { None })
                .collect();
            let texts = texts
                .ok_or_else(|| Failure::unsupported(path, "may hold text alone; send an image in a message"))?;
            Ok(json!(texts.join("\n")))
        }
        _ => Err(Error::field(path, "must be a text or a list of parts").into()),
    }
}

/// The readable part of a reasoning: its content, else its summary.
fn reasoning(item: &Value) -> String {
    let texts = |name: &str| {
        let parts = item.get(name).and_then(Value::as_array);
        let texts = parts.into_iter().flatten().filter_map(|part| part.get("text")?.as_str());
        texts.collect::<Vec<_>>().join("\n\n")
    };
    let content = texts("content");
    if content.is_empty() { texts("summary") } else { content }
}

fn call_id(item: &Value, path: &str) -> Result<String> {
    let id = text(item, "call_id", path)?;
    if id.is_empty() || id.chars().count() > MAX_CALL_ID {
        let why = format!("must have 1 to {MAX_CALL_ID} characters");
        return Err(Error::field(format!("{path}.call_id"), why).into());
    }
    Ok(id)
}

fn text(item: &Value, name: &str, path: &str) -> Result<String> {
    let text = item.get(name).and_then(Value::as_str);
    Ok(text.ok_or_else(|| Error::field(format!("{path}.{name}"), "is missing; it must be a text"))?.to_owned())
}

/// Whether each output among `messages` is of a call before it, and the only one.
///
/// # Errors
/// `Invalid`, naming `input` and the call.
pub(super) fn check_outputs(messages: &[InputMessage]) -> Result<()> {
    let mut open = std::collections::HashSet::new();
    let mut closed = std::collections::HashSet::new();
    for part in messages.iter().flat_map(|message| &message.content) {
        match part {
            Part::ToolCall(call) => {
                open.insert(call.id.as_str());
                closed.remove(call.id.as_str());
            }
            Part::ToolResult(result) if !open.contains(result.id.as_str()) => {
                return Err(no_call(&result.id).into());
            }
            Part::ToolResult(result) if !closed.insert(result.id.as_str()) => {
                let shown: String = result.id.chars().take(100).collect();
                let why = format!("has two outputs for the call with call_id {shown}; send one");
                return Err(Error::field("input", why).into());
            }
            _ => {}
        }
    }
    Ok(())
}

fn no_call(id: &str) -> Error {
    let shown: String = id.chars().take(100).collect();
    Error::field("input", format!("No tool call found for function call output with call_id {shown}."))
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
