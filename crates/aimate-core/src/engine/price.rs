//! Managing what models cost.

use super::Engine;
use crate::audit::{AuditEvent, action};
use crate::error::Result;
use crate::id::PriceId;
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::price::{ModelPrice, NewPrice};
use crate::scope::Scope;

/// The prices that admins of a scope's tenant have set; see [`Engine::prices`].
#[derive(Clone, Debug)]
pub struct PriceTable {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The prices that admins of `scope`'s tenant have set. They count before what a
    /// model's server lists or says; what is set here holds in other processes within
    /// five seconds.
    pub fn prices(&self, scope: &Scope) -> PriceTable {
        PriceTable { engine: self.clone(), scope: *scope }
    }
}

impl PriceTable {
    /// Sets what a model costs from a moment on.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `Conflict` if there is a price of the model from this
    /// moment on; `Forbidden` unless to an admin.
    pub async fn create(&self, new: NewPrice) -> Result<ModelPrice> {
        self.engine.admit_admin(&self.scope, "sets prices").await?;
        new.check()?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let price = ModelPrice {
            id: inner.sources.id(),
            model: limit::without_nul(&new.model).into_owned(),
            prices: new.prices,
            valid_from: new.valid_from.unwrap_or(now),
            created_at: now,
        };
        let created = inner.stores.prices.create(&self.scope, &price).await;
        inner.catalogs.forget(self.scope.tenant);
        created?;
        let event = AuditEvent::new(action::PRICE_SET)
            .target("price", price.id)
            .detail("model", price.model.as_str())
            .detail("input", price.prices.input)
            .detail("output", price.prices.output)
            .detail("cached", price.prices.cached)
            .detail("valid_from", price.valid_from.to_string());
        self.engine.audit_of(&self.scope, event).await;
        Ok(price)
    }

    /// The prices that were set, oldest first, also those that are over or to come.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, page: PageRequest) -> Result<Page<ModelPrice>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.prices.list(&self.scope, page).await
    }

    /// Deletes a price: the one before it counts again, or what the server says. Calls
    /// that are over keep their cost.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` unless to an admin.
    pub async fn delete(&self, id: PriceId) -> Result<()> {
        self.engine.admit_admin(&self.scope, "sets prices").await?;
        let deleted = self.engine.inner.stores.prices.delete(&self.scope, id).await;
        self.engine.inner.catalogs.forget(self.scope.tenant);
        deleted?;
        let event = AuditEvent::new(action::PRICE_DELETED).target("price", id);
        self.engine.audit_of(&self.scope, event).await;
        Ok(())
    }
}
