//! Bytes that no document has: being uploaded by a worker, or to be removed.
//!
//! They come on the list and off it in the transactions that decide it: one that
//! gives bytes to a document takes them off, one that takes them from their
//! document puts them on.

use std::time::Duration;

use aimate_core::knowledge::Blob;
use aimate_core::{BlobId, CollectionId, Error, Result, Scope, Timestamp, WorkerId};
use uuid::Uuid;

use crate::database::{Array, Sql, Statement, each};
use crate::page::touched_or_not_found;
use crate::value::json;
use crate::{Kind, SqlStore};

const BEGIN: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id, worker_id) SELECT c.tenant_id, $4, $5 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3",
);
const BEGIN_OF_USER: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id, worker_id) SELECT u.tenant_id, $3, $4 FROM users u \
     WHERE u.tenant_id = $1 AND u.id = $2",
);
const GIVE_UP: Sql = Sql::Same("UPDATE loose_blobs SET worker_id = NULL WHERE tenant_id = $1 AND id = $2");
/// Not of an upload that was given up: its bytes may be gone.
const END_UPLOAD: Sql =
    Sql::Same("DELETE FROM loose_blobs WHERE tenant_id = $1 AND id = $2 AND worker_id IS NOT NULL");
/// What the document of a source had until the statement before.
const REPLACED: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT d.tenant_id, d.former_blob_id FROM documents d \
     WHERE d.tenant_id = $1 AND d.collection_id = $2 AND d.source_hash = $3 AND d.former_blob_id <> d.blob_id \
     ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);

/// Most of the time there is nothing, which costs no write.
const ANY: Sql = Sql::Same("SELECT 1 AS found FROM loose_blobs LIMIT 1");
/// What workers upload that are not in `$1`.
const ABANDONED: Sql = Sql::Each {
    sqlite: "SELECT tenant_id, id, worker_id FROM loose_blobs \
        WHERE worker_id NOT IN (SELECT unhex(value) FROM json_each($1)) LIMIT $2",
    postgres: "SELECT tenant_id, id, worker_id FROM loose_blobs WHERE worker_id <> ALL($1) LIMIT $2",
};
/// Gives up those of the uploads `$2` that one of the workers `$3` still has.
const ABANDON: Sql = Sql::Each {
    sqlite: "UPDATE loose_blobs SET worker_id = NULL WHERE tenant_id = $1 \
        AND id IN (SELECT unhex(value) FROM json_each($2)) AND worker_id IN (SELECT unhex(value) FROM json_each($3))",
    postgres: "UPDATE loose_blobs SET worker_id = NULL WHERE tenant_id = $1 AND id = ANY($2) AND worker_id = ANY($3)",
};
/// Uploads that are given up at once.
const UPLOADS: u32 = 1_000;
const TO_REMOVE: Sql = Sql::Same("SELECT tenant_id, id FROM loose_blobs WHERE worker_id IS NULL LIMIT $1");
/// A backup copies the bytes of a moment that is past.
const IS_KEPT: Sql = Sql::Same("SELECT 1 AS found FROM workers WHERE keeps_blobs LIMIT 1");
const FORGET: Sql = Sql::Each {
    sqlite: "DELETE FROM loose_blobs WHERE worker_id IS NULL AND (tenant_id, id) IN \
        (SELECT unhex(value ->> 0), unhex(value ->> 1) FROM json_each($1))",
    postgres: "DELETE FROM loose_blobs l USING unnest($1::uuid[], $2::uuid[]) AS b (tenant_id, id) \
        WHERE l.tenant_id = b.tenant_id AND l.id = b.id AND l.worker_id IS NULL",
};

/// See [`DocumentStore::begin_upload`](aimate_core::knowledge::DocumentStore::begin_upload).
pub(super) async fn begin(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    blob: BlobId,
    worker: WorkerId,
) -> Result<()> {
    let begin = BEGIN.scoped(scope).bind(collection).bind(blob).bind(worker);
    let begun = store.database.execute(begin).await?;
    touched_or_not_found(begun, || Error::missing("collection", collection))
}

/// See [`FileStore::begin_upload`](aimate_core::file::FileStore::begin_upload).
pub(crate) async fn begin_of_user(
    store: &SqlStore,
    scope: &Scope,
    blob: BlobId,
    worker: WorkerId,
) -> Result<()> {
    let begun = store.database.execute(BEGIN_OF_USER.scoped(scope).bind(blob).bind(worker)).await?;
    touched_or_not_found(begun, || Error::missing("user", scope.user))
}

/// See [`DocumentStore::give_up_upload`](aimate_core::knowledge::DocumentStore::give_up_upload).
pub(super) async fn give_up(store: &SqlStore, scope: &Scope, blob: BlobId) -> Result<()> {
    store.database.execute(GIVE_UP.bind(scope.tenant).bind(blob)).await?;
    Ok(())
}

/// Takes the bytes of an upload off the list. It undoes the transaction if they are not on it: they
/// were given up, and are gone.
pub(crate) fn end_upload(blob: Blob) -> Statement {
    END_UPLOAD.bind(blob.tenant).bind(blob.id).expect_touched(1)
}

/// Puts the bytes on the list that the document of a source had before.
pub(super) fn replaced(scope: &Scope, collection: CollectionId, source_hash: String) -> Statement {
    REPLACED.bind(scope.tenant).bind(collection).bind(source_hash)
}

/// See [`IngestQueue::blobs_to_remove`](aimate_core::knowledge::IngestQueue::blobs_to_remove).
pub(super) async fn to_remove(
    store: &SqlStore,
    worker: WorkerId,
    now: Timestamp,
    lease: Duration,
    limit: u32,
) -> Result<Vec<Blob>> {
    if store.database.read_first(ANY.unbound()).await?.is_none() {
        return Ok(Vec::new());
    }
    let look = |there: Vec<Uuid>| {
        let known: Vec<Uuid> = there.into_iter().chain([worker.0]).collect();
        ABANDONED.bind(known).bind(UPLOADS)
    };
    for of in store.claimable(worker, now, lease, look).await? {
        store.database.execute(ABANDON.bind(of.tenant).bind(of.ids).bind(of.gone).uses_reserve()).await?;
    }
    let rows = store.database.read(TO_REMOVE.bind(limit)).await?;
    // Asked last: a backup that begins after it copies what is there then.
    if store.database.read_first(IS_KEPT.unbound()).await?.is_some() {
        return Ok(Vec::new());
    }
    each(&rows, |row| Ok(Blob { tenant: row.get("tenant_id")?, id: row.get("id")? }))
}

/// See [`IngestQueue::forget_removed`](aimate_core::knowledge::IngestQueue::forget_removed).
pub(super) async fn forget(store: &SqlStore, blobs: &[Blob]) -> Result<()> {
    let forget = match store.database.kind() {
        Kind::Sqlite => FORGET.bind(json(&ids_of(blobs))?).uses_reserve(),
        Kind::Postgres => FORGET
            .bind(Array::uuids(blobs.iter().map(|blob| blob.tenant.0)))
            .bind(Array::uuids(blobs.iter().map(|blob| blob.id.0))),
    };
    store.database.execute(forget).await?;
    Ok(())
}

/// Tenants and ids as SQLite's `unhex` reads them.
pub(super) fn ids_of(blobs: &[Blob]) -> Vec<(String, String)> {
    blobs.iter().map(|blob| (blob.tenant.0.simple().to_string(), blob.id.0.simple().to_string())).collect()
}
