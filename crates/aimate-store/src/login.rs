//! Logins, and the attempts to sign in.

mod attempt;

use aimate_core::login::{Admission, Attempt, AttemptLimit, Login, LoginStore, NewAccount};
use aimate_core::user::User;
use aimate_core::{EmailAddress, Error, Result, Secret, SessionId, TenantId, Timestamp, UserId};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{DbError, Row, Sql};
use crate::identity;
use crate::page::{or_not_found, touched_or_not_found};
use crate::session;
use crate::user;
use crate::value::text;
use crate::workspace::lock_tenant;

/// One registration after the other, so that one of them is the first.
const LOCK_TENANT: Sql = Sql::Postgres("SELECT tenant_id FROM tenants WHERE tenant_id = $1 FOR UPDATE");
/// The first of the tenant as an admin, if `$6`, and nobody else, if `$7`; by the
/// invite of hash `$8`, if that is not NULL. Nobody while the tenant is being deleted.
const CREATE_USER: Sql = Sql::Each {
    sqlite: "INSERT INTO users (tenant_id, id, email, name, role, is_active, settings, created_at, updated_at) \
        SELECT $1, $2, $3, $4, CASE WHEN $6 AND NOT t.has_accounts THEN 'admin' ELSE COALESCE((SELECT i.role \
        FROM invites i WHERE i.tenant_id = $1 AND i.token_hash = $8), $5) END, true, '{}', $9, $9 \
        FROM tenants t WHERE t.tenant_id = $1 AND NOT ($7 AND t.has_accounts) \
        AND ($8 IS NULL OR EXISTS (SELECT 1 FROM invites i WHERE i.tenant_id = $1 AND i.token_hash = $8 \
        AND i.expires_at > $9 AND COALESCE(i.email, $3) = $3)) \
        AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.tenant_id = $1 AND d.user_id IN ($2, $10) \
        AND d.finished_at IS NULL) \
        RETURNING id, key, email, name, role, is_active, settings, created_at, updated_at",
    postgres: "INSERT INTO users (tenant_id, id, email, name, role, is_active, settings, created_at, updated_at) \
        SELECT $1, $2::uuid, $3::text, $4, CASE WHEN $6::boolean AND NOT t.has_accounts THEN 'admin' \
        ELSE COALESCE((SELECT i.role FROM invites i WHERE i.tenant_id = $1 AND i.token_hash = $8::bytea), $5) END, \
        true, '{}'::jsonb, $9::bigint, $9 FROM tenants t WHERE t.tenant_id = $1 \
        AND NOT ($7::boolean AND t.has_accounts) \
        AND ($8 IS NULL OR EXISTS (SELECT 1 FROM invites i WHERE i.tenant_id = $1 AND i.token_hash = $8 \
        AND i.expires_at > $9 AND COALESCE(i.email, $3) = $3)) \
        AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.tenant_id = $1 AND d.user_id IN ($2, $10) \
        AND d.finished_at IS NULL) \
        RETURNING id, key, email, name, role, is_active, settings, created_at, updated_at",
};
/// The first of the tenant says so: an index lets no second one do that.
const CREATE: Sql = Sql::Each {
    sqlite: "INSERT INTO logins (tenant_id, user_id, email, password_hash, is_first, created_at, \
        password_changed_at) SELECT $1, $2, $3, $4, NOT t.has_accounts, $5, $5 FROM tenants t \
        WHERE t.tenant_id = $1",
    postgres: "INSERT INTO logins (tenant_id, user_id, email, password_hash, is_first, created_at, \
        password_changed_at) SELECT $1, $2::uuid, $3, $4, NOT t.has_accounts, $5::bigint, $5 FROM tenants t \
        WHERE t.tenant_id = $1",
};
const MARK_TENANT: Sql =
    Sql::Same("UPDATE tenants SET has_accounts = true WHERE tenant_id = $1 AND NOT has_accounts");
const USE_UP_INVITE: Sql = Sql::Same("DELETE FROM invites WHERE tenant_id = $1 AND token_hash = $2");
const SET_EMAIL: Sql =
    Sql::Same("UPDATE users SET email = $3, updated_at = $4 WHERE tenant_id = $1 AND id = $2");
