//! API tokens.

use aimate_core::api_token::{ApiToken, ApiTokenStore, FoundToken, MAX_TOKENS};
use aimate_core::{ApiTokenId, Error, Page, PageRequest, Result, Scope, Timestamp};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{before, page_by_id, rows_of, touched_or_not_found};
use crate::value::{json, text};

/// One new token of a user after the other, so that each counts those before it.
const LOCK: Sql = Sql::Postgres("SELECT id FROM users WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE");
/// Not one more than `$10`.
const CREATE: Sql = Sql::Each {
    sqlite: "INSERT INTO api_tokens (tenant_id, user_id, id, name, prefix, secret_hash, scopes, created_at, \
        expires_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE (SELECT count(*) FROM api_tokens a \
        WHERE a.tenant_id = $1 AND a.user_id = $2) < $10",
    postgres: "INSERT INTO api_tokens (tenant_id, user_id, id, name, prefix, secret_hash, scopes, created_at, \
        expires_at) SELECT $1, $2, $3::uuid, $4, $5, $6::bytea, $7::jsonb, $8::bigint, $9::bigint \
        WHERE (SELECT count(*) FROM api_tokens a WHERE a.tenant_id = $1 AND a.user_id = $2) < $10",
};
const LIST: Sql = Sql::Same(
    "SELECT id, name, prefix, secret_hash, scopes, created_at, expires_at, last_used_at FROM api_tokens \
     WHERE tenant_id = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
);
const TOUCH: Sql =
    Sql::Same("UPDATE api_tokens SET last_used_at = $4 WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
const DELETE: Sql = Sql::Same("DELETE FROM api_tokens WHERE tenant_id = $1 AND user_id = $2 AND id = $3");
/// Over all tenants: the token leads to its own.
const FIND: Sql = Sql::Same(
    "SELECT tenant_id, user_id, id, name, prefix, secret_hash, scopes, created_at, expires_at, last_used_at \
     FROM api_tokens WHERE prefix = $1 LIMIT 8",
);

fn token(row: &Row) -> Result<ApiToken> {
    Ok(ApiToken {
        id: row.get("id")?,
        name: row.get("name")?,
        prefix: row.get("prefix")?,
        secret_hash: row.get("secret_hash")?,
        scopes: row.json("scopes")?,
        created_at: row.get("created_at")?,
        expires_at: row.maybe("expires_at")?,
        last_used_at: row.maybe("last_used_at")?,
    })
}

#[async_trait]
impl ApiTokenStore for SqlStore {
    async fn create(&self, scope: &Scope, token: &ApiToken) -> Result<()> {
        let create = CREATE
            .scoped(scope)
            .bind(token.id)
            .bind(text(&token.name))
            .bind(token.prefix.as_str())
            .bind(token.secret_hash.as_slice())
            .bind(json(&token.scopes)?)
            .bind(token.created_at)
            .bind(token.expires_at)
            .bind(i64::from(MAX_TOKENS))
            .expect_touched(1);
        let missing = || Error::missing("user", scope.user);
        let too_many =
            || Error::conflict(format!("you have {MAX_TOKENS} API tokens, the most; delete one of them"));
        self.database
            .transaction([LOCK.scoped(scope), create])
            .await
            .map_err(|error| error.on_foreign_key(missing).on_row_count(too_many))?;
        Ok(())
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<ApiToken>> {
        let list = LIST.scoped(scope).bind(before(page)).bind(rows_of(page));
        let tokens = each(&self.database.read(list).await?, token)?;
        Ok(page_by_id(tokens, page, |token| token.id.0))
    }

    async fn touch(&self, scope: &Scope, id: ApiTokenId, now: Timestamp) -> Result<()> {
        let touched = self.database.execute(TOUCH.scoped(scope).bind(id).bind(now)).await?;
        touched_or_not_found(touched, || Error::missing("API token", id))
    }

    async fn delete(&self, scope: &Scope, id: ApiTokenId) -> Result<()> {
        let deleted = self.database.execute(DELETE.scoped(scope).bind(id).uses_reserve()).await?;
        touched_or_not_found(deleted, || Error::missing("API token", id))
    }

    async fn find(&self, prefix: &str) -> Result<Vec<FoundToken>> {
        each(&self.database.read(FIND.bind(text(prefix))).await?, |row| {
            Ok(FoundToken { tenant: row.get("tenant_id")?, user: row.get("user_id")?, token: token(row)? })
        })
    }
}
