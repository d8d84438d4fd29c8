//! The items of calls that aiMate makes: of tools of tool servers, and searches of the web.

use aimate_core::MessageId;
use aimate_core::message::{ToolCall, ToolResult};
use serde_json::{Value, json};

use super::echo::Echo;
use super::item_kind::ItemKind;
use crate::openai::include::WEB_SOURCES;
use crate::openai::item::{approval_request, is_web_search, mcp_error, search_action, server_and_tool};

/// The item that a call is.
pub(super) fn kind_of(call: &ToolCall) -> ItemKind {
    match call {
        call if !call.is_made_here => ItemKind::FunctionCall,
        call if call.is_asked() => ItemKind::Approval,
        call if is_web_search(call) => ItemKind::WebSearch,
        _ => ItemKind::McpCall,
    }
}

/// A call that aiMate makes, or that a person is asked of, with what it returned, if it has.
pub(super) fn hosted_item(
    echo: &Echo,
    id: &str,
    call: &ToolCall,
    arguments: &str,
    result: Option<&ToolResult>,
    status: &str,
) -> Value {
    match kind_of(call) {
        ItemKind::Approval => {
            let (server, tool) = server_and_tool(call);
            json!({
                "id": id, "type": "mcp_approval_request", "server_label": server, "name": tool,
                "arguments": call.arguments_json(),
            })
        }
        ItemKind::WebSearch => {
            let action = search_action(call, result, echo.includes(WEB_SOURCES));
            json!({"id": id, "type": "web_search_call", "status": status, "action": action})
        }
        _ => mcp_item(id, call, arguments, result, status),
    }
}

/// A call that aiMate makes, with what it returned, if it has.
fn mcp_item(id: &str, call: &ToolCall, arguments: &str, result: Option<&ToolResult>, status: &str) -> Value {
    let (server, tool) = server_and_tool(call);
    let text = result.map(|result| result.text());
    let is_error = result.is_some_and(|result| result.is_error);
    json!({
        "id": id, "type": "mcp_call", "server_label": server, "name": tool,
        "arguments": arguments, "output": text.as_ref().filter(|_| !is_error),
        "error": text.as_ref().filter(|_| is_error).map(|text| mcp_error(text)),
        "approval_request_id": approval_request(call), "status": status,
    })
}

/// What the tool servers of a response list, where nothing before it does.
pub(super) fn list_items(echo: &Echo, message: MessageId) -> Vec<(String, Value)> {
    let listed = (0..).zip(&echo.lists).map(|(place, list)| {
        let id = ItemKind::ListTools.id(message, place);
        let item = json!({
            "id": id, "type": "mcp_list_tools", "server_label": list.label, "tools": list.tools,
            "error": list.error,
        });
        (id, item)
    });
    listed.collect()
}
