//! Which results belong to which calls, where callers bring both.

use std::collections::HashSet;

use super::InputMessage;
use crate::error::{Error, Result};
use crate::message::{Message, Part};

/// Checks that each result among `new` is of a call before it, in `path` or in `new` itself,
/// and that no call has two.
///
/// # Errors
/// `Invalid`, naming the message and the call.
pub(crate) fn check_results(path: &[Message], new: &[InputMessage]) -> Result<()> {
    let is_result = |part: &Part| matches!(part, Part::ToolResult(_));
    if !new.iter().any(|message| message.content.iter().any(is_result)) {
        return Ok(());
    }
    let (mut called, mut returned) = (HashSet::new(), HashSet::new());
    let parts = path.iter().flat_map(|message| &message.content);
    parts.for_each(|part| {
        note(part, &mut called, &mut returned);
    });
    for (n, message) in new.iter().enumerate() {
        for part in &message.content {
            let is_first = note(part, &mut called, &mut returned);
            let Part::ToolResult(result) = part else { continue };
            let id = crate::text::shorten(&result.id, 100);
            let wrong = if !called.contains(result.id.as_str()) {
                format!("No tool call found for function call output with call_id {id}")
            } else if !is_first {
                format!("there are two outputs for the call with call_id {id}; send one")
            } else {
                continue;
            };
            return Err(Error::field(format!("messages[{n}]"), wrong));
        }
    }
    Ok(())
}

/// Takes a call or a result down; false for a result of a call that has one.
fn note<'a>(part: &'a Part, called: &mut HashSet<&'a str>, returned: &mut HashSet<&'a str>) -> bool {
    match part {
        Part::ToolCall(call) => {
            // Some servers count their calls anew in each answer: this one waits for a result.
            returned.remove(call.id.as_str());
            called.insert(call.id.as_str());
            true
        }
        Part::ToolResult(result) => returned.insert(result.id.as_str()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::{MessageRole, ToolCall, ToolResult};

    fn call(id: &str) -> InputMessage {
        InputMessage::new(MessageRole::Assistant, vec![Part::ToolCall(ToolCall::new(id, "f", json!({})))])
    }

    fn result(id: &str) -> InputMessage {
        InputMessage::new(MessageRole::Tool, vec![Part::ToolResult(ToolResult::new(id, "r"))])
    }

    #[test]
    fn each_result_has_its_own_call_before_it() {
        assert!(check_results(&[], &[call("1"), call("2"), result("2"), result("1")]).is_ok());
        // The same id again is another call.
        assert!(check_results(&[], &[call("1"), result("1"), call("1"), result("1")]).is_ok());
        for wrong in
            [vec![result("1")], vec![result("1"), call("1")], vec![call("1"), result("1"), result("1")]]
        {
            let error = check_results(&[], &wrong).unwrap_err();
            assert!(error.message().contains("call_id 1"), "{error}");
        }
    }
}
