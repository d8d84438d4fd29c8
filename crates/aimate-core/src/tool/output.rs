//! What a tool returns.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::tool_content::ToolContent;

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
