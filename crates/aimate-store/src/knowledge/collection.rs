//! Collections.

use aimate_core::knowledge::{
    Blob, Chunking, Collection, CollectionChange, CollectionConfig, CollectionStore, EmbeddingSpace,
};
use aimate_core::{CollectionId, Error, Page, PageRequest, Result, Scope, Timestamp, UserId};
use async_trait::async_trait;

use super::rows::{blob, model};
use crate::database::{Array, Row, Sql, Statement, each};
use crate::page::{before, merged_page, or_not_found, rows_of, touched_or_not_found};
use crate::user::{create_shared, owners};
use crate::value::{json, maybe_json, maybe_text, text};
use crate::{Kind, SqlStore};

const GET: Sql = Sql::Same(
    "SELECT c.id, c.name, c.description, c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, \
     c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3",
);
const GET_BY_NAME: Sql = Sql::Same(
    "SELECT c.id, c.name, c.description, c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, \
     c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.name = $3",
);
const LIST: Sql = Sql::Same(
    "SELECT c.id, c.name, c.description, c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, \
     c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
     s.created_at AS space_created_at, \
     (SELECT count(*) FROM documents d WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.id) \
     AS document_count, \
     (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
     WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.id) AS chunk_count \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id < $3 ORDER BY c.id DESC LIMIT $4",
);

/// The configuration of a collection: what reading and searching need, without
/// what is counted.
const CONFIG: Sql = Sql::Same(
    "SELECT c.id, c.name, c.chunk_size, c.chunk_overlap, s.id AS space_id, s.model, s.dimensions, s.version \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3",
);
const NEWEST_CONFIGS: Sql = Sql::Same(
    "SELECT c.id, c.name, c.chunk_size, c.chunk_overlap, s.id AS space_id, s.model, s.dimensions, s.version \
     FROM collections c LEFT JOIN spaces s \
     ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
     WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.id DESC LIMIT $3",
);
const CONFIGS: Sql = Sql::Each {
    sqlite: "SELECT c.id, c.name, c.chunk_size, c.chunk_overlap, s.id AS space_id, s.model, s.dimensions, \
        s.version FROM collections c LEFT JOIN spaces s \
        ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
        WHERE c.tenant_id = $1 AND c.user_id = $2 AND (c.id IN (SELECT unhex(value) FROM json_each($3)) \
        OR c.name IN (SELECT value FROM json_each($4)))",
    postgres: "SELECT c.id, c.name, c.chunk_size, c.chunk_overlap, s.id AS space_id, s.model, s.dimensions, \
        s.version FROM collections c LEFT JOIN spaces s \
        ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
        WHERE c.tenant_id = $1 AND c.user_id = $2 AND (c.id = ANY($3) OR c.name = ANY($4))",
};

