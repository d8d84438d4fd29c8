//! Documents and their chunks.

use std::collections::HashMap;

use aimate_core::knowledge::{Blob, Chunk, Document, DocumentError, DocumentFilter, DocumentMove};
use aimate_core::{CollectionId, DocumentId, Error, Page, PageRequest, Result, Scope, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};
use sqlx::QueryBuilder;

use super::index;
use crate::error::failure;
use crate::message::hex_list;
use crate::row::Columns;
use crate::statement::{before, built, found, page_by_id, rows_of, scoped};
use crate::value::{count, json, text};
use crate::{Database, SqlStore};

/// The columns of a document.
macro_rules! columns {
    () => {
        "id, collection_id, name, title, source, media_type, size, content_hash, status, error, progress, \
         chunk_count, warnings, metadata, created_at, updated_at"
    };
}

/// Into a collection of the user's, or into none. What was findable keeps its
/// title.
const ADD: &str = concat!(
    "INSERT INTO documents (tenant_id, user_id, collection_id, id, name, title, source, source_hash, \
     media_type, size, content_hash, metadata, created_at, updated_at, status, progress, chunk_count, \
     warnings, attempt, tries, not_before) \
     SELECT c.tenant_id, c.user_id, c.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'pending', 0, 0, \
     '[]', 0, 0, 0 FROM collections c WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 \
     ON CONFLICT (tenant_id, collection_id, source_hash) WHERE source_hash IS NOT NULL DO UPDATE SET \
     name = excluded.name, media_type = excluded.media_type, size = excluded.size, \
     title = CASE WHEN documents.segment_id IS NULL THEN excluded.title ELSE documents.title END, \
     former_hash = documents.content_hash, content_hash = excluded.content_hash, \
     metadata = excluded.metadata, status = 'pending', error = NULL, progress = 0, \
     attempt = documents.attempt + 1, tries = 0, worker_id = NULL, not_before = 0, \
     updated_at = excluded.updated_at \
     RETURNING former_hash, ",
    columns!()
);
const GET: &str =
    concat!("SELECT ", columns!(), " FROM documents WHERE tenant_id = $1 AND user_id = $2 AND id = $3");

const SQLITE_GET_MANY: &str = "SELECT id, collection_id, name, title, source, media_type, size, content_hash, \
    status, error, progress, chunk_count, warnings, metadata, created_at, updated_at FROM documents \
    WHERE tenant_id = $1 AND user_id = $2 AND id IN (SELECT unhex(value) FROM json_each($3))";
const POSTGRES_GET_MANY: &str = "SELECT id, collection_id, name, title, source, media_type, size, \
    content_hash, status, error, progress, chunk_count, warnings, metadata, created_at, updated_at \
    FROM documents WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3)";
/// By the hash, which has an index: a source may be longer than an index takes.
const GET_BY_SOURCE: &str = "SELECT id, collection_id, name, title, source, media_type, size, content_hash, \
    status, error, progress, chunk_count, warnings, metadata, created_at, updated_at FROM documents \
    WHERE tenant_id = $1 AND user_id = $2 AND collection_id = $3 AND source_hash = $4";

/// Documents that are moved may take each other's place: all leave theirs
/// first.
const POSTGRES_LEAVE: &str =
    "UPDATE documents SET source_hash = NULL WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3)";
const SQLITE_LEAVE: &str = "UPDATE documents SET source_hash = NULL \
    WHERE tenant_id = $1 AND user_id = $2 AND id IN (SELECT unhex(value) FROM json_each($3))";

macro_rules! moved {
    ($from:literal) => {
        concat!(
            "UPDATE documents SET name = m.name, source = m.source, source_hash = m.source_hash, \
             title = CASE WHEN documents.segment_id IS NULL THEN m.name ELSE documents.title END, \
             updated_at = $3 FROM ",
            $from,
            " WHERE documents.tenant_id = $1 AND documents.user_id = $2 AND documents.id = m.id"
        )
    };
}
const POSTGRES_MOVE: &str =
    moved!("unnest($4::uuid[], $5::text[], $6::text[], $7::text[]) AS m (id, name, source, source_hash)");
const SQLITE_MOVE: &str = moved!(
    "(SELECT unhex(value ->> 0) AS id, value ->> 1 AS name, value ->> 2 AS source, value ->> 3 AS source_hash \
     FROM json_each($4)) AS m"
);

const CANCEL: &str = concat!(
    "UPDATE documents SET status = 'failed', error = $4, attempt = attempt + 1, worker_id = NULL, \
     updated_at = $5 WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
     AND status IN ('pending', 'processing') RETURNING ",
    columns!()
);
const CLEAR_VECTORS: &str = "DELETE FROM vectors WHERE tenant_id = $1 AND document_id = $2 AND NOT EXISTS \
    (SELECT 1 FROM chunks c WHERE c.tenant_id = vectors.tenant_id AND c.id = vectors.chunk_id)";

