//! Embedding spaces: listed, filled, made active, deleted.

mod activate;

use std::collections::HashSet;

use aimate_core::knowledge::{CollectionStore, EmbeddingSpace, EmbeddingSpaceStore, Passage, SpaceVectors};
use aimate_core::{ChunkId, CollectionId, DocumentId, Error, Result, Scope, SpaceId, UserId};
use async_trait::async_trait;
use uuid::Uuid;

use super::contention::{MAX_ATTEMPTS, contention_error, is_stored, is_stored_if_unchanged};
use super::ownership::{self, check_collection};
use super::rows::{passage, space};
use super::vector;
use crate::SqlStore;
use crate::database::{Sql, each};
use crate::value::text;

/// While a space is built, all its vectors count. Later those in the index do, which
/// are the same and counted sooner.
const LIST: Sql = Sql::Same(
    "SELECT s.id, s.collection_id, s.model, s.dimensions, s.version, s.status, s.error, s.created_at, \
     CASE s.status WHEN 'building' THEN (SELECT count(*) FROM vectors v \
     WHERE v.tenant_id = $1 AND v.space_id = s.id) \
     ELSE (SELECT CAST(COALESCE(sum(g.chunk_count), 0) AS bigint) FROM segment_codes k \
     JOIN segments g ON g.tenant_id = k.tenant_id AND g.id = k.segment_id \
     WHERE k.tenant_id = $1 AND k.space_id = s.id) END AS chunk_count \
     FROM collections c JOIN spaces s ON s.tenant_id = c.tenant_id AND s.collection_id = c.id \
     WHERE c.tenant_id = $1 AND c.id = $3 AND (c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
     ORDER BY s.id DESC",
);
/// Of a collection that the user has, else nothing is stored. One that is not in use
/// is built again, by whoever claims it first.
const CREATE: Sql = Sql::Same(
    "INSERT INTO spaces (tenant_id, id, collection_id, model, dimensions, version, status, created_at) \
     SELECT c.tenant_id, $4, c.id, $5, $6, $7, $8, $9 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3 \
     ON CONFLICT (tenant_id, id) DO UPDATE SET status = excluded.status, error = NULL, worker_id = NULL \
     WHERE spaces.collection_id = excluded.collection_id AND spaces.status IN ('retired', 'failed')",
);
const DEACTIVATE: Sql = Sql::Same(
    "UPDATE spaces SET status = 'retired' WHERE tenant_id = $1 AND collection_id = \
     (SELECT c.id FROM collections c WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3) \
     AND status = 'active'",
);
const FAIL: Sql = Sql::Same(
    "UPDATE spaces SET status = 'failed', error = $4, worker_id = NULL WHERE tenant_id = $1 AND id = $3 \
     AND EXISTS (SELECT 1 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = spaces.collection_id) \
     AND status IN ('building', 'failed')",
);

/// The first step of deleting: nobody uses or builds a failed space, so its vectors
/// can go in several transactions.
const MARK_DELETING: Sql = Sql::Same(
    "UPDATE spaces SET status = 'failed', worker_id = NULL WHERE tenant_id = $1 AND id = $3 \
     AND EXISTS (SELECT 1 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = spaces.collection_id) AND status <> 'active'",
);
const DELETE_CODES: Sql = Sql::Same("DELETE FROM segment_codes WHERE tenant_id = $1 AND space_id = $2");
/// Some thousands at a time, so that other writers need not wait for all of them.
const DELETE_VECTORS: Sql = Sql::Same(
    "DELETE FROM vectors WHERE tenant_id = $1 AND space_id = $2 AND chunk_id IN \
     (SELECT v.chunk_id FROM vectors v WHERE v.tenant_id = $1 AND v.space_id = $2 LIMIT 5000)",
);
const DELETE: Sql = Sql::Same(
    "DELETE FROM spaces WHERE tenant_id = $1 AND id = $3 AND EXISTS (SELECT 1 FROM collections c \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = spaces.collection_id) AND status <> 'active'",
);

