//! Scopes out of the application's own names for its tenants and users.

use super::Engine;
use super::access::may_act;
use crate::error::Result;
use crate::id::{TenantId, UserId};
use crate::limit;
use crate::scope::{Role, Scope};
use crate::tenant::check_key;
use crate::user::{EnsuredUser, Standing};

/// A tenant and a user by the application's own names, on the way to a [`Scope`];
/// see [`Engine::scope`].
#[derive(Clone, Debug)]
#[must_use = "`ensure` makes the scope"]
pub struct ScopeBuilder {
    engine: Engine,
    ensured: EnsuredUser,
}

impl Engine {
    /// The scope of the user whom the application calls `user`, in the tenant that it
    /// calls `tenant`: keys of 1 to 255 bytes without control characters, taken as
    /// they are. [`ScopeBuilder::ensure`] makes both where they are not there.
    ///
    /// ```no_run
    /// # async fn example(engine: aimate_core::Engine) -> aimate_core::Result<()> {
    /// use aimate_core::{Role, chat::Turn};
    /// let ann = engine.scope("acme", "u-17").role(Role::Admin).name("Ann").ensure().await?;
    /// let answer = engine.chat(&ann, Turn::new("Hello")).await?;
    /// # Ok(()) }
    /// ```
    pub fn scope(&self, tenant: impl Into<String>, user: impl Into<String>) -> ScopeBuilder {
        let ensured =
            EnsuredUser { tenant_key: tenant.into(), user_key: user.into(), name: None, role: None };
        ScopeBuilder { engine: self.clone(), ensured }
    }
}

impl ScopeBuilder {
    /// Gives the user this role. Default: the one that is stored; of a new user
    /// [`Role::User`].
    pub fn role(mut self, role: Role) -> Self {
        self.ensured.role = Some(role);
        self
    }

    /// Gives the user this name, 1 to 200 characters. Default: the one that is stored;
    /// of a new user their key.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.ensured.name = Some(name.into());
        self
    }

    /// The scope, whose tenant and user are there from now on. It is meant for every
    /// request: for a user who was ensured within the last 5 s, as they are now, it asks
    /// nobody. A change by another process is seen within that time.
    ///
    /// # Errors
    /// `Invalid`, naming the key or the name that is wrong; `Forbidden` with
    /// [`ErrorReason::UserInactive`](crate::ErrorReason::UserInactive) if the user or
    /// the tenant is disabled; `Conflict` while one of them is being deleted; what the
    /// store says.
    pub async fn ensure(self) -> Result<Scope> {
        let (engine, ensured) = (&self.engine, &self.ensured);
        check_key("tenant", &ensured.tenant_key)?;
        check_key("user", &ensured.user_key)?;
        ensured.name.as_ref().map_or(Ok(()), |name| limit::name("name", name, limit::NAME))?;
        let tenant = TenantId::of_key(&ensured.tenant_key);
        let user = UserId::of_key(tenant, &ensured.user_key);
        let scope = Scope { tenant, user, role: ensured.role.unwrap_or_default() };
        let access = &engine.inner.access;
        let (now, moment) = (engine.inner.sources.now(), access.moment());
        let known =
            access.fresh(&scope, now, |standing| is_as_ensured(standing, ensured).then_some(standing.role));
        if let Some(role) = known.flatten() {
            return Ok(Scope { role, ..scope });
        }
        let users = &engine.inner.stores.users;
        let found = users.standing(&scope).await?;
        let standing = match found.filter(|found| is_as_ensured(found, ensured) && !found.is_being_deleted) {
            Some(standing) => standing,
            None => {
                let standing = users.ensure(&scope, ensured, now).await?;
                // What is kept of the user is as they were before. What they are now is
                // kept, unless somebody else changed something meanwhile.
                let after = access.forget(tenant, Some(user));
                let moment = if after == moment + 1 { after } else { moment };
                return Self::kept(engine, scope, moment, standing);
            }
        };
        Self::kept(engine, scope, moment, standing)
    }

    fn kept(engine: &Engine, scope: Scope, moment: u64, standing: Standing) -> Result<Scope> {
        let standing = may_act(Some(standing))?;
        let scope = Scope { role: standing.role, ..scope };
        engine.inner.access.keep(&scope, engine.inner.sources.now(), moment, standing);
        Ok(scope)
    }
}

/// Whether the user is as they are to be, so that nothing has to be stored.
fn is_as_ensured(standing: &Standing, ensured: &EnsuredUser) -> bool {
    ensured.role.is_none_or(|role| role == standing.role)
        && ensured.name.as_ref().is_none_or(|name| *name == standing.name)
}
