//! Logins: how people sign in, by e-mail address and password.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::email::EmailAddress;
use crate::error::Result;
use crate::id::{SessionId, TenantId, UserId};
use crate::identity::Identity;
use crate::secret::Secret;
use crate::user::User;

/// The login of a user. An address has one, in whatever tenant.
#[derive(Clone, Debug)]
pub struct Login {
    /// The address that names it.
    pub email: EmailAddress,
    /// The user's tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The hash of the password, as a PHC string or bcrypt's; `None` for one that
    /// has no password and signs in by other means alone.
    pub password_hash: Option<Secret>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the password last changed.
    pub password_changed_at: Timestamp,
}

/// Who may register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Whom the operator lets in, with the role that is asked for.
    Operator,
    /// Anybody. The first account of the tenant becomes an admin.
    Anyone,
    /// The first account of the tenant, an admin, and nobody after it.
    First,
    /// The bearer of an invite, by the SHA-256 of its token, with the role that the
    /// invite gives. It is used up.
    Invited(Vec<u8>),
}

/// An account that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The tenant.
    pub tenant: TenantId,
    /// The user; its `role` counts where [`Admission`] says so.
    pub user: User,
    /// The address that names it.
    pub email: EmailAddress,
    /// The hash of the password, if it has one.
    pub password_hash: Option<Secret>,
    /// The identity by which it signs in, if it has one.
    pub identity: Option<Identity>,
    /// Who may register.
    pub admission: Admission,
}

/// Something whose failed attempts are counted, such as an address or a network, and
/// how many it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptLimit {
    /// What it is, as a hash.
    pub subject: Vec<u8>,
    /// Attempts that cost no wait.
    pub free: u32,
    /// The longest wait between two attempts; the first is a second, and each further
    /// one twice as long.
    pub max_wait: Duration,
    /// The number of failures in a row after which it is locked; `None` for never: then each
    /// minute takes one failure off, whether there are attempts in it or not.
    pub lock_after: Option<u32>,
    /// After this time without an attempt, earlier failures do not count.
    pub forget_after: Duration,
}

/// Whether something may be attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It may, and counts as failed until it is said to have succeeded.
    Allowed,
    /// It may, as the last one: unless it is said to have succeeded, something that it counts
    /// for is locked from now on. Of attempts at once, one is the last.
    Last,
    /// Not before this time; nothing was counted.
    Wait(Timestamp),
    /// Not until somebody unlocks it; nothing was counted.
    Locked,
}

/// Where logins are kept, with the attempts to sign in. It serves those who sign in
/// and have no scope yet, and the operator.
#[async_trait]
pub trait LoginStore: Send + Sync {
    /// Stores a user with their login, and a row of the tenant if it has none yet, in
    /// one commit; returns the user. Of several calls at once, exactly one makes the
    /// first account. `Conflict` if the address, the identity or the id is taken; `Forbidden` if the
    /// [`Admission`] does not hold, or while the tenant is being deleted.
    async fn register(&self, account: &NewAccount) -> Result<User>;
    /// Gives a user who is there a login. `Conflict` if the address is taken or the
    /// user has one; `NotFound` if there is no such user.
    async fn attach(&self, login: &Login) -> Result<()>;
    /// Gives the login, name and address of user `from` to `to`, both of `tenant`, and
    /// deletes `from` with all they have, in one commit. `Conflict` if `to` has a login;
    /// `NotFound` if `from` has none or there is no `to`.
    async fn adopt(&self, tenant: TenantId, from: UserId, to: UserId, now: Timestamp) -> Result<()>;
    /// The login of this address.
    async fn find(&self, email: &EmailAddress) -> Result<Option<Login>>;
    /// The login of a user.
    async fn find_by_user(&self, tenant: TenantId, user: UserId) -> Result<Option<Login>>;
    /// Whether the tenant has or had an account.
    async fn has_accounts(&self, tenant: TenantId) -> Result<bool>;
    /// Sets the password and ends all sessions of the user but `keep`, in one commit;
    /// `NotFound` if they have no login.
    async fn set_password(
        &self,
        tenant: TenantId,
        user: UserId,
        password_hash: &Secret,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<()>;
    /// Puts another hash of the same password in place of `old`, unless it changed
    /// meanwhile; whether it did.
    async fn rehash(&self, email: &EmailAddress, old: &Secret, new: &Secret) -> Result<bool>;
    /// Counts an attempt for each of `limits`, in one commit, if each of them allows
    /// it: calls at once cannot try more often than they are allowed.
    async fn attempt(&self, limits: &[AttemptLimit], now: Timestamp) -> Result<Attempt>;
    /// Says that an allowed attempt succeeded: the failures of `reset` are forgotten,
    /// and those of `returned`, which are never locked, are one less, and the next attempt does
    /// not wait for this one.
    async fn succeeded(&self, reset: &[Vec<u8>], returned: &[Vec<u8>]) -> Result<()>;
    /// Forgets the attempts of what had none since `before` and is not locked
    /// (`lock_after` failures); returns how many.
    async fn clear_attempts(&self, before: Timestamp, lock_after: u32) -> Result<u64>;
}
