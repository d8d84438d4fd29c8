//! Connections: configured model servers and their sealed keys.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::ConnectionId;
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::profile::{AddressRule, ProviderId, ProviderProfile};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::text::names;

/// How the last contact with a connection's server went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// Never contacted.
    #[default]
    Unknown,
    /// It answered.
    Ok,
    /// It did not answer, or not sensibly.
    Unreachable,
    /// It refused the key, or this process cannot use the key that the connection
    /// has.
    NeedsKey,
}

names! {
    ConnectionStatus {
        Unknown = "unknown", Ok = "ok", Unreachable = "unreachable", NeedsKey = "needs_key",
    }
}

/// Fine-tuning of a connection; every field has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionSettings {
    /// Tokens of the context window to ask for and to fit prompts to, where the
    /// server does not say; also asked for where the server
    /// takes that. Default: what the model list says, else 8192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// Milliseconds to wait for the connection to be made. Default 5,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Milliseconds to wait for the first byte of an answer. Default 300,000
    /// (a local model may have to be loaded first).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_timeout_ms: Option<u64>,
    /// Milliseconds without a byte after which a stream counts as broken.
    /// Default 60,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// How often a call is tried again before its first token. Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// OpenAI's `OpenAI-Organization` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Whether to send a message of text alone as a string instead of a list of
    /// parts, for servers that refuse lists. Default: a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_as_parts: Option<bool>,
    /// How long Ollama keeps the model loaded, such as `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<String>,
}

impl ConnectionSettings {
    /// Milliseconds of a timeout at most: a day.
    const MAX_TIMEOUT: u64 = 24 * 3_600_000;
    /// Retries at most.
    const MAX_RETRIES: u32 = 10;
    /// Tokens of a context window at most.
    const MAX_WINDOW: u32 = 100_000_000;

    /// Checks the limits of every field.
    pub(crate) fn check(&self) -> Result<()> {
        within("context_window", self.context_window.map(u64::from), 1, Self::MAX_WINDOW.into())?;
        within("retries", self.retries.map(u64::from), 0, Self::MAX_RETRIES.into())?;
        for (name, timeout) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("first_byte_timeout_ms", self.first_byte_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
        ] {
            within(name, timeout, 1, Self::MAX_TIMEOUT)?;
        }
        for (name, text) in [("organization", &self.organization), ("keep_alive", &self.keep_alive)] {
            let Some(text) = text else { continue };
            let path = format!("settings.{name}");
            limit::text(&path, text, limit::NAME)?;
            if text.chars().any(char::is_control) {
                return Err(Error::field(path, "has a control character"));
            }
        }
        Ok(())
    }
}

fn within(name: &str, value: Option<u64>, least: u64, most: u64) -> Result<()> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(Error::field(format!("settings.{name}"), format!("is {value}; it must be {least} to {most}")))
        }
        _ => Ok(()),
    }
}

/// A configured model server, as it is stored: of one user, or shared by the
/// tenant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The name that model ids begin with; unique among what a user sees.
    pub name: String,
    /// The provider that speaks to it.
    pub provider: ProviderId,
    /// The server's address, where its provider wants one.
    pub url: Option<String>,
    /// Whether a key is kept for it.
    pub has_key: bool,
    /// The last four characters of the key.
    pub key_hint: Option<String>,
    /// The key, sealed (see [`KeyRing`](crate::KeyRing)); never leaves the process.
    #[serde(skip)]
    pub sealed_key: Option<Vec<u8>>,
    /// Whether its models are offered.
    pub is_enabled: bool,
    /// Whether all users of the tenant see it; only an admin changes it then.
    pub is_shared: bool,
    /// Fine-tuning.
    pub settings: ConnectionSettings,
    /// How the last contact went.
    pub status: ConnectionStatus,
    /// When its model list was last read well.
    pub models_fetched_at: Option<Timestamp>,
    /// Since when reading the model list has failed; the last good list stays.
    pub stale_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Parameters for creating a connection.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    /// The name that model ids begin with: 1 to 200 characters, no `/`.
    pub name: String,
    /// The provider that speaks to the server, by the name under which it is
    /// registered.
    pub provider: ProviderId,
    /// The server's address; default: the provider's own.
    #[serde(default)]
    pub url: Option<String>,
    /// The key; never comes back.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, write_only))]
    pub api_key: Option<Secret>,
    /// Whether its models are offered; default true.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Fine-tuning.
    #[serde(default)]
    pub settings: ConnectionSettings,
}

