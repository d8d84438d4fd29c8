//! Uploads and their parts.

use std::time::Duration;

use aimate_core::file::File;
use aimate_core::knowledge::{Blob, StorageAmount, StorageQuotas};
use aimate_core::upload::{FileUpload, UploadPart, UploadStatus, UploadStore};
use aimate_core::{Error, Result, Scope, Timestamp, UploadId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql, Statement, each};
use crate::knowledge::document::quota;
use crate::knowledge::loose;
use crate::page::or_not_found;
use crate::value::{count, text};

/// Unless the user has `$12` that are pending.
const CREATE: Sql = Sql::Same(
    "INSERT INTO uploads (tenant_id, user_id, id, name, media_type, purpose, size, file_life, status, created_at, \
     expires_at) SELECT u.tenant_id, u.id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM users u \
     WHERE u.tenant_id = $1 AND u.id = $2 AND (SELECT count(*) FROM uploads p WHERE p.tenant_id = $1 \
        AND p.user_id = $2 AND p.status = 'pending' AND p.expires_at > $10) < $12",
);
const USER: Sql = Sql::Same("SELECT id FROM users WHERE tenant_id = $1 AND id = $2");
const GET: Sql = Sql::Same(
    "SELECT id, name, media_type, purpose, size, file_life, status, file_id, created_at, expires_at FROM uploads \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND expires_at > $4",
);
/// Whoever changes an upload or its parts does so after the other.
const LOCK: Sql =
    Sql::Postgres("SELECT id FROM uploads WHERE tenant_id = $1 AND user_id = $2 AND id = $3 FOR UPDATE");
const ADD_PART: Sql = Sql::Same(
    "INSERT INTO upload_parts (tenant_id, user_id, upload_id, id, size, content_hash, blob_id, created_at) \
     SELECT u.tenant_id, u.user_id, u.id, $4, $5, $6, $7, $8 FROM uploads u WHERE u.tenant_id = $1 \
     AND u.user_id = $2 AND u.id = $3 AND u.status = 'pending' AND u.expires_at > $8 \
     AND (SELECT count(*) FROM upload_parts p WHERE p.tenant_id = $1 AND p.upload_id = $3) < $9 \
     AND (SELECT COALESCE(sum(p.size), 0) FROM upload_parts p WHERE p.tenant_id = $1 AND p.upload_id = $3) <= $10",
);
const PARTS: Sql = Sql::Same(
    "SELECT id, size, content_hash, blob_id, created_at FROM upload_parts \
     WHERE tenant_id = $1 AND user_id = $2 AND upload_id = $3 ORDER BY id",
);
const COMPLETE: Sql = Sql::Same(
    "UPDATE uploads SET status = 'completed', file_id = $4 WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND status = 'pending' AND expires_at > $5",
);
const CANCEL: Sql = Sql::Same(
    "UPDATE uploads SET status = 'cancelled' WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND status = 'pending' AND expires_at > $4",
);
/// The bytes of the parts that are deleted next.
const LOOSEN_PARTS: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM upload_parts \
     WHERE tenant_id = $1 AND user_id = $2 AND upload_id = $3 ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
const DELETE_PARTS: Sql =
    Sql::Same("DELETE FROM upload_parts WHERE tenant_id = $1 AND user_id = $2 AND upload_id = $3");
const DELETE: Sql = Sql::Same("DELETE FROM uploads WHERE tenant_id = $1 AND user_id = $2 AND id = $3");

