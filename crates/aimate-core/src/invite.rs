//! Invites: who may register where not everybody may.

use async_trait::async_trait;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::email::EmailAddress;
use crate::error::Result;
use crate::id::{InviteId, UserId};
use crate::page::{Page, PageRequest};
use crate::scope::{Role, Scope};

/// Lets one person register; used up by it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invite {
    /// Its id.
    pub id: InviteId,
    /// SHA-256 of the invite's token; the token itself is never kept.
    #[serde(skip)]
    pub token_hash: Vec<u8>,
    /// The one address that may register with it; `None` for any.
    pub email: Option<EmailAddress>,
    /// What the new user may do.
    pub role: Role,
    /// Who made it; `None` for the operator.
    pub user_id: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Where invites are kept. Every method sees those of the scope's tenant.
#[async_trait]
pub trait InviteStore: Send + Sync {
    /// Stores a new invite, and deletes in the same commit those that are over.
    /// `Conflict` if the id or the token is taken; `NotFound` if there is no such tenant
    /// or user.
    async fn create(&self, scope: &Scope, invite: &Invite) -> Result<()>;
    /// The tenant's invites, newest first.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Invite>>;
    /// Deletes the invite; `NotFound` if absent.
    async fn delete(&self, scope: &Scope, id: InviteId) -> Result<()>;
}
