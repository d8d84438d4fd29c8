//! The audit log.

use aimate_core::audit::{
    AuditFilter, AuditHash, AuditHead, AuditRecord, AuditStore, AuditTarget, NewAuditRecord, SaltedDetail,
    StoredAuditRecord,
};
use aimate_core::{Cursor, Error, Page, PageRequest, Result, Scope, Timestamp};
use async_trait::async_trait;
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql, each};
use crate::page::rows_of;
use crate::user;
use crate::value::count;

/// How often an append is begun anew because another process was faster; within one
/// they wait for each other.
const MAX_ATTEMPTS: usize = 20;

const HEAD: Sql = Sql::Same(
    "SELECT sequence, hash FROM audit_records WHERE tenant_id = $1 AND sequence > 0 ORDER BY sequence DESC LIMIT 1",
);
/// Not of a tenant that is gone, whose next one would inherit it.
const APPEND: Sql = Sql::Same(
    "INSERT INTO audit_records (tenant_id, sequence, action, actor_id, target_kind, target_id, detail, salt, \
     detail_hash, hash, created_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM tenants t \
     WHERE t.tenant_id = $1",
);
const READ: Sql = Sql::Same(
    "SELECT sequence, action, actor_id, target_kind, target_id, detail, salt, detail_hash, hash, created_at \
     FROM audit_records WHERE tenant_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
);
/// Conditions that are NULL are not asked for; what has an index of its own has a
/// statement of its own.
const LIST: Sql = Sql::Same(
    "SELECT sequence, action, actor_id, target_kind, target_id, detail, salt, detail_hash, hash, created_at \
     FROM audit_records WHERE tenant_id = $1 AND sequence < $2 AND created_at >= $3 AND created_at < $4 \
     ORDER BY sequence DESC LIMIT $5",
);
const LIST_OF_ACTION: Sql = Sql::Same(
    "SELECT sequence, action, actor_id, target_kind, target_id, detail, salt, detail_hash, hash, created_at \
     FROM audit_records WHERE tenant_id = $1 AND sequence < $2 AND created_at >= $3 AND created_at < $4 \
     AND action = $6 ORDER BY sequence DESC LIMIT $5",
);
const LIST_OF_ACTOR: Sql = Sql::Same(
    "SELECT sequence, action, actor_id, target_kind, target_id, detail, salt, detail_hash, hash, created_at \
     FROM audit_records WHERE tenant_id = $1 AND sequence < $2 AND created_at >= $3 AND created_at < $4 \
     AND (action = $6 OR $6 IS NULL) AND actor_id = $7 AND (target_id = $8 OR $8 IS NULL) \
     ORDER BY sequence DESC LIMIT $5",
);
const LIST_OF_TARGET: Sql = Sql::Same(
    "SELECT sequence, action, actor_id, target_kind, target_id, detail, salt, detail_hash, hash, created_at \
     FROM audit_records WHERE tenant_id = $1 AND sequence < $2 AND created_at >= $3 AND created_at < $4 \
     AND (action = $6 OR $6 IS NULL) AND target_id = $7 ORDER BY sequence DESC LIMIT $5",
);

fn hash(row: &Row, column: &str) -> Result<AuditHash> {
    let bytes: Vec<u8> = row.get(column)?;
    let hash = bytes.try_into().map_err(|_| Error::internal("a hash of the audit log has not 32 bytes"))?;
    Ok(AuditHash(hash))
}

