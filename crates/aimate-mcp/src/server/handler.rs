//! The protocol's requests, handed to the engine.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aimate_core::{Engine, Error, PageRequest};
use futures_util::FutureExt;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, GetPromptRequestParams, GetPromptResponse,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};

use super::caller::McpCaller;
use super::error::request_failure;
use super::{prompts, resources, tools};

/// How the tools are meant to be used, for the model.
const INSTRUCTIONS: &str = "aiMate keeps this user's documents, in collections, and their conversations with models. \
    `search` finds passages of the documents; `get_document` reads one on, from the passage that was found. Cite the \
    title and page of what you use. `ask` has aiMate's own model answer a question from the documents, with \
    citations, and keeps the exchange as a conversation: it takes seconds to minutes, and `search` is enough where you \
    can answer yourself. Lists come in pages: pass `next_cursor` on as `cursor`. Documents are resources too, at \
    `aimate://documents/ID`.";

/// How long clients may keep the list of tools, which changes with the server's version and
/// the caller's rights alone.
const TOOLS_TTL_MS: u64 = 5 * 60 * 1_000;

/// Serves the engine to one client after the other, or to one alone.
#[derive(Clone)]
pub(super) struct EngineHandler {
    engine: Engine,
    /// The only caller; `None` where each request comes with its own.
    only: Option<McpCaller>,
}

impl EngineHandler {
    /// Each request has its caller among its HTTP parts.
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, only: None }
    }

    /// Every request is of `caller`.
    pub(super) fn for_one(engine: Engine, caller: McpCaller) -> Self {
        Self { engine, only: Some(caller) }
    }

    fn caller(&self, context: &RequestContext<RoleServer>) -> Result<McpCaller, ErrorData> {
        self.only.map_or_else(|| McpCaller::of_request(&context.extensions), Ok)
    }
}

/// Answers a request, unless its client cancels it first. A bug in one must not leave its
/// client without an answer.
async fn answered<T>(
    context: &RequestContext<RoleServer>,
    answer: impl Future<Output = Result<T, ErrorData>>,
) -> Result<T, ErrorData> {
    tokio::select! {
        biased;
        () = context.ct.cancelled() => Err(ErrorData::invalid_request("the request was cancelled", None)),
        answered = AssertUnwindSafe(answer).catch_unwind() => {
            answered.unwrap_or_else(|_| Err(ErrorData::internal_error("the server failed unexpectedly; see its log", None)))
        }
    }
}

/// The page that a request asks for.
fn page(request: Option<&PaginatedRequestParams>) -> Result<PageRequest, ErrorData> {
    let cursor = request.and_then(|request| request.cursor.as_deref());
    PageRequest::new(None, cursor).map_err(|error: Error| request_failure(&error))
}

impl ServerHandler for EngineHandler {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_prompts().enable_resources().enable_tools().build();
        let server = Implementation::new("aimate", env!("CARGO_PKG_VERSION"))
            .with_title("aiMate")
            .with_description("Documents, search with citations, and stored conversations");
        ServerConfig::new(capabilities).with_server_info(server).with_instructions(INSTRUCTIONS)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = self.caller(&context)?;
        let offered = tools::all().iter().filter(|tool| caller.may_write || !tools::writes(&tool.name));
        let list = ListToolsResult::with_all_items(offered.cloned().collect());
        Ok(list.with_ttl_ms(TOOLS_TTL_MS).with_cache_scope(rmcp::model::CacheScope::Private))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = self.caller(&context)?;
        answered(&context, Box::pin(tools::call(&self.engine, caller, request, &context)))
            .await
            .map(Into::into)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let (caller, page) = (self.caller(&context)?, page(request.as_ref())?);
        answered(&context, resources::list(&self.engine, &caller.scope, page)).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(vec![resources::template()]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let caller = self.caller(&context)?;
        let read = resources::read(&self.engine, &caller.scope, &request.uri);
        answered(&context, read).await.map(Into::into)
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let (caller, page) = (self.caller(&context)?, page(request.as_ref())?);
        answered(&context, prompts::list(&self.engine, &caller.scope, page)).await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let caller = self.caller(&context)?;
        let prompt = prompts::get(&self.engine, &caller.scope, &request.name);
        answered(&context, prompt).await.map(Into::into)
    }
}
