//! Under which name a provider is registered, and what the engine has to know of
//! it without asking it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::Capability;
use crate::text::shorten;

/// The name under which a provider is registered, such as `openai`: 1 to 64 of
/// `a`–`z`, `0`–`9`, `-` and `_`.
///
/// The set of names is open: a connection names whatever provider the engine was
/// built with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, example = "openai"))]
#[serde(try_from = "String", into = "String")]
pub struct ProviderId(Cow<'static, str>);

impl ProviderId {
    /// A name that is known when the program is compiled. It is checked when an
    /// engine is built with it.
    pub const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks the form of the name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    pub fn check(&self) -> Result<()> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if (1..=64).contains(&self.0.len()) && self.0.bytes().all(is_allowed) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "`{}` is no name of a provider; it is 1 to 64 of `a` to `z`, `0` to `9`, `-` and `_`",
            shorten(&self.0, 64)
        )))
    }
}

impl From<&'static str> for ProviderId {
    fn from(name: &'static str) -> Self {
        Self::from_static(name)
    }
}

impl From<ProviderId> for String {
    fn from(id: ProviderId) -> Self {
        id.0.into_owned()
    }
}

impl TryFrom<String> for ProviderId {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        let id = Self(Cow::Owned(name));
        id.check().map(|()| id)
    }
}

impl FromStr for ProviderId {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        name.to_owned().try_into()
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who gave an address that is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressSource {
    /// The operator: the program, its settings or its environment.
    Operator,
    /// Somebody else: what a user or a tenant's admin stored, or a page led to.
    #[default]
    Untrusted,
}

/// Whether connections of a provider have an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressRule {
    /// They have none; one that is given is dropped.
    Unused,
    /// They may have one.
    #[default]
    Optional,
    /// Each has one.
    Required,
    /// Each has one: this one where none is given.
    Default(Cow<'static, str>),
}

/// What the engine has to know of a provider without asking it. Every field has
/// a default that suits a provider of one's own.
///
/// ```
/// use aimate_core::provider::ProviderProfile;
/// let profile = ProviderProfile::new().default_url("http://127.0.0.1:8080/v1").max_window(8_192);
/// # let _ = profile;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderProfile {
    /// Whether its connections have an address. Default: they may.
    pub address: AddressRule,
    /// Whether the server at the default address answers nobody without a key: a
    /// call without one fails before it is sent. Default: no.
    pub needs_key: bool,
    /// Tokens of a model's context window where neither the connection nor the
    /// server's list gives it. Default: what is known of the model's family,
    /// else 8,192.
    pub default_window: Option<u32>,
    /// Tokens of a context window at most, where the connection does not set it.
    /// Default: what the server lists.
    pub max_window: Option<u32>,
    /// What its models can do where the server's list does not say. Default:
    /// not known.
    pub capabilities: Vec<Capability>,
    /// The end of a listed model's name that callers may leave out, such as
    /// `:latest`. Default: none.
    pub optional_suffix: Option<Cow<'static, str>>,
    /// Whether it stands in where there is no model. It answers only where the
    /// application or a user has connected it, comes after all other models, and,
    /// having nothing else to answer from, gets passages of all collections unless a
    /// turn says otherwise. Default: no.
    pub is_fallback: bool,
}

impl ProviderProfile {
    /// A profile with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this rule for addresses.
    #[must_use]
    pub fn address(mut self, rule: AddressRule) -> Self {
        self.address = rule;
        self
    }

    /// With this address for connections that name none.
    #[must_use]
    pub fn default_url(self, url: impl Into<Cow<'static, str>>) -> Self {
        self.address(AddressRule::Default(url.into()))
    }

    /// Whose server at the default address answers nobody without a key.
    #[must_use]
    pub fn needs_key(mut self) -> Self {
        self.needs_key = true;
        self
    }

    /// With this context window where nothing else is known.
    #[must_use]
    pub fn default_window(mut self, tokens: u32) -> Self {
        self.default_window = Some(tokens);
        self
    }

    /// With this largest context window.
    #[must_use]
    pub fn max_window(mut self, tokens: u32) -> Self {
        self.max_window = Some(tokens);
        self
    }

    /// Whose models can do this where the server's list does not say.
    #[must_use]
    pub fn capabilities(mut self, capabilities: impl IntoIterator<Item = Capability>) -> Self {
        self.capabilities = capabilities.into_iter().collect();
        self
    }

    /// Whose models' names may be given without this end.
    #[must_use]
    pub fn optional_suffix(mut self, suffix: impl Into<Cow<'static, str>>) -> Self {
        self.optional_suffix = Some(suffix.into());
        self
    }

    /// That stands in where there is no model.
    #[must_use]
    pub fn fallback(mut self) -> Self {
        self.is_fallback = true;
        self
    }

    /// Tokens of a model's context window: what `listed` says, else the default
    /// of this profile, else what is `known` of the model's family; at most the
    /// largest one of this profile.
    pub(crate) fn window(&self, listed: Option<u32>, known: Option<u32>) -> Option<u32> {
        let window = listed.or(self.default_window).or(known)?;
        Some(self.max_window.map_or(window, |max| window.min(max)))
    }

    /// Whether `name` means the model that the server lists as `listed`.
    pub(crate) fn is_name_of(&self, name: &str, listed: &str) -> bool {
        name == listed
            || self.optional_suffix.as_deref().is_some_and(|suffix| listed.strip_suffix(suffix) == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_provider_is_short_and_plain() {
        for good in ["openai", "my-server_2"] {
            assert_eq!(good.parse::<ProviderId>().unwrap().as_str(), good);
        }
        for bad in ["", "OpenAI", "a b", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<ProviderId>().is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&ProviderId::from_static("openai")).unwrap(), r#""openai""#);
    }

    #[test]
    fn window_is_the_listed_one_within_the_largest() {
        let plain = ProviderProfile::new();
        assert_eq!(plain.window(Some(4), Some(9)), Some(4));
        assert_eq!(plain.window(None, Some(9)), Some(9));
        assert_eq!(plain.window(None, None), None);
        let careful = ProviderProfile::new().default_window(8).max_window(8);
        assert_eq!(careful.window(Some(100), None), Some(8));
        assert_eq!(careful.window(Some(4), None), Some(4));
        assert_eq!(careful.window(None, Some(100)), Some(8));
    }

    #[test]
    fn suffix_may_be_left_out_alone() {
        let profile = ProviderProfile::new().optional_suffix(":latest");
        assert!(profile.is_name_of("llama3.2", "llama3.2:latest"));
        assert!(profile.is_name_of("llama3.2:latest", "llama3.2:latest"));
        assert!(!profile.is_name_of("llama3.2", "llama3.2:1b"));
        assert!(!ProviderProfile::new().is_name_of("llama3.2", "llama3.2:latest"));
    }
}
