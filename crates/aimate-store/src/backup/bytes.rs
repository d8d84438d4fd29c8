//! The bytes of documents in a backup.

use std::path::Path;

use aimate_core::knowledge::{Blob, BlobStore};
use aimate_core::{BlobId, Error, ErrorKind, Result, TenantId};
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row as _, query, query_scalar};
use uuid::Uuid;

use super::Backup;
use crate::database::{Names, failure};

/// Bytes of a row.
const PIECE: usize = 1 << 20;
/// Documents that are looked up at once.
const AT_ONCE: i64 = 500;

/// A document, as its bytes must be.
pub(super) struct PackedDocument {
    pub(super) blob: Blob,
    pub(super) name: String,
    size: u64,
    hash: String,
}

/// The documents after this one, in the order of their blobs.
pub(super) async fn after(
    connection: &mut SqliteConnection,
    names: &Names,
    blob: Option<Blob>,
) -> Result<Vec<PackedDocument>> {
    let (tenant, id) = blob.map_or((Uuid::nil(), Uuid::nil()), |blob| (blob.tenant.0, blob.id.0));
    let rows = query(super::renamed(
        names,
        "SELECT tenant_id, blob_id, name, size, content_hash FROM documents \
         WHERE (tenant_id, blob_id) > ($1, $2) AND file_id IS NULL UNION ALL \
         SELECT tenant_id, blob_id, name, size, content_hash FROM files \
         WHERE (tenant_id, blob_id) > ($1, $2) ORDER BY tenant_id, blob_id LIMIT $3",
    ));
    let rows = rows.bind(tenant).bind(id).bind(AT_ONCE).fetch_all(connection).await.map_err(failure)?;
    let packed = |row: &sqlx::sqlite::SqliteRow| {
        Ok(PackedDocument {
            blob: Blob { tenant: TenantId(row.try_get("tenant_id")?), id: BlobId(row.try_get("blob_id")?) },
            name: row.try_get("name")?,
            size: u64::try_from(row.try_get::<i64, _>("size")?).unwrap_or_default(),
            hash: row.try_get("content_hash")?,
        })
    };
    rows.iter().map(packed).collect::<sqlx::Result<_>>().map_err(failure)
}

/// Copies the bytes of all documents of the backup into it.
pub(super) async fn copy(
    copy: &mut SqliteConnection,
    names: &Names,
    blobs: &dyn BlobStore,
) -> Result<Backup> {
    let (mut backup, mut last) = (Backup::default(), None);
    query("BEGIN").execute(&mut *copy).await.map_err(failure)?;
    loop {
        let documents = after(copy, names, last).await?;
        let Some(end) = documents.last() else { break };
        last = Some(end.blob);
        for document in documents {
            backup.documents += 1;
            if copy_one(copy, blobs, &document).await? {
                backup.bytes += document.size;
            } else {
                delete(copy, document.blob).await?;
                backup.without_bytes.push(document.name);
            }
        }
    }
    query("COMMIT").execute(copy).await.map_err(failure)?;
    Ok(backup)
}

/// Returns whether they were those that were stored.
async fn copy_one(
    copy: &mut SqliteConnection,
    blobs: &dyn BlobStore,
    document: &PackedDocument,
) -> Result<bool> {
    let content = match blobs.get(&document.blob).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        content => content?,
    };
    let (mut stream, mut hash, mut size) = (content.into_stream(), Sha256::new(), 0_u64);
    let (mut piece, mut waiting) = (0_i64, Vec::with_capacity(PIECE));
    loop {
        let more = stream.try_next().await?;
        if let Some(bytes) = &more {
            hash.update(bytes);
            size += bytes.len() as u64;
            waiting.extend_from_slice(bytes);
        }
        // The last row may be a short one, and that of an empty document is empty.
        if waiting.len() >= PIECE || more.is_none() {
            let insert =
                query("INSERT INTO backup_bytes (tenant_id, id, piece, bytes) VALUES ($1, $2, $3, $4)");
            let insert = insert.bind(document.blob.tenant.0).bind(document.blob.id.0).bind(piece);
            insert.bind(std::mem::take(&mut waiting)).execute(&mut *copy).await.map_err(failure)?;
            piece += 1;
        }
        if more.is_none() {
            return Ok(size == document.size && format!("{:x}", hash.finalize()) == document.hash);
        }
    }
}

async fn delete(copy: &mut SqliteConnection, blob: Blob) -> Result<()> {
    let delete = query("DELETE FROM backup_bytes WHERE tenant_id = $1 AND id = $2");
    delete.bind(blob.tenant.0).bind(blob.id.0).execute(copy).await.map_err(failure)?;
    Ok(())
}

/// One piece of a blob; `None` after the last.
pub(super) async fn piece(
    connection: &mut SqliteConnection,
    blob: Blob,
    piece: i64,
) -> Result<Option<Vec<u8>>> {
    let select =
        query_scalar("SELECT bytes FROM backup_bytes WHERE tenant_id = $1 AND id = $2 AND piece = $3");
    let select = select.bind(blob.tenant.0).bind(blob.id.0).bind(piece);
    select.fetch_optional(connection).await.map_err(failure)
}

/// That the bytes in the backup are those of its documents.
pub(super) async fn check(connection: &mut SqliteConnection, file: &Path) -> Result<()> {
    let names = super::names_in(connection).await?;
    let mut last = None;
    loop {
        let documents = after(connection, &names, last).await?;
        let Some(end) = documents.last() else { return Ok(()) };
        last = Some(end.blob);
        for document in documents {
            let (mut hash, mut n) = (Sha256::new(), 0);
            while let Some(bytes) = piece(connection, document.blob, n).await? {
                hash.update(&bytes);
                n += 1;
            }
            // One without any was so already.
            if n > 0 && format!("{:x}", hash.finalize()) != document.hash {
                return Err(Error::invalid(format!(
                    "the backup {} is damaged: the bytes of `{}` are not those that were stored",
                    file.display(),
                    document.name
                )));
            }
        }
    }
}