fn stored(row: &Row) -> Result<StoredAuditRecord> {
    let target = match (row.maybe("target_kind")?, row.maybe("target_id")?) {
        (Some(kind), Some(id)) => Some(AuditTarget { kind, id }),
        _ => None,
    };
    let salt: Option<Vec<u8>> = row.maybe("salt")?;
    let sealed_detail = match (salt.map(<[u8; 16]>::try_from), row.maybe("detail")?) {
        (Some(Ok(salt)), Some(json)) => Some(SaltedDetail { salt, json }),
        // A salt of another length is not the one that was written.
        (Some(Err(_)), Some(json)) => Some(SaltedDetail { salt: [0; 16], json }),
        _ => None,
    };
    let record = NewAuditRecord {
        created_at: row.get("created_at")?,
        action: row.get("action")?,
        actor_id: row.maybe("actor_id")?,
        target,
        sealed_detail,
        detail_hash: hash(row, "detail_hash")?,
    };
    Ok(StoredAuditRecord { sequence: row.get("sequence")?, record, hash: hash(row, "hash")? })
}

#[async_trait]
impl AuditStore for SqlStore {
    async fn append(&self, scope: &Scope, record: &NewAuditRecord) -> Result<AuditHead> {
        // One after the other: only other processes can be faster.
        let _turn = self.audit_turn.lock().await;
        for _ in 0..MAX_ATTEMPTS {
            let before = match self.database.read_first(HEAD.bind(scope.tenant)).await? {
                Some(row) => AuditHead { sequence: row.get("sequence")?, hash: hash(&row, "hash")? },
                None => AuditHead::START,
            };
            let head = AuditHead {
                sequence: before.sequence.saturating_add(1),
                hash: record.hash_after(scope.tenant, &before),
            };
            let detail = record.sealed_detail.as_ref();
            let append = APPEND
                .bind(scope.tenant)
                .bind(count(head.sequence))
                .bind(record.action.as_str())
                .bind(record.actor_id)
                .bind(record.target.as_ref().map(|target| target.kind.as_str()))
                .bind(record.target.as_ref().map(|target| target.id))
                .bind(detail.map(|detail| detail.json.as_str()))
                .bind(detail.map(|detail| detail.salt.as_slice()))
                .bind(record.detail_hash.0.as_slice())
                .bind(head.hash.0.as_slice())
                .bind(record.created_at)
                .expect_touched(1)
                .uses_reserve();
            match self.database.transaction([user::tenant_lock(scope), append]).await {
                Ok(_) => return Ok(head),
                Err(DbError::Unique(_)) => {}
                Err(error) => {
                    return Err(error.on_row_count(|| Error::missing("tenant", scope.tenant)).into());
                }
            }
        }
        Err(Error::unavailable(
            "other processes wrote the audit log again and again at the same moment; try again",
        ))
    }

    async fn list(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditRecord>> {
        let sql = match (filter.actor, filter.target, &filter.action) {
            (Some(_), ..) => LIST_OF_ACTOR,
            (None, Some(_), _) => LIST_OF_TARGET,
            (None, None, Some(_)) => LIST_OF_ACTION,
            (None, None, None) => LIST,
        };
        let before = page.after.map_or(i64::MAX, |cursor| cursor.at.0);
        let mut list = sql
            .bind(scope.tenant)
            .bind(before)
            .bind(filter.from.map_or(i64::MIN, |from| from.0))
            .bind(filter.to.map_or(i64::MAX, |to| to.0))
            .bind(rows_of(page));
        if filter.actor.is_some() || filter.target.is_some() || filter.action.is_some() {
            list = list.bind(filter.action.as_deref());
        }
        if let Some(actor) = filter.actor {
            list = list.bind(actor).bind(filter.target);
        } else if let Some(target) = filter.target {
            list = list.bind(target);
        }
        let rows = each(&self.database.read(list).await?, |row| Ok(AuditRecord::from(stored(row)?)))?;
        Ok(Page::of(rows, page.limit, |record| Cursor {
            at: Timestamp(count(record.sequence)),
            id: Uuid::nil(),
        }))
    }

    async fn read(&self, scope: &Scope, after: u64, limit: u32) -> Result<Vec<StoredAuditRecord>> {
        let read = READ.bind(scope.tenant).bind(count(after)).bind(i64::from(limit));
        each(&self.database.read(read).await?, stored)
    }
}
