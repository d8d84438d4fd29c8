//! Embedding spaces: listed, filled, made active, deleted.

mod activate;

use std::collections::HashSet;

use aimate_core::knowledge::{EmbeddingModel, EmbeddingSpace, Passage, SpaceStatus, SpaceVectors};
use aimate_core::{ChunkId, CollectionId, DocumentId, Error, ErrorKind, Result, Scope, SpaceId};
use uuid::Uuid;

use super::find::{passage, passage_columns};
use super::step::{Dialect as _, Pair, Step, among, pair, run, run_if_unchanged};
use super::vector;
use crate::SqlStore;
use crate::error::explain;
use crate::row::Columns;
use crate::statement::{found, scoped};
use crate::value::text;

pub(super) use activate::activate;

/// The columns of the space `s`. While it is built, all its vectors count;
/// later those in the index do, which are the same and sooner counted.
macro_rules! space_columns {
    () => {
        "s.id, s.collection_id, s.model, s.dimensions, s.version, s.status, s.error, s.created_at, \
         CASE s.status WHEN 'building' THEN (SELECT count(*) FROM vectors v \
         WHERE v.tenant_id = s.tenant_id AND v.space_id = s.id) \
         ELSE (SELECT CAST(COALESCE(sum(g.chunk_count), 0) AS bigint) FROM segment_codes k \
         JOIN segments g ON g.tenant_id = k.tenant_id AND g.id = k.segment_id \
         WHERE k.tenant_id = s.tenant_id AND k.space_id = s.id) END AS chunk_count"
    };
}

/// The spaces `s` of the scope's user, with their collections `c`.
macro_rules! own_spaces {
    () => {
        "collections c JOIN spaces s ON s.tenant_id = c.tenant_id AND s.collection_id = c.id"
    };
}

pub(super) use space_columns;

const LIST: &str = concat!(
    "SELECT ",
    space_columns!(),
    " FROM ",
    own_spaces!(),
    " WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 ORDER BY s.id DESC"
);
const GET: &str = concat!(
    "SELECT s.collection_id, s.dimensions, s.status FROM ",
    own_spaces!(),
    " WHERE c.tenant_id = $1 AND c.user_id = $2 AND s.id = $3"
);
const OWNED: &str = "SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3";
/// Of a collection that the user has, else nothing is stored. One that is not in
/// use is built again, by whoever claims it first.
const CREATE: &str = "INSERT INTO spaces \
    (tenant_id, id, collection_id, model, dimensions, version, status, created_at) \
    SELECT c.tenant_id, $4, c.id, $5, $6, $7, $8, $9 FROM collections c \
    WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 \
    ON CONFLICT (tenant_id, id) DO UPDATE SET status = excluded.status, error = NULL, worker_id = NULL \
    WHERE spaces.collection_id = excluded.collection_id AND spaces.status IN ('retired', 'failed')";
const DEACTIVATE: &str = "UPDATE spaces SET status = 'retired' WHERE tenant_id = $1 AND collection_id = \
    (SELECT c.id FROM collections c WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3) \
    AND status = 'active'";
/// The space `$3`, if it is the scope's user's.
macro_rules! mine {
    () => {
        "tenant_id = $1 AND id = $3 AND EXISTS (SELECT 1 FROM collections c \
         WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = spaces.collection_id)"
    };
}
use mine;

const FAIL: &str = concat!(
    "UPDATE spaces SET status = 'failed', error = $4, worker_id = NULL WHERE ",
    mine!(),
    " AND status IN ('building', 'failed')"
);
/// A space that is being deleted is not used meanwhile.
const CONDEMN: Pair = Pair::same(concat!(
    "UPDATE spaces SET status = 'failed', worker_id = NULL WHERE ",
    mine!(),
    " AND status <> 'active'"
));
const DELETE_CODES: Pair = Pair::same("DELETE FROM segment_codes WHERE tenant_id = $1 AND space_id = $3");
const DELETE_VECTORS: &str = "DELETE FROM vectors WHERE tenant_id = $1 AND space_id = $3 AND chunk_id IN \
    (SELECT v.chunk_id FROM vectors v WHERE v.tenant_id = $1 AND v.space_id = $3 LIMIT 5000)";
const DELETE: &str = concat!("DELETE FROM spaces WHERE ", mine!(), " AND status <> 'active'");

