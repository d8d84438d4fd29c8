//! What a person does with a tool server themselves, without a model: calls, resources, prompts.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::ToolServers;
use super::policy::effective;
use crate::error::{Error, Result};
use crate::id::ToolServerId;
use crate::tool::{
    Elicitation, ElicitationAnswer, ResourceInfo, ServerPrompt, ToolCaller, ToolContent, ToolEndpoint,
    ToolOutput, ToolPolicy, ToolProgress, ToolState,
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
    /// Calls a tool, `SERVER/TOOL`, for the person who asks: that is their approval where its
    /// policy is [`ToolPolicy::Ask`]. What the tool asks in turn is put away.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if its policy is [`ToolPolicy::Deny`] or it is not as somebody
    /// approved it; what the server's client says. A tool's own failure is an output.
    pub async fn call(&self, tool: &str, arguments: &Map<String, Value>) -> Result<ToolOutput> {
        self.engine.admit(&self.scope).await?;
        let (server, name) = tool
            .split_once('/')
            .ok_or_else(|| Error::invalid(format!("`{tool}` is no tool of a server; it is `SERVER/TOOL`")))?;
        let catalog = self.engine.tool_catalog(&self.scope).await?;
        let server = self.engine.with_tools(&self.scope, catalog.named(server)?).await?;
        let tools = self.engine.inner.stores.tool_servers.tools(&self.scope, server.id).await?;
        let Some(listed) = tools.tools.iter().find(|listed| listed.name == name) else {
            return Err(Error::not_found(format!("tool server `{}` lists no tool `{name}`", server.name)));
        };
        let refused = |why: &str| Err(Error::forbidden(format!("`{tool}` is not called: {why}")));
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
