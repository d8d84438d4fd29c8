//! Searching the web.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::text::shorten;
use crate::tool::{HostTool, ToolContext, ToolHandler, ToolHints, ToolOutput, WebHit, WebSearch};

/// The name of the tool that searches the web.
pub const WEB_SEARCH: &str = "web_search";

/// Characters of a question at most.
const MAX_QUERY: usize = 400;
/// Pages that are returned.
const LIMIT: u64 = 8;
const MAX_LIMIT: u64 = 20;
/// Characters that are shown of what a search engine says of a page.
const MAX_SNIPPET: usize = 600;

/// The tool that searches the web.
pub(crate) fn web_search(search: Arc<dyn WebSearch>) -> HostTool {
    let schema = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "maxLength": MAX_QUERY, "description": "What to look for."},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT,
                "description": format!("How many pages to return; {LIMIT} if left out.")},
        },
        "required": ["query"],
        "additionalProperties": false,
    });
    let description =
        "Searches the web and returns titles, addresses and short extracts of the pages found, numbered.";
    let hints = ToolHints { read_only: Some(true), open_world: Some(true), ..ToolHints::default() };
    HostTool::new(WEB_SEARCH, description, schema, SearchWeb(search)).title("Search the web").hints(hints)
}

struct SearchWeb(Arc<dyn WebSearch>);

#[async_trait]
impl ToolHandler for SearchWeb {
    async fn call(&self, _: ToolContext, arguments: Value) -> Result<ToolOutput> {
        let query = arguments.get("query").and_then(Value::as_str).unwrap_or_default().trim();
        if query.is_empty() || query.chars().count() > MAX_QUERY {
            return Err(Error::field("query", format!("must have 1 to {MAX_QUERY} characters")));
        }
        let limit = arguments.get("limit").and_then(Value::as_u64).unwrap_or(LIMIT).clamp(1, MAX_LIMIT);
        let limit = u32::try_from(limit).unwrap_or(1);
        let mut hits = self.0.search(query, limit).await?;
        hits.truncate(limit as usize);
        Ok(ToolOutput::text(written(&hits)))
    }
}

/// The addresses of the pages that a result of [`WEB_SEARCH`] names, in its order.
pub fn web_sources(result: &str) -> Vec<String> {
    let mut lines = result.lines();
    let mut found: Vec<String> = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with(&format!("[{}] ", found.len() + 1)) {
            found.extend(lines.next().map(str::to_owned));
        }
    }
    found
}

fn written(hits: &[WebHit]) -> String {
    if hits.is_empty() {
        return "No page was found.".to_owned();
    }
    let mut text = String::new();
    for (n, hit) in (1..).zip(hits) {
        let published = hit.published.as_deref().map(|at| format!(" ({at})")).unwrap_or_default();
        text.push_str(&format!("[{n}] {}{published}\n{}\n", shorten(&hit.title, 200), hit.url));
        if !hit.snippet.trim().is_empty() {
            text.push_str(&format!("{}\n", shorten(hit.snippet.trim(), MAX_SNIPPET)));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_numbered_and_short() {
        let mut first = WebHit::new("Boiler", "https://example.org/a", "x".repeat(2_000));
        first.published = Some("2026-05-01".to_owned());
        let text = written(&[first, WebHit::new("B", "https://example.org/b", " ")]);
        assert!(text.starts_with("[1] Boiler (2026-05-01)\nhttps://example.org/a\nxxx"), "{text}");
        assert!(text.ends_with("\n\n[2] B\nhttps://example.org/b"), "{text}");
        assert!(text.chars().count() < 800, "{}", text.len());
        assert_eq!(web_sources(&text), ["https://example.org/a", "https://example.org/b"]);
        assert_eq!(written(&[]), "No page was found.");
        assert!(web_sources(&written(&[])).is_empty());
    }
}
