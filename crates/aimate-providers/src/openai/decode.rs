//! Decodes answers of OpenAI-compatible servers, streamed or whole.

use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::{Error, Result, WarningCode};
use bytes::Bytes;
use serde_json::Value;

use super::calls::Calls;
use super::content::{self, Piece};
use super::opaque::{Opaque, Sources};
use super::usage::Usage;
use super::wire::{Choice, Chunk, Delta, shape};
use crate::frame::{Events, Frame};
use crate::halves::Joiner;
use crate::http::UpstreamErrors;
use crate::json::{clean, parse, says_something};
use crate::stream::{Decoder, EventQueue, Flow};
use crate::think_tags::ThinkTagParser;

/// Decodes one answer.
///
/// Calls, usage and finish reason are emitted at the end, since servers send them
/// in any order. The answer is complete once a reason or `[DONE]` arrived, or a
/// whole message.
pub(crate) struct OpenAiDecoder {
    calls: Calls,
    text: Joiner,
    thought: Joiner,
    think_tags: ThinkTagParser,
    opaque: Opaque,
    sources: Sources,
    usage: Option<Usage>,
    reason: Option<FinishReason>,
    has_refused: bool,
    /// A choice has arrived.
    has_begun: bool,
    /// It said something: text, thoughts, calls or pictures.
    has_said: bool,
    /// A delta said something: a whole message that follows repeats it.
    has_delta: bool,
    /// Something was said after a reason: it stands in every chunk.
    is_reason_early: bool,
    is_done: bool,
    /// A whole message has arrived.
    is_whole: bool,
    /// The first piece that could not be read.
    unread: Option<Bytes>,
}

impl OpenAiDecoder {
    pub(crate) fn new(request: &ChatRequest) -> Self {
        Self {
            calls: Calls::new(request),
            text: Joiner::default(),
            thought: Joiner::default(),
            think_tags: ThinkTagParser::default(),
            opaque: Opaque::new(request.limits.reasoning),
            sources: Sources::default(),
            usage: None,
            reason: None,
            has_refused: false,
            has_begun: false,
            has_said: false,
            has_delta: false,
            is_reason_early: false,
            is_done: false,
            is_whole: false,
            unread: None,
        }
    }

    fn choice(
        &mut self,
        errors: &UpstreamErrors,
        choice: Choice<'_>,
        has_halves: bool,
        events: &mut EventQueue,
    ) -> Result<()> {
        if choice.index.count().unwrap_or(0) != 0 {
            return Ok(());
        }
        if let Some(error) = choice.error.filter(says_something) {
            return Err(errors.error_object(&error));
        }
        self.has_begun = true;
        if let Some(usage) = choice.usage {
            self.usage.get_or_insert_default().merge(usage);
        }
        match (choice.delta, choice.message) {
            (Some(delta), message) if message.is_none() || !delta.is_empty() => {
                self.delta(delta, false, has_halves, events);
            }
            (_, Some(message)) => {
                self.is_whole = true;
                if self.has_delta {
                    self.repeated(*message, has_halves, events);
                } else {
                    self.delta(*message, true, has_halves, events);
                }
            }
            (_, None) if !choice.text.is_empty() => self.say(choice.text.clean(), has_halves, events),
            _ => {}
        }
        match FinishReason::named(choice.finish_reason.0.as_ref()) {
            None => Ok(()),
            Some(reason) if reason.is_failure() => Err(errors.broke_off(reason.as_str())),
            Some(FinishReason::Stop) => {
                // What the model's own server said, behind a router.
                let native = FinishReason::named(choice.native_finish_reason.0.as_ref());
                let is_cut = |reason: &FinishReason| {
                    matches!(reason, FinishReason::Length | FinishReason::ContentFilter)
                };
                self.reason = Some(native.filter(is_cut).unwrap_or(FinishReason::Stop));
                Ok(())
            }
            reason => {
                self.reason = reason;
                Ok(())
            }
        }
    }

