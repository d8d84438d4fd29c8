//! The tools of the engine, and those of one turn.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Engine;
use crate::chat::tool_calls::Calling;
use crate::error::{Error, Result};
use crate::id::{ConversationId, RunId};
use crate::provider::ToolSpec;
use crate::scope::Scope;
use crate::text::shorten;
use crate::tool::builtin::{READ_OUTPUT, read_output};
use crate::tool::schema::{SchemaCache, offered_schema};
use crate::tool::toolbox::{ReadyTool, Toolbox};
use crate::tool::{
    HostTool, OfferedServer, OfferedTool, Tool, ToolLimits, ToolOutputStore, ToolPolicy, ToolServerClient,
    ToolSource,
};

/// Tools that a turn may name at most, and that it may be offered.
const MAX_NAMED: usize = 64;
const MAX_OFFERED: usize = 256;

/// The tools of this process, and how others are reached.
pub(super) struct ToolServices {
    registered: RwLock<BTreeMap<String, Registered>>,
    pub(super) client: Option<Arc<dyn ToolServerClient>>,
    pub(super) limits: ToolLimits,
    /// Whether calls of servers whose address a turn brings are made.
    pub(super) turn_server_policy: ToolPolicy,
    schemas: SchemaCache,
    pub(super) questions: crate::chat::tool_calls::Questions,
}

impl ToolServices {
    pub(super) fn new(
        tools: BTreeMap<String, HostTool>,
        client: Option<Arc<dyn ToolServerClient>>,
        limits: ToolLimits,
        turn_server_policy: ToolPolicy,
        outputs: Arc<dyn ToolOutputStore>,
    ) -> Self {
        let services = Self {
            registered: RwLock::default(),
            client,
            limits,
            turn_server_policy,
            schemas: SchemaCache::default(),
            questions: Default::default(),
        };
        services.add(tools.into_values().chain([read_output(outputs)]));
        services
    }

    /// Adds tools; one of a name that is taken is left out.
    pub(super) fn add(&self, tools: impl IntoIterator<Item = HostTool>) {
        let mut all = self.registered.write().unwrap_or_else(PoisonError::into_inner);
        for tool in tools {
            all.entry(tool.tool.name.clone()).or_insert_with(|| self.registered(tool));
        }
    }

    fn registered(&self, tool: HostTool) -> Registered {
        let ready = ReadyTool::new(of_host(tool.clone()), &self.schemas).map(Arc::new);
        Registered { tool, ready }
    }

    pub(super) fn named(&self, name: &str) -> Option<HostTool> {
        let all = self.registered.read().unwrap_or_else(PoisonError::into_inner);
        Some(all.get(name)?.tool.clone())
    }

    /// The tool of this name as turns offer it, or why they do not.
    fn ready(&self, name: &str) -> Option<Result<Arc<ReadyTool>, String>> {
        let all = self.registered.read().unwrap_or_else(PoisonError::into_inner);
        Some(all.get(name)?.ready.clone())
    }

    pub(super) fn names(&self) -> Vec<String> {
        let all = self.registered.read().unwrap_or_else(PoisonError::into_inner);
        all.keys().filter(|name| *name != READ_OUTPUT).cloned().collect()
    }
}

/// A tool of this process, and what turns offer of it.
struct Registered {
    tool: HostTool,
    ready: Result<Arc<ReadyTool>, String>,
}

/// A tool of this process as it is listed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RegisteredTool {
    /// The tool.
    pub tool: Tool,
    /// Whether its calls are made.
    pub policy: ToolPolicy,
}

impl Engine {
    /// Registers a tool of the application, which turns name in
    /// [`Turn::use_tools`](crate::chat::Turn::use_tools) from then on. Replaces one of the same
    /// name.
    ///
    /// # Errors
    /// `Invalid` for a name that providers do not take, or a schema that is none.
    pub fn register_tool(&self, tool: HostTool) -> Result<()> {
        tool.check()?;
        let services = &self.inner.tools;
        let registered = services.registered(tool);
        let mut all = services.registered.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(registered.tool.tool.name.clone(), registered);
        Ok(())
    }

