//! Paging through a result that was too long to be shown at once.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::tool::{HostTool, ToolContext, ToolHandler, ToolHints, ToolOutput, ToolOutputStore};

/// The tool's name.
pub(crate) const READ_OUTPUT: &str = "read_tool_output";

/// Bytes that are read at once.
const PAGE: usize = 16 * 1024;

/// The tool that pages through results of the conversation.
pub(crate) fn read_output(outputs: Arc<dyn ToolOutputStore>) -> HostTool {
    let schema = json!({
        "type": "object",
        "properties": {
            "handle": {"type": "string", "description": "The handle in the result that was cut."},
            "offset": {"type": "integer", "minimum": 0, "description": "The byte to read on from."},
        },
        "required": ["handle", "offset"],
    });
    let description = "Reads on in a tool's result that was too long to be shown whole.";
    let hints = ToolHints { read_only: Some(true), idempotent: Some(true), ..ToolHints::default() };
    HostTool::new(READ_OUTPUT, description, schema, ReadOutput(outputs)).hints(hints)
}

struct ReadOutput(Arc<dyn ToolOutputStore>);

#[async_trait]
impl ToolHandler for ReadOutput {
    async fn call(&self, context: ToolContext, arguments: Value) -> Result<ToolOutput> {
        let handle = arguments.get("handle").and_then(Value::as_str).unwrap_or_default();
        let offset = arguments.get("offset").and_then(Value::as_u64).unwrap_or_default();
        let Some(conversation) = context.conversation_id else {
            return Err(Error::not_found("results are kept in conversations alone"));
        };
        let piece = self.0.read(&context.scope, conversation, handle.trim().parse()?, offset, PAGE).await?;
        let end = piece.offset + piece.text.len() as u64;
        let total = piece.total;
        let note = if end < total {
            format!("[Bytes {} to {end} of {total}; read on from {end}.]", piece.offset)
        } else {
            format!("[Bytes {} to {end} of {total}: the end.]", piece.offset)
        };
        Ok(ToolOutput::text(format!("{}\n\n{note}", piece.text)))
    }
}
