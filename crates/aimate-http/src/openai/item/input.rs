//! The items that callers bring, as messages.

use aimate_core::Error;
use aimate_core::chat::InputMessage;
use aimate_core::message::{InlineImage, MessageRole, Part, ToolCall, ToolResult};
use aimate_core::tool::ToolContent;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::wire_id;
use crate::content::Content;
use crate::error::Result;
use crate::json;

/// The field of a thought's details that holds what a caller brought with it.
pub(super) const ENCRYPTED: &str = "encrypted_content";

/// The fields of all kinds of items.
#[derive(Debug, Deserialize)]
struct WireItem {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    role: Option<String>,
    content: Option<Content<WireItemPart>>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    output: Option<Content<WireItemPart>>,
    error: Option<Value>,
    summary: Option<Vec<WireText>>,
    encrypted_content: Option<String>,
    server_label: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WireItemPart {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    file_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WireText {
    text: Option<String>,
}

/// The messages that the items of a list are, one for each; `path` names it in errors. What says
/// nothing to anybody is none: a list of tools, an empty answer.
///
/// # Errors
/// `Invalid`, naming the field.
pub(crate) fn input_messages(items: &[Value], path: &str) -> Result<Vec<InputMessage>> {
    let mut messages = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        messages.extend(input_message(item, &format!("{path}[{n}]"))?);
    }
    Ok(messages)
}

/// The message that the item at `path` is; `None` if it says nothing to anybody.
///
/// # Errors
/// `Invalid`, naming the field.
pub(crate) fn input_message(item: &Value, path: &str) -> Result<Option<InputMessage>> {
    json::part::<WireItem>(item, path)?.read(path)
}

/// The result of a field that has to be there.
fn needed<T>(value: Option<T>, path: &str, name: &str) -> Result<T> {
    value.ok_or_else(|| Error::field(format!("{path}.{name}"), "is missing").into())
}

fn of_answer(content: Vec<Part>) -> InputMessage {
    InputMessage::new(MessageRole::Assistant, content)
}

impl WireItem {
    fn read(self, path: &str) -> Result<Option<InputMessage>> {
        match self.kind.as_deref() {
            Some("message") => self.message(path),
            None if self.role.is_some() => self.message(path),
            Some("function_call") => self.call(path).map(Some),
            Some("function_call_output") => self.output(path).map(Some),
            Some("reasoning") => Ok(self.reasoning()),
            Some("mcp_call") => self.mcp_call(path).map(Some),
            // What a search found stands in the messages.
            Some(
                "mcp_list_tools"
                | "mcp_approval_request"
                | "mcp_approval_response"
                | "file_search_call"
                | "web_search_call",
            ) => Ok(None),
            Some(other) => {
                let shown = wire_id::shown(other);
                Err(Error::field(
                    format!("{path}.type"),
                    format!(
                        "is `{shown}`; it must be one of `message`, `function_call`, `function_call_output`, \
                         `reasoning`, `mcp_call`"
                    ),
                )
                .into())
            }
            None => Err(Error::field(format!("{path}.type"), "is missing").into()),
        }
    }

    fn message(self, path: &str) -> Result<Option<InputMessage>> {
        let role = match needed(self.role, path, "role")?.as_str() {
            "user" => MessageRole::User,
            "assistant" => MessageRole::Assistant,
            "system" | "developer" => MessageRole::System,
            other => {
                let shown = wire_id::shown(other);
                return Err(Error::field(
                    format!("{path}.role"),
                    format!("is `{shown}`; it must be `user`, `assistant`, `system` or `developer`"),
                )
                .into());
            }
        };
        let mut content = match needed(self.content, path, "content")? {
            Content::Text(text) => vec![Part::text(text)],
            Content::Parts(parts) => {
                let parts = parts.into_iter().enumerate();
                parts
                    .map(|(n, part)| part.read(&format!("{path}.content[{n}]")))
                    .collect::<Result<Vec<_>>>()?
            }
        };
        if role == MessageRole::Assistant {
            // Clients send back what an answer was, also where it said nothing.
            content.retain(|part| !matches!(part, Part::Text { text } if text.trim().is_empty()));
            if content.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(InputMessage::new(role, content)))
    }

    fn call(self, path: &str) -> Result<InputMessage> {
        let id = needed(self.call_id, path, "call_id")?;
        let name = needed(self.name, path, "name")?;
        let arguments = ToolCall::parse_arguments(&needed(self.arguments, path, "arguments")?);
        Ok(of_answer(vec![Part::ToolCall(ToolCall::new(id, name, arguments))]))
    }

