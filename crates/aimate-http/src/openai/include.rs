//! `include`: what more of an answer is asked for.

use std::collections::HashSet;

use aimate_core::Error;

use super::wire_id;
use crate::error::{Failure, Result};

/// The results of a file search.
pub(super) const SEARCH_RESULTS: &str = "file_search_call.results";

/// The pages that a search of the web found.
pub(super) const WEB_SOURCES: &str = "web_search_call.action.sources";

/// What may be asked for.
const KNOWN: [&str; 9] = [
    SEARCH_RESULTS,
    "web_search_call.results",
    WEB_SOURCES,
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "mcp_call.results",
];

/// What a request asks for, each once.
///
/// # Errors
/// `Invalid` for one that nobody knows, naming its place.
pub(super) fn read(given: Vec<String>) -> Result<Vec<String>> {
    if let Some((n, unknown)) = given.iter().enumerate().find(|(_, one)| !is_known(one)) {
        return Err(refused(format!("include[{n}]"), unknown));
    }
    let mut seen = HashSet::new();
    Ok(given.into_iter().filter(|one| seen.insert(one.clone())).collect())
}

/// Checks the fields `include` and `include[]` of a query.
///
/// # Errors
/// `Invalid` for one that nobody knows.
pub(super) fn check(query: Option<&str>) -> Result<()> {
    let fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let asked = fields.filter(|(name, _)| name == "include" || name.starts_with("include["));
    match asked.map(|(_, value)| value).find(|value| !is_known(value)) {
        None => Ok(()),
        Some(unknown) => Err(refused("include".to_owned(), &unknown)),
    }
}

fn is_known(value: &str) -> bool {
    KNOWN.contains(&value)
}

fn refused(path: String, unknown: &str) -> Failure {
    let (shown, known) = (wire_id::shown(unknown), KNOWN.join("`, `"));
    Error::field(path, format!("is `{shown}`; it must be one of `{known}`")).into()
}
