//! Searching the collections of the turn.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::engine::{Engine, Inner};
use crate::error::{Error, Result};
use crate::knowledge::{SearchRequest, SearchResponse};
use crate::tool::{HostTool, ToolContext, ToolHandler, ToolHints, ToolOutput};

/// The tool's name.
const KNOWLEDGE_SEARCH: &str = "knowledge_search";

/// Passages that are returned.
const LIMIT: u64 = 6;
const MAX_LIMIT: u64 = 20;

/// The tool that searches the user's documents.
pub(super) fn knowledge_search(engine: &Arc<Inner>) -> HostTool {
    let schema = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "description": "The question, in plain words."},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT,
                "description": format!("How many passages to return; {LIMIT} if left out.")},
        },
        "required": ["query"],
        "additionalProperties": false,
    });
    let description = "Finds the passages of the user's documents that answer a question best. Returns them numbered, \
        with the document's id, title, page and text.";
    let hints = ToolHints { read_only: Some(true), open_world: Some(false), ..ToolHints::default() };
    HostTool::new(KNOWLEDGE_SEARCH, description, schema, SearchKnowledge(Arc::downgrade(engine)))
        .title("Search documents")
        .hints(hints)
}

/// The engine has the tool, so the tool does not keep the engine.
struct SearchKnowledge(Weak<Inner>);

#[async_trait]
impl ToolHandler for SearchKnowledge {
    async fn call(&self, context: ToolContext, arguments: Value) -> Result<ToolOutput> {
        let query = arguments.get("query").and_then(Value::as_str).unwrap_or_default();
        let limit = arguments.get("limit").and_then(Value::as_u64).unwrap_or(LIMIT).clamp(1, MAX_LIMIT);
        // Of the turn, never of the model: it reaches nothing that the person did not give it.
        let mut request = SearchRequest::new(query).collections(context.knowledge.iter());
        request.limit = u32::try_from(limit).ok();
        let gone = || Error::unavailable("the engine is stopping");
        let engine = Engine { inner: self.0.upgrade().ok_or_else(gone)?, _alive: None };
        let found = engine.knowledge(&context.scope).search(&request).await?;
        Ok(ToolOutput::text(written(&found)))
    }
}

fn written(found: &SearchResponse) -> String {
    let mut text = String::new();
    for (n, hit) in (1..).zip(&found.hits) {
        let page = hit.page.map(|page| format!(", page {page}")).unwrap_or_default();
        text.push_str(&format!("[{n}] {}{page} (document {})\n{}\n\n", hit.title, hit.document_id, hit.text));
    }
    if found.hits.is_empty() {
        text.push_str("No passage was found.\n");
    }
    for warning in &found.warnings {
        text.push_str(&format!("Note: {warning}\n"));
    }
    text.truncate(text.trim_end().len());
    text
}
