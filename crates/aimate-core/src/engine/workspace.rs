//! Managing a user's workspaces.

use super::Engine;
use crate::audit::{AuditEvent, action};
use crate::error::Result;
use crate::id::{MemberId, WorkspaceId};
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::workspace::{
    NewWorkspace, NewWorkspaceMember, Workspace, WorkspaceChange, WorkspaceMember, WorkspaceRole,
};

/// The workspaces of a scope; see [`Engine::workspaces`].
#[derive(Clone, Debug)]
pub struct Workspaces {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The workspaces that `scope`'s user is a member of.
    pub fn workspaces(&self, scope: &Scope) -> Workspaces {
        Workspaces { engine: self.clone(), scope: *scope }
    }
}

impl Workspaces {
    /// Stores a new workspace.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub async fn create(&self, new: NewWorkspace) -> Result<Workspace> {
        self.engine.admit(&self.scope).await?;
        new.check()?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let workspace = Workspace {
            id: inner.sources.id(),
            name: new.name,
            description: new.description,
            role: WorkspaceRole::Owner,
            is_archived: false,
            metadata: new.metadata,
            conversation_count: 0,
            created_at: now,
            updated_at: now,
        };
        inner.stores.workspaces.create(&self.scope, &workspace).await?;
        Ok(workspace)
    }

    /// One workspace.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: WorkspaceId) -> Result<Workspace> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.workspaces.get(&self.scope, id).await
    }

    /// The user's workspaces, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, page: PageRequest) -> Result<Page<Workspace>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.workspaces.list(&self.scope, page).await
    }

    /// Changes a workspace.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`; `Forbidden` unless to its owners.
    pub async fn update(&self, id: WorkspaceId, change: WorkspaceChange) -> Result<Workspace> {
        self.engine.admit(&self.scope).await?;
        change.check()?;
        let inner = &self.engine.inner;
        inner.stores.workspaces.update(&self.scope, id, &change, inner.sources.now()).await
    }

    /// Deletes a workspace with its prompts and connections; its conversations and
    /// collections stay those of who made them.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` unless to its owners.
    pub async fn delete(&self, id: WorkspaceId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.workspaces.delete(&self.scope, id).await?;
        self.engine.inner.catalogs.forget(self.scope.tenant);
        self.engine.inner.tool_catalogs.forget(self.scope.tenant);
        let event = AuditEvent::new(action::WORKSPACE_DELETED).target("workspace", id);
        self.engine.audit_of(&self.scope, event).await;
        Ok(())
    }

    /// Who is in a workspace, by their id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn members(&self, id: WorkspaceId, page: PageRequest) -> Result<Page<WorkspaceMember>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.workspaces.members(&self.scope, id, page).await
    }

    /// Lets a user or a group into a workspace, or gives them another role. From their next
    /// call on they may do what it lets them.
    ///
    /// # Errors
    /// `NotFound` if there is no such workspace, user or group; `Forbidden` unless to an
    /// owner; `Conflict` if no user would be an owner any more.
    pub async fn put_member(&self, id: WorkspaceId, member: NewWorkspaceMember) -> Result<WorkspaceMember> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        let stored =
            inner.stores.workspaces.put_member(&self.scope, id, &member, inner.sources.now()).await?;
        inner.catalogs.forget(self.scope.tenant);
        inner.tool_catalogs.forget(self.scope.tenant);
        let event = AuditEvent::new(action::MEMBER_SET).target("workspace", id);
        let event = event.detail(member.kind.as_str(), member.id.to_string());
        self.engine.audit_of(&self.scope, event.detail("role", member.role.as_str())).await;
        Ok(stored)
    }

    /// Takes a user or a group out of a workspace: an owner anybody, everybody themselves.
    /// From their next call on they see nothing of it, but by another way into it.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`; `Conflict` if no user would be an owner any more.
    pub async fn remove_member(&self, id: WorkspaceId, member: MemberId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.workspaces.remove_member(&self.scope, id, member).await?;
        self.engine.inner.catalogs.forget(self.scope.tenant);
        self.engine.inner.tool_catalogs.forget(self.scope.tenant);
        let event = AuditEvent::new(action::MEMBER_REMOVED).target("workspace", id);
        self.engine.audit_of(&self.scope, event.detail("member", member.to_string())).await;
        Ok(())
    }
}
