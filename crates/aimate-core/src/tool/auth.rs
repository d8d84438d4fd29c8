//! How a tool server is authorized.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::client::OAuthClient;
use crate::connection::clean_key;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::text::names;

/// Headers at most that are kept for a server.
const MAX_HEADERS: usize = 20;
/// Bytes of a header's value at most.
const MAX_VALUE: usize = 4_096;

/// How a tool server is authorized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolAuthType {
    /// By nothing.
    #[default]
    None,
    /// By a token in the header `Authorization`.
    Bearer,
    /// By headers.
    Headers,
    /// By a login of each user at the server (OAuth 2.1).
    Oauth,
}

names! {
    ToolAuthType { None = "none", Bearer = "bearer", Headers = "headers", Oauth = "oauth" }
}

/// What a tool server is authorized with.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct ToolAuthConfig {
    /// With `bearer`: the token.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, write_only))]
    pub token: Option<Secret>,
    /// With `oauth`, where the server's authorization server knows the application already: its
    /// id there. Else it registers itself.
    #[serde(default)]
    pub client_id: Option<String>,
    /// With `client_id`: the secret that goes with it, if one does.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, write_only))]
    pub client_secret: Option<Secret>,
    /// With `headers`: the headers.
    #[serde(default, deserialize_with = "object")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, String>, write_only))]
    pub headers: BTreeMap<String, Secret>,
}

impl<'de> Deserialize<'de> for ToolAuthConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Whole(ToolAuthConfig);
        impl<'de> Deserialize<'de> for Whole {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                // The derived one, which the name stands for here.
                ToolAuthConfig::deserialize(deserializer).map(Whole)
            }
        }
        object::<D, Whole>(deserializer).map(|whole| whole.0)
    }
}

/// An object. Of a text in its place, which may be a secret, the error says nothing.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_str<E: serde::de::Error>(self, _: &str) -> std::result::Result<T, E> {
            Err(E::custom("is a text; it must be an object"))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(Object(PhantomData))
}

impl ToolAuthConfig {
    /// A token.
    pub fn bearer(token: Secret) -> Self {
        Self { token: Some(token), ..Self::default() }
    }

    /// The application as the authorization server knows it.
    pub fn oauth_client(id: impl Into<String>, secret: Option<Secret>) -> Self {
        Self { client_id: Some(id.into()), client_secret: secret, ..Self::default() }
    }

    /// Headers.
    pub fn headers(headers: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self { headers: headers.into_iter().collect(), ..Self::default() }
    }
}

impl ToolAuthType {
    /// Checks that `config` is one of this way.
    ///
    /// # Errors
    /// `Invalid` if something is missing or cannot be sent.
    pub(crate) fn check(self, config: Option<&ToolAuthConfig>) -> Result<()> {
        self.sent(config).map(drop)
    }

    /// The headers that this way sends, or what it knows of the application; `None` if it keeps
    /// none.
    ///
    /// # Errors
    /// As for [`ToolAuthType::check`].
    pub(crate) fn sent(self, config: Option<&ToolAuthConfig>) -> Result<Option<BTreeMap<String, Secret>>> {
        let nothing = ToolAuthConfig::default();
        let config = config.unwrap_or(&nothing);
        let wrong = |path: &str, why: &str| Err(Error::field(format!("auth_config.{path}"), why));
        if config.token.is_some() && self != Self::Bearer {
            return wrong("token", "is for `auth_type` `bearer`");
        }
        if !config.headers.is_empty() && self != Self::Headers {
            return wrong("headers", "are for `auth_type` `headers`");
        }
        if (config.client_id.is_some() || config.client_secret.is_some()) && self != Self::Oauth {
            return wrong("client_id", "is for `auth_type` `oauth`");
        }
        match self {
            Self::None => Ok(None),
            Self::Oauth => oauth_client(config),
            Self::Bearer => {
                let token = clean_key(config.token.clone())
                    .map_err(|_| Error::field("auth_config.token", "has characters that no token has"))?;
                let Some(token) = token.filter(|token| !token.expose().is_empty()) else {
                    return wrong("token", "is missing; with `auth_type` `bearer` it is the server's token");
                };
                let value = Secret::new(format!("Bearer {}", token.expose()));
                Ok(Some(BTreeMap::from([("authorization".to_owned(), value)])))
            }
            Self::Headers => {
                if config.headers.is_empty() {
                    return wrong(
                        "headers",
                        "are missing; with `auth_type` `headers` they are a name each with its value",
                    );
                }
                if config.headers.len() > MAX_HEADERS {
                    return wrong("headers", &format!("are more than {MAX_HEADERS}"));
                }
                config
                    .headers
                    .iter()
                    .map(|(name, value)| header(name, value))
                    .collect::<Result<_>>()
                    .map(Some)
            }
        }
    }
}

const CLIENT_ID: &str = "client_id";
const CLIENT_SECRET: &str = "client_secret";

/// What is kept of an application that an authorization server knows.
fn oauth_client(config: &ToolAuthConfig) -> Result<Option<BTreeMap<String, Secret>>> {
    let wrong = |path: &str, why: &str| Err(Error::field(format!("auth_config.{path}"), why));
    let fits = |text: &str| (1..=MAX_VALUE).contains(&text.len()) && !text.chars().any(char::is_control);
    let Some(id) = &config.client_id else {
        return match config.client_secret {
            Some(_) => wrong(CLIENT_SECRET, "goes with a `client_id`"),
            None => Ok(None),
        };
    };
    if !fits(id) {
        return wrong(CLIENT_ID, "is empty, too long, or has control characters");
    }
    let mut kept = BTreeMap::from([(CLIENT_ID.to_owned(), Secret::new(id.as_str()))]);
    if let Some(secret) = &config.client_secret {
        if !fits(secret.expose()) {
            return wrong(CLIENT_SECRET, "is empty, too long, or has control characters");
        }
        kept.insert(CLIENT_SECRET.to_owned(), secret.clone());
    }
    Ok(Some(kept))
}

