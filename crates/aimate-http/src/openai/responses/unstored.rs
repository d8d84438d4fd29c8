//! Responses of which nothing is stored.

use std::task::Poll;

use aimate_core::chat::event::ChatEvent;
use aimate_core::chat::{OnApproval, Truncation};
use aimate_core::engine::{Completion, CompletionStream};
use aimate_core::message::{Message, MessageRole, Part};
use aimate_core::provider::{ChatMessage, ChatRequest, FinishReason, ProviderEvent};
use aimate_core::tool::WEB_SEARCH;
use aimate_core::{ClockAndIds, Error, MessageId, RunId, Scope};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future::poll_fn};
use serde_json::Value;

use super::ask::{Asked, Followed};
use super::echo::Echo;
use super::events::ResponseEvents;
use super::frame::Frames;
use super::object::{Head, Outcome, State};
use super::request::ParsedResponse;
use crate::app::App;
use crate::error::Result;
use crate::openai::completion::{incomplete_answer, log_warning};
use crate::sse::SseSource;

/// The call that answers a request.
///
/// # Errors
/// `Invalid` if nothing is asked; what the store says.
pub(super) async fn call(app: &App, scope: &Scope, asked: Asked) -> Result<(Completion, Echo)> {
    let before = match asked.follows {
        Some(followed) => path(app, scope, followed, &asked.parsed).await?,
        None => Vec::new(),
    };
    call_after(before, asked)
}

/// The call that answers a request behind the messages that it follows.
///
/// # Errors
/// `Invalid` if nothing is asked.
pub(super) fn call_after(before: Vec<Message>, asked: Asked) -> Result<(Completion, Echo)> {
    let Asked { parsed, messages, passages, approvals, servers, follows, .. } = asked;
    if messages.is_empty() && approvals.is_empty() && follows.is_none() {
        return Err(Error::field("input", "is missing; it needs a text or a list of items").into());
    }
    let mut spoken = Vec::new();
    if let Some(text) = &parsed.instructions {
        spoken.push(ChatMessage::new(MessageRole::System, vec![Part::text(text)]));
    }
    speak(&mut spoken, before.into_iter().map(|message| (message.role, message.content)));
    speak(&mut spoken, messages.into_iter().map(|message| (message.role, message.content)));
    super::input::check_outputs(spoken.iter().flat_map(|message| &message.content))?;
    let truncation = truncation(&parsed);
    let mut completion = Completion::new(ChatRequest {
        messages: spoken,
        tools: parsed.tools,
        tool_choice: parsed.tool_choice,
        parallel_tool_calls: parsed.parallel_tool_calls,
        response_format: parsed.response_format,
        sampling: parsed.sampling,
        stream: parsed.is_streamed,
        ..ChatRequest::default()
    });
    completion.model = Some(parsed.model);
    completion.passages = passages;
    let decided = approvals.into_iter().enumerate();
    completion.decided = decided.map(|(n, approval)| approval.into_call(n, &servers)).collect();
    completion.tool_servers = servers;
    completion.use_tools = parsed.web_search.map(|_| WEB_SEARCH.to_owned()).into_iter().collect();
    completion.on_approval = OnApproval::End;
    completion.truncation = Some(truncation);
    completion.max_tool_calls = parsed.max_tool_calls;
    Ok((completion, parsed.echo))
}

/// What of the messages that a request follows the model can read, oldest first.
///
/// # Errors
/// `ContextOverflow` if there are more, and they are not to be cut.
pub(super) async fn path(
    app: &App,
    scope: &Scope,
    followed: Followed,
    parsed: &ParsedResponse,
) -> Result<Vec<Message>> {
    let conversations = app.engine.conversations(scope);
    let (model, most) = (&parsed.model, parsed.sampling.max_tokens);
    let Followed { conversation, answer } = followed;
    Ok(conversations.readable(conversation, answer, model, most, truncation(parsed)).await?)
}

fn truncation(parsed: &ParsedResponse) -> Truncation {
    if parsed.is_cut { Truncation::Auto } else { Truncation::Disabled }
}

/// Bytes of a part, pictures among them.
pub(super) fn bytes_of(part: &Part) -> usize {
    match part {
        Part::Text { text } | Part::Reasoning { text, .. } => text.len(),
        Part::Image { data, url, .. } => {
            data.as_ref().map_or(0, |data| data.len()) + url.as_ref().map_or(0, String::len)
        }
        Part::ToolCall(call) => call.arguments_json().len(),
        Part::ToolResult(result) => result.size(),
        _ => 0,
    }
}

/// Adds messages to a prompt. What an assistant says piece by piece is one message: calls that
/// were made at once stand together.
fn speak(spoken: &mut Vec<ChatMessage>, messages: impl Iterator<Item = (MessageRole, Vec<Part>)>) {
    for (written, content) in messages {
        let mut is_begun = false;
        for part in content {
            let role = match part {
                Part::ToolResult(_) => MessageRole::Tool,
                Part::Extra { .. } => continue,
                // What an answer names; a question has what was found for it.
                Part::Citation(_) if written == MessageRole::Assistant => continue,
                // It was not made.
                Part::ToolCall(ref call) if call.is_asked() => continue,
                _ => written,
            };
            let joins = |last: &ChatMessage| {
                last.role == role && role != MessageRole::Tool && (is_begun || role == MessageRole::Assistant)
            };
            match spoken.last_mut().filter(|last| joins(last)) {
                Some(last) => last.content.push(part),
                None => spoken.push(ChatMessage::new(role, vec![part])),
            }
            is_begun = true;
        }
    }
}

