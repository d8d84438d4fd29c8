//! Sealing and opening with whatever provider holds the keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::envelope::{open, parts, seal};
use super::{Binding, DataKey, KeyProvider, Sealed, WrappedKey};
use crate::caught::caught;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// How long the provider may take for one call.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one data key seals.
const RENEWED: Duration = Duration::from_secs(3_600);
/// How long the ids of the provider's keys are taken for known.
const FRESH: Duration = Duration::from_secs(60);
/// Data keys that are kept unwrapped at most.
const MAX_OPENED: usize = 4_096;

/// Seals secrets and opens them again. Clones share what they keep in memory.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> aimate_core::Result<()> {
/// use aimate_core::sealing::{Binding, Purpose, Sealer};
/// use aimate_core::{KeyRing, Secret};
///
/// let sealer = Sealer::from(KeyRing::parse(KeyRing::generate()?.expose())?);
/// let row = Binding {
///     purpose: Purpose::WEBHOOK,
///     table: "webhooks",
///     column: "sealed_secret",
///     row: uuid::Uuid::from_u128(1),
///     owner: uuid::Uuid::from_u128(2),
///     origin: "https://hooks.example.org",
/// };
/// let sealed = sealer.seal(&Secret::new("whsec_1"), &row).await?;
/// assert_eq!(sealer.open(&sealed, &row).await?.expose(), "whsec_1");
/// assert!(sealer.open(&sealed, &Binding { origin: "https://evil.example.org", ..row }).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sealer(Arc<Vault>);

struct Vault {
    provider: Arc<dyn KeyProvider>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The data key that seals, and since when.
    sealing: Option<(Instant, DataKey, WrappedKey)>,
    opened: HashMap<WrappedKey, DataKey>,
    key_ids: Option<(Instant, Arc<[u32]>)>,
}

impl<P: KeyProvider + 'static> From<P> for Sealer {
    fn from(provider: P) -> Self {
        Self::new(Arc::new(provider))
    }
}

impl Sealer {
    /// Seals with the keys of `provider`.
    pub fn new(provider: Arc<dyn KeyProvider>) -> Self {
        Self(Arc::new(Vault { provider, memory: Mutex::default() }))
    }

    /// Seals `secret` for `binding` with the active key.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout` if the provider cannot be asked.
    pub async fn seal(&self, secret: &Secret, binding: &Binding<'_>) -> Result<Sealed> {
        let known = self.memory(|memory| memory.sealing.clone());
        let (key, wrapped) = match known {
            Some((since, key, wrapped)) if since.elapsed() < RENEWED => (key, wrapped),
            _ => self.data_key().await?,
        };
        seal(secret, binding, &key, &wrapped)
    }

    /// Opens what [`Sealer::seal`] made for the same binding.
    ///
    /// # Errors
    /// `Unavailable` with [`KeyUnavailable`](crate::ErrorReason::KeyUnavailable) if the
    /// provider has not the key, or the envelope was changed or moved; without a reason, or
    /// `Timeout`, if the provider cannot be asked.
    pub async fn open(&self, sealed: &Sealed, binding: &Binding<'_>) -> Result<Secret> {
        let parts = parts(&sealed.bytes)?;
        let known = self.memory(|memory| memory.opened.get(&parts.wrapped).cloned());
        let key = match known {
            Some(key) => key,
            None => {
                let key = self.asked(self.0.provider.unwrap_key(&parts.wrapped)).await?;
                self.keep(&parts.wrapped, &key);
                key
            }
        };
        open(&parts, binding, &key)
    }

    /// The ids of the provider's keys, the active one first; at most a minute old.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout` if the provider cannot be asked.
    pub async fn key_ids(&self) -> Result<Arc<[u32]>> {
        if let Some((since, ids)) = self.memory(|memory| memory.key_ids.clone())
            && since.elapsed() < FRESH
        {
            return Ok(ids);
        }
        let ids: Arc<[u32]> = self.asked(self.0.provider.key_ids()).await?.into();
        if ids.is_empty() {
            return Err(Error::unavailable("the key provider has no key"));
        }
        self.memory(|memory| memory.key_ids = Some((Instant::now(), ids.clone())));
        Ok(ids)
    }

    /// Asks the provider anew which key is active, and seals with a new data key from now
    /// on.
    pub(crate) fn renew(&self) {
        self.memory(|memory| {
            memory.sealing = None;
            memory.key_ids = None;
        });
    }

    /// A new data key to seal with.
    async fn data_key(&self) -> Result<(DataKey, WrappedKey)> {
        let key = DataKey::generate()?;
        let wrapped = self.asked(self.0.provider.wrap_key(&key)).await?;
        self.memory(|memory| memory.sealing = Some((Instant::now(), key.clone(), wrapped.clone())));
        self.keep(&wrapped, &key);
        Ok((key, wrapped))
    }

    fn keep(&self, wrapped: &WrappedKey, key: &DataKey) {
        self.memory(|memory| {
            if memory.opened.len() >= MAX_OPENED {
                memory.opened.clear();
            }
            memory.opened.insert(wrapped.clone(), key.clone());
        });
    }

    fn memory<T>(&self, of: impl FnOnce(&mut Memory) -> T) -> T {
        of(&mut self.0.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a call of the provider gives, within its time.
    async fn asked<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        match timeout(PATIENCE, caught(call)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(Error::unavailable("the key provider failed").with_source(panic)),
            Err(_) => Err(Error::timeout(format!(
                "the key provider did not answer within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
#[path = "sealer_tests.rs"]
mod tests;
