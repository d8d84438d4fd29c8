//! Managing a user's tool servers.

mod call;
mod catalog;
mod configured;
mod endpoint;
mod listing;
mod login;
mod offer;
mod offered_name;
mod policy;
mod turn_server;

use serde::Serialize;

use super::Engine;
use super::access::{may_change, owner};
use crate::audit::{AuditEvent, action};
use crate::connection::{check_name, origin};
use crate::error::{Error, ErrorReason, Result};
use crate::id::ToolServerId;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::tool::{
    ListedTool, NewToolServer, ToolAuthConfig, ToolServer, ToolServerChange, ToolServerStatus, checked_url,
    written_headers,
};
use crate::workspace::WorkspaceRole;

pub(super) use catalog::ToolCatalogs;
pub use configured::ToolServerConfig;
pub use login::ToolLogin;
pub use offer::UsableTool;

/// A tool server with what it lists.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ToolServerDetail {
    /// The server.
    #[serde(flatten)]
    pub server: ToolServer,
    /// The tools of its last good list, in its order.
    pub tools: Vec<ListedTool>,
    /// What was left out of that list and why, in sentences.
    pub problems: Vec<String>,
}

/// What a test of a tool server found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ToolServerTest {
    /// Whether the server answered with its tools.
    pub ok: bool,
    /// How long that took.
    pub latency_ms: u64,
    /// Its tools; if it failed, those of its last good list.
    pub tools: Vec<ListedTool>,
    /// What was left out of its list and why, in sentences.
    pub problems: Vec<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The tool servers of a scope; see [`Engine::tool_servers`].
#[derive(Clone, Debug)]
pub struct ToolServers {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The tool servers that `scope` sees.
    pub fn tool_servers(&self, scope: &Scope) -> ToolServers {
        ToolServers { engine: self.clone(), scope: *scope }
    }

    /// Refuses to change a tool server that is shared, unless to an admin, and one of a
    /// workspace, unless to its owners.
    async fn may_change_tool_server(&self, scope: &Scope, server: &ToolServer) -> Result<()> {
        may_change(scope, server.is_shared, "tool server")?;
        let Some(workspace) = server.workspace_id else { return Ok(()) };
        match self.inner.stores.workspaces.get(scope, workspace).await?.role {
            WorkspaceRole::Owner => Ok(()),
            _ => Err(Error::forbidden("the tool server is of a workspace; only owners of it change it")),
        }
    }
}

