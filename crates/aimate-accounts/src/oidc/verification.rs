//! Whether an ID token is one, and for this login.

use std::time::{Duration, UNIX_EPOCH};

use aimate_core::Timestamp;
use openidconnect::core::{CoreJwsSigningAlgorithm, CoreTokenResponse, CoreUserInfoClaims};
use openidconnect::{
    AccessTokenHash, ClaimsVerificationError, Nonce, OAuth2TokenResponse as _, SignatureVerificationError,
    TokenResponse as _,
};

use super::ReadyClient;

/// Asymmetric ones alone: with a shared secret, whoever has it makes tokens, and `none` needs
/// not even that.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// Seconds that a token may be old when it comes.
const MAX_AGE: i64 = 600;
/// Seconds that the provider's clock may be ahead.
const AHEAD: i64 = 60;

/// What an ID token says.
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) email: Option<String>,
    pub(super) is_email_verified: bool,
    pub(super) name: Option<String>,
}

impl Claims {
    /// What the provider answers for this subject when it is asked.
    pub(super) fn of_user_info(subject: String, asked: &CoreUserInfoClaims) -> Self {
        Self {
            subject,
            email: asked.email().map(|email| email.to_string()),
            is_email_verified: asked.email_verified() == Some(true),
            name: asked.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
        }
    }
}

/// Why a token is none.
#[derive(Debug)]
pub(super) enum Unverified {
    /// It is signed with a key that the provider did not list.
    UnknownKey,
    /// The check that it failed.
    Because(&'static str),
}

impl Unverified {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::UnknownKey => "the ID token is signed with a key that the provider does not list",
            Self::Because(why) => why,
        }
    }
}

/// Checks the ID token of an answer: signature, algorithm, issuer, audience, times, nonce,
/// and that the access token belongs to it.
pub(super) fn claims(
    client: &ReadyClient,
    answer: &CoreTokenResponse,
    nonce: &Nonce,
    now: Timestamp,
) -> Result<Claims, Unverified> {
    let since_1970 = Duration::from_micros(u64::try_from(now.0).unwrap_or_default());
    let now = now.0 / 1_000_000;
    let token = answer.id_token().ok_or(Unverified::Because("there is no ID token"))?;
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || (UNIX_EPOCH + since_1970).into())
        .set_issue_time_verifier_fn(move |at| match now - at.timestamp() {
            age if age > MAX_AGE => Err("issued too long ago".to_owned()),
            age if age < -AHEAD => Err("issued in the future".to_owned()),
            _ => Ok(()),
        });
    let claims = token.claims(&verifier, nonce).map_err(|error| refused(&error))?;
    if let Some(expected) = claims.access_token_hash() {
        let actual = token.signing_alg().and_then(|alg| Ok((alg, token.signing_key(&verifier)?)));
        let (alg, key) = actual.map_err(|_| Unverified::Because("the ID token's key is none"))?;
        let actual = AccessTokenHash::from_token(answer.access_token(), alg, key);
        if !actual.is_ok_and(|actual| actual == *expected) {
            return Err(Unverified::Because("the access token is not that of the ID token"));
        }
    }
    let name = claims.name().and_then(|name| name.get(None)).map(|name| name.to_string());
    Ok(Claims {
        subject: claims.subject().to_string(),
        email: claims.email().map(|email| email.to_string()),
        is_email_verified: claims.email_verified() == Some(true),
        name,
    })
}

/// Which check failed; never what the token says.
fn refused(error: &ClaimsVerificationError) -> Unverified {
    use ClaimsVerificationError as Claim;
    Unverified::Because(match error {
        Claim::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            return Unverified::UnknownKey;
        }
        Claim::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => {
            "the ID token's algorithm is not allowed"
        }
        Claim::SignatureVerification(_) => "the ID token's signature is not good",
        Claim::Expired(_) => "the ID token has ended, or was issued at another time",
        Claim::InvalidAudience(_) => "the ID token is for somebody else",
        Claim::InvalidIssuer(_) => "the ID token is of another issuer",
        Claim::InvalidNonce(_) => "the ID token is of another attempt",
        _ => "the ID token is not good",
    })
}
