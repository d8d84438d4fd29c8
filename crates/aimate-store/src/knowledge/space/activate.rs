//! Making a space the one that questions are compared in.

use aimate_core::knowledge::SpaceStatus;
use aimate_core::{CollectionId, Result, Scope, SpaceId};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{DbError, Sql, each};
use crate::knowledge::contention::{MAX_ATTEMPTS, contention_error, is_stored};
use crate::knowledge::ownership;
use crate::knowledge::{index, vector};

/// Segments of the space's collection without codes in it.
const OPEN_SEGMENTS: Sql = Sql::Same(
    "SELECT g.id FROM segments g WHERE g.tenant_id = $1 \
     AND g.collection_id = (SELECT c.id FROM spaces s JOIN collections c \
     ON c.tenant_id = s.tenant_id AND c.id = s.collection_id \
     WHERE s.tenant_id = $1 AND s.id = $3 AND c.user_id = $2) AND NOT EXISTS (SELECT 1 FROM segment_codes x \
     WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = $3) ORDER BY g.id",
);
/// Codes of a segment that is still there.
const ADD_CODES: Sql = Sql::Same(
    "INSERT INTO segment_codes (tenant_id, segment_id, space_id, codes) \
     SELECT g.tenant_id, g.id, $4, $5 FROM segments g JOIN collections c \
     ON c.tenant_id = g.tenant_id AND c.id = g.collection_id \
     WHERE g.tenant_id = $1 AND g.id = $3 AND c.user_id = $2 ON CONFLICT DO NOTHING",
);

/// Index writers lock the row `FOR SHARE`, so from here to the end none adds a
/// segment without codes in this space.
const LOCK: Sql = Sql::Postgres(
    "SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3 FOR NO KEY UPDATE",
);
const RETIRE: Sql = Sql::Same(
    "UPDATE spaces SET status = 'retired' WHERE tenant_id = $1 AND collection_id = $2 AND status = 'active'",
);
/// If every segment has codes in it.
const ACTIVATE: Sql = Sql::Same(
    "UPDATE spaces SET status = 'active', error = NULL, worker_id = NULL WHERE tenant_id = $1 AND id = $3 \
     AND EXISTS (SELECT 1 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = spaces.collection_id) \
     AND NOT EXISTS (SELECT 1 FROM segments g WHERE g.tenant_id = $1 \
     AND g.collection_id = spaces.collection_id AND NOT EXISTS (SELECT 1 FROM segment_codes x \
     WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = $3))",
);

/// See [`EmbeddingSpaceStore::activate`](aimate_core::knowledge::EmbeddingSpaceStore::activate).
pub(super) async fn activate(store: &SqlStore, scope: &Scope, space: SpaceId) -> Result<bool> {
    // Segments are completed without a lock; one that came meanwhile makes the switch
    // touch no row, and then it is completed too.
    for _ in 0..MAX_ATTEMPTS {
        let row = ownership::space(store, scope, space).await?;
        if row.status == SpaceStatus::Active {
            return Ok(true);
        }
        for segment in open_segments(store, scope, space).await? {
            if !complete(store, scope, space, segment).await? {
                return Ok(false);
            }
        }
        if switch(store, scope, row.collection, space).await? {
            return Ok(true);
        }
    }
    Err(contention_error())
}

async fn switch(store: &SqlStore, scope: &Scope, collection: CollectionId, space: SpaceId) -> Result<bool> {
    let statements = vec![
        LOCK.scoped(scope).bind(collection),
        RETIRE.bind(scope.tenant).bind(collection),
        ACTIVATE.scoped(scope).bind(space).expect_touched(1),
    ];
    is_stored(store.database.transaction_of(statements).await)
}

/// The segments without codes in the space, in order.
pub(super) async fn open_segments(store: &SqlStore, scope: &Scope, space: SpaceId) -> Result<Vec<Uuid>> {
    let rows = store.database.read(OPEN_SEGMENTS.scoped(scope).bind(space)).await?;
    each(&rows, |row| row.get("id"))
}

/// Gives a segment codes in the space; returns whether all vectors for that are
/// there. A segment that is gone needs none.
pub(super) async fn complete(store: &SqlStore, scope: &Scope, space: SpaceId, segment: Uuid) -> Result<bool> {
    let Some(chunks) = index::chunks(store, scope, segment).await? else { return Ok(true) };
    let Some(codes) = vector::codes(store, scope, space, &chunks).await? else { return Ok(false) };
    let added = store.database.execute(ADD_CODES.scoped(scope).bind(segment).bind(space).bind(codes)).await;
    match added {
        // Somebody replaced the segment at this moment.
        Ok(_) | Err(DbError::ForeignKey(_)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
