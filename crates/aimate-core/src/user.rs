//! Users: who owns conversations.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::UserId;
use crate::page::{Page, PageRequest};
use crate::scope::{Role, Scope};

/// A person or service of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Its id.
    pub id: UserId,
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

/// Where users are kept. Every method sees the users of the scope's tenant.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Stores a new user. `Conflict` if the id or the e-mail address is taken in the tenant.
    async fn create(&self, scope: &Scope, user: &User) -> Result<()>;
    /// The user with this id; `NotFound` if the tenant has none.
    async fn get(&self, scope: &Scope, id: UserId) -> Result<User>;
    /// The tenant's users, oldest first.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<User>>;
    /// Applies `change` and sets `updated_at` to `now`; `NotFound` if absent.
    async fn update(&self, scope: &Scope, id: UserId, change: &UserChange, now: Timestamp) -> Result<User>;
    /// Deletes the user and all they own, but for their usage records;
    /// `NotFound` if absent.
    async fn delete(&self, scope: &Scope, id: UserId) -> Result<()>;
}
