//! Models.

use std::collections::HashSet;

use aimate_core::model::{Model, ModelStore};
use aimate_core::{ConnectionId, Error, Result, Role, Scope, Timestamp};
use async_trait::async_trait;
use serde_json::json as object;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::or_not_found;
use crate::value::{json, text};

/// Of the connections that `connection::LIST` gives.
const LIST: Sql = Sql::Each {
    sqlite: "SELECT connection_id, model_id, name, context_window, capabilities, is_active, prices FROM models \
        WHERE tenant_id = $1 AND connection_id IN ( \
        SELECT id FROM connections WHERE tenant_id = $1 AND user_id = $2 AND workspace_id IS NULL \
        UNION ALL SELECT id FROM connections WHERE tenant_id = $1 AND user_id IS NULL \
        UNION ALL SELECT c.id FROM workspace_access a CROSS JOIN connections c \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role <> 'viewer' AND c.tenant_id = $1 \
            AND c.workspace_id = a.workspace_id) \
        ORDER BY connection_id, model_id",
    postgres: "SELECT connection_id, model_id, name, context_window, capabilities, is_active, prices FROM models \
        WHERE tenant_id = $1 AND connection_id IN ( \
        SELECT id FROM connections WHERE tenant_id = $1 AND user_id = $2 AND workspace_id IS NULL \
        UNION ALL SELECT id FROM connections WHERE tenant_id = $1 AND user_id IS NULL \
        UNION ALL SELECT c.id FROM workspace_access a CROSS JOIN LATERAL (SELECT o.id FROM connections o \
                WHERE o.tenant_id = $1 AND o.workspace_id = a.workspace_id OFFSET 0) c \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.role <> 'viewer') \
        ORDER BY connection_id, model_id",
};
/// `$6` says that the user is an admin, who may change what is shared, and what else
/// they see.
const SET_ACTIVE: Sql = Sql::Same(
    "UPDATE models SET is_active = $5 WHERE tenant_id = $1 AND connection_id = $3 AND model_id = $4 \
     AND EXISTS (SELECT 1 FROM connections c WHERE c.tenant_id = $1 AND c.id = $3 \
        AND (c.workspace_id IS NULL AND c.user_id = $2 OR $6 AND c.user_id IS NULL OR (SELECT a.role = 'owner' \
            OR $6 AND a.role <> 'viewer' FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
            AND a.workspace_id = c.workspace_id))) \
     RETURNING connection_id, model_id, name, context_window, capabilities, is_active, prices",
);

const FETCHED: Sql = Sql::Same(
    "UPDATE connections SET models_fetched_at = $4, stale_since = NULL, status = 'ok' \
     WHERE tenant_id = $1 AND id = $3 AND (user_id IS NULL OR workspace_id IS NULL AND user_id = $2 OR (SELECT a.role FROM workspace_access a \
        WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = connections.workspace_id) <> 'viewer')",
);
/// Deletes the models that are not in the JSON of `$3`.
const DELETE_OTHERS: Sql = Sql::Each {
    sqlite: "DELETE FROM models WHERE tenant_id = $1 AND connection_id = $2 \
        AND model_id NOT IN (SELECT value ->> 'model_id' FROM json_each($3))",
    postgres: "DELETE FROM models WHERE tenant_id = $1 AND connection_id = $2 \
        AND model_id NOT IN (SELECT r.value ->> 'model_id' FROM jsonb_array_elements($3::jsonb) AS r (value))",
};
/// Stores the models in the JSON of `$3`. One that is known keeps `is_active`: a
/// person switched it.
const UPSERT: Sql = Sql::Each {
    sqlite: "INSERT INTO models (tenant_id, connection_id, model_id, name, context_window, capabilities, \
        is_active, prices) \
        SELECT $1, $2, value ->> 'model_id', value ->> 'name', value ->> 'context_window', \
        value -> 'capabilities', value ->> 'is_active', NULLIF(value -> 'prices', 'null') \
        FROM json_each($3) WHERE true \
        ON CONFLICT (tenant_id, connection_id, model_id) DO UPDATE SET name = excluded.name, \
        context_window = excluded.context_window, capabilities = excluded.capabilities, prices = excluded.prices",
    postgres: "INSERT INTO models (tenant_id, connection_id, model_id, name, context_window, capabilities, \
        is_active, prices) \
        SELECT $1, $2, r.value ->> 'model_id', r.value ->> 'name', (r.value ->> 'context_window')::bigint, \
        r.value -> 'capabilities', (r.value ->> 'is_active')::boolean, NULLIF(r.value -> 'prices', 'null'::jsonb) \
        FROM jsonb_array_elements($3::jsonb) AS r (value) \
        ON CONFLICT (tenant_id, connection_id, model_id) DO UPDATE SET name = excluded.name, \
        context_window = excluded.context_window, capabilities = excluded.capabilities, prices = excluded.prices",
};

fn model(row: &Row) -> Result<Model> {
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
        each(&self.database.read(LIST.scoped(scope)).await?, model)
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
        let models = models.iter().filter(|model| known.insert(text(&model.model_id)));
        let rows = models.map(|model| {
            object!({
                "model_id": model.model_id,
                "name": model.name,
                "context_window": model.context_window,
                "capabilities": model.capabilities,
                "is_active": model.is_active,
                "prices": model.prices,
            })
        });
        let rows = json(&rows.collect::<Vec<_>>())?;
        let statements = [
            FETCHED.scoped(scope).bind(connection).bind(now).expect_touched(1),
            DELETE_OTHERS.bind(scope.tenant).bind(connection).bind(rows.clone()),
            UPSERT.bind(scope.tenant).bind(connection).bind(rows),
        ];
        let missing = || Error::missing("connection", connection);
        self.database.transaction(statements).await.map_err(|error| error.on_row_count(missing))?;
        Ok(())
    }

    async fn set_active(
        &self,
        scope: &Scope,
        connection: ConnectionId,
        model_id: &str,
        is_active: bool,
    ) -> Result<Model> {
        let set = SET_ACTIVE
            .scoped(scope)
            .bind(connection)
            .bind(text(model_id))
            .bind(is_active)
            .bind(scope.role == Role::Admin);
        let rows = self.database.write(set).await?;
        model(or_not_found(rows.first(), || Error::missing("model", model_id))?)
    }
}
