//! Collections.

use aimate_core::knowledge::{
    Blob, Chunking, Collection, CollectionChange, CollectionConfig, EmbeddingModel, EmbeddingSpace,
};
use aimate_core::{CollectionId, Error, ErrorKind, Page, PageRequest, Result, Scope, Timestamp};

use super::document::blob;
use crate::error::{explain, failure};
use crate::message::hex_list;
use crate::row::Columns;
use crate::statement::{before, found, page_by_id, rows_of, scoped};
use crate::value::{json, maybe_json, maybe_text, text};
use crate::{Database, SqlStore};

/// Collections `c` with their active spaces `s`.
macro_rules! select {
    () => {
        "SELECT c.id, c.name, c.description, c.chunk_size, c.chunk_overlap, c.metadata, c.created_at, \
         c.updated_at, s.id AS space_id, s.model, s.dimensions, s.version, s.status, s.error, \
         s.created_at AS space_created_at, \
         (SELECT count(*) FROM documents d WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.id) \
         AS document_count, \
         (SELECT CAST(COALESCE(sum(d.chunk_count), 0) AS bigint) FROM documents d \
         WHERE d.tenant_id = c.tenant_id AND d.collection_id = c.id) AS chunk_count \
         FROM collections c LEFT JOIN spaces s \
         ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
         WHERE c.tenant_id = $1 AND c.user_id = $2"
    };
}

/// The configuration of a collection: what reading and searching need, without
/// what is counted.
const CONFIG: &str = "SELECT c.id, c.name, c.chunk_size, c.chunk_overlap, s.id AS space_id, s.model, \
    s.dimensions, s.version FROM collections c LEFT JOIN spaces s \
    ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
    WHERE c.tenant_id = $1 AND c.user_id = $2 AND c.id = $3";
const NEWEST_CONFIGS: &str = "SELECT c.id, c.name, c.chunk_size, c.chunk_overlap, s.id AS space_id, s.model, \
    s.dimensions, s.version FROM collections c LEFT JOIN spaces s \
    ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
    WHERE c.tenant_id = $1 AND c.user_id = $2 ORDER BY c.id DESC LIMIT $3";
const SQLITE_CONFIGS: &str = "SELECT c.id, c.name, c.chunk_size, c.chunk_overlap, s.id AS space_id, s.model, \
    s.dimensions, s.version FROM collections c LEFT JOIN spaces s \
    ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
    WHERE c.tenant_id = $1 AND c.user_id = $2 AND (c.id IN (SELECT unhex(value) FROM json_each($3)) \
    OR c.name IN (SELECT value FROM json_each($4)))";
const POSTGRES_CONFIGS: &str = "SELECT c.id, c.name, c.chunk_size, c.chunk_overlap, s.id AS space_id, s.model, \
    s.dimensions, s.version FROM collections c LEFT JOIN spaces s \
    ON s.tenant_id = c.tenant_id AND s.collection_id = c.id AND s.status = 'active' \
    WHERE c.tenant_id = $1 AND c.user_id = $2 AND (c.id = ANY($3) OR c.name = ANY($4))";

