//! The engine's client of MCP servers: [`McpClient`].
//!
//! A user has a session of their own with each server; none is shared. A server may do what it
//! likes: each request has a deadline (a call has its caller's), each answer a size, each list a
//! length, and what is damaged is left out with a sentence that says so.

mod auth;
mod call;
mod content;
mod elicit;
#[cfg(feature = "stdio")]
mod ending;
mod errors;
mod handler;
mod headers;
mod http;
#[cfg(feature = "stdio")]
mod late;
mod listing;
mod pool;
mod read;
mod session;
#[cfg(feature = "stdio")]
mod stdio;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::tool::{
    ResourceInfo, ServerListing, ServerPrompt, ToolAccess, ToolCaller, ToolContent, ToolEndpoint, ToolOutput,
    ToolServerClient,
};
use aimate_core::{ErrorKind, Result, Secret, ToolServerId};
use aimate_providers::Transport;
use async_trait::async_trait;
use serde_json::{Map, Value};

use self::auth::Logins;
use self::call::Call;
use self::errors::Errors;
use self::pool::Pool;
use self::session::ServerSession;

/// Sessions that are kept at most.
const MAX_SESSIONS: usize = 256;
/// How long an unused session is kept.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// Speaks to MCP servers over streamable HTTP and, with the feature `stdio`, to child processes:
/// in revision 2026-07-28 of the protocol, else in the one that the server knows.
///
/// ```
/// use aimate_mcp::client::McpClient;
/// use aimate_providers::Transport;
///
/// let client = McpClient::new(Transport::new());
/// ```
#[derive(Clone)]
pub struct McpClient {
    transport: Transport,
    logins: Arc<Logins>,
    pool: Arc<Pool>,
}

impl McpClient {
    /// A client over `transport`, whose policies say which addresses are reached: those of
    /// servers and those of authorization servers.
    pub fn new(transport: Transport) -> Self {
        let logins = Arc::new(Logins::new(transport.clone()));
        Self { transport, logins, pool: Arc::new(Pool::new(MAX_SESSIONS, IDLE)) }
    }

    /// Sets the address of the application's Client ID Metadata Document, `https:`, which says
    /// who it is to authorization servers that read such documents. Default: none; the
    /// application registers itself.
    #[must_use]
    pub fn client_metadata_url(self, url: impl Into<String>) -> Self {
        let logins = Logins::new(self.transport.clone()).client_metadata_url(url.into());
        Self { logins: Arc::new(logins), ..self }
    }

    /// Sets how many sessions are kept at most, of all users (the one unused for longest goes),
    /// and how long an unused one is kept. Default: 256, and 10 minutes.
    #[must_use]
    pub fn sessions(self, limit: usize, idle: Duration) -> Self {
        Self { pool: Arc::new(Pool::new(limit, idle)), ..self }
    }

    async fn session(&self, endpoint: &ToolEndpoint) -> Result<Arc<ServerSession>> {
        self.pool.session(endpoint, || self.connect(endpoint)).await
    }

    async fn connect(&self, endpoint: &ToolEndpoint) -> Result<ServerSession> {
        match &endpoint.access {
            ToolAccess::Http { .. } => {
                let connecting = http::connect(&self.transport, &self.logins, endpoint);
                match tokio::time::timeout(endpoint.timeout, Box::pin(connecting)).await {
                    Ok(session) => session,
                    Err(_) => Err(Errors(endpoint).too_slow("begin to speak MCP")),
                }
            }
            #[cfg(feature = "stdio")]
            ToolAccess::Stdio { command, environment } => {
                Box::pin(stdio::connect(endpoint, command, environment)).await
            }
            _ => {
                Err(Errors(endpoint).without("way to be reached in this build; it needs the feature `stdio`"))
            }
        }
    }

    /// Reads with `read`, once more over a new connection if the one in use had ended.
    async fn read<T, Reading>(
        &self,
        endpoint: &ToolEndpoint,
        read: impl Fn(Arc<ServerSession>) -> Reading,
    ) -> Result<T>
    where
        Reading: Future<Output = Result<T>>,
    {
        let session = self.session(endpoint).await?;
        match read(session.clone()).await {
            Err(error) if error.kind() == ErrorKind::Unavailable && session.is_closed() => {
                tracing::debug!(server = %endpoint.name, %error, "connecting to a tool server again");
                read(self.session(endpoint).await?).await
            }
            result => result,
        }
    }
}

#[async_trait]
impl ToolServerClient for McpClient {
    async fn list(&self, endpoint: &ToolEndpoint) -> Result<ServerListing> {
        self.read(endpoint, |session| async move { listing::tools(&session, endpoint).await }).await
    }

    async fn call(
        &self,
        endpoint: &ToolEndpoint,
        tool: &str,
        arguments: &Map<String, Value>,
        idempotency_key: &str,
        caller: Arc<dyn ToolCaller>,
    ) -> Result<ToolOutput> {
        let session = self.session(endpoint).await?;
        let call = Call { endpoint, tool, arguments, idempotency_key, caller };
        Box::pin(call.make(&session)).await
    }

    async fn resources(&self, endpoint: &ToolEndpoint) -> Result<Vec<ResourceInfo>> {
        self.read(endpoint, |session| async move { listing::resources(&session, endpoint).await }).await
    }

    async fn read_resource(&self, endpoint: &ToolEndpoint, uri: &str) -> Result<Vec<ToolContent>> {
        self.read(endpoint, |session| async move { read::resource(&session, endpoint, uri).await }).await
    }

    async fn prompts(&self, endpoint: &ToolEndpoint) -> Result<Vec<ServerPrompt>> {
        self.read(endpoint, |session| async move { listing::prompts(&session, endpoint).await }).await
    }

    async fn prompt(
        &self,
        endpoint: &ToolEndpoint,
        name: &str,
        arguments: &BTreeMap<String, String>,
    ) -> Result<Vec<(String, ToolContent)>> {
        let reading = |session: Arc<ServerSession>| async move {
            read::prompt(&session, endpoint, name, arguments).await
        };
        self.read(endpoint, reading).await
    }

    async fn begin_login(&self, endpoint: &ToolEndpoint, redirect_url: &str) -> Result<(String, Secret)> {
        Box::pin(self.logins.begin(endpoint, redirect_url)).await
    }

    async fn end_login(&self, endpoint: &ToolEndpoint, attempt: &Secret, callback: &str) -> Result<()> {
        Box::pin(self.logins.end(endpoint, attempt, callback)).await?;
        self.pool.drop_session(endpoint);
        Ok(())
    }

    async fn forget(&self, id: ToolServerId) {
        self.pool.forget(id);
        self.logins.forget(id);
    }
}
