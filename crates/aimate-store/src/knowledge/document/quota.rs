//! How much a user and a tenant keep, and whether it is within their quotas.

use aimate_core::knowledge::{StorageAmount, StorageQuota, StorageQuotas, StorageUse};
use aimate_core::{Result, Scope};

use crate::SqlStore;
use crate::database::{Row, Sql, Statement};
use crate::value::count;

/// One new document of a tenant after the other, so that each sees those before it.
const LOCK: Sql = Sql::Postgres("SELECT tenant_id FROM tenants WHERE tenant_id = $1 FOR NO KEY UPDATE");
/// A row if the user `$2` keeps at most `$3` documents and files, and `$4` bytes of them. A
/// document that was attached from a file has no bytes of its own; parts of uploads are bytes.
const USER_FITS: Sql = Sql::Same(
    "SELECT t.tenant_id FROM tenants t WHERE t.tenant_id = $1 \
     AND (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.user_id = $2) \
     + (SELECT count(*) FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2) <= $3 \
     AND (SELECT COALESCE(sum(d.size), 0) FROM documents d \
        WHERE d.tenant_id = $1 AND d.user_id = $2 AND d.file_id IS NULL) \
     + (SELECT COALESCE(sum(f.size), 0) FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2) \
     + (SELECT COALESCE(sum(p.size), 0) FROM upload_parts p WHERE p.tenant_id = $1 AND p.user_id = $2) <= $4",
);
/// The same of the tenant, `$2` and `$3`.
const TENANT_FITS: Sql = Sql::Same(
    "SELECT t.tenant_id FROM tenants t WHERE t.tenant_id = $1 \
     AND (SELECT count(*) FROM documents d WHERE d.tenant_id = $1) \
     + (SELECT count(*) FROM files f WHERE f.tenant_id = $1) <= $2 \
     AND (SELECT COALESCE(sum(d.size), 0) FROM documents d \
        WHERE d.tenant_id = $1 AND d.file_id IS NULL) \
     + (SELECT COALESCE(sum(f.size), 0) FROM files f WHERE f.tenant_id = $1) \
     + (SELECT COALESCE(sum(p.size), 0) FROM upload_parts p WHERE p.tenant_id = $1) <= $3",
);
const OF_USER: Sql = Sql::Same(
    "SELECT (SELECT count(*) FROM documents d WHERE d.tenant_id = $1 AND d.user_id = $2) \
     + (SELECT count(*) FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2) AS document_count, \
     CAST((SELECT COALESCE(sum(d.size), 0) FROM documents d \
        WHERE d.tenant_id = $1 AND d.user_id = $2 AND d.file_id IS NULL) \
     + (SELECT COALESCE(sum(f.size), 0) FROM files f WHERE f.tenant_id = $1 AND f.user_id = $2) \
     + (SELECT COALESCE(sum(p.size), 0) FROM upload_parts p WHERE p.tenant_id = $1 AND p.user_id = $2) AS bigint) \
     AS byte_count",
);
const OF_TENANT: Sql = Sql::Same(
    "SELECT (SELECT count(*) FROM documents d WHERE d.tenant_id = $1) \
     + (SELECT count(*) FROM files f WHERE f.tenant_id = $1) AS document_count, \
     CAST((SELECT COALESCE(sum(d.size), 0) FROM documents d \
        WHERE d.tenant_id = $1 AND d.file_id IS NULL) \
     + (SELECT COALESCE(sum(f.size), 0) FROM files f WHERE f.tenant_id = $1) \
     + (SELECT COALESCE(sum(p.size), 0) FROM upload_parts p WHERE p.tenant_id = $1) AS bigint) AS byte_count",
);

/// What comes before a document is stored; nothing without a quota.
pub(crate) fn before(scope: &Scope, quotas: &StorageQuotas) -> Option<Statement> {
    (!quotas.is_none()).then(|| LOCK.bind(scope.tenant))
}

/// What undoes it, if there is too much with it.
pub(crate) fn after(scope: &Scope, quotas: &StorageQuotas) -> impl Iterator<Item = Statement> {
    let most = |statement: Statement, quota: &StorageQuota| {
        let [documents, bytes] = [quota.documents, quota.bytes].map(|most| most.map_or(i64::MAX, count));
        statement.bind(documents).bind(bytes).expect_returned()
    };
    let user = (!quotas.user.is_none()).then(|| most(USER_FITS.scoped(scope), &quotas.user));
    let tenant = (!quotas.tenant.is_none()).then(|| most(TENANT_FITS.bind(scope.tenant), &quotas.tenant));
    user.into_iter().chain(tenant)
}

/// Whether so much more goes beyond a quota, beside what is stored now.
pub(crate) fn exceeds(quotas: &StorageQuotas, stored: &StorageUse, more: StorageAmount) -> bool {
    !quotas.user.allows(&stored.user.with(more)) || !quotas.tenant.allows(&stored.tenant.with(more))
}

fn stored(row: &Row) -> Result<StorageAmount> {
    let number = |name: &str| row.get::<i64>(name).map(|number| number.try_into().unwrap_or(0));
    Ok(StorageAmount { documents: number("document_count")?, bytes: number("byte_count")? })
}

/// See [`DocumentStore::storage`](aimate_core::knowledge::DocumentStore::storage).
pub(crate) async fn storage(store: &SqlStore, scope: &Scope, quotas: &StorageQuotas) -> Result<StorageUse> {
    let amount = async |quota: &StorageQuota, sum: Statement| {
        if quota.is_none() {
            return Ok(StorageAmount::default());
        }
        let row = store.database.read_first(sum).await?;
        row.as_ref().map_or(Ok(StorageAmount::default()), stored)
    };
    let user = amount(&quotas.user, OF_USER.scoped(scope)).await?;
    Ok(StorageUse { user, tenant: amount(&quotas.tenant, OF_TENANT.bind(scope.tenant)).await? })
}
