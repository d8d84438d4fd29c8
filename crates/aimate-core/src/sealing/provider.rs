//! Where the keys are that secrets are sealed with.

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::random;
use crate::error::{Error, Result};

/// Holds the keys of an installation: a [`KeyRing`](crate::KeyRing) in memory, or a
/// key management service that never gives them away.
///
/// It wraps data keys, and sees no secret itself. Each call has five seconds; a panic
/// or an error of it fails the call that needed the key and no other. A key that was
/// unwrapped is kept in memory, so that a model call asks no service.
///
/// ```
/// use aimate_core::sealing::{DataKey, KeyProvider, WrappedKey};
/// use aimate_core::Result;
/// use async_trait::async_trait;
///
/// struct Kms;
///
/// # fn encrypt(_: u32, key: &[u8]) -> Vec<u8> { key.to_vec() }
/// # fn decrypt(_: u32, key: &[u8]) -> Vec<u8> { key.to_vec() }
/// #[async_trait]
/// impl KeyProvider for Kms {
///     async fn key_ids(&self) -> Result<Vec<u32>> {
///         Ok(vec![2, 1])
///     }
///
///     async fn wrap_key(&self, key: &DataKey) -> Result<WrappedKey> {
///         Ok(WrappedKey { key_id: 2, bytes: encrypt(2, key.expose()) })
///     }
///
///     async fn unwrap_key(&self, wrapped: &WrappedKey) -> Result<DataKey> {
///         DataKey::from_bytes(&decrypt(wrapped.key_id, &wrapped.bytes))
///     }
/// }
/// ```
#[async_trait]
pub trait KeyProvider: Send + Sync {
    /// The ids of the keys that unwrap, the one that wraps first. An id means the same
    /// key for ever.
    async fn key_ids(&self) -> Result<Vec<u32>>;
    /// Wraps a data key with the active key.
    async fn wrap_key(&self, key: &DataKey) -> Result<WrappedKey>;
    /// The data key that was wrapped. [`Error::key_unavailable`] if there is no key of that
    /// id, or another one wrapped it; any other error means that the provider cannot be
    /// asked now.
    async fn unwrap_key(&self, wrapped: &WrappedKey) -> Result<DataKey>;
}

/// 32 bytes that secrets are sealed with: wiped when dropped, never printed.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A new key.
    ///
    /// # Errors
    /// `Internal` if the system gives no random bytes.
    pub fn generate() -> Result<Self> {
        Ok(Self(Zeroizing::new(random::<32>()?)))
    }

    /// The key of these bytes.
    ///
    /// # Errors
    /// `Invalid` unless they are 32.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.try_into().map_err(|_| Error::invalid("a data key has 32 bytes"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The bytes: only for the call that needs them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey([redacted])")
    }
}

/// A data key as its provider wrapped it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WrappedKey {
    /// The key that wrapped it.
    pub key_id: u32,
    /// What the provider made of it: at most 60,000 bytes.
    pub bytes: Vec<u8>,
}
