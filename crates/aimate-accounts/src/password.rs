//! Passwords: hashing them and comparing with a hash.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aimate_core::{Error, Result, Secret};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a password.
const MIN_BYTES: usize = 8;
const MAX_BYTES: usize = 1_024;
/// Who waits for a core at most; further ones are told to come back.
const MAX_WAITING: usize = 64;

/// Argon2id with what OWASP recommends: 19 MiB, two passes, one lane.
static ARGON2: LazyLock<Argon2<'static>> =
    LazyLock::new(|| Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT));

/// A hash of nothing that anybody knows: whoever has no account waits as long as others.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let password = crate::token::random::<32>().unwrap_or_default();
    let hash: Result<PasswordHash, _> = ARGON2.hash_password(&password);
    hash.map(|hash| hash.to_string()).unwrap_or_default()
});

/// Hashes passwords, as many at once as there are cores: each takes 19 MiB.
pub(crate) struct Passwords {
    cores: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It is another password, or there is none to compare with.
    No,
    /// It is the password.
    Yes,
    /// It is the password, whose hash is not as it would be made today.
    Outdated,
}

/// Checks the length of a new password.
///
/// # Errors
/// `Invalid` on the field `path`.
pub(crate) fn check(path: &str, password: &Secret) -> Result<()> {
    let bytes = password.expose().len();
    if password.expose().trim().is_empty() {
        return Err(Error::field(path, format!("is blank; it needs {MIN_BYTES} to {MAX_BYTES} bytes")));
    }
    if !(MIN_BYTES..=MAX_BYTES).contains(&bytes) {
        return Err(Error::field(path, format!("has {bytes} bytes; it needs {MIN_BYTES} to {MAX_BYTES}")));
    }
    Ok(())
}

/// Whether it can be anybody's password: what is longer costs no hashing.
pub(crate) fn may_be_one(password: &Secret) -> bool {
    (1..=MAX_BYTES).contains(&password.expose().len())
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { cores: Arc::new(Semaphore::new(cores)), places: Arc::new(Semaphore::new(MAX_WAITING + cores)) }
    }
}

impl Passwords {
    /// The hash of a password, as a PHC string.
    ///
    /// # Errors
    /// `Unavailable` if too many are waiting.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret> {
        let password = password.clone();
        let hash = self.on_a_core(move || {
            let hash: Result<PasswordHash, _> = ARGON2.hash_password(password.expose().as_bytes());
            hash.map(|hash| Secret::new(hash.to_string()))
        });
        hash.await?
            .map_err(|error| Error::internal("a password could not be hashed").with_source(error.to_string()))
    }

    /// Compares a password with a hash; without one, it takes as long.
    ///
    /// # Errors
    /// `Unavailable` if too many are waiting.
    pub(crate) async fn verify(&self, password: &Secret, hash: Option<&Secret>) -> Result<Verified> {
        let (password, hash) = (password.clone(), hash.cloned());
        self.on_a_core(move || {
            let verified = compared(&password, hash.as_ref().map_or(&NOBODY, Secret::expose));
            if hash.is_some() { verified } else { Verified::No }
        })
        .await
    }

    /// Takes every place there is, until what it gives is dropped.
    #[cfg(test)]
    pub(crate) fn fill(&self) -> OwnedSemaphorePermit {
        let free = u32::try_from(self.places.available_permits()).unwrap();
        self.places.clone().try_acquire_many_owned(free).unwrap()
    }

    async fn on_a_core<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let crowded = || {
            Error::unavailable("too many people sign in at this moment; try again in a moment")
                .with_retry_after(Duration::from_secs(1))
        };
        let place = self.places.clone().try_acquire_owned().map_err(|_| crowded())?;
        let core = self.cores.clone().acquire_owned().await.map_err(|_| crowded())?;
        // Who goes away meanwhile does not free the core that is used.
        let held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, core);
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(held);
            done
        });
        done.await.map_err(|error| Error::internal("a password could not be looked at").with_source(error))
    }
}

fn compared(password: &Secret, hash: &str) -> Verified {
    let bytes = password.expose().as_bytes();
    if ["$2a$", "$2b$", "$2y$"].iter().any(|begin| hash.starts_with(begin)) {
        // bcrypt sees no more than 72 bytes, as it did when the hash was made.
        return match bcrypt::verify(bytes, hash) {
            Ok(true) => Verified::Outdated,
            Ok(false) | Err(_) => Verified::No,
        };
    }
    let Ok(parsed) = PasswordHash::new(hash) else { return Verified::No };
    match ARGON2.verify_password(bytes, &parsed) {
        Ok(()) if is_of_today(&parsed) => Verified::Yes,
        Ok(()) => Verified::Outdated,
        Err(_) => Verified::No,
    }
}

/// Whether a hash is as one would be made today.
fn is_of_today(hash: &PasswordHash) -> bool {
    let params = Params::try_from(hash).ok();
    hash.algorithm.as_str() == "argon2id"
        && hash.version == Some(Version::V0x13.into())
        && params.is_some_and(|params| {
            params.m_cost() >= Params::DEFAULT_M_COST && params.t_cost() >= Params::DEFAULT_T_COST
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn password_is_known_by_its_hash() {
        let passwords = Passwords::default();
        let right = Secret::new("correct horse battery");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
        assert_ne!(hash.expose(), passwords.hash(&right).await.unwrap().expose());
        assert_eq!(passwords.verify(&right, Some(&hash)).await.unwrap(), Verified::Yes);
        let wrong = Secret::new("correct horse batterx");
        assert_eq!(passwords.verify(&wrong, Some(&hash)).await.unwrap(), Verified::No);
        assert_eq!(passwords.verify(&right, None).await.unwrap(), Verified::No);
        assert_eq!(passwords.verify(&right, Some(&Secret::new("nonsense"))).await.unwrap(), Verified::No);
        assert_eq!(passwords.verify(&Secret::new(""), Some(&Secret::new(""))).await.unwrap(), Verified::No);
    }

    #[test]
    fn hash_of_nobody_takes_as_long_as_a_new_one() {
        let hash = PasswordHash::new(&NOBODY).unwrap();
        assert!(is_of_today(&hash));
        let params = Params::try_from(&hash).unwrap();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST)
        );
    }

    #[tokio::test]
    async fn hashes_of_other_products_and_times_are_outdated() {
        let passwords = Passwords::default();
        let right = Secret::new("correct horse battery");
        let parts = bcrypt::hash_with_result(right.expose(), 4).unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let hash = Secret::new(parts.format_for_version(version));
            assert_eq!(passwords.verify(&right, Some(&hash)).await.unwrap(), Verified::Outdated);
            assert_eq!(passwords.verify(&Secret::new("x"), Some(&hash)).await.unwrap(), Verified::No);
        }
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8_192, 1, 1, None).unwrap());
        let hash: PasswordHash = weak.hash_password(right.expose().as_bytes()).unwrap();
        let hash = Secret::new(hash.to_string());
        assert_eq!(passwords.verify(&right, Some(&hash)).await.unwrap(), Verified::Outdated);
    }

    #[test]
    fn sec_t24_length_is_bounded_and_blank_is_none() {
        for wrong in ["", "        ", "seven77", &"x".repeat(1_025), &"x".repeat(1_000_000)] {
            let error = check("password", &Secret::new(wrong)).unwrap_err();
            assert_eq!(error.fields()[0].path, "password");
        }
        for right in ["eight888", "pässwör", &"x".repeat(1_024)] {
            check("password", &Secret::new(right)).unwrap();
        }
    }
}
