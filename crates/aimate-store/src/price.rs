//! Prices of models.

use aimate_core::model::Prices;
use aimate_core::price::{ModelPrice, PriceStore};
use aimate_core::{Error, Page, PageRequest, PriceId, Result, Scope, Timestamp};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{after, page_by_id, rows_of, touched_or_not_found};
use crate::value::text;

const CREATE: Sql = Sql::Same(
    "INSERT INTO model_prices (tenant_id, id, model, input, output, cached, valid_from, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const LIST: Sql = Sql::Same(
    "SELECT id, model, input, output, cached, valid_from, created_at FROM model_prices \
     WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
);
/// Those that no later one has replaced at `$2`.
const CURRENT: Sql = Sql::Same(
    "SELECT p.id, p.model, p.input, p.output, p.cached, p.valid_from, p.created_at FROM model_prices p \
     WHERE p.tenant_id = $1 AND NOT EXISTS (SELECT 1 FROM model_prices n WHERE n.tenant_id = $1 \
        AND n.model = p.model AND n.valid_from > p.valid_from AND n.valid_from <= $2) LIMIT 10000",
);
const DELETE: Sql = Sql::Same("DELETE FROM model_prices WHERE tenant_id = $1 AND id = $2");

fn price(row: &Row) -> Result<ModelPrice> {
    let prices =
        Prices { input: row.get("input")?, output: row.get("output")?, cached: row.maybe("cached")? };
    Ok(ModelPrice {
        id: row.get("id")?,
        model: row.get("model")?,
        prices,
        valid_from: row.get("valid_from")?,
        created_at: row.get("created_at")?,
    })
}

#[async_trait]
impl PriceStore for SqlStore {
    async fn create(&self, scope: &Scope, price: &ModelPrice) -> Result<()> {
        let create = CREATE
            .bind(scope.tenant)
            .bind(price.id)
            .bind(text(&price.model))
            .bind(price.prices.input)
            .bind(price.prices.output)
            .bind(price.prices.cached)
            .bind(price.valid_from)
            .bind(price.created_at);
        let taken = || Error::conflict("there is a price of this model from this moment on already");
        let missing = || Error::missing("tenant", scope.tenant);
        self.database
            .execute(create)
            .await
            .map_err(|error| error.on_unique(taken).on_foreign_key(missing))?;
        Ok(())
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<ModelPrice>> {
        let list = LIST.bind(scope.tenant).bind(after(page)).bind(rows_of(page));
        let prices = each(&self.database.read(list).await?, price)?;
        Ok(page_by_id(prices, page, |price| price.id.0))
    }

    async fn current(&self, scope: &Scope, now: Timestamp) -> Result<Vec<ModelPrice>> {
        each(&self.database.read(CURRENT.bind(scope.tenant).bind(now)).await?, price)
    }

    async fn delete(&self, scope: &Scope, id: PriceId) -> Result<()> {
        let deleted = self.database.execute(DELETE.bind(scope.tenant).bind(id)).await?;
        touched_or_not_found(deleted, || Error::missing("price", id))
    }
}
