//! Rotating the keys that secrets are sealed with: the operator's.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Engine;
use super::endpoint::{no_keys, row_binding};
use crate::connection::origin;
use crate::error::{ErrorReason, Result};
use crate::sealing::{Resealed, Sealed, Sealer, SecretKind, StoredSecret};

/// Secrets that are resealed in one commit.
const BATCH: u32 = 100;
/// Secrets that are named of those that cannot be opened.
const EXAMPLES: usize = 20;

/// A key, and what is sealed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeyState {
    /// The key.
    pub key_id: u32,
    /// The secrets of all tenants that are sealed with it. A key that is not active and seals
    /// none may be removed.
    pub secrets: u64,
    /// Whether it is the one that seals.
    pub is_active: bool,
    /// Whether this process has it. What is sealed with another one cannot be opened.
    pub is_configured: bool,
}

/// What a rotation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRotation {
    /// Secrets that are sealed with the active key now and were not before.
    pub resealed: u64,
    /// Secrets that cannot be opened; they are left as they are.
    pub unopened: u64,
    /// The first twenty of those.
    pub examples: Vec<StoredSecret>,
    /// Every key that is configured or seals a secret, as it was at the end.
    pub keys: Vec<KeyState>,
}

impl Engine {
    /// Seals every secret of all tenants with the active key that is sealed with another one,
    /// a hundred in a commit. Users go on meanwhile. Whoever is interrupted begins again where
    /// it ended, and several may do it at once: each secret is replaced only if it is still the
    /// one that was read.
    ///
    /// Give every process on the database the new key before one makes it the active one, or
    /// they cannot open what is resealed.
    ///
    /// # Errors
    /// `Unavailable` without keys, or if their provider or the store cannot be asked: what was
    /// resealed until then stays so.
    pub async fn rotate_keys(&self) -> Result<KeyRotation> {
        let sealer = self.inner.keys.as_ref().ok_or_else(no_keys)?;
        sealer.renew();
        let ids = sealer.key_ids().await?;
        let active = ids.first().copied();
        let mut rotation = KeyRotation::default();
        for used in self.inner.stores.secrets.count_by_key().await? {
            if Some(used.key_id) != active {
                for kind in SecretKind::ALL {
                    self.reseal_all(sealer, kind, used.key_id, &mut rotation).await?;
                }
            }
        }
        rotation.keys = self.key_states().await?;
        Ok(rotation)
    }

    /// Every key that is configured or seals a secret, by its id.
    ///
    /// # Errors
    /// `Unavailable` without keys, or if their provider or the store cannot be asked.
    pub async fn key_states(&self) -> Result<Vec<KeyState>> {
        let sealer = self.inner.keys.as_ref().ok_or_else(no_keys)?;
        let ids = sealer.key_ids().await?;
        let is_active = |key_id| ids.first() == Some(&key_id);
        let mut states: BTreeMap<u32, KeyState> = ids
            .iter()
            .map(|&key_id| {
                let is_active = is_active(key_id);
                (key_id, KeyState { key_id, secrets: 0, is_active, is_configured: true })
            })
            .collect();
        for used in self.inner.stores.secrets.count_by_key().await? {
            let unknown =
                KeyState { key_id: used.key_id, secrets: 0, is_active: false, is_configured: false };
            states.entry(used.key_id).or_insert(unknown).secrets = used.secrets;
        }
        Ok(states.into_values().collect())
    }

    /// Reseals what of a kind is sealed with a key.
    async fn reseal_all(
        &self,
        sealer: &Sealer,
        kind: SecretKind,
        key_id: u32,
        rotation: &mut KeyRotation,
    ) -> Result<()> {
        let store = &self.inner.stores.secrets;
        let mut after = None;
        loop {
            let some = store.sealed_with(kind, key_id, after, BATCH).await?;
            let Some(last) = some.last() else { return Ok(()) };
            after = Some((last.tenant, last.row));
            let mut resealed = Vec::with_capacity(some.len());
            for stored in some {
                match reseal(sealer, &stored).await? {
                    Some(sealed) => resealed.push(Resealed { stored, sealed }),
                    None => {
                        rotation.unopened += 1;
                        if rotation.examples.len() < EXAMPLES {
                            rotation.examples.push(stored);
                        }
                    }
                }
            }
            rotation.resealed += store.reseal(&resealed).await?;
        }
    }
}

/// The secret sealed with the active key; `None` if it cannot be opened.
async fn reseal(sealer: &Sealer, stored: &StoredSecret) -> Result<Option<Sealed>> {
    let origin = origin(stored.url.as_deref());
    let binding = row_binding(stored.kind, stored.row, stored.owner, &origin);
    match sealer.open(&stored.sealed, &binding).await {
        Ok(secret) => sealer.seal(&secret, &binding).await.map(Some),
        Err(error) if error.reason() == Some(ErrorReason::KeyUnavailable) => Ok(None),
        Err(error) => Err(error),
    }
}
