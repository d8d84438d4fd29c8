//! Tool servers that the operator configures: offered in every tenant, what they are
//! authorized with in memory alone. Only these may be child processes.

use std::collections::BTreeMap;

use super::super::Engine;
use crate::clock::Timestamp;
use crate::connection::check_name;
use crate::error::{Error, Result};
use crate::id::ToolServerId;
use crate::secret::Secret;
use crate::tool::{ToolAuthConfig, ToolAuthType, ToolPolicy, ToolServer, ToolServerStatus, checked_url};

/// A tool server that the application configures: every user of every tenant may use it. Give
/// it to [`EngineBuilder::tool_server`](crate::EngineBuilder::tool_server).
///
/// ```
/// use aimate_core::engine::ToolServerConfig;
/// use aimate_core::tool::ToolPolicy;
///
/// let files = ToolServerConfig::stdio("files", ["mcp-server-filesystem", "/srv/shared"])
///     .policy("read_file", ToolPolicy::Allow)
///     .default_policy(ToolPolicy::Ask);
/// # let _ = files;
/// ```
#[derive(Clone, Debug)]
pub struct ToolServerConfig {
    name: String,
    pub(super) access: ConfiguredAccess,
    policies: BTreeMap<String, ToolPolicy>,
    default_policy: Option<ToolPolicy>,
}

/// How a configured server is reached.
#[derive(Clone, Debug)]
pub(super) enum ConfiguredAccess {
    Http { url: String, auth_type: ToolAuthType, headers: BTreeMap<String, Secret> },
    Stdio { command: Vec<String>, environment: BTreeMap<String, Secret> },
}

impl ToolServerConfig {
    /// A server at an address, which is the operator's: it may be a private one.
    pub fn http(name: impl Into<String>, url: impl Into<String>) -> Self {
        let access = ConfiguredAccess::Http {
            url: url.into(),
            auth_type: ToolAuthType::None,
            headers: BTreeMap::new(),
        };
        Self::new(name.into(), access)
    }

    /// A child process: its program and arguments, which no shell reads. Its environment has the
    /// variables that are named, and no others.
    pub fn stdio(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self::new(name.into(), ConfiguredAccess::Stdio { command, environment: BTreeMap::new() })
    }

    fn new(name: String, access: ConfiguredAccess) -> Self {
        Self { name, access, policies: BTreeMap::new(), default_policy: None }
    }