impl ToolServers {
    /// Stores a tool server of the user, of a workspace, or of all users of the tenant. Its
    /// tools are read when they are first asked for, or by [`ToolServers::test`]; what it lists
    /// then is approved.
    ///
    /// # Errors
    /// `Invalid`, `Conflict` if its owner has one of that name or too many, `Forbidden` if it is to
    /// be shared and the scope is no admin's, or to be of a workspace that the user is no owner of,
    /// `Unavailable` if it has a token or headers and no encryption key is configured.
    pub async fn create(&self, new: NewToolServer) -> Result<ToolServerDetail> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let new = new.validated()?;
        let now = inner.sources.now();
        owner(&self.scope, new.shared, "a tool server")?;
        let mut server = ToolServer {
            id: inner.sources.id(),
            name: new.name,
            url: Some(new.url),
            auth_type: new.auth_type,
            has_auth: false,
            sealed_auth: None,
            is_enabled: new.is_enabled,
            is_shared: new.shared,
            is_configured: false,
            workspace_id: new.workspace_id,
            status: ToolServerStatus::Unknown,
            error: None,
            server: None,
            tool_count: 0,
            tools_fetched_at: None,
            tools_expire_at: None,
            stale_since: None,
            created_at: now,
            updated_at: now,
        };
        self.set_auth(&mut server, new.auth_config.as_ref()).await?;
        inner.stores.tool_servers.create(&self.scope, &server).await?;
        inner.tool_catalogs.forget(self.scope.tenant);
        self.audit_tool_server(action::TOOL_SERVER_CREATED, &server).await;
        self.detail(server).await
    }

    /// One tool server.
    ///
    /// # Errors
    /// `NotFound` if the user sees none with this id.
    pub async fn get(&self, id: ToolServerId) -> Result<ToolServerDetail> {
        self.engine.admit(&self.scope).await?;
        let stored = self.engine.inner.stores.tool_servers.get(&self.scope, id).await?;
        self.detail(stored).await
    }

    /// The user's own tool servers, those of their workspaces and the shared ones, by name,
    /// without what they list.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, page: PageRequest) -> Result<Page<ToolServer>> {
        self.engine.admit(&self.scope).await?;
        // Reading the catalog stores configured servers that are new here.
        self.engine.tool_catalog(&self.scope).await?;
        let mut listed = self.engine.inner.stores.tool_servers.list(&self.scope, page).await?;
        for server in &mut listed.data {
            self.show(server).await;
        }
        Ok(listed)
    }

    /// Changes a tool server. A new origin drops what it is authorized with and all logins at
    /// it: neither ever goes to a server that it was not given for; and its tools have to be
    /// approved anew.
    ///
    /// # Errors
    /// `Invalid`, also for more than `is_enabled` of a server that the operator configured;
    /// `NotFound`, `Forbidden` if it is shared and the scope is no admin's, or a workspace's and the
    /// user is no owner there, `Conflict` if the name is taken or somebody changed it at the same time.
    pub async fn update(&self, id: ToolServerId, change: ToolServerChange) -> Result<ToolServerDetail> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let stored = inner.stores.tool_servers.get(&self.scope, id).await?;
        self.engine.may_change_tool_server(&self.scope, &stored).await?;
        check_change(&stored, &change)?;
        let mut next = ToolServer { updated_at: self.later_than(&stored), ..stored.clone() };
        if let Some(name) = change.name {
            check_name(&name)?;
            next.name = name;
        }
        if let Some(url) = change.url {
            next.url = Some(checked_url(&url)?);
        }
        next.is_enabled = change.is_enabled.unwrap_or(next.is_enabled);
        next.auth_type = change.auth_type.unwrap_or(next.auth_type);
        let moved = origin(stored.url.as_deref()) != origin(next.url.as_deref());
        let is_given = change.auth_config.is_some();
        let is_other = next.auth_type != stored.auth_type;
        if is_given || is_other {
            next.auth_type.check(change.auth_config.as_ref())?;
            self.set_auth(&mut next, change.auth_config.as_ref()).await?;
        } else if moved {
            self.set_none(&mut next);
        } else {
            self.renew_auth(&mut next).await;
        }
        if moved || is_given || is_other || next.url != stored.url {
            (next.status, next.error, next.stale_since) = (ToolServerStatus::Unknown, None, None);
        }
        if moved {
            next.tools_fetched_at = None;
        }
        inner.stores.tool_servers.update(&self.scope, &stored, &next).await?;
        inner.tool_catalogs.forget(self.scope.tenant);
        self.engine.forget_sessions(id).await;
        self.audit_tool_server(action::TOOL_SERVER_CHANGED, &next).await;
        let stored = inner.stores.tool_servers.get(&self.scope, id).await?;
        self.detail(stored).await
    }

    /// Deletes a tool server and all logins at it. A configured one comes back when the process
    /// starts again with it.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if it is shared and the scope is no admin's, or a workspace's
    /// and the user is no owner there.
    pub async fn delete(&self, id: ToolServerId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let store = &self.engine.inner.stores.tool_servers;
        let stored = store.get(&self.scope, id).await?;
        self.engine.may_change_tool_server(&self.scope, &stored).await?;
        store.delete(&self.scope, id).await?;
        self.engine.inner.tool_catalogs.forget(self.scope.tenant);
        self.engine.forget_sessions(id).await;
        self.audit_tool_server(action::TOOL_SERVER_DELETED, &stored).await;
        Ok(())
    }

    /// Connects to the server, asks it for its tools, keeps the list, and says how it went.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` if this process speaks to no tool servers. The result says
    /// whether the server failed.
    pub async fn test(&self, id: ToolServerId) -> Result<ToolServerTest> {
        self.engine.admit(&self.scope).await?;
        let stored = self.engine.inner.stores.tool_servers.get(&self.scope, id).await?;
        self.engine.tool_client()?;
        let begun = tokio::time::Instant::now();
        let outcome = self.engine.read_tools(&self.scope, &stored).await;
        let latency_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        let ToolServerDetail { tools, problems, .. } = self.get(id).await?;
        let error = outcome.err().map(|error| error.message().to_owned());
        Ok(ToolServerTest { ok: error.is_none(), latency_ms, tools, problems, error })
    }

    /// Records what was done to a tool server: where it leads and who has it, not what it is
    /// authorized with.
    async fn audit_tool_server(&self, action: &str, server: &ToolServer) {
        let event = AuditEvent::new(action)
            .target("tool_server", server.id)
            .detail("origin", origin(server.url.as_deref()))
            .detail("auth_type", server.auth_type.as_str())
            .detail("has_auth", server.has_auth)
            .detail("is_shared", server.is_shared);
        self.engine.audit_of(&self.scope, event).await;
    }

    /// A moment after the server's last change: what was read before it is old, whatever the
    /// clock's steps are.
    fn later_than(&self, stored: &ToolServer) -> crate::Timestamp {
        let after = stored.updated_at.plus(std::time::Duration::from_micros(1));
        self.engine.inner.sources.now().max(after)
    }

    async fn detail(&self, mut server: ToolServer) -> Result<ToolServerDetail> {
        self.show(&mut server).await;
        let tools = self.engine.inner.stores.tool_servers.tools(&self.scope, server.id).await?;
        let listed = self.engine.listed_tools(&server, &tools);
        Ok(ToolServerDetail { server, tools: listed, problems: tools.problems })
    }

    /// Makes the server what its user is shown: one whose authorization this process has no
    /// encryption key for needs it again.
    async fn show(&self, server: &mut ToolServer) {
        if let Some(configured) = self.engine.configured_tool_server(server) {
            server.has_auth = configured.has_auth();
        }
        let Some(sealed) = &server.sealed_auth else { return };
        let is_usable = match &self.engine.inner.keys {
            // Whether the provider has it is not known while it does not answer.
            Some(keys) => keys.key_ids().await.map_or(true, |ids| ids.contains(&sealed.key_id)),
            None => false,
        };
        if !is_usable {
            server.status = ToolServerStatus::NeedsAuth;
        }
    }

    fn set_none(&self, server: &mut ToolServer) {
        (server.has_auth, server.sealed_auth) = (false, None);
    }

    async fn set_auth(&self, server: &mut ToolServer, config: Option<&ToolAuthConfig>) -> Result<()> {
        self.set_none(server);
        let Some(headers) = server.auth_type.sent(config)? else { return Ok(()) };
        let keys = self.engine.inner.keys.as_ref().ok_or_else(no_keys)?;
        let origin = origin(server.url.as_deref());
        let binding = endpoint::auth_binding(&self.scope, server, &origin);
        let sealed = keys.seal(&written_headers(&headers)?, &binding).await?;
        (server.has_auth, server.sealed_auth) = (true, Some(sealed));
        Ok(())
    }

    /// Seals the authorization with the active encryption key if it is sealed with an older one,
    /// as the row is written anyway. What cannot be opened stays as it is.
    async fn renew_auth(&self, server: &mut ToolServer) {
        let (Some(keys), Some(sealed)) = (&self.engine.inner.keys, &server.sealed_auth) else { return };
        let is_active = |ids: &[u32]| ids.first() == Some(&sealed.key_id);
        if keys.key_ids().await.is_ok_and(|ids| is_active(&ids)) {
            return;
        }
        let origin = origin(server.url.as_deref());
        let binding = endpoint::auth_binding(&self.scope, server, &origin);
        let Ok(opened) = keys.open(sealed, &binding).await else { return };
        if let Ok(renewed) = keys.seal(&opened, &binding).await {
            server.sealed_auth = Some(renewed);
        }
    }
}

/// A configured server is the operator's: a tenant's admin switches it on and off.
fn check_change(stored: &ToolServer, change: &ToolServerChange) -> Result<()> {
    let is_theirs = change.name.is_some()
        || change.url.is_some()
        || change.auth_type.is_some()
        || change.auth_config.is_some();
    if stored.is_configured && is_theirs {
        return Err(Error::invalid(
            "the operator of this server configured the tool server; only `is_enabled` and policies of its tools change here",
        ));
    }
    Ok(())
}

fn no_keys() -> Error {
    Error::unavailable(
        "no encryption key is configured, so nothing that a tool server is authorized with can be kept",
    )
    .with_reason(ErrorReason::NoEncryptionKey)
}