const CREATE: Sql = Sql::Same(
    "INSERT INTO collections (tenant_id, user_id, id, name, description, chunk_size, chunk_overlap, \
     metadata, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);
const CREATE_SPACE: Sql = Sql::Same(
    "INSERT INTO spaces (tenant_id, id, collection_id, model, dimensions, version, status, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE collections SET name = COALESCE($4, name), description = COALESCE($5, description), \
     chunk_size = COALESCE($6, chunk_size), chunk_overlap = COALESCE($7, chunk_overlap), \
     metadata = COALESCE($8, metadata), updated_at = $9 WHERE tenant_id = $1 AND user_id = $2 AND id = $3",
);

/// Locks the collection row first, like every index writer, so that the lock order
/// is consistent and two cannot deadlock.
const LOCK: Sql =
    Sql::Postgres("SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3 FOR UPDATE");
/// The bytes of what [`DELETE_DOCUMENTS`] deletes; PostgreSQL does both in one
/// statement.
const LOOSEN: Sql = Sql::Sqlite(
    "INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM documents \
     WHERE tenant_id = $1 AND user_id = $2 AND collection_id = $3 \
     ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL",
);
/// Before the collection, whose foreign key would delete them without a word.
const DELETE_DOCUMENTS: Sql = Sql::Each {
    sqlite: "DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 AND collection_id = $3 \
        RETURNING blob_id",
    postgres: "WITH gone AS (DELETE FROM documents WHERE tenant_id = $1 AND user_id = $2 AND collection_id = $3 \
            RETURNING tenant_id, blob_id) \
        INSERT INTO loose_blobs (tenant_id, id) SELECT tenant_id, blob_id FROM gone \
        ON CONFLICT (tenant_id, id) DO UPDATE SET worker_id = NULL RETURNING id AS blob_id",
};
const DELETE: Sql = Sql::Same("DELETE FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3");

fn collection(owner: &Scope, row: &Row) -> Result<Collection> {
    let chunk_count = row.get("chunk_count")?;
    Ok(Collection {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        chunking: Chunking { size: row.get("chunk_size")?, overlap: row.get("chunk_overlap")? },
        space: active_space(row, chunk_count)?,
        metadata: row.json("metadata")?,
        is_shared: owner.user == UserId::SHARED,
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

fn config(owner: &Scope, row: &Row) -> Result<CollectionConfig> {
    let space = match row.maybe("space_id")? {
        Some(id) => Some((id, model(row)?)),
        None => None,
    };
    let chunking = Chunking { size: row.get("chunk_size")?, overlap: row.get("chunk_overlap")? };
    let is_shared = owner.user == UserId::SHARED;
    Ok(CollectionConfig { id: row.get("id")?, is_shared, chunking, space })
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
            .bind(collection.updated_at);
        let space = collection.space.as_ref().map(|space| create_space(scope, collection.id, space));
        let owner = create_shared(scope, collection.created_at);
        let statements = owner.into_iter().chain([create]).chain(space).collect();
        let missing = || Error::missing("user", scope.user);
        self.database.transaction_of(statements).await.map_err(|error| error.on_foreign_key(missing))?;
        Ok(())
    }

    async fn get(&self, scope: &Scope, id: CollectionId) -> Result<Collection> {
        get(self, scope, id).await
    }

    async fn get_by_name(&self, scope: &Scope, name: &str) -> Result<Option<Collection>> {
        let found = first(self, scope, |owner| GET_BY_NAME.scoped(owner).bind(text(name))).await?;
        found.map(|(owner, row)| collection(&owner, &row)).transpose()
    }

    async fn config(&self, scope: &Scope, id: CollectionId) -> Result<CollectionConfig> {
        let found = first(self, scope, |owner| CONFIG.scoped(owner).bind(id)).await?;
        let (owner, row) = or_not_found(found, || Error::missing("collection", id))?;
        config(&owner, &row)
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

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Collection>> {
        let list = |owner: &Scope| LIST.scoped(owner).bind(before(page)).bind(rows_of(page));
        Ok(merged_page(all(self, scope, collection, list).await?, page, true, |collection| collection.id.0))
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
            .bind(now);
        let updated = self.database.execute(update).await?;
        touched_or_not_found(updated, || Error::missing("collection", id))?;
        get(self, scope, id).await
    }

    async fn delete(&self, scope: &Scope, id: CollectionId) -> Result<Vec<Blob>> {
        let [_, _, documents, _] = self
            .database
            .transaction([
                LOCK.scoped(scope).bind(id),
                LOOSEN.scoped(scope).bind(id),
                DELETE_DOCUMENTS.scoped(scope).bind(id),
                DELETE.scoped(scope).bind(id).expect_touched(1),
            ])
            .await
            .map_err(|error| error.on_row_count(|| Error::missing("collection", id)))?;
        each(&documents.rows, |row| blob(scope.tenant, row))
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
    let found = first(store, scope, |owner| GET.scoped(owner).bind(id)).await?;
    let (owner, row) = or_not_found(found, || Error::missing("collection", id))?;
    collection(&owner, &row)
}

/// The first row that the user, or else the tenant, owns.
async fn first(
    store: &SqlStore,
    scope: &Scope,
    statement: impl Fn(&Scope) -> Statement,
) -> Result<Option<(Scope, Row)>> {
    let owners = owners(scope);
    let found = store.database.read_each(owners.map(|owner| statement(&owner))).await?;
    Ok(owners.into_iter().zip(found).find_map(|(owner, rows)| Some((owner, rows.into_iter().next()?))))
}

/// The rows that the user owns, and then those that the tenant does.
async fn all<T>(
    store: &SqlStore,
    scope: &Scope,
    of: impl Fn(&Scope, &Row) -> Result<T>,
    statement: impl Fn(&Scope) -> Statement,
) -> Result<Vec<T>> {
    let owners = owners(scope);
    let found = store.database.read_each(owners.map(|owner| statement(&owner))).await?;
    let mut all = Vec::new();
    for (owner, rows) in owners.iter().zip(&found) {
        all.extend(each(rows, |row| of(owner, row))?);
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
    let names_as_json = json(&names)?;
    let statement = |owner: &Scope| {
        let configs = CONFIGS.scoped(owner).bind(ids.clone());
        match store.database.kind() {
            Kind::Sqlite => configs.bind(names_as_json.clone()),
            Kind::Postgres => configs.bind(Array::texts(names.clone())),
        }
    };
    // The user's own come first, and so hide the shared ones of the same name.
    let named = |owner: &Scope, row: &Row| Ok((row.get::<String>("name")?, config(owner, row)?));
    let configs = all(store, scope, named, statement).await?;
    let in_order = ids_or_names.iter().map(|wanted| {
        let is_wanted = |(name, config): &&(String, CollectionConfig)| match wanted.parse::<CollectionId>() {
            Ok(id) => config.id == id,
            Err(_) => *name == text(wanted),
        };
        let shown = || wanted.chars().take(64).collect::<String>();
        let config = configs.iter().find(is_wanted).map(|(_, config)| config.clone());
        or_not_found(config, || Error::missing("collection", format!("`{}`", shown())))
    });
    in_order.collect()
}
