//! Vectors of chunks: stored, read, compared.

use std::collections::HashMap;
use std::sync::LazyLock;

use aimate_core::knowledge::{ScoredChunk, SpaceVectors};
use aimate_core::{ChunkId, DocumentId, Error, Result, Scope, SpaceId};
use aimate_index::{half_vector, quantize};
use uuid::Uuid;

use super::copy::{CopyRows, FEW_ROWS};
use super::insert::Insert;
use super::step::{Array, Dialect as _, Pair, Step, among, pair};
use crate::row::Columns;
use crate::statement::scoped;
use crate::value::count;
use crate::{Database, Kind, SqlStore};

/// Vectors that are read at once where all of a segment's are.
const AT_ONCE: usize = 2048;

/// What `$what` makes of the vectors of chunks `$4` in the user's spaces `$3`.
/// CROSS JOIN keeps SQLite's planner to this order.
macro_rules! vectors {
    (sqlite, $what:literal) => {
        concat!(
            "SELECT v.chunk_id, ",
            $what,
            " FROM json_each($3) w CROSS JOIN spaces s CROSS JOIN collections c CROSS JOIN vectors v \
             WHERE s.tenant_id = $1 AND s.id = unhex(w.value)",
            of_chunks!(sqlite)
        )
    };
    (postgres, $what:literal) => {
        concat!(
            "SELECT v.chunk_id, ",
            $what,
            " FROM spaces s CROSS JOIN collections c CROSS JOIN vectors v \
             WHERE s.tenant_id = $1 AND s.id = ANY($3)",
            of_chunks!(postgres)
        )
    };
}
macro_rules! of_chunks {
    ($database:ident) => {
        concat!(
            " AND c.tenant_id = $1 AND c.user_id = $2 AND c.id = s.collection_id \
             AND v.tenant_id = $1 AND v.space_id = s.id AND v.chunk_id ",
            among!($database, "$4")
        )
    };
}
macro_rules! present {
    ($database:ident) => {
        vectors!($database, "s.id AS space_id")
    };
}
const PRESENT: Pair = pair!(present);
const LOAD: Pair = Pair {
    sqlite: vectors!(sqlite, "v.vector"),
    postgres: vectors!(postgres, "halfvec_send(v.vector) AS vector"),
};
const SQLITE_LOAD: &str = concat!(vectors!(sqlite, "v.vector"), " AND s.dimensions = $5");
const POSTGRES_COSINES: &str =
    concat!(vectors!(postgres, "-(v.vector <#> $6::real[]::halfvec) AS score"), " AND s.dimensions = $5");

static SQLITE_STORE: LazyLock<Insert> = LazyLock::new(|| {
    let table = "vectors (tenant_id, space_id, chunk_id, document_id, vector)";
    let end = "ON CONFLICT (tenant_id, space_id, chunk_id) \
        DO UPDATE SET document_id = excluded.document_id, vector = excluded.vector";
    Insert::new(table, "$1, $3", 3, 3, end)
});
/// The numbers of all vectors, `$7` each, stand one after the other in `$6`.
const POSTGRES_STORE_FEW: &str = "INSERT INTO vectors (tenant_id, space_id, chunk_id, document_id, vector) \
    SELECT $1, $3, r.chunk_id, r.document_id, ($6::real[])[(r.n - 1) * $7 + 1:r.n * $7]::halfvec \
    FROM unnest($4::uuid[], $5::uuid[]) WITH ORDINALITY AS r (chunk_id, document_id, n) \
    ON CONFLICT (tenant_id, space_id, chunk_id) \
    DO UPDATE SET document_id = excluded.document_id, vector = excluded.vector";
const POSTGRES_CLEAR: &str =
    "DELETE FROM vectors WHERE tenant_id = $1 AND space_id = $3 AND chunk_id = ANY($4)";
const POSTGRES_STORE: &str =
    "COPY vectors (tenant_id, space_id, chunk_id, document_id, vector) FROM STDIN (FORMAT binary)";

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

