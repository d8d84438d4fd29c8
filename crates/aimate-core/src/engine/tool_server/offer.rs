//! Which tools of servers a turn offers to its model, and under which names.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde::Serialize;

use super::super::{Engine, RegisteredTool};
use super::ToolServers;
use super::catalog::ToolCatalog;
use super::offered_name::{offered_name, with_hash};
use super::policy::effective;
use crate::error::{Error, Result};
use crate::id::ToolServerId;
use crate::provider::ToolSpec;
use crate::scope::Scope;
use crate::text::shorten;
use crate::tool::builtin::READ_OUTPUT;
use crate::tool::schema::offered_schema;
use crate::tool::{
    ListedTool, OfferedTool, ServerTools, Tool, ToolAuthType, ToolPolicy, ToolServer, ToolServerStatus,
    ToolSource, ToolState,
};

/// A tool that a user may use in a turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct UsableTool {
    /// The name by which a turn chooses it: `NAME`, or `SERVER/TOOL`.
    pub id: String,
    /// The server that it is of; none for a tool of this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_id: Option<ToolServerId>,
    /// The tool.
    #[serde(flatten)]
    pub listed: ListedTool,
}

/// A turn's choice of a server's tools.
pub(super) struct Choice<'c> {
    pub(super) server: &'c ToolServer,
    /// Those of these names; `None` is all that are approved.
    pub(super) tools: Option<BTreeSet<&'c str>>,
}

impl Engine {
    /// The tools of servers that a turn's selection means, and in sentences what of it is not
    /// offered and why. Each entry is `SERVER` (all of its approved tools) or `SERVER/TOOL`.
    /// Servers and tools come in one order, however they are named: a model's cache of the prompt
    /// holds from turn to turn.
    ///
    /// # Errors
    /// `Invalid` for a server that the user does not see; `Unsupported` if this process
    /// speaks to no tool servers.
    pub(in crate::engine) async fn server_tools(
        &self,
        scope: &Scope,
        selection: &[String],
    ) -> Result<(Vec<OfferedTool>, Vec<String>)> {
        let (mut offered, mut warnings) = (Vec::new(), Vec::new());
        if selection.is_empty() {
            return Ok((offered, warnings));
        }
        let catalog = self.tool_catalog(scope).await?;
        let choices = choices(&catalog, selection).map_err(|error| {
            let known = self.inner.tools.names().join(", ");
            let what = format!("{}, nor a tool of this process, which has: {known}", error.message());
            Error::field("tools", what).with_source(error)
        })?;
        self.tool_client()?;
        for choice in choices {
            self.offer(scope, &choice, &mut offered, &mut warnings).await?;
        }
        Ok((offered, warnings))
    }

    /// Offers the tools of one server, and says what of it is not offered.
    pub(super) async fn offer(
        &self,
        scope: &Scope,
        choice: &Choice<'_>,
        offered: &mut Vec<OfferedTool>,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let name = &choice.server.name;
        if !choice.server.is_enabled {
            warnings.push(format!("tool server `{name}` is switched off; none of its tools is offered"));
            return Ok(());
        }
        if let Some(why) = self.login_missing(scope, choice.server).await? {
            warnings.push(why);
            return Ok(());
        }
        let server = self.with_tools(scope, choice.server).await?;
        if let Some(warning) = trouble(&server) {
            warnings.push(warning);
        }
        let endpoint = match self.tool_endpoint(scope, &server).await {
            Ok(endpoint) => endpoint,
            Err(error) => {
                warnings.push(format!("no tool of `{name}` is offered: {}", error.message()));
                return Ok(());
            }
        };
        let tools = self.known_tools(scope, server.id).await?;
        let configured = self.configured_tool_server(&server);
        let listed: BTreeSet<&str> = tools.tools.iter().map(|tool| tool.name.as_str()).collect();
        for missing in choice.tools.iter().flatten().filter(|tool| !listed.contains(**tool)) {
            warnings.push(format!("tool server `{name}` lists no tool `{missing}`"));
        }
        for tool in &tools.tools {
            if choice.tools.as_ref().is_some_and(|chosen| !chosen.contains(tool.name.as_str())) {
                continue;
            }
            let policy = effective(configured, &tools, tool);
            if let Some(why) = unoffered(&tools, tool, policy, choice.tools.is_some()) {
                warnings.push(format!("tool `{name}/{}` is not offered: {why}", tool.name));
            } else if policy != ToolPolicy::Deny {
                let as_name = unused(offered, offered_name(name, &tool.name), server.id);
                offered.push(OfferedTool {
                    spec: ToolSpec {
                        description: tool.description.clone(),
                        ..ToolSpec::new(as_name, offered_schema(tool))
                    },
                    policy,
                    source: ToolSource::Server {
                        endpoint: Box::new(endpoint.clone()),
                        tool: tool.name.clone(),
                        link: None,
                    },
                });
            }
        }
        Ok(())
    }

