//! Deleting users and tenants: in the engine's own task, so that it goes on if who
//! asked for it goes away, and in that of another process if this one dies.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::Notify;

use super::Engine;
use super::tenant::{TenantRef, Tenants};
use super::user::Users;
use crate::audit::{AuditEvent, action};
use crate::clock::Timestamp;
use crate::deletion::{DeletedCounts, Deletion, DeletionStep, DeletionTarget};
use crate::error::{Error, Result};
use crate::id::UserId;
use crate::knowledge::{Blob, BlobEntry};
use crate::scope::Scope;

/// How often deletions of processes that died are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How soon one is looked at again that waits for something.
const AGAIN: Duration = Duration::from_millis(200);
/// Between two looks of somebody who waits for the end.
const POLL: Duration = Duration::from_millis(25);
/// How long the receipt of a deletion is kept.
pub(super) const KEEP_RECEIPTS: Duration = Duration::from_secs(3_600);
/// What another process removes at this moment is gone after this time.
const SETTLE: Duration = Duration::from_secs(2);
/// Blobs that are looked up at once.
const TOGETHER: usize = 1_000;
/// Steps of one deletion before it is the turn of the next.
const STEPS_AT_ONCE: usize = 50;

/// What of the engine serves deletions.
#[derive(Default)]
pub(super) struct DeletionServices {
    /// Fires when one was begun.
    begun: Notify,
}

/// The receipt of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Deleted {
    /// How many of each noun are gone.
    pub counts: DeletedCounts,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over.
    pub finished_at: Timestamp,
}

/// What [`Engine::sweep`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Swept {
    /// Deletions of users and tenants that were brought to their end.
    pub deletions: u64,
    /// Rows that nothing referred to, a sentence for each sort.
    pub orphans: Vec<String>,
    /// Files of documents' bytes that no document had.
    pub blobs: u64,
}

impl Users {
    /// Deletes a user and all they own: conversations, runs, collections with the bytes
    /// of their documents, connections, prompts and the rest. What they shared with the
    /// tenant stays, and so do their usage records, as the tenant's, which name nobody
    /// any more ([`DeletedCounts::anonymised_usage_records`]).
    ///
    /// From the beginning on the user is refused by every call and their running answers
    /// are cancelled. It goes in small steps, which keep nobody else waiting, and this
    /// waits for the last one. A caller who stops waiting does not stop it, nor does a
    /// crash: another process, or the next one, goes on. Called again it waits for the
    /// same end; for an hour after that it gives the same receipt.
    ///
    /// # Errors
    /// `Forbidden` if the scope is no admin's; `NotFound`; `Unavailable` if the engine
    /// ends before the deletion does.
    pub async fn delete(&self, id: UserId) -> Result<Deleted> {
        self.engine.admit_admin(&self.scope, "deletes its users").await?;
        let target = DeletionTarget { tenant: self.scope.tenant, user: Some(id) };
        self.engine.delete_and_wait(target, Some(self.scope)).await
    }
}

impl Tenants {
    /// Deletes a tenant with all its users and all that is theirs or shared, usage
    /// records included. Nothing of it is left but the receipt, for an hour. It goes as
    /// [`Users::delete`] does; then the key can be used for a new tenant.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` if the engine ends before the deletion does.
    pub async fn delete(&self, tenant: impl Into<TenantRef>) -> Result<Deleted> {
        let TenantRef(tenant) = tenant.into();
        self.engine.delete_and_wait(DeletionTarget { tenant, user: None }, None).await
    }

    /// Deletes a user of a tenant, as [`Users::delete`] does, without asking who wants it.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` if the engine ends before the deletion does.
    pub async fn delete_user(&self, tenant: impl Into<TenantRef>, user: UserId) -> Result<Deleted> {
        let TenantRef(tenant) = tenant.into();
        self.engine.delete_and_wait(DeletionTarget { tenant, user: Some(user) }, None).await
    }
}

