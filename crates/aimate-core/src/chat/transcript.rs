//! An answer as it grows: the fold of its events into parts.

use std::collections::HashSet;

use serde_json::Value;

use super::event::ChatEvent;
use crate::message::{Citation, Part, ToolCall, ToolResult};
use crate::retrieval::citations::{Resolved, resolve};

/// The content of an answer so far. The driver folds what it publishes; recovery
/// folds what was logged; both give the same parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    parts: Vec<Part>,
    /// What the model was shown of the knowledge.
    passages: Vec<Citation>,
    /// Whether its text stays as it was told.
    keeps_text: bool,
}

impl Transcript {
    /// That of an answer that goes on.
    pub(crate) fn of(parts: Vec<Part>, passages: Vec<Citation>) -> Self {
        Self { parts, passages, keeps_text: false }
    }

    /// With its text as it was told, if somebody repeats the events to whom it is an error that the
    /// end says something else.
    pub(crate) fn keeping_text(self, keeps_text: bool) -> Self {
        Self { keeps_text, ..self }
    }

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
            ChatEvent::ToolReturned(result) => self.parts.push(Part::ToolResult(ToolResult::clone(result))),
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

    /// Of the model's last call: what came before tools returned something was told right.
    fn text_was_reasoning(&mut self) {
        let returned = self.parts.iter().rposition(|part| matches!(part, Part::ToolResult(_)));
        for part in self.parts.split_off(returned.map_or(0, |at| at + 1)) {
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

    /// The tool calls that nothing has returned of, in their order.
    pub(crate) fn open_calls(&self) -> Vec<ToolCall> {
        self.open().cloned().collect()
    }

    /// Whether it holds a tool call that nothing has returned of.
    pub(crate) fn has_open_calls(&self) -> bool {
        self.open().next().is_some()
    }

    /// Whether it holds one that aiMate is to make, or to refuse.
    pub(crate) fn has_calls_to_make(&self) -> bool {
        self.open().any(|call| call.is_made_here)
    }

    fn open(&self) -> impl Iterator<Item = &ToolCall> {
        let results = self.parts.iter().filter_map(|part| match part {
            Part::ToolResult(result) => Some(result.id.as_str()),
            _ => None,
        });
        let returned: HashSet<_> = results.collect();
        let calls = self
            .parts
            .iter()
            .filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None });
        calls.filter(move |call| !returned.contains(call.id.as_str()))
    }

    /// Gives a call an id that no call before it has, nor one of `next`: some servers count
    /// from the beginning in each answer.
    pub(crate) fn rename(&self, call: &mut ToolCall, next: &[ChatEvent]) {
        let is_taken = |id: &str| {
            self.parts.iter().any(|part| matches!(part, Part::ToolCall(call) if call.id == id))
                || next.iter().any(|event| matches!(event, ChatEvent::ToolCalled { call } if call.id == id))
        };
        if is_taken(&call.id) {
            let free = (2_u32..).map(|n| format!("{}_{n}", call.id)).find(|id| !is_taken(id));
            call.id = free.unwrap_or_default();
        }
    }

    /// The result of calls of which nobody knows whether they were made, in an answer that
    /// has ended.
    pub(crate) fn close_calls(&mut self, why: &str) -> Vec<ToolResult> {
        let open = self.open_calls().into_iter().filter(|call| call.is_made_here && !call.is_asked());
        let results: Vec<_> = open.map(|call| ToolResult::error(call.id, why)).collect();
        self.parts.extend(results.iter().cloned().map(Part::ToolResult));
        results
    }

    /// The parts, in the order in which they came.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parts, with the marks in them resolved.
    pub(crate) fn into_answer(self) -> Resolved {
        resolve(self.parts, &self.passages, self.keeps_text)
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
