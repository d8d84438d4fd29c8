//! Connections: configured model servers and their sealed keys.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{ConnectionId, WorkspaceId};
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::profile::{AddressRule, ProviderId, ProviderProfile};
use crate::scope::Scope;
use crate::sealing::Sealed;
use crate::secret::Secret;
use crate::text::names;
use crate::workspace::check_owner;

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

/// The name of the field for the tokens of an answer at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`, which most servers know.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI wants for models that reason.
    MaxCompletionTokens,
}

/// Fine-tuning of a connection; every field has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionSettings {
    /// Tokens of the context window to ask for, where the server takes that, and
    /// to fit prompts to. Default: what the model list says, else what is known of
    /// the model's family; where nothing is known, prompts are not cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// Milliseconds to wait for the connection to be made. Default 5,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// Milliseconds that a server may be silent before the first content of an
    /// answer, or load a model. Default: what the process is told, else 300,000, and
    /// 1,800,000 for a server on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_timeout_ms: Option<u64>,
    /// Milliseconds without a byte after which a stream counts as broken, once its
    /// content has begun. Default: as for `first_byte_timeout_ms`.
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
    /// The name of the field for the tokens of an answer at most. Default: the
    /// caller's, else the one that the server is known or has shown to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens_field: Option<MaxTokensField>,
    /// Whether to ask for the usage of a stream with `stream_options`. Default:
    /// yes, unless the server has refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<bool>,
    /// The proxy to the server, such as `http://proxy.example.org:3128`; empty for
    /// none. Default: the one that the process is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The server's own ids of models that are told of tools in the prompt, because the
    /// server knows no tool calls for them; `*` for all. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools_by_prompt: Vec<String>,
    /// How long Ollama keeps the model loaded, such as `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<String>,
}

impl ConnectionSettings {
    /// Milliseconds of a timeout at most: a day.
    const MAX_TIMEOUT: u64 = 24 * 3_600_000;
    /// Retries at most.
    const MAX_RETRIES: u32 = 10;
    /// Models in a list of them at most.
    const MAX_MODELS: usize = 100;
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
        if self.tools_by_prompt.len() > Self::MAX_MODELS {
            let (path, most) = ("settings.tools_by_prompt", Self::MAX_MODELS);
            return Err(Error::field(path, format!("names more than {most} models; `*` is all of them")));
        }
        for model in &self.tools_by_prompt {
            limit::name("settings.tools_by_prompt", model, limit::MODEL)?;
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

/// A configured model server, as it is stored: of one user, of a workspace, or shared by
/// the tenant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The name that model ids begin with; unique among those of its owner. Of several
    /// that a user sees, their own comes first, then one of a workspace, then the shared one.
    pub name: String,
    /// The provider that speaks to it.
    pub provider: ProviderId,
    /// The server's address, where its provider wants one.
    pub url: Option<String>,
    /// Whether a key is kept for it.
    pub has_key: bool,
    /// The last four characters of the key.
    pub key_hint: Option<String>,
    /// The key, sealed; never leaves the process.
    #[serde(skip)]
    pub sealed_key: Option<Sealed>,
    /// Whether its models are offered.
    pub is_enabled: bool,
    /// Whether all users of the tenant see it; only an admin changes it then.
    pub is_shared: bool,
    /// The workspace whose editors and owners use it; its owners alone change it.
    pub workspace_id: Option<WorkspaceId>,
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
    /// Whether all users of the tenant see and use it, key included, and only an admin
    /// changes it; default false. Only an admin may ask for that.
    #[serde(default)]
    pub shared: bool,
    /// The workspace whose editors and owners use it, key included; the user is an owner
    /// there. It stays with the workspace, and goes with it.
    #[serde(default)]
    pub workspace_id: Option<WorkspaceId>,
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
            shared: false,
            workspace_id: None,
            settings: ConnectionSettings::default(),
        }
    }

    /// For all users of the tenant.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// For the editors and owners of this workspace.
    #[must_use]
    pub fn workspace(mut self, id: WorkspaceId) -> Self {
        self.workspace_id = Some(id);
        self
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
        check_owner(self.shared, self.workspace_id)?;
        let api_key = clean_key(self.api_key)?.filter(|key| !key.expose().is_empty());
        self.settings.check()?;
        let url = validated_url(&profile.address, self.url.as_deref())?;
        check_settings(&self.settings)?;
        Ok(Self { url, api_key, ..self })
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

/// The key as its server means it: without what is pasted along with it, such as
/// `Bearer `, quotation marks and white space.
///
/// # Errors
/// `Invalid` if it cannot be sent in a header.
pub(crate) fn clean_key(key: Option<Secret>) -> Result<Option<Secret>> {
    let Some(key) = key else { return Ok(None) };
    let pasted = key.expose().trim().trim_matches(['"', '\'', '`']).trim();
    let bare = ["authorization:", "bearer "].into_iter().fold(pasted, |text, prefix| {
        let is_there = text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        text.get(prefix.len()..).filter(|_| is_there).unwrap_or(text).trim()
    });
    let key = Secret::new(bare);
    check_key(&key)?;
    Ok(Some(key))
}

/// What of the settings is not plain from their types.
pub(crate) fn check_settings(settings: &ConnectionSettings) -> Result<()> {
    let Some(proxy) = settings.proxy.as_deref().filter(|proxy| !proxy.is_empty()) else { return Ok(()) };
    let wrong = |why: &str| Err(Error::field("settings.proxy", why));
    match url::Url::parse(proxy) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            wrong("has credentials in it, which settings do not keep; name a proxy that needs none")
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => Ok(()),
        _ => wrong("is not an address such as `http://proxy.example.org:3128`"),
    }
}

