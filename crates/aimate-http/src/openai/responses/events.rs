//! The events of a response as a pure function of its run's log: the same log gives the same
//! events with the same numbers, whoever asks, whenever, in whatever process.

mod hosted;

use aimate_core::chat::event::ChatEvent;
use aimate_core::message::{Citation, Part, ToolCall, ToolResult};
use aimate_core::usage::TokenUsage;
use aimate_core::{Error, MessageId};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use super::citation::{marked, unmarked};
use super::frame::Frames;
use super::item_kind::ItemKind;
use super::object::{Head, Outcome, State};
use super::output::{function_item, reasoning_item, status, text_item, text_part};
use crate::error::OpenAiError;
use crate::openai::item::{Annotation, ItemCounter};
use crate::openai::write::put;

/// Turns the events of a run into those of a response.
pub(super) struct ResponseEvents {
    pub(super) head: Head,
    frames: Frames,
    /// The answer's message, from which the ids of items are made.
    message: MessageId,
    /// The items that are done, by `output_index`.
    output: Vec<Option<Value>>,
    /// The item that grows.
    open: Option<GrowingItem>,
    /// Calls that have not returned.
    calls: Vec<OpenCall>,
    /// Counts the parts of the answer.
    counter: ItemCounter,
    /// Items before which nothing is taken for reasoning any more.
    settled: usize,
    /// The count of the parts before them.
    settled_counter: ItemCounter,
    /// What the search found.
    pub(super) found: Vec<Citation>,
    has_marks: bool,
    has_begun: bool,
}

/// An item that grows.
struct GrowingItem {
    kind: ItemKind,
    id: String,
    index: usize,
    text: String,
    /// `,"item_id":…,"output_index":…,` and what else each delta begins with.
    delta: Bytes,
}

/// A call that aiMate makes.
struct OpenCall {
    call: ToolCall,
    id: String,
    index: usize,
}

impl ResponseEvents {
    /// Those of a response whose answer is `message`.
    pub(super) fn new(head: Head, message: MessageId, frames: Frames) -> Self {
        Self {
            head,
            frames,
            message,
            output: Vec::new(),
            open: None,
            calls: Vec::new(),
            counter: ItemCounter::default(),
            settled: 0,
            settled_counter: ItemCounter::default(),
            found: Vec::new(),
            has_marks: false,
            has_begun: false,
        }
    }

