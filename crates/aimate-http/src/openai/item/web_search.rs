//! Searches of the web as items.

use aimate_core::message::{ToolCall, ToolResult};
use aimate_core::tool::{WEB_SEARCH, web_sources};
use serde_json::{Value, json};

/// Whether a call is one of aiMate's own tool that searches the web.
pub(crate) fn is_web_search(call: &ToolCall) -> bool {
    call.is_made_here && call.server.is_none() && call.name == WEB_SEARCH
}

/// What was searched for, and, with `sources`, which pages were found.
pub(crate) fn search_action(call: &ToolCall, result: Option<&ToolResult>, has_sources: bool) -> Value {
    let query = call.arguments.get("query").and_then(Value::as_str).unwrap_or_default();
    let mut action = json!({"type": "search", "query": query, "queries": [query]});
    if let Some(action) = action.as_object_mut().filter(|_| has_sources) {
        let found = result.filter(|result| !result.is_error).map(|result| web_sources(&result.text()));
        let sources = found.unwrap_or_default().into_iter().map(|url| json!({"type": "url", "url": url}));
        action.insert("sources".to_owned(), sources.collect());
    }
    action
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_shown_where_they_are_asked_for() {
        let mut call = ToolCall::new("c", WEB_SEARCH, json!({"query": "boiler"}));
        assert!(!is_web_search(&call), "a function of the client's may have the name");
        call.is_made_here = true;
        assert!(is_web_search(&call));
        let result = ToolResult::new("c", "[1] Boiler\nhttps://example.org/a\ntext");
        let action = search_action(&call, Some(&result), true);
        assert_eq!(
            (&action["query"], &action["sources"][0]["url"]),
            (&json!("boiler"), &json!("https://example.org/a"))
        );
        assert!(search_action(&call, Some(&result), false).get("sources").is_none());
        let failed = ToolResult::error("c", "[1] x\nhttps://example.org/b");
        assert_eq!(search_action(&call, Some(&failed), true)["sources"], json!([]));
    }
}