/// The findable chunks of the segments `$4` and later ones that have no vector
/// in the space.
macro_rules! missing {
    ($database:ident) => {
        concat!(
            "SELECT g.id AS segment_id, ",
            passage_columns!(),
            " FROM segments g CROSS JOIN documents d CROSS JOIN chunks k WHERE g.tenant_id = $1 \
             AND g.collection_id = (SELECT c.id FROM spaces s JOIN collections c \
             ON c.tenant_id = s.tenant_id AND c.id = s.collection_id \
             WHERE s.tenant_id = $1 AND s.id = $3 AND c.user_id = $2) AND g.id >= $4 \
             AND NOT EXISTS (SELECT 1 FROM segment_codes x \
             WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = $3) \
             AND d.tenant_id = $1 AND d.segment_id = g.id \
             AND k.tenant_id = $1 AND k.document_id = d.id \
             AND (SELECT v.document_id FROM vectors v \
             WHERE v.tenant_id = $1 AND v.space_id = $3 AND v.chunk_id = k.id) IS NULL \
             ORDER BY g.id LIMIT $5"
        )
    };
}
const MISSING: Pair = pair!(missing);

/// Those of the chunks `$4` that are in the space's collection.
macro_rules! known {
    ($database:ident) => {
        concat!(
            "SELECT k.id, k.document_id FROM spaces s CROSS JOIN collections c CROSS JOIN chunks k \
             CROSS JOIN documents d WHERE s.tenant_id = $1 AND s.id = $3 \
             AND c.tenant_id = $1 AND c.user_id = $2 AND c.id = s.collection_id \
             AND k.tenant_id = $1 AND k.id ",
            among!($database, "$4"),
            " AND d.tenant_id = $1 AND d.id = k.document_id AND d.collection_id = c.id"
        )
    };
}
const KNOWN: Pair = pair!(known);

/// A space of [`space_columns!`].
pub(super) fn space(row: &impl Columns) -> Result<EmbeddingSpace> {
    Ok(EmbeddingSpace {
        id: row.get("id")?,
        collection_id: row.get("collection_id")?,
        model: EmbeddingModel {
            name: row.get("model")?,
            dimensions: row.get("dimensions")?,
            version: row.get("version")?,
        },
        status: row.name("status")?,
        chunk_count: row.get("chunk_count")?,
        error: row.maybe("error")?,
        created_at: row.get("created_at")?,
    })
}

/// What is to be known of a space before something is done with it.
struct Known {
    collection: CollectionId,
    dimensions: usize,
    status: SpaceStatus,
}

async fn get(store: &SqlStore, scope: &Scope, id: SpaceId) -> Result<Known> {
    on!(store, |db| {
        let row = found(db.read_first(scoped(GET, scope).bind(id.0)).await?, || missing_space(id))?;
        Ok(Known {
            collection: row.get("collection_id")?,
            dimensions: row.get::<u32>("dimensions")? as usize,
            status: row.name("status")?,
        })
    })
}

fn missing_space(id: SpaceId) -> Error {
    Error::missing("embedding space", id)
}

/// Fails unless the collection is the user's.
pub(super) async fn check_collection(store: &SqlStore, scope: &Scope, id: CollectionId) -> Result<()> {
    on!(store, |db| {
        let row = db.read_first(scoped(OWNED, scope).bind(id.0)).await?;
        found(row.map(drop), || Error::missing("collection", id))
    })
}

/// Fails unless the space is the user's.
pub(super) async fn check(store: &SqlStore, scope: &Scope, id: SpaceId) -> Result<()> {
    get(store, scope, id).await.map(drop)
}

/// See [`EmbeddingSpaceStore::list`](aimate_core::knowledge::EmbeddingSpaceStore::list).
pub(super) async fn list(
    store: &SqlStore,
    scope: &Scope,
    collection: CollectionId,
) -> Result<Vec<EmbeddingSpace>> {
    let spaces: Vec<EmbeddingSpace> = on!(store, |db| {
        let rows = db.read(scoped(LIST, scope).bind(collection.0)).await?;
        rows.iter().map(space).collect::<Result<_>>()?
    });
    if spaces.is_empty() {
        check_collection(store, scope, collection).await?;
    }
    Ok(spaces)
}

/// See [`EmbeddingSpaceStore::create`](aimate_core::knowledge::EmbeddingSpaceStore::create).
pub(super) async fn create(store: &SqlStore, scope: &Scope, space: &EmbeddingSpace) -> Result<()> {
    let missing = || Error::missing("collection", space.collection_id);
    let created = on!(store, |db| {
        let query = scoped(CREATE, scope)
            .bind(space.collection_id.0)
            .bind(space.id.0)
            .bind(text(&space.model.name))
            .bind(i64::from(space.model.dimensions))
            .bind(text(&space.model.version))
            .bind(space.status.as_str())
            .bind(space.created_at.0);
        db.execute(query).await
    });
    if created.map_err(|error| explain(error, ErrorKind::NotFound, missing))? > 0 {
        return Ok(());
    }
    check_collection(store, scope, space.collection_id).await?;
    Err(Error::conflict("there is an embedding space of this id already, which is used or being built"))
}

