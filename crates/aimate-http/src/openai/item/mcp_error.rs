//! Why a call of a tool server's tool failed, as OpenAI's clients read it.

use serde_json::{Value, json};

/// What a tool said instead of a result.
pub(crate) fn mcp_error(said: &str) -> Value {
    json!({"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": said}]})
}

/// What is told by an error that a client sends back: of that form, of another one, or, as it
/// was once, a text.
pub(super) fn said(error: &Value) -> String {
    let texts = error.get("content").and_then(Value::as_array).map(|content| {
        let texts = content.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
        texts.collect::<Vec<_>>().join("\n\n")
    });
    let message = error.as_str().or_else(|| error.get("message").and_then(Value::as_str));
    texts
        .filter(|text| !text.is_empty())
        .or_else(|| message.map(str::to_owned))
        .unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_form() {
        assert_eq!(said(&mcp_error("no such file")), "no such file");
        assert_eq!(said(&json!("no such file")), "no such file");
        assert_eq!(said(&json!({"type": "http_error", "code": 503, "message": "away"})), "away");
        assert_eq!(said(&json!({"type": "new", "why": 1})), r#"{"type":"new","why":1}"#);
    }
}
