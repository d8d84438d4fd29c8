//! Invites.

use aimate_core::invite::{Invite, InviteStore};
use aimate_core::{EmailAddress, Error, InviteId, Page, PageRequest, Result, Scope};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Row, Sql, each};
use crate::page::{before, page_by_id, rows_of, touched_or_not_found};

const DELETE_EXPIRED: Sql = Sql::Same("DELETE FROM invites WHERE tenant_id = $1 AND expires_at <= $2");
const CREATE: Sql = Sql::Same(
    "INSERT INTO invites (tenant_id, id, user_id, token_hash, email, role, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const LIST: Sql = Sql::Same(
    "SELECT id, user_id, token_hash, email, role, created_at, expires_at FROM invites \
     WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
);
const DELETE: Sql = Sql::Same("DELETE FROM invites WHERE tenant_id = $1 AND id = $2");

fn invite(row: &Row) -> Result<Invite> {
    Ok(Invite {
        id: row.get("id")?,
        token_hash: row.get("token_hash")?,
        email: row.maybe::<EmailAddress>("email")?,
        role: row.name("role")?,
        user_id: row.maybe("user_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

#[async_trait]
impl InviteStore for SqlStore {
    async fn create(&self, scope: &Scope, invite: &Invite) -> Result<()> {
        let create = CREATE
            .bind(scope.tenant)
            .bind(invite.id)
            .bind(invite.user_id)
            .bind(invite.token_hash.as_slice())
            .bind(invite.email.as_ref().map(EmailAddress::as_str))
            .bind(invite.role.as_str())
            .bind(invite.created_at)
            .bind(invite.expires_at);
        let delete_expired = DELETE_EXPIRED.bind(scope.tenant).bind(invite.created_at);
        let missing = || Error::not_found("there is no such user in the tenant");
        self.database
            .transaction([delete_expired, create])
            .await
            .map_err(|error| error.on_foreign_key(missing))?;
        Ok(())
    }

    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Invite>> {
        let list = LIST.bind(scope.tenant).bind(before(page)).bind(rows_of(page));
        let invites = each(&self.database.read(list).await?, invite)?;
        Ok(page_by_id(invites, page, |invite| invite.id.0))
    }

    async fn delete(&self, scope: &Scope, id: InviteId) -> Result<()> {
        let deleted = self.database.execute(DELETE.bind(scope.tenant).bind(id)).await?;
        touched_or_not_found(deleted, || Error::missing("invite", id))
    }
}
