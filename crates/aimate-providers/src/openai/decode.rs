//! Decodes answers of OpenAI-compatible servers, streamed or whole.

use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::usage::TokenUsage;
use aimate_core::{ErrorKind, Result, WarningCode};
use serde_json::Value;

use super::calls::Calls;
use super::dialect::Dialect;
use super::wire::{Choice, Chunk, Delta};
use crate::frame::{Events, Frame};
use crate::http::UpstreamErrors;
use crate::json::{clean_value, parse};
use crate::stream::{Decoder, EventQueue, Flow};
use crate::think_tags::ThinkTagParser;

/// Decodes one answer.
///
/// Calls, usage and finish reason are emitted at the end, since servers send them
/// in any order. The answer is complete once a reason or `[DONE]` arrived.
pub(crate) struct OpenAiDecoder {
    dialect: Dialect,
    calls: Calls,
    think_tags: ThinkTagParser,
    details: Vec<Value>,
    /// Bytes that they may still have.
    details_left: usize,
    usage: Option<TokenUsage>,
    reason: Option<FinishReason>,
    has_refused: bool,
    /// A choice has arrived.
    has_begun: bool,
    is_done: bool,
    /// The answer is one frame.
    is_whole: bool,
}

impl OpenAiDecoder {
    pub(crate) fn new(dialect: Dialect, request: &ChatRequest) -> Self {
        Self {
            dialect,
            calls: Calls::new(request),
            think_tags: ThinkTagParser::default(),
            details: Vec::new(),
            details_left: request.limits.reasoning,
            usage: None,
            reason: None,
            has_refused: false,
            has_begun: false,
            is_done: false,
            is_whole: false,
        }
    }

    /// For an answer in one body.
    pub(crate) fn whole(self) -> Self {
        Self { is_whole: true, ..self }
    }

    fn choice(&mut self, errors: &UpstreamErrors, choice: Choice<'_>, events: &mut EventQueue) -> Result<()> {
        if choice.index.count().unwrap_or(0) != 0 {
            return Ok(());
        }
        if let Some(error) = choice.error.filter(|error| !error.is_null()) {
            return Err(errors.error_object(&error));
        }
        self.has_begun = true;
        if let Some(delta) = choice.delta.or(choice.message.map(|message| *message)) {
            self.delta(delta, events);
        }
        match choice.finish_reason.0.as_ref() {
            "" => {}
            "error" if self.dialect == Dialect::OpenRouter => {
                return Err(
                    errors.error(ErrorKind::Upstream, "the server failed in the middle of its answer")
                );
            }
            reason => self.reason = Some(FinishReason::from(reason.to_owned())),
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta<'_>, events: &mut EventQueue) {
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
            self.think_tags.push(delta.content.clean(), events);
        }
        if !delta.refusal.is_empty() {
            self.has_refused = true;
            self.think_tags.push(delta.refusal.clean(), events);
        }
        for (n, mut piece) in delta.tool_calls.into_iter().enumerate() {
            if self.is_whole {
                // Each entry of a complete list is a call of its own.
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

    /// Adds a piece of reasoning that must be sent back to the provider. Pieces of
    /// one text are joined, as they were before streaming.
    fn detail(&mut self, mut detail: Value) {
        clean_value(&mut detail);
        self.details_left = self.details_left.saturating_sub(detail.to_string().len());
        if self.details_left == 0 {
            // Half of it is of no use to the provider.
            return self.details.clear();
        }
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

    fn details(&mut self, events: &mut EventQueue) {
        if !self.details.is_empty() {
            events
                .push_back(ProviderEvent::ReasoningDetails(Value::Array(std::mem::take(&mut self.details))));
        }
    }

    /// Calls take precedence: a model that made some expects their results,
    /// whatever reason its server sends.
    fn reason(&mut self, calls: usize) -> FinishReason {
        match self.reason.take() {
            _ if calls > 0 => FinishReason::ToolCalls,
            _ if self.has_refused => FinishReason::ContentFilter,
            None | Some(FinishReason::ToolCalls) => FinishReason::Stop,
            Some(reason) => reason,
        }
    }
}

impl Decoder for OpenAiDecoder {
    type Frames = Events;

    fn frame(&mut self, errors: &UpstreamErrors, frame: &Frame, events: &mut EventQueue) -> Result<Flow> {
        if frame.data.starts_with(b"[DONE]") {
            self.is_done = true;
            return Ok(Flow::Done);
        }
        let data = frame.data.trim_ascii();
        if data.is_empty() && !self.is_whole {
            return Ok(Flow::More);
        }
        let mut repaired = String::new();
        let chunk: Chunk<'_> = match parse(data, &mut repaired) {
            Ok(chunk) => chunk,
            Err(_) if data.is_empty() => return Err(errors.empty_response()),
            Err(_) if data.starts_with(b"<") => return Err(errors.web_page()),
            Err(error) => {
                return Err(errors.invalid_response(
                    format_args!("the response does not follow OpenAI's API ({error})"),
                    data,
                ));
            }
        };
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(errors.error_object(&error));
        }
        if &frame.event[..] == b"error" || (self.is_whole && chunk.choices.is_empty()) {
            let body = serde_json::from_slice(data).unwrap_or_default();
            return Err(if chunk.detail.is_some() || &frame.event[..] == b"error" {
                errors.error_object(&body)
            } else {
                errors.invalid_response("the response has no `choices`", data)
            });
        }
        if let Some(usage) = chunk.usage.and_then(|usage| usage.tokens()) {
            self.usage = Some(usage);
        }
        for choice in chunk.choices {
            self.choice(errors, choice, events)?;
        }
        if let Some(limit) = self.calls.reached() {
            self.reason = Some(FinishReason::Length);
            events.push_back(ProviderEvent::Warning {
                code: WarningCode::AnswerCut,
                detail: format!(
                    "the answer was cut at the limit of {limit} bytes of arguments of one tool call"
                ),
            });
            return Ok(Flow::Done);
        }
        Ok(if self.reason.is_some() { Flow::Finishing } else { Flow::More })
    }

    fn end(&mut self, errors: &UpstreamErrors, events: &mut EventQueue) -> Result<()> {
        if !self.has_begun {
            return Err(errors.empty_response());
        }
        if self.reason.is_none() && !self.is_done && !self.is_whole {
            return Err(errors.truncated());
        }
        self.think_tags.finish(events);
        self.details(events);
        let is_cut = matches!(self.reason, Some(FinishReason::Length | FinishReason::ContentFilter));
        let calls = self.calls.finish(is_cut, events);
        events.extend(self.usage.take().map(ProviderEvent::Usage));
        events.push_back(ProviderEvent::Finish(self.reason(calls)));
        Ok(())
    }

    fn fail(&mut self, events: &mut EventQueue) {
        self.think_tags.finish(events);
        events.extend(self.usage.take().map(ProviderEvent::Usage));
    }
}
