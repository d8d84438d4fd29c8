//! Tools: what a model may call. They come from tool servers, from the application
//! (Rust functions), and from aiMate itself.

mod auth;
pub(crate) mod builtin;
mod client;
mod handler;
mod host;
mod kept;
mod limits;
mod output;
mod pin;
pub(crate) mod result;
pub(crate) mod schema;
mod server;
mod store;
pub(crate) mod toolbox;
mod turn_server;
mod web_search;

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use auth::{ToolAuthConfig, ToolAuthType};
pub use builtin::{WEB_SEARCH, web_sources};
pub use client::{
    Elicitation, ElicitationAnswer, OAuthClient, ResourceInfo, ServerInfo, ServerListing, ServerPrompt,
    TokenKeeper, ToolAccess, ToolCaller, ToolEndpoint, ToolProgress, ToolServerClient,
};
pub use handler::{ToolContext, ToolHandler};
pub use host::HostTool;
pub use kept::{KeptOutput, OutputPiece, ToolOutputStore};
pub use limits::ToolLimits;
pub use output::{ToolContent, ToolOutput};
pub use pin::{ListedTool, ServerTools, ToolPin, ToolPins, ToolState, fingerprint};
pub use server::{
    MAX_TOOL_SERVERS, NewToolServer, PolicyChange, ToolServer, ToolServerChange, ToolServerStatus,
};
pub use store::{ObservedTools, ToolGrant, ToolObservation, ToolServerStore};
pub use turn_server::{OfferedServer, TurnToolServer};
pub use web_search::{WebHit, WebSearch};

pub(crate) use auth::{client_of, read as read_headers, written as written_headers};
pub(crate) use server::{by_name, checked_url};
pub(crate) use turn_server::TurnLink;

use crate::provider::ToolSpec;
use crate::text::names;

/// A tool as its source describes it. Names, texts and schemas of a server are untrusted:
/// they are shown to models and people, and decide nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Tool {
    /// The name at its source, as it is called there; models are offered one that every
    /// provider takes.
    pub name: String,
    /// The name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it does, for the model.
    #[serde(default)]
    pub description: String,
    /// JSON Schema (2020-12) of its arguments, an object.
    pub input_schema: Value,
    /// JSON Schema of its structured result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// What its source says of its effects.
    #[serde(default)]
    pub hints: ToolHints,
}

/// What the source of a tool says of its effects; a hint, since the source may lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ToolHints {
    /// It changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// It may delete or overwrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    /// Called again with the same arguments it does nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// It reaches things outside its server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_world: Option<bool>,
}

/// Whether a tool's calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolPolicy {
    /// Each is made at once.
    Allow,
    /// Each waits until the person whose turn it is approves it.
    Ask,
    /// None is; the model is not offered the tool.
    Deny,
}

names! { ToolPolicy { Allow = "allow", Ask = "ask", Deny = "deny" } }

/// What is none is not repeated: it stands in a map whose names are free, where a secret may
/// have been put by mistake.
impl<'de> Deserialize<'de> for ToolPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(|_| D::Error::custom("is no policy; they are `allow`, `ask` and `deny`"))
    }
}

/// Where the calls of a tool go.
#[derive(Clone)]
pub(crate) enum ToolSource {
    /// To this process.
    Handler(Arc<dyn ToolHandler>),
    /// To a server, where it is called `tool`.
    Server {
        /// The server.
        endpoint: Box<ToolEndpoint>,
        /// The tool's own name.
        tool: String,
        /// What is kept open to a server that a turn brought; ended with the last who has it.
        link: Option<Arc<TurnLink>>,
    },
}

/// A tool as one turn offers it to its model.
#[derive(Clone)]
pub(crate) struct OfferedTool {
    /// What the model is told of it. Its name fits every provider: letters, digits, `_` and
    /// `-`, at most 64, and no other tool of the turn has it.
    pub(crate) spec: ToolSpec,
    /// Never [`ToolPolicy::Deny`].
    pub(crate) policy: ToolPolicy,
    pub(crate) source: ToolSource,
}

impl Tool {
    /// A tool that takes arguments of this JSON Schema.
    pub fn new(name: impl Into<String>, description: impl Into<String>, input_schema: Value) -> Self {
        Self { name: name.into(), description: description.into(), input_schema, ..Self::default() }
    }
}
