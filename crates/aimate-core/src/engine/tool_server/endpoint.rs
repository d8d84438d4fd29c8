//! From a stored tool server to what is needed to reach it for one user.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::super::Engine;
use super::super::endpoint::row_binding;
use super::configured::ConfiguredAccess;
use super::no_keys;
use crate::clock::ClockAndIds;
use crate::connection::origin;
use crate::error::{Error, ErrorReason, Result};
use crate::id::ToolServerId;
use crate::provider::AddressSource;
use crate::scope::Scope;
use crate::sealing::{Binding, Sealer, SecretKind};
use crate::secret::Secret;
use crate::tool::{
    TokenKeeper, ToolAccess, ToolAuthType, ToolEndpoint, ToolGrant, ToolServer, ToolServerClient,
    ToolServerStore, client_of, read_headers,
};

/// How long connecting to a tool server may take, and each call that only reads.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that one answer of a tool server may have.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a tool server's authorization is sealed for.
pub(super) fn auth_binding<'a>(scope: &Scope, server: &ToolServer, origin: &'a str) -> Binding<'a> {
    let owner = match server.workspace_id {
        // Whoever made it: who that is may change.
        Some(workspace) => workspace.uuid(),
        None if server.is_shared => scope.tenant.uuid(),
        None => scope.user.uuid(),
    };
    row_binding(SecretKind::ToolServerAuth, server.id.uuid(), owner, origin)
}

fn grant_binding<'a>(scope: &Scope, id: Uuid, origin: &'a str) -> Binding<'a> {
    row_binding(SecretKind::ToolGrant, id, scope.user.uuid(), origin)
}

impl Engine {
    /// What speaks to tool servers.
    ///
    /// # Errors
    /// `Unsupported` if nothing does.
    pub(super) fn tool_client(&self) -> Result<&Arc<dyn ToolServerClient>> {
        self.inner.tools.client.as_ref().ok_or_else(|| {
            Error::unsupported(
                "this process speaks to no tool servers; it was built without a client for them",
            )
        })
    }

    /// Ends what the client keeps open to a server.
    pub(super) async fn forget_sessions(&self, id: ToolServerId) {
        if let Some(client) = &self.inner.tools.client {
            client.forget(id).await;
        }
    }

    /// A tool server as `scope`'s user reaches it, its authorization opened.
    ///
    /// # Errors
    /// `Unavailable` if that cannot be used here, or the server was configured in another process.
    pub(super) async fn tool_endpoint(&self, scope: &Scope, server: &ToolServer) -> Result<ToolEndpoint> {
        let mut oauth_client = None;
        let access = match (self.configured_tool_server(server), server.is_configured) {
            (Some(configured), _) => match &configured.access {
                ConfiguredAccess::Http { url, headers, auth_type } => ToolAccess::Http {
                    url: url.clone(),
                    source: AddressSource::Operator,
                    headers: headers.clone(),
                    tokens: self.token_keeper(scope, server, *auth_type),
                },
                ConfiguredAccess::Stdio { command, environment } => {
                    ToolAccess::Stdio { command: command.clone(), environment: environment.clone() }
                }
            },
            (None, true) => {
                return Err(Error::unavailable(format!(
                    "tool server `{}` was configured by the operator, and is not configured in this process",
                    server.name
                )));
            }
            (None, false) => {
                let kept = self.opened_auth(scope, server).await?;
                let (headers, client) = match server.auth_type {
                    ToolAuthType::Oauth => (BTreeMap::new(), client_of(kept)),
                    _ => (kept, None),
                };
                oauth_client = client;
                ToolAccess::Http {
                    url: server.url.clone().unwrap_or_default(),
                    source: AddressSource::Untrusted,
                    headers,
                    tokens: self.token_keeper(scope, server, server.auth_type),
                }
            }
        };
        let mut endpoint = ToolEndpoint::new(server.id, &server.name, *scope, access);
        endpoint.timeout = PATIENCE;
        endpoint.max_bytes = MAX_BYTES;
        endpoint.version = server.updated_at.0.unsigned_abs();
        endpoint.oauth_client = oauth_client;
        Ok(endpoint)
    }

    async fn opened_auth(&self, scope: &Scope, server: &ToolServer) -> Result<BTreeMap<String, Secret>> {
        let Some(sealed) = &server.sealed_auth else {
            let has_none = matches!(server.auth_type, ToolAuthType::Bearer | ToolAuthType::Headers);
            return if has_none { Err(without_auth(server)) } else { Ok(BTreeMap::new()) };
        };
        let keys = self.inner.keys.as_ref().ok_or_else(no_keys)?;
        let origin = origin(server.url.as_deref());
        read_headers(&keys.open(sealed, &auth_binding(scope, server, &origin)).await?)
    }

    fn token_keeper(
        &self,
        scope: &Scope,
        server: &ToolServer,
        auth_type: ToolAuthType,
    ) -> Option<Arc<dyn TokenKeeper>> {
        (auth_type == ToolAuthType::Oauth).then(|| {
            let keeper = GrantKeeper {
                store: self.inner.stores.tool_servers.clone(),
                keys: self.inner.keys.clone(),
                sources: self.inner.sources.clone(),
                scope: *scope,
                server: server.id,
                url: server.url.clone().unwrap_or_default(),
            };
            Arc::new(keeper) as Arc<dyn TokenKeeper>
        })
    }
}

fn without_auth(server: &ToolServer) -> Error {
    Error::upstream(format!(
        "tool server `{}` has no token or headers any more, since its address changed; give it new ones",
        server.name
    ))
    .with_reason(ErrorReason::KeyRefused)
}

/// Keeps the tokens of one user at one server, sealed for the server's origin: at another one
/// they open no more.
///
/// It has no engine: the client of tool servers keeps it, and the engine that client.
struct GrantKeeper {
    store: Arc<dyn ToolServerStore>,
    keys: Option<Sealer>,
    sources: ClockAndIds,
    scope: Scope,
    server: ToolServerId,
    url: String,
}

#[async_trait]
impl TokenKeeper for GrantKeeper {
    async fn load(&self, issuer: &str) -> Result<Option<Secret>> {
        let grants = self.store.grants(&self.scope, self.server).await?;
        let Some(grant) = grants.into_iter().find(|grant| grant.issuer == issuer) else { return Ok(None) };
        let keys = self.keys.as_ref().ok_or_else(no_keys)?;
        let origin = origin(Some(&self.url));
        match keys.open(&grant.sealed, &grant_binding(&self.scope, grant.id, &origin)).await {
            Ok(tokens) => Ok(Some(tokens)),
            // Sealed for another server, or with a key that is gone: the user signs in again.
            Err(error) if error.reason() == Some(ErrorReason::KeyUnavailable) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn save(&self, issuer: &str, tokens: Option<Secret>) -> Result<()> {
        let Some(tokens) = tokens else {
            return self.store.delete_grants(&self.scope, self.server, Some(issuer)).await;
        };
        let keys = self.keys.as_ref().ok_or_else(no_keys)?;
        let (id, origin) = (self.sources.id(), origin(Some(&self.url)));
        let sealed = keys.seal(&tokens, &grant_binding(&self.scope, id, &origin)).await?;
        let grant = ToolGrant {
            id,
            server_id: self.server,
            issuer: issuer.to_owned(),
            url: self.url.clone(),
            sealed,
            updated_at: self.sources.now(),
        };
        self.store.put_grant(&self.scope, &grant).await
    }
}