    fn output(self, path: &str) -> Result<InputMessage> {
        let id = needed(self.call_id, path, "call_id")?;
        let (text, pictures) =
            function_output(needed(self.output, path, "output")?, &format!("{path}.output"))?;
        let mut result = ToolResult::new(id, text);
        result.content = pictures;
        Ok(InputMessage::new(MessageRole::Tool, vec![Part::ToolResult(result)]))
    }

    fn reasoning(self) -> Option<InputMessage> {
        let content = match self.content {
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|part| part.text).collect(),
            Some(Content::Text(text)) => vec![text],
            None => Vec::new(),
        };
        let summary = self.summary.unwrap_or_default().into_iter().filter_map(|part| part.text);
        let texts: Vec<String> = if content.is_empty() { summary.collect() } else { content };
        let text = texts.join("\n\n");
        let details = self.encrypted_content.map(|kept| json!({ ENCRYPTED: kept }));
        if text.trim().is_empty() && details.is_none() {
            return None;
        }
        Some(of_answer(vec![Part::Reasoning { text, details }]))
    }

    /// A call of a tool server's tool, with what it returned.
    fn mcp_call(self, path: &str) -> Result<InputMessage> {
        let server = needed(self.server_label, path, "server_label")?;
        let name = needed(self.name, path, "name")?;
        let id = needed(self.id, path, "id")?;
        let arguments = ToolCall::parse_arguments(&needed(self.arguments, path, "arguments")?);
        let mut call = ToolCall::new(&id, format!("{server}__{name}"), arguments);
        (call.is_made_here, call.server) = (true, Some(server));
        let result = match self.error.filter(|error| !error.is_null()) {
            Some(error) => ToolResult::error(id, super::mcp_error::said(&error)),
            None => {
                let output = self.output.unwrap_or(Content::Text(String::new()));
                match function_output(output, &format!("{path}.output"))? {
                    (text, pictures) if pictures.is_empty() => ToolResult::new(id, text),
                    _ => return Err(Error::field(format!("{path}.output"), "must be text").into()),
                }
            }
        };
        Ok(of_answer(vec![Part::ToolCall(call), Part::ToolResult(result)]))
    }
}

/// What a function returned: one text, and the pictures beside it.
fn function_output(output: Content<WireItemPart>, path: &str) -> Result<(String, Vec<ToolContent>)> {
    let parts = match output {
        Content::Text(text) => return Ok((text, Vec::new())),
        Content::Parts(parts) => parts,
    };
    let (mut texts, mut pictures) = (Vec::new(), Vec::new());
    for (n, part) in parts.into_iter().enumerate() {
        let path = format!("{path}[{n}]");
        match part.kind.as_deref() {
            Some("input_text" | "output_text" | "text" | "input_image") => {}
            _ => {
                let why = "is not taken in an output; send `input_text` or `input_image`";
                return Err(Error::field(format!("{path}.type"), why).into());
            }
        }
        match part.read(&path)? {
            Part::Image { data: Some(data), media_type, .. } => {
                pictures.push(ToolContent::Image { data, media_type: media_type.unwrap_or_default() });
            }
            Part::Text { text } => texts.push(text),
            _ => {
                let why = "must be `data:image/…;base64,…` in an output: a picture is not fetched for it";
                return Err(Error::field(format!("{path}.image_url"), why).into());
            }
        }
    }
    Ok((texts.join("\n\n"), pictures))
}

impl WireItemPart {
    fn read(self, path: &str) -> Result<Part> {
        match self.kind.as_deref() {
            Some("input_text" | "output_text" | "text") => Ok(Part::text(needed(self.text, path, "text")?)),
            Some("refusal") => Ok(Part::text(needed(self.refusal, path, "refusal")?)),
            Some("input_image") => match (self.image_url, self.file_id) {
                (Some(url), _) => image(&format!("{path}.image_url"), url),
                (None, Some(_)) => Err(Error::field(
                    format!("{path}.file_id"),
                    "is not taken for a picture here; send `image_url`",
                )
                .into()),
                (None, None) => Err(Error::field(format!("{path}.image_url"), "is missing").into()),
            },
            Some("input_file") => Err(Error::field(
                format!("{path}.type"),
                "is `input_file`, which is not taken in a message: attach the file to a vector store and let \
                 `file_search` find it",
            )
            .into()),
            _ => Err(Error::field(
                format!("{path}.type"),
                "must be one of `input_text`, `input_image`, `output_text`, `refusal`",
            )
            .into()),
        }
    }
}

fn image(path: &str, url: String) -> Result<Part> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(Part::Image { url: Some(url), data: None, media_type: None });
    }
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => {
            let image = InlineImage::read(path, data, media_type)?;
            Ok(Part::Image { url: None, data: Some(image.data), media_type: Some(image.media_type) })
        }
        None => Err(Error::field(path, "must be an http(s) address or `data:image/…;base64,…`").into()),
    }
}
