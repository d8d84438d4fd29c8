//! All tenants, for the operator.

use super::Engine;
use crate::audit::{AuditEvent, action};
use crate::error::Result;
use crate::id::TenantId;
use crate::page::{Page, PageRequest};
use crate::tenant::{Tenant, TenantChange};

/// All tenants; see [`Engine::tenants`].
#[derive(Clone, Debug)]
pub struct Tenants {
    pub(super) engine: Engine,
}

/// Names a tenant: a text is the application's own key for it, a [`TenantId`] its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantRef(pub(super) TenantId);

impl From<TenantId> for TenantRef {
    fn from(id: TenantId) -> Self {
        Self(id)
    }
}

impl From<&str> for TenantRef {
    fn from(key: &str) -> Self {
        Self(TenantId::of_key(key))
    }
}

impl From<&String> for TenantRef {
    fn from(key: &String) -> Self {
        Self(TenantId::of_key(key))
    }
}

impl Engine {
    /// All tenants. This is for the operator: it takes no scope, and whoever holds the
    /// engine may do everything with them.
    pub fn tenants(&self) -> Tenants {
        Tenants { engine: self.clone() }
    }
}

impl Tenants {
    /// The tenants, by id.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, page: PageRequest) -> Result<Page<Tenant>> {
        self.engine.inner.stores.tenants.list(page).await
    }

    /// One tenant, by its key or its id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, tenant: impl Into<TenantRef>) -> Result<Tenant> {
        self.engine.inner.stores.tenants.get(tenant.into().0).await
    }

    /// Changes a tenant. Users of one that is disabled are refused by every call from
    /// now on (in other processes within 5 s), and their running answers are cancelled.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`.
    pub async fn update(&self, tenant: impl Into<TenantRef>, change: TenantChange) -> Result<Tenant> {
        change.check()?;
        let (inner, TenantRef(id)) = (&self.engine.inner, tenant.into());
        let tenant = inner.stores.tenants.update(id, &change, inner.sources.now()).await?;
        inner.access.forget(id, None);
        if !tenant.is_active {
            self.engine.cancel_answers(id, None);
        }
        if let Some(is_active) = change.is_active {
            let action = if is_active { action::TENANT_ENABLED } else { action::TENANT_DISABLED };
            self.engine.record_audit(id, AuditEvent::new(action)).await;
        }
        Ok(tenant)
    }
}