/// The application as an authorization server knows it, of what [`ToolAuthType::sent`] gave.
pub(crate) fn client_of(mut kept: BTreeMap<String, Secret>) -> Option<OAuthClient> {
    let id = kept.remove(CLIENT_ID)?.expose().to_owned();
    Some(OAuthClient { id, secret: kept.remove(CLIENT_SECRET) })
}

/// Headers that are the client's, by which another would change what a request is.
const RESERVED: [&str; 15] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header as it is sent: its name in small letters, without white space around its value.
fn header(name: &str, value: &Secret) -> Result<(String, Secret)> {
    let path = format!("auth_config.headers.{}", name.chars().take(100).collect::<String>());
    let wrong = |why: &str| Err(Error::field(path.as_str(), why));
    let lower = name.to_ascii_lowercase();
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if lower.is_empty() || lower.len() > 100 || !lower.chars().all(is_token) {
        return wrong("is no name of a header");
    }
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("mcp-") || lower.starts_with("proxy-") {
        return wrong("is a header of the protocol, which the client sets itself");
    }
    let text = value.expose().trim();
    if text.is_empty()
        || text.len() > MAX_VALUE
        || text.chars().any(|c| !c.is_ascii() || c.is_ascii_control())
    {
        return wrong("has no value that can be sent: 1 to 4096 printable ASCII characters");
    }
    Ok((lower, Secret::new(text)))
}

/// Headers as they are sealed.
///
/// # Errors
/// `Internal` if they cannot be written.
pub(crate) fn written(headers: &BTreeMap<String, Secret>) -> Result<Secret> {
    let plain: BTreeMap<&str, &str> =
        headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    let failed = |error| Error::internal("headers could not be written").with_source(error);
    serde_json::to_string(&plain).map(Secret::new).map_err(failed)
}

/// What [`written`] wrote.
///
/// # Errors
/// `Internal` if it is something else.
pub(crate) fn read(sealed: &Secret) -> Result<BTreeMap<String, Secret>> {
    // The cause would quote a secret.
    serde_json::from_str(sealed.expose()).map_err(|_| Error::internal("stored headers cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: &str) -> Result<Option<BTreeMap<String, Secret>>> {
        let config = ToolAuthConfig::headers([(name.to_owned(), Secret::new(value))]);
        ToolAuthType::Headers.sent(Some(&config))
    }

    #[test]
    fn token_is_sent_as_bearer() {
        let config = ToolAuthConfig::bearer(Secret::new("Bearer abc\n"));
        let sent = ToolAuthType::Bearer.sent(Some(&config)).unwrap().unwrap();
        assert_eq!(sent["authorization"].expose(), "Bearer abc");
        let again = read(&written(&sent).unwrap()).unwrap();
        assert_eq!(again["authorization"].expose(), "Bearer abc");
        assert!(ToolAuthType::Bearer.sent(None).is_err());
        assert!(ToolAuthType::None.sent(Some(&config)).is_err());
        assert!(ToolAuthType::Oauth.sent(Some(&config)).is_err());
    }

    #[test]
    fn application_that_is_known_is_kept() {
        let config = ToolAuthConfig::oauth_client("me", Some(Secret::new("s3cret")));
        let kept = ToolAuthType::Oauth.sent(Some(&config)).unwrap().unwrap();
        let client = client_of(read(&written(&kept).unwrap()).unwrap()).unwrap();
        assert_eq!((client.id.as_str(), client.secret.unwrap().expose()), ("me", "s3cret"));
        assert!(ToolAuthType::Oauth.sent(None).unwrap().is_none());
        assert!(ToolAuthType::Bearer.sent(Some(&config)).is_err());
        let without = ToolAuthConfig { client_id: None, ..config };
        assert!(ToolAuthType::Oauth.sent(Some(&without)).is_err());
    }

    #[test]
    fn text_in_place_of_an_object_is_not_quoted() {
        use serde_json::{from_value, json};
        for wrong in [json!("tok-canary"), json!({"headers": "tok-canary"}), json!({"token": ["tok-canary"]})]
        {
            let error = from_value::<ToolAuthConfig>(wrong.clone()).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{wrong}: {error}");
        }
        assert!(from_value::<ToolAuthConfig>(json!({"tokn": "x"})).is_err());
        let right = from_value::<ToolAuthConfig>(json!({"headers": {"a": "b"}})).unwrap();
        assert_eq!(right.headers["a"].expose(), "b");
    }

    #[test]
    fn headers_cannot_change_what_a_request_is() {
        let sent = headers("X-Api-Key", " k ").unwrap().unwrap();
        assert_eq!(sent["x-api-key"].expose(), "k");
        for name in
            ["Host", "content-length", "Mcp-Session-Id", "Transfer-Encoding", "a b", "a\r\nb", "", "é"]
        {
            assert!(headers(name, "k").is_err(), "{name}");
        }
        for value in ["", "a\r\nb: c", "é", "a\0b"] {
            assert!(headers("x-api-key", value).is_err(), "{value}");
        }
    }

    #[test]
    fn sec_t08_token_is_no_template() {
        let sent = headers("x-api-key", "${ENCRYPTION_KEY}").unwrap().unwrap();
        assert_eq!(sent["x-api-key"].expose(), "${ENCRYPTION_KEY}");
    }
}