/// A key can be sent in a header.
fn check_key(key: &Secret) -> Result<()> {
    let wrong = |why: &str| Err(Error::field("api_key", why));
    let text = key.expose();
    if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return wrong("has characters that no key has; copy it again without line breaks");
    }
    if text.contains(' ') {
        return wrong("has spaces within it; copy it again");
    }
    if text.len() > 4096 {
        return wrong("is longer than 4096 characters");
    }
    Ok(())
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
    let url = parsed.as_str().trim_end_matches('/');
    // The address of one call, copied out of an example.
    let base = CALLS.into_iter().find_map(|call| url.strip_suffix(call)).unwrap_or(url);
    Ok(Some(base.trim_end_matches('/').to_owned()))
}

/// What the addresses of calls end in, after the address of the server.
const CALLS: [&str; 7] = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/responses",
    "/models",
    "/api/chat",
    "/api/generate",
];

/// The origin (scheme, host, port) that a key is bound to.
pub(crate) fn origin(url: Option<&str>) -> String {
    url.and_then(|url| url::Url::parse(url).ok())
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default()
}

/// Where connections are kept. A user sees their own, the tenant's shared ones, and
/// those of the workspaces that they are an editor or owner of; they change their own and
/// those of workspaces that they own. An admin changes the shared ones too, and what else
/// the admin sees: so the engine notes how a server answered to whoever asked it. What the
/// scope may not see or not change is `NotFound`; to who sees it in a workspace, a change
/// is `Forbidden`.
#[async_trait]
pub trait ConnectionStore: Send + Sync {
    /// Stores a new connection, of the user, of a workspace or (`is_shared`) of the tenant.
    /// `Conflict` if the id or, among the same owner's, the name is taken; `NotFound` if the
    /// user is not in the workspace, `Forbidden` if they are no owner there.
    async fn create(&self, scope: &Scope, connection: &Connection) -> Result<()>;
    /// The connection with this id.
    async fn get(&self, scope: &Scope, id: ConnectionId) -> Result<Connection>;
    /// What the user sees, by name and then id; the cursor is the id alone.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Connection>>;
    /// Replaces the stored connection with `connection` if its `updated_at` is still that of
    /// `read`, the same connection as it was read. A sealed key that is the same in both
    /// leaves the stored one as it is: it may have been resealed meanwhile. `NotFound` if
    /// absent, `Conflict` if it changed since or the name is taken.
    async fn update(&self, scope: &Scope, read: &Connection, connection: &Connection) -> Result<()>;
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
    fn address_of_a_call_becomes_that_of_its_server() {
        for (given, kept) in [
            ("http://h:1/v1/chat/completions", "http://h:1/v1"),
            ("http://h:1/v1/chat/completions/", "http://h:1/v1"),
            ("http://h:1/v1/models", "http://h:1/v1"),
            ("http://h:11434/api/chat", "http://h:11434"),
            ("http://h:1/v1", "http://h:1/v1"),
        ] {
            assert_eq!(validated_url(&AddressRule::Optional, Some(given)).unwrap().as_deref(), Some(kept));
        }
    }

    #[test]
    fn pasted_key_is_cleaned() {
        for pasted in
            [" sk-1\n", "Bearer sk-1", "bearer  sk-1 ", "\"sk-1\"", "Authorization: Bearer sk-1", "sk-1"]
        {
            assert_eq!(clean_key(Some(Secret::new(pasted))).unwrap().unwrap().expose(), "sk-1", "{pasted}");
        }
        for wrong in ["sk 1", "sk-\u{2026}", "sk-\n1"] {
            assert!(clean_key(Some(Secret::new(wrong))).is_err(), "{wrong}");
        }
        assert_eq!(clean_key(Some(Secret::new(" "))).unwrap().unwrap().expose(), "");
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
