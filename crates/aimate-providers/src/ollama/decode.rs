//! Reading Ollama's answers, line by line or whole.

use aimate_core::message::ToolCall;
use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::usage::TokenUsage;
use aimate_core::{Result, WarningCode};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::encode::Sent;
use crate::frame::{Frame, JsonLines};
use crate::http::Peer;
use crate::json::{Number, Text, arguments, clean_value, list, parse};
use crate::openai::calls::CallIds;
use crate::stream::{Decoder, Flow, Queue};
use crate::thoughts::Thoughts;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
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
struct Message<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default, deserialize_with = "list")]
    tool_calls: Vec<WireCall<'a>>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// The reader of one answer: whole once a line says `done`.
pub(super) struct ChatDecoder {
    sent: Sent,
    ids: CallIds,
    thoughts: Thoughts,
    calls: Vec<ToolCall>,
    usage: Option<TokenUsage>,
    reason: Option<FinishReason>,
    has_begun: bool,
}

impl ChatDecoder {
    pub(super) fn new(request: &ChatRequest, sent: Sent) -> Self {
        Self {
            sent,
            ids: CallIds::new(request),
            thoughts: Thoughts::default(),
            calls: Vec::new(),
            usage: None,
            reason: None,
            has_begun: false,
        }
    }

    fn message(&mut self, message: Message<'_>, events: &mut Queue) {
        if !message.thinking.is_empty() {
            events.push_back(ProviderEvent::Reasoning(message.thinking.clean()));
        }
        self.thoughts.push(message.content.clean(), events);
        for call in message.tool_calls {
            let id = self.ids.unique(call.id.clean());
            let arguments = call.function.arguments.map_or_else(|| arguments(""), call_arguments);
            self.calls.push(ToolCall { id, name: call.function.name.clean(), arguments });
        }
    }

    fn finish(&mut self, line: &Line<'_>, events: &mut Queue) {
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

    /// Whether Ollama silently cut the prompt: it read as much as the window
    /// holds, and clearly less than was sent by a count that is rather too low.
    /// A count below the window says nothing: what the server had cached of the
    /// prompt it does not count, and says `0` or nothing if it had all.
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

impl Decoder for ChatDecoder {
    type Frames = JsonLines;

    fn frame(&mut self, peer: &Peer, frame: &Frame, events: &mut Queue) -> Result<Flow> {
        let data = frame.data.trim_ascii();
        let mut mended = String::new();
        let mut line: Line<'_> = match parse(data, &mut mended) {
            Ok(line) => line,
            Err(_) if data.is_empty() => return Err(peer.empty()),
            Err(_) if data.starts_with(b"<") => return Err(peer.web_page()),
            Err(error) => {
                return Err(
                    peer.nonsense(format_args!("the answer is not what Ollama's API says ({error})"), data)
                );
            }
        };
        if let Some(error) = line.error.take().filter(|error| !error.is_null()) {
            return Err(peer.complaint(&error));
        }
        if line.message.is_none() && line.done.is_none() {
            return Err(peer.nonsense("the answer has no `message`", data));
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

    fn end(&mut self, peer: &Peer, events: &mut Queue) -> Result<()> {
        if !self.has_begun {
            return Err(peer.empty());
        }
        let Some(reason) = self.reason.take() else {
            return Err(peer.cut_off());
        };
        self.thoughts.end(events);
        let reason = if self.calls.is_empty() { reason } else { FinishReason::ToolCalls };
        events.extend(self.calls.drain(..).map(ProviderEvent::ToolCall));
        events.extend(self.usage.take().map(ProviderEvent::Usage));
        events.push_back(ProviderEvent::Finish(reason));
        Ok(())
    }

    fn fail(&mut self, events: &mut Queue) {
        self.thoughts.end(events);
    }
}