    /// The next frame to send.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.frames.pop()
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes an event of the run that is not its last.
    pub(super) fn apply(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Started(started) => {
                self.message = started.message_id;
                self.head.model.clone_from(&started.model);
                self.begin();
            }
            ChatEvent::Retrieved { citations } => {
                self.found.clone_from(citations);
                self.close(true);
            }
            ChatEvent::Text { text } => self.more(ItemKind::Message, text),
            ChatEvent::Reasoning { text } => self.more(ItemKind::Reasoning, text),
            ChatEvent::TextWasReasoning => self.text_was_reasoning(),
            ChatEvent::ToolCalled { call } if call.is_made_here => self.called(call),
            ChatEvent::ToolCalled { call } => self.function(call),
            ChatEvent::ToolReturned(result) => self.returned(result),
            // A part of the answer that is no item.
            ChatEvent::Extra { fields } => {
                self.close(true);
                self.place(&Part::Extra { fields: fields.clone() });
            }
            ChatEvent::ApprovalRequired { .. }
            | ChatEvent::ToolProgress { .. }
            | ChatEvent::InputRequired { .. }
            | ChatEvent::Warning { .. }
            | ChatEvent::Finished(_)
            | ChatEvent::Error { .. } => {}
        }
    }

    /// The first events of the response.
    pub(super) fn begin(&mut self) {
        self.has_begun = true;
        let is_background = self.head.echo.is_background();
        let state = if is_background { State::Queued } else { State::InProgress };
        self.response_event("response.created", &Outcome::begun(state));
        if is_background {
            self.response_event("response.queued", &Outcome::begun(State::Queued));
        }
        self.response_event("response.in_progress", &Outcome::begun(State::InProgress));
        self.lists();
        let id = ItemKind::FileSearch.id(self.message, 0);
        let Some(item) = self.head.echo.search_item(&id, "in_progress", &[]) else { return };
        let index = self.add(&item);
        self.search_event("in_progress", &id, index);
        self.search_event("searching", &id, index);
        self.open = Some(GrowingItem {
            kind: ItemKind::FileSearch,
            id,
            index,
            text: String::new(),
            delta: Bytes::new(),
        });
    }

    /// Ends a stream of which nobody knows how it ends: the response may go on.
    pub(super) fn fail(&mut self, error: &Error) {
        let told = serde_json::to_value(OpenAiError::new(error, None)).unwrap_or_default();
        self.frames.go_on();
        // In both forms that are documented: each of the official clients looks for another one.
        self.frames.event("error", |out| {
            out.put_slice(b",\"error\":");
            put(out, told.get("error").unwrap_or(&Value::Null));
            for name in ["code", "message", "param"] {
                out.put_slice(format!(",\"{name}\":").as_bytes());
                put(out, told.pointer(&format!("/error/{name}")).unwrap_or(&Value::Null));
            }
        });
        self.frames.done();
    }

    /// Closes what is open and ends the stream with `last`.
    pub(super) fn finish(&mut self, last: &Outcome) {
        // What the run told first may be lost: readers insist on it all the same.
        if !self.has_begun {
            self.begin();
        }
        self.close_all(last.state.is_whole());
        if matches!(last.state, State::Failed(..)) {
            self.frames.go_on();
        }
        self.last_event(last);
    }

    /// Ends a stream of which nothing is stored: its items are what was sent.
    pub(super) fn finish_with(&mut self, state: State, usage: TokenUsage, now: i64) -> Outcome {
        self.close_all(state.is_whole());
        let last = Outcome { state, output: self.output(), usage: Some(usage), ended_at: Some(now) };
        self.last_event(&last);
        last
    }

    /// The items that are done.
    pub(super) fn output(&self) -> Vec<Value> {
        self.output.iter().flatten().cloned().collect()
    }

    /// Closes what is open.
    pub(super) fn close_all(&mut self, is_whole: bool) {
        self.close_last(is_whole);
        for call in std::mem::take(&mut self.calls) {
            self.end_call(call, None);
        }
    }

    fn response_event(&mut self, name: &str, outcome: &Outcome) {
        let head = &self.head;
        self.frames.event(name, |out| put_response(out, head, outcome));
    }

    fn last_event(&mut self, outcome: &Outcome) {
        let head = &self.head;
        self.frames.event(outcome.state.event(), |out| put_response(out, head, outcome));
        self.frames.done();
    }

    /// Announces an item and gives its place.
    fn add(&mut self, item: &Value) -> usize {
        let index = self.output.len();
        self.output.push(None);
        self.item_event("response.output_item.added", index, item);
        index
    }

    fn done(&mut self, index: usize, item: Value) {
        self.item_event("response.output_item.done", index, &item);
        if let Some(place) = self.output.get_mut(index) {
            *place = Some(item);
        }
    }

    fn item_event(&mut self, name: &str, index: usize, item: &Value) {
        self.frames.event(name, |out| {
            out.put_slice(b",\"output_index\":");
            put(out, &index);
            out.put_slice(b",\"item\":");
            put(out, item);
        });
    }

    fn search_event(&mut self, what: &str, id: &str, index: usize) {
        self.frames.event(&format!("response.file_search_call.{what}"), |out| put_place(out, id, index));
    }

    /// More of an item that grows.
    fn more(&mut self, kind: ItemKind, text: &str) {
        if text.is_empty() {
            return self.nothing(kind);
        }
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close(true);
            self.open_item(kind, text);
        }
        let Some(open) = &mut self.open else { return };
        open.text.push_str(text);
        let name = if kind == ItemKind::Message {
            "response.output_text.delta"
        } else {
            "response.reasoning_text.delta"
        };
        self.frames.event(name, |out| {
            out.put_slice(&open.delta);
            put(out, text);
            if kind == ItemKind::Message {
                out.put_slice(b",\"logprobs\":[]");
            }
        });
    }

    /// A part of the answer that says nothing any more has its place, and is no item.
    fn nothing(&mut self, kind: ItemKind) {
        if kind == ItemKind::Message {
            self.close(true);
            self.place(&Part::text(""));
        }
    }

    /// The place of a part that the answer has now.
    fn place(&mut self, part: &Part) -> u32 {
        self.counter.part(part, false).place
    }

    fn open_item(&mut self, kind: ItemKind, text: &str) {
        let is_text = kind == ItemKind::Message;
        let text = text.to_owned();
        let part = if is_text { Part::Text { text } } else { Part::Reasoning { text, details: None } };
        let id = kind.id(self.message, self.place(&part));
        let item = if is_text {
            json!({"id": id, "type": "message", "role": "assistant", "status": "in_progress", "content": []})
        } else {
            json!({"id": id, "type": "reasoning", "status": "in_progress", "summary": [], "content": []})
        };
        let index = self.add(&item);
        let mut delta = BytesMut::new();
        put_place(&mut delta, &id, index);
        delta.put_slice(b",\"content_index\":0");
        let mut open =
            GrowingItem { kind, id, index, text: String::new(), delta: Bytes::copy_from_slice(&delta) };
        self.part_event("response.content_part.added", &open, &open.part(&[]));
        delta.put_slice(b",\"delta\":");
        open.delta = delta.freeze();
        self.open = Some(open);
    }

    fn part_event(&mut self, name: &str, open: &GrowingItem, part: &Value) {
        let response = self.head.wire_id();
        self.frames.event(name, |out| {
            put_place(out, &open.id, open.index);
            out.put_slice(b",\"content_index\":0,\"part\":");
            put(out, part);
            // Some clients look for it here.
            out.put_slice(b",\"response_id\":");
            put(out, &response);
        });
    }

    /// Closes the item that grows: something else follows it.
    fn close(&mut self, is_whole: bool) {
        self.close_item(is_whole, false);
    }

    /// Closes the item that grows: nothing follows it.
    fn close_last(&mut self, is_whole: bool) {
        self.close_item(is_whole, true);
    }

    fn close_item(&mut self, is_whole: bool, is_last: bool) {
        let Some(open) = self.open.take() else { return };
        let status = status(is_whole);
        match open.kind {
            ItemKind::Message => self.close_text(&open, status, is_last),
            ItemKind::FileSearch => self.close_search(&open),
            _ => {
                self.frames.event("response.reasoning_text.done", |out| {
                    put_place(out, &open.id, open.index);
                    out.put_slice(b",\"content_index\":0,\"text\":");
                    put(out, &open.text);
                });
                self.part_event("response.content_part.done", &open, &open.part(&[]));
                self.done(open.index, reasoning_item(&open.id, &open.text, status));
            }
        }
    }

    fn close_text(&mut self, open: &GrowingItem, status: &str, is_last: bool) {
        let found: Vec<&Citation> = self.found.iter().collect();
        let mut annotations = marked(&open.text, &found);
        self.has_marks |= !annotations.is_empty();
        if is_last && !self.has_marks && self.head.echo.queries.is_some() {
            annotations = unmarked(&open.text, &self.found);
        }
        for (n, annotation) in annotations.iter().enumerate() {
            self.frames.event("response.output_text.annotation.added", |out| {
                put_place(out, &open.id, open.index);
                out.put_slice(b",\"content_index\":0,\"annotation_index\":");
                put(out, &n);
                out.put_slice(b",\"annotation\":");
                put(out, annotation);
            });
        }
        self.frames.event("response.output_text.done", |out| {
            put_place(out, &open.id, open.index);
            out.put_slice(b",\"content_index\":0,\"text\":");
            put(out, &open.text);
            out.put_slice(b",\"logprobs\":[]");
        });
        self.part_event("response.content_part.done", open, &open.part(&annotations));
        self.done(open.index, text_item(&open.id, &open.text, &annotations, status));
    }

    fn close_search(&mut self, open: &GrowingItem) {
        self.search_event("completed", &open.id, open.index);
        if let Some(item) = self.head.echo.search_item(&open.id, "completed", &self.found) {
            self.done(open.index, item);
        }
    }

    /// What was sent as text stays sent; that it was none shows in the response at the end.
    fn text_was_reasoning(&mut self) {
        self.close(true);
        let mut thought = String::new();
        let mut first = None;
        for item in self.output.iter_mut().skip(self.settled) {
            let kind = item.as_ref().and_then(|item| item.get("type")?.as_str()).unwrap_or_default();
            if !matches!(kind, "message" | "reasoning") {
                continue;
            }
            let text = item.as_ref().and_then(|item| item.pointer("/content/0/text")?.as_str());
            thought.push_str(text.unwrap_or_default());
            *item = None;
            first = first.or(Some(item));
        }
        let Some(place) = first else { return };
        self.counter = self.settled_counter;
        let part = Part::Reasoning { text: thought, details: None };
        let id = ItemKind::Reasoning.id(self.message, self.counter.part(&part, false).place);
        let Part::Reasoning { text, .. } = part else { return };
        *place = Some(reasoning_item(&id, &text, "completed"));
    }

    /// A call of the client's own function, which comes whole.
    fn function(&mut self, call: &ToolCall) {
        self.close(true);
        let place = self.place(&Part::ToolCall(call.clone()));
        let id = ItemKind::FunctionCall.id(self.message, place);
        let index = self.add(&function_item(&id, call, "", "in_progress"));
        let arguments = call.arguments_json();
        self.arguments("response.function_call_arguments", &id, index, &call.name, &arguments);
        self.done(index, function_item(&id, call, &arguments, "completed"));
    }

    fn returned(&mut self, result: &ToolResult) {
        self.close(true);
        self.place(&Part::ToolResult(result.clone()));
        (self.settled, self.settled_counter) = (self.output.len(), self.counter);
        let at = self.calls.iter().position(|open| open.call.id == result.id);
        if let Some(at) = at {
            let open = self.calls.remove(at);
            self.end_call(open, Some(result));
        }
    }
}

impl GrowingItem {
    /// Its content.
    fn part(&self, annotations: &[Annotation]) -> Value {
        if self.kind == ItemKind::Message {
            text_part(&self.text, annotations)
        } else {
            json!({"type": "reasoning_text", "text": self.text})
        }
    }
}

fn put_response(out: &mut BytesMut, head: &Head, outcome: &Outcome) {
    out.put_slice(b",\"response\":");
    put(out, &head.response(outcome));
}

/// Writes which item an event is about.
fn put_place(out: &mut BytesMut, id: &str, index: usize) {
    out.put_slice(b",\"item_id\":");
    put(out, id);
    out.put_slice(b",\"output_index\":");
    put(out, &index);
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
