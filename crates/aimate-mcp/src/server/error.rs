//! Errors of the engine in the protocol's terms.

use aimate_core::{Error, ErrorKind};
use rmcp::model::{CallToolResult, ContentBlock, ErrorData};

/// A tool's failure as its result, so that the model reads what was wrong. The cause goes to
/// the log alone.
pub(super) fn tool_failure(error: &Error) -> CallToolResult {
    note(error);
    CallToolResult::error(vec![ContentBlock::text(sentence(error))])
}

/// A failure to list or to get something.
pub(super) fn request_failure(error: &Error) -> ErrorData {
    note(error);
    let message = sentence(error);
    match error.kind() {
        ErrorKind::NotFound => ErrorData::resource_not_found(message, None),
        ErrorKind::Internal | ErrorKind::Upstream | ErrorKind::Unavailable | ErrorKind::Timeout => {
            ErrorData::internal_error(message, None)
        }
        _ => ErrorData::invalid_params(message, None),
    }
}

fn sentence(error: &Error) -> String {
    match error.retry_after() {
        Some(wait) => format!("{error} (in {} s)", wait.as_secs().max(1)),
        None => error.to_string(),
    }
}

fn note(error: &Error) {
    if error.kind() == ErrorKind::Internal {
        tracing::error!(cause = ?error, "an MCP request failed");
    } else {
        tracing::debug!(cause = ?error, "an MCP request failed");
    }
}
