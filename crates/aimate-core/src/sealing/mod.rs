//! Secrets at rest: each is sealed with a data key, which a key that never leaves
//! its [`KeyProvider`] wraps, and bound to the row that it belongs to.

mod envelope;
mod provider;
mod sealer;
mod store;

use uuid::Uuid;

pub use envelope::Sealed;
pub(crate) use envelope::{decrypt, encrypt, joined, random, subkey};
pub use provider::{DataKey, KeyProvider, WrappedKey};
pub use sealer::Sealer;
pub use store::{KeyUse, Resealed, SecretKind, SecretStore, StoredSecret};

/// What a key is for. Each purpose has a subkey of its own (HKDF, RFC 5869), so that
/// what is sealed for one opens for no other.
///
/// ```
/// use aimate_core::sealing::Purpose;
///
/// const LICENCES: Purpose = Purpose::new("acme licences");
/// assert_ne!(LICENCES, Purpose::CREDENTIALS);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Purpose(&'static str);

impl Purpose {
    /// Keys of model servers.
    pub const CREDENTIALS: Self = Self("credentials");
    /// What tool servers are authorised with.
    pub const TOOL_AUTH: Self = Self("tool auth");
    /// What webhooks are signed with.
    pub const WEBHOOK: Self = Self("webhook");
    /// What a login at another server carries through the browser.
    pub const LOGIN: Self = Self("login");
    /// What tokens are hashed with.
    pub const TOKEN_PEPPER: Self = Self("token pepper");
    /// What a [`KeyRing`](crate::KeyRing) wraps data keys with.
    pub(crate) const DATA_KEY: Self = Self("data key");

    /// A purpose of an application's own. Its name is part of what is sealed: it can
    /// never change.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// What a sealed secret belongs to. It opens for exactly this: moved to another row,
/// owner or server it does not.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// The table of its row.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row.
    pub row: Uuid,
    /// The row's owner: a user, or the tenant for what it shares.
    pub owner: Uuid,
    /// The origin (scheme, host, port) the secret may be sent to; empty if it goes
    /// nowhere.
    pub origin: &'a str,
}
