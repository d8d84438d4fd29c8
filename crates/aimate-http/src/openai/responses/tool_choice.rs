//! What of `tool_choice` is stored and shown again: its known fields, and nothing that was pasted in.

use serde_json::{Map, Value};

/// The fields of a choice, and of each tool that it lists.
const FIELDS: [&str; 5] = ["type", "name", "mode", "server_label", "tools"];

/// A checked choice, of its known fields.
pub(super) fn known(choice: &Value) -> Value {
    let Value::Object(fields) = choice else { return choice.clone() };
    let known = FIELDS.into_iter().filter_map(|name| {
        let value = match (name, fields.get(name)?) {
            ("tools", Value::Array(tools)) => tools.iter().map(known).collect(),
            (_, text @ Value::String(_)) => text.clone(),
            _ => return None,
        };
        Some((name.to_owned(), value))
    });
    Value::Object(known.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_pasted_in_is_left_out() {
        assert_eq!(known(&json!("auto")), json!("auto"));
        let choice = json!({
            "type": "allowed_tools", "mode": "auto", "authorization": "secret",
            "tools": [{"type": "mcp", "server_label": "s", "headers": {"authorization": "secret"}}],
        });
        let tools = json!([{"type": "mcp", "server_label": "s"}]);
        assert_eq!(known(&choice), json!({"type": "allowed_tools", "mode": "auto", "tools": tools}));
    }
}
