//! The tools of a server that one turn uses, be it registered or at an address that it brings.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::ToolServers;
use super::endpoint::{MAX_BYTES, PATIENCE};
use super::listing::{listed, observed};
use super::offer::{Choice, unused};
use super::offered_name::offered_name;
use crate::error::{Error, Result};
use crate::provider::{AddressSource, ToolSpec};
use crate::secret::Secret;
use crate::text::shorten;
use crate::tool::schema::offered_schema;
use crate::tool::{
    OfferedServer, OfferedTool, Tool, ToolAccess, ToolAuthConfig, ToolAuthType, ToolEndpoint, ToolPolicy,
    ToolSource, TurnLink, TurnToolServer, checked_url,
};

/// Characters of the name at most that a turn gives a server.
const MAX_NAME: usize = 64;
/// The header that a token is sent in.
const AUTHORIZATION: &str = "authorization";

impl ToolServers {
    /// The tools of a server as a turn offers them ([`Turn::tool_servers`](crate::chat::Turn::tool_servers)): of a
    /// registered one by its last list, as for [`Turn::use_tools`](crate::chat::Turn::use_tools); of an address
    /// that the turn brings as it lists them now. What the turn says of approvals goes before what
    /// was set for a registered server, but nobody undoes [`ToolPolicy::Deny`].
    ///
    /// A server that does not answer is no error: it offers no tool and says why
    /// ([`OfferedServer::problem`]).
    ///
    /// # Errors
    /// `NotFound` for a name that the user sees no server of; `Invalid`, naming the field, for an address,
    /// a token or a header that cannot be used; `Forbidden` if the operator lets turns bring no
    /// addresses; `Unsupported` if this process speaks to no tool servers.
    pub async fn offered(&self, wanted: TurnToolServer) -> Result<OfferedServer> {
        self.engine.admit(&self.scope).await?;
        self.engine.tool_client()?;
        match wanted.url.clone() {
            Some(url) => self.brought(wanted, &url).await,
            None => self.registered(wanted).await,
        }
    }

    async fn registered(&self, wanted: TurnToolServer) -> Result<OfferedServer> {
        let (engine, scope) = (&self.engine, &self.scope);
        let catalog = engine.tool_catalog(scope).await?;
        let server = catalog.named(&wanted.name)?;
        let (mut offered, mut problems) = (Vec::new(), Vec::new());
        engine.offer(scope, &Choice { server, tools: None }, &mut offered, &mut problems).await?;
        let known = engine.known_tools(scope, server.id).await?;
        let mut by_name: HashMap<&str, &Tool> =
            known.tools.iter().map(|tool| (tool.name.as_str(), tool)).collect();
        let tools = offered.into_iter().filter_map(|mut offered| {
            let ToolSource::Server { tool, .. } = &offered.source else { return None };
            let tool = by_name.remove(tool.as_str()).filter(|tool| wanted.wants(tool))?;
            offered.policy = wanted.policy_of(&tool.name).unwrap_or(offered.policy);
            (offered.policy != ToolPolicy::Deny).then(|| (tool.clone(), offered))
        });
        Ok(OfferedServer::new(server.name.clone(), tools.collect(), joined(&problems)))
    }

    async fn brought(&self, wanted: TurnToolServer, url: &str) -> Result<OfferedServer> {
        let inner = &self.engine.inner;
        let usual = inner.tools.turn_server_policy;
        if usual == ToolPolicy::Deny {
            return Err(Error::forbidden(
                "the operator of this server lets nobody bring the address of a tool server; register it",
            ));
        }
        check_name(&wanted.name)?;
        let url = checked_url(url)?;
        let headers = headers(&wanted)?;
        let client = self.engine.tool_client()?.clone();
        let access = ToolAccess::Http { url, source: AddressSource::Untrusted, headers, tokens: None };
        let mut endpoint = ToolEndpoint::new(inner.sources.id(), &wanted.name, self.scope, access);
        (endpoint.timeout, endpoint.max_bytes) = (PATIENCE, MAX_BYTES);
        let link = Arc::new(TurnLink { client: client.clone(), id: endpoint.id, tasks: inner.tasks.clone() });
        let (tools, problems) = match listed(client.as_ref(), &endpoint).await {
            Ok(listing) => {
                let observed = observed(listing, inner.sources.now());
                (observed.tools, observed.problems)
            }
            Err(error) => {
                tracing::info!(code = error.kind().as_str(), cause = ?error, "a tool server that a turn brought listed nothing");
                (Vec::new(), vec![error.message().to_owned()])
            }
        };
        let mut offered: Vec<OfferedTool> = Vec::new();
        let mut kept = Vec::new();
        for tool in tools.into_iter().filter(|tool| wanted.wants(tool)) {
            let policy = wanted.policy_of(&tool.name).unwrap_or(usual);
            if policy == ToolPolicy::Deny {
                continue;
            }
            let name = unused(&offered, offered_name(&wanted.name, &tool.name), endpoint.id);
            let spec = ToolSpec::new(name, offered_schema(&tool)).description(tool.description.clone());
            let source = ToolSource::Server {
                endpoint: Box::new(endpoint.clone()),
                tool: tool.name.clone(),
                link: Some(link.clone()),
            };
            offered.push(OfferedTool { spec, policy, source });
            kept.push(tool);
        }
        let tools = kept.into_iter().zip(offered).collect();
        Ok(OfferedServer::new(wanted.name, tools, joined(&problems)))
    }
}

fn joined(problems: &[String]) -> Option<String> {
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// Checks the name that a turn gives a server: it stands in the names of tools.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        let shown = shorten(name, MAX_NAME);
        let why = format!("is `{shown}`; it must be 1 to {MAX_NAME} letters, digits, `_` or `-`");
        return Err(Error::field("name", why));
    }
    Ok(())
}

/// The headers of each request, the token among them.
fn headers(wanted: &TurnToolServer) -> Result<BTreeMap<String, Secret>> {
    let has_own = wanted.headers.keys().any(|name| name.eq_ignore_ascii_case(AUTHORIZATION));
    if has_own && wanted.token.is_some() {
        return Err(Error::field("headers.Authorization", "and a token are given; give one of them"));
    }
    let mut all = BTreeMap::new();
    if let Some(token) = &wanted.token {
        let sent = ToolAuthType::Bearer.sent(Some(&ToolAuthConfig::bearer(token.clone())))?;
        all.extend(sent.unwrap_or_default());
    }
    if !wanted.headers.is_empty() {
        let config = ToolAuthConfig::headers(wanted.headers.clone());
        all.extend(ToolAuthType::Headers.sent(Some(&config))?.unwrap_or_default());
    }
    Ok(all)
}
