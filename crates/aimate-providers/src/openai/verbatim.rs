//! Messages that go to the server as the caller wrote them.

use std::borrow::Cow;

use serde_json::Value;

use super::learned::{ReasoningField, Takes};

/// A caller's own message as the server takes it.
pub(super) fn verbatim(takes: Takes, as_parts: Option<bool>, message: &Value) -> Cow<'_, Value> {
    let text = as_parts.filter(|as_parts| !as_parts).and_then(|_| all_text(message.get("content")?));
    let fields = message.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let is_refused = |name: &str| {
        (takes.reasoning == ReasoningField::None && matches!(name, "reasoning" | "reasoning_content"))
            || (takes.no_opaque
                && matches!(
                    name,
                    "reasoning_details" | "thinking_blocks" | "reasoning_opaque" | "extra_content"
                ))
    };
    let refused: Vec<_> = fields.filter(|name| is_refused(name)).collect();
    if text.is_none() && refused.is_empty() && !takes.no_opaque {
        return Cow::Borrowed(message);
    }
    let mut copy = message.clone();
    if let Value::Object(fields) = &mut copy {
        fields.extend(text.map(|text| ("content".to_owned(), text.into())));
        refused.into_iter().for_each(|name| drop(fields.remove(name)));
        let calls = fields.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
        for call in calls.filter(|_| takes.no_opaque).filter_map(Value::as_object_mut) {
            call.retain(|name, _| matches!(name.as_str(), "id" | "type" | "function"));
        }
    }
    Cow::Owned(copy)
}

/// The text of a list of parts of text alone.
fn all_text(content: &Value) -> Option<String> {
    let parts = content.as_array()?.iter();
    parts.map(|part| (part.get("type")? == "text").then(|| part.get("text")?.as_str())?).collect()
}
