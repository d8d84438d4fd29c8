//! Models.

use std::collections::HashSet;

use aimate_core::model::{Model, ModelStore};
use aimate_core::{ConnectionId, Error, Result, Scope, Timestamp};
use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite};

use crate::connection::visible;
use crate::error::failure;
use crate::row::Columns;
use crate::sqlite::SqliteQuery;
use crate::statement::{built, found, scoped};
use crate::value::{JsonText, json, maybe_json, text};
use crate::{Database, SqlStore};

macro_rules! columns {
    () => {
        "connection_id, model_id, name, context_window, capabilities, is_active, prices"
    };
}

/// Whether connection `$3` is one that user `$2` sees.
macro_rules! is_visible {
    () => {
        concat!("EXISTS (SELECT 1 FROM connections c WHERE ", visible!(), " AND c.id = $3)")
    };
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM models WHERE tenant_id = $1 AND connection_id IN (SELECT id FROM connections WHERE ",
    visible!(),
    ") ORDER BY connection_id, model_id"
);
const SET_ACTIVE: &str = concat!(
    "UPDATE models SET is_active = $5 WHERE tenant_id = $1 AND connection_id = $3 AND model_id = $4 AND ",
    is_visible!(),
    " RETURNING ",
    columns!()
);

macro_rules! fetched {
    () => {
        concat!(
            "UPDATE connections SET models_fetched_at = $4, stale_since = NULL, status = 'ok' WHERE ",
            visible!(),
            " AND id = $3"
        )
    };
}

/// A known model keeps `is_active`: a person switched it.
macro_rules! upsert {
    () => {
        "ON CONFLICT (tenant_id, connection_id, model_id) DO UPDATE SET name = excluded.name, \
         context_window = excluded.context_window, capabilities = excluded.capabilities, \
         prices = excluded.prices"
    };
}

const POSTGRES_REPLACE: &str = concat!(
    "WITH seen AS (",
    fetched!(),
    " RETURNING id), \
     gone AS (DELETE FROM models WHERE tenant_id = $1 AND connection_id = $3 \
        AND EXISTS (SELECT 1 FROM seen) AND NOT (model_id = ANY($5))), \
     listed AS (INSERT INTO models (tenant_id, connection_id, model_id, name, context_window, capabilities, \
        is_active, prices) SELECT $1, $3, m.* FROM unnest($5::text[], $6::text[], $7::bigint[], $8::jsonb[], \
        $9::boolean[], $10::jsonb[]) AS m WHERE EXISTS (SELECT 1 FROM seen) ",
    upsert!(),
    ") \
     SELECT id FROM seen"
);
const SQLITE_FETCHED: &str = fetched!();
const SQLITE_GONE: &str = "DELETE FROM models WHERE tenant_id = $1 AND connection_id = $2 \
    AND model_id NOT IN (SELECT value FROM json_each($3))";

fn model(row: &impl Columns) -> Result<Model> {
    Ok(Model {
        connection_id: row.get("connection_id")?,
        model_id: row.get("model_id")?,
        name: row.get("name")?,
        context_window: row.maybe("context_window")?,
        capabilities: row.json("capabilities")?,
        is_active: row.get("is_active")?,
        prices: row.maybe_json("prices")?,
    })
}

#[async_trait]
impl ModelStore for SqlStore {
    async fn list(&self, scope: &Scope) -> Result<Vec<Model>> {
        on!(self, |db| db.read(scoped(LIST, scope)).await?.iter().map(model).collect())
    }

    async fn replace(
        &self,
        scope: &Scope,
        connection: ConnectionId,
        models: &[Model],
        now: Timestamp,
    ) -> Result<()> {
        // Servers list a model twice sometimes.
        let mut known = HashSet::new();
        let models: Vec<&Model> = models.iter().filter(|model| known.insert(&model.model_id)).collect();
        let missing = move || Error::missing("connection", connection);
        match &self.database {
            Database::Sqlite(db) => {
                let seen: SqliteQuery = scoped(SQLITE_FETCHED, scope).bind(connection.0).bind(now.0);
                let listed = sqlite_listed(scope, connection, &models)?;
                db.transaction(move |session| {
                    Box::pin(async move {
                        let seen = seen.execute(&mut *session).await.map_err(failure)?;
                        found((seen.rows_affected() > 0).then_some(()), missing)?;
                        for query in listed {
                            query.execute(&mut *session).await.map_err(failure)?;
                        }
                        Ok(())
                    })
                })
                .await
            }
            Database::Postgres(db) => {
                let capabilities: Vec<JsonText> =
                    models.iter().map(|m| json(&m.capabilities)).collect::<Result<_>>()?;
                let prices: Vec<Option<JsonText>> =
                    models.iter().map(|m| maybe_json(m.prices.as_ref())).collect::<Result<_>>()?;
                let query = scoped(POSTGRES_REPLACE, scope)
                    .bind(connection.0)
                    .bind(now.0)
                    .bind(models.iter().map(|m| text(&m.model_id)).collect::<Vec<_>>())
                    .bind(models.iter().map(|m| text(&m.name)).collect::<Vec<_>>())
                    .bind(models.iter().map(|m| m.context_window.map(i64::from)).collect::<Vec<_>>())
                    .bind(capabilities)
                    .bind(models.iter().map(|m| m.is_active).collect::<Vec<_>>())
                    .bind(prices);
                let rows = db.write(query).await?;
                found(rows.first().map(drop), missing)
            }
        }
    }

    async fn set_active(
        &self,
        scope: &Scope,
        connection: ConnectionId,
        model_id: &str,
        is_active: bool,
    ) -> Result<Model> {
        on!(self, |db| {
            let query = scoped(SET_ACTIVE, scope).bind(connection.0).bind(text(model_id)).bind(is_active);
            let rows = db.write(query).await?;
            model(found(rows.first(), || Error::missing("model", model_id))?)
        })
    }
}

/// The statements that make `models` the connection's list.
fn sqlite_listed(scope: &Scope, connection: ConnectionId, models: &[&Model]) -> Result<Vec<SqliteQuery>> {
    let ids: Vec<_> = models.iter().map(|model| text(&model.model_id)).collect();
    let gone = sqlx::query(SQLITE_GONE).bind(scope.tenant.0).bind(connection.0).bind(json(&ids)?);
    let mut queries = vec![gone];
    for models in models.chunks(1000) {
        let mut query: QueryBuilder<Sqlite> =
            QueryBuilder::new(concat!("INSERT INTO models (tenant_id, ", columns!(), ") VALUES "));
        for (n, model) in models.iter().enumerate() {
            let (capabilities, prices) = (json(&model.capabilities)?, maybe_json(model.prices.as_ref())?);
            query.push(if n == 0 { "(" } else { ", (" });
            let mut values = query.separated(", ");
            values.push_bind(scope.tenant.0);
            values.push_bind(connection.0);
            values.push_bind(text(&model.model_id));
            values.push_bind(text(&model.name));
            values.push_bind(model.context_window.map(i64::from));
            values.push_bind(capabilities);
            values.push_bind(model.is_active);
            values.push_bind(prices);
            query.push(")");
        }
        query.push(concat!(" ", upsert!()));
        queries.push(built(query));
    }
    Ok(queries)
}
