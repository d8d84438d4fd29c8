//! Reading OpenAI-like answers, in pieces or whole.

use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::usage::TokenUsage;
use aimate_core::{ErrorKind, Result};
use serde_json::Value;

use super::Dialect;
use super::calls::Calls;
use super::wire::{Choice, Chunk, Delta};
use crate::frame::{Events, Frame};
use crate::http::Peer;
use crate::json::{clean_value, parse};
use crate::stream::{Decoder, Flow, Queue};
use crate::thoughts::Thoughts;

/// The reader of one answer.
///
/// Calls, usage and the reason come last, when the answer ends: servers put
/// them in any order. It is whole once a reason or `[DONE]` came.
pub(crate) struct ChatDecoder {
    dialect: Dialect,
    calls: Calls,
    thoughts: Thoughts,
    details: Vec<Value>,
    usage: Option<TokenUsage>,
    reason: Option<FinishReason>,
    has_refused: bool,
    /// A piece with a choice came.
    has_begun: bool,
    is_done: bool,
    /// The answer comes in one frame.
    is_whole: bool,
}

impl ChatDecoder {
    pub(crate) fn new(dialect: Dialect, request: &ChatRequest) -> Self {
        Self {
            dialect,
            calls: Calls::new(request),
            thoughts: Thoughts::default(),
            details: Vec::new(),
            usage: None,
            reason: None,
            has_refused: false,
            has_begun: false,
            is_done: false,
            is_whole: false,
        }
    }

    /// For an answer that comes in one body.
    pub(crate) fn whole(self) -> Self {
        Self { is_whole: true, ..self }
    }

    fn choice(&mut self, peer: &Peer, choice: Choice<'_>, events: &mut Queue) -> Result<()> {
        if choice.index.count().unwrap_or(0) != 0 {
            return Ok(());
        }
        if let Some(error) = choice.error.filter(|error| !error.is_null()) {
            return Err(peer.complaint(&error));
        }
        self.has_begun = true;
        if let Some(delta) = choice.delta.or(choice.message.map(|message| *message)) {
            self.delta(delta, events);
        }
        match choice.finish_reason.0.as_ref() {
            "" => {}
            "error" if self.dialect == Dialect::OpenRouter => {
                return Err(peer.error(ErrorKind::Upstream, "the server failed in the middle of its answer"));
            }
            reason => self.reason = Some(FinishReason::from(reason.to_owned())),
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta<'_>, events: &mut Queue) {
        let thought = if delta.reasoning.is_empty() { delta.reasoning_content } else { delta.reasoning };
        let mut thought = thought.clean();
        if let Some(Value::Array(details)) = delta.reasoning_details {
            if thought.is_empty() {
                thought = details.iter().filter_map(|detail| detail.get("text")?.as_str()).collect();
                thought.retain(|c| c != '\0');
            }
            details.into_iter().for_each(|detail| self.detail(detail));
        }
        if !thought.is_empty() {
            events.push_back(ProviderEvent::Reasoning(thought));
        }
        if !delta.content.is_empty() {
            self.thoughts.push(delta.content.clean(), events);
        }
        if !delta.refusal.is_empty() {
            self.has_refused = true;
            self.thoughts.push(delta.refusal.clean(), events);
        }
        for (n, mut piece) in delta.tool_calls.into_iter().enumerate() {
            if self.is_whole {
                // Every entry of a whole list is a call of its own.
                #[allow(clippy::cast_precision_loss, reason = "a position in a list")]
                let position = n as f64;
                piece.index.0 = Some(position);
            }
            self.calls.push(piece);
        }
        if let Some(piece) = delta.function_call {
            self.calls.push_legacy(piece);
        }
    }

    /// Adds a piece of reasoning that the provider wants back; pieces of one
    /// text become one, as they were before they were streamed.
    fn detail(&mut self, mut detail: Value) {
        clean_value(&mut detail);
        let Some(last) = self.details.last_mut() else {
            return self.details.push(detail);
        };
        let is_same =
            !self.is_whole && ["type", "index"].iter().all(|name| last.get(name) == detail.get(name));
        let text = ["text", "summary"].into_iter().find(|name| last.get(name).is_some_and(Value::is_string));
        match (text, detail, last) {
            (Some(text), Value::Object(piece), Value::Object(last)) if is_same => {
                for (name, value) in piece {
                    match (last.get_mut(&name), value) {
                        (Some(Value::String(all)), Value::String(more)) if name == text => {
                            all.push_str(&more);
                        }
                        (_, Value::Null) => {}
                        (_, value) => drop(last.insert(name, value)),
                    }
                }
            }
            (_, detail, _) => self.details.push(detail),
        }
    }

    fn details(&mut self, events: &mut Queue) {
        if !self.details.is_empty() {
            events
                .push_back(ProviderEvent::ReasoningDetails(Value::Array(std::mem::take(&mut self.details))));
        }
    }

    /// Calls decide: a model that made some wants them made, whatever reason
    /// its server gives.
    fn reason(&mut self, calls: usize) -> FinishReason {
        match self.reason.take() {
            _ if calls > 0 => FinishReason::ToolCalls,
            _ if self.has_refused => FinishReason::ContentFilter,
            None | Some(FinishReason::ToolCalls) => FinishReason::Stop,
            Some(reason) => reason,
        }
    }
}

impl Decoder for ChatDecoder {
    type Frames = Events;

