//! Vectors of chunks: stored, read, compared.

use std::collections::HashMap;
use std::sync::LazyLock;

use aimate_core::knowledge::{ScoredChunk, SpaceVectors};
use aimate_core::{ChunkId, DocumentId, Error, Result, Scope, SpaceId, UserId};
use aimate_index::{half_vector, quantize};
use uuid::Uuid;

use super::pg_copy::{CopyRows, MIN_ROWS};
use super::sqlite_batch::SqliteBatch;
use crate::database::{Array, Row, Sql, Statement, each};
use crate::value::count;
use crate::{Kind, SqlStore};

/// Vectors that are held at once where a whole segment's are read.
const AT_ONCE: usize = 2048;

// These four read vectors of the chunks `$4` in those of the spaces `$3` that are
// the user's, or, for a search, shared by the tenant. `CROSS JOIN` keeps SQLite's planner to this order: by the keys of the
// few spaces and chunks, never by all of a space.

const PRESENT: Sql = Sql::Each {
    sqlite: "SELECT v.chunk_id FROM json_each($3) w CROSS JOIN spaces s CROSS JOIN collections c \
        CROSS JOIN vectors v WHERE s.tenant_id = $1 AND s.id = unhex(w.value) \
        AND c.tenant_id = $1 AND c.user_id = $2 AND c.id = s.collection_id \
        AND v.tenant_id = $1 AND v.space_id = s.id \
        AND v.chunk_id IN (SELECT unhex(value) FROM json_each($4))",
    postgres: "SELECT v.chunk_id FROM spaces s CROSS JOIN collections c CROSS JOIN vectors v \
        WHERE s.tenant_id = $1 AND s.id = ANY($3) \
        AND c.tenant_id = $1 AND c.user_id = $2 AND c.id = s.collection_id \
        AND v.tenant_id = $1 AND v.space_id = s.id AND v.chunk_id = ANY($4)",
};
const LOAD: Sql = Sql::Each {
    sqlite: "SELECT v.chunk_id, v.vector FROM json_each($3) w CROSS JOIN spaces s CROSS JOIN collections c \
        CROSS JOIN vectors v WHERE s.tenant_id = $1 AND s.id = unhex(w.value) \
        AND c.tenant_id = $1 AND c.id = s.collection_id \
        AND (c.workspace_id IS NULL AND c.user_id IN ($2, $5) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
        AND v.tenant_id = $1 AND v.space_id = s.id \
        AND v.chunk_id IN (SELECT unhex(value) FROM json_each($4))",
    postgres: "SELECT v.chunk_id, halfvec_send(v.vector) AS vector FROM spaces s CROSS JOIN vectors v \
        WHERE s.tenant_id = $1 AND s.id = ANY($3) AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $5) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = s.collection_id) \
        AND v.tenant_id = $1 AND v.space_id = s.id AND v.chunk_id = ANY($4)",
};
/// In spaces of `$5` dimensions; the cosines are computed here. All ids one after the
/// other and all vectors, as one row: hundreds of rows through the driver take as long
/// again as finding them. They go through text, whose bytes stay as they are in UTF-8.
const SQLITE_COMPARED: Sql = Sql::Sqlite(
    "SELECT CAST('a' AS BLOB) = X'61' AS is_utf_8, CAST(group_concat(v.chunk_id, '') AS BLOB) AS ids, \
     CAST(group_concat(v.vector, '') AS BLOB) AS bytes FROM json_each($3) w CROSS JOIN spaces s CROSS JOIN collections c \
     CROSS JOIN vectors v WHERE s.tenant_id = $1 AND s.id = unhex(w.value) \
     AND c.tenant_id = $1 AND c.id = s.collection_id \
     AND (c.workspace_id IS NULL AND c.user_id IN ($2, $6) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
     AND v.tenant_id = $1 AND v.space_id = s.id \
     AND v.chunk_id IN (SELECT unhex(value) FROM json_each($4)) AND s.dimensions = $5",
);
/// In spaces of `$5` dimensions, with the cosine of the vector `$6`: of vectors
/// whose length is 1 it is the inner product, which `<#>` gives with a minus sign.
const POSTGRES_COSINES: Sql = Sql::Postgres(
    "SELECT v.chunk_id, -(v.vector <#> $6::real[]::halfvec) AS score \
     FROM spaces s CROSS JOIN vectors v WHERE s.tenant_id = $1 AND s.id = ANY($3) \
     AND (SELECT c.workspace_id IS NULL AND c.user_id IN ($2, $7) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) \
        IS NOT NULL FROM collections c WHERE c.tenant_id = $1 AND c.id = s.collection_id) \
     AND v.tenant_id = $1 AND v.space_id = s.id AND v.chunk_id = ANY($4) AND s.dimensions = $5",
);

