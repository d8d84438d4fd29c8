//! Questions of a server to the person.

use aimate_core::tool::{Elicitation, ElicitationAnswer, ToolCaller};
use rmcp::model::{ElicitResult, ElicitationAction};
use serde_json::{Map, Value};
use url::Url;

/// Characters of a question that are passed on.
const MAX_MESSAGE: usize = 4_000;
/// Bytes that the schema of an answer may have.
const MAX_SCHEMA: usize = 64 * 1024;

/// Asks `caller` what the parameters of `elicitation/create` ask.
pub(super) async fn ask(question: &Value, caller: &dyn ToolCaller) -> ElicitResult {
    let Some(elicitation) = read(question) else {
        tracing::warn!("a tool server asked something that cannot be shown; it was told that nobody answers");
        return nobody();
    };
    let schema = elicitation.schema.clone();
    match caller.elicit(elicitation).await {
        ElicitationAnswer::Accept { content } => {
            let accepted = ElicitResult::new(ElicitationAction::Accept);
            match schema {
                Some(schema) => accepted.with_content(Value::Object(with_defaults(content, &schema))),
                None => accepted,
            }
        }
        ElicitationAnswer::Decline => ElicitResult::new(ElicitationAction::Decline),
        ElicitationAnswer::Cancel => nobody(),
    }
}

/// The answer when there is nobody to ask.
pub(super) fn nobody() -> ElicitResult {
    ElicitResult::new(ElicitationAction::Cancel)
}

fn read(question: &Value) -> Option<Elicitation> {
    let message = question.get("message").and_then(Value::as_str)?;
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    if question.get("mode").and_then(Value::as_str) == Some("url") {
        let url = question.get("url").and_then(Value::as_str)?;
        // The person is to open it: a browser runs what other schemes hold.
        let is_web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        return is_web.then(|| Elicitation::at_url(message, url));
    }
    let schema = question.get("requestedSchema").filter(|schema| schema.is_object())?;
    (schema.to_string().len() <= MAX_SCHEMA).then(|| Elicitation::form(message, schema.clone()))
}

/// `content` with the defaults of the fields that it leaves out.
fn with_defaults(mut content: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(default) = field.get("default") {
            content.entry(name.clone()).or_insert_with(|| default.clone());
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aimate_core::tool::ToolProgress;
    use async_trait::async_trait;
    use serde_json::json;

    use super::*;

    struct Person(ElicitationAnswer, Mutex<Vec<Elicitation>>);

    #[async_trait]
    impl ToolCaller for Person {
        fn progress(&self, _: ToolProgress) {}

        async fn elicit(&self, question: Elicitation) -> ElicitationAnswer {
            self.1.lock().unwrap().push(question);
            self.0.clone()
        }
    }

    async fn answer(question: Value, answer: ElicitationAnswer) -> (Value, Vec<Elicitation>) {
        let person = Person(answer, Mutex::default());
        let result = ask(&question, &person).await;
        (serde_json::to_value(result).unwrap(), person.1.into_inner().unwrap())
    }

    #[allow(clippy::needless_pass_by_value, reason = "reads better where `json!` makes it")]
    fn accept(content: Value) -> ElicitationAnswer {
        ElicitationAnswer::Accept { content: content.as_object().unwrap().clone() }
    }

    #[tokio::test]
    async fn fields_left_out_take_their_defaults() {
        let schema = json!({"type": "object", "properties": {
            "name": {"type": "string", "default": "Jo"}, "age": {"type": "integer", "default": 30},
            "note": {"type": "string"},
        }});
        let question = json!({"message": "Who?", "requestedSchema": schema});
        let (result, asked) = answer(question, accept(json!({"age": 4}))).await;
        assert_eq!(result, json!({"action": "accept", "content": {"name": "Jo", "age": 4}}));
        assert_eq!(asked, [Elicitation::form("Who?", schema)]);
    }

    #[tokio::test]
    async fn person_is_sent_to_web_pages_alone() {
        let question = |url: &str| json!({"mode": "url", "message": "Pay", "url": url, "elicitationId": "1"});
        let (result, asked) = answer(question("https://pay.example.org/1"), accept(json!({}))).await;
        assert_eq!(result, json!({"action": "accept"}));
        assert_eq!(asked, [Elicitation::at_url("Pay", "https://pay.example.org/1")]);
        for url in ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "nowhere", ""] {
            let (result, asked) = answer(question(url), accept(json!({}))).await;
            assert_eq!((result, asked), (json!({"action": "cancel"}), vec![]), "{url}");
        }
    }

    #[tokio::test]
    async fn question_that_cannot_be_shown_is_cancelled() {
        let large = json!({"type": "object", "description": "x".repeat(MAX_SCHEMA)});
        for question in [
            json!({}),
            json!({"message": 1, "requestedSchema": {}}),
            json!({"message": "?", "requestedSchema": "string"}),
            json!({"message": "?", "requestedSchema": large}),
        ] {
            let (result, asked) = answer(question, ElicitationAnswer::Decline).await;
            assert_eq!((result, asked), (json!({"action": "cancel"}), vec![]));
        }
        let question = json!({"message": "?", "requestedSchema": {"type": "object"}});
        let (result, _) = answer(question, ElicitationAnswer::Decline).await;
        assert_eq!(result, json!({"action": "decline"}));
    }
}
