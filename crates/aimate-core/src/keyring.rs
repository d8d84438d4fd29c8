//! Secrets at rest: sealed with XChaCha20-Poly1305, bound to the row they
//! belong to.
//!
//! An envelope is `version (1) | algorithm (1) | key id (4, big-endian) |
//! nonce (24) | ciphertext and tag`. The associated data is every part of
//! [`Binding`], each with its length before it, so that a sealed secret moved
//! to another row, owner or server does not open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorReason, Result};
use crate::secret::Secret;

const VERSION: u8 = 1;
const XCHACHA20_POLY1305: u8 = 1;
const HEADER: usize = 6;
const NONCE: usize = 24;
/// The purpose that HKDF (RFC 5869) derives the sealing key for.
const PURPOSE: &[u8] = b"aimate/1 credentials";

/// What a sealed secret belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The table of its row.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row.
    pub row: Uuid,
    /// The row's owner: a user, or the tenant for what it shares.
    pub owner: Uuid,
    /// The origin (scheme, host, port) the secret may be sent to.
    pub origin: &'a str,
}

impl Binding<'_> {
    fn associated_data(&self, key_id: u32) -> Vec<u8> {
        let mut data = Vec::with_capacity(160);
        let parts: [&[u8]; 8] = [
            b"aimate/1",
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row.as_bytes(),
            self.owner.as_bytes(),
            self.origin.as_bytes(),
            &[XCHACHA20_POLY1305],
            &key_id.to_be_bytes(),
        ];
        for part in parts {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// The keys that secrets are sealed with: the first seals, all open.
pub struct KeyRing {
    keys: Vec<(u32, XChaCha20Poly1305)>,
}

impl KeyRing {
    /// Reads `ID:KEY,ID:KEY,…`, the active key first; or
    /// one bare `KEY`, which gets id 1. A key is 32 random bytes in base64.
    ///
    /// # Errors
    /// `Invalid` if a key is not that, is not random, or an id occurs twice.
    pub fn parse(text: &str) -> Result<Self> {
        let mut keys = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (id, key) = match entry.split_once(':') {
                Some((id, key)) => (id.trim().parse().map_err(|_| bad_key())?, key.trim()),
                None => (1, entry),
            };
            let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| bad_key())?);
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(Error::invalid(format!("the encryption key id {id} occurs twice")));
            }
            keys.push((id, cipher(&bytes)?));
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

    /// Seals `secret` for the row of `binding` with the active key.
    ///
    /// # Errors
    /// `Internal` if the system gives no random bytes.
    pub fn seal(&self, secret: &Secret, binding: &Binding<'_>) -> Result<Vec<u8>> {
        let (id, cipher) = self.keys.first().ok_or_else(bad_key)?;
        let nonce = random::<NONCE>()?;
        let aad = binding.associated_data(*id);
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: secret.expose().as_bytes(), aad: &aad })
            .map_err(|_| Error::internal("sealing a secret failed"))?;
        let mut envelope = Vec::with_capacity(HEADER + NONCE + sealed.len());
        envelope.extend_from_slice(&[VERSION, XCHACHA20_POLY1305]);
        envelope.extend_from_slice(&id.to_be_bytes());
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&sealed);
        Ok(envelope)
    }

    /// Opens what [`KeyRing::seal`] made for the same row.
    ///
    /// # Errors
    /// `Unavailable` if the key it was sealed with is not in the ring, or the
    /// envelope was changed or moved.
    pub fn open(&self, envelope: &[u8], binding: &Binding<'_>) -> Result<Secret> {
        let closed = |why: &str| {
            Error::unavailable(format!("the stored key cannot be opened: {why}; enter the key again"))
                .with_reason(ErrorReason::KeyUnavailable)
        };
        let (header, rest) = envelope.split_at_checked(HEADER).ok_or_else(|| closed("it is cut off"))?;
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or_else(|| closed("it is cut off"))?;
        let &[VERSION, XCHACHA20_POLY1305, a, b, c, d] = header else {
            return Err(closed("its format is unknown"));
        };
        let id = u32::from_be_bytes([a, b, c, d]);
        let (_, cipher) = self.keys.iter().find(|(known, _)| *known == id).ok_or_else(|| {
            closed(&format!("it was sealed with encryption key {id}, which is not configured"))
        })?;
        let aad = binding.associated_data(id);
        let plain = cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &aad })
            .map_err(|_| closed("it was changed, moved or sealed with another key of the same id"))?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| closed("it is not text"))
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

