//! Items of calls that aiMate makes itself, and of what was decided of them.

use aimate_core::message::{CallApproval, Part, ToolCall, ToolResult};

use super::{Item, ItemStatus, PlacedItem, mcp_error};

/// Under which the tools that are no tool server's are shown.
const OWN_SERVER: &str = "aimate";

/// The tool server and the tool of a call that aiMate makes. Those that it has itself are shown
/// as a server's too: a call of a function would be the client's to make.
pub(crate) fn server_and_tool(call: &ToolCall) -> (&str, &str) {
    let server = call.server.as_deref().unwrap_or(OWN_SERVER);
    let own = call.name.strip_prefix(server).and_then(|rest| rest.strip_prefix("__"));
    (server, own.unwrap_or(&call.name))
}

/// What a person was asked before a call was made, what they said, and why.
pub(super) fn decision(call: &ToolCall) -> Option<(&str, bool, Option<&str>)> {
    match &call.approval {
        Some(CallApproval::Given { request, approve, reason }) => {
            Some((request, *approve, reason.as_deref()))
        }
        _ => None,
    }
}

/// What a person was asked before a call was made.
pub(crate) fn approval_request(call: &ToolCall) -> Option<&str> {
    decision(call).map(|(request, ..)| request)
}

/// The item of a call, before it is known what it returned.
pub(super) fn mcp_call(id: String, call: &ToolCall) -> Item {
    let (server, tool) = server_and_tool(call);
    Item::McpCall {
        id,
        server_label: server.to_owned(),
        name: tool.to_owned(),
        arguments: call.arguments_json(),
        output: None,
        error: None,
        approval_request_id: approval_request(call).map(str::to_owned),
        status: ItemStatus::Incomplete,
    }
}

/// The item of the call that `result` is of, if aiMate made it.
pub(super) fn mcp_call_of<'a>(
    all: &'a mut [PlacedItem],
    content: &[Part],
    result: &ToolResult,
) -> Option<&'a mut PlacedItem> {
    all.iter_mut().find(|placed| {
        let index = placed.parts.first().and_then(|first| content.get(*first as usize));
        matches!(index, Some(Part::ToolCall(call)) if call.id == result.id && call.is_made_here)
    })
}

/// Puts what a tool returned into its call.
pub(super) fn returned(item: &mut Item, result: &ToolResult) {
    if let Item::WebSearchCall { status, .. } = item {
        *status = if result.is_error { ItemStatus::Failed } else { ItemStatus::Completed };
    }
    if let Item::McpCall { output, error, status, .. } = item {
        let text = result.text();
        if result.is_error {
            (*error, *status) = (Some(mcp_error(&text)), ItemStatus::Failed);
        } else {
            (*output, *status) = (Some(text.into_owned()), ItemStatus::Completed);
        }
    }
}