/// The findable chunks of the segments `$4` and later ones that have no vector in
/// the space.
const MISSING: Sql = Sql::Same(
    "SELECT g.id AS segment_id, k.id, k.document_id, k.position, k.content, k.headings, k.page, k.starts_at, \
     k.ends_at, d.collection_id, d.title, d.name, d.file_id \
     FROM segments g CROSS JOIN documents d CROSS JOIN chunks k WHERE g.tenant_id = $1 \
     AND g.collection_id = (SELECT c.id FROM spaces s JOIN collections c \
     ON c.tenant_id = s.tenant_id AND c.id = s.collection_id \
     WHERE s.tenant_id = $1 AND s.id = $3 AND c.user_id = $2) AND g.id >= $4 \
     AND NOT EXISTS (SELECT 1 FROM segment_codes x \
     WHERE x.tenant_id = $1 AND x.segment_id = g.id AND x.space_id = $3) \
     AND d.tenant_id = $1 AND d.segment_id = g.id \
     AND k.tenant_id = $1 AND k.document_id = d.id \
     AND (SELECT v.document_id FROM vectors v \
     WHERE v.tenant_id = $1 AND v.space_id = $3 AND v.chunk_id = k.id) IS NULL \
     ORDER BY g.id LIMIT $5",
);
/// Those of the chunks `$4` that are in the space's collection.
const KNOWN_CHUNKS: Sql = Sql::Each {
    sqlite: "SELECT k.id, k.document_id FROM spaces s CROSS JOIN collections c CROSS JOIN chunks k \
        CROSS JOIN documents d WHERE s.tenant_id = $1 AND s.id = $3 \
        AND c.tenant_id = $1 AND c.user_id = $2 AND c.id = s.collection_id \
        AND k.tenant_id = $1 AND k.id IN (SELECT unhex(value) FROM json_each($4)) \
        AND d.tenant_id = $1 AND d.id = k.document_id AND d.collection_id = c.id",
    postgres: "SELECT k.id, k.document_id FROM spaces s CROSS JOIN collections c CROSS JOIN chunks k \
        CROSS JOIN documents d WHERE s.tenant_id = $1 AND s.id = $3 \
        AND c.tenant_id = $1 AND c.user_id = $2 AND c.id = s.collection_id \
        AND k.tenant_id = $1 AND k.id = ANY($4) \
        AND d.tenant_id = $1 AND d.id = k.document_id AND d.collection_id = c.id",
};

#[async_trait]
impl EmbeddingSpaceStore for SqlStore {
    async fn list(&self, scope: &Scope, collection: CollectionId) -> Result<Vec<EmbeddingSpace>> {
        let list = LIST.scoped(scope).bind(collection).bind(UserId::SHARED);
        let rows = self.database.read(list).await?;
        if rows.is_empty() {
            CollectionStore::config(self, scope, collection).await?;
        }
        each(&rows, space)
    }

    async fn create(&self, scope: &Scope, space: &EmbeddingSpace) -> Result<()> {
        let create = CREATE
            .scoped(scope)
            .bind(space.collection_id)
            .bind(space.id)
            .bind(text(&space.model.name))
            .bind(space.model.dimensions)
            .bind(text(&space.model.version))
            .bind(space.status.as_str())
            .bind(space.created_at);
        let missing = || Error::missing("collection", space.collection_id);
        let created = self.database.execute(create).await.map_err(|error| error.on_foreign_key(missing))?;
        if created > 0 {
            return Ok(());
        }
        check_collection(self, scope, space.collection_id).await?;
        Err(Error::conflict("there is an embedding space of this id already, which is used or being built"))
    }

    async fn missing_vectors(&self, scope: &Scope, space: SpaceId, limit: u32) -> Result<Vec<Passage>> {
        missing_vectors(self, scope, space, limit).await
    }

    async fn fill(&self, scope: &Scope, vectors: &SpaceVectors) -> Result<()> {
        fill(self, scope, vectors).await
    }

