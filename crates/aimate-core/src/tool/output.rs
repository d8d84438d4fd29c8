//! What a tool returns.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a tool returned: text and other content, and for some a value of its output
/// schema. A failure is an output too: the model reads why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ToolOutput {
    /// Its content, in order.
    #[serde(default)]
    pub content: Vec<ToolContent>,
    /// The result as a value; any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Whether the tool failed; the content says why.
    #[serde(default)]
    pub is_error: bool,
}

/// One piece of a tool's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolContent {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// Its bytes, base64.
        data: String,
        /// Its media type, such as `image/png`.
        media_type: String,
    },
    /// A sound.
    Audio {
        /// Its bytes, base64.
        data: String,
        /// Its media type, such as `audio/wav`.
        media_type: String,
    },
    /// A resource of the tool's server, with its content.
    Resource {
        /// Its address at the server.
        uri: String,
        /// Its media type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
        /// Its text; exactly one of `text` and `data`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Its bytes, base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<String>,
    },
    /// A resource that can be read at the tool's server.
    ResourceLink {
        /// Its address at the server.
        uri: String,
        /// Its name.
        name: String,
        /// What it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Its media type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
}

impl ToolContent {
    /// About the bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text { text } => text.len(),
            Self::Image { data, .. } | Self::Audio { data, .. } => data.len(),
            Self::Resource { uri, text, data, .. } => {
                uri.len() + text.as_ref().or(data.as_ref()).map_or(0, String::len)
            }
            Self::ResourceLink { uri, name, description, .. } => {
                uri.len() + name.len() + description.as_ref().map_or(0, String::len)
            }
        }
    }
}

impl ToolOutput {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![ToolContent::Text { text: text.into() }], ..Self::default() }
    }

    /// A value; the model reads it as JSON.
    pub fn value(value: Value) -> Self {
        Self { structured: Some(value), ..Self::default() }
    }

    /// A failure, with the sentence that tells the model what was wrong.
    pub fn error(text: impl Into<String>) -> Self {
        Self { is_error: true, ..Self::text(text) }
    }

    /// These pieces of content.
    pub fn content(content: impl IntoIterator<Item = ToolContent>) -> Self {
        Self { content: content.into_iter().collect(), ..Self::default() }
    }
}

impl From<String> for ToolOutput {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&str> for ToolOutput {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<Value> for ToolOutput {
    fn from(value: Value) -> Self {
        Self::value(value)
    }
}
