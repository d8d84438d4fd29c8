//! Messages: the nodes of a conversation's tree, each made of parts.

mod call_approval;
#[cfg(test)]
mod sample;
mod store;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{ChunkId, ConversationId, DocumentId, FileId, MessageId, ToolOutputId};
pub use crate::image::InlineImage;
use crate::limit;
use crate::text::names;
use crate::tool_content::ToolContent;
use crate::usage::{Cost, TokenUsage};
pub use call_approval::CallApproval;
pub use store::MessageStore;

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// Instructions of the application.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

names! { MessageRole { System = "system", User = "user", Assistant = "assistant", Tool = "tool" } }

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// It is whole.
    Complete,
    /// Its run is still writing it.
    Streaming,
    /// Its process or its model server broke off; the partial answer is kept.
    Interrupted,
    /// It was cancelled; the partial answer is kept.
    Cancelled,
    /// Its run failed; the partial answer is kept.
    Failed,
}

names! {
    MessageStatus {
        Complete = "complete", Streaming = "streaming", Interrupted = "interrupted",
        Cancelled = "cancelled", Failed = "failed",
    }
}

/// A model's request to call a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolCall {
    /// The id that its result names; made by aiMate where the provider gave none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: an object; a string if the model wrote invalid JSON.
    pub arguments: Value,
    /// Whether aiMate makes the call itself, within the answer; else it is the caller's to
    /// make.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_made_here: bool,
    /// The name of the tool server whose tool it is, where aiMate makes the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What the provider wants back with the call, unchanged, under its own names;
    /// only the connection that made the call gets it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub extra: Map<String, Value>,
    /// How it stands with the approval of a person, where the answer does not wait for it
    /// ([`OnApproval::End`](crate::chat::OnApproval::End)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<CallApproval>,
}

impl ToolCall {
    /// A call with nothing beside its arguments.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: Value) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments,
            is_made_here: false,
            server: None,
            extra: Map::new(),
            approval: None,
        }
    }

    /// The arguments as OpenAI's wire format wants them: JSON in a string.
    pub fn arguments_json(&self) -> String {
        match &self.arguments {
            Value::String(raw) => raw.clone(),
            other => other.to_string(),
        }
    }

    /// Arguments out of the text a model wrote; empty text is `{}`.
    pub fn parse_arguments(text: &str) -> Value {
        if text.trim().is_empty() {
            return Value::Object(Map::new());
        }
        serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
    }
}

/// What a tool returned for one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ToolResult {
    /// The call it answers.
    pub id: String,
    /// The result as the model reads it: any JSON; plain text as a string.
    pub output: Value,
    /// Whether the tool failed; `output` says why.
    #[serde(default)]
    pub is_error: bool,
    /// What else the tool returned: pictures, and of aiMate's own calls sounds and resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<ToolContent>,
    /// Milliseconds that the call took, where aiMate made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Bytes of the whole result, where `output` is only its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Under which the whole result is kept then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<ToolOutputId>,
}

impl ToolResult {
    /// The result of call `id`.
    pub fn new(id: impl Into<String>, output: impl Into<Value>) -> Self {
        Self { id: id.into(), output: output.into(), ..Self::default() }
    }

    /// The failure of call `id`, with the sentence that says why.
    pub fn error(id: impl Into<String>, why: impl Into<String>) -> Self {
        Self { is_error: true, ..Self::new(id, why.into()) }
    }

    /// The result as text: JSON where it is no text.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.output {
            Value::String(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// Bytes of what it holds, pictures among them.
    pub fn size(&self) -> usize {
        self.text().len() + self.content.iter().map(ToolContent::bytes).sum::<usize>()
    }
}

/// A passage that an answer relies on: of a document, or of a source of the
/// application's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Citation {
    /// Its number in the answer, from 1.
    pub n: u32,
    /// The document; absent for a source of the application's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
    /// The file that the document was attached from; absent for one that was added by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<FileId>,
    /// The chunk of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_id: Option<ChunkId>,
    /// The title of the document or source.
    pub title: String,
    /// The application's own key of where the passage stands; absent for a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where people can read it, if the application says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The page, slide or sheet, from 1, where the format has them: that of its
    /// first quotation, else the one on which the passage begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// First character of the passage in the document's text.
    pub start: u64,
    /// One past its last character.
    pub end: u64,
    /// The passage.
    pub text: String,
    /// How well it matched; greater is better.
    pub score: f64,
    /// What the answer quotes of it, looked up in the passage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotes: Vec<Quote>,
    /// Whether the document changed since, so that it no longer holds the
    /// passage; determined when messages are read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_stale: bool,
}