fn yes() -> bool {
    true
}

impl NewConnection {
    /// A connection with every default.
    pub fn new(name: impl Into<String>, provider: impl Into<ProviderId>) -> Self {
        Self {
            name: name.into(),
            provider: provider.into(),
            url: None,
            api_key: None,
            is_enabled: true,
            settings: ConnectionSettings::default(),
        }
    }

    /// With the server's address.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// With the key.
    #[must_use]
    pub fn api_key(mut self, key: Secret) -> Self {
        self.api_key = Some(key);
        self
    }

    /// Checks the limits of every field and completes the address as the
    /// provider's profile says.
    pub(crate) fn validated(self, profile: &ProviderProfile) -> Result<Self> {
        check_name(&self.name)?;
        check_key(self.api_key.as_ref())?;
        self.settings.check()?;
        let url = validated_url(&profile.address, self.url.as_deref())?;
        Ok(Self { url, ..self })
    }
}

/// What to change about a connection; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConnectionChange {
    /// The name that model ids begin with.
    pub name: Option<String>,
    /// The server's address. A new origin drops the key: send it again.
    pub url: Option<String>,
    /// The key; an empty one removes it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, write_only))]
    pub api_key: Option<Secret>,
    /// Whether its models are offered.
    pub is_enabled: Option<bool>,
    /// All fine-tuning, replaced as a whole.
    pub settings: Option<ConnectionSettings>,
}

/// A connection's name: 1 to 200 characters without `/`.
pub(crate) fn check_name(name: &str) -> Result<()> {
    limit::name("name", name, limit::NAME)?;
    if name.contains('/') || name.chars().any(char::is_control) {
        return Err(Error::field("name", "contains `/` or a control character; model ids are `NAME/MODEL`"));
    }
    Ok(())
}

/// A key can be sent in a header.
pub(crate) fn check_key(key: Option<&Secret>) -> Result<()> {
    match key {
        Some(key) if key.expose().chars().any(|c| c.is_control() || !c.is_ascii()) => {
            Err(Error::field("api_key", "has characters that no key has; copy it again without line breaks"))
        }
        Some(key) if key.expose().len() > 4096 => {
            Err(Error::field("api_key", "is longer than 4096 characters"))
        }
        _ => Ok(()),
    }
}

/// What an address is like where a provider has no default one.
const EXAMPLE_URL: &str = "https://models.example.org/v1";

/// `url`, or else the default one, if it is a plain http(s) address without
/// credentials, query or fragment; without a slash at the end. `None` where the
/// provider's connections have no address.
pub(crate) fn validated_url(rule: &AddressRule, url: Option<&str>) -> Result<Option<String>> {
    let given = url.map(str::trim).filter(|url| !url.is_empty());
    let (url, example) = match (rule, given) {
        (AddressRule::Unused, _) | (AddressRule::Optional, None) => return Ok(None),
        (AddressRule::Required, None) => {
            return Err(Error::field("url", format!("is missing; it is an address such as `{EXAMPLE_URL}`")));
        }
        (AddressRule::Default(default), given) => (given.unwrap_or(default), default.as_ref()),
        (_, Some(given)) => (given, EXAMPLE_URL),
    };
    let example = || format!("an address such as `{example}`");
    let parsed = url::Url::parse(url)
        .map_err(|error| Error::field("url", format!("is not {}: {error}", example())))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(Error::field("url", format!("is not {}", example())));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Error::field("url", "has credentials in it; send the key as `api_key`"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(Error::field("url", format!("has a query or fragment; it should be {}", example())));
    }
    Ok(Some(parsed.as_str().trim_end_matches('/').to_owned()))
}