const CHUNKS: &str = "SELECT id, document_id, position, content, headings, page, starts_at, ends_at FROM chunks \
    WHERE tenant_id = $1 AND document_id = $3 AND position >= $4 AND EXISTS (SELECT 1 FROM documents d \
    WHERE d.tenant_id = $1 AND d.user_id = $2 AND d.id = $3) ORDER BY position LIMIT $5";

/// The document of a row.
pub(super) fn document(row: &impl Columns) -> Result<Document> {
    Ok(Document {
        id: row.get("id")?,
        collection_id: row.get("collection_id")?,
        name: row.get("name")?,
        title: row.get("title")?,
        source: row.maybe("source")?,
        media_type: row.get("media_type")?,
        size: row.get("size")?,
        content_hash: row.get("content_hash")?,
        status: row.name("status")?,
        error: row.maybe_json("error")?,
        progress: row.get("progress")?,
        chunk_count: row.get("chunk_count")?,
        warnings: row.json("warnings")?,
        metadata: row.json("metadata")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The chunk of a row.
pub(super) fn chunk(row: &impl Columns) -> Result<Chunk> {
    Ok(Chunk {
        id: row.get("id")?,
        document_id: row.get("document_id")?,
        index: row.get("position")?,
        text: row.get("content")?,
        headings: row.json("headings")?,
        page: row.maybe("page")?,
        start: row.get("starts_at")?,
        end: row.get("ends_at")?,
    })
}

/// The bytes of the document in a row.
pub(super) fn blob(tenant: TenantId, row: &impl Columns) -> Result<Blob> {
    Ok(Blob { tenant, document: row.get("id")?, hash: row.get("content_hash")? })
}

/// What stands for a source in an index.
fn source_hash(source: &str) -> String {
    format!("{:x}", Sha256::digest(source))
}

/// See [`DocumentStore::add`](aimate_core::knowledge::DocumentStore::add).
pub(super) async fn add(store: &SqlStore, scope: &Scope, new: &Document) -> Result<(Document, Option<Blob>)> {
    let metadata = json(&new.metadata)?;
    let source = new.source.as_ref().map(|source| text(source).into_owned());
    on!(store, |db| {
        let query = scoped(ADD, scope)
            .bind(new.collection_id.0)
            .bind(new.id.0)
            .bind(text(&new.name).into_owned())
            .bind(text(&new.title).into_owned())
            .bind(source.clone())
            .bind(source.as_deref().map(source_hash))
            .bind(text(&new.media_type).into_owned())
            .bind(count(new.size))
            .bind(text(&new.content_hash).into_owned())
            .bind(metadata)
            .bind(new.created_at.0)
            .bind(new.updated_at.0);
        let rows = db.write(query).await?;
        let row = found(rows.first(), || Error::missing("collection", new.collection_id))?;
        let document = document(row)?;
        let former = row.maybe::<String>("former_hash")?.filter(|former| *former != document.content_hash);
        let former = former.map(|hash| Blob { tenant: scope.tenant, document: document.id, hash });
        Ok((document, former))
    })
}

/// See [`DocumentStore::get`](aimate_core::knowledge::DocumentStore::get).
pub(super) async fn get(store: &SqlStore, scope: &Scope, id: DocumentId) -> Result<Document> {
    on!(store, |db| {
        let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
        document(&found(row, || Error::missing("document", id))?)
    })
}

/// See [`DocumentStore::get_many`](aimate_core::knowledge::DocumentStore::get_many).
pub(super) async fn get_many(store: &SqlStore, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Document>> {
    let ids = ids.iter().map(|id| id.0);
    match &store.database {
        Database::Sqlite(db) => {
            let rows = db.read(scoped(SQLITE_GET_MANY, scope).bind(hex_list(ids))).await?;
            rows.iter().map(document).collect()
        }
        Database::Postgres(db) => {
            let rows = db.read(scoped(POSTGRES_GET_MANY, scope).bind(ids.collect::<Vec<_>>())).await?;
            rows.iter().map(document).collect()
        }
    }
}

/// See [`DocumentStore::get_by_source`](aimate_core::knowledge::DocumentStore::get_by_source).
pub(super) async fn get_by_source(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
    source: &str,
) -> Result<Option<Document>> {
    let hash = source_hash(&text(source));
    on!(store, |db| {
        let row = db.read_first(scoped(GET_BY_SOURCE, scope).bind(collection.0).bind(hash)).await?;
        row.as_ref().map(document).transpose()
    })
}

/// The statement that lists documents, with the conditions that are asked for
/// alone, so that each finds its index.
macro_rules! list {
    ($scope:expr, $filter:expr, $page:expr) => {{
        let (scope, filter, page) = ($scope, $filter, $page);
        let mut query =
            QueryBuilder::new(concat!("SELECT ", columns!(), " FROM documents WHERE tenant_id = "));
        query.push_bind(scope.tenant.0).push(" AND user_id = ").push_bind(scope.user.0);
        if let Some(collection) = filter.collection {
            query.push(" AND collection_id = ").push_bind(collection.0);
        }
        if let Some(status) = filter.status {
            query.push(" AND status = ").push_bind(status.as_str());
        }
        if let Some(prefix) = filter.source_prefix.as_ref().map(|prefix| text(prefix).into_owned()) {
            query.push(" AND substr(source, 1, CAST(").push_bind(count(prefix.chars().count()));
            query.push(" AS integer)) = ").push_bind(prefix);
        }
        query.push(" AND id < ").push_bind(before(page));
        query.push(" ORDER BY id DESC LIMIT ").push_bind(rows_of(page));
        query
    }};
}

/// See [`DocumentStore::list`](aimate_core::knowledge::DocumentStore::list).
pub(super) async fn list(
    store: &SqlStore,
    scope: &Scope,
    filter: &DocumentFilter,
    page: PageRequest,
) -> Result<Page<Document>> {
    let rows: Vec<Document> = on!(store, |db| {
        let query = list!(scope, filter, page);
        db.read(built(query)).await?.iter().map(document).collect::<Result<_>>()?
    });
    Ok(page_by_id(rows, page, |document| document.id.0))
}

/// See [`DocumentStore::rename`](aimate_core::knowledge::DocumentStore::rename).
pub(super) async fn rename(
    store: &SqlStore,
    scope: &Scope,
    moves: &[DocumentMove],
    now: Timestamp,
) -> Result<()> {
    let moves: HashMap<DocumentId, (String, String)> = moves
        .iter()
        .map(|moved| (moved.id, (text(&moved.name).into_owned(), text(&moved.source).into_owned())))
        .collect();
    if moves.is_empty() {
        return Ok(());
    }
    let expected = moves.len() as u64;
    let check = move |touched: &[u64]| {
        let all = touched.last() == Some(&expected);
        found(all.then_some(()), || Error::not_found("one of the documents to move is not there"))
    };
    match &store.database {
        Database::Sqlite(db) => {
            let rows: Vec<_> = moves
                .iter()
                .map(|(id, (name, source))| (id.0.simple().to_string(), name, source, source_hash(source)))
                .collect();
            let queries = vec![
                scoped(SQLITE_LEAVE, scope).bind(hex_list(moves.keys().map(|id| id.0))),
                scoped(SQLITE_MOVE, scope).bind(now.0).bind(json(&rows)?),
            ];
            db.all(queries, check).await
        }
        Database::Postgres(db) => {
            let ids: Vec<_> = moves.keys().map(|id| id.0).collect();
            let hashes: Vec<String> = moves.values().map(|(_, source)| source_hash(source)).collect();
            let (names, sources): (Vec<String>, Vec<String>) = moves.into_values().unzip();
            let queries = vec![
                scoped(POSTGRES_LEAVE, scope).bind(ids.clone()),
                scoped(POSTGRES_MOVE, scope).bind(now.0).bind(ids).bind(names).bind(sources).bind(hashes),
            ];
            db.all(queries, check).await
        }
    }
}

/// See [`DocumentStore::delete`](aimate_core::knowledge::DocumentStore::delete).
pub(super) async fn delete(store: &SqlStore, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Blob>> {
    index::delete_documents(store, scope, ids).await
}

/// See [`DocumentStore::cancel`](aimate_core::knowledge::DocumentStore::cancel).
pub(super) async fn cancel(
    store: &SqlStore,
    scope: &Scope,
    id: DocumentId,
    reason: &DocumentError,
    now: Timestamp,
) -> Result<Document> {
    let reason = json(reason)?;
    let cancelled: Option<Document> = on!(store, |db| {
        let cancel = scoped(CANCEL, scope).bind(id.0).bind(reason).bind(now.0);
        let clear = sqlx::query(CLEAR_VECTORS).bind(scope.tenant.0).bind(id.0);
        db.transaction(move |session| {
            Box::pin(async move {
                let row = cancel.fetch_optional(&mut *session).await.map_err(failure)?;
                if row.is_some() {
                    clear.execute(session).await.map_err(failure)?;
                }
                row.as_ref().map(document).transpose()
            })
        })
        .await?
    });
    match cancelled {
        Some(document) => Ok(document),
        None => get(store, scope, id).await,
    }
}

/// See [`DocumentStore::chunks`](aimate_core::knowledge::DocumentStore::chunks).
pub(super) async fn chunks(
    store: &SqlStore,
    scope: &Scope,
    id: DocumentId,
    from: u32,
    limit: u32,
) -> Result<Vec<Chunk>> {
    let chunks: Vec<Chunk> = on!(store, |db| {
        let query = scoped(CHUNKS, scope).bind(id.0).bind(i64::from(from)).bind(i64::from(limit));
        db.read(query).await?.iter().map(chunk).collect::<Result<_>>()?
    });
    if chunks.is_empty() {
        get(store, scope, id).await?;
    }
    Ok(chunks)
}