/// The events of a response of which nothing is stored.
pub(super) struct UnstoredBody {
    sources: ClockAndIds,
    stream: CompletionStream,
    events: ResponseEvents,
    reason: Option<FinishReason>,
    /// What the model said, as it goes into the memory of a connection.
    said: Vec<Part>,
    is_over: bool,
    outcome: Option<Outcome>,
    /// What it failed with.
    error: Option<Error>,
}

impl UnstoredBody {
    pub(super) fn new(sources: &ClockAndIds, stream: CompletionStream, echo: Echo, frames: Frames) -> Self {
        let id: RunId = sources.id();
        let message: MessageId = sources.id();
        let head = Head { id, model: stream.model().to_owned(), echo };
        let mut events = ResponseEvents::new(head, message, frames);
        events.begin();
        if !stream.passages().is_empty() {
            events.apply(&ChatEvent::Retrieved { citations: stream.passages().to_vec() });
        }
        let sources = sources.clone();
        Self {
            sources,
            stream,
            events,
            reason: None,
            said: Vec::new(),
            is_over: false,
            outcome: None,
            error: None,
        }
    }

    /// The next frame; `None` after the last one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.ready().await.then(|| self.events.pop()).flatten()
    }

    /// Waits for the end and returns the response.
    ///
    /// # Errors
    /// The error of the model.
    pub(super) async fn collect(mut self) -> Result<Value> {
        self.ready().await;
        if let Some(error) = self.error.take() {
            return Err(error.into());
        }
        let outcome = self.outcome.take().unwrap_or_else(|| Outcome::begun(State::of(&incomplete_answer())));
        Ok(self.events.head.response(&outcome))
    }

    /// Its id, and what the model said, if it was answered.
    pub(super) fn answered(self) -> (String, Option<Vec<Part>>) {
        let is_answered =
            self.outcome.as_ref().is_some_and(|outcome| !matches!(outcome.state, State::Failed(..)));
        (self.events.head.wire_id(), is_answered.then_some(self.said))
    }

    async fn ready(&mut self) -> bool {
        poll_fn(|context| {
            while self.events.is_empty() && !self.is_over {
                match self.stream.poll_next_unpin(context) {
                    Poll::Ready(Some(event)) => self.take(event),
                    Poll::Ready(None) => self.end(None),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(!self.events.is_empty())
        })
        .await
    }

    fn take(&mut self, event: Result<ProviderEvent, Error>) {
        let event = match event {
            Ok(ProviderEvent::Text(text)) => ChatEvent::Text { text },
            Ok(ProviderEvent::Reasoning(text)) => ChatEvent::Reasoning { text },
            Ok(ProviderEvent::TextWasReasoning) => ChatEvent::TextWasReasoning,
            Ok(ProviderEvent::ToolCall(call)) => ChatEvent::ToolCalled { call: Box::new(call) },
            Ok(ProviderEvent::ToolReturned(result)) => ChatEvent::ToolReturned(result),
            Ok(ProviderEvent::Extra(fields)) => ChatEvent::Extra { fields },
            Ok(ProviderEvent::Finish(reason)) => {
                self.reason = Some(reason);
                return;
            }
            Ok(ProviderEvent::Warning { code, detail }) => return log_warning(&code, &detail),
            Ok(ProviderEvent::ReasoningDetails(_) | ProviderEvent::Usage(_)) => return,
            // The answer is whole: what fails now is the usage at most.
            Err(_) if self.reason.is_some() => return self.end(None),
            Err(error) => return self.end(Some(error)),
        };
        match (&event, self.said.last_mut()) {
            (ChatEvent::Text { text }, Some(Part::Text { text: all })) => all.push_str(text),
            (ChatEvent::Text { text }, _) => self.said.push(Part::text(text)),
            (ChatEvent::ToolCalled { call }, _) => self.said.push(Part::ToolCall((**call).clone())),
            (ChatEvent::ToolReturned(result), _) => self.said.push(Part::ToolResult((**result).clone())),
            (ChatEvent::TextWasReasoning, _) => self.said.retain(|part| !matches!(part, Part::Text { .. })),
            _ => {}
        }
        self.events.apply(&event);
    }

    fn end(&mut self, error: Option<Error>) {
        self.is_over = true;
        let error = error.or_else(|| self.reason.is_none().then(incomplete_answer));
        let state = match &error {
            Some(error) => {
                tracing::warn!(code = error.kind().as_str(), cause = ?error, "an answer failed while it was streamed");
                State::of(error)
            }
            None => State::of_reason(self.reason.as_ref()),
        };
        let now = self.sources.now().unix_seconds();
        self.error = error;
        self.outcome = Some(self.events.finish_with(state, self.stream.usage(), now));
    }
}

impl SseSource for UnstoredBody {
    fn shared(&mut self) -> Option<Bytes> {
        self.events.pop()
    }

    async fn write(&mut self, _: &mut BytesMut) -> bool {
        self.ready().await
    }
}
