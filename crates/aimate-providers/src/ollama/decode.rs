//! Decodes Ollama's answers, line by line or whole.

use aimate_core::message::ToolCall;
use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::usage::TokenUsage;
use aimate_core::{Result, WarningCode};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::encode::SentPrompt;
use crate::frame::{Frame, JsonLines};
use crate::http::UpstreamErrors;
use crate::json::{Number, Text, arguments, clean_value, list, parse};
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
    #[serde(borrow)]
    function: LineFunction<'a>,
}

#[derive(Deserialize)]
struct LineFunction<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// Decodes one answer, which is complete once a line says `done`.
pub(super) struct OllamaDecoder {
    sent: SentPrompt,
    ids: CallIds,
    think_tags: ThinkTagParser,
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
            think_tags: ThinkTagParser::default(),
            calls: Vec::new(),
            usage: None,
            reason: None,
            has_begun: false,
        }
    }

    fn message(&mut self, message: LineMessage<'_>, events: &mut EventQueue) {
        if !message.thinking.is_empty() {
            events.push_back(ProviderEvent::Reasoning(message.thinking.clean()));
        }
        self.think_tags.push(message.content.clean(), events);
        for call in message.tool_calls {
            let id = self.ids.unique(call.id.clean());
            let arguments = call.function.arguments.map_or_else(|| arguments(""), call_arguments);
            self.calls.push(ToolCall { id, name: call.function.name.clean(), arguments });
        }
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
        self.reason = Some(match line.done_reason.0.as_ref() {
            "" => FinishReason::Stop,
            reason => FinishReason::from(reason.to_owned()),
        });
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

fn call_arguments(json: &RawValue) -> Value {
    match serde_json::from_str(json.get()) {
        Ok(Value::String(text)) => arguments(&text),
        Ok(mut value @ Value::Object(_)) => {
            clean_value(&mut value);
            value
        }
        _ => arguments(json.get()),
    }
}

impl Decoder for OllamaDecoder {
    type Frames = JsonLines;

    fn frame(&mut self, errors: &UpstreamErrors, frame: &Frame, events: &mut EventQueue) -> Result<Flow> {
        let data = frame.data.trim_ascii();
        let mut repaired = String::new();
        let mut line: ChatLine<'_> = match parse(data, &mut repaired) {
            Ok(line) => line,
            Err(_) if data.is_empty() => return Err(errors.empty_response()),
            Err(_) if data.starts_with(b"<") => return Err(errors.web_page()),
            Err(error) => {
                return Err(errors.invalid_response(
                    format_args!("the response does not follow Ollama's API ({error})"),
                    data,
                ));
            }
        };
        if let Some(error) = line.error.take().filter(|error| !error.is_null()) {
            return Err(errors.error_object(&error));
        }
        if line.message.is_none() && line.done.is_none() {
            return Err(errors.invalid_response("the response has no `message`", data));
        }
        if !std::mem::replace(&mut self.has_begun, true) && self.sent.is_choice_lost {
            events.push_back(ProviderEvent::Warning {
                code: WarningCode::ToolChoiceIgnored,
                detail: "Ollama cannot be told that a tool must be called; the model may answer without."
                    .into(),
            });
        }
        if let Some(message) = line.message.take() {
            self.message(message, events);
        }
        if line.done != Some(true) {
            return Ok(Flow::More);
        }
        self.finish(&line, events);
        Ok(Flow::Done)
    }

    fn end(&mut self, errors: &UpstreamErrors, events: &mut EventQueue) -> Result<()> {
        if !self.has_begun {
            return Err(errors.empty_response());
        }
        let Some(reason) = self.reason.take() else {
            return Err(errors.truncated());
        };
        self.think_tags.finish(events);
        let reason = if self.calls.is_empty() { reason } else { FinishReason::ToolCalls };
        events.extend(self.calls.drain(..).map(ProviderEvent::ToolCall));
        events.extend(self.usage.take().map(ProviderEvent::Usage));
        events.push_back(ProviderEvent::Finish(reason));
        Ok(())
    }

    fn fail(&mut self, events: &mut EventQueue) {
        self.think_tags.finish(events);
    }
}
