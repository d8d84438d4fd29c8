//! API tokens: credentials that a user makes for programs.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ApiTokenId, TenantId, UserId};
use crate::page::{Page, PageRequest};
use crate::scope::Scope;

/// Tokens that a user has at most.
pub const MAX_TOKENS: u32 = 200;

/// What the bearer of a token may do, at most: what its user may not, it may not
/// either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// Reads and searches.
    Read,
    /// Changes, and asks models.
    Write,
    /// Administers users and what all of them share.
    Admin,
}

crate::text::names! {
    TokenScope { Read = "read", Write = "write", Admin = "admin" }
}

/// An API token of the scope's user.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// What it is for, 1 to 200 characters.
    pub name: String,
    /// The public part of the token, by which it is found: it begins
    /// `aim_` and this.
    pub prefix: String,
    /// SHA-256 of the secret part; the token itself is never kept.
    #[serde(skip)]
    pub secret_hash: Vec<u8>,
    /// What its bearer may do.
    pub scopes: Vec<TokenScope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A token that was found by its public part, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundToken {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The token.
    pub token: ApiToken,
}

/// Where API tokens are kept. Every method with a scope sees those of its user.
#[async_trait]
pub trait ApiTokenStore: Send + Sync {
    /// Stores a new token. `Conflict` if the id is taken or the user has
    /// [`MAX_TOKENS`]; `NotFound` if there is no such user.
    async fn create(&self, scope: &Scope, token: &ApiToken) -> Result<()>;
    /// The user's tokens, newest first.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<ApiToken>>;
    /// Marks the token as used at `now`; `NotFound` if absent.
    async fn touch(&self, scope: &Scope, id: ApiTokenId, now: Timestamp) -> Result<()>;
    /// Deletes the token; `NotFound` if absent.
    async fn delete(&self, scope: &Scope, id: ApiTokenId) -> Result<()>;
    /// The tokens of this public part, of all tenants: mostly one or none, at most
    /// eight. The caller compares the secret.
    async fn find(&self, prefix: &str) -> Result<Vec<FoundToken>>;
}
