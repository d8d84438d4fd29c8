//! The port through which the engine reaches tool servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Tool;
use super::output::{ToolContent, ToolOutput};
use crate::error::Result;
use crate::id::ToolServerId;
use crate::provider::AddressSource;
use crate::scope::Scope;
use crate::secret::Secret;

/// A tool server and what is needed to reach it for one user. A client keeps no session that
/// two users share.
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolEndpoint {
    /// The server.
    pub id: ToolServerId,
    /// Its name, for errors.
    pub name: String,
    /// For whom it is reached.
    pub scope: Scope,
    /// How it is reached.
    pub access: ToolAccess,
    /// How long connecting may take, and each call that only reads: lists, resources, prompts.
    pub timeout: Duration,
    /// Bytes that one answer of the server may have.
    pub max_bytes: usize,
    /// Changes whenever something of the server's settings does: a session that was made
    /// under another value is not used any more.
    pub version: u64,
    /// What the application is at the server's authorization server, where somebody
    /// registered it there by hand; else it registers itself.
    pub oauth_client: Option<OAuthClient>,
}

impl ToolEndpoint {
    /// The server `id`, reached for `scope`: within 30 s, answers of at most 16 MiB, version 0.
    pub fn new(id: ToolServerId, name: impl Into<String>, scope: Scope, access: ToolAccess) -> Self {
        Self {
            id,
            name: name.into(),
            scope,
            access,
            timeout: Duration::from_secs(30),
            max_bytes: 16 * 1024 * 1024,
            version: 0,
            oauth_client: None,
        }
    }
}

/// An application at an authorization server.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// Its id there.
    pub id: String,
    /// Its secret, if it has one.
    pub secret: Option<Secret>,
}

/// How a tool server is reached.
#[derive(Clone)]
#[non_exhaustive]
pub enum ToolAccess {
    /// At a URL, over MCP's streamable HTTP.
    Http {
        /// The URL.
        url: String,
        /// Who gave it.
        source: AddressSource,
        /// Headers of every request, the authorization among them.
        headers: BTreeMap<String, Secret>,
        /// The tokens of an OAuth login of the user, where the server wants one.
        tokens: Option<Arc<dyn TokenKeeper>>,
    },
    /// As a child process of this one, over its standard input and output. From the
    /// operator's configuration alone, never from a user's request.
    Stdio {
        /// The program and its arguments; no shell reads them.
        command: Vec<String>,
        /// Its whole environment.
        environment: BTreeMap<String, Secret>,
    },
}

/// Keeps what an OAuth login at a tool server gave one user, sealed.
#[async_trait]
pub trait TokenKeeper: Send + Sync {
    /// What is kept for this issuer: a text that the client wrote, tokens among it.
    async fn load(&self, issuer: &str) -> Result<Option<Secret>>;
    /// Keeps it in place of what was; `None` forgets it.
    async fn save(&self, issuer: &str, tokens: Option<Secret>) -> Result<()>;
}

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The revision of the protocol that it is spoken to in, such as `2026-07-28`.
    pub protocol: String,
    /// How its tools are meant to be used, for the model; untrusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

/// A server's tools.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ServerListing {
    /// What it says of itself.
    pub server: ServerInfo,
    /// Its tools, in its order.
    pub tools: Vec<Tool>,
    /// What was left out and why, in sentences: a tool without a schema, one too many.
    pub problems: Vec<String>,
    /// How long the server says that the list is good.
    pub ttl: Option<Duration>,
}

/// A resource as its server lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ResourceInfo {
    /// Its address at the server; of a template, with names in braces.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Whether `uri` is a template.
    #[serde(default)]
    pub is_template: bool,
}

/// A prompt as its server lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ServerPrompt {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The names of its arguments; those that it needs come with `true`.
    #[serde(default)]
    pub arguments: Vec<(String, bool)>,
}

/// How far a tool is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ToolProgress {
    /// How much is done; grows.
    pub progress: f64,
    /// How much there is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// What it does now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a tool asks the person while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Elicitation {
    /// The question; untrusted text of the server.
    pub message: String,
    /// JSON Schema of the answer: an object of flat fields. `None` where the person is sent
    /// to `url` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Where the person does what is asked, in a browser of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What the person answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ElicitationAnswer {
    /// Yes, with these fields.
    Accept {
        /// The fields.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        content: Map<String, Value>,
    },
    /// No.
    Decline,
    /// Neither: the question was put away, or nobody was there.
    Cancel,
}

