//! Users: who owns conversations.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{TenantId, UserId};
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::scope::{Role, Scope};
use crate::tenant::id_of_key;

/// A person or service of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The application's own name for the user, of which the id is made
    /// ([`UserId::of_key`]); `None` for one that was made with an id.
    pub key: Option<String>,
    /// The login address, lower case; unique in the tenant. `None` for the one
    /// user of local mode.
    pub email: Option<String>,
    /// The name to show.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may act at all.
    pub is_active: bool,
    /// Settings of a front end; aiMate does not read them.
    pub settings: Value,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user last changed.
    pub updated_at: Timestamp,
}

/// What to change about a user; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// The name to show.
    pub name: Option<String>,
    /// What the user may do.
    pub role: Option<Role>,
    /// Whether the user may act.
    pub is_active: Option<bool>,
    /// All settings, replaced as a whole.
    pub settings: Option<Value>,
}

impl UserId {
    /// Stands for the tenant itself: the owner of the collections and prompts that all
    /// its users share. Nobody acts as this one, and no list of users has it.
    pub const SHARED: Self = Self(uuid::Uuid::nil());

    /// The one user of local mode, in [`TenantId::LOCAL`].
    pub const LOCAL: Self = Self(crate::tenant::LOCAL);

    /// The id of the user whom the application calls `key`, in `tenant`: the same
    /// in every process and database, so that nobody has to look it up.
    ///
    /// ```
    /// use aimate_core::{TenantId, UserId};
    /// let acme = TenantId::of_key("acme");
    /// assert_eq!(UserId::of_key(acme, "u-17"), UserId::of_key(acme, "u-17"));
    /// assert_ne!(UserId::of_key(acme, "u-17"), UserId::of_key(acme, "U-17"));
    /// ```
    pub fn of_key(tenant: TenantId, key: &str) -> Self {
        Self(id_of_key(b"aimate user key 1", tenant.0.as_bytes(), key))
    }
}

/// What a user is called and may do, and whether they may act at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The name to show.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may act.
    pub is_active: bool,
    /// Whether users of the tenant may act. A tenant without a row counts as one
    /// that is active.
    pub tenant_is_active: bool,
    /// Whether the user, or the whole tenant, is being deleted.
    pub is_being_deleted: bool,
}

/// A user who is to be there, as [`UserStore::ensure`] takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsuredUser {
    /// The application's own name for the tenant.
    pub tenant_key: String,
    /// The application's own name for the user.
    pub user_key: String,
    /// The name to show. `None` keeps what is stored; a new user's is then their
    /// key.
    pub name: Option<String>,
    /// What the user may do. `None` keeps what is stored; a new user's is then
    /// [`Role::User`].
    pub role: Option<Role>,
}

impl UserChange {
    /// Checks the limits of every field that is given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.name.as_ref().map_or(Ok(()), |name| limit::name("name", name, limit::NAME))?;
        self.settings.as_ref().map_or(Ok(()), |settings| limit::json("settings", settings))
    }
}

/// Where users are kept. Every method sees the users of the scope's tenant.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Stores a new user, and a row of the tenant if it has none yet. `Conflict` if
    /// the id or the e-mail address is taken in the tenant, or while the user or the
    /// tenant is being deleted.
    async fn create(&self, scope: &Scope, user: &User) -> Result<()>;
    /// Stores the scope's tenant and user, whose ids are those of the keys, where
    /// they are not there, and gives the user the name and the role of `ensured`, in
    /// one commit. Several calls at once make one row. Returns the user's standing.
    /// `Conflict` while the user or the tenant is being deleted.
    async fn ensure(&self, scope: &Scope, ensured: &EnsuredUser, now: Timestamp) -> Result<Standing>;
    /// The standing of the scope's user; `None` if the tenant has no such user. One
    /// indexed read.
    async fn standing(&self, scope: &Scope) -> Result<Option<Standing>>;
    /// The user with this id; `NotFound` if the tenant has none.
    async fn get(&self, scope: &Scope, id: UserId) -> Result<User>;
    /// The tenant's users by id: those that were made with an id come oldest first.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<User>>;
    /// Applies `change` and sets `updated_at` to `now`; `NotFound` if absent. One who
    /// may not act any more has their running answers cancelled by the same commit, as
    /// by [`RunStore::request_cancel`](crate::run::RunStore::request_cancel).
    async fn update(&self, scope: &Scope, id: UserId, change: &UserChange, now: Timestamp) -> Result<User>;
    /// Deletes the user and all they own, but for their usage records, in one
    /// commit, which takes as long as that is much: see
    /// [`DeletionStore`](crate::deletion::DeletionStore) for one in steps. `NotFound`
    /// if absent.
    async fn delete(&self, scope: &Scope, id: UserId) -> Result<()>;
}