/// The origin (scheme, host, port) that a key is bound to.
pub(crate) fn origin(url: Option<&str>) -> String {
    url.and_then(|url| url::Url::parse(url).ok())
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default()
}

/// Where connections are kept. A user sees their own and the tenant's shared
/// ones, and changes their own; an admin changes the shared ones too. What the
/// scope may not see or not change is `NotFound`.
#[async_trait]
pub trait ConnectionStore: Send + Sync {
    /// Stores a new connection, of the user or (`is_shared`) of the tenant.
    /// `Conflict` if the id or, among the same owner's, the name is taken.
    async fn create(&self, scope: &Scope, connection: &Connection) -> Result<()>;
    /// The connection with this id.
    async fn get(&self, scope: &Scope, id: ConnectionId) -> Result<Connection>;
    /// What the user sees, by name and then id; the cursor is the id alone.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Connection>>;
    /// Replaces the stored connection with `connection` (by its id) if its
    /// stored `updated_at` is still `read_at`. `NotFound` if absent, `Conflict`
    /// if it changed since or the name is taken.
    async fn update(&self, scope: &Scope, connection: &Connection, read_at: Timestamp) -> Result<()>;
    /// Deletes the connection and its models.
    async fn delete(&self, scope: &Scope, id: ConnectionId) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_says_whether_there_is_an_address() {
        let default = AddressRule::Default("http://localhost:1".into());
        assert_eq!(validated_url(&default, None).unwrap().as_deref(), Some("http://localhost:1"));
        assert_eq!(validated_url(&default, Some("http://a:2")).unwrap().as_deref(), Some("http://a:2"));
        assert_eq!(validated_url(&AddressRule::Unused, Some("ignored")).unwrap(), None);
        assert_eq!(validated_url(&AddressRule::Optional, Some(" ")).unwrap(), None);
        assert!(validated_url(&AddressRule::Required, None).is_err());
    }

    #[test]
    fn settings_have_limits() {
        let wrong = |settings: serde_json::Value| {
            let settings: ConnectionSettings = serde_json::from_value(settings).unwrap();
            settings.check().unwrap_err().fields()[0].path.clone()
        };
        assert_eq!(wrong(serde_json::json!({"retries": u32::MAX})), "settings.retries");
        assert_eq!(wrong(serde_json::json!({"idle_timeout_ms": 0})), "settings.idle_timeout_ms");
        assert_eq!(wrong(serde_json::json!({"connect_timeout_ms": u64::MAX})), "settings.connect_timeout_ms");
        assert_eq!(wrong(serde_json::json!({"context_window": 0})), "settings.context_window");
        assert_eq!(wrong(serde_json::json!({"organization": "x".repeat(20 << 20)})), "settings.organization");
        assert_eq!(wrong(serde_json::json!({"organization": "a\nb"})), "settings.organization");
        assert_eq!(wrong(serde_json::json!({"keep_alive": "x".repeat(201)})), "settings.keep_alive");
        let right = serde_json::json!({"retries": 0, "idle_timeout_ms": 1, "keep_alive": "-1", "organization": "org-1"});
        serde_json::from_value::<ConnectionSettings>(right).unwrap().check().unwrap();
    }

    #[test]
    fn slash_at_the_end_is_dropped() {
        let url = validated_url(&AddressRule::Optional, Some("http://localhost:11434/")).unwrap();
        assert_eq!(url.as_deref(), Some("http://localhost:11434"));
    }

    #[test]
    fn url_with_secrets_or_other_schemes_is_invalid() {
        for url in
            ["http://u:p@host/v1", "http://u@host", "file:///etc/passwd", "host:1", "http://h/?k=1", "x"]
        {
            assert!(validated_url(&AddressRule::Optional, Some(url)).is_err(), "{url}");
        }
    }

    #[test]
    fn origin_ignores_the_path() {
        assert_eq!(origin(Some("https://a.example/v1")), origin(Some("https://a.example:443/v2")));
        assert_ne!(origin(Some("https://a.example/v1")), origin(Some("http://a.example/v1")));
    }
}
