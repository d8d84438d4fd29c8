//! The users of a tenant, for its admins.

use super::Engine;
use crate::audit::{AuditEvent, action};
use crate::error::{Error, Result};
use crate::id::UserId;
use crate::page::{Page, PageRequest};
use crate::scope::{Role, Scope};
use crate::user::{User, UserChange};

/// The users of a tenant; see [`Engine::users`].
#[derive(Clone, Debug)]
pub struct Users {
    pub(super) engine: Engine,
    pub(super) scope: Scope,
}

impl Engine {
    /// The users of `scope`'s tenant. An admin reads and changes all of them; others
    /// read themselves.
    pub fn users(&self, scope: &Scope) -> Users {
        Users { engine: self.clone(), scope: *scope }
    }
}

impl Users {
    /// The tenant's users by id: those that were made with an id come oldest first.
    ///
    /// # Errors
    /// `Forbidden` if the scope is no admin's.
    pub async fn list(&self, page: PageRequest) -> Result<Page<User>> {
        self.engine.admit_admin(&self.scope, "lists its users").await?;
        self.engine.inner.stores.users.list(&self.scope, page).await
    }

    /// One user; anybody may read themself.
    ///
    /// # Errors
    /// `Forbidden` for another user if the scope is no admin's; `NotFound`.
    pub async fn get(&self, id: UserId) -> Result<User> {
        self.engine.admit(&self.scope).await?;
        if id != self.scope.user && self.scope.role != Role::Admin {
            return Err(Error::forbidden("only an admin of the tenant reads other users"));
        }
        self.engine.inner.stores.users.get(&self.scope, id).await
    }

    /// Changes a user. One who is disabled is refused by every call from now on (in
    /// other processes within 5 s), and their running answers are cancelled.
    ///
    /// # Errors
    /// `Forbidden` if the scope is no admin's; `Invalid`; `NotFound`.
    pub async fn update(&self, id: UserId, change: UserChange) -> Result<User> {
        self.engine.admit_admin(&self.scope, "changes its users").await?;
        change.check()?;
        let inner = &self.engine.inner;
        let user = inner.stores.users.update(&self.scope, id, &change, inner.sources.now()).await?;
        inner.access.forget(self.scope.tenant, Some(id));
        if !user.is_active {
            self.engine.cancel_answers(self.scope.tenant, Some(id));
        }
        if let Some(role) = change.role {
            let event =
                AuditEvent::new(action::ROLE_CHANGED).target("user", id).detail("role", role.as_str());
            self.engine.audit_of(&self.scope, event).await;
        }
        if let Some(is_active) = change.is_active {
            let action = if is_active { action::USER_ENABLED } else { action::USER_DISABLED };
            self.engine.audit_of(&self.scope, AuditEvent::new(action).target("user", id)).await;
        }
        Ok(user)
    }
}