impl Citation {
    /// A citation of a passage of `document`, without its place in it.
    pub fn new(n: u32, document: DocumentId, chunk: ChunkId, title: &str, text: &str) -> Self {
        Self {
            n,
            document_id: Some(document),
            file_id: None,
            chunk_id: Some(chunk),
            title: title.to_owned(),
            source: None,
            url: None,
            page: None,
            start: 0,
            end: text.chars().count() as u64,
            text: text.to_owned(),
            score: 0.0,
            quotes: Vec::new(),
            is_stale: false,
        }
    }
}

/// A quotation of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Quote {
    /// The quoted words.
    pub text: String,
    /// Whether they stand in the passage.
    pub found: bool,
    /// Their first character in the document's text, if they were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// The character after their last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}

/// One part of a message's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text, UTF-8 without NUL.
        text: String,
    },
    /// A picture, by address or inline; exactly one of `url` and `data`.
    Image {
        /// An `https:` address that the provider fetches.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// The picture itself, base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<String>,
        /// The media type of `data`, such as `image/png`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
    /// An uploaded file.
    File {
        /// The file.
        file_id: FileId,
        /// Its name when it was attached.
        name: String,
        /// Its media type.
        media_type: String,
    },
    /// What the model thought before it answered.
    Reasoning {
        /// The readable part; empty where the provider keeps it hidden.
        text: String,
        /// What the provider wants back unchanged in the next turn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Value>,
    },
    /// A call of a tool.
    ToolCall(ToolCall),
    /// What a tool returned.
    ToolResult(ToolResult),
    /// A source of the answer.
    Citation(Citation),
    /// What else a provider sent with its answer, under its own names: pictures,
    /// sounds, the sources of a search.
    Extra {
        /// The fields as the provider sent them.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        fields: Map<String, Value>,
    },
}

impl Part {
    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// Bytes of its text, or of the arguments of its call; 0 for other parts.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text { text } | Self::Reasoning { text, .. } => text.len(),
            Self::ToolCall(call) => call.arguments_json().len(),
            Self::ToolResult(result) => result.size(),
            Self::Extra { fields } => fields.values().map(|value| value.to_string().len()).sum(),
            _ => 0,
        }
    }
}

/// All text of `content`, one after the other.
pub fn text_of(content: &[Part]) -> String {
    content
        .iter()
        .filter_map(|part| if let Part::Text { text } = part { Some(text.as_str()) } else { None })
        .collect()
}

/// The depth of a message and the tokens of the path to it: what the context
/// builder needs to pick a window without reading what it leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathStats {
    /// Messages from the root to this one, itself included: 1 for a root.
    pub depth: u32,
    /// What this message costs a model, in tokens.
    pub tokens: u32,
    /// What the path from the root to this message costs, itself included.
    pub path_tokens: u64,
}

impl PathStats {
    /// These for another content, of `tokens`.
    #[must_use]
    pub fn with_tokens(self, tokens: u32) -> Self {
        let before = self.path_tokens.saturating_sub(u64::from(self.tokens));
        Self { tokens, path_tokens: before.saturating_add(u64::from(tokens)), ..self }
    }

    /// Those of a child that costs `tokens`.
    #[must_use]
    pub fn child(self, tokens: u32) -> Self {
        Self {
            depth: self.depth.saturating_add(1),
            tokens,
            path_tokens: self.path_tokens.saturating_add(u64::from(tokens)),
        }
    }
}

/// One node of a conversation's tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The message it follows; `None` for a root.
    pub parent_id: Option<MessageId>,
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub content: Vec<Part>,
    /// How far it has come.
    pub status: MessageStatus,
    /// The model that wrote it, as `CONNECTION/MODEL`.
    pub model: Option<String>,
    /// What writing it used.
    pub usage: Option<TokenUsage>,
    /// What writing it cost, in US dollars.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
    pub cost: Option<Cost>,
    /// Free for the application.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its depth, and the tokens of the path from the root to it.
    #[serde(skip)]
    pub path_stats: PathStats,
}

