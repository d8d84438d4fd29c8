//! Decodes Ollama's answers, line by line or whole.

use aimate_core::message::ToolCall;
use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::usage::TokenUsage;
use aimate_core::{Result, WarningCode};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::encode::SentPrompt;
use crate::frame::{Frame, JsonLines};
use crate::halves::{Joiner, replace_in};
use crate::http::UpstreamErrors;
use crate::json::{
    Number, Text, arguments, clean, clean_value, list, parse, says_something, shape_list, shape_object,
};
use crate::openai::calls::CallIds;
use crate::stream::{Decoder, EventQueue, Flow};
use crate::think_tags::ThinkTagParser;

#[derive(Deserialize)]
struct ChatLine<'a> {
    #[serde(borrow, default)]
    message: Option<LineMessage<'a>>,
    #[serde(default)]
    done: Option<bool>,
    #[serde(borrow, default)]
    done_reason: Text<'a>,
    #[serde(default)]
    prompt_eval_count: Number,
    #[serde(default)]
    eval_count: Number,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct LineMessage<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default, deserialize_with = "list")]
    tool_calls: Vec<LineToolCall<'a>>,
}

#[derive(Deserialize)]
struct LineToolCall<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    function: LineFunction<'a>,
}

#[derive(Default, Deserialize)]
struct LineFunction<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    arguments: Option<Value>,
    /// A signature of the model's provider, behind Ollama's cloud.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// Gives JSON the shape of [`ChatLine`] and leaves out what does not fit.
fn shape(value: &mut Value) {
    let Value::Object(line) = value else { return };
    if line.get("done").is_some_and(|done| !done.is_boolean()) {
        line.remove("done");
    }
    shape_object(line, "message", |message| {
        shape_list(message, "tool_calls", |call| shape_object(call, "function", |_| {}));
    });
}

/// Decodes one answer, which is complete once a line says `done`.
pub(super) struct OllamaDecoder {
    sent: SentPrompt,
    ids: CallIds,
    text: Joiner,
    thought: Joiner,
    think_tags: ThinkTagParser,
    has_said: bool,
    /// The first line that could not be read.
    unread: Option<Bytes>,
    calls: Vec<ToolCall>,
    usage: Option<TokenUsage>,
    reason: Option<FinishReason>,
    has_begun: bool,
}

impl OllamaDecoder {
    pub(super) fn new(request: &ChatRequest, sent: SentPrompt) -> Self {
        Self {
            sent,
            ids: CallIds::new(request),
            text: Joiner::default(),
            thought: Joiner::default(),
            think_tags: ThinkTagParser::default(),
            has_said: false,
            unread: None,
            calls: Vec::new(),
            usage: None,
            reason: None,
            has_begun: false,
        }
    }

    fn message(&mut self, message: LineMessage<'_>, has_halves: bool, events: &mut EventQueue) {
        let thought = self.thought.join(message.thinking.clean(), has_halves);
        if !thought.is_empty() {
            self.has_said = true;
            self.think_tags.has_thoughts();
            events.push_back(ProviderEvent::Reasoning(thought));
        }
        let text = self.text.join(message.content.clean(), has_halves);
        self.has_said |= !text.is_empty();
        self.think_tags.push(text, events);
        for call in message.tool_calls {
            let LineFunction { name, arguments: given, mut extra } = call.function;
            let name = clean(name.0);
            if name.trim().is_empty() {
                continue;
            }
            let id = self.ids.unique(call.id.clean());
            let arguments = given.map_or_else(|| arguments(""), call_arguments);
            extra.retain(|name, value| says_something(value) && name != "index" && name != "description");
            let mut call = ToolCall::new(id, name, arguments);
            call.extra = extra;
            self.calls.push(call);
        }
    }

    /// Says what of the request Ollama cannot do.
    fn begin(&self, events: &mut EventQueue) {
        if self.sent.is_choice_lost {
            events.push_back(ProviderEvent::Warning {
                code: WarningCode::ToolChoiceIgnored,
                detail: "Ollama cannot be told that a tool must be called; the model may answer without."
                    .into(),
            });
        }
        if !self.sent.ignored.is_empty() {
            events.push_back(ProviderEvent::Warning {
                code: WarningCode::FieldIgnored,
                detail: format!(
                    "Ollama has nothing for {}; it was left out of the request.",
                    self.sent.ignored
                ),
            });
        }
    }