const MOVE: Sql = Sql::Same("UPDATE logins SET user_id = $3 WHERE tenant_id = $1 AND user_id = $2");
const CLEAR_EMAIL: Sql = Sql::Same("UPDATE users SET email = NULL WHERE tenant_id = $1 AND id = $2");
/// As the login says, and the user `$3` who had it.
const TAKE_NAME: Sql = Sql::Same(
    "UPDATE users SET email = (SELECT l.email FROM logins l WHERE l.tenant_id = $1 AND l.user_id = $2), \
     name = (SELECT u.name FROM users u WHERE u.tenant_id = $1 AND u.id = $3), updated_at = $4 \
     WHERE tenant_id = $1 AND id = $2",
);
const FIND: Sql = Sql::Same(
    "SELECT email, tenant_id, user_id, password_hash, created_at, password_changed_at FROM logins WHERE email = $1",
);
const FIND_BY_USER: Sql = Sql::Same(
    "SELECT email, tenant_id, user_id, password_hash, created_at, password_changed_at FROM logins \
     WHERE tenant_id = $1 AND user_id = $2",
);
const HAS_ACCOUNTS: Sql = Sql::Same("SELECT has_accounts FROM tenants WHERE tenant_id = $1");
const SET_PASSWORD: Sql = Sql::Same(
    "UPDATE logins SET password_hash = $3, password_changed_at = $4 WHERE tenant_id = $1 AND user_id = $2",
);
const REHASH: Sql = Sql::Same("UPDATE logins SET password_hash = $3 WHERE email = $1 AND password_hash = $2");

fn login(row: &Row) -> Result<Login> {
    Ok(Login {
        email: row.get("email")?,
        tenant: row.get("tenant_id")?,
        user: row.get("user_id")?,
        password_hash: row.maybe::<String>("password_hash")?.map(Secret::new),
        created_at: row.get("created_at")?,
        password_changed_at: row.get("password_changed_at")?,
    })
}

fn taken() -> Error {
    Error::conflict("there is an account with this e-mail address or identity already")
}

fn not_admitted() -> Error {
    Error::forbidden("registration is closed, or the invite is not or no longer good for this address")
}

#[async_trait]
impl LoginStore for SqlStore {
    async fn register(&self, account: &NewAccount) -> Result<User> {
        let NewAccount { tenant, user, email, admission, .. } = account;
        let first_is_admin = matches!(admission, Admission::Anyone | Admission::First);
        let invite = match admission {
            Admission::Invited(hash) => Some(hash.as_slice()),
            _ => None,
        };
        let create_user = CREATE_USER
            .bind(*tenant)
            .bind(user.id)
            .bind(email.as_str())
            .bind(text(&user.name))
            .bind(user.role.as_str())
            .bind(first_is_admin)
            .bind(*admission == Admission::First)
            .bind(invite)
            .bind(user.created_at)
            .bind(UserId::SHARED)
            .expect_returned();
        let create = CREATE
            .bind(*tenant)
            .bind(user.id)
            .bind(email.as_str())
            .bind(account.password_hash.as_ref().map(Secret::expose))
            .bind(user.created_at);
        let mut statements = vec![
            user::tenant_creation(*tenant, user.created_at),
            LOCK_TENANT.bind(*tenant),
            create_user,
            create,
            MARK_TENANT.bind(*tenant),
        ];
        let identity = account.identity.as_ref();
        statements.extend(identity.map(|of| identity::creation(*tenant, user.id, of, user.created_at)));
        statements.extend(invite.map(|hash| USE_UP_INVITE.bind(*tenant).bind(hash)));
        let outcomes = self
            .database
            .transaction_of(statements)
            .await
            .map_err(|error| error.on_unique(taken).on_row_count(not_admitted))?;
        let row = outcomes.iter().find_map(|outcome| outcome.rows.iter().find(|row| is_user(row)));
        user::user(or_not_found(row, not_admitted)?)
    }

