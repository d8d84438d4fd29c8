//! OpenAI's messages.

use aimate_core::Error;
use aimate_core::message::{MessageRole, Part, ToolCall, text_of};
use aimate_core::provider::ChatMessage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::content::Content;
use crate::error::{Failure, Result};

/// One message of a chat.
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
    /// The arguments, as JSON in a string.
    #[serde(default)]
    arguments: String,
}

impl WireMessage {
    /// Converts the message at position `n`.
    pub(super) fn into_message(self, n: usize) -> Result<ChatMessage> {
        let (role, has_content) = (self.role, self.content.is_some());
        let parts = parts(self.content, n)?;
        if !has_content && role != WireRole::Assistant {
            return Err(Error::field(format!("messages[{n}].content"), "is missing").into());
        }
        let (role, content) = match role {
            WireRole::System | WireRole::Developer => (MessageRole::System, parts),
            WireRole::User => (MessageRole::User, parts),
            WireRole::Tool => {
                let missing = || Error::field(format!("messages[{n}].tool_call_id"), "is missing");
                let result = Part::ToolResult {
                    id: self.tool_call_id.ok_or_else(missing)?,
                    output: Value::String(text_of(&parts)),
                    is_error: false,
                };
                (MessageRole::Tool, vec![result])
            }
            WireRole::Assistant => {
                let text = self.reasoning_content.or(self.reasoning);
                let mut content = reasoning(text, self.reasoning_details);
                content.extend(parts);
                let calls = self.tool_calls.unwrap_or_default();
                content.extend(calls.into_iter().map(WireCall::into_part));
                (MessageRole::Assistant, content)
            }
        };
        Ok(ChatMessage { role, content })
    }
}

impl WireCall {
    fn into_part(self) -> Part {
        Part::ToolCall(ToolCall {
            id: self.id,
            arguments: ToolCall::parse_arguments(&self.function.arguments),
            name: self.function.name,
        })
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
        // The empty text of an assistant that only called tools.
        Some(Content::Text(text)) if text.is_empty() => Ok(Vec::new()),
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
    let inline = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
        .filter(|(media_type, _)| media_type.starts_with("image/"));
    match inline {
        Some((media_type, data)) => Ok(Part::Image {
            url: None,
            data: Some(data.to_owned()),
            media_type: Some(media_type.to_owned()),
        }),
        None => Err(Error::field(path, "must be an http(s) address or `data:image/…;base64,…`").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn convert(message: Value) -> Result<ChatMessage> {
        serde_json::from_value::<WireMessage>(message).unwrap().into_message(0)
    }

    #[test]
    fn inline_image_keeps_data_and_type() {
        let url = json!({"url": "data:image/png;base64,aGk=", "detail": "low"});
        let message = convert(json!({"role": "user", "content": [
            {"type": "text", "text": "see"}, {"type": "image_url", "image_url": url},
        ]}));
        let Part::Image { data, media_type, url } = &message.unwrap().content[1] else { panic!() };
        assert_eq!((data.as_deref(), media_type.as_deref()), (Some("aGk="), Some("image/png")));
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
