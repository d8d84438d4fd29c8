//! The queue of documents that wait to be read, and of spaces that are built.
//!
//! A row is the job: a claim sets its worker and raises its attempt, which fences
//! off whoever worked on it before.

use std::time::Duration;

use aimate_core::knowledge::{Blob, ClaimedDocument, EmbeddingSpace, IngestQueue};
use aimate_core::{
    DocumentId, FileId, Result, Role, Scope, SpaceId, TenantId, Timestamp, UploadId, WorkerId,
};
use async_trait::async_trait;
use uuid::Uuid;

use super::loose;
use super::maintenance::REQUEUE_OUTDATED;
use super::rows::{document, space};
use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::value::count;
use crate::worker::{Claimable, owner};

/// Documents that are due at `$2`, or that workers read that are not in `$1`.
const DUE: Sql = Sql::Each {
    sqlite: "SELECT d.tenant_id, d.id, CASE d.status WHEN 'processing' THEN d.worker_id END AS worker_id \
        FROM documents d WHERE d.status IN ('pending', 'processing') \
        AND CASE d.status WHEN 'pending' THEN d.not_before <= $2 \
            ELSE d.worker_id NOT IN (SELECT unhex(value) FROM json_each($1)) END ORDER BY d.id LIMIT $3",
    postgres: "SELECT d.tenant_id, d.id, CASE d.status WHEN 'processing' THEN d.worker_id END AS worker_id \
        FROM documents d WHERE d.status IN ('pending', 'processing') \
        AND CASE d.status WHEN 'pending' THEN d.not_before <= $2 ELSE d.worker_id <> ALL($1) END \
        ORDER BY d.id LIMIT $3",
};
/// Gives at most `$6` of the documents `$3` that are still due at `$5`, or that one of the
/// workers `$4` still has, to worker `$1`. Processes that claim at the same moment skip each
/// other's rows instead of waiting for them.
const CLAIM: Sql = Sql::Each {
    sqlite: "UPDATE documents SET status = 'processing', worker_id = $1, attempt = attempt + 1, \
        tries = tries + 1, updated_at = $5 WHERE tenant_id = $2 AND id IN ( \
            SELECT d.id FROM documents d WHERE d.tenant_id = $2 AND d.id IN (SELECT unhex(value) FROM json_each($3)) \
            AND d.status IN ('pending', 'processing') AND CASE d.status WHEN 'pending' THEN d.not_before <= $5 \
                ELSE d.worker_id IN (SELECT unhex(value) FROM json_each($4)) END ORDER BY d.id LIMIT $6) \
        RETURNING tenant_id, user_id, attempt, tries, id, collection_id, name, title, source, media_type, size, \
        content_hash, blob_id, status, error, progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at, \
        (SELECT u.role FROM users u WHERE u.tenant_id = $2 AND u.id = documents.user_id) AS role",
    postgres: "UPDATE documents SET status = 'processing', worker_id = $1, attempt = attempt + 1, \
        tries = tries + 1, updated_at = $5 WHERE tenant_id = $2 AND id = ANY(ARRAY( \
            SELECT d.id FROM documents d WHERE d.tenant_id = $2 AND d.id = ANY($3) \
            AND d.status IN ('pending', 'processing') AND CASE d.status WHEN 'pending' THEN d.not_before <= $5 \
                ELSE d.worker_id = ANY($4) END ORDER BY d.id LIMIT $6 FOR UPDATE SKIP LOCKED)) \
        RETURNING tenant_id, user_id, attempt, tries, id, collection_id, name, title, source, media_type, size, \
        content_hash, blob_id, status, error, progress, chunk_count, warnings, metadata, file_id, max_chunk_tokens, chunk_overlap_tokens, \
     created_at, updated_at, \
        (SELECT u.role FROM users u WHERE u.tenant_id = $2 AND u.id = documents.user_id) AS role",
};
/// How many times as many documents are looked at as are claimed: other processes look at the
/// same ones.
const LOOK_AHEAD: u32 = 8;
const EXPIRED_FILES: Sql =
    Sql::Same("SELECT tenant_id, user_id, id FROM files WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2");
