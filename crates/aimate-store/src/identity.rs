//! Identities.

use aimate_core::identity::{Identity, IdentityStore};
use aimate_core::{Error, Result, TenantId, Timestamp, UserId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Sql, Statement};

const CREATE: Sql = Sql::Same(
    "INSERT INTO identities (tenant_id, issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4, $5)",
);
const FIND: Sql =
    Sql::Same("SELECT user_id FROM identities WHERE tenant_id = $1 AND issuer = $2 AND subject = $3");

/// Stores an identity of a user.
pub(crate) fn creation(tenant: TenantId, user: UserId, identity: &Identity, now: Timestamp) -> Statement {
    CREATE.bind(tenant).bind(identity.issuer()).bind(identity.subject()).bind(user).bind(now)
}

#[async_trait]
impl IdentityStore for SqlStore {
    async fn find(&self, tenant: TenantId, identity: &Identity) -> Result<Option<UserId>> {
        let find = FIND.bind(tenant).bind(identity.issuer()).bind(identity.subject());
        self.database.read_first(find).await?.map(|row| row.get("user_id")).transpose()
    }

    async fn link(&self, tenant: TenantId, user: UserId, identity: &Identity, now: Timestamp) -> Result<()> {
        self.database.execute(creation(tenant, user, identity, now)).await.map_err(|error| {
            error
                .on_unique(|| Error::conflict("somebody has this identity already"))
                .on_foreign_key(|| Error::missing("user", user))
        })?;
        Ok(())
    }
}
