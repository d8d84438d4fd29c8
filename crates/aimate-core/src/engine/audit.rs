//! The audit log: who may read it, and who writes into it.

use super::Engine;
use super::tenant::{TenantRef, Tenants};
use crate::audit::{
    AuditEvent, AuditFault, AuditFilter, AuditHead, AuditOrigin, AuditRecord, AuditReport, NewAuditRecord,
};
use crate::error::{ErrorKind, Result};
use crate::id::{TenantId, UserId};
use crate::metrics;
use crate::page::{Page, PageRequest};
use crate::scope::{Role, Scope};

/// Records that are verified at a time.
const TOGETHER: u32 = 1_000;

impl Engine {
    /// The audit log of `scope`'s tenant, newest first: what happened that matters for
    /// its security. Admins alone read it.
    ///
    /// # Errors
    /// `Forbidden` if the scope is no admin's; `Invalid` for a period that is none.
    pub async fn audit(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditRecord>> {
        self.admit_admin(scope, "reads the audit log").await?;
        self.inner.stores.audit.list(scope, filter, page).await
    }

    /// Records what an application or its login saw, in a tenant's audit log. For who
    /// holds the engine: no user's call may reach it unchecked.
    ///
    /// What has happened cannot be undone because it could not be written down: where
    /// the store fails, the event goes to the process's log as an error, and is counted
    /// (`aimate_audit_failures_total`).
    pub async fn record_audit(&self, tenant: impl Into<TenantRef>, event: AuditEvent) {
        let TenantRef(tenant) = tenant.into();
        let told = event.clone();
        if let Err(error) = self.append_audit(tenant, event).await {
            if error.kind() == ErrorKind::NotFound {
                // The tenant is gone, with its log.
                return;
            }
            metrics::audit_failed();
            tracing::error!(%error, cause = ?error, %tenant, event = ?told, "an audit event could not be stored");
        }
    }

    async fn append_audit(&self, tenant: TenantId, mut event: AuditEvent) -> Result<AuditHead> {
        AuditOrigin::add_to(&mut event.detail);
        event.check()?;
        let record = NewAuditRecord::of(event, self.inner.sources.now())?;
        self.inner.stores.audit.append(&whole(tenant), &record).await
    }

    /// Records what the user of `scope` did.
    pub(super) async fn audit_of(&self, scope: &Scope, event: AuditEvent) {
        self.record_audit(scope.tenant, event.actor(scope.user)).await;
    }
}

impl Tenants {
    /// Looks whether the audit log of a tenant is the one that was written. With a
    /// `noted` head of an earlier time it also tells whether the log was cut off, or
    /// written anew, since.
    ///
    /// # Errors
    /// What the store says; a broken log is no error but the report's
    /// [`AuditReport::fault`].
    pub async fn verify_audit(
        &self,
        tenant: impl Into<TenantRef>,
        noted: Option<AuditHead>,
    ) -> Result<AuditReport> {
        let TenantRef(tenant) = tenant.into();
        let audit = &self.engine.inner.stores.audit;
        let mut report = AuditReport::begin();
        loop {
            let records = audit.read(&whole(tenant), report.head.sequence, TOGETHER).await?;
            let count = records.len();
            for stored in &records {
                if !report.look_at(tenant, stored) {
                    return Ok(report);
                }
                if noted.is_some_and(|noted| noted.sequence == stored.sequence && noted.hash != stored.hash) {
                    report.fault = Some(AuditFault::Changed(stored.sequence));
                    return Ok(report);
                }
            }
            if count < TOGETHER as usize {
                break;
            }
        }
        if noted.is_some_and(|noted| noted.sequence > report.head.sequence) {
            report.fault = Some(AuditFault::Missing(report.head.sequence + 1));
        }
        Ok(report)
    }
}

/// Whoever reads or writes the log of a tenant: it is not a user's.
fn whole(tenant: TenantId) -> Scope {
    Scope { tenant, user: UserId::SHARED, role: Role::Admin }
}