    async fn attach(&self, login: &Login) -> Result<()> {
        let set_email = SET_EMAIL
            .bind(login.tenant)
            .bind(login.user)
            .bind(login.email.as_str())
            .bind(login.created_at)
            .expect_touched(1);
        let create = CREATE
            .bind(login.tenant)
            .bind(login.user)
            .bind(login.email.as_str())
            .bind(login.password_hash.as_ref().map(Secret::expose))
            .bind(login.created_at);
        let statements = [LOCK_TENANT.bind(login.tenant), set_email, create, MARK_TENANT.bind(login.tenant)];
        let missing = || Error::missing("user", login.user);
        let taken = || Error::conflict("the user has a login, or the e-mail address has an account already");
        self.database
            .transaction(statements)
            .await
            .map_err(|error| error.on_unique(taken).on_row_count(missing))?;
        Ok(())
    }

    async fn adopt(&self, tenant: TenantId, from: UserId, to: UserId, now: Timestamp) -> Result<()> {
        let of = |sql: Sql, user: UserId| sql.bind(tenant).bind(user);
        let mut statements = vec![
            lock_tenant(tenant),
            of(MOVE, from).bind(to).expect_touched(1),
            of(CLEAR_EMAIL, from),
            of(TAKE_NAME, to).bind(from).bind(now).expect_touched(1),
        ];
        statements.extend(user::deletion(tenant, from));
        let taken = || Error::conflict("the user has a login already");
        let missing = || Error::not_found("there is no account to adopt, or no user to adopt it");
        self.database
            .transaction_of(statements)
            .await
            .map_err(|error| error.on_unique(taken).on_row_count(missing).on_foreign_key(missing))?;
        Ok(())
    }

    async fn find(&self, email: &EmailAddress) -> Result<Option<Login>> {
        self.database.read_first(FIND.bind(email.as_str())).await?.as_ref().map(login).transpose()
    }

    async fn find_by_user(&self, tenant: TenantId, user: UserId) -> Result<Option<Login>> {
        let row = self.database.read_first(FIND_BY_USER.bind(tenant).bind(user)).await?;
        row.as_ref().map(login).transpose()
    }

    async fn has_accounts(&self, tenant: TenantId) -> Result<bool> {
        let row = self.database.read_first(HAS_ACCOUNTS.bind(tenant)).await?;
        row.map_or(Ok(false), |row| row.get("has_accounts"))
    }

    async fn set_password(
        &self,
        tenant: TenantId,
        user: UserId,
        password_hash: &Secret,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<()> {
        let set = SET_PASSWORD.bind(tenant).bind(user).bind(password_hash.expose()).bind(now);
        let end = session::DELETE_ALL.bind(tenant).bind(user).bind(session::kept(keep));
        let [set, _] = self.database.transaction([set, end]).await?;
        touched_or_not_found(set.touched, || Error::missing("login of user", user))
    }

    async fn rehash(&self, email: &EmailAddress, old: &Secret, new: &Secret) -> Result<bool> {
        let rehash = REHASH.bind(email.as_str()).bind(old.expose()).bind(new.expose());
        Ok(self.database.execute(rehash).await? > 0)
    }

    async fn attempt(&self, limits: &[AttemptLimit], now: Timestamp) -> Result<Attempt> {
        let statements = limits.iter().map(|limit| attempt::counted(limit, now)).collect();
        match self.database.transaction_of(statements).await {
            Ok(counted) => attempt::allowed(limits, &counted),
            Err(DbError::RowCount { .. }) => self.refusal(limits, now).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn succeeded(&self, reset: &[Vec<u8>], returned: &[Vec<u8>]) -> Result<()> {
        self.database.transaction_of(attempt::succeeded(reset, returned)).await?;
        Ok(())
    }

    async fn clear_attempts(&self, before: Timestamp, lock_after: u32) -> Result<u64> {
        Ok(self.database.execute(attempt::clear(before, lock_after)).await?)
    }
}

/// Whether a row is a user, and not the lock of a tenant.
fn is_user(row: &Row) -> bool {
    row.maybe::<bool>("is_active").is_ok()
}
