//! The items of `input` as messages: one message for each, so that each has an id of its own.

use std::collections::{HashMap, HashSet};

use aimate_core::Error;
use aimate_core::chat::InputMessage;
use aimate_core::message::{MessageRole, Part};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::openai::item::input_message;

/// The field in the metadata of a message that a compaction became: it is summed up with the rest,
/// while what a user said is kept.
pub(super) const SUMMARY: &str = "compaction";

/// The messages that `items` are. `opened` has the texts of what is sealed among them.
///
/// # Errors
/// `Invalid` or `Unsupported`, naming the item.
pub(super) fn messages(items: &[Value], opened: &HashMap<String, String>) -> Result<Vec<InputMessage>> {
    let mut messages = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        let path = format!("input[{n}]");
        let read = match item.get("type").and_then(Value::as_str) {
            Some("compaction") => Some(summary(item, &path, opened)?),
            _ => input_message(item, &path)?,
        };
        if let Some(message) = read {
            // Here, where it is known which item it is.
            messages.push(message.validated(&format!("{path}.content"))?);
        }
    }
    Ok(messages)
}

/// What was said before a compaction.
fn summary(item: &Value, path: &str, opened: &HashMap<String, String>) -> Result<InputMessage> {
    let sealed = item.get("encrypted_content").and_then(Value::as_str).unwrap_or_default();
    let text = opened.get(sealed).ok_or_else(|| {
        let why = "is missing, or does not open: it was changed, or is another user's";
        Error::field(format!("{path}.encrypted_content"), why)
    })?;
    let metadata = Map::from_iter([(SUMMARY.to_owned(), Value::Bool(true))]);
    Ok(InputMessage::new(MessageRole::User, vec![Part::text(text)]).metadata(metadata))
}

/// Whether each output among `messages` is of a call before it, and the only one.
///
/// # Errors
/// `Invalid`, naming `input` and the call.
pub(super) fn check_outputs<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Result<()> {
    let (mut called, mut returned) = (HashSet::new(), HashSet::new());
    for part in parts {
        match part {
            Part::ToolCall(call) => {
                called.insert(call.id.as_str());
                returned.remove(call.id.as_str());
            }
            Part::ToolResult(result) if !called.contains(result.id.as_str()) => {
                let id = shown(&result.id);
                let why = format!("No tool call found for function call output with call_id {id}.");
                return Err(Error::field("input", why).into());
            }
            Part::ToolResult(result) if !returned.insert(result.id.as_str()) => {
                let id = shown(&result.id);
                let why = format!("there are two outputs for the call with call_id {id}; send one");
                return Err(Error::field("input", why).into());
            }
            _ => {}
        }
    }
    Ok(())
}

fn shown(id: &str) -> String {
    id.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
    fn read(items: Value) -> Result<Vec<InputMessage>> {
        let Value::Array(items) = items else { panic!("a list") };
        messages(&items, &HashMap::from([("good".to_owned(), "short".to_owned())]))
    }

    #[test]
    fn compaction_is_its_text() {
        let read = read(
            json!([{"role": "user", "content": "a"}, {"type": "compaction", "encrypted_content": "good"}]),
        );
        assert_eq!(read.unwrap()[1].content, [Part::text("short")]);
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (item, param) in [
            (json!({"type": "compaction", "encrypted_content": "bad"}), "input[0].encrypted_content"),
            (
                json!({"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}),
                "input[0].content[0].image_url",
            ),
        ] {
            let failure = read(json!([item])).unwrap_err();
            assert_eq!(failure.openai_status(), 400);
            let body = serde_json::to_value(failure.openai_error()).unwrap();
            assert_eq!(body["error"]["param"], param);
        }
    }

    #[test]
    fn outputs_need_their_calls() {
        let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "call_id": "c1", "output": "7"});
        let check = |items: Value| {
            let read = read(items).unwrap();
            let checked = check_outputs(read.iter().flat_map(|message| &message.content));
            checked.map_err(|failure| failure.error.message().to_owned())
        };
        assert!(check(json!([call, output])).is_ok());
        for wrong in [json!([output]), json!([output, call]), json!([call, output, output])] {
            assert!(check(wrong.clone()).unwrap_err().contains("call_id c1"), "{wrong}");
        }
    }
}
