//! The tool `web_search`: the engine's own search of the web.

use aimate_core::Error;
use aimate_core::tool::WEB_SEARCH;
use serde_json::{Value, json};

use super::word::one_of;
use crate::app::App;
use crate::error::{Failure, Result};

const SIZES: [&str; 3] = ["low", "medium", "high"];

/// A search of the web that the model may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebSearchTool {
    /// Where it stands in the request.
    path: String,
}

/// Whether a type of a tool is a search of the web.
pub(super) fn is_kind(kind: &str) -> bool {
    kind == "web_search"
        || kind == "web_search_preview"
        || kind.starts_with("web_search_20")
        || kind.starts_with("web_search_preview_20")
}

/// Reads the tool at `path`, and gives it as the response repeats it.
pub(super) fn read(tool: &Value, path: &str) -> Result<(WebSearchTool, Value)> {
    let present = |name: &str| tool.get(name).filter(|value| !value.is_null());
    if let Some(filters) = present("filters") {
        let domains = filters.get("allowed_domains").filter(|domains| !domains.is_null());
        if domains.is_some_and(|domains| domains.as_array().is_none_or(|list| !list.is_empty())) {
            let why = "is not supported: the search engine searches all of the web; leave it out";
            return Err(Failure::unsupported(format!("{path}.filters.allowed_domains"), why));
        }
    }
    let size = match present("search_context_size") {
        None => "medium",
        Some(Value::String(size)) => {
            one_of(&format!("{path}.search_context_size"), Some(size), &SIZES)?;
            size
        }
        Some(_) => return Err(Error::field(format!("{path}.search_context_size"), "must be a text").into()),
    };
    let kind = tool.get("type").and_then(Value::as_str).filter(|kind| kind.len() <= 64);
    let echoed = json!({"type": kind, "search_context_size": size, "user_location": null});
    Ok((WebSearchTool { path: path.to_owned() }, echoed))
}

impl WebSearchTool {
    /// Whether this server searches the web.
    ///
    /// # Errors
    /// `Unsupported` if it does not.
    pub(super) fn check(&self, app: &App) -> Result<()> {
        if app.engine.registered_tools().iter().any(|registered| registered.tool.name == WEB_SEARCH) {
            return Ok(());
        }
        let why = "is not supported: no search engine is configured on this server";
        Err(Failure::unsupported(format!("{}.type", self.path), why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_search_cannot_do_is_refused() {
        assert!(read(&json!({"type": "web_search", "filters": {"allowed_domains": []}}), "t").is_ok());
        for (tool, path) in [
            (json!({"filters": {"allowed_domains": ["a.example"]}}), "t.filters.allowed_domains"),
            (json!({"search_context_size": "huge"}), "t.search_context_size"),
            (json!({"search_context_size": 3}), "t.search_context_size"),
        ] {
            let failure = read(&tool, "t").unwrap_err();
            assert_eq!(serde_json::to_value(failure.openai_error()).unwrap()["error"]["param"], path);
        }
        assert!(is_kind("web_search_2025_08_26") && !is_kind("web_searches"));
    }
}
