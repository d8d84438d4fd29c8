//! OpenAI's messages.

use aimate_core::Error;
use aimate_core::message::{InlineImage, MessageRole, Part, ToolCall, ToolResult, text_of};
use aimate_core::provider::ChatMessage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::content::Content;
use crate::error::{Failure, Result};
use crate::json;

/// One message of a chat.
///
/// Fields that are not listed are handed on to OpenAI-compatible servers, those of
/// parts and calls too.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct WireMessage {
    /// The role.
    role: WireRole,
    /// Text, or a list of `text` and `image_url` parts.
    #[schema(value_type = Option<WireContentSchema>)]
    content: Option<Content<WirePart>>,
    /// The tool calls of an assistant.
    tool_calls: Option<Vec<WireCall>>,
    /// The id of the call that a tool answers.
    tool_call_id: Option<String>,
    /// The reasoning of an assistant.
    reasoning_content: Option<String>,
    /// Another name of `reasoning_content`.
    reasoning: Option<String>,
    /// The provider's own form of the reasoning, sent back unchanged.
    reasoning_details: Option<Value>,
}

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum WireRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

/// Text, or a list of parts.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum WireContentSchema {
    /// One text.
    Text(String),
    /// Several parts.
    Parts(Vec<WirePart>),
}

/// One part of a message.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct WirePart {
    /// `text`, `image_url` or `refusal`.
    #[serde(rename = "type")]
    kind: String,
    /// The text of a `text`.
    text: Option<String>,
    /// The image of an `image_url`.
    image_url: Option<WireImage>,
    /// The text of a `refusal`.
    refusal: Option<String>,
}

/// An image.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct WireImage {
    /// An http(s) address, or `data:image/…;base64,…`.
    url: String,
}

/// A tool call of an assistant.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct WireCall {
    /// Its id.
    id: String,
    /// The function and its arguments.
    function: WireFunctionCall,
}

/// The function of a tool call.
#[derive(Debug, Deserialize, ToSchema)]
struct WireFunctionCall {
    /// The tool's name.
    name: String,
    /// The arguments, as JSON in a string; an object is taken too.
    #[serde(default)]
    #[schema(value_type = String)]
    arguments: Value,
}

/// Reads the message at position `n`.
pub(super) fn message(written: Value, n: usize) -> Result<ChatMessage> {
    let read: WireMessage = json::part(&written, &format!("messages[{n}]"))?;
    let mut message = read.into_message(n)?;
    message.verbatim = verbatim(written).map(Box::new);
    Ok(message)
}

/// The message as it was written, if the engine's own types hold less than that.
fn verbatim(mut written: Value) -> Option<Value> {
    let fields = written.as_object_mut()?;
    fields.retain(|_, value| !value.is_null());
    // Not every server knows the newer name of `system`.
    if fields.get("role").is_some_and(|role| role == "developer") {
        fields.insert("role".to_owned(), "system".into());
    }
    let has_only = |value: &Value, names: &[&str]| {
        value.as_object().is_some_and(|fields| fields.keys().all(|name| names.contains(&name.as_str())))
    };
    let is_plain_part = |part: &Value| match part.get("type").and_then(Value::as_str) {
        Some("text") => has_only(part, &["type", "text"]),
        Some("image_url") => {
            has_only(part, &["type", "image_url"])
                && part.get("image_url").is_some_and(|image| has_only(image, &["url"]))
        }
        _ => false,
    };
    let is_plain_call = |call: &Value| {
        has_only(call, &["id", "type", "function"])
            && call.get("function").is_some_and(|function| has_only(function, &["name", "arguments"]))
    };
    let is_plain = fields.iter().all(|(name, value)| match name.as_str() {
        "role" | "tool_call_id" => true,
        "content" => match value {
            Value::Array(parts) => {
                let texts = parts.iter().filter(|part| part.get("text").is_some()).count();
                parts.iter().all(is_plain_part) && (texts < 2 || texts < parts.len())
            }
            _ => true,
        },
        "tool_calls" => value.as_array().is_some_and(|calls| calls.iter().all(is_plain_call)),
        _ => false,
    });
    // An assistant's message without content is none to the engine.
    let says = |name: &str| {
        fields.get(name).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()))
    };
    if !says("content") && !says("tool_calls") {
        fields.insert("content".to_owned(), "".into());
        return Some(written);
    }
    (!is_plain).then_some(written)
}

impl WireMessage {
    /// Converts the message at position `n`.
    fn into_message(self, n: usize) -> Result<ChatMessage> {
        let (role, has_content) = (self.role, self.content.is_some());
        let parts = parts(self.content, n)?;
        if !has_content && role != WireRole::Assistant {
            return Err(Error::field(format!("messages[{n}].content"), "is missing").into());
        }
        let (role, content) =
            match role {
                WireRole::System | WireRole::Developer => (MessageRole::System, parts),
                WireRole::User => (MessageRole::User, parts),
                WireRole::Tool => {
                    let missing = || Error::field(format!("messages[{n}].tool_call_id"), "is missing");
                    let id = self.tool_call_id.ok_or_else(missing)?;
                    (MessageRole::Tool, vec![Part::ToolResult(ToolResult::new(id, text_of(&parts)))])
                }
                WireRole::Assistant => {
                    let text = self.reasoning_content.or(self.reasoning);
                    let mut content = reasoning(text, self.reasoning_details);
                    // The empty text of an assistant that only called tools is none.
                    let has_calls = self.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
                    content.extend(parts.into_iter().filter(|part| {
                        !has_calls || !matches!(part, Part::Text { text } if text.is_empty())
                    }));
                    let calls = self.tool_calls.unwrap_or_default();
                    content.extend(calls.into_iter().map(WireCall::into_part));
                    (MessageRole::Assistant, content)
                }
            };
        Ok(ChatMessage::new(role, content))
    }
}

