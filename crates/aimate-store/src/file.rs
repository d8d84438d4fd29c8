//! Files.

use aimate_core::file::{File, FilePurpose, FileStore};
use aimate_core::knowledge::{Blob, StorageAmount, StorageQuotas};
use aimate_core::{BlobId, Error, FileId, IdRange, Result, Scope, Slice, Timestamp, WorkerId};
use async_trait::async_trait;
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql, Statement, each};
use crate::knowledge::document::{delete, quota};
use crate::knowledge::loose;
use crate::page::or_not_found;
use crate::value::{count, text};

/// Only if its upload was not given up.
const CREATE: Sql = Sql::Same(
    "INSERT INTO files (tenant_id, user_id, id, name, media_type, purpose, size, content_hash, blob_id, created_at, \
     expires_at) SELECT u.tenant_id, u.id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM users u \
     WHERE u.tenant_id = $1 AND u.id = $2 \
     AND NOT EXISTS (SELECT 1 FROM loose_blobs l WHERE l.tenant_id = $1 AND l.id = $9)",
);
const USER: Sql = Sql::Same("SELECT id FROM users WHERE tenant_id = $1 AND id = $2");
const GET: Sql = Sql::Same(
    "SELECT id, name, media_type, purpose, size, content_hash, blob_id, created_at, expires_at FROM files \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND (expires_at IS NULL OR expires_at > $4)",
);
const GET_MANY: Sql = Sql::Each {
    sqlite: "SELECT id, name, media_type, purpose, size, content_hash, blob_id, created_at, expires_at FROM files \
        WHERE tenant_id = $1 AND user_id = $2 AND id IN (SELECT unhex(value) FROM json_each($3)) \
        AND (expires_at IS NULL OR expires_at > $4)",
    postgres: "SELECT id, name, media_type, purpose, size, content_hash, blob_id, created_at, expires_at FROM files \
        WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3) AND (expires_at IS NULL OR expires_at > $4)",
};
const LIST_UP: Sql = Sql::Same(
    "SELECT id, name, media_type, purpose, size, content_hash, blob_id, created_at, expires_at FROM files \
     WHERE tenant_id = $1 AND user_id = $2 AND id > $3 AND id < $4 AND (expires_at IS NULL OR expires_at > $6) \
     AND purpose = COALESCE($7, purpose) ORDER BY id LIMIT $5",
);
const LIST_DOWN: Sql = Sql::Same(
    "SELECT id, name, media_type, purpose, size, content_hash, blob_id, created_at, expires_at FROM files \
     WHERE tenant_id = $1 AND user_id = $2 AND id > $3 AND id < $4 AND (expires_at IS NULL OR expires_at > $6) \
     AND purpose = COALESCE($7, purpose) ORDER BY id DESC LIMIT $5",
);

fn file(row: &Row) -> Result<File> {
    Ok(File {
        id: row.get("id")?,
        name: row.get("name")?,
        media_type: row.get("media_type")?,
        purpose: row.name("purpose")?,
        size: row.get("size")?,
        content_hash: row.get("content_hash")?,
        blob_id: row.get("blob_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.maybe("expires_at")?,
    })
}

/// What stores a file with bytes whose upload has ended.
pub(crate) fn creation(scope: &Scope, file: &File) -> Statement {
    let create = CREATE
        .scoped(scope)
        .bind(file.id)
        .bind(text(&file.name))
        .bind(text(&file.media_type))
        .bind(file.purpose.as_str())
        .bind(count(file.size))
        .bind(text(&file.content_hash))
        .bind(file.blob_id)
        .bind(file.created_at)
        .bind(file.expires_at);
    create.expect_touched(1)
}

#[async_trait]
impl FileStore for SqlStore {
    async fn begin_upload(&self, scope: &Scope, blob: BlobId, worker: WorkerId) -> Result<()> {
        loose::begin_of_user(self, scope, blob, worker).await
    }

    async fn create(&self, scope: &Scope, file: &File, quotas: &StorageQuotas) -> Result<()> {
        let quotas = quotas.of_owner(scope);
        let mut statements: Vec<Statement> = quota::before(scope, &quotas).into_iter().collect();
        statements.push(loose::end_upload(Blob { tenant: scope.tenant, id: file.blob_id }));
        statements.push(creation(scope, file));
        statements.extend(quota::after(scope, &quotas));
        match self.database.transaction_of(statements).await {
            Ok(_) => Ok(()),
            // One of its conditions does not hold.
            Err(DbError::RowCount { .. }) => {
                let user = self.database.read_first(USER.scoped(scope)).await?;
                or_not_found(user.map(drop), || Error::missing("user", scope.user))?;
                let stored = quota::storage(self, scope, &quotas).await?;
                let more = StorageAmount::one(file.size);
                if quota::exceeds(&quotas, &stored, more) {
                    return Err(quotas.refusal(&stored, more));
                }
                Err(Error::unavailable(
                    "this process counted as gone while the file was uploaded, and its bytes were dropped; \
                     upload it again",
                ))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn get(&self, scope: &Scope, id: FileId, now: Timestamp) -> Result<File> {
        let row = self.database.read_first(GET.scoped(scope).bind(id).bind(now)).await?;
        file(&or_not_found(row, || Error::missing("file", id))?)
    }

    async fn get_many(&self, scope: &Scope, ids: &[FileId], now: Timestamp) -> Result<Vec<File>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        each(&self.database.read(GET_MANY.scoped(scope).bind(ids).bind(now)).await?, file)
    }

    async fn list(
        &self,
        scope: &Scope,
        purpose: Option<FilePurpose>,
        range: IdRange,
        now: Timestamp,
    ) -> Result<Slice<File>> {
        let (low, high) = range.bounds();
        let list = if range.reads_descending() { LIST_DOWN } else { LIST_UP };
        let list = list.scoped(scope).bind(low).bind(high).bind(i64::from(range.limit) + 1).bind(now);
        let list = list.bind(purpose.map(FilePurpose::as_str));
        Ok(range.slice(each(&self.database.read(list).await?, file)?))
    }

    async fn delete(&self, scope: &Scope, id: FileId) -> Result<Blob> {
        delete::delete_file(self, scope, id).await
    }
}