    fn frame(&mut self, peer: &Peer, frame: &Frame, events: &mut Queue) -> Result<Flow> {
        if frame.data.starts_with(b"[DONE]") {
            self.is_done = true;
            return Ok(Flow::Done);
        }
        let data = frame.data.trim_ascii();
        if data.is_empty() && !self.is_whole {
            return Ok(Flow::More);
        }
        let mut mended = String::new();
        let chunk: Chunk<'_> = match parse(data, &mut mended) {
            Ok(chunk) => chunk,
            Err(_) if data.is_empty() => return Err(peer.empty()),
            Err(_) if data.starts_with(b"<") => return Err(peer.web_page()),
            Err(error) => {
                return Err(
                    peer.nonsense(format_args!("the answer is not what OpenAI's API says ({error})"), data)
                );
            }
        };
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(peer.complaint(&error));
        }
        if &frame.event[..] == b"error" || (self.is_whole && chunk.choices.is_empty()) {
            let body = serde_json::from_slice(data).unwrap_or_default();
            return Err(if chunk.detail.is_some() || &frame.event[..] == b"error" {
                peer.complaint(&body)
            } else {
                peer.nonsense("the answer has no `choices`", data)
            });
        }
        if let Some(usage) = chunk.usage.and_then(|usage| usage.tokens()) {
            self.usage = Some(usage);
        }
        for choice in chunk.choices {
            self.choice(peer, choice, events)?;
        }
        Ok(if self.reason.is_some() { Flow::Finishing } else { Flow::More })
    }

    fn end(&mut self, peer: &Peer, events: &mut Queue) -> Result<()> {
        if !self.has_begun {
            return Err(peer.empty());
        }
        if self.reason.is_none() && !self.is_done && !self.is_whole {
            return Err(peer.cut_off());
        }
        self.thoughts.end(events);
        self.details(events);
        let is_cut = matches!(self.reason, Some(FinishReason::Length | FinishReason::ContentFilter));
        let calls = self.calls.finish(is_cut, events);
        events.extend(self.usage.take().map(ProviderEvent::Usage));
        events.push_back(ProviderEvent::Finish(self.reason(calls)));
        Ok(())
    }

    fn fail(&mut self, events: &mut Queue) {
        self.thoughts.end(events);
        events.extend(self.usage.take().map(ProviderEvent::Usage));
    }
}
