//! Reports of what calls used and cost.

use super::Engine;
use crate::error::Result;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::usage::{ListedUsage, UsageFilter, UsageSum};

impl Engine {
    /// What calls used and cost, in sums: of a user their own, of an admin the
    /// tenant's. Ordered by what the rows are grouped by; at most 10,000.
    ///
    /// # Errors
    /// `Invalid` for a period that is none, or a tenant; what the store says.
    pub async fn usage(&self, scope: &Scope, filter: &UsageFilter) -> Result<Vec<UsageSum>> {
        self.admit(scope).await?;
        let filter = filter.checked_for(scope)?;
        self.inner.usage_recorder.flush().await;
        Ok(ordered(self.inner.stores.usage.summarize(scope, &filter).await?, &filter))
    }

    /// The calls themselves, newest first: what a bill is made of. A user sees their
    /// own, an admin the tenant's.
    ///
    /// # Errors
    /// As for [`Engine::usage`].
    pub async fn usage_records(
        &self,
        scope: &Scope,
        filter: &UsageFilter,
        page: PageRequest,
    ) -> Result<Page<ListedUsage>> {
        self.admit(scope).await?;
        let filter = filter.checked_for(scope)?;
        self.inner.usage_recorder.flush().await;
        self.inner.stores.usage.records(scope, &filter, page).await
    }

    /// What calls of all tenants used and cost, in sums, or of the one that the filter
    /// names. For the operator of the engine: it takes no scope, so no user's call may
    /// reach it. At most 10,000 rows.
    ///
    /// # Errors
    /// `Invalid` for a period that is none; what the store says.
    pub async fn usage_of_all(&self, filter: &UsageFilter) -> Result<Vec<UsageSum>> {
        let filter = filter.checked()?;
        self.inner.usage_recorder.flush().await;
        Ok(ordered(self.inner.stores.usage.summarize_all(&filter).await?, &filter))
    }
}

/// The rows by their groups, as the filter names them.
fn ordered(mut sums: Vec<UsageSum>, filter: &UsageFilter) -> Vec<UsageSum> {
    sums.sort_by_cached_key(|sum| filter.group_by.iter().map(|group| sum.of(*group)).collect::<Vec<_>>());
    sums
}
