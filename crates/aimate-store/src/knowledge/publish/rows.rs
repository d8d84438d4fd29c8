//! The rows of documents and chunks that are published.

use std::sync::LazyLock;

use aimate_core::knowledge::{NewChunk, Publication, PublishedDocument};
use aimate_core::{Result, Scope};
use serde_json::json;
use uuid::Uuid;

use crate::Kind;
use crate::knowledge::copy::{CopyRows, FEW_ROWS};
use crate::knowledge::insert::Insert;
use crate::knowledge::step::{Array, Pair, Step, among, is_of_collection, is_processing, pair, part, rows};
use crate::value;

/// Chunks that PostgreSQL is given in one statement.
const AT_ONCE: usize = 4_096;

/// The rows of documents that are still worked on, with `$4`'s: the document's id
/// and the attempt come first in each.
macro_rules! of_fences {
    ($database:ident) => {
        concat!(
            rows!($database, "$4"),
            " WHERE documents.tenant_id = $1 AND documents.user_id = $2 AND ",
            is_of_collection!(),
            " AND documents.id = ",
            part!($database, "0", uuid),
            " AND documents.attempt = ",
            part!($database, "1", bigint),
            " AND ",
            is_processing!()
        )
    };
}
pub(super) use of_fences;

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
            of_fences!($database)
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

const ADD_FEW_CHUNKS: &str = "INSERT INTO chunks \
    (tenant_id, id, document_id, position, content, headings, page, starts_at, ends_at) \
    SELECT $1, r.id, r.document_id, r.position, r.content, r.headings::jsonb, r.page, r.starts_at, r.ends_at \
    FROM unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], \
    $10::bigint[]) AS r (id, document_id, position, content, headings, page, starts_at, ends_at)";
static SQLITE_ADD_CHUNKS: LazyLock<Insert> = LazyLock::new(|| {
    let columns = "tenant_id, id, document_id, position, content, headings, page, starts_at, ends_at";
    Insert::new(&format!("chunks ({columns})"), "$1", 2, 8, "")
});
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
    match kind {
        Kind::Sqlite => sqlite_chunks(scope, chunks),
        Kind::Postgres => chunks.chunks(AT_ONCE).map(|part| postgres_chunks(scope, part)).collect(),
    }
}

fn sqlite_chunks(scope: &Scope, chunks: &[&NewChunk]) -> Result<Vec<Step>> {
    let own = |step: Step, NewChunk { chunk, .. }: &&NewChunk| {
        Ok(step
            .id(chunk.id.0)
            .id(chunk.document_id.0)
            .int(i64::from(chunk.index))
            .text(value::text(&chunk.text).into_owned())
            .text(value::json(&chunk.headings)?.0.get().to_owned())
            .maybe_int(chunk.page.map(i64::from))
            .int(value::count(chunk.start))
            .int(value::count(chunk.end)))
    };
    SQLITE_ADD_CHUNKS.steps(scope, chunks, |step| step, own)
}

fn postgres_chunks(scope: &Scope, chunks: &[&NewChunk]) -> Result<Step> {
    if chunks.len() < FEW_ROWS {
        let chunks = || chunks.iter().map(|new| &new.chunk);
        let headings = chunks().map(|chunk| Ok(value::json(&chunk.headings)?.0.get().to_owned()));
        return Ok(Step::new(Pair { sqlite: "", postgres: ADD_FEW_CHUNKS }, scope)
            .ids(chunks().map(|chunk| chunk.id.0).collect())
            .ids(chunks().map(|chunk| chunk.document_id.0).collect())
            .array(Array::Ints(chunks().map(|chunk| i64::from(chunk.index)).collect()))
            .array(Array::Texts(chunks().map(|chunk| value::text(&chunk.text).into_owned()).collect()))
            .array(Array::Texts(headings.collect::<Result<_>>()?))
            .array(Array::MaybeInts(chunks().map(|chunk| chunk.page.map(i64::from)).collect()))
            .array(Array::Ints(chunks().map(|chunk| value::count(chunk.start)).collect()))
            .array(Array::Ints(chunks().map(|chunk| value::count(chunk.end)).collect())));
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
