//! Deletions of a user or of a whole tenant: in steps, so that nobody else waits,
//! and on from where a crash left them.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{TenantId, UserId, WorkerId};

/// What is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeletionTarget {
    /// The tenant.
    pub tenant: TenantId,
    /// The user of it; `None` is all of the tenant.
    pub user: Option<UserId>,
}

/// How many of each noun were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct DeletedCounts {
    /// Users.
    pub users: u64,
    /// Logins.
    pub logins: u64,
    /// Sessions.
    pub sessions: u64,
    /// API tokens.
    pub api_tokens: u64,
    /// Invites that they made.
    pub invites: u64,
    /// Workspaces.
    pub workspaces: u64,
    /// Groups: those of a tenant.
    pub groups: u64,
    /// Prompts.
    pub prompts: u64,
    /// Conversations.
    pub conversations: u64,
    /// Links by which conversations were shared.
    pub shares: u64,
    /// Messages.
    pub messages: u64,
    /// Runs.
    pub runs: u64,
    /// Runs in conversations that stay, because a workspace with another owner has them:
    /// of who has the conversation from now on.
    pub handed_over_runs: u64,
    /// Pieces of the event logs of runs.
    pub run_events: u64,
    /// Pieces of results of tools that were kept whole.
    pub tool_outputs: u64,
    /// Uploaded files.
    pub files: u64,
    /// Uploads of files in parts.
    pub uploads: u64,
    /// Uploaded files that are attached to collections that stay, because a workspace with another owner
    /// has them: of who has the collection from now on.
    pub handed_over_files: u64,
    /// Connections, with their sealed keys.
    pub connections: u64,
    /// Models of those connections.
    pub models: u64,
    /// Tool servers, with what they are authorized with.
    pub tool_servers: u64,
    /// Logins at tool servers.
    pub tool_grants: u64,
    /// Collections.
    pub collections: u64,
    /// Documents.
    pub documents: u64,
    /// Chunks of documents.
    pub chunks: u64,
    /// Vectors of chunks.
    pub vectors: u64,
    /// Parts of the search index.
    pub segments: u64,
    /// Blocks of those parts.
    pub segment_blocks: u64,
    /// Parts of the index of conversations.
    pub message_segments: u64,
    /// Work that waited on that index.
    pub message_index_jobs: u64,
    /// Usage records that are gone: those of a tenant.
    pub usage_records: u64,
    /// Usage records that stay in the tenant's accounts and name nobody any more:
    /// those of a user.
    pub anonymised_usage_records: u64,
    /// Records of the audit log that are gone: those of a tenant.
    pub audit_records: u64,
    /// Records of the tenant's audit log that stay, without what they knew of a user.
    pub redacted_audit_records: u64,
    /// Bytes of the documents and files.
    pub bytes: u64,
}

/// A deletion that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// What is deleted.
    pub target: DeletionTarget,
    /// What is gone so far. Rows that came while it was deleted go with their owner
    /// and are not counted.
    pub counts: DeletedCounts,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over; `None` while it is not.
    pub finished_at: Option<Timestamp>,
}

/// How far a step of a deletion has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionStep {
    /// Running answers of those who go have not ended yet; nothing was deleted.
    Waiting,
    /// Something was deleted; there may be more.
    Deleted,
    /// No row was left but the mark.
    Empty,
}

/// Deletes users and tenants. It serves the engine, which asks who may: no user's
/// call reaches it.
///
/// A deletion is a row: the mark that keeps new work away, how much is gone, and at
/// last the receipt. Each step deletes some hundred rows and adds their number in the
/// same commit, so a step may be done by any process, and again. What is shared in a
/// tenant goes with the tenant alone.
#[async_trait]
pub trait DeletionStore: Send + Sync {
    /// Marks the target and asks the runs of those who go to stop, in one commit: from
    /// then on [`UserStore::standing`](crate::user::UserStore::standing) says so, and
    /// nobody can be made in their place. One that has begun goes on as it is; of one
    /// that is over, and whose target is not there again, the receipt is left as it
    /// is. Returns it. `NotFound` if there is neither the target nor a receipt.
    async fn begin(&self, target: &DeletionTarget, worker: WorkerId, now: Timestamp) -> Result<Deletion>;
    /// The deletion of the target, if one has begun and its receipt is still kept.
    async fn find(&self, target: &DeletionTarget) -> Result<Option<Deletion>>;
    /// Deletes some hundred rows, at most a thousand, in one commit. The bytes of
    /// documents come on the list of what is to be removed
    /// ([`IngestQueue::blobs_to_remove`](crate::knowledge::IngestQueue::blobs_to_remove)).
    /// It waits for running answers at most some seconds from the beginning on.
    async fn step(&self, target: &DeletionTarget, now: Timestamp) -> Result<DeletionStep>;
    /// Makes the mark the receipt if nothing is left, and of a tenant no bytes either;
    /// returns the deletion, whose `finished_at` tells whether it did.
    async fn finish(&self, target: &DeletionTarget, now: Timestamp) -> Result<Deletion>;
    /// The deletions that are not over of `worker` itself, and of workers that have
    /// left, died or not beaten for `lease`: these are `worker`'s from now on.
    async fn take_over(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<DeletionTarget>>;
    /// Deletes the receipts of what was over before `before`, and the usage records that
    /// calls under way stored when their tenant was gone already.
    async fn clear(&self, before: Timestamp) -> Result<()>;
}
