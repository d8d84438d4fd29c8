//! Tenants: the outermost owners of data, such as the customers of an
//! application.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid, Variant, Version};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::TenantId;
use crate::limit;
use crate::page::{Page, PageRequest};

/// The tenant and user of local mode.
pub(crate) const LOCAL: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
/// Bytes of a key at most.
const MAX_KEY: usize = 255;

/// A tenant. It has a row from its first user on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// The application's own name for it, of which the id is made
    /// ([`TenantId::of_key`]); `None` for one whose users were made with ids, as
    /// that of local mode.
    pub key: Option<String>,
    /// The name to show; at first its key.
    pub name: String,
    /// Whether its users may act at all.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What to change about a tenant; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// The name to show, 1 to 200 characters.
    pub name: Option<String>,
    /// Whether its users may act at all.
    pub is_active: Option<bool>,
}

impl TenantChange {
    /// Checks the limits of every field that is given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.name.as_ref().map_or(Ok(()), |name| limit::name("name", name, limit::NAME))
    }
}

impl TenantId {
    /// The tenant of local mode, and of a server with accounts: the same in every
    /// database.
    pub const LOCAL: Self = Self(LOCAL);

    /// The id of the tenant that the application calls `key`: the same in every
    /// process and database, so that nobody has to look it up.
    ///
    /// ```
    /// use aimate_core::TenantId;
    /// assert_eq!(TenantId::of_key("acme"), TenantId::of_key("acme"));
    /// assert_ne!(TenantId::of_key("acme"), TenantId::of_key("Acme"));
    /// ```
    pub fn of_key(key: &str) -> Self {
        Self(id_of_key(b"aimate tenant key 1", b"", key))
    }
}

/// A UUIDv8 of a key: the beginning of the SHA-256 of what it is for, what it is
/// within (of one length for one purpose), and its exact bytes.
pub(crate) fn id_of_key(purpose: &[u8], within: &[u8], key: &str) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(purpose);
    hash.update([0]);
    hash.update(within);
    hash.update(key.as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(digest) {
        *byte = hashed;
    }
    Builder::from_bytes(bytes).with_variant(Variant::RFC4122).with_version(Version::Custom).into_uuid()
}

/// A key is 1 to 255 bytes without control characters. It is taken as it is: one
/// that differs in case, or only looks the same, is another one.
pub(crate) fn check_key(path: &str, key: &str) -> Result<()> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Error::field(path, format!("has {} bytes; it needs 1 to {MAX_KEY}", key.len())));
    }
    if let Some(n) = key.chars().position(char::is_control) {
        return Err(Error::field(
            path,
            format!("has a control character at place {n}; a key is plain text such as `acme`"),
        ));
    }
    Ok(())
}

/// Where tenants are kept. It serves the operator, who stands above all tenants: no
/// user's call reaches it.
#[async_trait]
pub trait TenantStore: Send + Sync {
    /// All tenants, by id.
    async fn list(&self, page: PageRequest) -> Result<Page<Tenant>>;
    /// The tenant with this id; `NotFound` if there is none.
    async fn get(&self, id: TenantId) -> Result<Tenant>;
    /// Applies `change` and sets `updated_at` to `now`; `NotFound` if absent. Where its
    /// users may not act any more, the same commit cancels their running answers, as by
    /// [`RunStore::request_cancel`](crate::run::RunStore::request_cancel).
    async fn update(&self, id: TenantId, change: &TenantChange, now: Timestamp) -> Result<Tenant>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UserId;

    #[test]
    fn ids_of_keys_never_change() {
        let acme = TenantId::of_key("acme");
        assert_eq!(acme.to_string(), "746c25cd-6d96-833c-bf13-2f4847f2d23a");
        assert_eq!(UserId::of_key(acme, "u-17").to_string(), "0f3134de-5f46-8074-9e0e-2c3252405c4e");
        assert_eq!(acme.0.get_version_num(), 8);
    }

    #[test]
    fn keys_are_taken_as_they_are() {
        let keys = ["acme", "Acme", "acme ", "аcme", "e\u{301}", "é"];
        let ids: std::collections::HashSet<_> = keys.iter().map(|key| TenantId::of_key(key)).collect();
        assert_eq!(ids.len(), keys.len());
        // A user's id depends on both keys, and on where one ends.
        let one = UserId::of_key(TenantId::of_key("a"), "bc");
        assert_ne!(one, UserId::of_key(TenantId::of_key("ab"), "c"));
        assert_ne!(one.0, TenantId::of_key("bc").0);
    }

    #[test]
    fn key_that_is_none_is_refused() {
        for right in ["a", "4711", "Łukasz & Søns", &"x".repeat(255)] {
            check_key("tenant", right).unwrap();
        }
        for wrong in ["", &"x".repeat(256), &"x".repeat(10_000), "a\0b", "a\nb", "\u{85}"] {
            let error = check_key("tenant", wrong).unwrap_err();
            assert_eq!(error.fields()[0].path, "tenant", "{wrong:?}");
        }
    }
}
