//! Collections.

use std::time::Duration;

use aimate_core::knowledge::{
    Blob, Chunking, Collection, CollectionChange, CollectionConfig, CollectionStore, EmbeddingSpace,
};
use aimate_core::workspace::WorkspaceRole;
use aimate_core::{
    CollectionId, Error, IdRange, Page, PageRequest, Result, Scope, Slice, Timestamp, UserId, WorkspaceId,
};
use async_trait::async_trait;

use super::ownership;
use super::rows::model;
use crate::database::{Array, DbError, Row, Sql, Statement, each};
use crate::page::{before, merged_page, or_not_found, page_by_id, rows_of, touched_or_not_found};
use crate::user::{create_shared, owners};
use crate::value::{json, maybe_json, maybe_text, text};
use crate::{Kind, SqlStore};

/// How exactly it is known when a collection was last used: no use within it writes again.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

const GET: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.workspace_id, c.name, c.description, c.label, c.expires_after_days, c.last_active_at, \
     c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.id = $3 AND (c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
);
/// The same in its owner's scope.
const GET_OWN: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.workspace_id, c.name, c.description, c.label, c.expires_after_days, c.last_active_at, \
     c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3",
);
const GET_BY_NAME: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.workspace_id, c.name, c.description, c.label, c.expires_after_days, c.last_active_at, \
     c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.name = $3 AND c.workspace_id IS NULL",
);
const LIST: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.workspace_id, c.name, c.description, c.label, c.expires_after_days, c.last_active_at, \
     c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id < $3 \
     AND (c.workspace_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
     ORDER BY c.id DESC LIMIT $4",
);
/// Between two ids, upwards.
const RANGE_UP: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.workspace_id, c.name, c.description, c.label, c.expires_after_days, c.last_active_at, \
     c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id > $3 AND c.id < $4 \
     AND (c.workspace_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
     ORDER BY c.id LIMIT $5",
);
/// The same downwards.
const RANGE_DOWN: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.workspace_id, c.name, c.description, c.label, c.expires_after_days, c.last_active_at, \
     c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id > $3 AND c.id < $4 \
     AND (c.workspace_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
     ORDER BY c.id DESC LIMIT $5",
);
/// All of workspace `$3`, if the user is in it.
const LIST_OF_WORKSPACE: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.workspace_id, c.name, c.description, c.label, c.expires_after_days, c.last_active_at, \
     c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = $1 AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.workspace_id = $3 AND c.id < $4 \
     AND (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = $3) IS NOT NULL ORDER BY c.id DESC LIMIT $5",
);

/// The configuration of a collection: what reading and searching need, without
/// what is counted; and what the user may do in its workspace.
const CONFIG: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.name, c.chunk_size, c.chunk_overlap, c.expires_after_days, c.last_active_at, s.id AS space_id, s.model, s.dimensions, s.version, \
     (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
     AND a.workspace_id = c.workspace_id) AS role \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.id = $3 AND (c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
);
const NEWEST_CONFIGS: Sql = Sql::Same(
    "SELECT c.id, c.user_id, c.name, c.chunk_size, c.chunk_overlap, c.expires_after_days, c.last_active_at, s.id AS space_id, s.model, s.dimensions, s.version, \
     (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
     AND a.workspace_id = c.workspace_id) AS role \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 \
     AND (c.workspace_id IS NULL OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 \
        AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
     ORDER BY c.id DESC LIMIT $3",
);
const CONFIGS: Sql = Sql::Each {
    sqlite: "SELECT c.id, c.user_id, c.name, c.chunk_size, c.chunk_overlap, c.expires_after_days, c.last_active_at, s.id AS space_id, s.model, s.dimensions, s.version, \
     (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
     AND a.workspace_id = c.workspace_id) AS role \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.id IN (SELECT unhex(value) FROM json_each($3)) \
     AND (c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
    postgres: "SELECT c.id, c.user_id, c.name, c.chunk_size, c.chunk_overlap, c.expires_after_days, c.last_active_at, s.id AS space_id, s.model, s.dimensions, s.version, \
     (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
     AND a.workspace_id = c.workspace_id) AS role \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.id = ANY($3) AND (c.workspace_id IS NULL AND c.user_id IN ($2, $4) OR (SELECT a.role \
        FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL)",
};
/// In no workspace, where names are others'.
const CONFIGS_BY_NAME: Sql = Sql::Each {
    sqlite: "SELECT c.id, c.user_id, c.name, c.chunk_size, c.chunk_overlap, c.expires_after_days, c.last_active_at, s.id AS space_id, s.model, s.dimensions, s.version, NULL AS role \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id IN ($2, $4) AND c.workspace_id IS NULL \
     AND c.name IN (SELECT value FROM json_each($3))",
    postgres: "SELECT c.id, c.user_id, c.name, c.chunk_size, c.chunk_overlap, c.expires_after_days, c.last_active_at, s.id AS space_id, s.model, s.dimensions, s.version, NULL AS role \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id IN ($2, $4) AND c.workspace_id IS NULL AND c.name = ANY($3)",
};

