//! Where tool servers are kept.

use async_trait::async_trait;
use uuid::Uuid;

use super::Tool;
use super::client::ServerInfo;
use super::pin::{ServerTools, ToolPins};
use super::server::{ToolServer, ToolServerStatus};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::ToolServerId;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::sealing::Sealed;

/// What a contact with a tool server showed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolObservation {
    /// Its tools; `Err` says how it failed.
    pub outcome: std::result::Result<ObservedTools, (ToolServerStatus, String)>,
    /// When.
    pub now: Timestamp,
}

/// The tools that a server listed.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObservedTools {
    /// What the server says of itself.
    pub server: ServerInfo,
    /// Its tools, in its order.
    pub tools: Vec<Tool>,
    /// What was left out and why.
    pub problems: Vec<String>,
    /// When they are to be read again.
    pub expire_at: Timestamp,
    /// What is approved if this is the first list of the server: whoever adds a server approves
    /// what it lists then.
    pub first_pins: ToolPins,
}

/// What a user's login at a tool server gave them, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolGrant {
    /// Its id.
    pub id: Uuid,
    /// The server that it is for.
    pub server_id: ToolServerId,
    /// Who gave it: the issuer at which the user signed in.
    pub issuer: String,
    /// The address that it was given for.
    pub url: String,
    /// The tokens, sealed.
    pub sealed: Sealed,
    /// When it was last renewed.
    pub updated_at: Timestamp,
}

/// Where tool servers are kept, what they list, and the logins of users at them. A user sees
/// their own servers, the tenant's shared ones, and those of the workspaces that they are an
/// editor or owner of; they change their own and those of workspaces that they own; an admin
/// the shared ones too. What the scope may not see or not change is `NotFound`; to who sees it
/// in a workspace, a change is `Forbidden`.
#[async_trait]
pub trait ToolServerStore: Send + Sync {
    /// Stores a new server, of the user, of a workspace or (`is_shared`) of the tenant, without
    /// any tools. `Conflict` if the id or, among the same owner's, the name is taken, or if the
    /// user made, or the tenant shares, [`MAX_TOOL_SERVERS`](super::MAX_TOOL_SERVERS) already;
    /// `NotFound` if the user is not in the workspace, `Forbidden` if they are no owner there.
    async fn create(&self, scope: &Scope, server: &ToolServer) -> Result<()>;
    /// The server with this id.
    async fn get(&self, scope: &Scope, id: ToolServerId) -> Result<ToolServer>;
    /// What the user sees, by name and then id; the cursor is the id alone.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<ToolServer>>;
    /// Replaces the settings of a server with those of `server` if its `updated_at` is still that
    /// of `read`, the same server as it was read. Sealed authorization that is the same in both
    /// leaves the stored one as it is: it may have been resealed meanwhile. A status `Unknown`
    /// forgets how the last contact went; without `tools_fetched_at`, its tools, what was approved
    /// of them and all logins at it are forgotten too; else what contacts showed stays as it is.
    /// `NotFound` if absent, `Conflict` if it changed since or the name is taken.
    async fn update(&self, scope: &Scope, read: &ToolServer, server: &ToolServer) -> Result<()>;
    /// Deletes the server with its tools and all logins at it.
    async fn delete(&self, scope: &Scope, id: ToolServerId) -> Result<()>;
    /// What the server lists, and what of it was approved.
    async fn tools(&self, scope: &Scope, id: ToolServerId) -> Result<ServerTools>;
    /// Notes what a contact with the server showed, for whoever sees it, if its settings are still
    /// those of `read`; a failure keeps the last good list. `NotFound` if absent, `Conflict` if
    /// the settings changed since.
    async fn observe(&self, scope: &Scope, read: &ToolServer, seen: &ToolObservation) -> Result<()>;
    /// Replaces what was approved, if nothing changed since `read`. `NotFound` if absent,
    /// `Forbidden` as for a change of settings, `Conflict` if the tools or what was approved
    /// changed since.
    async fn pin(&self, scope: &Scope, id: ToolServerId, read: &ServerTools, pins: &ToolPins) -> Result<()>;
    /// The user's own logins at a server, by issuer.
    async fn grants(&self, scope: &Scope, server: ToolServerId) -> Result<Vec<ToolGrant>>;
    /// Keeps a login of the user at a server that they see, in place of what the issuer gave before.
    /// `NotFound` if there is no such server.
    async fn put_grant(&self, scope: &Scope, grant: &ToolGrant) -> Result<()>;
    /// Forgets a login of the user, or (without an issuer) all of theirs at the server. Nothing
    /// happens if there is none.
    async fn delete_grants(&self, scope: &Scope, server: ToolServerId, issuer: Option<&str>) -> Result<()>;
}
