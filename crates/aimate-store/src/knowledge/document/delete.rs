//! Deleting documents with all that hangs on them: chunks, vectors, and what the
//! index has of them.

use std::collections::{BTreeMap, HashMap};

use aimate_core::knowledge::Blob;
use aimate_core::{CollectionId, DocumentId, Error, FileId, Result, Scope, UserId};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Row, Sql, Statement, each};
use crate::knowledge::contention::{MAX_ATTEMPTS, contention_error, is_stored};
use crate::knowledge::index::{IndexChange, Leaving, active_space};
use crate::knowledge::rows::blob;
use crate::page::or_not_found;

const FIND: Sql = Sql::Each {
    sqlite: "SELECT id, user_id, collection_id, segment_id, blob_id, file_id FROM documents \
        WHERE tenant_id = $1 AND user_id = $2 AND id IN (SELECT unhex(value) FROM json_each($3))",
    postgres: "SELECT id, user_id, collection_id, segment_id, blob_id, file_id FROM documents \
        WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3)",
};
/// The bytes of what [`DELETE`] deletes; PostgreSQL does both in one statement, since
/// another upload may come in between two.
const LOOSEN: Sql = Sql::Sqlite(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM documents \
     WHERE tenant_id = $1 AND user_id = $2 AND id IN (SELECT unhex(value) FROM json_each($3)) \
     AND (segment_id IS NULL OR segment_id IN (SELECT unhex(value) FROM json_each($4))) AND file_id IS NULL \
     ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
/// A document that came into the index, or into another segment, since it was
/// looked at is not deleted: that segment would keep its chunks.
const DELETE: Sql = Sql::Each {
    sqlite: "DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 \
        AND id IN (SELECT unhex(value) FROM json_each($3)) \
        AND (segment_id IS NULL OR segment_id IN (SELECT unhex(value) FROM json_each($4)))",
    postgres: "WITH gone AS (DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3) \
            AND (segment_id IS NULL OR segment_id = ANY($4)) RETURNING tenant_id, blob_id, file_id), \
        loose AS (INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM gone WHERE file_id IS NULL \
        ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL) \
        SELECT tenant_id FROM gone",
};

/// What was attached from a file, in whatever collection.
const FIND_OF_FILE: Sql = Sql::Same(
    "SELECT id, user_id, collection_id, segment_id, blob_id, file_id FROM documents \
     WHERE tenant_id = $1 AND file_id = $2",
);
const FIND_FILE: Sql =
    Sql::Same("SELECT blob_id FROM files WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const LOOSEN_FILE: Sql = Sql::Same(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM files \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
/// First: nobody attaches it from then on.
const DELETE_FILE: Sql = Sql::Same("DELETE FROM files WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
/// A row if nothing is attached from the file any more.
const NONE_OF_FILE: Sql = Sql::Same(
    "SELECT t.tenant_id FROM tenants t WHERE t.tenant_id = $1 \
     AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = $1 AND d.file_id = $2)",
);

/// See [`DocumentStore::delete`](aimate_core::knowledge::DocumentStore::delete).
pub(in crate::knowledge) async fn delete(
    store: &SqlStore,
    scope: &Scope,
    ids: &[DocumentId],
) -> Result<Vec<Blob>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut writing = None;
    for _ in 0..MAX_ATTEMPTS {
        let rows = store.database.read(FIND.scoped(scope).bind(ids.clone())).await?;
        let found = each(&rows, |row| IndexedDocument::of(scope, row))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if writing.is_none() && found.iter().any(|document| document.segment.is_some()) {
            // Only who rewrites a segment has to wait for other writers; and what was
            // read before the wait may no longer be true.
            writing = Some(store.index.lock_writers(found.iter().map(|one| one.collection)).await);
            continue;
        }
        if let Some(statements) = deletion(store, scope, &found).await?
            && is_stored(store.database.transaction_of(statements).await)?
        {
            let own = found.into_iter().filter(|document| !document.is_attached);
            return Ok(own.map(|document| document.blob).collect());
        }
    }
    Err(contention_error())
}

/// See [`FileStore::delete`](aimate_core::file::FileStore::delete).
pub(crate) async fn delete_file(store: &SqlStore, scope: &Scope, id: FileId) -> Result<Blob> {
    let mut writing = None;
    for _ in 0..MAX_ATTEMPTS {
        let row = store.database.read_first(FIND_FILE.scoped(scope).bind(id)).await?;
        let bytes = blob(scope.tenant, &or_not_found(row, || Error::missing("file", id))?)?;
        let rows = store.database.read(FIND_OF_FILE.bind(scope.tenant).bind(id)).await?;
        let found = each(&rows, |row| IndexedDocument::of(scope, row))?;
        if writing.is_none() && found.iter().any(|document| document.segment.is_some()) {
            writing = Some(store.index.lock_writers(found.iter().map(|one| one.collection)).await);
            continue;
        }
        let Some(documents) = deletion(store, scope, &found).await? else { continue };
        let mut statements = vec![
            LOOSEN_FILE.scoped(scope).bind(id),
            DELETE_FILE.scoped(scope).bind(id).expect_touched(1).uses_reserve(),
        ];
        statements.extend(documents);
        statements.push(NONE_OF_FILE.bind(scope.tenant).bind(id).expect_returned());
        if is_stored(store.database.transaction_of(statements).await)? {
            return Ok(bytes);
        }
    }
    Err(contention_error())
}

/// A document with its place in the index.
struct IndexedDocument {
    id: DocumentId,
    collection: CollectionId,
    /// Whose its collection is.
    owner: UserId,
    segment: Option<Uuid>,
    blob: Blob,
    /// Whether the bytes are a file's.
    is_attached: bool,
}

impl IndexedDocument {
    fn of(scope: &Scope, row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            collection: row.get("collection_id")?,
            segment: row.maybe("segment_id")?,
            owner: row.get("user_id")?,
            blob: blob(scope.tenant, row)?,
            is_attached: row.maybe::<FileId>("file_id")?.is_some(),
        })
    }
}

