//! The items of stored messages.

use aimate_core::message::{Message, MessageRole, MessageStatus, Part};
use serde_json::{Value, json};

use super::echo::Echo;
use super::output::{ItemKind, output};
use crate::openai::wire_id;

/// The items that a stored message is.
pub(super) fn items(message: &Message) -> Vec<Value> {
    match message.role {
        MessageRole::Assistant => {
            let is_whole = message.status == MessageStatus::Complete;
            output(&Echo::default(), message.id, &message.content, &[], is_whole)
        }
        MessageRole::Tool => tool_items(message),
        MessageRole::User | MessageRole::System => user_items(message),
    }
}

/// The items of what a person or their application said.
pub(super) fn user_items(message: &Message) -> Vec<Value> {
    let content: Vec<_> = message.content.iter().filter_map(input_part).collect();
    let role = if message.role == MessageRole::System { "system" } else { "user" };
    vec![json!({
        "id": ItemKind::Message.id(message.id, 0), "type": "message", "role": role, "status": "completed",
        "content": content,
    })]
}

fn tool_items(message: &Message) -> Vec<Value> {
    let results = message.content.iter().enumerate().filter_map(|(n, part)| match part {
        Part::ToolResult(result) => Some((n, result)),
        _ => None,
    });
    let items = results.map(|(n, result)| {
        json!({
            "id": format!("{}{n:04x}", wire_id::write("fco_", message.id.0)), "type": "function_call_output",
            "call_id": result.id, "output": result.text(), "status": "completed",
        })
    });
    items.collect()
}

fn input_part(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text } => Some(json!({"type": "input_text", "text": text})),
        Part::Image { url, data, media_type } => {
            let inline = || {
                let kind = media_type.as_deref().unwrap_or("image/png");
                format!("data:{kind};base64,{}", data.as_deref().unwrap_or_default())
            };
            let url = url.clone().unwrap_or_else(inline);
            Some(json!({"type": "input_image", "image_url": url, "detail": "auto"}))
        }
        _ => None,
    }
}
