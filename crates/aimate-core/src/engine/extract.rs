//! Answers as values of a type.

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;

use super::Engine;
use crate::chat::event::Finished;
use crate::chat::{InputMessage, Turn, TurnInput};
use crate::error::{Error, ErrorReason, Result};
use crate::limit;
use crate::message::{MessageRole, Part, text_of};
use crate::provider::ResponseFormat;
use crate::scope::Scope;
use crate::text::shorten;

/// Characters of what is wrong with an answer that the model is told.
const MAX_TOLD: usize = 1_000;
/// Characters of a schema's name.
const MAX_NAME: usize = 64;

impl Engine {
    /// Answers a turn with a value of type `T`: the model gets the type's JSON Schema
    /// as the form of its answer. An answer that is no `T` is sent back once with what
    /// is wrong with it. Both turns are stored, in the turn's conversation or a new one.
    ///
    /// # Errors
    /// As for [`Engine::chat`]; what the run failed with; `Upstream` with
    /// [`ErrorReason::NotOfType`] if the second answer is no `T` either; `Invalid` if the
    /// turn has a form of its answer already.
    pub async fn extract<T: JsonSchema + DeserializeOwned>(&self, scope: &Scope, turn: Turn) -> Result<T> {
        if turn.response_format.is_some() {
            return Err(Error::field("response_format", "is given by the type that is wanted; leave it out"));
        }
        let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
        let name = name(&T::schema_name());
        let turn =
            turn.response_format(ResponseFormat::JsonSchema { name: name.clone(), schema, strict: None });
        let first = self.chat(scope, turn.clone()).await?.finished().await?;
        let wrong = match value::<T>(&first) {
            Ok(value) => return Ok(value),
            Err(wrong) => wrong,
        };
        // What is wrong may quote the answer, which is not the log's.
        tracing::info!(run_of = %first.message.id, "an answer is not of its type; it is asked for once more");
        let second = self.chat(scope, repair(turn, &first, &wrong)).await?.finished().await?;
        value(&second).map_err(|wrong| {
            Error::upstream(format!("the model's answer is no `{name}`, nor is its second one: {wrong}"))
                .with_reason(ErrorReason::NotOfType)
        })
    }
}

/// The turn that asks the same model for its answer once more.
fn repair(turn: Turn, first: &Finished, wrong: &str) -> Turn {
    let told = format!(
        "That is not what was asked for: {wrong}. Answer again, with nothing but one JSON value that follows the schema."
    );
    let message = InputMessage::new(MessageRole::User, vec![Part::text(told)]);
    let client_id = turn.client_id.map(|id| format!("{id}/again"));
    let client_id = client_id.filter(|id| id.chars().count() <= limit::CLIENT_ID);
    Turn {
        conversation: Some(first.message.conversation_id),
        new_conversation: None,
        workspace: None,
        input: TurnInput::Messages(vec![message]),
        parent: Some(first.message.id),
        model: first.message.model.clone().or(turn.model),
        // The question has its passages already.
        knowledge: Some(Vec::new()),
        retrievers: Vec::new(),
        passages: Vec::new(),
        retry: turn.retry && client_id.is_some(),
        client_id,
        ..turn
    }
}

/// The value that an answer is, or what is wrong with it.
fn value<T: DeserializeOwned>(finished: &Finished) -> Result<T, String> {
    let text = text_of(&finished.message.content);
    serde_json::from_str(json_of(&text)).map_err(|error| shorten(&error.to_string(), MAX_TOLD))
}

/// The JSON in an answer: all of it, or what is in its code block.
fn json_of(text: &str) -> &str {
    let text = text.trim();
    let Some(block) = text.strip_prefix("```") else { return text };
    let body = block.split_once('\n').map_or(block, |(_, body)| body).trim_end();
    body.strip_suffix("```").unwrap_or(body).trim()
}

/// A type's name as servers take it: letters, digits, `_` and `-`.
fn name(type_name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String =
        type_name.chars().map(|c| if is_allowed(c) { c } else { '_' }).take(MAX_NAME).collect();
    if name.is_empty() { "value".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_in_a_code_block() {
        for text in [
            "{\"a\":1}",
            " {\"a\":1}\n",
            "```json\n{\"a\":1}\n```",
            "```\n{\"a\":1}```",
            "```json\n{\"a\":1}",
        ] {
            assert_eq!(json_of(text), "{\"a\":1}", "{text}");
        }
        assert_eq!(json_of("no JSON"), "no JSON");
        assert_eq!(json_of("```"), "");
    }

    #[test]
    fn name_is_one_that_servers_take() {
        assert_eq!(name("Map_of_Ticket"), "Map_of_Ticket");
        assert_eq!(name("Ticket<é>"), "Ticket___");
        assert_eq!(name(""), "value");
        assert_eq!(name(&"x".repeat(100)).len(), 64);
    }
}
