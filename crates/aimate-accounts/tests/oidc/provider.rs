//! An OpenID provider without a socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aimate_accounts::{OidcAnswer, OidcClient, OidcRequest, OidcResponse};
use aimate_core::provider::AddressSource;
use aimate_core::testing::FixedClock;
use aimate_core::{Clock as _, Error, Result, Secret};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

/// Made for these tests; what is signed with them is worth nothing.
const KEYS: [&str; 3] = [
    "MC4CAQAwBQYDK2VwBCIEIH0fptmRu1st/iCik3ZMFRYTHZf2hHyAWgPkx48BO+2M",
    "MC4CAQAwBQYDK2VwBCIEIOsWO6Z3WTDcHEfNK2Ba0+EA6N0khSmoFq5bv8X2reVF",
    "MC4CAQAwBQYDK2VwBCIEIF8yKk229K7app44D2wUhLTarpk4cXgLVdIwnwVaDBK/",
];
/// The secret of this server at the provider.
const CLIENT_SECRET: &str = "cs-Hd7KxQz2";

/// What the provider lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    Nonce,
    NoNonce,
    Audience,
    SecondAudience,
    Issuer,
    Expired,
    Old,
    Early,
    NoAlgorithm,
    SharedSecret,
    PublicKeyAsSecret,
    ForeignKey,
    Changed,
    NoToken,
    AccessToken,
    UserInfo,
}

impl Lie {
    pub(crate) const ALL: [Self; 16] = [
        Self::Nonce,
        Self::NoNonce,
        Self::Audience,
        Self::SecondAudience,
        Self::Issuer,
        Self::Expired,
        Self::Old,
        Self::Early,
        Self::NoAlgorithm,
        Self::SharedSecret,
        Self::PublicKeyAsSecret,
        Self::ForeignKey,
        Self::Changed,
        Self::NoToken,
        Self::AccessToken,
        Self::UserInfo,
    ];
}

/// What a code stands for.
struct Grant {
    subject: String,
    email: String,
    nonce: String,
    challenge: String,
}

struct State {
    /// Subjects and addresses by their access token.
    people: HashMap<String, (String, String)>,
    shows_addresses: bool,
    grants: HashMap<String, Grant>,
    given: Vec<String>,
    lie: Option<Lie>,
    key: usize,
    verifies_addresses: bool,
    metadata: Value,
    asked: Vec<(String, bool)>,
}

pub(crate) struct Provider {
    issuer: String,
    clock: Arc<FixedClock>,
    state: Mutex<State>,
}

