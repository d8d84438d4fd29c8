//! Who asks: the first argument of every port method.

use crate::id::{TenantId, UserId};

/// Who asks, in which tenant, with which role.
///
/// Every port method takes one first; a row outside it does not exist for the
/// caller ([`ErrorKind::NotFound`](crate::ErrorKind::NotFound), never
/// "forbidden").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The tenant all rows belong to.
    pub tenant: TenantId,
    /// The user whose rows are visible.
    pub user: UserId,
    /// What the user may do beyond their own rows.
    pub role: Role,
}

impl Scope {
    /// The scope of what the tenant shares: rows that it owns itself
    /// ([`UserId::SHARED`]). For adapters and the engine; no user acts in it.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self { user: UserId::SHARED, ..*self }
    }
}

/// What a user may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works with their own rows and uses what the tenant shares.
    #[default]
    User,
    /// Also manages what the tenant shares.
    Admin,
}

crate::text::names! {
    Role { User = "user", Admin = "admin" }
}
