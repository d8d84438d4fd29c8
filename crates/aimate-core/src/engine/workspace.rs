//! Managing a user's workspaces.

use super::Engine;
use crate::error::Result;
use crate::id::WorkspaceId;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::workspace::{NewWorkspace, Workspace, WorkspaceChange, WorkspaceRole};

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

    /// Deletes a workspace and its prompts; its conversations stay those of who made them.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` unless to its owners.
    pub async fn delete(&self, id: WorkspaceId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.workspaces.delete(&self.scope, id).await
    }
}
