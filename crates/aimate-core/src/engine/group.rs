//! Managing the groups of a tenant.

use super::Engine;
use crate::audit::{AuditEvent, action};
use crate::error::Result;
use crate::group::{Group, GroupChange, GroupMember, NewGroup};
use crate::id::{GroupId, UserId};
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

/// The groups of a scope; see [`Engine::groups`].
#[derive(Clone, Debug)]
pub struct Groups {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The groups of `scope`'s tenant: all of them for an admin, who manages them, and for
    /// others those that they are in.
    pub fn groups(&self, scope: &Scope) -> Groups {
        Groups { engine: self.clone(), scope: *scope }
    }
}

impl Groups {
    /// Stores a new group without anybody in it.
    ///
    /// # Errors
    /// `Forbidden` unless to an admin; `Invalid`, naming the field; `Conflict` if the name
    /// is taken.
    pub async fn create(&self, new: NewGroup) -> Result<Group> {
        self.engine.admit_admin(&self.scope, "makes groups").await?;
        new.check()?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let group = Group {
            id: inner.sources.id(),
            name: new.name,
            description: new.description,
            member_count: 0,
            created_at: now,
            updated_at: now,
        };
        inner.stores.groups.create(&self.scope, &group).await?;
        Ok(group)
    }

    /// One group.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: GroupId) -> Result<Group> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.groups.get(&self.scope, id).await
    }

    /// The groups, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, page: PageRequest) -> Result<Page<Group>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.groups.list(&self.scope, page).await
    }

    /// Changes a group.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` unless to an admin; `Invalid`; `Conflict` if the name is taken.
    pub async fn update(&self, id: GroupId, change: GroupChange) -> Result<Group> {
        self.engine.admit(&self.scope).await?;
        change.check()?;
        let inner = &self.engine.inner;
        inner.stores.groups.update(&self.scope, id, &change, inner.sources.now()).await
    }

    /// Deletes a group: who was in a workspace only by it is in it no more.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` unless to an admin.
    pub async fn delete(&self, id: GroupId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.groups.delete(&self.scope, id).await?;
        self.changed(id, "deleted", true).await;
        Ok(())
    }

    /// Who is in a group, by their id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn members(&self, id: GroupId, page: PageRequest) -> Result<Page<GroupMember>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.groups.members(&self.scope, id, page).await
    }

    /// Puts a user into a group: from the next call on they may do what it may.
    ///
    /// # Errors
    /// `NotFound` if there is no such group or user; `Forbidden` unless to an admin.
    pub async fn add_member(&self, id: GroupId, user: UserId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        inner.stores.groups.add_member(&self.scope, id, user, inner.sources.now()).await?;
        self.changed(id, "added", user.to_string()).await;
        Ok(())
    }

    /// Takes a user out of a group: from the next call on they may not do any more what
    /// only it let them.
    ///
    /// # Errors
    /// `NotFound` if they are not in it; `Forbidden` unless to an admin.
    pub async fn remove_member(&self, id: GroupId, user: UserId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.groups.remove_member(&self.scope, id, user).await?;
        self.changed(id, "removed", user.to_string()).await;
        Ok(())
    }

    /// Records a change of who is in a group, by which they see other connections.
    async fn changed(&self, id: GroupId, what: &str, value: impl Into<serde_json::Value>) {
        self.engine.inner.catalogs.forget(self.scope.tenant);
        self.engine.inner.tool_catalogs.forget(self.scope.tenant);
        let event = AuditEvent::new(action::GROUP_CHANGED).target("group", id).detail(what, value);
        self.engine.audit_of(&self.scope, event).await;
    }
}
