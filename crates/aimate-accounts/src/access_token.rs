//! Access tokens: JWTs of one algorithm, HS256, good for minutes, that name a session.
//! What its user may do is never read from them.

use std::time::Duration;

use aimate_core::{Secret, SessionId, TenantId, Timestamp, UserId};
use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{AlgorithmExt as _, Claims, Header, UntrustedToken};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::settings::{AccountSettings, MAX_ACCESS_TTL};
use crate::signing_secret::SigningSecret;

/// The `typ` of an access token (RFC 9068).
const TYPE: &str = "at+jwt";
/// How far two clocks may be apart, in seconds.
const LEEWAY: i64 = 5;
/// Bytes of a token at most: ours have about 420.
const MAX_BYTES: usize = 2_048;

/// Whose an access token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccessTokenOf {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

/// Makes and reads access tokens.
pub(crate) struct AccessTokens {
    /// The first one signs.
    keys: Vec<(String, Hs256Key)>,
    issuer: String,
    audience: String,
    ttl: Duration,
}

#[derive(Serialize)]
struct Written<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    sid: Uuid,
    tid: Uuid,
    iat: i64,
    exp: i64,
}

/// All of them are required; `iat` and `exp` are read by the library.
#[derive(Deserialize)]
struct Read {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    tid: Uuid,
}

impl AccessTokens {
    pub(crate) fn new(settings: &AccountSettings) -> Self {
        let key = |secret: &SigningSecret| (key_id(secret), Hs256Key::new(secret.expose().as_bytes()));
        Self {
            keys: [Some(&settings.secret), settings.previous_secret.as_ref()]
                .into_iter()
                .flatten()
                .map(key)
                .collect(),
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            ttl: settings.access_ttl.min(MAX_ACCESS_TTL),
        }
    }

    /// How long a token is good.
    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// A token for `of`; `None` if it cannot be written, which does not happen.
    pub(crate) fn sign(&self, of: AccessTokenOf, now: Timestamp) -> Option<Secret> {
        let (id, key) = self.keys.first()?;
        let iat = now.unix_seconds();
        let claims = Claims::new(Written {
            iss: &self.issuer,
            aud: &self.audience,
            sub: of.user.uuid(),
            sid: of.session.uuid(),
            tid: of.tenant.uuid(),
            iat,
            exp: iat.saturating_add(self.ttl.as_secs().try_into().unwrap_or(0)),
        });
        let header = Header::empty().with_key_id(id).with_token_type(TYPE);
        Hs256.token(&header, &claims, key).ok().map(Secret::new)
    }

    /// Whether one of our keys signed a token, however long ago.
    pub(crate) fn has_signed(&self, text: &str) -> bool {
        self.claims(text).is_some()
    }

    /// What a token says that one of our keys signed.
    fn claims(&self, text: &str) -> Option<Claims<Read>> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let token = UntrustedToken::new(text).ok()?;
        if token.header().token_type.as_deref() != Some(TYPE) {
            return None;
        }
        let key_id = token.header().key_id.as_deref()?;
        let (_, key) = self.keys.iter().find(|(known, _)| known == key_id)?;
        // The algorithm is ours, whatever the header says: another one is refused.
        let token = Hs256.validator::<Read>(key).validate(&token).ok()?;
        Some(token.into_parts().1)
    }

    /// Whose a token is, if it is one of ours and good at `now`.
    pub(crate) fn verify(&self, text: &str, now: Timestamp) -> Option<AccessTokenOf> {
        let claims = self.claims(text)?;
        let (issued, expires) = (claims.issued_at?.timestamp(), claims.expiration?.timestamp());
        let now = now.unix_seconds();
        let ttl = i64::try_from(MAX_ACCESS_TTL.as_secs()).unwrap_or(0);
        let is_of_now = issued <= now.saturating_add(LEEWAY)
            && now < expires.saturating_add(LEEWAY)
            && expires.saturating_sub(issued) <= ttl
            && claims.not_before.is_none_or(|at| at.timestamp() <= now.saturating_add(LEEWAY));
        let Read { iss, aud, sub, sid, tid } = &claims.custom;
        let is_ours = *iss == self.issuer && *aud == self.audience;
        (is_of_now && is_ours).then_some(AccessTokenOf {
            tenant: TenantId(*tid),
            user: UserId(*sub),
            session: SessionId(*sid),
        })
    }
}

