//! Making a space the one that questions are compared in.

use aimate_core::knowledge::SpaceStatus;
use aimate_core::{CollectionId, ErrorKind, Result, Scope, SpaceId};
use uuid::Uuid;

use super::{get, mine};
use crate::SqlStore;
use crate::knowledge::step::{Pair, Step, run};
use crate::knowledge::{TRIES, again, index, vector};
use crate::row::Columns as _;
use crate::statement::scoped;

/// Segments of the space's collection without codes in it.
const OPEN: &str = "SELECT g.id FROM segments g WHERE g.tenant_id = $1 \
    AND g.collection_id = (SELECT c.id FROM spaces s JOIN collections c \
    ON c.tenant_id = s.tenant_id AND c.id = s.collection_id \
    WHERE s.tenant_id = $1 AND s.id = $3 AND c.user_id = $2) AND NOT EXISTS (SELECT 1 FROM segment_codes x \
    WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = $3) ORDER BY g.id";
/// Codes of a segment that is still there.
const ADD_CODES: &str = "INSERT INTO segment_codes (tenant_id, segment_id, space_id, codes) \
    SELECT g.tenant_id, g.id, $4, $5 FROM segments g JOIN collections c \
    ON c.tenant_id = g.tenant_id AND c.id = g.collection_id \
    WHERE g.tenant_id = $1 AND g.id = $3 AND c.user_id = $2 ON CONFLICT DO NOTHING";

/// Nobody changes the collection's index from here to the end.
const LOCK: Pair = Pair {
    sqlite: "",
    postgres: "SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3 \
        FOR NO KEY UPDATE",
};
const RETIRE: Pair = Pair::same(
    "UPDATE spaces SET status = 'retired' WHERE tenant_id = $1 AND collection_id = $3 AND status = 'active'",
);
const ACTIVATE: Pair = Pair::same(concat!(
    "UPDATE spaces SET status = 'active', error = NULL, worker_id = NULL WHERE ",
    mine!(),
    " AND NOT EXISTS (SELECT 1 FROM segments g WHERE g.tenant_id = $1 \
     AND g.collection_id = spaces.collection_id AND NOT EXISTS (SELECT 1 FROM segment_codes x \
     WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = $3))"
));

/// See [`EmbeddingSpaceStore::activate`](aimate_core::knowledge::EmbeddingSpaceStore::activate).
pub(in crate::knowledge) async fn activate(store: &SqlStore, scope: &Scope, space: SpaceId) -> Result<bool> {
    for _ in 0..TRIES {
        let known = get(store, scope, space).await?;
        if known.status == SpaceStatus::Active {
            return Ok(true);
        }
        for segment in open_segments(store, scope, space).await? {
            if !complete(store, scope, space, segment).await? {
                return Ok(false);
            }
        }
        if flip(store, scope, known.collection, space).await? {
            return Ok(true);
        }
    }
    Err(again())
}

async fn flip(store: &SqlStore, scope: &Scope, collection: CollectionId, space: SpaceId) -> Result<bool> {
    let steps = vec![
        Step::new(LOCK, scope).id(collection.0),
        Step::new(RETIRE, scope).id(collection.0),
        Step::new(ACTIVATE, scope).id(space.0).expect(1),
    ];
    run(store, steps).await
}

/// The segments without codes in the space, in order.
pub(super) async fn open_segments(store: &SqlStore, scope: &Scope, space: SpaceId) -> Result<Vec<Uuid>> {
    on!(store, |db| {
        let rows = db.read(scoped(OPEN, scope).bind(space.0)).await?;
        rows.iter().map(|row| row.get("id")).collect()
    })
}

/// Gives a segment codes in the space; whether all vectors for that are there.
/// A segment that is gone needs none.
pub(super) async fn complete(store: &SqlStore, scope: &Scope, space: SpaceId, segment: Uuid) -> Result<bool> {
    let Some(chunks) = index::chunks(store, scope, segment).await? else { return Ok(true) };
    let Some(codes) = vector::codes(store, scope, space, &chunks).await? else { return Ok(false) };
    let added = on!(store, |db| {
        db.execute(scoped(ADD_CODES, scope).bind(segment).bind(space.0).bind(codes)).await
    });
    match added {
        // Somebody replaced the segment at this moment.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        added => added.map(|_| true),
    }
}