    /// Why the user has to sign in at the server first.
    async fn login_missing(&self, scope: &Scope, server: &ToolServer) -> Result<Option<String>> {
        if server.auth_type != ToolAuthType::Oauth {
            return Ok(None);
        }
        let grants = self.inner.stores.tool_servers.grants(scope, server.id).await?;
        let why = || format!("sign in at tool server `{}` first; none of its tools is offered", server.name);
        Ok(grants.is_empty().then(why))
    }
}

impl ToolServers {
    /// Every tool that the user may use: those of this process, and those of every server that they
    /// see, but for servers that are switched off. Of servers, those that are not approved are
    /// listed too. It waits a little for servers that were never read.
    ///
    /// # Errors
    /// What the store says.
    pub async fn usable(&self) -> Result<Vec<UsableTool>> {
        self.engine.admit(&self.scope).await?;
        let catalog = self.engine.tool_catalog(&self.scope).await?;
        let enabled: Vec<&ToolServer> = catalog.chosen().filter(|server| server.is_enabled).collect();
        if self.engine.tool_client().is_ok() {
            let reading = enabled.iter().map(|server| self.engine.with_tools(&self.scope, server));
            join_all(reading).await;
        }
        let of_process = self.engine.registered_tools().into_iter();
        let of_process = of_process.filter(|registered| registered.tool.name != READ_OUTPUT);
        let mut usable: Vec<UsableTool> = of_process.map(of_this_process).collect();
        for server in enabled {
            let tools = self.engine.known_tools(&self.scope, server.id).await?;
            let listed = self.engine.listed_tools(server, &tools).into_iter();
            usable.extend(listed.map(|listed| UsableTool {
                id: format!("{}/{}", server.name, listed.tool.name),
                server_id: Some(server.id),
                listed,
            }));
        }
        Ok(usable)
    }
}

fn of_this_process(registered: RegisteredTool) -> UsableTool {
    let RegisteredTool { tool, policy, .. } = registered;
    let name = tool.name.clone();
    let listed =
        ListedTool { tool, offered_as: name.clone(), policy, state: ToolState::Approved, approved: None };
    UsableTool { id: name, server_id: None, listed }
}

impl ToolCatalog {
    /// The servers that their names mean: the first of each.
    fn chosen(&self) -> impl Iterator<Item = &ToolServer> {
        let mut last = None;
        self.servers.iter().filter(move |server| last.replace(&server.name) != Some(&server.name))
    }

    /// The server of a name.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) fn named(&self, name: &str) -> Result<&ToolServer> {
        let missing = || Error::not_found(format!("there is no tool server `{}`", shorten(name, 64)));
        self.servers.iter().find(|server| server.name == name).ok_or_else(missing)
    }
}

/// What a selection means, in the catalog's order.
fn choices<'c>(catalog: &'c ToolCatalog, selection: &'c [String]) -> Result<Vec<Choice<'c>>> {
    let mut choices: Vec<Choice<'c>> = Vec::new();
    for entry in selection {
        let (server, tool) = match entry.split_once('/') {
            Some((server, tool)) => (server, Some(tool)),
            None => (entry.as_str(), None),
        };
        let server = catalog.named(server)?;
        match choices.iter_mut().find(|choice| choice.server.id == server.id) {
            Some(choice) => match (&mut choice.tools, tool) {
                (Some(tools), Some(tool)) => drop(tools.insert(tool)),
                (tools, None) => *tools = None,
                (None, Some(_)) => {}
            },
            None => choices.push(Choice { server, tools: tool.map(|tool| BTreeSet::from([tool])) }),
        }
    }
    choices.sort_by_key(|choice| &choice.server.name);
    Ok(choices)
}

/// What a turn is warned of that offers a server's tools from memory.
fn trouble(server: &ToolServer) -> Option<String> {
    let name = &server.name;
    let error = server.error.as_deref().unwrap_or("it did not answer yet");
    match (server.status, server.tools_fetched_at) {
        (ToolServerStatus::Ok, Some(_)) => None,
        (_, None) => Some(format!("no tool of `{name}` is offered, since it was never reached: {error}")),
        (_, Some(_)) => Some(format!(
            "tool server `{name}` is in trouble, and its tools are those of its last list: {error}"
        )),
    }
}

/// Why a tool is not offered, where that is worth a sentence.
fn unoffered(tools: &ServerTools, tool: &Tool, policy: ToolPolicy, is_named: bool) -> Option<&'static str> {
    match (tools.state(tool), policy) {
        (ToolState::Changed, _) => Some(
            "its server describes it otherwise than was approved; look at the difference and set its policy",
        ),
        (ToolState::New, _) => Some("it is new and nobody has approved it; set its policy"),
        (ToolState::Approved, ToolPolicy::Deny) if is_named => Some("its policy is `deny`"),
        (ToolState::Approved, _) => None,
    }
}

/// Another name, if the turn has this one already.
pub(super) fn unused(offered: &[OfferedTool], name: String, server: ToolServerId) -> String {
    let is_taken = |name: &str| offered.iter().any(|other| other.spec.name == name);
    if is_taken(&name) { with_hash(&name, &format!("{server}/{name}")) } else { name }
}