/// See [`EmbeddingSpaceStore::missing_vectors`](aimate_core::knowledge::EmbeddingSpaceStore::missing_vectors).
pub(super) async fn missing(
    store: &SqlStore,
    scope: &Scope,
    space: SpaceId,
    limit: u32,
) -> Result<Vec<Passage>> {
    get(store, scope, space).await?;
    let open = activate::open_segments(store, scope, space).await?;
    let Some(first) = open.first() else { return Ok(Vec::new()) };
    let (segment, passages): (Option<Uuid>, Vec<Passage>) = on!(store, |db| {
        let query = scoped(db.text(MISSING), scope).bind(space.0).bind(*first).bind(i64::from(limit));
        let rows = db.read(query).await?;
        let segment = rows.first().map(|row| row.get("segment_id")).transpose()?;
        (segment, rows.iter().map(passage).collect::<Result<_>>()?)
    });
    // What lies before the first that misses something is whole, and need not
    // be looked through again for the next page.
    for whole in open.into_iter().take_while(|open| segment.is_none_or(|segment| *open < segment)) {
        activate::complete(store, scope, space, whole).await?;
    }
    Ok(passages)
}

/// See [`EmbeddingSpaceStore::fill`](aimate_core::knowledge::EmbeddingSpaceStore::fill).
pub(super) async fn fill(store: &SqlStore, scope: &Scope, vectors: &SpaceVectors) -> Result<()> {
    let known = get(store, scope, vectors.space).await?;
    vector::check(vectors, known.dimensions)?;
    for _ in 0..super::TRIES {
        let ids: Vec<Uuid> = vectors.vectors.iter().map(|(chunk, ..)| chunk.0).collect();
        let here: HashSet<(ChunkId, DocumentId)> = on!(store, |db| {
            let query = scoped(db.text(KNOWN), scope).bind(vectors.space.0).bind(db.ids(&ids));
            let rows = db.read(query).await?;
            let pairs = rows.iter().map(|row| Ok((row.get("id")?, row.get("document_id")?)));
            pairs.collect::<Result<_>>()?
        });
        let rows: Vec<_> = vectors
            .vectors
            .iter()
            .filter(|(chunk, document, _)| here.contains(&(*chunk, *document)))
            .collect();
        let steps = vector::store(store.kind(), scope, vectors.space, known.dimensions, &rows, true)?;
        if run_if_unchanged(store, steps).await? {
            return Ok(());
        }
        get(store, scope, vectors.space).await?;
    }
    Err(super::again())
}

/// See [`EmbeddingSpaceStore::deactivate`](aimate_core::knowledge::EmbeddingSpaceStore::deactivate).
pub(super) async fn deactivate(store: &SqlStore, scope: &Scope, collection: CollectionId) -> Result<()> {
    let retired = on!(store, |db| db.execute(scoped(DEACTIVATE, scope).bind(collection.0)).await)?;
    if retired == 0 { check_collection(store, scope, collection).await } else { Ok(()) }
}

/// See [`EmbeddingSpaceStore::fail`](aimate_core::knowledge::EmbeddingSpaceStore::fail).
pub(super) async fn fail(store: &SqlStore, scope: &Scope, space: SpaceId, error: &str) -> Result<()> {
    let failed = on!(store, |db| db.execute(scoped(FAIL, scope).bind(space.0).bind(text(error))).await)?;
    if failed > 0 {
        return Ok(());
    }
    let status = get(store, scope, space).await?.status;
    Err(Error::conflict(format!("the embedding space is {status}; only one that is being built can fail")))
}

/// See [`EmbeddingSpaceStore::delete`](aimate_core::knowledge::EmbeddingSpaceStore::delete).
pub(super) async fn delete(store: &SqlStore, scope: &Scope, space: SpaceId) -> Result<()> {
    let condemned = run(
        store,
        vec![Step::new(CONDEMN, scope).id(space.0).expect(1), Step::new(DELETE_CODES, scope).id(space.0)],
    );
    if !condemned.await? {
        get(store, scope, space).await?;
        let message = "the embedding space is active; make another one active, or none, before deleting it";
        return Err(Error::conflict(message));
    }
    // Not all at once: other writers wait meanwhile.
    while on!(store, |db| db.execute(scoped(DELETE_VECTORS, scope).bind(space.0)).await)? > 0 {}
    on!(store, |db| db.execute(scoped(DELETE, scope).bind(space.0)).await).map(drop)
}
