//! The events of what aiMate does for a model: lists of tools, calls, requests of approvals.

use aimate_core::message::{Part, ToolCall, ToolResult};
use bytes::BufMut;
use serde_json::json;

use super::{OpenCall, ResponseEvents, put_place};
use crate::openai::responses::hosted::{hosted_item, kind_of, list_items};
use crate::openai::responses::item_kind::ItemKind;
use crate::openai::responses::output::call_status;
use crate::openai::write::put;

impl ResponseEvents {
    /// What the tool servers list.
    pub(super) fn lists(&mut self) {
        for (id, item) in list_items(&self.head.echo, self.message) {
            let begun = json!({
                "id": id, "type": "mcp_list_tools", "server_label": item.get("server_label"), "tools": [],
                "error": null,
            });
            let index = self.add(&begun);
            self.place_event("response.mcp_list_tools.in_progress", &id, index);
            let has_failed = item.get("error").is_some_and(|error| !error.is_null());
            let end = if has_failed { "failed" } else { "completed" };
            self.place_event(&format!("response.mcp_list_tools.{end}"), &id, index);
            self.done(index, item);
        }
    }

    /// A call that aiMate makes begins, or a person is asked of it.
    pub(super) fn called(&mut self, call: &ToolCall) {
        self.close(true);
        let place = self.place(&Part::ToolCall(call.clone()));
        let kind = kind_of(call);
        let id = kind.id(self.message, place);
        let begun = hosted_item(&self.head.echo, &id, call, "", None, "in_progress");
        let index = self.add(&begun);
        match kind {
            ItemKind::Approval => return self.done(index, begun),
            ItemKind::WebSearch => {
                self.place_event("response.web_search_call.in_progress", &id, index);
                self.place_event("response.web_search_call.searching", &id, index);
            }
            _ => {
                self.place_event("response.mcp_call.in_progress", &id, index);
                let arguments = call.arguments_json();
                self.arguments("response.mcp_call_arguments", &id, index, &call.name, &arguments);
            }
        }
        self.calls.push(OpenCall { call: call.clone(), id, index });
    }

    pub(super) fn end_call(&mut self, open: OpenCall, result: Option<&ToolResult>) {
        let OpenCall { call, id, index } = open;
        let status = call_status(result);
        let end = match (kind_of(&call), status) {
            // There is no event of a search that failed: its item says so.
            (ItemKind::WebSearch, _) => "response.web_search_call.completed",
            (_, "completed") => "response.mcp_call.completed",
            _ => "response.mcp_call.failed",
        };
        self.place_event(end, &id, index);
        let item = hosted_item(&self.head.echo, &id, &call, &call.arguments_json(), result, status);
        self.done(index, item);
    }

    /// The arguments of a call, which come whole.
    pub(super) fn arguments(&mut self, kind: &str, id: &str, index: usize, name: &str, arguments: &str) {
        self.frames.event(&format!("{kind}.delta"), |out| {
            put_place(out, id, index);
            out.put_slice(b",\"delta\":");
            put(out, arguments);
        });
        self.frames.event(&format!("{kind}.done"), |out| {
            put_place(out, id, index);
            out.put_slice(b",\"name\":");
            put(out, name);
            out.put_slice(b",\"arguments\":");
            put(out, arguments);
        });
    }

    fn place_event(&mut self, name: &str, id: &str, index: usize) {
        self.frames.event(name, |out| put_place(out, id, index));
    }
}
