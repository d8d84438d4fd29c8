//! Which calls of a server's tools are made, and what of them is approved.

use super::super::Engine;
use super::configured::ToolServerConfig;
use super::offered_name::offered_name;
use super::{ToolServerDetail, ToolServers};
use crate::audit::{AuditEvent, action};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ToolServerId;
use crate::tool::{
    ListedTool, PolicyChange, ServerTools, Tool, ToolPin, ToolPins, ToolPolicy, ToolServer, ToolState,
};

/// How often a change is tried that somebody else's came before.
const TRIES: usize = 5;

/// Whether calls of a tool are made: what the operator forbids, nobody allows; else what was set;
/// else what the operator says; else a tool of the operator's servers that says it changes nothing
/// is called at once, and every other one asks.
pub(super) fn effective(
    configured: Option<&ToolServerConfig>,
    tools: &ServerTools,
    tool: &Tool,
) -> ToolPolicy {
    let operators = configured.and_then(|configured| configured.policy_of(&tool.name));
    match (operators, tools.policy(&tool.name), configured) {
        (Some(ToolPolicy::Deny), ..) => ToolPolicy::Deny,
        (_, Some(set), _) => set,
        (Some(operators), None, _) => operators,
        (None, None, Some(_)) if tool.hints.read_only == Some(true) => ToolPolicy::Allow,
        (None, None, _) => ToolPolicy::Ask,
    }
}

impl Engine {
    /// The tools of a server as a person is shown them.
    pub(super) fn listed_tools(&self, server: &ToolServer, tools: &ServerTools) -> Vec<ListedTool> {
        let configured = self.configured_tool_server(server);
        let listed = |tool: &Tool| {
            let state = tools.state(tool);
            let approved = match state {
                ToolState::Changed => tools.pins.get(&tool.name).map(|pin| pin.definition.clone()),
                ToolState::Approved | ToolState::New => None,
            };
            ListedTool {
                tool: tool.clone(),
                offered_as: offered_name(&server.name, &tool.name),
                policy: effective(configured, tools, tool),
                state,
                approved,
            }
        };
        tools.tools.iter().map(listed).collect()
    }
}

impl ToolServers {
    /// Sets whether calls of tools are made, each by the tool's own name; `None` puts the default
    /// back. It approves the tools as the server describes them now: one that is new, or that its
    /// server changed, is offered again, and one that changes later is not.
    ///
    /// # Errors
    /// `Invalid`, naming the tool, if the server lists none of that name, or the operator forbids
    /// it; `NotFound`; `Forbidden` as for [`ToolServers::update`]; `Conflict` if others change the
    /// same all the time.
    pub async fn set_policy(&self, id: ToolServerId, change: &PolicyChange) -> Result<ToolServerDetail> {
        self.engine.admit(&self.scope).await?;
        let store = &self.engine.inner.stores.tool_servers;
        let server = store.get(&self.scope, id).await?;
        self.engine.may_change_tool_server(&self.scope, &server).await?;
        let mut tried = 0;
        let (before, pins) = loop {
            let read = store.tools(&self.scope, id).await?;
            let pins = self.pinned(&server, &read, change)?;
            match store.pin(&self.scope, id, &read, &pins).await {
                Err(error) if error.kind() == ErrorKind::Conflict && tried < TRIES => tried += 1,
                outcome => break outcome.map(|()| (read, pins))?,
            }
        };
        self.engine.inner.tool_catalogs.forget(self.scope.tenant);
        self.audit_pins(id, &before, &pins, change).await;
        self.get(id).await
    }

    /// The pins with a change.
    fn pinned(&self, server: &ToolServer, read: &ServerTools, change: &PolicyChange) -> Result<ToolPins> {
        let configured = self.engine.configured_tool_server(server);
        let mut pins = read.pins.clone();
        for (name, policy) in change {
            let Some(tool) = read.tools.iter().find(|tool| tool.name == *name) else {
                return Err(Error::field(
                    name.as_str(),
                    "is no tool of this server's last list; test the server",
                ));
            };
            let forbidden = configured.and_then(|one| one.policy_of(name)) == Some(ToolPolicy::Deny);
            if forbidden && !matches!(policy, None | Some(ToolPolicy::Deny)) {
                return Err(Error::field(name.as_str(), "is forbidden by the operator of this server"));
            }
            pins.insert(name.clone(), ToolPin::of(tool, *policy));
        }
        Ok(pins)
    }

    async fn audit_pins(
        &self,
        id: ToolServerId,
        before: &ServerTools,
        pins: &ToolPins,
        change: &PolicyChange,
    ) {
        for (name, policy) in change {
            let event = |action: &'static str| {
                let name: String = name.chars().take(200).collect();
                AuditEvent::new(action).target("tool_server", id).detail("tool", name)
            };
            let policy = policy.map_or("default", ToolPolicy::as_str);
            if before.pins.get(name).map(|pin| &pin.hash) != pins.get(name).map(|pin| &pin.hash) {
                let hash = pins.get(name).map_or("", |pin| pin.hash.as_str());
                let approved =
                    event(action::TOOL_DEFINITION_APPROVED).detail("policy", policy).detail("hash", hash);
                self.engine.audit_of(&self.scope, approved).await;
            } else if before.policy(name) != pins.get(name).and_then(|pin| pin.policy) {
                let changed = event(action::TOOL_POLICY_CHANGED).detail("policy", policy);
                self.engine.audit_of(&self.scope, changed).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(name: &str, read_only: bool) -> Tool {
        let mut tool = Tool::new(name, "", json!({"type": "object"}));
        tool.hints.read_only = Some(read_only);
        tool
    }

    #[test]
    fn sec_t37_hint_of_an_unknown_server_allows_nothing() {
        let (reads, writes) = (tool("reads", true), tool("writes", false));
        let none = ServerTools::default();
        assert_eq!(effective(None, &none, &reads), ToolPolicy::Ask);
        let operators = ToolServerConfig::http("s", "http://h");
        assert_eq!(effective(Some(&operators), &none, &reads), ToolPolicy::Allow);
        assert_eq!(effective(Some(&operators), &none, &writes), ToolPolicy::Ask);
    }

    #[test]
    fn what_the_operator_forbids_nobody_allows() {
        let (operators, tool) = (ToolServerConfig::http("s", "http://h"), tool("t", true));
        let mut tools = ServerTools::default();
        tools.pins.insert("t".into(), ToolPin::of(&tool, Some(ToolPolicy::Allow)));
        let forbids = operators.clone().policy("t", ToolPolicy::Deny);
        assert_eq!(effective(Some(&forbids), &tools, &tool), ToolPolicy::Deny);
        let asks = operators.policy("t", ToolPolicy::Ask);
        assert_eq!(effective(Some(&asks), &tools, &tool), ToolPolicy::Allow);
        assert_eq!(effective(Some(&asks), &ServerTools::default(), &tool), ToolPolicy::Ask);
    }
}
