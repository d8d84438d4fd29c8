//! Configured tool servers: whose they are, how they are reached, what they list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::auth::{ToolAuthConfig, ToolAuthType};
use super::client::ServerInfo;
use crate::clock::Timestamp;
use crate::connection::check_name;
use crate::error::{Error, Result};
use crate::id::{ToolServerId, WorkspaceId};
use crate::sealing::Sealed;
use crate::text::names;
use crate::workspace::check_owner;

/// Servers at most that one user made, or that a tenant shares.
pub const MAX_TOOL_SERVERS: u32 = 100;

/// How the last contact with a tool server went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolServerStatus {
    /// Never contacted.
    #[default]
    Unknown,
    /// It answered.
    Ok,
    /// It did not answer, or not sensibly.
    Unreachable,
    /// It refused the authorization, or got none and wants one.
    NeedsAuth,
}

names! {
    ToolServerStatus {
        Unknown = "unknown", Ok = "ok", Unreachable = "unreachable", NeedsAuth = "needs_auth",
    }
}

/// A configured tool server, as it is stored: of one user, of a workspace, or shared by the
/// tenant. What it lists is beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolServer {
    /// Its id.
    pub id: ToolServerId,
    /// The name by which its tools are chosen, `NAME` or `NAME/TOOL`; unique among those of its
    /// owner. Of several that a user sees, their own comes first, then one of a workspace, then
    /// the shared one.
    pub name: String,
    /// Where it is. `None` for a child process that the operator configured.
    pub url: Option<String>,
    /// How it is authorized.
    pub auth_type: ToolAuthType,
    /// Whether a token or headers are kept for it.
    pub has_auth: bool,
    /// Those, sealed; never leave the process.
    #[serde(skip)]
    pub sealed_auth: Option<Sealed>,
    /// Whether its tools are offered.
    pub is_enabled: bool,
    /// Whether all users of the tenant see it; only an admin changes it then.
    pub is_shared: bool,
    /// Whether the operator configured it: its name, address and authorization are theirs.
    pub is_configured: bool,
    /// The workspace whose editors and owners use it; its owners alone change it.
    pub workspace_id: Option<WorkspaceId>,
    /// How the last contact went.
    pub status: ToolServerStatus,
    /// What went wrong then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it says of itself; untrusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerInfo>,
    /// How many tools it lists.
    pub tool_count: u32,
    /// When its tools were last read well.
    pub tools_fetched_at: Option<Timestamp>,
    /// When they are read again.
    pub tools_expire_at: Option<Timestamp>,
    /// Since when reading them has failed; the last good list stays.
    pub stale_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
}

/// Parameters for creating a tool server.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToolServer {
    /// Its name: 1 to 200 characters, no `/`.
    pub name: String,
    /// Its address, that of MCP's streamable HTTP, such as `https://tools.example.org/mcp`. It is
    /// taken as it is: nothing in it is replaced.
    pub url: String,
    /// How it is authorized; default: by nothing.
    #[serde(default)]
    pub auth_type: ToolAuthType,
    /// The token or headers; never come back.
    #[serde(default)]
    pub auth_config: Option<ToolAuthConfig>,
    /// Whether its tools are offered; default true.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Whether all users of the tenant see and use it, its authorization included, and only an
    /// admin changes it; default false. Only an admin may ask for that.
    #[serde(default)]
    pub shared: bool,
    /// The workspace whose editors and owners use it, its authorization included; the user is an
    /// owner there. It stays with the workspace, and goes with it.
    #[serde(default)]
    pub workspace_id: Option<WorkspaceId>,
}

fn yes() -> bool {
    true
}

impl NewToolServer {
    /// A server of the user's own that wants no authorization.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { name: name.into(), url: url.into(), is_enabled: true, ..Self::default() }
    }

    /// Authorized by this.
    #[must_use]
    pub fn auth(mut self, auth_type: ToolAuthType, config: ToolAuthConfig) -> Self {
        (self.auth_type, self.auth_config) = (auth_type, Some(config));
        self
    }

    /// Authorized by a login of each user at the server (OAuth 2.1).
    #[must_use]
    pub fn oauth(mut self) -> Self {
        self.auth_type = ToolAuthType::Oauth;
        self
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

    /// Checks every field.
    pub(crate) fn validated(mut self) -> Result<Self> {
        check_name(&self.name)?;
        check_owner(self.shared, self.workspace_id)?;
        self.url = checked_url(&self.url)?;
        self.auth_type.check(self.auth_config.as_ref())?;
        Ok(self)
    }
}

/// What to change about a tool server; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ToolServerChange {
    /// The name.
    pub name: Option<String>,
    /// The address. A new origin drops the token, the headers and all logins, and the tools have to
    /// be approved anew.
    pub url: Option<String>,
    /// How it is authorized. Another way drops what was kept for the former one.
    pub auth_type: Option<ToolAuthType>,
    /// The token or headers, in place of what was kept.
    pub auth_config: Option<ToolAuthConfig>,
    /// Whether its tools are offered.
    pub is_enabled: Option<bool>,
}

/// `url` as it was given, if it is a plain http(s) address without credentials and fragment.
/// Nothing in it is a template: `${NAME}` stays what it is.
pub(crate) fn checked_url(url: &str) -> Result<String> {
    let url = url.trim();
    let wrong = |why: &str| {
        let example = "an address such as `https://tools.example.org/mcp`";
        Error::field("url", format!("{why}; it is {example}"))
    };
    if url.len() > 2_000 {
        return Err(wrong("has more than 2000 bytes"));
    }
    let parsed = url::Url::parse(url).map_err(|error| wrong(&format!("is no address: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(wrong("is no address of HTTP"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Error::field("url", "has credentials in it; send them in `auth_config`"));
    }
    if parsed.fragment().is_some() || url.chars().any(char::is_control) {
        return Err(wrong("has a fragment or a control character"));
    }
    Ok(url.to_owned())
}

/// Orders servers so that the first of a name is the one that the name means.
pub(crate) fn by_name(servers: &mut [ToolServer]) {
    let rank = |one: &ToolServer| (one.is_shared, one.workspace_id);
    servers.sort_by(|a, b| (&a.name, rank(a), a.id).cmp(&(&b.name, rank(b), b.id)));
}

/// Which of a server's policies a person sets: each by the tool's own name; `None` puts the
/// default back.
pub type PolicyChange = BTreeMap<String, Option<super::ToolPolicy>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_t08_address_is_no_template() {
        let literal = "http://tools.example.org/${DATABASE_URL}/$HOME?q={{secret}}";
        assert_eq!(checked_url(&format!(" {literal} ")).unwrap(), literal);
        let host = "http://${HOST}:1/";
        assert!(checked_url(host).is_err() || checked_url(host).unwrap() == host);
    }

    #[test]
    fn address_with_secrets_or_of_another_scheme_is_invalid() {
        for url in
            ["http://u:p@host/mcp", "http://u@host", "file:///etc/passwd", "stdio:sh", "http://h/#x", "x", ""]
        {
            assert!(checked_url(url).is_err(), "{url}");
        }
        checked_url("http://127.0.0.1:3000/mcp?profile=a").unwrap();
    }
}