fn cipher(key: &[u8]) -> Result<XChaCha20Poly1305> {
    let distinct = key.iter().collect::<std::collections::HashSet<_>>().len();
    if key.len() != 32 || distinct < 8 {
        return Err(bad_key());
    }
    let mut derived = Zeroizing::new([0_u8; 32]);
    Hkdf::<Sha256>::new(None, key).expand(PURPOSE, derived.as_mut_slice()).map_err(|_| bad_key())?;
    XChaCha20Poly1305::new_from_slice(derived.as_slice()).map_err(|_| bad_key())
}

fn bad_key() -> Error {
    Error::invalid(
        "the encryption key is not 32 random bytes in base64; make one with `openssl rand -base64 32`",
    )
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal("the system gives no random bytes").with_source(error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(row: u128, origin: &str) -> Binding<'_> {
        Binding {
            table: "connections",
            column: "sealed_key",
            row: Uuid::from_u128(row),
            owner: Uuid::from_u128(9),
            origin,
        }
    }

    fn ring(keys: &[(u32, &Secret)]) -> KeyRing {
        let text: Vec<_> = keys.iter().map(|(id, key)| format!("{id}:{}", key.expose())).collect();
        KeyRing::parse(&text.join(",")).unwrap()
    }

    #[test]
    fn sealed_secret_opens_for_its_row_only() {
        let key = KeyRing::generate().unwrap();
        let ring = ring(&[(1, &key)]);
        let here = binding(1, "https://a.example");
        let sealed = ring.seal(&Secret::new("sk-canary"), &here).unwrap();
        assert!(!sealed.windows(9).any(|window| window == b"sk-canary"));
        assert_eq!(ring.open(&sealed, &here).unwrap().expose(), "sk-canary");
        assert!(ring.open(&sealed, &binding(2, "https://a.example")).is_err());
        assert!(ring.open(&sealed, &binding(1, "https://b.example")).is_err());
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let key = KeyRing::generate().unwrap();
        let ring = ring(&[(1, &key)]);
        let here = binding(1, "");
        let sealed = ring.seal(&Secret::new("secret"), &here).unwrap();
        for n in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[n] ^= 1;
            assert!(ring.open(&changed, &here).is_err(), "byte {n}");
            assert!(ring.open(&sealed[..n], &here).is_err(), "cut at {n}");
        }
    }

    #[test]
    fn old_key_opens_after_rotation() {
        let (old, new) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
        let here = binding(1, "");
        let sealed = ring(&[(1, &old)]).seal(&Secret::new("s"), &here).unwrap();
        assert!(ring(&[(2, &new), (1, &old)]).open(&sealed, &here).is_ok());
        let lost = ring(&[(2, &new)]).open(&sealed, &here).unwrap_err();
        assert!(lost.message().contains("encryption key 1"), "{lost}");
        assert_eq!(lost.reason(), Some(ErrorReason::KeyUnavailable));
    }

    #[test]
    fn weak_or_malformed_keys_are_refused() {
        let zeros = STANDARD.encode([0_u8; 32]);
        for text in ["", "x", "change_me_in_production", "1:short", zeros.as_str(), "a:b:c"] {
            assert!(KeyRing::parse(text).is_err(), "{text}");
        }
        let key = KeyRing::generate().unwrap();
        assert!(KeyRing::parse(&format!("1:{0},1:{0}", key.expose())).is_err());
    }
}