/// What names a secret in the header of what it signed.
fn key_id(secret: &SigningSecret) -> String {
    let hash = Sha256::new().chain_update("aimate/1 key id").chain_update(secret.expose()).finalize();
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use aimate_core::{Ids as _, RandomIds};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::{Hmac, Mac as _};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp(1_767_225_600_000_000);

    fn settings() -> AccountSettings {
        AccountSettings::new(SigningSecret::generate().unwrap())
    }

    fn of() -> AccessTokenOf {
        let id = || RandomIds.next();
        AccessTokenOf { tenant: TenantId(id()), user: UserId(id()), session: SessionId(id()) }
    }

    fn header(settings: &AccountSettings) -> Value {
        json!({"alg": "HS256", "typ": TYPE, "kid": key_id(&settings.secret)})
    }

    fn claims(of: AccessTokenOf) -> Value {
        let now = NOW.unix_seconds();
        json!({"iss": "aimate", "aud": "aimate", "sub": of.user.0, "sid": of.session.0, "tid": of.tenant.0,
            "iat": now, "exp": now + 900})
    }

    /// A token as anybody could make it who knows the secret.
    fn forged(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn with(mut value: Value, name: &str, to: Value) -> Value {
        value[name] = to;
        value
    }

    fn without(mut value: Value, name: &str) -> Value {
        value.as_object_mut().unwrap().remove(name).unwrap();
        value
    }

    #[test]
    fn token_names_its_session_until_it_ends() {
        let tokens = AccessTokens::new(&settings());
        let of = of();
        let token = tokens.sign(of, NOW).unwrap();
        assert_eq!(tokens.verify(token.expose(), NOW), Some(of));
        let after = |seconds: u64| NOW.plus(Duration::from_secs(seconds));
        assert_eq!(tokens.verify(token.expose(), after(904)), Some(of));
        assert_eq!(tokens.verify(token.expose(), after(905)), None);
        assert_eq!(tokens.verify(token.expose(), NOW.minus(Duration::from_secs(5))), Some(of));
        assert_eq!(tokens.verify(token.expose(), NOW.minus(Duration::from_secs(6))), None);
    }

    #[test]
    fn sec_t20_forged_tokens_are_nobodys() {
        let settings = settings();
        let (tokens, of, secret) = (AccessTokens::new(&settings), of(), settings.secret.expose());
        let (header, claims) = (header(&settings), claims(of));
        assert_eq!(tokens.verify(&forged(&header, &claims, secret), NOW), Some(of), "the forger can forge");
        for name in ["iss", "aud", "sub", "sid", "tid", "iat", "exp"] {
            let token = forged(&header, &without(claims.clone(), name), secret);
            assert_eq!(tokens.verify(&token, NOW), None, "without {name}");
        }
        let now = NOW.unix_seconds();
        for (name, value) in [
            ("iss", json!("other")),
            ("aud", json!("other")),
            ("aud", json!(["aimate"])),
            ("aud", json!("")),
            ("sub", json!("me")),
            ("sid", json!(null)),
            ("exp", json!(now - 5)),
            ("exp", json!(now + 901)),
            ("exp", json!("9999999999")),
            ("exp", json!(i64::MAX)),
            ("exp", json!(1e300)),
            ("iat", json!(now + 6)),
            ("iat", json!(i64::MIN)),
            ("nbf", json!(now + 100)),
        ] {
            let token = forged(&header, &with(claims.clone(), name, value.clone()), secret);
            assert_eq!(tokens.verify(&token, NOW), None, "{name} is {value}");
        }
        for (name, value) in [
            ("alg", json!("none")),
            ("alg", json!("None")),
            ("alg", json!("")),
            ("alg", json!("HS512")),
            ("alg", json!("HS384")),
            ("alg", json!("RS256")),
            ("alg", json!("ES256")),
            ("alg", json!("hs256")),
            ("typ", json!("JWT")),
            ("typ", json!(null)),
            ("kid", json!("0")),
            ("kid", json!("../../etc/passwd")),
            ("kid", json!("' OR 1=1 --")),
        ] {
            let token = forged(&with(header.clone(), name, value.clone()), &claims, secret);
            assert_eq!(tokens.verify(&token, NOW), None, "{name} is {value}");
        }
        for name in ["alg", "typ", "kid"] {
            assert_eq!(
                tokens.verify(&forged(&without(header.clone(), name), &claims, secret), NOW),
                None,
                "{name}"
            );
        }
        assert_eq!(tokens.verify(&forged(&header, &claims, ""), NOW), None);
        assert_eq!(tokens.verify(&forged(&header, &claims, &key_id(&settings.secret)), NOW), None);
        // Without a signature, and with that of another token.
        let good = forged(&header, &claims, secret);
        let (signed, _) = good.rsplit_once('.').unwrap();
        assert_eq!(tokens.verify(&format!("{signed}."), NOW), None);
        assert_eq!(tokens.verify(signed, NOW), None);
        let other = forged(&header, &with(claims.clone(), "sub", json!(RandomIds.next())), secret);
        assert_eq!(tokens.verify(&format!("{signed}.{}", other.rsplit_once('.').unwrap().1), NOW), None);
    }

    #[test]
    fn two_secrets_are_good_at_once() {
        let (old, new) = (SigningSecret::generate().unwrap(), SigningSecret::generate().unwrap());
        let of = of();
        let before = AccessTokens::new(&AccountSettings::new(old.clone())).sign(of, NOW).unwrap();
        let both = AccessTokens::new(&AccountSettings::new(new.clone()).previous_secret(old));
        assert_eq!(both.verify(before.expose(), NOW), Some(of));
        let after = both.sign(of, NOW).unwrap();
        let alone = AccessTokens::new(&AccountSettings::new(new));
        assert_eq!(alone.verify(after.expose(), NOW), Some(of));
        assert_eq!(alone.verify(before.expose(), NOW), None);
    }

    proptest! {
        #[test]
        fn changed_token_is_nobodys(at in 0_usize..400, byte in 0x21_u8..0x7f) {
            let tokens = AccessTokens::new(&settings());
            let token = tokens.sign(of(), NOW).unwrap();
            let mut text = token.expose().to_owned().into_bytes();
            let at = at % text.len();
            prop_assume!(text[at] != byte);
            text[at] = byte;
            prop_assert_eq!(tokens.verify(&String::from_utf8(text).unwrap(), NOW), None);
        }

        #[test]
        fn any_text_is_nobodys(text in "\\PC{0,300}", parts in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,43}") {
            let tokens = AccessTokens::new(&settings());
            prop_assert_eq!(tokens.verify(&text, NOW), None);
            prop_assert_eq!(tokens.verify(&parts, NOW), None);
        }
    }
}