const CREATE: &str = "INSERT INTO collections (tenant_id, user_id, id, name, description, chunk_size, \
    chunk_overlap, metadata, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const CREATE_SPACE: &str = "INSERT INTO spaces (tenant_id, id, collection_id, model, dimensions, version, \
    status, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const GET: &str = concat!(select!(), " AND c.id = $3");
const NAMED: &str = concat!(select!(), " AND c.name = $3");
const LIST: &str = concat!(select!(), " AND c.id < $3 ORDER BY c.id DESC LIMIT $4");
const UPDATE: &str = "UPDATE collections SET name = COALESCE($4, name), \
    description = COALESCE($5, description), chunk_size = COALESCE($6, chunk_size), \
    chunk_overlap = COALESCE($7, chunk_overlap), metadata = COALESCE($8, metadata), updated_at = $9 \
    WHERE tenant_id = $1 AND user_id = $2 AND id = $3";

/// Before all else, as those do that change a collection's index: whoever waits
/// for the other has nothing that the other waits for.
const LOCK: &str = "SELECT id FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3 FOR UPDATE";
const DELETE_DOCUMENTS: &str = "DELETE FROM documents \
    WHERE tenant_id = $1 AND user_id = $2 AND collection_id = $3 RETURNING id, content_hash";
const DELETE: &str = "DELETE FROM collections WHERE tenant_id = $1 AND user_id = $2 AND id = $3";

fn collection(row: &impl Columns) -> Result<Collection> {
    let chunk_count = row.get("chunk_count")?;
    Ok(Collection {
        id: row.get("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        chunking: Chunking { size: row.get("chunk_size")?, overlap: row.get("chunk_overlap")? },
        space: active_space(row, chunk_count)?,
        metadata: row.json("metadata")?,
        document_count: row.get("document_count")?,
        chunk_count,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn collection_config(row: &impl Columns) -> Result<CollectionConfig> {
    let space = match row.maybe("space_id")? {
        Some(id) => Some((id, model(row)?)),
        None => None,
    };
    let chunking = Chunking { size: row.get("chunk_size")?, overlap: row.get("chunk_overlap")? };
    Ok(CollectionConfig { id: row.get("id")?, chunking, space })
}

fn model(row: &impl Columns) -> Result<EmbeddingModel> {
    Ok(EmbeddingModel {
        name: row.get("model")?,
        dimensions: row.get("dimensions")?,
        version: row.get("version")?,
    })
}

/// Every findable chunk has a vector in the active space.
fn active_space(row: &impl Columns, chunk_count: u64) -> Result<Option<EmbeddingSpace>> {
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

/// See [`CollectionStore::create`](aimate_core::knowledge::CollectionStore::create).
pub(super) async fn create(store: &SqlStore, scope: &Scope, collection: &Collection) -> Result<()> {
    let metadata = json(&collection.metadata)?;
    on!(store, |db| {
        let mut queries = vec![
            scoped(CREATE, scope)
                .bind(collection.id.0)
                .bind(text(&collection.name).into_owned())
                .bind(text(&collection.description).into_owned())
                .bind(i64::from(collection.chunking.size))
                .bind(i64::from(collection.chunking.overlap))
                .bind(metadata)
                .bind(collection.created_at.0)
                .bind(collection.updated_at.0),
        ];
        if let Some(space) = &collection.space {
            queries.push(
                sqlx::query(CREATE_SPACE)
                    .bind(scope.tenant.0)
                    .bind(space.id.0)
                    .bind(collection.id.0)
                    .bind(text(&space.model.name).into_owned())
                    .bind(i64::from(space.model.dimensions))
                    .bind(text(&space.model.version).into_owned())
                    .bind(space.status.as_str())
                    .bind(space.created_at.0),
            );
        }
        db.all(queries, |_| Ok(())).await
    })
    .map_err(|error| explain(error, ErrorKind::NotFound, || Error::missing("user", scope.user)))
}

/// See [`CollectionStore::get`](aimate_core::knowledge::CollectionStore::get).
pub(super) async fn get(store: &SqlStore, scope: &Scope, id: CollectionId) -> Result<Collection> {
    on!(store, |db| {
        let row = db.read_first(scoped(GET, scope).bind(id.0)).await?;
        collection(&found(row, || Error::missing("collection", id))?)
    })
}

/// See [`CollectionStore::get_by_name`](aimate_core::knowledge::CollectionStore::get_by_name).
pub(super) async fn named(store: &SqlStore, scope: &Scope, name: &str) -> Result<Option<Collection>> {
    on!(store, |db| {
        let row = db.read_first(scoped(NAMED, scope).bind(text(name).into_owned())).await?;
        row.as_ref().map(collection).transpose()
    })
}

/// See [`CollectionStore::config`](aimate_core::knowledge::CollectionStore::config).
pub(super) async fn config(store: &SqlStore, scope: &Scope, id: CollectionId) -> Result<CollectionConfig> {
    on!(store, |db| {
        let row = db.read_first(scoped(CONFIG, scope).bind(id.0)).await?;
        collection_config(&found(row, || Error::missing("collection", id))?)
    })
}

/// See [`CollectionStore::configs`](aimate_core::knowledge::CollectionStore::configs).
pub(super) async fn configs(
    store: &SqlStore,
    scope: &Scope,
    ids_or_names: &[String],
) -> Result<Vec<CollectionConfig>> {
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for wanted in ids_or_names {
        match wanted.parse::<CollectionId>() {
            Ok(id) => ids.push(id.0),
            Err(_) => names.push(text(wanted).into_owned()),
        }
    }
    let configs: Vec<(String, CollectionConfig)> = match &store.database {
        Database::Sqlite(db) => {
            let query = scoped(SQLITE_CONFIGS, scope).bind(hex_list(ids)).bind(json(&names)?);
            db.read(query).await?.iter().map(named_config).collect::<Result<_>>()?
        }
        Database::Postgres(db) => {
            let query = scoped(POSTGRES_CONFIGS, scope).bind(ids).bind(names);
            db.read(query).await?.iter().map(named_config).collect::<Result<_>>()?
        }
    };
    let in_order = ids_or_names.iter().map(|wanted| {
        let is_wanted = |(name, config): &&(String, CollectionConfig)| match wanted.parse::<CollectionId>() {
            Ok(id) => config.id == id,
            Err(_) => *name == text(wanted),
        };
        let shown = || wanted.chars().take(64).collect::<String>();
        let config = configs.iter().find(is_wanted).map(|(_, config)| config.clone());
        found(config, || Error::missing("collection", format!("`{}`", shown())))
    });
    in_order.collect()
}

fn named_config(row: &impl Columns) -> Result<(String, CollectionConfig)> {
    Ok((row.get("name")?, collection_config(row)?))
}

/// See [`CollectionStore::newest_configs`](aimate_core::knowledge::CollectionStore::newest_configs).
pub(super) async fn newest_configs(store: &SqlStore, scope: &Scope) -> Result<Vec<CollectionConfig>> {
    on!(store, |db| {
        let query = scoped(NEWEST_CONFIGS, scope).bind(i64::from(PageRequest::MAX_LIMIT));
        db.read(query).await?.iter().map(collection_config).collect()
    })
}

/// See [`CollectionStore::list`](aimate_core::knowledge::CollectionStore::list).
pub(super) async fn list(store: &SqlStore, scope: &Scope, page: PageRequest) -> Result<Page<Collection>> {
    let rows: Vec<Collection> = on!(store, |db| {
        let rows = db.read(scoped(LIST, scope).bind(before(page)).bind(rows_of(page))).await?;
        rows.iter().map(collection).collect::<Result<_>>()?
    });
    Ok(page_by_id(rows, page, |collection| collection.id.0))
}

/// See [`CollectionStore::update`](aimate_core::knowledge::CollectionStore::update).
pub(super) async fn update(
    store: &SqlStore,
    scope: &Scope,
    id: CollectionId,
    change: &CollectionChange,
    now: Timestamp,
) -> Result<Collection> {
    let metadata = maybe_json(change.metadata.as_ref())?;
    let updated = on!(store, |db| {
        let query = scoped(UPDATE, scope)
            .bind(id.0)
            .bind(maybe_text(change.name.as_ref()))
            .bind(maybe_text(change.description.as_ref()))
            .bind(change.chunking.map(|chunking| i64::from(chunking.size)))
            .bind(change.chunking.map(|chunking| i64::from(chunking.overlap)))
            .bind(metadata)
            .bind(now.0);
        db.execute(query).await?
    });
    found((updated > 0).then_some(()), || Error::missing("collection", id))?;
    get(store, scope, id).await
}

/// See [`CollectionStore::delete`](aimate_core::knowledge::CollectionStore::delete).
pub(super) async fn delete(store: &SqlStore, scope: &Scope, id: CollectionId) -> Result<Vec<Blob>> {
    let tenant = scope.tenant;
    macro_rules! delete {
        ($db:expr, $lock:expr) => {{
            let lock: Vec<_> = $lock;
            let documents = scoped(DELETE_DOCUMENTS, scope).bind(id.0);
            let collection = scoped(DELETE, scope).bind(id.0);
            $db.transaction(move |session| {
                Box::pin(async move {
                    for query in lock {
                        query.execute(&mut *session).await.map_err(failure)?;
                    }
                    let documents = documents.fetch_all(&mut *session).await.map_err(failure)?;
                    let deleted = collection.execute(session).await.map_err(failure)?.rows_affected();
                    found((deleted > 0).then_some(()), || Error::missing("collection", id))?;
                    documents.iter().map(|row| blob(tenant, row)).collect()
                })
            })
            .await
        }};
    }
    match &store.database {
        Database::Sqlite(db) => delete!(db, Vec::<crate::sqlite::SqliteQuery>::new()),
        Database::Postgres(db) => delete!(db, vec![scoped(LOCK, scope).bind(id.0)]),
    }
}
