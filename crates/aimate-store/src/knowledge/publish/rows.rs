//! The rows of documents and chunks that are published.

use aimate_core::knowledge::{NewChunk, Publication, PublishedDocument};
use aimate_core::{Result, Scope};
use serde_json::json;
use uuid::Uuid;

use crate::Kind;
use crate::knowledge::copy::{CopyRows, FEW_ROWS};
use crate::knowledge::step::{Pair, Step, among, pair, part, rows};
use crate::value;

/// Chunks of one statement.
const AT_ONCE: usize = 1000;

/// The documents become ready if they are still worked on.
macro_rules! ready {
    ($database:ident) => {
        concat!(
            "UPDATE documents SET status = 'ready', error = NULL, progress = 1, worker_id = NULL, \
             title = r.value ->> 2, media_type = r.value ->> 3, warnings = r.value -> 4, chunk_count = ",
            part!($database, "5", bigint),
            ", segment_id = CASE WHEN ",
            part!($database, "5", bigint),
            " = 0 THEN NULL ELSE $5 END, updated_at = $6 FROM ",
            rows!($database, "$4"),
            " WHERE documents.tenant_id = $1 AND documents.user_id = $2 AND documents.collection_id = $3 \
             AND documents.id = ",
            part!($database, "0", uuid),
            " AND documents.attempt = ",
            part!($database, "1", bigint),
            " AND documents.status = 'processing'"
        )
    };
}
const READY: Pair = pair!(ready);

macro_rules! clear {
    ($database:ident) => {
        concat!("DELETE FROM chunks WHERE tenant_id = $1 AND document_id ", among!($database, "$3"))
    };
}
/// Deletes the chunks of documents.
pub(super) const CLEAR: Pair = pair!(clear);

macro_rules! prune {
    ($database:ident) => {
        concat!(
            "DELETE FROM vectors WHERE tenant_id = $1 AND document_id ",
            among!($database, "$3"),
            " AND (SELECT c.id FROM chunks c WHERE c.tenant_id = $1 AND c.id = vectors.chunk_id) IS NULL"
        )
    };
}
/// Deletes vectors of documents that belong to none of their findable chunks.
pub(super) const PRUNE: Pair = pair!(prune);

macro_rules! add_chunks {
    ($database:ident) => {
        concat!(
            "INSERT INTO chunks \
             (tenant_id, id, document_id, position, content, headings, page, starts_at, ends_at) \
             SELECT $1, ",
            part!($database, "0", uuid),
            ", ",
            part!($database, "1", uuid),
            ", ",
            part!($database, "2", bigint),
            ", r.value ->> 3, r.value -> 4, ",
            part!($database, "5", bigint),
            ", ",
            part!($database, "6", bigint),
            ", ",
            part!($database, "7", bigint),
            " FROM ",
            rows!($database, "$3")
        )
    };
}
const ADD_CHUNKS: Pair = pair!(add_chunks);
const COPY_CHUNKS: &str = "COPY chunks \
    (tenant_id, id, document_id, position, content, headings, page, starts_at, ends_at) \
    FROM STDIN (FORMAT binary)";

/// The documents become ready, their chunks in `segment`.
pub(super) fn ready(
    scope: &Scope,
    publication: &Publication,
    documents: &[&PublishedDocument],
    segment: Option<Uuid>,
) -> Result<Step> {
    let rows: Vec<_> = documents
        .iter()
        .map(|document| {
            json!([
                document.fence.document.0.simple().to_string(),
                document.fence.attempt,
                document.title,
                document.media_type,
                document.warnings,
                document.chunks.len(),
            ])
        })
        .collect();
    let step =
        Step::new(READY, scope).id(publication.collection.0).text(value::json(&rows)?.0.get().to_owned());
    Ok(step.maybe_id(segment).int(publication.now.0).expect(documents.len()))
}

/// Stores chunks.
pub(super) fn chunks(kind: Kind, scope: &Scope, chunks: &[&NewChunk]) -> Result<Vec<Step>> {
    chunks.chunks(AT_ONCE).map(|part| some_chunks(kind, scope, part)).collect()
}

fn some_chunks(kind: Kind, scope: &Scope, chunks: &[&NewChunk]) -> Result<Step> {
    if kind == Kind::Sqlite || chunks.len() < FEW_ROWS {
        let rows: Vec<_> = chunks
            .iter()
            .map(|NewChunk { chunk, .. }| {
                let (id, document) = (chunk.id.0.simple(), chunk.document_id.0.simple());
                let (page, start, end) = (chunk.page, chunk.start, chunk.end);
                (id, document, chunk.index, &chunk.text, &chunk.headings, page, start, end)
            })
            .collect();
        return Ok(Step::new(ADD_CHUNKS, scope).text(value::json(&rows)?.0.get().to_owned()));
    }
    let mut rows = CopyRows::new(9);
    for NewChunk { chunk, .. } in chunks {
        rows.row()
            .uuid(scope.tenant.0)
            .uuid(chunk.id.0)
            .uuid(chunk.document_id.0)
            .int(i64::from(chunk.index))
            .text(&value::text(&chunk.text))
            .json(value::json(&chunk.headings)?.0.get())
            .maybe_int(chunk.page.map(i64::from))
            .int(value::count(chunk.start))
            .int(value::count(chunk.end));
    }
    Ok(Step::copy(COPY_CHUNKS, scope, rows.finish()))
}