/// In no workspace, or in one that the user may add to.
const CREATE: Sql = Sql::Same(
    "INSERT INTO collections (tenant_id, user_id, id, name, description, chunk_size, chunk_overlap, \
     metadata, created_at, updated_at, workspace_id, label, expires_after_days, last_active_at) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 \
     WHERE (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $11) <> 'viewer' OR $11 IS NULL",
);
const CREATE_SPACE: Sql = Sql::Same(
    "INSERT INTO spaces (tenant_id, id, collection_id, model, dimensions, version, status, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE collections SET name = COALESCE($4, name), description = COALESCE($5, description), \
     chunk_size = COALESCE($6, chunk_size), chunk_overlap = COALESCE($7, chunk_overlap), \
     metadata = COALESCE($8, metadata), updated_at = $9, last_active_at = $9, \
     label = CASE WHEN $12 THEN $13 ELSE label END, \
     expires_after_days = CASE WHEN $14 THEN $15 ELSE expires_after_days END, \
     workspace_id = CASE WHEN $10 THEN $11 ELSE workspace_id END \
     WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND ((SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = $11) <> 'viewer' OR $11 IS NULL)",
);

const TOUCH: Sql = Sql::Same(
    "UPDATE collections SET last_active_at = $5 WHERE tenant_id = $1 AND id = $3 AND last_active_at <= $6 \
     AND (workspace_id IS NULL AND user_id IN ($2, $4) OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = collections.workspace_id) IS NOT NULL)",
);

/// Locks the collection row first, like every index writer, so that the lock order
/// is consistent and two cannot deadlock.
const LOCK: Sql =
    Sql::Postgres("SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3 FOR UPDATE");
