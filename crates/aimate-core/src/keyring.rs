//! Keys in this process's memory, as the operator gives them.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::sealing::{DataKey, KeyProvider, Purpose, WrappedKey, decrypt, encrypt, joined, random, subkey};
use crate::secret::Secret;

/// The keys that secrets are sealed with: the first seals, all open.
pub struct KeyRing {
    keys: Vec<RingKey>,
}

struct RingKey {
    id: u32,
    key: DataKey,
    /// What data keys are wrapped with.
    wrapping: DataKey,
}

impl KeyRing {
    /// Reads `ID:KEY,ID:KEY,…`, the active key first; or
    /// one bare `KEY`, which gets id 1. A key is 32 random bytes in base64.
    ///
    /// # Errors
    /// `Invalid` if a key is not that, is not random, or an id or a key occurs twice.
    pub fn parse(text: &str) -> Result<Self> {
        let mut keys: Vec<RingKey> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (id, key) = match entry.split_once(':') {
                Some((id, key)) => (id.trim().parse().map_err(|_| bad_key())?, key.trim()),
                None => (1, entry),
            };
            let key = checked(key)?;
            if keys.iter().any(|known| known.id == id) {
                return Err(Error::invalid(format!("the encryption key id {id} occurs twice")));
            }
            if let Some(known) = keys.iter().find(|known| known.key.expose() == key.expose()) {
                return Err(Error::invalid(format!(
                    "the encryption keys {} and {id} are the same; rotating needs another one",
                    known.id
                )));
            }
            let wrapping = subkey(key.expose(), Purpose::DATA_KEY)?;
            keys.push(RingKey { id, key, wrapping });
        }
        if keys.is_empty() { Err(bad_key()) } else { Ok(Self { keys }) }
    }

    /// A new key in base64, as [`KeyRing::parse`] reads it.
    ///
    /// # Errors
    /// `Internal` if the system gives no random bytes.
    pub fn generate() -> Result<Secret> {
        let bytes = Zeroizing::new(random::<32>()?);
        Ok(Secret::new(STANDARD.encode(bytes.as_slice())))
    }

    /// The ids of the keys, the active one first.
    pub fn ids(&self) -> Vec<u32> {
        self.keys.iter().map(|key| key.id).collect()
    }

    /// The subkey of a key for a purpose that seals nothing, such as hashing; `None` if the
    /// ring has no key of this id.
    ///
    /// # Errors
    /// `Internal` if it cannot be derived.
    pub fn subkey(&self, key_id: u32, purpose: Purpose) -> Result<Option<DataKey>> {
        let key = self.keys.iter().find(|key| key.id == key_id);
        key.map(|key| subkey(key.key.expose(), purpose)).transpose()
    }
}

#[async_trait]
impl KeyProvider for KeyRing {
    async fn key_ids(&self) -> Result<Vec<u32>> {
        Ok(self.ids())
    }

    async fn wrap_key(&self, key: &DataKey) -> Result<WrappedKey> {
        let RingKey { id, wrapping, .. } = self.keys.first().ok_or_else(bad_key)?;
        Ok(WrappedKey { key_id: *id, bytes: encrypt(wrapping, key.expose(), &bound_to(*id))? })
    }

    async fn unwrap_key(&self, wrapped: &WrappedKey) -> Result<DataKey> {
        let id = wrapped.key_id;
        let key = self.keys.iter().find(|known| known.id == id).ok_or_else(|| {
            Error::key_unavailable(&format!(
                "it was sealed with encryption key {id}, which is not configured"
            ))
        })?;
        let plain = decrypt(&key.wrapping, &wrapped.bytes, &bound_to(id)).ok_or_else(|| {
            Error::key_unavailable(&format!(
                "it was changed, or sealed with another encryption key of the id {id}"
            ))
        })?;
        DataKey::from_bytes(&plain)
    }
}

fn bound_to(key_id: u32) -> Vec<u8> {
    joined(&[Purpose::DATA_KEY.name().as_bytes(), &key_id.to_be_bytes()])
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

fn checked(text: &str) -> Result<DataKey> {
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| bad_key())?);
    let distinct = bytes.iter().collect::<std::collections::HashSet<_>>().len();
    if bytes.len() != 32 || distinct < 8 {
        return Err(bad_key());
    }
    DataKey::from_bytes(&bytes)
}

fn bad_key() -> Error {
    Error::invalid(
        "the encryption key is not 32 random bytes in base64; make one with `openssl rand -base64 32`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_or_malformed_keys_are_refused() {
        let zeros = STANDARD.encode([0_u8; 32]);
        for text in ["", "x", "change_me_in_production", "1:short", zeros.as_str(), "a:b:c"] {
            assert!(KeyRing::parse(text).is_err(), "{text}");
        }
        let key = KeyRing::generate().unwrap();
        let twice = |second| KeyRing::parse(&format!("1:{0},{second}:{0}", key.expose())).unwrap_err();
        assert!(twice(1).message().contains("occurs twice"));
        assert!(twice(2).message().contains("the same"));
    }

    #[test]
    fn each_purpose_has_its_subkey() {
        let ring = KeyRing::parse(KeyRing::generate().unwrap().expose()).unwrap();
        let subkey = |purpose| ring.subkey(1, purpose).unwrap().unwrap();
        let all = [Purpose::CREDENTIALS, Purpose::TOOL_AUTH, Purpose::WEBHOOK, Purpose::TOKEN_PEPPER];
        let distinct: std::collections::HashSet<_> =
            all.iter().map(|purpose| *subkey(*purpose).expose()).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(subkey(Purpose::WEBHOOK).expose(), subkey(Purpose::WEBHOOK).expose());
        assert!(ring.subkey(2, Purpose::WEBHOOK).unwrap().is_none());
    }
}
