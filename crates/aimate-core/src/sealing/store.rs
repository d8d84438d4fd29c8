//! The sealed secrets of all tenants, as the operator rotates their keys.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Purpose, Sealed};
use crate::error::Result;
use crate::id::TenantId;

/// Which column a sealed secret is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretKind {
    /// A connection's key.
    ConnectionKey,
    /// What a tool server is authorized with.
    ToolServerAuth,
    /// What a user's login at a tool server gave.
    ToolGrant,
}

impl SecretKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::ConnectionKey, Self::ToolServerAuth, Self::ToolGrant];

    /// The table and the column, as a secret is bound to them.
    pub const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::ConnectionKey => ("connections", "sealed_key"),
            Self::ToolServerAuth => ("tool_servers", "sealed_auth"),
            Self::ToolGrant => ("tool_grants", "sealed_tokens"),
        }
    }

    /// What it is for.
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::ConnectionKey => Purpose::CREDENTIALS,
            Self::ToolServerAuth | Self::ToolGrant => Purpose::TOOL_AUTH,
        }
    }
}

/// A sealed secret with what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// Which column it is in.
    pub kind: SecretKind,
    /// Whose it is.
    pub tenant: TenantId,
    /// The row.
    pub row: Uuid,
    /// The row's owner: a user, or the tenant for what it shares.
    pub owner: Uuid,
    /// What the row is called, for people.
    pub name: String,
    /// The address that the secret may be sent to.
    pub url: Option<String>,
    /// The secret.
    pub sealed: Sealed,
}

/// A secret that was sealed anew.
#[derive(Clone, Debug)]
pub struct Resealed {
    /// As it was read.
    pub stored: StoredSecret,
    /// As it is to be.
    pub sealed: Sealed,
}

/// How many secrets are sealed with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key_id: u32,
    /// The secrets of all tenants.
    pub secrets: u64,
}

/// The sealed secrets of all tenants, for the rotation of their keys.
///
/// It serves the operator and has no scope: no user's call reaches it.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// How many secrets are sealed with each key that seals one, by key id.
    async fn count_by_key(&self) -> Result<Vec<KeyUse>>;
    /// At most `limit` secrets of a kind that are sealed with a key, by tenant and row, from
    /// the one after `after` on.
    async fn sealed_with(
        &self,
        kind: SecretKind,
        key_id: u32,
        after: Option<(TenantId, Uuid)>,
        limit: u32,
    ) -> Result<Vec<StoredSecret>>;
    /// Replaces each of these secrets, if its stored bytes are still those that were read;
    /// returns how many it replaced. Nothing else of their rows changes.
    async fn reseal(&self, resealed: &[Resealed]) -> Result<u64>;
}