    async fn activate(&self, scope: &Scope, space: SpaceId) -> Result<bool> {
        activate::activate(self, scope, space).await
    }

    async fn deactivate(&self, scope: &Scope, collection: CollectionId) -> Result<()> {
        let retired = self.database.execute(DEACTIVATE.scoped(scope).bind(collection)).await?;
        if retired == 0 { check_collection(self, scope, collection).await } else { Ok(()) }
    }

    async fn fail(&self, scope: &Scope, space: SpaceId, error: &str) -> Result<()> {
        let failed = self.database.execute(FAIL.scoped(scope).bind(space).bind(text(error))).await?;
        if failed > 0 {
            return Ok(());
        }
        let status = ownership::space(self, scope, space).await?.status;
        Err(Error::conflict(format!(
            "the embedding space is {status}; only one that is being built can fail"
        )))
    }

    async fn delete(&self, scope: &Scope, space: SpaceId) -> Result<()> {
        delete(self, scope, space).await
    }
}

async fn missing_vectors(
    store: &SqlStore,
    scope: &Scope,
    space: SpaceId,
    limit: u32,
) -> Result<Vec<Passage>> {
    ownership::space(store, scope, space).await?;
    let open = activate::open_segments(store, scope, space).await?;
    let Some(first) = open.first() else { return Ok(Vec::new()) };
    let rows = store.database.read(MISSING.scoped(scope).bind(space).bind(*first).bind(limit)).await?;
    let segment: Option<Uuid> = rows.first().map(|row| row.get("segment_id")).transpose()?;
    let passages = each(&rows, passage)?;
    // Segments before the first that misses something are complete. With their codes
    // stored, they need not be looked through again for the next page.
    for complete in open.into_iter().take_while(|open| segment.is_none_or(|segment| *open < segment)) {
        activate::complete(store, scope, space, complete).await?;
    }
    Ok(passages)
}

async fn fill(store: &SqlStore, scope: &Scope, vectors: &SpaceVectors) -> Result<()> {
    let dimensions = ownership::space(store, scope, vectors.space).await?.dimensions;
    vector::check(vectors, dimensions)?;
    // A chunk may go while it was embedded, and even between the two statements here.
    for _ in 0..MAX_ATTEMPTS {
        let ids: Vec<Uuid> = vectors.vectors.iter().map(|(chunk, ..)| chunk.0).collect();
        let rows = store.database.read(KNOWN_CHUNKS.scoped(scope).bind(vectors.space).bind(ids)).await?;
        let known = rows.iter().map(|row| Ok((row.get("id")?, row.get("document_id")?)));
        let known: HashSet<(ChunkId, DocumentId)> = known.collect::<Result<_>>()?;
        let kept = vectors.vectors.iter().filter(|(chunk, document, _)| known.contains(&(*chunk, *document)));
        let kept: Vec<_> = kept.collect();
        let kind = store.database.kind();
        let statements = vector::store(kind, scope, vectors.space, dimensions, &kept, true)?;
        if statements.is_empty() || is_stored_if_unchanged(store.database.transaction_of(statements).await)? {
            return Ok(());
        }
        ownership::space(store, scope, vectors.space).await?;
    }
    Err(contention_error())
}

async fn delete(store: &SqlStore, scope: &Scope, space: SpaceId) -> Result<()> {
    let mark = MARK_DELETING.scoped(scope).bind(space).expect_touched(1).uses_reserve();
    let delete_codes = DELETE_CODES.bind(scope.tenant).bind(space);
    if !is_stored(store.database.transaction_of(vec![mark, delete_codes]).await)? {
        ownership::space(store, scope, space).await?;
        let message = "the embedding space is active; make another one active, or none, before deleting it";
        return Err(Error::conflict(message));
    }
    while store.database.execute(DELETE_VECTORS.bind(scope.tenant).bind(space).uses_reserve()).await? > 0 {}
    store.database.execute(DELETE.scoped(scope).bind(space).uses_reserve()).await?;
    Ok(())
}