impl WireCall {
    fn into_part(self) -> Part {
        let arguments = match self.function.arguments {
            Value::String(text) => ToolCall::parse_arguments(&text),
            Value::Null => ToolCall::parse_arguments(""),
            other => other,
        };
        Part::ToolCall(ToolCall::new(self.id, self.function.name, arguments))
    }
}

fn reasoning(text: Option<String>, details: Option<Value>) -> Vec<Part> {
    let details = details.filter(|details| !details.is_null());
    let text = text.unwrap_or_default();
    if text.is_empty() && details.is_none() {
        return Vec::new();
    }
    vec![Part::Reasoning { text, details }]
}

fn parts(content: Option<Content<WirePart>>, n: usize) -> Result<Vec<Part>> {
    match content {
        None => Ok(Vec::new()),
        Some(Content::Text(text)) => Ok(vec![Part::text(text)]),
        Some(Content::Parts(parts)) => parts
            .into_iter()
            .enumerate()
            .map(|(m, part)| part.into_part(&format!("messages[{n}].content[{m}]")))
            .collect(),
    }
}

impl WirePart {
    fn into_part(self, path: &str) -> Result<Part> {
        let missing = |name: &str| Error::field(format!("{path}.{name}"), "is missing");
        match self.kind.as_str() {
            "text" => Ok(Part::text(self.text.ok_or_else(|| missing("text"))?)),
            "refusal" => Ok(Part::text(self.refusal.ok_or_else(|| missing("refusal"))?)),
            "image_url" => image(
                &format!("{path}.image_url.url"),
                self.image_url.ok_or_else(|| missing("image_url"))?.url,
            ),
            "input_audio" | "file" => Err(Failure::unsupported(
                format!("{path}.type"),
                "is not supported; send `text` or `image_url`",
            )),
            _ => Err(Error::field(format!("{path}.type"), "must be `text` or `image_url`").into()),
        }
    }
}

fn image(path: &str, url: String) -> Result<Part> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(Part::Image { url: Some(url), data: None, media_type: None });
    }
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => {
            let image = InlineImage::read(path, data, media_type)?;
            Ok(Part::Image { url: None, data: Some(image.data), media_type: Some(image.media_type) })
        }
        None => Err(Error::field(path, "must be an http(s) address or `data:image/…;base64,…`").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn convert(message: Value) -> Result<ChatMessage> {
        super::message(message, 0)
    }

    #[test]
    fn inline_image_keeps_data_and_type() {
        let png =
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
        let url = json!({"url": format!("data:image/png;base64,{png}"), "detail": "low"});
        let message = convert(json!({"role": "user", "content": [
            {"type": "text", "text": "see"}, {"type": "image_url", "image_url": url},
        ]}));
        let message = message.unwrap();
        assert_eq!(message.verbatim.as_ref().unwrap()["content"][1]["image_url"]["detail"], "low");
        let Part::Image { data, media_type, url } = &message.content[1] else { panic!() };
        assert_eq!((data.as_deref(), media_type.as_deref()), (Some(png), Some("image/png")));
        assert!(url.is_none());
    }

    #[test]
    fn calls_and_results_are_paired_by_id() {
        let call =
            json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
        let call = convert(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        let Part::ToolCall(call) = &call.unwrap().content[0] else { panic!() };
        assert_eq!((call.id.as_str(), &call.arguments), ("c", &json!({"a": 1})));
        let result = convert(json!({"role": "tool", "tool_call_id": "c", "content": "7"})).unwrap();
        assert_eq!(result.role, MessageRole::Tool);
        assert!(convert(json!({"role": "tool", "content": "7"})).is_err());
    }

    #[test]
    fn what_the_engine_has_no_name_for_is_kept_as_it_was_written() {
        for written in [
            json!({"role": "user", "content": "a", "name": "ann"}),
            json!({"role": "assistant", "content": "a", "prefix": true}),
            json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
            json!({"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}),
            json!({"role": "assistant", "content": "a", "reasoning_content": "hm"}),
            json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
                "extra_content": {"google": {"thought_signature": "s"}}}]}),
        ] {
            assert_eq!(convert(written.clone()).unwrap().verbatim.as_deref(), Some(&written));
        }
        for plain in [
            json!({"role": "user", "content": "a", "name": null}),
            json!({"role": "user", "content": [{"type": "text", "text": "a"}]}),
            json!({"role": "tool", "tool_call_id": "c", "content": "7"}),
        ] {
            assert_eq!(convert(plain).unwrap().verbatim, None);
        }
        let empty = convert(json!({"role": "user", "content": ""})).unwrap();
        assert_eq!(empty.content, [Part::text("")]);
        let null = convert(json!({"role": "assistant", "content": null})).unwrap();
        assert_eq!(null.verbatim.as_deref(), Some(&json!({"role": "assistant", "content": ""})));
        assert!(convert(json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,data:image/png;base64,!!"}}]})).is_err());
    }

    #[test]
    fn wrong_part_is_named() {
        let wrong = |part: Value| {
            let failure = convert(json!({"role": "user", "content": [part]})).unwrap_err();
            failure.status().as_u16()
        };
        assert_eq!(wrong(json!({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}})), 400);
        assert_eq!(wrong(json!({"type": "text"})), 400);
        assert_eq!(wrong(json!({"type": "input_audio"})), 422);
    }
}