fn upload(row: &Row) -> Result<FileUpload> {
    Ok(FileUpload {
        id: row.get("id")?,
        name: row.get("name")?,
        media_type: row.get("media_type")?,
        purpose: row.name("purpose")?,
        size: row.get("size")?,
        file_life: row.maybe::<u64>("file_life")?.map(Duration::from_micros),
        status: row.name("status")?,
        file_id: row.maybe("file_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn part(row: &Row) -> Result<UploadPart> {
    Ok(UploadPart {
        id: row.get("id")?,
        size: row.get("size")?,
        content_hash: row.get("content_hash")?,
        blob_id: row.get("blob_id")?,
        created_at: row.get("created_at")?,
    })
}

#[async_trait]
impl UploadStore for SqlStore {
    async fn create(&self, scope: &Scope, upload: &FileUpload) -> Result<()> {
        let life = upload.file_life.map(|life| i64::try_from(life.as_micros()).unwrap_or(i64::MAX));
        let create = CREATE
            .scoped(scope)
            .bind(upload.id)
            .bind(text(&upload.name))
            .bind(text(&upload.media_type))
            .bind(upload.purpose.as_str())
            .bind(count(upload.size))
            .bind(life)
            .bind(upload.status.as_str())
            .bind(upload.created_at)
            .bind(upload.expires_at)
            .bind(FileUpload::MAX_PENDING);
        if self.database.execute(create).await? > 0 {
            return Ok(());
        }
        let user = self.database.read_first(USER.scoped(scope)).await?;
        or_not_found(user.map(drop), || Error::missing("user", scope.user))?;
        let most = FileUpload::MAX_PENDING;
        Err(Error::invalid(format!("there are {most} pending uploads already; complete or cancel one first")))
    }

    async fn get(&self, scope: &Scope, id: UploadId, now: Timestamp) -> Result<FileUpload> {
        get(self, scope, id, now).await
    }

    async fn add_part(
        &self,
        scope: &Scope,
        id: UploadId,
        part: &UploadPart,
        quotas: &StorageQuotas,
    ) -> Result<()> {
        let known = get(self, scope, id, part.created_at).await?;
        let add = ADD_PART
            .scoped(scope)
            .bind(id)
            .bind(part.id)
            .bind(count(part.size))
            .bind(text(&part.content_hash))
            .bind(part.blob_id)
            .bind(part.created_at)
            .bind(FileUpload::MAX_PARTS)
            // What the others may have.
            .bind(count(known.max_bytes()) - count(part.size));
        let quotas = quotas.of_owner(scope);
        let mut statements: Vec<Statement> = quota::before(scope, &quotas).into_iter().collect();
        statements.push(loose::end_upload(Blob { tenant: scope.tenant, id: part.blob_id }));
        statements.extend([LOCK.scoped(scope).bind(id), add.expect_touched(1)]);
        statements.extend(quota::after(scope, &quotas));
        match self.database.transaction_of(statements).await {
            Ok(_) => Ok(()),
            // One of its conditions does not hold.
            Err(DbError::RowCount { .. }) => {
                pending(self, scope, id, part.created_at).await?;
                let parts = self.parts(scope, id, part.created_at).await?;
                if parts.len() as u64 >= u64::from(FileUpload::MAX_PARTS) {
                    let message =
                        format!("is one more than the {} parts of an upload", FileUpload::MAX_PARTS);
                    return Err(Error::field("data", message));
                }
                let bytes = parts.iter().map(|part| part.size).sum::<u64>() + part.size;
                if bytes > known.max_bytes() {
                    let message = format!(
                        "makes {bytes} bytes of parts; an upload of {} bytes takes {}",
                        known.size,
                        known.max_bytes()
                    );
                    return Err(Error::field("data", message));
                }
                Err(refused(self, scope, &quotas, part.size).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn parts(&self, scope: &Scope, id: UploadId, now: Timestamp) -> Result<Vec<UploadPart>> {
        get(self, scope, id, now).await?;
        each(&self.database.read(PARTS.scoped(scope).bind(id)).await?, part)
    }

    async fn complete(
        &self,
        scope: &Scope,
        id: UploadId,
        file: &File,
        quotas: &StorageQuotas,
    ) -> Result<FileUpload> {
        let quotas = quotas.of_owner(scope);
        let mut statements: Vec<Statement> = quota::before(scope, &quotas).into_iter().collect();
        statements.push(loose::end_upload(Blob { tenant: scope.tenant, id: file.blob_id }));
        statements.push(LOCK.scoped(scope).bind(id));
        let complete = COMPLETE.scoped(scope).bind(id).bind(file.id).bind(file.created_at);
        statements.extend([complete.expect_touched(1), crate::file::creation(scope, file)]);
        statements.extend([LOOSEN_PARTS, DELETE_PARTS].map(|sql| sql.scoped(scope).bind(id)));
        statements.extend(quota::after(scope, &quotas));
        match self.database.transaction_of(statements).await {
            Ok(_) => get(self, scope, id, file.created_at).await,
            Err(DbError::RowCount { .. }) => {
                pending(self, scope, id, file.created_at).await?;
                Err(refused(self, scope, &quotas, file.size).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn cancel(&self, scope: &Scope, id: UploadId, now: Timestamp) -> Result<FileUpload> {
        let cancel = CANCEL.scoped(scope).bind(id).bind(now).expect_touched(1).uses_reserve();
        let [loosen, delete] = [LOOSEN_PARTS, DELETE_PARTS].map(|sql| sql.scoped(scope).bind(id));
        match self.database.transaction([LOCK.scoped(scope).bind(id), cancel, loosen, delete]).await {
            Ok(_) | Err(DbError::RowCount { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let upload = get(self, scope, id, now).await?;
        if upload.status == UploadStatus::Cancelled { Ok(upload) } else { Err(over(&upload)) }
    }

    async fn delete(&self, scope: &Scope, id: UploadId) -> Result<()> {
        let lock = LOCK.scoped(scope).bind(id);
        let loosen = LOOSEN_PARTS.scoped(scope).bind(id);
        let delete = DELETE.scoped(scope).bind(id).expect_touched(1).uses_reserve();
        let deleted = self.database.transaction([lock, loosen, delete]).await;
        deleted.map_err(|error| error.on_row_count(|| Error::missing("upload", id)))?;
        Ok(())
    }
}

async fn get(store: &SqlStore, scope: &Scope, id: UploadId, now: Timestamp) -> Result<FileUpload> {
    let row = store.database.read_first(GET.scoped(scope).bind(id).bind(now)).await?;
    upload(&or_not_found(row, || Error::missing("upload", id))?)
}

/// Fails unless the upload takes parts.
async fn pending(store: &SqlStore, scope: &Scope, id: UploadId, now: Timestamp) -> Result<()> {
    let upload = get(store, scope, id, now).await?;
    if upload.status == UploadStatus::Pending { Ok(()) } else { Err(over(&upload)) }
}

fn over(upload: &FileUpload) -> Error {
    Error::invalid(format!("the upload is {}", upload.status.as_str()))
}

/// Why so many more bytes were not stored.
async fn refused(store: &SqlStore, scope: &Scope, quotas: &StorageQuotas, size: u64) -> Result<Error> {
    let stored = quota::storage(store, scope, quotas).await?;
    let more = StorageAmount { documents: 0, bytes: size };
    if quota::exceeds(quotas, &stored, more) {
        return Ok(quotas.refusal(&stored, more));
    }
    Ok(Error::unavailable(
        "this process counted as gone while the bytes were uploaded, and they were dropped; send them again",
    ))
}