const SQLITE_STORE: Sql = Sql::Sqlite(
    "INSERT INTO vectors (tenant_id, space_id, chunk_id, document_id, vector) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (tenant_id, space_id, chunk_id) \
     DO UPDATE SET document_id = excluded.document_id, vector = excluded.vector",
);
/// The numbers of all vectors, `$6` each, stand one after the other in `$5`.
const POSTGRES_STORE_FEW: Sql = Sql::Postgres(
    "INSERT INTO vectors (tenant_id, space_id, chunk_id, document_id, vector) \
     SELECT $1, $2, r.chunk_id, r.document_id, ($5::real[])[(r.n - 1) * $6 + 1:r.n * $6]::halfvec \
     FROM unnest($3::uuid[], $4::uuid[]) WITH ORDINALITY AS r (chunk_id, document_id, n) \
     ON CONFLICT (tenant_id, space_id, chunk_id) \
     DO UPDATE SET document_id = excluded.document_id, vector = excluded.vector",
);
const POSTGRES_CLEAR: Sql =
    Sql::Postgres("DELETE FROM vectors WHERE tenant_id = $1 AND space_id = $2 AND chunk_id = ANY($3)");
const POSTGRES_COPY: Sql =
    Sql::Copy("COPY vectors (tenant_id, space_id, chunk_id, document_id, vector) FROM STDIN (FORMAT binary)");

static SQLITE_BATCH: LazyLock<SqliteBatch> = LazyLock::new(|| SqliteBatch::new(SQLITE_STORE, 2));

/// A vector that is to be stored.
pub(super) type NewVector = (ChunkId, DocumentId, Vec<f32>);

/// Refuses vectors that the space cannot hold.
pub(super) fn check(vectors: &SpaceVectors, dimensions: usize) -> Result<()> {
    for (_, _, vector) in &vectors.vectors {
        if vector.len() != dimensions {
            let message = format!("a vector has {} numbers; the space's have {dimensions}", vector.len());
            return Err(Error::invalid(message));
        }
        if !vector.iter().all(|number| number.is_finite()) {
            return Err(Error::invalid("a vector has a number that is not finite"));
        }
    }
    Ok(())
}

/// The statements that store vectors of one space, in place of those that are
/// there. Unless one `may_exist`, a conflict with one is an error: `COPY` cannot
/// replace rows, and deleting first what is known not to exist costs a scan.
pub(super) fn store(
    kind: Kind,
    scope: &Scope,
    space: SpaceId,
    dimensions: usize,
    vectors: &[&NewVector],
    may_exist: bool,
) -> Result<Vec<Statement>> {
    if vectors.is_empty() {
        return Ok(Vec::new());
    }
    // In the order of the key, which is the order of the pages they go to; and each
    // once, since one statement cannot update a row twice.
    let mut sorted = vectors.to_vec();
    sorted.sort_unstable_by_key(|(chunk, ..)| *chunk);
    sorted.dedup_by_key(|(chunk, ..)| *chunk);
    match kind {
        Kind::Sqlite => {
            let shared = |sql: Sql| sql.bind(scope.tenant).bind(space);
            SQLITE_BATCH.statements(&sorted, shared, |statement, (chunk, document, vector)| {
                let mut halves = Vec::with_capacity(2 * dimensions);
                half_vector::encode(vector, &mut halves);
                Ok(statement.bind(*chunk).bind(*document).bind(halves))
            })
        }
        Kind::Postgres if sorted.len() < MIN_ROWS => {
            Ok(vec![postgres_insert(scope, space, dimensions, &sorted)])
        }
        Kind::Postgres => {
            let ids = sorted.iter().map(|(chunk, ..)| chunk.0).collect::<Vec<_>>();
            let clear = may_exist.then(|| POSTGRES_CLEAR.bind(scope.tenant).bind(space).bind(ids));
            let copy = postgres_copy(scope, space, dimensions, &sorted);
            Ok(clear.into_iter().chain([copy]).collect())
        }
    }
}

fn postgres_insert(scope: &Scope, space: SpaceId, dimensions: usize, vectors: &[&NewVector]) -> Statement {
    let mut numbers = Vec::with_capacity(vectors.len() * dimensions);
    let mut halves = Vec::with_capacity(2 * dimensions);
    for (.., vector) in vectors {
        // Rounded here, so that both databases round alike.
        halves.clear();
        half_vector::encode(vector, &mut halves);
        numbers.extend(half_vector::decode(&halves));
    }
    POSTGRES_STORE_FEW
        .bind(scope.tenant)
        .bind(space)
        .bind(Array::uuids(vectors.iter().map(|(chunk, ..)| chunk.0)))
        .bind(Array::uuids(vectors.iter().map(|(_, document, _)| document.0)))
        .bind(Array::Reals(numbers))
        .bind(count(dimensions))
}

fn postgres_copy(scope: &Scope, space: SpaceId, dimensions: usize, vectors: &[&NewVector]) -> Statement {
    let mut rows = CopyRows::new(5);
    let mut halves = Vec::with_capacity(2 * dimensions);
    for (chunk, document, vector) in vectors {
        halves.clear();
        half_vector::encode(vector, &mut halves);
        rows.row().uuid(scope.tenant.0).uuid(space.0).uuid(chunk.0).uuid(document.0).halfvec(&halves);
    }
    POSTGRES_COPY.bind(rows.finish())
}

