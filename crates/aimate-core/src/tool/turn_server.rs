//! Tool servers as one turn uses them: registered ones, and those whose address it brings.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::{OfferedTool, Tool, ToolPolicy, ToolServerClient, ToolSource};
use crate::id::ToolServerId;
use crate::secret::Secret;

/// A tool server as one turn wants it.
///
/// ```
/// use aimate_core::Secret;
/// use aimate_core::tool::{ToolPolicy, TurnToolServer};
///
/// let registered = TurnToolServer::registered("calendar").only(["list_events"]);
/// let brought = TurnToolServer::at("shop", "https://tools.example.org/mcp")
///     .token(Secret::new("abc"))
///     .policy(ToolPolicy::Ask);
/// # let _ = (registered, brought);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnToolServer {
    /// The name of a registered server; else what the turn calls it.
    pub name: String,
    /// Where it is; `None` for a registered one. It is reached as any user's server is. Nothing of it
    /// is stored.
    pub url: Option<String>,
    /// The token that it wants, in memory for this turn alone.
    pub token: Option<Secret>,
    /// Headers of each request to it, in memory for this turn alone.
    pub headers: BTreeMap<String, Secret>,
    /// The tools that are offered, by their own names. Default: all.
    pub only: Option<Vec<String>>,
    /// Whether those alone are offered that say of themselves that they change nothing, or those that
    /// do not. Default: both.
    pub read_only: Option<bool>,
    /// Whether calls of its tools are made. Default: as somebody set for a registered server; for an
    /// address as [`EngineBuilder::turn_server_policy`](crate::EngineBuilder::turn_server_policy) says.
    pub policy: Option<ToolPolicy>,
    /// The same for single tools, by their own names.
    pub policies: BTreeMap<String, ToolPolicy>,
}

impl TurnToolServer {
    /// A registered server: the one that a turn's `use_tools` means by this name.
    pub fn registered(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: None,
            token: None,
            headers: BTreeMap::new(),
            only: None,
            read_only: None,
            policy: None,
            policies: BTreeMap::new(),
        }
    }

    /// A server at an address, under a name of the turn's own: letters, digits, `_` and `-`, at most
    /// 64.
    pub fn at(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::registered(name) }
    }

    /// With this token.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.headers.insert(name.into(), value);
        self
    }

    /// With these of its tools alone.
    #[must_use]
    pub fn only<T: Into<String>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        self.only = Some(tools.into_iter().map(Into::into).collect());
        self
    }

    /// With calls of its tools made, or a person asked of them.
    #[must_use]
    pub fn policy(mut self, policy: ToolPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// The policy that the turn says for a tool.
    pub(crate) fn policy_of(&self, tool: &str) -> Option<ToolPolicy> {
        self.policies.get(tool).copied().or(self.policy)
    }

    /// Whether the turn wants a tool.
    pub(crate) fn wants(&self, tool: &Tool) -> bool {
        let is_named = self.only.as_ref().is_none_or(|only| only.contains(&tool.name));
        let reads = tool.hints.read_only == Some(true);
        is_named && self.read_only.is_none_or(|wanted| wanted == reads)
    }
}

/// The tools of a server that a turn offers its model; see
/// [`ToolServers::offered`](crate::engine::ToolServers::offered). What it holds open of an address ends with
/// the turn.
#[derive(Clone)]
pub struct OfferedServer {
    name: String,
    tools: Vec<(Tool, OfferedTool)>,
    problem: Option<String>,
}

impl OfferedServer {
    pub(crate) fn new(name: String, tools: Vec<(Tool, OfferedTool)>, problem: Option<String>) -> Self {
        Self { name, tools, problem }
    }

    /// The server's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its tools, as it describes them; untrusted.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter().map(|(tool, _)| tool)
    }

    /// The name by which models call one of its tools.
    pub fn offered_as(&self, tool: &str) -> Option<&str> {
        self.tools.iter().find(|(own, _)| own.name == tool).map(|(_, offered)| offered.spec.name.as_str())
    }

    /// Why none, or not all, of its tools are offered, in a sentence.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Offers those tools alone that `is_kept` says.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&Tool) -> bool) {
        self.tools.retain(|(tool, _)| is_kept(tool));
    }

    pub(crate) fn offered(&self) -> impl Iterator<Item = &OfferedTool> {
        self.tools.iter().map(|(_, offered)| offered)
    }

    /// What tells it from others.
    pub(crate) fn names(&self) -> (&str, Vec<&str>) {
        (&self.name, self.offered().map(|tool| tool.spec.name.as_str()).collect())
    }
}

impl fmt::Debug for OfferedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, tools) = self.names();
        f.debug_struct("OfferedServer").field("name", &name).field("tools", &tools).finish_non_exhaustive()
    }
}

/// By what their models are told, and where calls go.
impl PartialEq for OfferedServer {
    fn eq(&self, other: &Self) -> bool {
        let place = |one: &OfferedTool| match &one.source {
            ToolSource::Server { endpoint, tool, .. } => Some((endpoint.id, tool.clone())),
            ToolSource::Handler(_) => None,
        };
        let told = |one: &Self| {
            one.tools
                .iter()
                .map(|(tool, offered)| (tool.clone(), offered.policy, place(offered)))
                .collect::<Vec<_>>()
        };
        self.name == other.name && told(self) == told(other)
    }
}

/// What a client keeps open to a server whose address a turn brought; dropping it ends that.
pub(crate) struct TurnLink {
    pub(crate) client: Arc<dyn ToolServerClient>,
    pub(crate) id: ToolServerId,
    pub(crate) tasks: TaskTracker,
}

impl Drop for TurnLink {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and with it all that is open.
        if Handle::try_current().is_ok() {
            let (client, id) = (self.client.clone(), self.id);
            self.tasks.spawn(async move { client.forget(id).await });
        }
    }
}