/// What the tenant has of a user who is gone, once it is in no collection any more: nobody could
/// delete it.
const FILES_OF_NOBODY: Sql = Sql::Each {
    sqlite: "SELECT f.tenant_id, f.user_id, f.id FROM files f \
        WHERE f.user_id = X'00000000000000000000000000000000' \
        AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = f.tenant_id AND d.file_id = f.id) LIMIT $1",
    postgres: "SELECT f.tenant_id, f.user_id, f.id FROM files f \
        WHERE f.user_id = '00000000-0000-0000-0000-000000000000' \
        AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = f.tenant_id AND d.file_id = f.id) LIMIT $1",
};
const EXPIRED_UPLOADS: Sql = Sql::Same(
    "SELECT tenant_id, user_id, id FROM uploads WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2",
);
const CLEAR_BATCHES: Sql = Sql::Same(
    "DELETE FROM file_batches WHERE created_at < $1 AND NOT EXISTS (SELECT 1 FROM documents d \
     WHERE d.tenant_id = file_batches.tenant_id AND d.batch_id = file_batches.id)",
);
/// Spaces that are to be built, and that no worker in `$1` builds.
const UNBUILT: Sql = Sql::Each {
    sqlite: "SELECT b.tenant_id, b.id, b.worker_id FROM spaces b WHERE b.status = 'building' \
        AND (b.worker_id IS NULL OR b.worker_id NOT IN (SELECT unhex(value) FROM json_each($1))) \
        ORDER BY b.id LIMIT $2",
    postgres: "SELECT b.tenant_id, b.id, b.worker_id FROM spaces b WHERE b.status = 'building' \
        AND (b.worker_id IS NULL OR b.worker_id <> ALL($1)) ORDER BY b.id LIMIT $2",
};
/// Gives one of the spaces `$3` that nobody builds yet, or that one of the workers `$4` still
/// has, to worker `$1`, which builds none: one that it is said to build is one whose claim was
/// not confirmed.
const CLAIM_SPACE: Sql = Sql::Each {
    sqlite: "UPDATE spaces SET worker_id = $1 WHERE tenant_id = $2 AND id IN ( \
            SELECT b.id FROM spaces b WHERE b.tenant_id = $2 AND b.id IN (SELECT unhex(value) FROM json_each($3)) \
            AND b.status = 'building' AND (b.worker_id IS NULL \
                OR b.worker_id IN (SELECT unhex(value) FROM json_each($4))) ORDER BY b.id LIMIT 1) \
        RETURNING tenant_id, id",
    postgres: "UPDATE spaces SET worker_id = $1 WHERE tenant_id = $2 AND id = ANY(ARRAY( \
            SELECT b.id FROM spaces b WHERE b.tenant_id = $2 AND b.id = ANY($3) AND b.status = 'building' \
            AND (b.worker_id IS NULL OR b.worker_id = ANY($4)) ORDER BY b.id LIMIT 1 FOR UPDATE SKIP LOCKED)) \
        RETURNING tenant_id, id",
};
/// Spaces that are looked at at once: other processes may take the first.
const SPACES: u32 = 16;
const CLAIMED_SPACE: Sql = Sql::Same(
    "SELECT c.tenant_id, c.user_id, u.role, s.id, s.collection_id, s.model, s.dimensions, s.version, s.status, \
     s.error, s.created_at, CASE s.status WHEN 'building' THEN (SELECT count(*) FROM vectors v \
     WHERE v.tenant_id = $1 AND v.space_id = s.id) \
     ELSE (SELECT CAST(COALESCE(sum(g.chunk_count), 0) AS bigint) FROM segment_codes k \
     JOIN segments g ON g.tenant_id = k.tenant_id AND g.id = k.segment_id \
     WHERE k.tenant_id = $1 AND k.space_id = s.id) END AS chunk_count \
     FROM spaces s CROSS JOIN collections c CROSS JOIN users u WHERE s.tenant_id = $1 AND s.id = $2 \
     AND c.tenant_id = $1 AND c.id = s.collection_id AND u.tenant_id = $1 AND u.id = c.user_id",
);
/// Fences off what the worker may still be doing: its last update would otherwise
/// overwrite its successor's.
const RELEASE: Sql = Sql::Same(
    "UPDATE documents SET status = 'pending', worker_id = NULL, attempt = attempt + 1, tries = tries - 1 \
     WHERE worker_id = $1 AND status = 'processing'",
);

/// Those whose worker is not said to be gone, but which it does not read.
const RELEASE_UNHELD: Sql = Sql::Each {
    sqlite: "UPDATE documents SET status = 'pending', worker_id = NULL, attempt = attempt + 1 \
        WHERE worker_id = $1 AND status = 'processing' AND id NOT IN (SELECT unhex(value) FROM json_each($2))",
    postgres: "UPDATE documents SET status = 'pending', worker_id = NULL, attempt = attempt + 1 \
        WHERE worker_id = $1 AND status = 'processing' AND id <> ALL($2)",
};