/// Which of `chunks` have a vector in the space.
pub(super) async fn present(
    store: &SqlStore,
    scope: &Scope,
    space: SpaceId,
    chunks: Vec<Uuid>,
) -> Result<Vec<ChunkId>> {
    let rows = store.database.read(PRESENT.scoped(scope).bind(vec![space.0]).bind(chunks)).await?;
    each(&rows, |row| row.get("chunk_id"))
}

/// The vectors of `chunks` in the spaces.
pub(super) async fn load(
    store: &SqlStore,
    scope: &Scope,
    spaces: Vec<Uuid>,
    chunks: Vec<Uuid>,
) -> Result<Vec<(ChunkId, Vec<f32>)>> {
    let kind = store.database.kind();
    let rows = store.database.read(LOAD.scoped(scope).bind(spaces).bind(chunks).bind(UserId::SHARED)).await?;
    each(&rows, |row| Ok((row.get("chunk_id")?, vector(row, kind)?)))
}

fn vector(row: &Row, kind: Kind) -> Result<Vec<f32>> {
    let mut bytes: Vec<u8> = row.get("vector")?;
    if kind == Kind::Postgres {
        // As pgvector sends it: the number of dimensions as `u16`, a zero `u16`, then
        // the half floats big-endian.
        bytes.drain(..4.min(bytes.len()));
        bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|half| half.reverse());
    }
    Ok(half_vector::decode(&bytes))
}

/// The codes of `chunks` one after the other; `None` if one has no vector in the
/// space.
pub(super) async fn codes(
    store: &SqlStore,
    scope: &Scope,
    space: SpaceId,
    chunks: &[Uuid],
) -> Result<Option<Vec<u8>>> {
    let mut codes = Vec::new();
    for part in chunks.chunks(AT_ONCE) {
        let loaded = load(store, scope, vec![space.0], part.to_vec()).await?;
        let vectors: HashMap<Uuid, Vec<f32>> =
            loaded.into_iter().map(|(chunk, vector)| (chunk.0, vector)).collect();
        for chunk in part {
            let Some(vector) = vectors.get(chunk) else { return Ok(None) };
            quantize::encode(vector, &mut codes);
        }
    }
    Ok(Some(codes))
}

/// The cosines of `question` with those of `chunks` that have a vector in the
/// spaces, in no order.
pub(super) async fn cosines(
    store: &SqlStore,
    scope: &Scope,
    spaces: Vec<Uuid>,
    question: &[f32],
    chunks: Vec<Uuid>,
) -> Result<Vec<ScoredChunk>> {
    // Both databases compare with the question as PostgreSQL sees it: in half
    // precision.
    let mut halves = Vec::with_capacity(2 * question.len());
    half_vector::encode(question, &mut halves);
    let question = half_vector::decode(&halves);
    let dimensions = count(question.len());
    match store.database.kind() {
        Kind::Sqlite => {
            let compared = SQLITE_COMPARED.scoped(scope).bind(spaces.clone()).bind(chunks.clone());
            let compared = compared.bind(dimensions).bind(UserId::SHARED);
            let row = store.database.read_first(compared).await?;
            let Some(found) = row.map(|row| compare(&row, &question)).transpose()?.flatten() else {
                let mut loaded = load(store, scope, spaces, chunks).await?;
                loaded.retain(|(_, vector)| vector.len() == question.len());
                let score = |vector: Vec<f32>| half_vector::dot(&question, &vector);
                let scored =
                    loaded.into_iter().map(|(chunk, vector)| ScoredChunk { chunk, score: score(vector) });
                return Ok(scored.collect());
            };
            Ok(found)
        }
        Kind::Postgres => {
            let cosines = POSTGRES_COSINES.scoped(scope).bind(spaces).bind(chunks).bind(dimensions);
            let rows = store.database.read(cosines.bind(Array::Reals(question)).bind(UserId::SHARED)).await?;
            each(&rows, |row| Ok(ScoredChunk { chunk: row.get("chunk_id")?, score: row.get("score")? }))
        }
    }
}

/// The cosines of the vectors that came as one row. `None` if they are not whole: an
/// application's database may keep its text in UTF-16.
fn compare(row: &Row, question: &[f32]) -> Result<Option<Vec<ScoredChunk>>> {
    if !row.get::<bool>("is_utf_8")? {
        return Ok(None);
    }
    let Some(chunks) = row.maybe::<Vec<u8>>("ids")? else { return Ok(Some(Vec::new())) };
    let vectors: Vec<u8> = row.get("bytes")?;
    let (chunks, rest) = chunks.as_chunks::<16>();
    let vector_length = 2 * question.len();
    if !rest.is_empty() || vector_length == 0 || vectors.len() != chunks.len() * vector_length {
        return Ok(None);
    }
    let scored = chunks.iter().zip(vectors.chunks_exact(vector_length)).map(|(chunk, vector)| ScoredChunk {
        chunk: ChunkId(Uuid::from_bytes(*chunk)),
        score: half_vector::dot(question, &half_vector::decode(vector)),
    });
    Ok(Some(scored.collect()))
}