impl Provider {
    pub(crate) fn new(issuer: &str, clock: Arc<FixedClock>) -> Arc<Self> {
        let at = issuer.trim_end_matches('/');
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{at}/authorize"),
            "token_endpoint": format!("{at}/token"),
            "jwks_uri": format!("{at}/jwks"),
            "userinfo_endpoint": format!("{at}/userinfo"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            // A lying provider would list the bad ones too.
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        });
        let state = State {
            people: HashMap::new(),
            shows_addresses: true,
            grants: HashMap::new(),
            given: Vec::new(),
            lie: None,
            key: 0,
            verifies_addresses: true,
            metadata,
            asked: Vec::new(),
        };
        Arc::new(Self { issuer: issuer.to_owned(), clock, state: Mutex::new(state) })
    }

    pub(crate) fn lie(&self, lie: Lie) {
        self.state.lock().unwrap().lie = Some(lie);
    }

    pub(crate) fn verifies_addresses(&self, does: bool) {
        self.state.lock().unwrap().verifies_addresses = does;
    }

    /// Whether addresses are in ID tokens, or shown to who asks alone.
    pub(crate) fn shows_addresses(&self, does: bool) {
        self.state.lock().unwrap().shows_addresses = does;
    }

    pub(crate) fn next_key(&self) {
        self.state.lock().unwrap().key = 1;
    }

    /// Changes what the provider says of itself.
    pub(crate) fn say(&self, field: &str, value: &str) {
        self.state.lock().unwrap().metadata[field] = value.into();
    }

    /// The addresses that were asked, and whether the operator vouched for them.
    pub(crate) fn asked(&self) -> Vec<(String, bool)> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Codes and tokens that were given out.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let given = self.state.lock().unwrap().given.clone();
        given.into_iter().chain([CLIENT_SECRET.to_owned()]).collect()
    }

    /// Somebody signs in on the provider's page at `location`.
    pub(crate) fn signed_in(&self, location: &Url, subject: &str, email: &str) -> OidcAnswer {
        let query: HashMap<_, _> = location.query_pairs().into_owned().collect();
        let mut state = self.state.lock().unwrap();
        let code = format!("code-{}-{subject}-Xk7Wq2", state.given.len());
        let grant = Grant {
            subject: subject.to_owned(),
            email: email.to_owned(),
            nonce: query["nonce"].clone(),
            challenge: query["code_challenge"].clone(),
        };
        state.grants.insert(code.clone(), grant);
        state.given.push(code.clone());
        OidcAnswer::new(query["state"].clone(), Some(Secret::new(code)), None)
    }

    fn answer(&self, request: &OidcRequest) -> (u16, Value) {
        let mut state = self.state.lock().unwrap();
        match request.uri().path() {
            "/.well-known/openid-configuration" => (200, state.metadata.clone()),
            "/jwks" => (200, json!({"keys": [public_key(state.key)]})),
            "/userinfo" => self.user_info(&state, request),
            "/token" => self.token(&mut state, request),
            path => panic!("the provider has no {path}"),
        }
    }

    fn user_info(&self, state: &State, request: &OidcRequest) -> (u16, Value) {
        let bearer = request.headers()["authorization"].to_str().unwrap();
        let person = bearer.strip_prefix("Bearer ").and_then(|token| state.people.get(token));
        let Some((subject, email)) = person else { return (401, json!({"error": "invalid_token"})) };
        let subject = if state.lie == Some(Lie::UserInfo) { "admin" } else { subject };
        let is_verified = state.verifies_addresses;
        (200, json!({"sub": subject, "email": email, "email_verified": is_verified, "name": "Ada Lovelace"}))
    }

    fn token(&self, state: &mut State, request: &OidcRequest) -> (u16, Value) {
        let form: HashMap<_, _> = url::form_urlencoded::parse(request.body()).into_owned().collect();
        let basic = request.headers()["authorization"].to_str().unwrap().to_owned();
        assert!(basic.starts_with("Basic "), "{basic}");
        let refused = (400, json!({"error": "invalid_grant", "error_description": "no code of mine"}));
        let Some(grant) = form.get("code").and_then(|code| state.grants.remove(code)) else { return refused };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
        if challenge != grant.challenge {
            return refused;
        }
        let access_token = format!("at-{}-Rm4Tz9", state.given.len());
        let id_token = self.id_token(state, &grant);
        let person = (grant.subject.clone(), grant.email.clone());
        state.people.insert(access_token.clone(), person);
        state.given.extend([access_token.clone(), id_token.clone()]);
        let mut answer = json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 60});
        if state.lie != Some(Lie::NoToken) {
            answer["id_token"] = id_token.into();
        }
        (200, answer)
    }

    fn id_token(&self, state: &State, grant: &Grant) -> String {
        let now = self.clock.now().0 / 1_000_000;
        let mut claims = json!({
            "iss": self.issuer, "aud": "aimate", "sub": grant.subject, "iat": now, "exp": now + 300,
            "nonce": grant.nonce, "email": grant.email, "email_verified": state.verifies_addresses,
            "name": "Ada Lovelace",
        });
        let mut header = json!({"alg": "EdDSA", "kid": format!("key-{}", state.key)});
        match state.lie {
            Some(Lie::Nonce) => claims["nonce"] = "another".into(),
            Some(Lie::NoNonce) => drop(claims.as_object_mut().unwrap().remove("nonce")),
            Some(Lie::Audience) => claims["aud"] = "somebody".into(),
            Some(Lie::SecondAudience) => claims["aud"] = json!(["aimate", "somebody"]),
            Some(Lie::Issuer) => claims["iss"] = "https://login.evil.example".into(),
            Some(Lie::Expired) => claims["exp"] = (now - 1).into(),
            Some(Lie::Old) => claims["iat"] = (now - 3_600).into(),
            Some(Lie::Early) => claims["iat"] = (now + 3_600).into(),
            Some(Lie::NoAlgorithm) => header["alg"] = "none".into(),
            Some(Lie::SharedSecret | Lie::PublicKeyAsSecret) => header = json!({"alg": "HS256"}),
            Some(Lie::UserInfo) => claims["email"] = Value::Null,
            Some(Lie::AccessToken) => claims["at_hash"] = URL_SAFE_NO_PAD.encode([7; 32]).into(),
            _ => {}
        }
        if !state.shows_addresses {
            claims["email"] = Value::Null;
        }
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = match state.lie {
            Some(Lie::NoAlgorithm) => Vec::new(),
            Some(Lie::SharedSecret) => hmac(CLIENT_SECRET.as_bytes(), &signed),
            Some(Lie::PublicKeyAsSecret) => {
                let x = public_key(state.key)["x"].as_str().unwrap().to_owned();
                hmac(&URL_SAFE_NO_PAD.decode(x).unwrap(), &signed)
            }
            Some(Lie::ForeignKey) => signature(2, &signed),
            _ => signature(state.key, &signed),
        };
        let signature = URL_SAFE_NO_PAD.encode(signature);
        if state.lie == Some(Lie::Changed) {
            claims["sub"] = "admin".into();
        }
        format!("{}.{}.{signature}", encoded(&header), encoded(&claims))
    }
}

#[async_trait]
impl OidcClient for Provider {
    async fn send(&self, request: OidcRequest, source: AddressSource) -> Result<OidcResponse> {
        let asked = (request.uri().to_string(), source == AddressSource::Operator);
        self.state.lock().unwrap().asked.push(asked);
        let (status, body) = self.answer(&request);
        openidconnect::http::Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|_| Error::internal("no answer"))
    }
}

fn key(n: usize) -> CoreEdDsaPrivateSigningKey {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", KEYS[n]);
    // The foreign key goes by the name of the provider's own.
    let id = if n == 2 { 0 } else { n };
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(format!("key-{id}")))).unwrap()
}

fn public_key(n: usize) -> Value {
    serde_json::to_value(key(n).as_verification_key()).unwrap()
}

fn signature(n: usize, text: &str) -> Vec<u8> {
    key(n).sign(&CoreJwsSigningAlgorithm::EdDsa, text.as_bytes()).unwrap()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
