//! The tools.

mod ask;
mod conversations;
mod documents;
mod search;

use std::sync::{Arc, LazyLock};

use aimate_core::{Engine, PageRequest, Result};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ContentBlock, ErrorData, JsonObject, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::Serialize;

use super::caller::McpCaller;
use super::error::tool_failure;

const SEARCH: &str = "search";
const ASK: &str = "ask";
const LIST_DOCUMENTS: &str = "list_documents";
const GET_DOCUMENT: &str = "get_document";
const LIST_CONVERSATIONS: &str = "list_conversations";
const GET_CONVERSATION: &str = "get_conversation";

/// What a request calls, for limits that whoever has the server keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CalledTool {
    /// The tool that asks a model, and stores the exchange.
    Ask,
    /// The tool that searches the documents.
    Search,
    /// One that only reads.
    Other,
}

impl CalledTool {
    /// Of the body of a request; `None` if it calls no tool.
    pub fn of_message(body: &[u8]) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Message<'m> {
            #[serde(borrow)]
            method: std::borrow::Cow<'m, str>,
            #[serde(borrow, default)]
            params: Option<Params<'m>>,
        }
        #[derive(serde::Deserialize)]
        struct Params<'m> {
            #[serde(borrow, default)]
            name: Option<std::borrow::Cow<'m, str>>,
        }
        let message: Message<'_> = serde_json::from_slice(body).ok()?;
        if message.method != "tools/call" {
            return None;
        }
        match message.params?.name?.as_ref() {
            ASK => Some(Self::Ask),
            SEARCH => Some(Self::Search),
            _ => Some(Self::Other),
        }
    }
}

/// Whether a tool stores something.
pub(super) fn writes(name: &str) -> bool {
    name == ASK
}

/// The tools, always in this order, so that a prompt that holds them stays the same.
pub(super) fn all() -> &'static [Tool] {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
        vec![
            search::tool(),
            ask::tool(),
            documents::list_tool(),
            documents::get_tool(),
            conversations::list_tool(),
            conversations::get_tool(),
        ]
    });
    &TOOLS
}

/// Calls a tool. What fails is a result that says why; an error is for what is no call of a
/// tool.
pub(super) async fn call(
    engine: &Engine,
    caller: McpCaller,
    request: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> std::result::Result<CallToolResult, ErrorData> {
    let (scope, arguments) = (&caller.scope, request.arguments);
    if writes(&request.name) && !caller.may_write {
        let why =
            "this tool stores the exchange, and the credential may only read; one with the scope `write` may";
        return Ok(tool_failure(&aimate_core::Error::forbidden(why)));
    }
    let result = match request.name.as_ref() {
        SEARCH => search::call(engine, scope, arguments).await,
        ASK => ask::call(engine, scope, arguments, context).await,
        LIST_DOCUMENTS => documents::list(engine, scope, arguments).await,
        GET_DOCUMENT => documents::get(engine, scope, arguments).await,
        LIST_CONVERSATIONS => conversations::list(engine, scope, arguments).await,
        GET_CONVERSATION => conversations::get(engine, scope, arguments).await,
        _ => {
            let message = "there is no tool of this name; `tools/list` has all";
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    Ok(result.unwrap_or_else(|error| tool_failure(&error)))
}

/// A tool that changes nothing.
fn reading(
    name: &'static str,
    title: &str,
    description: &'static str,
    schemas: (Arc<JsonObject>, Arc<JsonObject>),
) -> Tool {
    let (input, output) = schemas;
    Tool::new(name, description, input).with_title(title).with_raw_output_schema(output).with_annotations(
        ToolAnnotations::with_title(title)
            .read_only(true)
            .idempotent(true)
            .destructive(false)
            .open_world(false),
    )
}

/// A result as a value and, for models that are shown no values, as `text`.
fn result(value: &impl Serialize, text: Option<String>) -> Result<CallToolResult> {
    let value = serde_json::to_value(value).map_err(|error| {
        aimate_core::Error::internal("the result could not be written").with_source(error)
    })?;
    let text = text.unwrap_or_else(|| value.to_string());
    let mut result = CallToolResult::structured(value);
    result.content = vec![ContentBlock::text(text)];
    Ok(result)
}

/// The page that arguments ask for.
fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<PageRequest> {
    PageRequest::new(limit.or(Some(20)), cursor.filter(|cursor| !cursor.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_says_what_it_takes_returns_and_does() {
        let names: Vec<_> = all().iter().map(|tool| tool.name.as_ref()).collect();
        let expected = [SEARCH, ASK, LIST_DOCUMENTS, GET_DOCUMENT, LIST_CONVERSATIONS, GET_CONVERSATION];
        assert_eq!(names, expected);
        for tool in all() {
            let name = &tool.name;
            assert!(tool.description.as_ref().is_some_and(|text| text.len() > 40), "{name}");
            assert_eq!(tool.input_schema["type"], "object", "{name}");
            assert_eq!(tool.output_schema.as_ref().unwrap()["type"], "object", "{name}");
            let whole = serde_json::to_string(&(&tool.input_schema, &tool.output_schema)).unwrap();
            for odd in ["$ref", "$defs", "\"format\""] {
                assert!(!whole.contains(odd), "{name}: {whole}");
            }
            for (field, schema) in tool.input_schema["properties"].as_object().unwrap() {
                assert!(schema["description"].is_string(), "{name}.{field}");
            }
            let hints = tool.annotations.as_ref().unwrap();
            assert_eq!(hints.read_only_hint, Some(!writes(name)), "{name}");
        }
    }

    #[test]
    fn called_tool_is_told_from_the_message() {
        let of = |body: &str| CalledTool::of_message(body.as_bytes());
        let call = |name: &str| {
            of(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#))
        };
        assert_eq!(call("ask"), Some(CalledTool::Ask));
        assert_eq!(call("\\u0061sk"), Some(CalledTool::Ask), "however it is written");
        assert_eq!(call("search"), Some(CalledTool::Search));
        assert_eq!(call("get_document"), Some(CalledTool::Other));
        assert_eq!(of(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#), None);
        assert_eq!(of("no JSON"), None);
    }
}