    fn delta(&mut self, delta: Delta<'_>, whole: bool, has_halves: bool, events: &mut EventQueue) {
        if !whole && !delta.is_empty() {
            self.has_delta = true;
        }
        self.is_reason_early |= self.reason.is_some() && !delta.is_empty();
        let thought = if delta.reasoning.is_empty() { delta.reasoning_content } else { delta.reasoning };
        let mut thought = thought.clean();
        if thought.is_empty() {
            thought = clean(
                Opaque::thoughts(delta.reasoning_details.as_ref(), delta.thinking_blocks.as_ref()).into(),
            );
        }
        self.think(thought, has_halves, events);
        self.opaque.add("reasoning_details", delta.reasoning_details, whole);
        self.opaque.add("thinking_blocks", delta.thinking_blocks, whole);
        self.opaque.add("reasoning_opaque", delta.reasoning_opaque, whole);
        self.opaque.add("extra_content", delta.extra_content, whole);
        for piece in content::pieces(delta.content) {
            match piece {
                Piece::Text(text) => self.say(clean(text), has_halves, events),
                Piece::Thought(text) => self.think(clean(text.into()), has_halves, events),
                Piece::Other(name, part) => self.sources.add(name, Some(Value::Array(vec![part]))),
            }
        }
        if !delta.refusal.is_empty() {
            self.has_refused = true;
            self.say(delta.refusal.clean(), has_halves, events);
        }
        self.sources.add("images", delta.images);
        self.sources.add("audio", delta.audio);
        self.sources.add("annotations", delta.annotations);
        self.sources.add("citations", delta.citations);
        self.calls.push(delta.tool_calls, whole, has_halves);
        if let Some(piece) = delta.function_call {
            self.calls.push_legacy(piece, has_halves);
        }
    }

    /// A whole message after the pieces of the same one: only what they did not
    /// have is new.
    fn repeated(&mut self, message: Delta<'_>, has_halves: bool, events: &mut EventQueue) {
        let Delta { tool_calls, function_call, images, audio, annotations, citations, .. } = message;
        let images = images.filter(|_| !self.sources.has("images"));
        let new = Delta { images, audio, annotations, citations, ..Delta::default() };
        let calls = Delta { tool_calls, function_call, ..Delta::default() };
        self.delta(new, true, has_halves, events);
        if self.calls.is_empty() {
            self.delta(calls, true, has_halves, events);
        }
    }

    fn say(&mut self, text: String, has_halves: bool, events: &mut EventQueue) {
        let text = self.text.join(text, has_halves);
        self.has_said |= !text.is_empty();
        self.think_tags.push(text, events);
    }

    fn think(&mut self, thought: String, has_halves: bool, events: &mut EventQueue) {
        let thought = self.thought.join(thought, has_halves);
        if !thought.is_empty() {
            self.has_said = true;
            self.think_tags.has_thoughts();
            events.push_back(ProviderEvent::Reasoning(thought));
        }
    }

    /// A piece that is no part of an answer: it costs no answer that has others.
    fn unread(&mut self, errors: &UpstreamErrors, data: &Bytes, events: &mut EventQueue) -> Flow {
        if self.unread.is_none() {
            self.unread = Some(data.clone());
            errors.log_unread(data);
            if data.starts_with(b"{\"") {
                events.push_back(ProviderEvent::Warning {
                    code: WarningCode::AnswerIncomplete,
                    detail: "A piece of the answer could not be read and is missing in it.".into(),
                });
            }
        }
        Flow::More
    }

    /// Whether what fails now costs no answer: the model has finished.
    fn is_over(&self) -> bool {
        self.reason.is_some() && !self.is_reason_early && (self.has_said || !self.calls.is_empty())
    }

    fn fails(&self, error: Error) -> Result<Flow> {
        if self.is_over() {
            tracing::warn!(%error, cause = ?error, "a model server failed after its answer");
            return Ok(Flow::Done);
        }
        Err(error)
    }

