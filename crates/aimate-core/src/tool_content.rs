//! What tools return, in pieces: of their outputs, and of the results in messages.

use serde::{Deserialize, Serialize};

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