/// The bytes of what [`DELETE_DOCUMENTS`] deletes; PostgreSQL does both in one
/// statement.
const LOOSEN: Sql = Sql::Sqlite(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM documents \
     WHERE tenant_id = $1 AND user_id = $2 AND collection_id = $3 AND file_id IS NULL \
     ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
/// Before the collection, whose foreign key would delete them without a word.
const DELETE_DOCUMENTS: Sql = Sql::Each {
    sqlite: "DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 AND collection_id = $3 \
        RETURNING CASE WHEN file_id IS NULL THEN blob_id END AS blob_id",
    postgres: "WITH gone AS (DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 AND collection_id = $3 \
            RETURNING tenant_id, blob_id, file_id) \
        INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM gone WHERE file_id IS NULL \
        ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL RETURNING id AS blob_id",
};
const DELETE: Sql = Sql::Same("DELETE FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3");

fn collection(row: &Row) -> Result<Collection> {
    let chunk_count = row.get("chunk_count")?;
    Ok(Collection {
        id: row.get("id")?,
        name: row.get("name")?,
        workspace_id: row.maybe("workspace_id")?,
        description: row.get("description")?,
        chunking: Chunking { size: row.get("chunk_size")?, overlap: row.get("chunk_overlap")? },
        space: active_space(row, chunk_count)?,
        metadata: row.json("metadata")?,
        label: row.maybe("label")?,
        expires_after_days: row.maybe("expires_after_days")?,
        last_active_at: row.get("last_active_at")?,
        is_shared: row.get::<UserId>("user_id")? == UserId::SHARED,
        document_count: row.get("document_count")?,
        chunk_count,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Every findable chunk has a vector in the active space, so none is counted.
fn active_space(row: &Row, chunk_count: u64) -> Result<Option<EmbeddingSpace>> {
    let Some(id) = row.maybe("space_id")? else { return Ok(None) };
    Ok(Some(EmbeddingSpace {
        id,
        collection_id: row.get("id")?,
        model: model(row)?,
        status: row.name("status")?,
        chunk_count,
        error: row.maybe("error")?,
        created_at: row.get("space_created_at")?,
    }))
}

fn config(row: &Row) -> Result<CollectionConfig> {
    let space = match row.maybe("space_id")? {
        Some(id) => Some((id, model(row)?)),
        None => None,
    };
    let chunking = Chunking { size: row.get("chunk_size")?, overlap: row.get("chunk_overlap")? };
    let owner: UserId = row.get("user_id")?;
    let role = row.maybe::<String>("role")?.map(|role| role.parse()).transpose()?;
    Ok(CollectionConfig {
        id: row.get("id")?,
        is_shared: owner == UserId::SHARED,
        owner,
        role,
        chunking,
        space,
        expires_after_days: row.maybe("expires_after_days")?,
        last_active_at: row.get("last_active_at")?,
    })
}

#[async_trait]
impl CollectionStore for SqlStore {
    async fn create(&self, scope: &Scope, collection: &Collection) -> Result<()> {
        let create = CREATE
            .scoped(scope)
            .bind(collection.id)
            .bind(text(&collection.name))
            .bind(text(&collection.description))
            .bind(collection.chunking.size)
            .bind(collection.chunking.overlap)
            .bind(json(&collection.metadata)?)
            .bind(collection.created_at)
            .bind(collection.updated_at)
            .bind(collection.workspace_id)
            .bind(maybe_text(collection.label.as_ref()))
            .bind(collection.expires_after_days)
            .bind(collection.last_active_at)
            .expect_touched(1);
        let space = collection.space.as_ref().map(|space| create_space(scope, collection.id, space));
        let owner = create_shared(scope, collection.created_at);
        let statements = owner.into_iter().chain([create]).chain(space).collect();
        let missing = || Error::missing("user", scope.user);
        match (self.database.transaction_of(statements).await, collection.workspace_id) {
            (Ok(_), _) => Ok(()),
            (Err(DbError::RowCount { .. }), Some(workspace)) => {
                Err(self.not_their_workspace(scope, workspace, WorkspaceRole::Editor).await)
            }
            (Err(error), _) => Err(error.on_foreign_key(missing).into()),
        }
    }

    async fn get(&self, scope: &Scope, id: CollectionId) -> Result<Collection> {
        get(self, scope, id).await
    }

    async fn get_by_name(&self, scope: &Scope, name: &str) -> Result<Option<Collection>> {
        let owners = owners(scope).map(|owner| GET_BY_NAME.scoped(&owner).bind(text(name)));
        let found = self.database.read_each(owners).await?;
        found.iter().find_map(|rows| rows.first()).map(collection).transpose()
    }

    async fn config(&self, scope: &Scope, id: CollectionId) -> Result<CollectionConfig> {
        let row = self.database.read_first(CONFIG.scoped(scope).bind(id).bind(UserId::SHARED)).await?;
        config(&or_not_found(row, || Error::missing("collection", id))?)
    }

    async fn configs(&self, scope: &Scope, ids_or_names: &[String]) -> Result<Vec<CollectionConfig>> {
        configs(self, scope, ids_or_names).await
    }

    async fn newest_configs(&self, scope: &Scope) -> Result<Vec<CollectionConfig>> {
        let newest =
            all(self, scope, config, |owner| NEWEST_CONFIGS.scoped(owner).bind(PageRequest::MAX_LIMIT));
        let page = PageRequest::first(PageRequest::MAX_LIMIT);
        Ok(merged_page(newest.await?, page, true, |config| config.id.0).data)
    }

    async fn list(
        &self,
        scope: &Scope,
        workspace: Option<WorkspaceId>,
        page: PageRequest,
    ) -> Result<Page<Collection>> {
        if let Some(workspace) = workspace {
            let list = LIST_OF_WORKSPACE.scoped(scope).bind(workspace).bind(before(page)).bind(rows_of(page));
            let collections = each(&self.database.read(list).await?, collection)?;
            return Ok(page_by_id(collections, page, |collection| collection.id.0));
        }
        let list = |owner: &Scope| LIST.scoped(owner).bind(before(page)).bind(rows_of(page));
        Ok(merged_page(all(self, scope, collection, list).await?, page, true, |collection| collection.id.0))
    }

    async fn range(&self, scope: &Scope, range: IdRange) -> Result<Slice<Collection>> {
        let (low, high) = range.bounds();
        let sql = if range.reads_descending() { RANGE_DOWN } else { RANGE_UP };
        let rows = i64::from(range.limit) + 1;
        let list = |owner: &Scope| sql.scoped(owner).bind(low).bind(high).bind(rows);
        let mut all = all(self, scope, collection, list).await?;
        all.sort_by_key(|collection| collection.id);
        if range.reads_descending() {
            all.reverse();
        }
        // Of a user who stands for the tenant, both are the same.
        all.dedup_by_key(|collection| collection.id);
        Ok(range.slice(all))
    }

    async fn touch(&self, scope: &Scope, id: CollectionId, now: Timestamp) -> Result<()> {
        let touch = TOUCH.scoped(scope).bind(id).bind(UserId::SHARED).bind(now);
        let before = now.minus(TOUCH_EVERY);
        if self.database.execute(touch.bind(before)).await? == 0 {
            // It was touched a moment ago, or is not theirs.
            self.config(scope, id).await?;
        }
        Ok(())
    }

    async fn update(
        &self,
        scope: &Scope,
        id: CollectionId,
        change: &CollectionChange,
        now: Timestamp,
    ) -> Result<Collection> {
        let update = UPDATE
            .scoped(scope)
            .bind(id)
            .bind(maybe_text(change.name.as_ref()))
            .bind(maybe_text(change.description.as_ref()))
            .bind(change.chunking.map(|chunking| chunking.size))
            .bind(change.chunking.map(|chunking| chunking.overlap))
            .bind(maybe_json(change.metadata.as_ref())?)
            .bind(now)
            .bind(change.workspace_id.is_some())
            .bind(change.workspace_id.flatten())
            .bind(change.label.is_some() || change.name.is_some())
            .bind(maybe_text(change.label.as_ref()))
            .bind(change.expires_after_days.is_some())
            .bind(change.expires_after_days.flatten());
        let updated = self.database.execute(update).await?;
        if updated == 0
            && let Some(Some(workspace)) = change.workspace_id
        {
            ownership::check_collection(self, scope, id).await?;
            return Err(self.not_their_workspace(scope, workspace, WorkspaceRole::Editor).await);
        }
        touched_or_not_found(updated, || Error::missing("collection", id))?;
        let row = self.database.read_first(GET_OWN.scoped(scope).bind(id)).await?;
        collection(&or_not_found(row, || Error::missing("collection", id))?)
    }

    async fn delete(&self, scope: &Scope, id: CollectionId) -> Result<Vec<Blob>> {
        let [_, _, documents, _] = self
            .database
            .transaction([
                LOCK.scoped(scope).bind(id),
                LOOSEN.scoped(scope).bind(id),
                DELETE_DOCUMENTS.scoped(scope).bind(id),
                DELETE.scoped(scope).bind(id).expect_touched(1).uses_reserve(),
            ])
            .await
            .map_err(|error| error.on_row_count(|| Error::missing("collection", id)))?;
        let own = documents.rows.iter().map(|row| row.maybe("blob_id"));
        let own = own.filter_map(Result::transpose);
        own.map(|id| Ok(Blob { tenant: scope.tenant, id: id? })).collect()
    }
}

fn create_space(scope: &Scope, collection: CollectionId, space: &EmbeddingSpace) -> Statement {
    CREATE_SPACE
        .bind(scope.tenant)
        .bind(space.id)
        .bind(collection)
        .bind(text(&space.model.name))
        .bind(space.model.dimensions)
        .bind(text(&space.model.version))
        .bind(space.status.as_str())
        .bind(space.created_at)
}

async fn get(store: &SqlStore, scope: &Scope, id: CollectionId) -> Result<Collection> {
    let row = store.database.read_first(GET.scoped(scope).bind(id).bind(UserId::SHARED)).await?;
    collection(&or_not_found(row, || Error::missing("collection", id))?)
}

/// The rows that the user made, and then those that the tenant shares.
async fn all<T>(
    store: &SqlStore,
    scope: &Scope,
    of: impl Fn(&Row) -> Result<T>,
    statement: impl Fn(&Scope) -> Statement,
) -> Result<Vec<T>> {
    let found = store.database.read_each(owners(scope).map(|owner| statement(&owner))).await?;
    let mut all = Vec::new();
    for rows in &found {
        all.extend(each(rows, &of)?);
    }
    Ok(all)
}

async fn configs(store: &SqlStore, scope: &Scope, ids_or_names: &[String]) -> Result<Vec<CollectionConfig>> {
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for wanted in ids_or_names {
        match wanted.parse::<CollectionId>() {
            Ok(id) => ids.push(id.0),
            Err(_) => names.push(text(wanted).into_owned()),
        }
    }
    let by_name = CONFIGS_BY_NAME.scoped(scope);
    let by_name = match store.database.kind() {
        Kind::Sqlite => by_name.bind(json(&names)?),
        Kind::Postgres => by_name.bind(Array::texts(names)),
    };
    let by_id = CONFIGS.scoped(scope).bind(ids).bind(UserId::SHARED);
    let found = store.database.read_each([by_id, by_name.bind(UserId::SHARED)]).await?;
    let mut configs = Vec::new();
    for rows in &found {
        configs.extend(each(rows, |row| Ok((row.get::<String>("name")?, config(row)?)))?);
    }
    // The user's own come first, and so hide the shared ones of the same name. What is in
    // a workspace has no name here.
    configs.sort_by_key(|(_, config)| config.is_shared);
    let in_order = ids_or_names.iter().map(|wanted| {
        let is_wanted = |(name, config): &&(String, CollectionConfig)| match wanted.parse::<CollectionId>() {
            Ok(id) => config.id == id,
            Err(_) => config.role.is_none() && *name == text(wanted),
        };
        let shown = || wanted.chars().take(64).collect::<String>();
        let config = configs.iter().find(is_wanted).map(|(_, config)| config.clone());
        or_not_found(config, || Error::missing("collection", format!("`{}`", shown())))
    });
    in_order.collect()
}
