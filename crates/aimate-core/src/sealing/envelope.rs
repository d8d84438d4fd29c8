//! The bytes of a sealed secret.
//!
//! `version (1) | algorithm (1) | key id (4) | length of the wrapped key (2) | wrapped
//! key | nonce (24) | ciphertext and tag`, numbers big-endian. The associated data is
//! every part of the [`Binding`], each with its length before it.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Binding, DataKey, Purpose, WrappedKey};
use crate::error::{Error, Result};
use crate::secret::Secret;

const VERSION: u8 = 2;
const XCHACHA20_POLY1305: u8 = 1;
const HEADER: usize = 8;
const NONCE: usize = 24;
/// What every derivation and every binding begins with.
const DOMAIN: &str = "aimate/2";

/// A sealed secret, and which key it was sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The provider's key that wrapped its data key; also in the bytes.
    pub key_id: u32,
    /// The envelope.
    pub bytes: Vec<u8>,
}

/// The subkey of `key` for a purpose.
pub(crate) fn subkey(key: &[u8], purpose: Purpose) -> Result<DataKey> {
    let mut derived = Zeroizing::new([0_u8; 32]);
    let info = [DOMAIN, " ", purpose.name()].concat();
    Hkdf::<Sha256>::new(None, key)
        .expand(info.as_bytes(), derived.as_mut_slice())
        .map_err(|_| Error::internal("a key could not be derived"))?;
    DataKey::from_bytes(derived.as_slice())
}

/// `text` under `key`, behind a nonce of its own.
pub(crate) fn encrypt(key: &DataKey, text: &[u8], associated_data: &[u8]) -> Result<Vec<u8>> {
    let nonce = random::<NONCE>()?;
    let sealed = XChaCha20Poly1305::new(key.expose().into())
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: text, aad: associated_data })
        .map_err(|_| Error::internal("sealing a secret failed"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// What [`encrypt`] was given; `None` if anything of it was changed.
pub(crate) fn decrypt(key: &DataKey, sealed: &[u8], associated_data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
    XChaCha20Poly1305::new(key.expose().into())
        .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: associated_data })
        .ok()
        .map(Zeroizing::new)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal("the system gives no random bytes").with_source(error))?;
    Ok(bytes)
}

/// Each part with its length before it, so that no two lists give the same bytes.
pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut data = Vec::with_capacity(192);
    for part in parts {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}

impl Binding<'_> {
    fn associated_data(&self, key_id: u32) -> Vec<u8> {
        joined(&[
            DOMAIN.as_bytes(),
            self.purpose.name().as_bytes(),
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.row.as_bytes(),
            self.owner.as_bytes(),
            self.origin.as_bytes(),
            &[XCHACHA20_POLY1305],
            &key_id.to_be_bytes(),
        ])
    }
}

/// Seals `secret` with a data key that was wrapped.
pub(super) fn seal(
    secret: &Secret,
    binding: &Binding<'_>,
    key: &DataKey,
    wrapped: &WrappedKey,
) -> Result<Sealed> {
    let length = u16::try_from(wrapped.bytes.len())
        .map_err(|_| Error::internal("the key provider wraps a data key into more than 65,535 bytes"))?;
    let key_id = wrapped.key_id;
    let subkey = subkey(key.expose(), binding.purpose)?;
    let sealed = encrypt(&subkey, secret.expose().as_bytes(), &binding.associated_data(key_id))?;
    let mut bytes = Vec::with_capacity(HEADER + wrapped.bytes.len() + sealed.len());
    bytes.extend_from_slice(&[VERSION, XCHACHA20_POLY1305]);
    bytes.extend_from_slice(&key_id.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&wrapped.bytes);
    bytes.extend_from_slice(&sealed);
    Ok(Sealed { key_id, bytes })
}

/// An envelope taken apart.
pub(super) struct Parts<'a> {
    pub(super) wrapped: WrappedKey,
    sealed: &'a [u8],
}

/// Takes an envelope apart.
pub(super) fn parts(envelope: &[u8]) -> Result<Parts<'_>> {
    let cut = || Error::key_unavailable("it is cut off");
    let (header, rest) = envelope.split_at_checked(HEADER).ok_or_else(cut)?;
    let &[VERSION, XCHACHA20_POLY1305, a, b, c, d, high, low] = header else {
        return Err(Error::key_unavailable("its format is unknown"));
    };
    let (wrapped, sealed) = rest.split_at_checked(u16::from_be_bytes([high, low]).into()).ok_or_else(cut)?;
    let key_id = u32::from_be_bytes([a, b, c, d]);
    Ok(Parts { wrapped: WrappedKey { key_id, bytes: wrapped.to_vec() }, sealed })
}

/// Opens what [`seal`] made for the same binding.
pub(super) fn open(parts: &Parts<'_>, binding: &Binding<'_>, key: &DataKey) -> Result<Secret> {
    let subkey = subkey(key.expose(), binding.purpose)?;
    let aad = binding.associated_data(parts.wrapped.key_id);
    let plain = decrypt(&subkey, parts.sealed, &aad).ok_or_else(|| {
        Error::key_unavailable("it was changed, moved or sealed with another key of the same id")
    })?;
    let text = std::str::from_utf8(&plain).map_err(|_| Error::key_unavailable("it is not text"))?;
    Ok(Secret::new(text))
}