impl Engine {
    /// Brings to their end what deletions of users and tenants left of their own
    /// process or of dead ones, and removes what nothing refers to: rows of the search
    /// index and bytes of documents, that a fault or a restored backup left. For the
    /// operator, now and then; nothing depends on it.
    ///
    /// # Errors
    /// What the stores say.
    pub async fn sweep(&self) -> Result<Swept> {
        let stores = &self.inner.stores;
        let mut swept = Swept::default();
        loop {
            let (finished, waiting) = self.continue_deletions().await?;
            swept.deletions += finished;
            if waiting == 0 {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        stores.deletions.clear(self.inner.sources.now().minus(KEEP_RECEIPTS)).await?;
        swept.orphans = stores.maintenance.orphans(true).await?;
        self.remove_bytes(true).await;
        let mut blobs = Vec::new();
        let mut entries = stores.blobs.list();
        while let Some(entry) = entries.try_next().await? {
            if let BlobEntry::Blob(blob) = entry {
                blobs.push(blob);
            }
        }
        let mut unneeded = self.unneeded(blobs).await?;
        if !unneeded.is_empty() {
            tokio::time::sleep(SETTLE).await;
            unneeded = self.unneeded(unneeded).await?;
        }
        for blob in &unneeded {
            // Somebody else may have removed it.
            if stores.blobs.get(blob).await.is_ok() {
                stores.blobs.delete(blob).await?;
                swept.blobs += 1;
            }
        }
        Ok(swept)
    }

    async fn unneeded(&self, blobs: Vec<Blob>) -> Result<Vec<Blob>> {
        let mut all = Vec::new();
        for some in blobs.chunks(TOGETHER) {
            all.extend(self.inner.stores.maintenance.unreferenced_blobs(some).await?);
        }
        Ok(all)
    }

    /// Deletes, for an admin or for the operator, who writes into the log what they do.
    async fn delete_and_wait(&self, target: DeletionTarget, admin: Option<Scope>) -> Result<Deleted> {
        self.accepting()?;
        let inner = &self.inner;
        let now = inner.sources.now();
        let mut deletion = inner.stores.deletions.begin(&target, inner.worker, now).await?;
        // Once, and as soon as it is sure to happen: whoever waits for it may go away.
        if let (Some(admin), Some(user), true) = (admin, target.user, deletion.started_at == now) {
            let event = AuditEvent::new(action::USER_DELETED).target("user", user);
            self.audit_of(&admin, event).await;
        }
        inner.access.forget(target.tenant, target.user);
        self.cancel_answers(target.tenant, target.user);
        inner.deletions.begun.notify_one();
        loop {
            if let Some(receipt) = receipt(&deletion) {
                inner.catalogs.forget(target.tenant);
                inner.tool_catalogs.forget(target.tenant);
                return Ok(receipt);
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = inner.stop.cancelled() => {
                    return Err(Error::unavailable(
                        "the engine ends; the deletion has begun, and the next process goes on with it",
                    ));
                }
            }
            let found = inner.stores.deletions.find(&target).await?;
            deletion = found.ok_or_else(|| Error::internal("the receipt of the deletion is gone"))?;
        }
    }

    /// Starts the task that deletes.
    pub(super) fn start_deleting(&self) {
        let engine = self.clone();
        let stop = self.inner.stop.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = engine.delete_as_begun() => {}
            }
        });
    }

    async fn delete_as_begun(&self) {
        loop {
            let wait = match self.continue_deletions().await {
                Ok((_, 0)) => LOOK_EVERY,
                Ok(_) => AGAIN,
                Err(error) => {
                    tracing::warn!(%error, cause = ?error, "deleting a user or tenant failed; trying again");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                () = self.inner.deletions.begun.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Goes on with the deletions of this process and of dead ones. Returns how many
    /// came to their end, and how many wait for something.
    async fn continue_deletions(&self) -> Result<(u64, u64)> {
        let inner = &self.inner;
        let (mut finished, mut waiting) = (0, 0);
        for target in inner.stores.deletions.take_over(inner.worker, inner.sources.now(), inner.lease).await?
        {
            match self.carry_out(&target).await {
                Ok(true) => finished += 1,
                Ok(false) => waiting += 1,
                // Another process has finished it.
                Err(error) if error.kind() == crate::ErrorKind::NotFound => {}
                // The others go on.
                Err(error) => {
                    tracing::warn!(%error, cause = ?error, "deleting a user or tenant failed; trying again");
                    waiting += 1;
                }
            }
        }
        Ok((finished, waiting))
    }

    /// Deletes until nothing is left, or something has to be waited for, or it is the
    /// turn of others; returns whether it is over.
    async fn carry_out(&self, target: &DeletionTarget) -> Result<bool> {
        let deletions = &self.inner.stores.deletions;
        let mut steps = 0;
        loop {
            match deletions.step(target, self.inner.sources.now()).await? {
                DeletionStep::Deleted => steps += 1,
                DeletionStep::Waiting => return Ok(false),
                DeletionStep::Empty => break,
            }
            if steps == STEPS_AT_ONCE {
                self.inner.deletions.begun.notify_one();
                return Ok(false);
            }
        }
        // Before it counts as over, its bytes are gone too.
        self.remove_bytes(true).await;
        let deletion = deletions.finish(target, self.inner.sources.now()).await?;
        // A key that is used again starts afresh.
        self.inner.access.forget(target.tenant, target.user);
        self.inner.catalogs.forget(target.tenant);
        self.inner.tool_catalogs.forget(target.tenant);
        Ok(deletion.finished_at.is_some())
    }
}

fn receipt(deletion: &Deletion) -> Option<Deleted> {
    let Deletion { counts, started_at, finished_at, .. } = *deletion;
    Some(Deleted { counts, started_at, finished_at: finished_at? })
}