fn claimed(row: &Row) -> Result<ClaimedDocument> {
    Ok(ClaimedDocument {
        scope: owner(row)?,
        document: document(row)?,
        attempt: row.get("attempt")?,
        tries: row.get("tries")?,
    })
}

#[async_trait]
impl IngestQueue for SqlStore {
    async fn claim_documents(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedDocument>> {
        let look = |there: Vec<Uuid>| {
            let known: Vec<Uuid> = there.into_iter().chain([worker.0]).collect();
            DUE.bind(known).bind(now).bind(limit.saturating_mul(LOOK_AHEAD))
        };
        let mut claimable = self.claimable(worker, now, lease, look).await?;
        // Of all tenants, the first come first.
        let mut ids: Vec<Uuid> = claimable.iter().flat_map(|of| &of.ids).copied().collect();
        ids.sort_unstable();
        ids.truncate(limit as usize);
        let due = |of: &Claimable| of.ids.iter().filter(|id| ids.contains(id)).count();
        // The others after them: somebody else may have taken the first meanwhile.
        claimable.sort_by_key(|of| due(of) == 0);
        let claim = |of: Claimable, left: u32| {
            let most = count(due(&of)).clamp(1, left.into());
            CLAIM.bind(worker).bind(of.tenant).bind(of.ids).bind(of.gone).bind(now).bind(most)
        };
        let mut documents = each(&self.claim(claimable, limit, claim).await?, claimed)?;
        documents.sort_by_key(|claimed| claimed.document.id);
        Ok(documents)
    }

    async fn release_unheld(&self, worker: WorkerId, held: &[DocumentId]) -> Result<u64> {
        let held: Vec<Uuid> = held.iter().map(|id| id.0).collect();
        Ok(self.database.execute(RELEASE_UNHELD.bind(worker).bind(held)).await?)
    }

    async fn blobs_to_remove(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Blob>> {
        loose::to_remove(self, worker, now, lease, limit).await
    }

    async fn expired_files(&self, now: Timestamp, limit: u32) -> Result<Vec<(Scope, FileId)>> {
        let of_time = EXPIRED_FILES.bind(now).bind(limit);
        let [mut rows, unused] = self.database.read_each([of_time, FILES_OF_NOBODY.bind(limit)]).await?;
        rows.extend(unused);
        let mut expired = each(&rows, |row| {
            let (tenant, user) = (row.get("tenant_id")?, row.get("user_id")?);
            Ok((Scope { tenant, user, role: Role::User }, row.get("id")?))
        })?;
        // One of nobody's may have expired, too.
        expired.sort_by_key(|(scope, id): &(Scope, FileId)| (scope.tenant, *id));
        expired.dedup_by_key(|(scope, id)| (scope.tenant, *id));
        expired.truncate(limit as usize);
        Ok(expired)
    }

    async fn expired_uploads(&self, now: Timestamp, limit: u32) -> Result<Vec<(Scope, UploadId)>> {
        let rows = self.database.read(EXPIRED_UPLOADS.bind(now).bind(limit)).await?;
        each(&rows, |row| {
            let (tenant, user) = (row.get("tenant_id")?, row.get("user_id")?);
            Ok((Scope { tenant, user, role: Role::User }, row.get("id")?))
        })
    }

    async fn clear_batches(&self, before: Timestamp) -> Result<()> {
        self.database.execute(CLEAR_BATCHES.bind(before)).await?;
        Ok(())
    }

    async fn forget_removed(&self, blobs: &[Blob]) -> Result<()> {
        loose::forget(self, blobs).await
    }

    async fn release_documents(&self, worker: WorkerId) -> Result<()> {
        self.database.execute(RELEASE.bind(worker)).await?;
        Ok(())
    }

    async fn requeue_outdated(&self, analysis: u32) -> Result<u64> {
        Ok(self.database.execute(REQUEUE_OUTDATED.bind(analysis)).await?)
    }

    async fn claim_space(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<(Scope, EmbeddingSpace)>> {
        // One that this worker is said to build too.
        let claimable = self.claimable(worker, now, lease, |there| UNBUILT.bind(there).bind(SPACES)).await?;
        let claim =
            |of: Claimable, _: u32| CLAIM_SPACE.bind(worker).bind(of.tenant).bind(of.ids).bind(of.gone);
        let rows = self.claim(claimable, 1, claim).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (tenant, id) = (row.get::<TenantId>("tenant_id")?, row.get::<SpaceId>("id")?);
        let row = self.database.read_first(CLAIMED_SPACE.bind(tenant).bind(id)).await?;
        row.as_ref().map(|row| Ok((owner(row)?, space(row)?))).transpose()
    }
}