/// The statements that delete the documents; `None` if a segment is not there any
/// more.
async fn deletion(
    store: &SqlStore,
    scope: &Scope,
    documents: &[IndexedDocument],
) -> Result<Option<Vec<Statement>>> {
    let mut leaving: HashMap<(CollectionId, UserId), Leaving> = HashMap::new();
    for document in documents {
        let segments = leaving.entry((document.collection, document.owner)).or_default();
        if let Some(segment) = document.segment {
            segments.entry(segment).or_default().insert(document.id.0);
        }
    }
    let mut changes = Vec::with_capacity(leaving.len());
    for ((collection, owner), leaving) in leaving {
        let owner = Scope { user: owner, ..*scope };
        let active = active_space(store, &owner, collection).await?;
        let change = IndexChange::without(store, &owner, collection, active, leaving).await?;
        let Some(change) = change else { return Ok(None) };
        changes.push((owner, change));
    }
    // Each locks its collection: in one order, so that two deletions cannot deadlock.
    changes.sort_by_key(|(_, change)| change.collection);
    let removed: Vec<Uuid> = changes.iter().flat_map(|(_, change)| change.removed.iter().copied()).collect();
    let mut statements: Vec<Statement> =
        changes.iter().flat_map(|(owner, change)| change.remove_statements(owner)).collect();
    let mut of_owners: BTreeMap<UserId, Vec<Uuid>> = BTreeMap::new();
    for document in documents {
        of_owners.entry(document.owner).or_default().push(document.id.0);
    }
    for (owner, ids) in of_owners {
        let (owner, expected) = (Scope { user: owner, ..*scope }, ids.len());
        statements.push(LOOSEN.scoped(&owner).bind(ids.clone()).bind(removed.clone()));
        let delete = DELETE.scoped(&owner).bind(ids).bind(removed.clone()).expect_touched(expected);
        statements.push(delete.uses_reserve());
    }
    for (owner, change) in changes {
        statements.extend(change.add_statements(&owner)?);
    }
    Ok(Some(statements))
}
