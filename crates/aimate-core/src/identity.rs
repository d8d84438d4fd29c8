//! Identities: how people sign in whom an OpenID provider vouches for.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{TenantId, UserId};

/// The most bytes of an issuer.
const MAX_ISSUER: usize = 2_000;
/// The most bytes of a subject, as OpenID Connect has it.
const MAX_SUBJECT: usize = 255;

/// Somebody as a provider names them: by its issuer and a subject that it never gives to
/// somebody else. An e-mail address is no part of it: it may go to another person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    issuer: String,
    subject: String,
}

impl Identity {
    /// The identity of these.
    ///
    /// # Errors
    /// `Invalid` if one of them is empty or too long.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Result<Self> {
        let (issuer, subject) = (issuer.into(), subject.into());
        let fits = |text: &str, most: usize| (1..=most).contains(&text.len()) && !text.contains('\0');
        if !fits(&issuer, MAX_ISSUER) || !fits(&subject, MAX_SUBJECT) {
            return Err(Error::invalid(format!(
                "an identity has an issuer of 1 to {MAX_ISSUER} bytes and a subject of 1 to {MAX_SUBJECT}"
            )));
        }
        Ok(Self { issuer, subject })
    }

    /// The provider's own address.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The provider's name for the person.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// Where identities are kept. It serves those who sign in and have no scope yet.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// The user of this identity in the tenant.
    async fn find(&self, tenant: TenantId, identity: &Identity) -> Result<Option<UserId>>;
    /// Gives a user an identity. `Conflict` if somebody has it; `NotFound` if there is no such
    /// user.
    async fn link(&self, tenant: TenantId, user: UserId, identity: &Identity, now: Timestamp) -> Result<()>;
}
