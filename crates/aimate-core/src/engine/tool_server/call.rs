//! What a person does with a tool server themselves, without a model: calls, resources, prompts.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ToolServers;
use super::policy::effective;
use crate::caught::caught;
use crate::error::{Error, Result};
use crate::id::ToolServerId;
use crate::tool::schema::ArgumentSchema;
use crate::tool::{
    Elicitation, ElicitationAnswer, HostTool, ResourceInfo, ServerPrompt, ToolCaller, ToolContent,
    ToolContext, ToolEndpoint, ToolOutput, ToolPolicy, ToolProgress, ToolState,
};

/// Nobody is there to be asked.
struct Nobody;

#[async_trait]
impl ToolCaller for Nobody {
    fn progress(&self, _: ToolProgress) {}

    async fn elicit(&self, _: Elicitation) -> ElicitationAnswer {
        ElicitationAnswer::Cancel
    }
}

impl ToolServers {
    /// Calls a tool, `SERVER/TOOL` or the name of one of this process, for the person who asks:
    /// that is their approval where its policy is [`ToolPolicy::Ask`]. What the tool asks in turn
    /// is put away.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` if the arguments do not follow the schema of a tool of this process;
    /// `Forbidden` if its policy is [`ToolPolicy::Deny`] or it is not as somebody approved it;
    /// `Timeout`; what the server's client or the tool says. A tool's own failure is an output.
    pub async fn call(&self, tool: &str, arguments: &Map<String, Value>) -> Result<ToolOutput> {
        self.engine.admit(&self.scope).await?;
        let limit = self.engine.inner.tools.limits.call_time;
        let called = async {
            match tool.split_once('/') {
                Some((server, name)) => self.call_server(server, name, arguments).await,
                None => self.call_here(tool, arguments).await,
            }
        };
        let outcome = timeout(limit, caught(called))
            .await
            .map_err(|_| Error::timeout(format!("`{tool}` did not answer in {} s", limit.as_secs_f64())))?;
        outcome
            .unwrap_or_else(|panic| Err(Error::internal(format!("`{tool}` broke down")).with_source(panic)))
    }

    /// Calls a tool of this process.
    async fn call_here(&self, name: &str, arguments: &Map<String, Value>) -> Result<ToolOutput> {
        let missing =
            || Error::not_found(format!("there is no tool `{name}`; one of a server is `SERVER/TOOL`"));
        let HostTool { tool, handler, policy } = self.engine.inner.tools.named(name).ok_or_else(missing)?;
        if policy == ToolPolicy::Deny {
            return Err(Error::forbidden(format!("`{name}` is not called: its policy is `deny`")));
        }
        let arguments = Value::Object(arguments.clone());
        let schema = ArgumentSchema::compile(&tool.input_schema).map_err(Error::invalid)?;
        schema.check(&arguments).map_err(|why| Error::field("arguments", why))?;
        let key = self.engine.inner.sources.id::<uuid::Uuid>().to_string();
        let context = ToolContext {
            scope: self.scope,
            conversation_id: None,
            run_id: None,
            call_id: key.clone(),
            idempotency_key: key,
            knowledge: Vec::new(),
            caller: Arc::new(Nobody),
            cancelled: CancellationToken::new(),
        };
        handler.call(context, arguments).await
    }

    async fn call_server(
        &self,
        server: &str,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<ToolOutput> {
        let catalog = self.engine.tool_catalog(&self.scope).await?;
        let server = self.engine.with_tools(&self.scope, catalog.named(server)?).await?;
        let tools = self.engine.inner.stores.tool_servers.tools(&self.scope, server.id).await?;
        let Some(listed) = tools.tools.iter().find(|listed| listed.name == name) else {
            return Err(Error::not_found(format!("tool server `{}` lists no tool `{name}`", server.name)));
        };
        let refused =
            |why: &str| Err(Error::forbidden(format!("`{}/{name}` is not called: {why}", server.name)));
        match (tools.state(listed), effective(self.engine.configured_tool_server(&server), &tools, listed)) {
            (ToolState::New | ToolState::Changed, _) => {
                return refused("it is not as somebody approved it; set its policy");
            }
            (_, ToolPolicy::Deny) => return refused("its policy is `deny`"),
            _ => {}
        }
        let endpoint = self.engine.tool_endpoint(&self.scope, &server).await?;
        let key = self.engine.inner.sources.id::<uuid::Uuid>().to_string();
        self.engine.tool_client()?.call(&endpoint, name, arguments, &key, Arc::new(Nobody)).await
    }

    /// The resources of a server and templates of them.
    ///
    /// # Errors
    /// `NotFound`; what the server's client says.
    pub async fn resources(&self, id: ToolServerId) -> Result<Vec<ResourceInfo>> {
        self.engine.admit(&self.scope).await?;
        let endpoint = self.reached(id).await?;
        self.engine.tool_client()?.resources(&endpoint).await
    }

    /// The content of a resource.
    ///
    /// # Errors
    /// `NotFound`; what the server's client says.
    pub async fn read_resource(&self, id: ToolServerId, uri: &str) -> Result<Vec<ToolContent>> {
        self.engine.admit(&self.scope).await?;
        let endpoint = self.reached(id).await?;
        self.engine.tool_client()?.read_resource(&endpoint, uri).await
    }

    /// The prompts of a server.
    ///
    /// # Errors
    /// `NotFound`; what the server's client says.
    pub async fn prompts(&self, id: ToolServerId) -> Result<Vec<ServerPrompt>> {
        self.engine.admit(&self.scope).await?;
        let endpoint = self.reached(id).await?;
        self.engine.tool_client()?.prompts(&endpoint).await
    }

    /// A prompt of a server filled in: its messages, each with its role.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`; what the server's client says.
    pub async fn prompt(
        &self,
        id: ToolServerId,
        name: &str,
        arguments: &BTreeMap<String, String>,
    ) -> Result<Vec<(String, ToolContent)>> {
        self.engine.admit(&self.scope).await?;
        let endpoint = self.reached(id).await?;
        self.engine.tool_client()?.prompt(&endpoint, name, arguments).await
    }

    async fn reached(&self, id: ToolServerId) -> Result<ToolEndpoint> {
        let server = self.engine.inner.stores.tool_servers.get(&self.scope, id).await?;
        if !server.is_enabled {
            return Err(Error::invalid(format!("tool server `{}` is switched off", server.name)));
        }
        self.engine.tool_endpoint(&self.scope, &server).await
    }
}
