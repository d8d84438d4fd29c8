//! The rows of the chunks of documents that are published.

use std::sync::LazyLock;

use aimate_core::knowledge::NewChunk;
use aimate_core::{Result, Scope};

use crate::Kind;
use crate::database::{Array, Sql, Statement};
use crate::knowledge::pg_copy::{CopyRows, MIN_ROWS};
use crate::knowledge::sqlite_batch::SqliteBatch;
use crate::value::{count, json, text};

/// Chunks that PostgreSQL is given in one statement, which bounds the memory that
/// their encoding takes.
const AT_ONCE: usize = 4_096;

/// Deletes the chunks of documents.
pub(super) const DELETE_CHUNKS: Sql = Sql::Each {
    sqlite: "DELETE FROM chunks WHERE tenant_id = $1 \
        AND document_id IN (SELECT unhex(value) FROM json_each($2))",
    postgres: "DELETE FROM chunks WHERE tenant_id = $1 AND document_id = ANY($2)",
};
/// Deletes vectors of documents that belong to none of their findable chunks.
pub(super) const DELETE_STRAY_VECTORS: Sql = Sql::Each {
    sqlite: "DELETE FROM vectors WHERE tenant_id = $1 \
        AND document_id IN (SELECT unhex(value) FROM json_each($2)) \
        AND (SELECT c.id FROM chunks c WHERE c.tenant_id = $1 AND c.id = vectors.chunk_id) IS NULL",
    postgres: "DELETE FROM vectors WHERE tenant_id = $1 AND document_id = ANY($2) \
        AND (SELECT c.id FROM chunks c WHERE c.tenant_id = $1 AND c.id = vectors.chunk_id) IS NULL",
};

const SQLITE_ADD: Sql = Sql::Sqlite(
    "INSERT INTO chunks (tenant_id, id, document_id, position, content, headings, page, starts_at, ends_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
const POSTGRES_ADD_FEW: Sql = Sql::Postgres(
    "INSERT INTO chunks (tenant_id, id, document_id, position, content, headings, page, starts_at, ends_at) \
     SELECT $1, r.id, r.document_id, r.position, r.content, r.headings, r.page, r.starts_at, r.ends_at \
     FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::jsonb[], $7::bigint[], $8::bigint[], \
     $9::bigint[]) AS r (id, document_id, position, content, headings, page, starts_at, ends_at)",
);
const POSTGRES_COPY: Sql = Sql::Copy(
    "COPY chunks (tenant_id, id, document_id, position, content, headings, page, starts_at, ends_at) \
     FROM STDIN (FORMAT binary)",
);

static SQLITE_BATCH: LazyLock<SqliteBatch> = LazyLock::new(|| SqliteBatch::new(SQLITE_ADD, 1));

/// The statements that store chunks, of documents that have none.
pub(super) fn add(kind: Kind, scope: &Scope, chunks: &[&NewChunk]) -> Result<Vec<Statement>> {
    match kind {
        Kind::Sqlite => SQLITE_BATCH.statements(
            chunks,
            |sql| sql.bind(scope.tenant),
            |statement, NewChunk { chunk, .. }| {
                Ok(statement
                    .bind(chunk.id)
                    .bind(chunk.document_id)
                    .bind(chunk.index)
                    .bind(text(&chunk.text))
                    .bind(json(&chunk.headings)?)
                    .bind(chunk.page)
                    .bind(count(chunk.start))
                    .bind(count(chunk.end)))
            },
        ),
        Kind::Postgres => chunks.chunks(AT_ONCE).map(|chunks| add_to_postgres(scope, chunks)).collect(),
    }
}

fn add_to_postgres(scope: &Scope, chunks: &[&NewChunk]) -> Result<Statement> {
    if chunks.len() < MIN_ROWS {
        let chunks = || chunks.iter().map(|new| &new.chunk);
        let headings = chunks().map(|chunk| json(&chunk.headings).map(Some));
        return Ok(POSTGRES_ADD_FEW
            .bind(scope.tenant)
            .bind(Array::uuids(chunks().map(|chunk| chunk.id.0)))
            .bind(Array::uuids(chunks().map(|chunk| chunk.document_id.0)))
            .bind(Array::ints(chunks().map(|chunk| i64::from(chunk.index))))
            .bind(Array::texts(chunks().map(|chunk| text(&chunk.text).into_owned())))
            .bind(Array::Jsons(headings.collect::<Result<_>>()?))
            .bind(Array::ints(chunks().map(|chunk| chunk.page.map(i64::from))))
            .bind(Array::ints(chunks().map(|chunk| count(chunk.start))))
            .bind(Array::ints(chunks().map(|chunk| count(chunk.end)))));
    }
    let mut rows = CopyRows::new(9);
    for NewChunk { chunk, .. } in chunks {
        rows.row()
            .uuid(scope.tenant.0)
            .uuid(chunk.id.0)
            .uuid(chunk.document_id.0)
            .int(i64::from(chunk.index))
            .text(&text(&chunk.text))
            .json(json(&chunk.headings)?.0.get())
            .maybe_int(chunk.page.map(i64::from))
            .int(count(chunk.start))
            .int(count(chunk.end));
    }
    Ok(POSTGRES_COPY.bind(rows.finish()))
}
