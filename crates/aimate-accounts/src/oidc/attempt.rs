//! What the browser keeps while somebody signs in elsewhere: sealed, so that it can neither
//! read nor change it, and good for ten minutes.

use std::time::Duration;

use aimate_core::sealing::{Binding, Purpose, Sealed, Sealer};
use aimate_core::{Result, Secret, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::not_fitting;
use super::settings::OidcSettings;

/// How long somebody may take at the provider.
pub(super) const LASTS: Duration = Duration::from_secs(600);
/// The most bytes of a cookie that is looked at.
const MAX_COOKIE: usize = 8_192;
/// The bytes of a state: 16 at random, in base64.
const STATE: usize = 22;

/// Whether a cookie and a state may be those of an attempt: what can be seen to be none costs no
/// question to whatever has the keys.
pub(super) fn may_be_one(cookie: &str, state: &str) -> bool {
    !cookie.is_empty() && state.len() == STATE
}

/// An attempt to sign in.
#[derive(Serialize, Deserialize)]
pub(super) struct OidcAttempt {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) return_to: String,
    /// In microseconds since 1970.
    pub(super) begun_at: i64,
}

impl OidcAttempt {
    /// The cookie of it, for this provider alone.
    pub(super) async fn seal(&self, sealer: &Sealer, settings: &OidcSettings) -> Result<Secret> {
        let text = Zeroizing::new(serde_json::to_string(self).map_err(|error| {
            aimate_core::Error::internal("an attempt to sign in could not be written").with_source(error)
        })?);
        let sealed = sealer.seal(&Secret::new(text.as_str()), &binding(settings)).await?;
        Ok(Secret::new(URL_SAFE_NO_PAD.encode(sealed.bytes)))
    }

    /// The attempt of a cookie.
    pub(super) async fn open(
        cookie: &str,
        sealer: &Sealer,
        settings: &OidcSettings,
        now: Timestamp,
    ) -> Result<Self> {
        let none = |_| not_fitting("the browser kept no attempt, or one of another provider");
        let bytes = cookie.get(..cookie.len().min(MAX_COOKIE)).unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(bytes).map_err(|_| none(()))?;
        // The key is the one that the bytes name.
        let sealed = Sealed { key_id: 0, bytes };
        let text = sealer.open(&sealed, &binding(settings)).await.map_err(|error| match error.reason() {
            Some(_) => none(()),
            // The keys cannot be asked now.
            None => error,
        })?;
        let attempt: Self = serde_json::from_str(text.expose()).map_err(|_| none(()))?;
        if now.since(Timestamp(attempt.begun_at)) > LASTS {
            return Err(not_fitting("the attempt began more than ten minutes ago"));
        }
        Ok(attempt)
    }
}

fn binding(settings: &OidcSettings) -> Binding<'_> {
    Binding {
        purpose: Purpose::LOGIN,
        table: "oidc",
        column: &settings.name,
        row: Uuid::nil(),
        owner: Uuid::nil(),
        origin: &settings.issuer,
    }
}
