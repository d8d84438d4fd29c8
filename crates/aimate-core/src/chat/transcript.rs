//! An answer as it grows: the fold of its events into parts.

use serde_json::Value;

use super::event::ChatEvent;
use crate::message::{Citation, Part, ToolCall};
use crate::retrieval::citations::{Resolved, resolve};

/// The content of an answer so far. The driver folds what it publishes; recovery
/// folds what was logged; both give the same parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    parts: Vec<Part>,
    /// What the model was shown of the knowledge.
    passages: Vec<Citation>,
}

impl Transcript {
    /// Takes one more event.
    pub(crate) fn apply(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Text { text } => match self.parts.last_mut() {
                Some(Part::Text { text: all }) => all.push_str(text),
                _ => self.parts.push(Part::text(text)),
            },
            ChatEvent::Reasoning { text } => self.reason(text, None),
            ChatEvent::ToolCalled { call } => {
                self.parts.push(Part::ToolCall(ToolCall::clone(call)));
            }
            ChatEvent::TextWasReasoning => self.text_was_reasoning(),
            ChatEvent::Extra { fields } => self.parts.push(Part::Extra { fields: fields.clone() }),
            ChatEvent::Retrieved { citations } => {
                self.passages.clone_from(citations);
            }
            _ => {}
        }
    }

    /// Takes what the provider wants back with the reasoning.
    pub(crate) fn details(&mut self, details: Value) {
        self.reason("", Some(details));
    }

    fn text_was_reasoning(&mut self) {
        for part in std::mem::take(&mut self.parts) {
            match part {
                Part::Text { text } => self.reason(&text, None),
                Part::Reasoning { text, details } => self.reason(&text, details),
                other => self.parts.push(other),
            }
        }
    }

    fn reason(&mut self, more: &str, more_details: Option<Value>) {
        if let Some(Part::Reasoning { text, details }) = self.parts.last_mut() {
            text.push_str(more);
            *details = match (details.take(), more_details) {
                (Some(Value::Array(mut all)), Some(Value::Array(new))) => {
                    all.extend(new);
                    Some(Value::Array(all))
                }
                (old, new) => new.or(old),
            };
        } else {
            self.parts.push(Part::Reasoning { text: more.to_owned(), details: more_details });
        }
    }

    /// Adds a part that the engine itself wants to find again.
    pub(crate) fn mark(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Whether it is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether it holds a tool call.
    pub(crate) fn has_calls(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::ToolCall(_)))
    }

    /// The parts, in the order in which they came.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parts, with the marks in them resolved.
    pub(crate) fn into_answer(self) -> Resolved {
        resolve(self.parts, &self.passages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_and_order_stays() {
        let mut transcript = Transcript::default();
        let text = |text: &str| ChatEvent::Text { text: text.into() };
        let thought = |text: &str| ChatEvent::Reasoning { text: text.into() };
        for event in [thought("h"), thought("m"), text("a"), text("b"), thought("x"), text("c")] {
            transcript.apply(&event);
        }
        let reasoning = |text: &str| Part::Reasoning { text: text.into(), details: None };
        assert_eq!(
            transcript.into_answer().content,
            [reasoning("hm"), Part::text("ab"), reasoning("x"), Part::text("c")]
        );
    }

    #[test]
    fn text_that_was_reasoning_becomes_it() {
        let mut transcript = Transcript::default();
        let text = |text: &str| ChatEvent::Text { text: text.into() };
        for event in [text("so"), text(" it is"), ChatEvent::TextWasReasoning, text("Yes.")] {
            transcript.apply(&event);
        }
        let reasoning = Part::Reasoning { text: "so it is".into(), details: None };
        assert_eq!(transcript.into_answer().content, [reasoning, Part::text("Yes.")]);
    }

    #[test]
    fn lists_of_details_are_joined() {
        let mut transcript = Transcript::default();
        transcript.apply(&ChatEvent::Reasoning { text: "t".into() });
        transcript.details(serde_json::json!([1]));
        transcript.details(serde_json::json!([2]));
        let details = Some(serde_json::json!([1, 2]));
        assert_eq!(transcript.parts(), [Part::Reasoning { text: "t".into(), details }]);
    }
}
