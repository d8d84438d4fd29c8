//! `include`: what more of an answer is asked for.

use aimate_core::Error;

use super::wire_id;
use crate::error::Result;

/// What may be asked for.
const KNOWN: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

/// Checks the fields `include` and `include[]` of a query.
///
/// # Errors
/// `Invalid` for one that nobody knows.
pub(super) fn check(query: Option<&str>) -> Result<()> {
    let fields: Vec<(String, String)> =
        serde_urlencoded::from_str(query.unwrap_or_default()).unwrap_or_default();
    let asked = fields.iter().filter(|(name, _)| name == "include" || name.starts_with("include["));
    match asked.map(|(_, value)| value.as_str()).find(|value| !KNOWN.contains(value)) {
        None => Ok(()),
        Some(unknown) => {
            let (shown, known) = (wire_id::shown(unknown), KNOWN.join("`, `"));
            Err(Error::field("include", format!("is `{shown}`; it must be of `{known}`")).into())
        }
    }
}