/// Cleans the content a caller sends, if it is within the limits: something is said, nothing is
/// too large, images are whole, NUL characters (which no database column
/// takes) are gone.
///
/// # Errors
/// `Invalid` naming the part, or `TooLarge`.
pub fn normalize_content(path: &str, content: &mut [Part]) -> Result<()> {
    let mut bytes = 0;
    for (n, part) in content.iter_mut().enumerate() {
        match part {
            Part::Text { text } | Part::Reasoning { text, .. } => {
                if let Cow::Owned(clean) = limit::without_nul(text) {
                    *text = clean;
                }
                bytes += text.len();
            }
            Part::Image { url, data, media_type } => {
                check_image(&format!("{path}[{n}]"), url.as_deref(), data, media_type)?;
            }
            Part::ToolResult(result) => {
                // The rest is only aiMate's to say.
                let mut content = std::mem::take(&mut result.content);
                content.retain(|piece| matches!(piece, ToolContent::Image { .. }));
                for (m, piece) in content.iter_mut().enumerate() {
                    check_returned_picture(&format!("{path}[{n}].content[{m}]"), piece)?;
                }
                *result = ToolResult {
                    is_error: result.is_error,
                    content,
                    ..ToolResult::new(std::mem::take(&mut result.id), result.output.take())
                };
                bytes += result.text().len();
            }
            Part::ToolCall(call) => bytes += call.arguments.to_string().len(),
            Part::File { .. } | Part::Citation(_) | Part::Extra { .. } => {}
        }
    }
    if bytes > limit::MESSAGE {
        return Err(Error::too_large(format!(
            "`{path}` has {bytes} bytes of text; the most is {}: put long text into a document instead",
            limit::MESSAGE
        )));
    }
    let says_something = content.iter().any(|part| match part {
        Part::Text { text } => !text.trim().is_empty(),
        Part::Reasoning { text, details } => !text.trim().is_empty() || details.is_some(),
        _ => true,
    });
    if says_something {
        Ok(())
    } else {
        Err(Error::field(path, "is empty; a message needs some text, an image or a file"))
    }
}

/// Checks a picture that a tool returned.
fn check_returned_picture(path: &str, piece: &mut ToolContent) -> Result<()> {
    if let ToolContent::Image { data, media_type } = piece {
        let image = InlineImage::read(path, data, media_type)?;
        (*data, *media_type) = (image.data, image.media_type);
    }
    Ok(())
}

/// Checks a picture, and mends an inline one as [`InlineImage`] does.
fn check_image(
    path: &str,
    url: Option<&str>,
    data: &mut Option<String>,
    media_type: &mut Option<String>,
) -> Result<()> {
    match (url, data.as_deref()) {
        (Some(url), None) if url.starts_with("https://") || url.starts_with("http://") => Ok(()),
        (Some(_), None) => Err(Error::field(path, "has a `url` that is not an http(s) address")),
        (None, Some(found)) => {
            let image = InlineImage::read(path, found, media_type.as_deref().unwrap_or_default())?;
            (*data, *media_type) = (Some(image.data), Some(image.media_type));
            Ok(())
        }
        _ => Err(Error::field(path, "needs exactly one of `url` and `data`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_what_the_model_wrote() {
        assert_eq!(ToolCall::parse_arguments(""), serde_json::json!({}));
        assert_eq!(ToolCall::parse_arguments("{\"a\":1}"), serde_json::json!({"a": 1}));
        let broken = ToolCall::new("1", "f", ToolCall::parse_arguments("{oops"));
        assert_eq!(broken.arguments_json(), "{oops");
    }

    #[test]
    fn blank_message_is_invalid() {
        for content in [vec![], vec![Part::text("  \n")]] {
            assert!(normalize_content("content", &mut content.clone()).is_err());
        }
    }

    #[test]
    fn nul_is_removed() {
        let mut content = [Part::text("a\0b")];
        normalize_content("content", &mut content).unwrap();
        assert_eq!(content, [Part::text("ab")]);
    }

    #[test]
    fn image_needs_exactly_one_source() {
        let image = |url: Option<&str>, data: Option<&str>| {
            let (url, data) = (url.map(Into::into), data.map(Into::into));
            normalize_content(
                "content",
                &mut [Part::Image { url, data, media_type: Some("image/png".into()) }],
            )
        };
        assert!(image(Some("https://example.org/a.png"), None).is_ok());
        assert!(image(None, Some("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")).is_ok());
        assert!(image(None, Some("aGk=")).is_err());
        assert!(image(None, None).is_err());
        assert!(image(Some("https://a"), Some("aGk=")).is_err());
        assert!(image(Some("file:///etc/passwd"), None).is_err());
    }
}