/// Stores vectors of one space, in place of those that are there; unless one
/// `is_there`, a conflict with one is an error.
pub(super) fn store(
    kind: Kind,
    scope: &Scope,
    space: SpaceId,
    dimensions: usize,
    vectors: &[&NewVector],
    is_there: bool,
) -> Result<Vec<Step>> {
    if vectors.is_empty() {
        return Ok(Vec::new());
    }
    let mut sorted = vectors.to_vec();
    sorted.sort_unstable_by_key(|(chunk, ..)| *chunk);
    sorted.dedup_by_key(|(chunk, ..)| *chunk);
    match kind {
        Kind::Sqlite => {
            let own = |step: Step, (chunk, document, vector): &&NewVector| {
                let mut halves = Vec::with_capacity(2 * dimensions);
                half_vector::encode(vector, &mut halves);
                Ok(step.id(chunk.0).id(document.0).bytes(halves))
            };
            SQLITE_STORE.steps(scope, &sorted, |step| step.id(space.0), own)
        }
        Kind::Postgres if sorted.len() < FEW_ROWS => {
            let mut numbers = Vec::with_capacity(sorted.len() * dimensions);
            let mut halves = Vec::with_capacity(2 * dimensions);
            for (.., vector) in &sorted {
                halves.clear();
                half_vector::encode(vector, &mut halves);
                numbers.extend(half_vector::decode(&halves));
            }
            let step = Step::new(Pair { sqlite: "", postgres: POSTGRES_STORE_FEW }, scope)
                .id(space.0)
                .ids(sorted.iter().map(|(chunk, ..)| chunk.0).collect())
                .ids(sorted.iter().map(|(_, document, _)| document.0).collect())
                .array(Array::Reals(numbers))
                .int(count(dimensions));
            Ok(vec![step])
        }
        Kind::Postgres => {
            let mut rows = CopyRows::new(5);
            let mut halves = Vec::with_capacity(2 * dimensions);
            for (chunk, document, vector) in &sorted {
                halves.clear();
                half_vector::encode(vector, &mut halves);
                rows.row().uuid(scope.tenant.0).uuid(space.0).uuid(chunk.0).uuid(document.0).halfvec(&halves);
            }
            let clear = || {
                Step::new(Pair { sqlite: "", postgres: POSTGRES_CLEAR }, scope)
                    .id(space.0)
                    .ids(sorted.iter().map(|(chunk, ..)| chunk.0).collect())
            };
            let copy = Step::copy(POSTGRES_STORE, scope, rows.finish());
            Ok(is_there.then(clear).into_iter().chain([copy]).collect())
        }
    }
}

/// Which of `chunks` have a vector in the space.
pub(super) async fn present(
    store: &SqlStore,
    scope: &Scope,
    space: SpaceId,
    chunks: &[Uuid],
) -> Result<Vec<ChunkId>> {
    on!(store, |db| {
        let query = scoped(db.text(PRESENT), scope).bind(db.ids(&[space.0])).bind(db.ids(chunks));
        let rows = db.read(query).await?;
        rows.iter().map(|row| row.get("chunk_id")).collect()
    })
}

/// The vectors of `chunks` in the spaces.
pub(super) async fn load(
    store: &SqlStore,
    scope: &Scope,
    spaces: &[Uuid],
    chunks: &[Uuid],
) -> Result<Vec<(ChunkId, Vec<f32>)>> {
    on!(store, |db| {
        let query = scoped(db.text(LOAD), scope).bind(db.ids(spaces)).bind(db.ids(chunks));
        let rows = db.read(query).await?;
        rows.iter().map(|row| Ok((row.get("chunk_id")?, floats(row, store.kind())?))).collect()
    })
}

fn floats(row: &impl Columns, kind: Kind) -> Result<Vec<f32>> {
    let mut bytes: Vec<u8> = row.get("vector")?;
    if kind == Kind::Postgres {
        // How many they are, nothing, then they in the network's order.
        bytes.drain(..4.min(bytes.len()));
        bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|half| half.reverse());
    }
    Ok(half_vector::decode(&bytes))
}

/// The codes of `chunks` one after the other; `None` if one has no vector in
/// the space.
pub(super) async fn codes(
    store: &SqlStore,
    scope: &Scope,
    space: SpaceId,
    chunks: &[Uuid],
) -> Result<Option<Vec<u8>>> {
    let mut codes = Vec::new();
    for part in chunks.chunks(AT_ONCE) {
        let vectors: HashMap<Uuid, Vec<f32>> = load(store, scope, &[space.0], part)
            .await?
            .into_iter()
            .map(|(chunk, vector)| (chunk.0, vector))
            .collect();
        for chunk in part {
            let Some(vector) = vectors.get(chunk) else { return Ok(None) };
            quantize::encode(vector, &mut codes);
        }
    }
    Ok(Some(codes))
}

/// The cosines of `query` with those of `chunks` that have a vector in the
/// spaces, in no order.
pub(super) async fn cosines(
    store: &SqlStore,
    scope: &Scope,
    spaces: &[Uuid],
    query: &[f32],
    chunks: &[Uuid],
) -> Result<Vec<ScoredChunk>> {
    // Both databases compare with the question as PostgreSQL sees it.
    let mut halves = Vec::with_capacity(2 * query.len());
    half_vector::encode(query, &mut halves);
    let query = half_vector::decode(&halves);
    let dimensions = count(query.len());
    match &store.database {
        Database::Sqlite(db) => {
            let statement = scoped(SQLITE_LOAD, scope).bind(db.ids(spaces)).bind(db.ids(chunks));
            let rows = db.read(statement.bind(dimensions)).await?;
            let scored = rows.iter().map(|row| {
                let score = half_vector::dot(&query, &floats(row, Kind::Sqlite)?);
                Ok(ScoredChunk { chunk: row.get("chunk_id")?, score })
            });
            scored.collect()
        }
        Database::Postgres(db) => {
            let statement = scoped(POSTGRES_COSINES, scope).bind(db.ids(spaces)).bind(db.ids(chunks));
            let rows = db.read(statement.bind(dimensions).bind(query)).await?;
            rows.iter()
                .map(|row| Ok(ScoredChunk { chunk: row.get("chunk_id")?, score: row.get("score")? }))
                .collect()
        }
    }
}
