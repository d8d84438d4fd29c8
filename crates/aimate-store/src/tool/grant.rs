//! Logins of users at tool servers.

use aimate_core::sealing::Sealed;
use aimate_core::tool::ToolGrant;
use aimate_core::{Error, Result, Scope, ToolServerId};

use crate::SqlStore;
use crate::database::{Sql, each};
use crate::value::text;

const GRANTS: Sql = Sql::Same(
    "SELECT id, server_id, issuer, url, sealed_tokens, key_id, updated_at FROM tool_grants \
     WHERE tenant_id = $1 AND user_id = $2 AND server_id = $3 ORDER BY issuer LIMIT 20",
);
/// The sealed tokens are bound to the row's id: a renewed one has another.
const PUT: Sql = Sql::Same(
    "INSERT INTO tool_grants (tenant_id, user_id, id, server_id, issuer, url, sealed_tokens, key_id, updated_at) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE EXISTS (SELECT 1 FROM tool_servers s \
     WHERE s.tenant_id = $1 AND s.id = $4 AND (s.user_id IS NULL OR s.workspace_id IS NULL AND s.user_id = $2 \
     OR (SELECT a.role FROM workspace_access a WHERE a.tenant_id = $1 AND a.user_id = $2 \
        AND a.workspace_id = s.workspace_id) <> 'viewer')) \
     ON CONFLICT (tenant_id, user_id, server_id, issuer) DO UPDATE SET id = excluded.id, url = excluded.url, \
     sealed_tokens = excluded.sealed_tokens, key_id = excluded.key_id, updated_at = excluded.updated_at",
);
const DELETE_ALL: Sql =
    Sql::Same("DELETE FROM tool_grants WHERE tenant_id = $1 AND user_id = $2 AND server_id = $3");
const DELETE: Sql = Sql::Same(
    "DELETE FROM tool_grants WHERE tenant_id = $1 AND user_id = $2 AND server_id = $3 AND issuer = $4",
);

impl SqlStore {
    pub(super) async fn grants_of(&self, scope: &Scope, server: ToolServerId) -> Result<Vec<ToolGrant>> {
        each(&self.database.read(GRANTS.scoped(scope).bind(server)).await?, |row| {
            Ok(ToolGrant {
                id: row.get("id")?,
                server_id: row.get("server_id")?,
                issuer: row.get("issuer")?,
                url: row.get("url")?,
                sealed: Sealed { key_id: row.get("key_id")?, bytes: row.get("sealed_tokens")? },
                updated_at: row.get("updated_at")?,
            })
        })
    }

    pub(super) async fn store_grant(&self, scope: &Scope, grant: &ToolGrant) -> Result<()> {
        let missing = || Error::missing("tool server", grant.server_id);
        let put = PUT
            .scoped(scope)
            .bind(grant.id)
            .bind(grant.server_id)
            .bind(text(&grant.issuer))
            .bind(text(&grant.url))
            .bind(grant.sealed.bytes.as_slice())
            .bind(grant.sealed.key_id)
            .bind(grant.updated_at);
        match self.database.execute(put).await.map_err(|error| error.on_foreign_key(missing))? {
            0 => Err(missing()),
            _ => Ok(()),
        }
    }

    pub(super) async fn forget_grants(
        &self,
        scope: &Scope,
        server: ToolServerId,
        issuer: Option<&str>,
    ) -> Result<()> {
        let delete = match issuer {
            None => DELETE_ALL.scoped(scope).bind(server),
            Some(issuer) => DELETE.scoped(scope).bind(server).bind(text(issuer)),
        };
        self.database.execute(delete).await?;
        Ok(())
    }
}