    /// The end of an answer's texts.
    fn finish_texts(&mut self, events: &mut EventQueue) {
        let rest = self.thought.end();
        if !rest.is_empty() {
            events.push_back(ProviderEvent::Reasoning(rest));
        }
        let rest = self.text.end();
        self.think_tags.push(rest, events);
        self.think_tags.finish(events);
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
        let data = frame.data.slice_ref(frame.data.trim_ascii());
        if data.trim_ascii().strip_prefix(b"\"").unwrap_or(&data).starts_with(b"[DONE]") {
            self.is_done = true;
            return Ok(Flow::Done);
        }
        if data.is_empty() {
            return Ok(Flow::More);
        }
        let mut mended = String::new();
        let (chunk, has_halves): (Chunk<'_>, bool) = match parse(&data, &mut mended, shape) {
            Ok(parsed) => parsed,
            Err(_) => return Ok(self.unread(errors, &data, events)),
        };
        if let Some(usage) = chunk.usage {
            self.usage.get_or_insert_default().merge(usage);
        }
        let groq = chunk.x_groq.map(|groq| (groq.usage, groq.error));
        let (groq_usage, groq_error) = groq.unwrap_or_default();
        if let Some(usage) = groq_usage {
            self.usage.get_or_insert_default().merge(usage);
        }
        let has_error = [&chunk.error, &groq_error].into_iter().flatten().any(says_something);
        if has_error || chunk.choices.is_empty() || &frame.event[..] == b"error" {
            let body = serde_json::from_slice(&data).unwrap_or_default();
            if has_error || &frame.event[..] == b"error" || errors.is_error(&body) {
                return self.fails(errors.error_object(&body));
            }
            if chunk.choices.is_empty() && !self.has_begun && self.unread.is_none() {
                self.unread = Some(data.clone());
            }
        }
        self.sources.set("citations", chunk.citations);
        self.sources.set("search_results", chunk.search_results);
        self.sources.set("images", chunk.images);
        self.sources.set("related_questions", chunk.related_questions);
        self.sources.set("web_search", chunk.web_search);
        self.sources.set("search_info", chunk.search_info);
        let has_choices = !chunk.choices.is_empty();
        for choice in chunk.choices {
            if let Err(error) = self.choice(errors, choice, has_halves, events) {
                return self.fails(error);
            }
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
        // A reason before the first word says nothing of the end.
        let has_content = self.has_said || !self.calls.is_empty();
        Ok(if self.reason.is_some() && has_choices && has_content { Flow::Finishing } else { Flow::More })
    }

    fn end(&mut self, errors: &UpstreamErrors, events: &mut EventQueue) -> Result<()> {
        if !self.has_begun {
            return Err(match &self.unread {
                Some(data) => errors.no_answer(data),
                None => errors.empty_response(),
            });
        }
        if self.reason.is_none() && !self.is_done && !self.is_whole {
            return Err(errors.truncated());
        }
        self.finish_texts(events);
        events.extend(self.opaque.take().map(ProviderEvent::ReasoningDetails));
        let is_cut = matches!(self.reason, Some(FinishReason::Length | FinishReason::ContentFilter));
        let before = events.len();
        let calls = self.calls.finish(is_cut, events);
        let has_calls = events.len() > before;
        let extra = self.sources.take();
        let is_empty = !self.has_said && !has_calls && extra.is_none() && !is_cut;
        events.extend(extra.map(ProviderEvent::Extra));
        events.extend(self.usage.take().and_then(|usage| usage.tokens()).map(ProviderEvent::Usage));
        if is_empty {
            return Err(errors.empty_response());
        }
        events.push_back(ProviderEvent::Finish(self.reason(calls)));
        Ok(())
    }

    fn fail(&mut self, events: &mut EventQueue) {
        self.finish_texts(events);
        events.extend(self.usage.take().and_then(|usage| usage.tokens()).map(ProviderEvent::Usage));
    }
}