    /// The tools of this process, by name: the application's own and aiMate's.
    pub fn registered_tools(&self) -> Vec<RegisteredTool> {
        let all = self.inner.tools.registered.read().unwrap_or_else(PoisonError::into_inner);
        let listed =
            all.values().map(|one| RegisteredTool { tool: one.tool.tool.clone(), policy: one.tool.policy });
        listed.collect()
    }

    /// The tools that a turn names: `NAME` of this process, `SERVER` or `SERVER/TOOL` of a tool
    /// server; those of the servers that it has chosen itself; and a sentence about each that could not be offered.
    ///
    /// # Errors
    /// `Invalid` for a name that is none; what reading the servers says.
    pub(super) async fn toolbox(
        &self,
        scope: &Scope,
        names: &[String],
        servers: &[OfferedServer],
        foreign: &[ToolSpec],
    ) -> Result<(Toolbox, Vec<String>)> {
        if names.is_empty() && servers.is_empty() {
            return Ok((Toolbox::default(), Vec::new()));
        }
        if names.len() > MAX_NAMED {
            return Err(Error::field(
                "tools",
                format!("names {} tools; the most is {MAX_NAMED}", names.len()),
            ));
        }
        let services = &self.inner.tools;
        let (mut offered, mut others, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            match services.ready(name) {
                Some(Ok(tool)) if tool.offered.policy == ToolPolicy::Deny => {}
                Some(Ok(tool)) => offered.push(tool),
                Some(Err(why)) => left_out.push(why),
                None => others.push(name.clone()),
            }
        }
        if !others.is_empty() {
            let (of_servers, problems) = self.server_tools(scope, &others).await?;
            left_out.extend(problems);
            for tool in of_servers {
                match ReadyTool::new(tool, &services.schemas) {
                    Ok(tool) => offered.push(Arc::new(tool)),
                    Err(why) => left_out.push(why),
                }
            }
        }
        left_out.extend(servers.iter().filter_map(|server| server.problem().map(str::to_owned)));
        for tool in servers.iter().flat_map(OfferedServer::offered) {
            match ReadyTool::new(tool.clone(), &services.schemas) {
                Ok(tool) => offered.push(Arc::new(tool)),
                Err(why) => left_out.push(why),
            }
        }
        if offered.len() > MAX_OFFERED {
            left_out
                .push(format!("the turn names {} tools; the first {MAX_OFFERED} are offered", offered.len()));
            offered.truncate(MAX_OFFERED);
        }
        if let Some(Ok(reader)) = services.ready(READ_OUTPUT).filter(|_| !offered.is_empty()) {
            offered.push(reader);
        }
        let toolbox = Toolbox::new(offered);
        if let Some(twice) = foreign.iter().find(|spec| toolbox.has(&spec.name)) {
            return Err(Error::field(
                "tools",
                format!("has two tools of the name `{}`", shorten(&twice.name, 64)),
            ));
        }
        Ok((toolbox, left_out))
    }

    /// For whom the tools of an answer are called.
    pub(super) fn calling(
        &self,
        scope: &Scope,
        conversation: Option<ConversationId>,
        run: Option<RunId>,
        knowledge: Vec<String>,
    ) -> Calling {
        let services = &self.inner.tools;
        let seed = run.map_or_else(|| self.inner.sources.id::<RunId>().to_string(), |run| run.to_string());
        Calling {
            scope: *scope,
            conversation_id: conversation,
            run_id: run,
            knowledge,
            limits: services.limits,
            client: services.client.clone(),
            questions: run.map(|_| services.questions.clone()),
            seed,
        }
    }
}

fn of_host(tool: HostTool) -> OfferedTool {
    let HostTool { tool, handler, policy } = tool;
    OfferedTool {
        spec: ToolSpec::new(&tool.name, offered_schema(&tool)).description(tool.description),
        policy,
        source: ToolSource::Handler(handler),
    }
}
