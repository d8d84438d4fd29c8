//! Managing the budgets of a tenant.

use super::Engine;
use crate::audit::{AuditEvent, action};
use crate::budget::{Amount, Budget, BudgetLimits, BudgetSubject, NewBudget};
use crate::error::Result;
use crate::id::BudgetId;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

/// The budgets of a scope's tenant, for its admins; see [`Engine::budgets`].
#[derive(Clone, Debug)]
pub struct Budgets {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The budgets of `scope`'s tenant. What is set here holds in other processes within
    /// five seconds.
    ///
    /// ```no_run
    /// # async fn example(engine: aimate_core::Engine, admin: aimate_core::Scope) -> aimate_core::Result<()> {
    /// use aimate_core::budget::{BudgetLimits, BudgetSubject, NewBudget};
    /// let budget = NewBudget::monthly(BudgetSubject::User(admin.user), BudgetLimits::dollars(20.0));
    /// let budget = engine.budgets(&admin).create(budget).await?;
    /// println!("{} dollars are spent", budget.spent.cost.dollars());
    /// # Ok(()) }
    /// ```
    pub fn budgets(&self, scope: &Scope) -> Budgets {
        Budgets { engine: self.clone(), scope: *scope }
    }
}

impl Budgets {
    /// Makes a budget. What its subject has used in the period so far counts.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` for a user or a group that is not the tenant's;
    /// `Conflict` if the subject has one of this period; `Forbidden` unless to an admin.
    pub async fn create(&self, new: NewBudget) -> Result<Budget> {
        self.admit().await?;
        new.check()?;
        let inner = &self.engine.inner;
        match new.subject {
            BudgetSubject::User(user) => drop(inner.stores.users.get(&self.scope, user).await?),
            BudgetSubject::Group(group) => drop(inner.stores.groups.get(&self.scope, group).await?),
            _ => {}
        }
        // Calls that are over count, recorded or about to be.
        inner.usage_recorder.flush().await;
        let now = inner.sources.now();
        let budget = Budget {
            id: inner.sources.id(),
            subject: new.subject,
            period: new.period,
            limits: new.limits,
            begins_at: new.period.begin(now),
            spent: Amount::default(),
            reserved: Amount::default(),
            created_at: now,
            updated_at: now,
        };
        let created = inner.stores.budgets.create(&self.scope, &budget).await;
        inner.catalogs.forget(self.scope.tenant);
        let created = created?;
        self.audit_set(&created).await;
        Ok(created)
    }

    /// One budget, with what is spent and set aside now.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` unless to an admin.
    pub async fn get(&self, id: BudgetId) -> Result<Budget> {
        self.admit().await?;
        let inner = &self.engine.inner;
        inner.usage_recorder.flush().await;
        Ok(inner.stores.budgets.get(&self.scope, id).await?.at(inner.sources.now()))
    }

    /// The tenant's budgets, oldest first, with what is spent and set aside now.
    ///
    /// # Errors
    /// `Forbidden` unless to an admin; what the store says.
    pub async fn list(&self, page: PageRequest) -> Result<Page<Budget>> {
        self.admit().await?;
        let inner = &self.engine.inner;
        inner.usage_recorder.flush().await;
        let listed = inner.stores.budgets.list(&self.scope, page).await?;
        let now = inner.sources.now();
        let data = listed.data.into_iter().map(|budget| budget.at(now)).collect();
        Ok(Page { data, next: listed.next })
    }

    /// Sets what may be spent. Answers under way end where a lower limit says so.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound`; `Forbidden` unless to an admin.
    pub async fn update(&self, id: BudgetId, limits: BudgetLimits) -> Result<Budget> {
        self.admit().await?;
        limits.check()?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let updated = inner.stores.budgets.update(&self.scope, id, &limits, now).await?.at(now);
        self.audit_set(&updated).await;
        Ok(updated)
    }

    /// Deletes a budget: nothing limits its subject any more.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` unless to an admin.
    pub async fn delete(&self, id: BudgetId) -> Result<()> {
        self.admit().await?;
        let deleted = self.engine.inner.stores.budgets.delete(&self.scope, id).await;
        self.engine.inner.catalogs.forget(self.scope.tenant);
        deleted?;
        let event = AuditEvent::new(action::BUDGET_DELETED).target("budget", id);
        self.engine.audit_of(&self.scope, event).await;
        Ok(())
    }

    /// Records what a budget is for, and its limits.
    async fn audit_set(&self, budget: &Budget) {
        let BudgetLimits { max_cost, max_tokens } = budget.limits;
        let event = AuditEvent::new(action::BUDGET_SET)
            .target("budget", budget.id)
            .detail("subject", budget.subject.to_string())
            .detail("period", budget.period.as_str())
            .detail("max_cost", max_cost.map(|cost| cost.dollars()))
            .detail("max_tokens", max_tokens);
        self.engine.audit_of(&self.scope, event).await;
    }

    async fn admit(&self) -> Result<()> {
        self.engine.admit_admin(&self.scope, "sees and sets budgets").await
    }
}
