//! The secret that access tokens are signed with.

use aimate_core::{Error, Result, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Bytes of a secret at least.
const MIN_BYTES: usize = 32;
/// Bits that the characters of a secret carry at least, by how often each occurs:
/// 32 random bytes in base64 have about 210, in hexadecimal about 250.
const MIN_ENTROPY: f64 = 96.0;
/// What is in examples, manuals and other people's defaults, folded to lower case
/// without separators.
const WELL_KNOWN: [&str; 18] = [
    "changeme",
    "changethis",
    "devsecret",
    "yoursecret",
    "yourjwtsecret",
    "secretkey",
    "supersecret",
    "jwtsecret",
    "mysecret",
    "defaultsecret",
    "notasecret",
    "placeholder",
    "example",
    "flowise",
    "donotuse",
    "password",
    "inproduction",
    "abcdefghijklmnop",
];

/// A secret of at least 32 bytes that cannot be guessed.
#[derive(Clone, Debug)]
pub struct SigningSecret(Secret);

impl SigningSecret {
    /// Takes a secret over, such as the value of `JWT_SECRET`.
    ///
    /// # Errors
    /// `Invalid` as [`check_strength`] says.
    pub fn parse(text: &str) -> Result<Self> {
        check_strength(text)?;
        Ok(Self(Secret::new(text)))
    }

    /// A new one: 32 random bytes in base64.
    ///
    /// # Errors
    /// `Internal` if the system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let bytes = Zeroizing::new(crate::token::random::<MIN_BYTES>()?);
        Ok(Self(Secret::new(STANDARD.encode(bytes.as_slice()))))
    }

    /// The secret itself: for what signs, and where it is written down.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Checks that a secret cannot be guessed: at least 32 bytes, none of the well-known
/// ones, not a few characters over and over.
///
/// # Errors
/// `Invalid`, with how to make a good one; never with the secret.
pub fn check_strength(secret: &str) -> Result<()> {
    let weak = |why: &str| {
        Err(Error::invalid(format!("{why}; make one with `openssl rand -base64 32` and keep it to yourself")))
    };
    let secret = secret.trim();
    if secret.is_empty() {
        return weak("is empty");
    }
    if is_well_known(secret) {
        return weak("is, or contains, one that everybody knows");
    }
    if secret.len() < MIN_BYTES {
        return weak(&format!("has {} bytes; it needs at least {MIN_BYTES}", secret.len()));
    }
    if entropy(secret) < MIN_ENTROPY || is_periodic(secret.as_bytes()) {
        return weak("is long enough, but can be guessed: it is not random");
    }
    Ok(())
}

/// Whether a secret is, or contains, one of examples, manuals or other people's defaults.
pub fn is_well_known(secret: &str) -> bool {
    let folded: String =
        secret.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    folded == "secret" || WELL_KNOWN.iter().any(|known| folded.contains(known))
}

/// Shannon's entropy of the characters, in bits.
#[allow(clippy::cast_precision_loss, reason = "secrets have far fewer than 2^52 characters")]
fn entropy(text: &str) -> f64 {
    let mut counts = std::collections::HashMap::new();
    for c in text.chars() {
        *counts.entry(c).or_insert(0_usize) += 1;
    }
    let all = text.chars().count() as f64;
    counts.values().map(|count| *count as f64 * (all / *count as f64).log2()).sum()
}

/// Whether it is one piece, of at most half its length, over and over, or counts up.
fn is_periodic(bytes: &[u8]) -> bool {
    let repeats =
        (1..=bytes.len() / 2).any(|period| bytes.iter().zip(bytes.iter().skip(period)).all(|(a, b)| a == b));
    let steps = bytes.windows(2).filter(|pair| matches!(pair, [a, b] if a.abs_diff(*b) <= 1)).count();
    repeats || steps * 2 > bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_t21_secrets_that_can_be_guessed_are_refused() {
        for weak in [
            "",
            "   ",
            "x",
            "secret",
            "change_me_in_production",
            "change_me_in_production_change_me_in_production",
            "aimate_dev_secret",
            "aimate_dev_secret_aimate_dev_secret",
            "flowise",
            "Your-JWT-Secret-0123456789-0123456789",
            "CHANGE-ME-CHANGE-ME-CHANGE-ME-32",
            "short-but-random-9f3KqZ81",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abababababababababababababababababababab",
            "0123456789012345678901234567890123456789",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "aimateaimateaimateaimateaimateaimate",
        ] {
            let error = check_strength(weak).unwrap_err();
            assert!(error.message().contains("openssl rand -base64 32"), "{weak}: {error}");
            assert!(weak.trim().len() < 8 || !error.message().contains(weak), "{error}");
        }
    }

    #[test]
    fn random_ones_are_taken() {
        for _ in 0..1_000 {
            SigningSecret::parse(SigningSecret::generate().unwrap().expose()).unwrap();
        }
        for _ in 0..1_000 {
            let bytes = crate::token::random::<32>().unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            check_strength(&hex).unwrap();
        }
        check_strength("correct horse battery staple, and then some more").unwrap();
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = SigningSecret::generate().unwrap();
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }
}