    fn finish_texts(&mut self, events: &mut EventQueue) {
        let rest = self.thought.end();
        if !rest.is_empty() {
            events.push_back(ProviderEvent::Reasoning(rest));
        }
        let rest = self.text.end();
        self.think_tags.push(rest, events);
        self.think_tags.finish(events);
    }

    fn finish(&mut self, line: &ChatLine<'_>, events: &mut EventQueue) {
        let (read, written) = (line.prompt_eval_count.count(), line.eval_count.count());
        if read.is_some() || written.is_some() {
            self.usage = Some(TokenUsage {
                input_tokens: read.unwrap_or(0),
                output_tokens: written.unwrap_or(0),
                ..TokenUsage::default()
            });
        }
        if read.is_some_and(|read| self.is_truncated(read)) {
            events.push_back(ProviderEvent::Warning {
                code: WarningCode::ContextTruncated,
                detail: format!(
                    "Ollama read only {} tokens, all that its window of {} holds: the beginning of the prompt was \
                     cut off. Raise the connection's `context_window` if the model allows it.",
                    read.unwrap_or(0),
                    self.sent.window
                ),
            });
        }
        self.reason = Some(FinishReason::named(line.done_reason.0.as_ref()).unwrap_or(FinishReason::Stop));
    }

    /// Whether Ollama silently truncated the prompt: it read as many tokens as the
    /// window holds, and clearly fewer than were sent by a low estimate. A count
    /// below the window means nothing: the server does not count cached tokens, and
    /// sends 0 or no count if it had cached all.
    fn is_truncated(&self, read: u64) -> bool {
        let window = u64::from(self.sent.window);
        read >= window - window / 32 && read + read / 10 < self.sent.tokens
    }
}

fn call_arguments(json: Value) -> Value {
    match json {
        Value::String(text) => arguments(&text),
        mut value @ Value::Object(_) => {
            clean_value(&mut value);
            replace_in(&mut value);
            value
        }
        other => arguments(&other.to_string()),
    }
}

impl Decoder for OllamaDecoder {
    type Frames = JsonLines;

    fn frame(&mut self, errors: &UpstreamErrors, frame: &Frame, events: &mut EventQueue) -> Result<Flow> {
        let data = frame.data.slice_ref(frame.data.trim_ascii());
        let mut mended = String::new();
        let parsed: (ChatLine<'_>, bool) = match parse(&data, &mut mended, shape) {
            Ok(parsed) => parsed,
            Err(_) => {
                if self.unread.is_none() && !data.is_empty() {
                    errors.log_unread(&data);
                    self.unread = Some(data);
                }
                return Ok(Flow::More);
            }
        };
        let (mut line, has_halves) = parsed;
        if line.error.take().is_some_and(|error| says_something(&error)) {
            return Err(errors.error_object(&serde_json::from_slice(&data).unwrap_or_default()));
        }
        if line.message.is_none() && line.done.is_none() {
            let body = serde_json::from_slice(&data).unwrap_or_default();
            if errors.is_error(&body) {
                return Err(errors.error_object(&body));
            }
            self.unread.get_or_insert(data);
            return Ok(Flow::More);
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            self.begin(events);
        }
        if let Some(message) = line.message.take() {
            self.message(message, has_halves, events);
        }
        if line.done != Some(true) {
            return Ok(Flow::More);
        }
        self.finish(&line, events);
        Ok(Flow::Done)
    }

    fn end(&mut self, errors: &UpstreamErrors, events: &mut EventQueue) -> Result<()> {
        if !self.has_begun {
            return Err(match &self.unread {
                Some(data) => errors.no_answer(data),
                None => errors.empty_response(),
            });
        }
        let Some(reason) = self.reason.take() else {
            return Err(errors.truncated());
        };
        if reason.is_failure() {
            return Err(errors.broke_off(reason.as_str()));
        }
        self.finish_texts(events);
        let reason = if self.calls.is_empty() { reason } else { FinishReason::ToolCalls };
        let is_empty = !self.has_said && self.calls.is_empty() && reason == FinishReason::Stop;
        events.extend(self.calls.drain(..).map(ProviderEvent::ToolCall));
        events.extend(self.usage.take().map(ProviderEvent::Usage));
        if is_empty {
            return Err(errors.empty_response());
        }
        events.push_back(ProviderEvent::Finish(reason));
        Ok(())
    }

    fn fail(&mut self, events: &mut EventQueue) {
        self.finish_texts(events);
    }
}
