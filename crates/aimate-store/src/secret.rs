//! Sealed secrets of all tenants, for the rotation of their keys.
//!
//! A noun with a sealed secret has a column `key_id` beside it, an index that begins with
//! it, and its three statements here.

use std::collections::BTreeMap;

use aimate_core::sealing::{KeyUse, Resealed, Sealed, SecretKind, SecretStore, StoredSecret};
use aimate_core::{Error, Result, TenantId};
use async_trait::async_trait;
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Row, Sql, each};

const COUNT_CONNECTION_KEYS: Sql =
    Sql::Same("SELECT key_id, count(*) AS secrets FROM connections WHERE key_id IS NOT NULL GROUP BY key_id");
const CONNECTION_KEYS: Sql = Sql::Same(
    "SELECT tenant_id, id, COALESCE(workspace_id, user_id, tenant_id) AS owner_id, name, url, sealed_key AS sealed, key_id \
     FROM connections WHERE key_id = $1 AND (tenant_id, id) > ($2, $3) ORDER BY tenant_id, id LIMIT $4",
);
const RESEAL_CONNECTION_KEY: Sql = Sql::Same(
    "UPDATE connections SET sealed_key = $4, key_id = $5 WHERE tenant_id = $1 AND id = $2 AND sealed_key = $3",
);
const COUNT_TOOL_AUTH: Sql = Sql::Same(
    "SELECT key_id, count(*) AS secrets FROM tool_servers WHERE key_id IS NOT NULL GROUP BY key_id",
);
const TOOL_AUTH: Sql = Sql::Same(
    "SELECT tenant_id, id, COALESCE(workspace_id, user_id, tenant_id) AS owner_id, name, url, sealed_auth AS sealed, key_id \
     FROM tool_servers WHERE key_id = $1 AND (tenant_id, id) > ($2, $3) ORDER BY tenant_id, id LIMIT $4",
);
const RESEAL_TOOL_AUTH: Sql = Sql::Same(
    "UPDATE tool_servers SET sealed_auth = $4, key_id = $5 WHERE tenant_id = $1 AND id = $2 AND sealed_auth = $3",
);
const COUNT_TOOL_GRANTS: Sql =
    Sql::Same("SELECT key_id, count(*) AS secrets FROM tool_grants GROUP BY key_id");
const TOOL_GRANTS: Sql = Sql::Same(
    "SELECT tenant_id, id, user_id AS owner_id, issuer AS name, url, sealed_tokens AS sealed, key_id \
     FROM tool_grants WHERE key_id = $1 AND (tenant_id, id) > ($2, $3) ORDER BY tenant_id, id LIMIT $4",
);
const RESEAL_TOOL_GRANT: Sql = Sql::Same(
    "UPDATE tool_grants SET sealed_tokens = $4, key_id = $5 WHERE tenant_id = $1 AND id = $2 AND sealed_tokens = $3",
);

/// The statements of a kind.
struct Statements {
    count: Sql,
    list: Sql,
    reseal: Sql,
}

fn statements(kind: SecretKind) -> Result<Statements> {
    match kind {
        SecretKind::ConnectionKey => Ok(Statements {
            count: COUNT_CONNECTION_KEYS,
            list: CONNECTION_KEYS,
            reseal: RESEAL_CONNECTION_KEY,
        }),
        SecretKind::ToolServerAuth => {
            Ok(Statements { count: COUNT_TOOL_AUTH, list: TOOL_AUTH, reseal: RESEAL_TOOL_AUTH })
        }
        SecretKind::ToolGrant => {
            Ok(Statements { count: COUNT_TOOL_GRANTS, list: TOOL_GRANTS, reseal: RESEAL_TOOL_GRANT })
        }
        other => Err(Error::unsupported(format!("this store keeps no {other:?}"))),
    }
}

/// Of any tenant.
const ANY: Sql = Sql::Same(
    "SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM connections WHERE key_id IS NOT NULL) \
     OR EXISTS (SELECT 1 FROM tool_servers WHERE key_id IS NOT NULL) OR EXISTS (SELECT 1 FROM tool_grants)",
);

/// Whether anything of any tenant is sealed.
pub(crate) async fn is_anything_sealed(store: &SqlStore) -> Result<bool> {
    Ok(store.database.read_first(ANY.unbound()).await?.is_some())
}

/// The secret in the columns `sealed` and `key_id`; `None` if there is none.
pub(crate) fn sealed(row: &Row, column: &str) -> Result<Option<Sealed>> {
    let bytes: Option<Vec<u8>> = row.maybe(column)?;
    bytes.map(|bytes| Ok(Sealed { key_id: row.get("key_id")?, bytes })).transpose()
}

#[async_trait]
impl SecretStore for SqlStore {
    async fn count_by_key(&self) -> Result<Vec<KeyUse>> {
        let mut counts = BTreeMap::<u32, u64>::new();
        for kind in SecretKind::ALL {
            for row in self.database.read(statements(kind)?.count.unbound()).await? {
                let secrets: u64 = row.get("secrets")?;
                *counts.entry(row.get("key_id")?).or_default() += secrets;
            }
        }
        Ok(counts.into_iter().map(|(key_id, secrets)| KeyUse { key_id, secrets }).collect())
    }

    async fn sealed_with(
        &self,
        kind: SecretKind,
        key_id: u32,
        after: Option<(TenantId, Uuid)>,
        limit: u32,
    ) -> Result<Vec<StoredSecret>> {
        let (tenant, row) = after.map_or((Uuid::nil(), Uuid::nil()), |(tenant, row)| (tenant.0, row));
        let list = statements(kind)?.list.bind(key_id).bind(tenant).bind(row).bind(limit);
        each(&self.database.read(list).await?, |row| {
            Ok(StoredSecret {
                kind,
                tenant: row.get("tenant_id")?,
                row: row.get("id")?,
                owner: row.get("owner_id")?,
                name: row.get("name")?,
                url: row.maybe("url")?,
                sealed: Sealed { key_id: row.get("key_id")?, bytes: row.get("sealed")? },
            })
        })
    }

    async fn reseal(&self, resealed: &[Resealed]) -> Result<u64> {
        let statements = resealed.iter().map(|Resealed { stored, sealed }| {
            Ok(statements(stored.kind)?
                .reseal
                .bind(stored.tenant)
                .bind(stored.row)
                .bind(stored.sealed.bytes.as_slice())
                .bind(sealed.bytes.as_slice())
                .bind(sealed.key_id))
        });
        let statements = statements.collect::<Result<Vec<_>>>()?;
        if statements.is_empty() {
            return Ok(0);
        }
        let outcomes = self.database.transaction_of(statements).await?;
        Ok(outcomes.iter().map(|outcome| outcome.touched).sum())
    }
}
