//! Workspaces: named groups of conversations, prompts, collections and connections, which
//! members share.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{GroupId, MemberId, UserId, WorkspaceId};
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::setters::setters;

/// A named group of conversations, prompts, collections and connections, which its members
/// share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The name, 1 to 200 characters.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What the asking user may do in it.
    pub role: WorkspaceRole,
    /// Whether it is put away; its conversations stay readable.
    pub is_archived: bool,
    /// Free for the application.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// How many conversations it has.
    pub conversation_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a member may do in a workspace; each may do what those before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceRole {
    /// Reads what belongs to it.
    Viewer,
    /// Also adds to it and changes what belongs to it.
    Editor,
    /// Also manages the workspace and its members.
    Owner,
}

crate::text::names! {
    WorkspaceRole { Viewer = "viewer", Editor = "editor", Owner = "owner" }
}

/// What a member of a workspace is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    /// One user.
    #[default]
    User,
    /// All who are in a group.
    Group,
}

crate::text::names! {
    MemberKind { User = "user", Group = "group" }
}

/// Who is in a workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkspaceMember {
    /// The id of the user or group.
    pub id: MemberId,
    /// Which of them it is.
    pub kind: MemberKind,
    /// What it is called.
    pub name: String,
    /// What they may do. Who is a member in several ways may do the most of it.
    pub role: WorkspaceRole,
    /// Since when.
    pub created_at: Timestamp,
}

/// Who is to be in a workspace, and in which role.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewWorkspaceMember {
    /// The id of the user or group.
    pub id: MemberId,
    /// Which of them it is; default `user`.
    #[serde(default)]
    pub kind: MemberKind,
    /// What they may do.
    pub role: WorkspaceRole,
}

impl NewWorkspaceMember {
    /// This user.
    pub fn user(id: UserId, role: WorkspaceRole) -> Self {
        Self { id: id.into(), kind: MemberKind::User, role }
    }

    /// All who are in this group.
    pub fn group(id: GroupId, role: WorkspaceRole) -> Self {
        Self { id: id.into(), kind: MemberKind::Group, role }
    }
}

/// Parameters for creating a workspace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewWorkspace {
    /// The name, 1 to 200 characters.
    pub name: String,
    /// What it is for, at most 10,000 characters.
    #[serde(default)]
    pub description: String,
    /// Free for the application, at most 64 KiB as JSON.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
}

impl NewWorkspace {
    /// A workspace of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), description: String::new(), metadata: Map::new() }
    }

    setters! {
        /// With this description.
        plain description: String;
        /// With this metadata.
        plain metadata: Map<String, Value>;
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        limit::name("name", &self.name, limit::NAME)?;
        limit::text("description", &self.description, limit::DESCRIPTION)?;
        limit::metadata("metadata", &self.metadata)
    }
}

/// What to change about a workspace; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkspaceChange {
    /// The name, 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it is put away.
    pub is_archived: Option<bool>,
    /// All metadata, replaced as a whole.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
}

impl WorkspaceChange {
    /// A change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// To this name.
        optional name: String;
        /// To this description.
        optional description: String;
        /// Put away, or not.
        optional is_archived: bool;
        /// To this metadata.
        optional metadata: Map<String, Value>;
    }

    /// Checks the limits of every field that is given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.name.as_ref().map_or(Ok(()), |name| limit::name("name", name, limit::NAME))?;
        self.description
            .as_ref()
            .map_or(Ok(()), |text| limit::text("description", text, limit::DESCRIPTION))?;
        self.metadata.as_ref().map_or(Ok(()), |map| limit::metadata("metadata", map))
    }
}

/// What all of a tenant use is not a workspace's.
pub(crate) fn check_owner(shared: bool, workspace: Option<WorkspaceId>) -> Result<()> {
    if shared && workspace.is_some() {
        return Err(Error::field("shared", "is for all of the tenant; a workspace is for its members"));
    }
    Ok(())
}

/// Where workspaces are kept. Every method sees those that the scope's user is a
/// member of; what takes a higher role than theirs is `Forbidden`.
#[async_trait]
pub trait WorkspaceStore: Send + Sync {
    /// Stores a new workspace, whose owner is the scope's user. `Conflict` if the id is
    /// taken.
    async fn create(&self, scope: &Scope, workspace: &Workspace) -> Result<()>;
    /// The workspace with this id.
    async fn get(&self, scope: &Scope, id: WorkspaceId) -> Result<Workspace>;
    /// The user's workspaces, newest first.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Workspace>>;
    /// Applies `change` and sets `updated_at` to `now`; for its owners.
    async fn update(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        change: &WorkspaceChange,
        now: Timestamp,
    ) -> Result<Workspace>;
    /// Deletes the workspace with its prompts and connections; its conversations and
    /// collections stay, without a workspace, those of who made them. For its owners.
    async fn delete(&self, scope: &Scope, id: WorkspaceId) -> Result<()>;

    /// Who is in the workspace, by their id.
    async fn members(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<WorkspaceMember>>;
    /// Makes a user of the tenant, or a group that the scope sees, a member, or gives a
    /// member another role; for owners. What each user may do changes in the same commit,
    /// which also asks the answers to stop whose askers may not write there any more.
    /// `NotFound` if there is no such user or group; `Conflict` if the workspace would
    /// have no user as an owner any more: a group may be empty.
    async fn put_member(
        &self,
        scope: &Scope,
        id: WorkspaceId,
        member: &NewWorkspaceMember,
        now: Timestamp,
    ) -> Result<WorkspaceMember>;
    /// Takes a user or group out of the workspace, as [`WorkspaceStore::put_member`] does;
    /// for owners, and for each user themselves. What they made in it stays in it.
    /// `NotFound` if they are no member by themselves.
    async fn remove_member(&self, scope: &Scope, id: WorkspaceId, member: MemberId) -> Result<()>;
}