/// Who waits for a tool: is told how far it is, and answers what it asks.
#[async_trait]
pub trait ToolCaller: Send + Sync {
    /// The tool is so far.
    fn progress(&self, progress: ToolProgress);
    /// The tool asks the person; waits for the answer, as long as the caller lets it.
    async fn elicit(&self, question: Elicitation) -> ElicitationAnswer;
}

impl std::fmt::Debug for ToolEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ToolEndpoint");
        shown.field("id", &self.id).field("name", &self.name).field("scope", &self.scope);
        // Addresses may hold what is meant for their server alone.
        shown.field("version", &self.version).finish_non_exhaustive()
    }
}

impl Elicitation {
    /// A question whose answer is an object of this JSON Schema.
    pub fn form(message: impl Into<String>, schema: Value) -> Self {
        Self { message: message.into(), schema: Some(schema), url: None }
    }

    /// A request to do something at `url`.
    pub fn at_url(message: impl Into<String>, url: impl Into<String>) -> Self {
        Self { message: message.into(), schema: None, url: Some(url.into()) }
    }
}

/// Speaks to tool servers. Nothing that a server does may hang or grow without bound: each
/// call has a deadline, each answer a size, each list a length.
///
/// Dropping a future ends the call, and the server is told.
#[async_trait]
pub trait ToolServerClient: Send + Sync {
    /// The server's tools, all of them, and what it says of itself.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached, `Timeout`, `Upstream` if it does not speak the
    /// protocol, `Forbidden` if its address may not be reached, and `Upstream` with
    /// [`ErrorReason::KeyRefused`](crate::ErrorReason::KeyRefused) if it wants (another)
    /// authorization; the sentence says what to do.
    async fn list(&self, endpoint: &ToolEndpoint) -> Result<ServerListing>;

    /// Calls a tool. `idempotency_key` goes with the call. A tool's own failure is an output.
    ///
    /// # Errors
    /// As for [`ToolServerClient::list`]; `NotFound` or `Invalid` where the server refuses
    /// the call as such. After [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) and errors
    /// within a call it is not known whether the tool did something: never call again.
    async fn call(
        &self,
        endpoint: &ToolEndpoint,
        tool: &str,
        arguments: &Map<String, Value>,
        idempotency_key: &str,
        caller: Arc<dyn ToolCaller>,
    ) -> Result<ToolOutput>;

    /// The server's resources and templates of them.
    ///
    /// # Errors
    /// As for [`ToolServerClient::list`]; `Unsupported` if it has none.
    async fn resources(&self, endpoint: &ToolEndpoint) -> Result<Vec<ResourceInfo>>;

    /// The content of a resource.
    ///
    /// # Errors
    /// As for [`ToolServerClient::list`]; `NotFound`.
    async fn read_resource(&self, endpoint: &ToolEndpoint, uri: &str) -> Result<Vec<ToolContent>>;

    /// The server's prompts.
    ///
    /// # Errors
    /// As for [`ToolServerClient::list`]; `Unsupported` if it has none.
    async fn prompts(&self, endpoint: &ToolEndpoint) -> Result<Vec<ServerPrompt>>;

    /// A prompt filled in: its messages, each with its role (`user` or `assistant`).
    ///
    /// # Errors
    /// As for [`ToolServerClient::list`]; `NotFound`, `Invalid`.
    async fn prompt(
        &self,
        endpoint: &ToolEndpoint,
        name: &str,
        arguments: &BTreeMap<String, String>,
    ) -> Result<Vec<(String, ToolContent)>>;

    /// Begins an OAuth login of the user at the server: where their browser is to go, and a
    /// text to be kept sealed until they come back, in a cookie: 2,000 bytes at most.
    ///
    /// # Errors
    /// As for [`ToolServerClient::list`]; `Unsupported` if it has no such login.
    async fn begin_login(&self, endpoint: &ToolEndpoint, redirect_url: &str) -> Result<(String, Secret)>;

    /// Ends an OAuth login: `callback` is the whole address that the browser came back to.
    /// The tokens are kept by the endpoint's [`TokenKeeper`].
    ///
    /// # Errors
    /// `Invalid` if `callback` is not of the login that was begun; `Upstream` if the server
    /// refuses it.
    async fn end_login(&self, endpoint: &ToolEndpoint, attempt: &Secret, callback: &str) -> Result<()>;

    /// Forgets what is kept in memory for a server: sessions, child processes.
    async fn forget(&self, id: ToolServerId);
}
