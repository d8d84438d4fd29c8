//! The credentials that are random: API tokens, refresh tokens and invites. Each sort
//! has a beginning of its own and is looked up in a table of its own, so that none is
//! taken for another.

use aimate_core::{Error, Result, Secret, SessionId, TenantId, UserId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

/// What an API token begins with.
pub(crate) const API_TOKEN: &str = "aim_";
/// What a refresh token begins with.
const REFRESH_TOKEN: &str = "air_";
/// What an invite begins with.
const INVITE: &str = "aii_";
/// Characters of the public part of an API token.
const PREFIX: usize = 8;
/// Random bytes of a secret.
const SECRET: usize = 32;
/// Random bytes that all refresh tokens of a session have in common.
const FAMILY: usize = 16;
/// The characters of the public part.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal("the system gives no random bytes").with_source(error))?;
    Ok(bytes)
}

/// What is kept of a secret. It has 128 bits of randomness or more, so a fast hash is
/// enough.
pub(crate) fn hash(secret: &[u8]) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// `text` as so many bytes; only the one spelling that encoding them gives.
fn decoded<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let length = URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()).ok()?;
    (length == N).then_some(bytes)
}

/// An API token: `aim_`, eight characters by which it is found, `_`, and 32 random
/// bytes in base64url.
pub(crate) struct ApiTokenText {
    pub(crate) prefix: String,
    pub(crate) secret_hash: Vec<u8>,
}

impl ApiTokenText {
    /// A new one, and the whole text, which is shown once.
    pub(crate) fn generate() -> Result<(Self, Secret)> {
        let letters = random::<PREFIX>()?;
        let letter = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).copied().map_or('a', char::from);
        let prefix: String = letters.iter().map(letter).collect();
        let secret = Zeroizing::new(random::<SECRET>()?);
        let text = format!("{API_TOKEN}{prefix}_{}", URL_SAFE_NO_PAD.encode(secret.as_slice()));
        Ok((Self { prefix, secret_hash: hash(secret.as_slice()) }, Secret::new(text)))
    }

    /// Reads one; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(API_TOKEN)?;
        let (prefix, rest) = rest.split_at_checked(PREFIX)?;
        let secret = decoded::<SECRET>(rest.strip_prefix('_')?)?;
        prefix
            .bytes()
            .all(|byte| ALPHABET.contains(&byte))
            .then(|| Self { prefix: prefix.to_owned(), secret_hash: hash(secret.as_slice()) })
    }
}

/// A refresh token: `air_`, where its session is kept, `_`, and random bytes, of which
/// the first sixteen are those of all tokens of the session. Who knows them has or had a
/// token, so that an old one can be told from one that was made up.
pub(crate) struct RefreshToken {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    family: Zeroizing<[u8; FAMILY]>,
    secret: Zeroizing<[u8; SECRET]>,
}

impl RefreshToken {
    /// The first one of a session.
    pub(crate) fn generate(tenant: TenantId, user: UserId, session: SessionId) -> Result<Self> {
        let (family, secret) = (Zeroizing::new(random()?), Zeroizing::new(random()?));
        Ok(Self { tenant, user, session, family, secret })
    }

    /// The next one of the same session.
    pub(crate) fn next(&self) -> Result<Self> {
        let (family, secret) = (self.family.clone(), Zeroizing::new(random()?));
        Ok(Self { family, secret, ..*self })
    }

    pub(crate) fn family_hash(&self) -> Vec<u8> {
        hash(self.family.as_slice())
    }

    pub(crate) fn token_hash(&self) -> Vec<u8> {
        hash(self.secret.as_slice())
    }

    /// The whole text.
    pub(crate) fn text(&self) -> Secret {
        let place = [self.tenant.uuid(), self.user.uuid(), self.session.uuid()];
        let place: Vec<u8> = place.iter().flat_map(|id| *id.as_bytes()).collect();
        let secret = Zeroizing::new([self.family.as_slice(), self.secret.as_slice()].concat());
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Secret::new(format!("{REFRESH_TOKEN}{}_{}", encode(&place), encode(&secret)))
    }

    /// Reads one; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (place, rest) = text.strip_prefix(REFRESH_TOKEN)?.split_at_checked(64)?;
        let place = decoded::<48>(place)?;
        let secrets = decoded::<{ FAMILY + SECRET }>(rest.strip_prefix('_')?)?;
        let mut ids = place.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok());
        let (family, secret) = secrets.split_first_chunk::<FAMILY>()?;
        Some(Self {
            tenant: TenantId(ids.next()?),
            user: UserId(ids.next()?),
            session: SessionId(ids.next()?),
            family: Zeroizing::new(*family),
            secret: Zeroizing::new(secret.try_into().ok()?),
        })
    }
}

/// A new invite: its whole text, and the hash that is kept.
pub(crate) fn invite() -> Result<(Secret, Vec<u8>)> {
    let secret = Zeroizing::new(random::<SECRET>()?);
    let text = format!("{INVITE}{}", URL_SAFE_NO_PAD.encode(secret.as_slice()));
    Ok((Secret::new(text), hash(secret.as_slice())))
}

/// The hash of an invite's text; `None` if it is none.
pub(crate) fn invite_hash(text: &str) -> Option<Vec<u8>> {
    let secret = decoded::<SECRET>(text.trim().strip_prefix(INVITE)?)?;
    Some(hash(secret.as_slice()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use aimate_core::{Ids as _, RandomIds};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sec_t22_tokens_are_random_and_of_one_sort() {
        let mut seen = HashSet::new();
        let id = || RandomIds.next();
        for _ in 0..1_000 {
            let (kept, api) = ApiTokenText::generate().unwrap();
            let api = api.expose().to_owned();
            assert_eq!((api.len(), &api[..4], &api[12..13]), (56, "aim_", "_"));
            let read = ApiTokenText::parse(&api).unwrap();
            assert_eq!((read.prefix, read.secret_hash), (kept.prefix, kept.secret_hash));
            let refresh = RefreshToken::generate(id().into(), id().into(), id().into()).unwrap();
            let text = refresh.text().expose().to_owned();
            let read = RefreshToken::parse(&text).unwrap();
            assert_eq!((read.session, read.token_hash()), (refresh.session, refresh.token_hash()));
            let next = refresh.next().unwrap();
            assert_eq!(next.family_hash(), refresh.family_hash());
            assert_ne!(next.token_hash(), refresh.token_hash());
            let (invite, kept) = invite().unwrap();
            assert_eq!(invite_hash(invite.expose()), Some(kept));
            for other in [&api, &text] {
                assert!(invite_hash(other).is_none());
            }
            assert!(RefreshToken::parse(&api).is_none() && ApiTokenText::parse(&text).is_none());
            assert!(ApiTokenText::parse(invite.expose()).is_none());
            assert!(seen.insert(api[13..].to_owned()) && seen.insert(text[69..].to_owned()));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "\\PC{0,200}", tail in "[A-Za-z0-9_=+/-]{0,140}") {
            for begin in ["", "aim_", "air_", "aii_", "aim_abcdefgh_"] {
                for rest in [&text, &tail] {
                    let text = format!("{begin}{rest}");
                    if let Some(token) = ApiTokenText::parse(&text) {
                        prop_assert_eq!(text.len(), 56);
                        prop_assert_eq!(token.prefix.len(), 8);
                    }
                    if let Some(token) = RefreshToken::parse(&text) {
                        let again = token.text();
                        prop_assert_eq!(again.expose(), text.as_str());
                    }
                    let _ = invite_hash(&text);
                }
            }
        }
    }
}
