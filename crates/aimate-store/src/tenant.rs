//! Tenants.

use aimate_core::tenant::{Tenant, TenantChange, TenantStore};
use aimate_core::{Error, Page, PageRequest, Result, TenantId, Timestamp};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{after, or_not_found, page_by_id, rows_of};
use crate::value::maybe_text;

const GET: Sql = Sql::Same(
    "SELECT tenant_id, key, name, is_active, created_at, updated_at FROM tenants WHERE tenant_id = $1",
);
const LIST: Sql = Sql::Same(
    "SELECT tenant_id, key, name, is_active, created_at, updated_at FROM tenants \
     WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2",
);
const UPDATE: Sql = Sql::Same(
    "UPDATE tenants SET name = COALESCE($2, name), is_active = COALESCE($3, is_active), updated_at = $4 \
     WHERE tenant_id = $1 RETURNING tenant_id, key, name, is_active, created_at, updated_at",
);
/// The running answers of a tenant whose users may not act.
const CANCEL_RUNS: Sql = Sql::Same(
    "UPDATE runs SET is_cancel_requested = true WHERE tenant_id = $1 AND finished_at IS NULL \
     AND EXISTS (SELECT 1 FROM tenants t WHERE t.tenant_id = $1 AND NOT t.is_active)",
);

fn tenant(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        id: row.get("tenant_id")?,
        key: row.maybe("key")?,
        name: row.get("name")?,
        is_active: row.get("is_active")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[async_trait]
impl TenantStore for SqlStore {
    async fn list(&self, page: PageRequest) -> Result<Page<Tenant>> {
        let rows = self.database.read(LIST.bind(after(page)).bind(rows_of(page))).await?;
        Ok(page_by_id(each(&rows, tenant)?, page, |tenant| tenant.id.0))
    }

    async fn get(&self, id: TenantId) -> Result<Tenant> {
        let row = self.database.read_first(GET.bind(id)).await?;
        tenant(&or_not_found(row, || Error::missing("tenant", id))?)
    }

    async fn update(&self, id: TenantId, change: &TenantChange, now: Timestamp) -> Result<Tenant> {
        let update = UPDATE.bind(id).bind(maybe_text(change.name.as_ref())).bind(change.is_active).bind(now);
        let [updated, _] = self.database.transaction([update, CANCEL_RUNS.bind(id)]).await?;
        tenant(or_not_found(updated.rows.first(), || Error::missing("tenant", id))?)
    }
}