    /// With a header in every request. Of a child process it means nothing.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Secret) -> Self {
        if let ConfiguredAccess::Http { auth_type, headers, .. } = &mut self.access {
            *auth_type = ToolAuthType::Headers;
            headers.insert(name.into(), value);
        }
        self
    }

    /// With a login of each user at the server (OAuth 2.1). Of a child process it means nothing.
    #[must_use]
    pub fn oauth(mut self) -> Self {
        if let ConfiguredAccess::Http { auth_type, .. } = &mut self.access {
            *auth_type = ToolAuthType::Oauth;
        }
        self
    }

    /// With a variable in the environment of the child process. Of a server at an address it means
    /// nothing.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: Secret) -> Self {
        if let ConfiguredAccess::Stdio { environment, .. } = &mut self.access {
            environment.insert(name.into(), value);
        }
        self
    }

    /// Whether calls of a tool are made, until an admin of the tenant says otherwise; nobody
    /// undoes [`ToolPolicy::Deny`].
    #[must_use]
    pub fn policy(mut self, tool: impl Into<String>, policy: ToolPolicy) -> Self {
        self.policies.insert(tool.into(), policy);
        self
    }

    /// The same for all tools that [`Self::policy`] does not name. Default: `Allow` for tools that
    /// say of themselves that they change nothing, `Ask` for others.
    #[must_use]
    pub fn default_policy(mut self, policy: ToolPolicy) -> Self {
        self.default_policy = Some(policy);
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has_auth(&self) -> bool {
        matches!(&self.access, ConfiguredAccess::Http { headers, .. } if !headers.is_empty())
    }

    /// What the operator says of a tool.
    pub(super) fn policy_of(&self, tool: &str) -> Option<ToolPolicy> {
        self.policies.get(tool).copied().or(self.default_policy)
    }

    /// The same with everything checked.
    ///
    /// # Errors
    /// `Invalid`, naming the server.
    pub(in crate::engine) fn validated(mut self) -> Result<Self> {
        let name = self.name.clone();
        let wrong = |why: &str| Error::invalid(format!("the configured tool server `{name}` {why}"));
        check_name(&self.name).map_err(|error| wrong(&format!("has a wrong name: {error}")))?;
        match &mut self.access {
            ConfiguredAccess::Http { url, auth_type, headers } => {
                *url = checked_url(url).map_err(|error| wrong(&format!("has a wrong address: {error}")))?;
                let config = ToolAuthConfig::headers(std::mem::take(headers));
                if *auth_type == ToolAuthType::Headers || !config.headers.is_empty() {
                    let sent = ToolAuthType::Headers.sent(Some(&config));
                    *headers = sent
                        .map_err(|error| wrong(&format!("has a wrong header: {error}")))?
                        .unwrap_or_default();
                }
            }
            ConfiguredAccess::Stdio { command, environment } => {
                if command.first().is_none_or(String::is_empty) {
                    return Err(wrong("has an empty command; the first is the program"));
                }
                let has_nul = |text: &str| text.contains('\0');
                let is_wrong = |(key, value): (&String, &Secret)| {
                    key.is_empty() || key.contains('=') || has_nul(key) || has_nul(value.expose())
                };
                if command.iter().any(|part| has_nul(part)) || environment.iter().any(is_wrong) {
                    return Err(wrong("has a command or variable that no process can be given"));
                }
            }
        }
        Ok(self)
    }

    /// The row that stands for it in a tenant.
    pub(super) fn row(&self, id: ToolServerId, now: Timestamp) -> ToolServer {
        let (url, auth_type) = match &self.access {
            ConfiguredAccess::Http { url, auth_type, .. } => (Some(url.clone()), *auth_type),
            ConfiguredAccess::Stdio { .. } => (None, ToolAuthType::None),
        };
        ToolServer {
            id,
            name: self.name.clone(),
            url,
            auth_type,
            has_auth: false,
            sealed_auth: None,
            is_enabled: true,
            is_shared: true,
            is_configured: true,
            workspace_id: None,
            status: ToolServerStatus::Unknown,
            error: None,
            server: None,
            tool_count: 0,
            tools_fetched_at: None,
            tools_expire_at: None,
            stale_since: None,
            created_at: now,
            updated_at: now,
        }
    }
}

impl Engine {
    /// What the operator configured for a server, if it is one of theirs, in this process.
    pub(super) fn configured_tool_server(&self, server: &ToolServer) -> Option<&ToolServerConfig> {
        let is_it = |one: &&ToolServerConfig| server.is_configured && one.name == server.name;
        self.inner.configured_tools.iter().find(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_configuration_is_refused_by_name() {
        let wrong = [
            ToolServerConfig::http("a/b", "http://h/mcp"),
            ToolServerConfig::http("tools", "http://u:p@h/mcp"),
            ToolServerConfig::http("tools", "http://h/mcp").header("Host", Secret::new("x")),
            ToolServerConfig::stdio("tools", Vec::<String>::new()),
            ToolServerConfig::stdio("tools", ["a\0b"]),
            ToolServerConfig::stdio("tools", ["a"]).variable("A=B", Secret::new("x")),
        ];
        for config in wrong {
            let (name, error) = (config.name.clone(), config.validated().unwrap_err());
            assert!(error.message().contains(&name), "{error}");
        }
    }

    #[test]
    fn sec_t08_operators_texts_are_no_templates() {
        let config = ToolServerConfig::stdio("s", ["prog", "${DATABASE_URL}", "$(id)"])
            .variable("KEY", Secret::new("${ENCRYPTION_KEY}"))
            .validated()
            .unwrap();
        let ConfiguredAccess::Stdio { command, environment } = config.access else { panic!() };
        assert_eq!(command, ["prog", "${DATABASE_URL}", "$(id)"]);
        assert_eq!(environment["KEY"].expose(), "${ENCRYPTION_KEY}");
    }

    #[test]
    fn named_policy_comes_before_the_default() {
        let config = ToolServerConfig::http("s", "http://h").policy("a", ToolPolicy::Deny);
        assert_eq!((config.policy_of("a"), config.policy_of("b")), (Some(ToolPolicy::Deny), None));
        let config = config.default_policy(ToolPolicy::Allow);
        assert_eq!(config.policy_of("b"), Some(ToolPolicy::Allow));
    }
}
