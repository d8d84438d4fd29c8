//! The tool loop of an answer that is not stored: the same steps as those of a run, as one
//! stream.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use crate::chat::context::steps_of;
use crate::chat::event::ChatEvent;
use crate::chat::model_call::ask;
use crate::chat::tool_calls::{ToolCalls, ToolEvent};
use crate::chat::tool_loop::{ToolLoop, ToolNames};
use crate::chat::transcript::Transcript;
use crate::error::Result;
use crate::message::{ToolCall, ToolResult};
use crate::provider::{ChatProvider, ChatRequest, Endpoint, FinishReason, ProviderEvent, ProviderStream};
use crate::text::shorten;
use crate::usage::TokenUsage;
use crate::warning::WarningCode;

/// One model call and what it needs to be followed by others.
pub(super) struct ToolStream {
    provider: Arc<dyn ChatProvider>,
    endpoint: Endpoint,
    request: ChatRequest,
    tools: ToolLoop,
    sees_pictures: bool,
}

/// Where a stream is.
enum Phase {
    /// The model answers.
    Answering(ProviderStream),
    /// Its calls are made.
    Calling(ToolCalls),
    Over,
}

struct Looping {
    call: ToolStream,
    phase: Phase,
    /// Messages of the prompt before the answer.
    prompt: usize,
    names: ToolNames,
    transcript: Transcript,
    ready: VecDeque<Result<ProviderEvent>>,
    /// Of the answers before this one.
    used: TokenUsage,
    usage: Option<TokenUsage>,
    reason: Option<FinishReason>,
    /// How the answer ends once the calls under way have returned.
    ends: Option<FinishReason>,
}

impl ToolStream {
    pub(super) fn new(
        provider: Arc<dyn ChatProvider>,
        endpoint: Endpoint,
        request: ChatRequest,
        tools: ToolLoop,
        sees_pictures: bool,
    ) -> Self {
        Self { provider, endpoint, request, tools, sees_pictures }
    }

    /// The answer, with the calls of tools and what they return within it. `first` is the
    /// model's first answer.
    pub(super) fn follow(self, first: ProviderStream) -> ProviderStream {
        self.looping(Phase::Answering(first)).stream()
    }

    /// The same for an answer that begins with calls that a person decided: the model is asked once
    /// they have returned.
    pub(super) fn begin_with(self, calls: Vec<ToolCall>) -> ProviderStream {
        let mut looping = self.looping(Phase::Over);
        for call in calls {
            looping.transcript.apply(&ChatEvent::ToolCalled { call: Box::new(call.clone()) });
            looping.ready.push_back(Ok(ProviderEvent::ToolCall(call)));
        }
        looping.call_tools();
        looping.stream()
    }

    fn looping(self, phase: Phase) -> Looping {
        Looping {
            prompt: self.request.messages.len(),
            names: self.tools.names(),
            call: self,
            phase,
            transcript: Transcript::default(),
            ready: VecDeque::new(),
            used: TokenUsage::default(),
            usage: None,
            reason: None,
            ends: None,
        }
    }
}

/// The answer of a model that was told of no tool: calls of some are left out.
pub(super) fn without_calls(stream: ProviderStream) -> ProviderStream {
    stream
        .filter_map(|event| async move {
            match event {
                Ok(ProviderEvent::ToolCall(call)) => Some(Ok(not_offered(&call))),
                Ok(ProviderEvent::Finish(FinishReason::ToolCalls)) => {
                    Some(Ok(ProviderEvent::Finish(FinishReason::Stop)))
                }
                other => Some(other),
            }
        })
        .boxed()
}

/// That a call is left out.
fn not_offered(call: &ToolCall) -> ProviderEvent {
    let name = shorten(&call.name, 64);
    let detail = format!("the model called a tool `{name}`, but was told of none; the call is left out");
    ProviderEvent::Warning { code: WarningCode::Tool, detail }
}

impl Looping {
    fn stream(self) -> ProviderStream {
        let looping = self;
        stream::unfold(looping, |mut looping| async move { Some((looping.next().await?, looping)) })
            .fuse()
            .boxed()
    }

    async fn next(&mut self) -> Option<Result<ProviderEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if event.is_err() {
                    self.phase = Phase::Over;
                }
                return Some(event);
            }
            match &mut self.phase {
                Phase::Over => return None,
                Phase::Answering(stream) => match stream.next().await {
                    Some(Ok(event)) => self.take(event),
                    Some(Err(error)) if self.reason.is_none() => self.ready.push_back(Err(error)),
                    Some(Err(_)) | None => self.answered(),
                },
                Phase::Calling(calls) => match calls.next().await {
                    Some(ToolEvent::Returned(capped)) => {
                        let result = self.call.tools.bounded(capped.result);
                        self.returned(result);
                    }
                    // Nobody is asked, and progress is shown nowhere.
                    Some(ToolEvent::Progress(..) | ToolEvent::Question(..)) => {}
                    None => match self.ends.take() {
                        Some(reason) => self.finish(reason),
                        None => self.ask().await,
                    },
                },
            }
        }
    }

    fn take(&mut self, event: ProviderEvent) {
        match event {
            ProviderEvent::Text(text) => {
                self.transcript.apply(&ChatEvent::Text { text: text.clone() });
                self.ready.push_back(Ok(ProviderEvent::Text(text)));
            }
            ProviderEvent::Reasoning(text) => {
                self.transcript.apply(&ChatEvent::Reasoning { text: text.clone() });
                self.ready.push_back(Ok(ProviderEvent::Reasoning(text)));
            }
            ProviderEvent::ReasoningDetails(details) => {
                self.transcript.details(details.clone());
                self.ready.push_back(Ok(ProviderEvent::ReasoningDetails(details)));
            }
            ProviderEvent::TextWasReasoning => {
                self.transcript.apply(&ChatEvent::TextWasReasoning);
                self.ready.push_back(Ok(ProviderEvent::TextWasReasoning));
            }
            ProviderEvent::ToolCall(mut call) => {
                self.transcript.rename(&mut call, &[]);
                self.names.mark(&mut call);
                self.transcript.apply(&ChatEvent::ToolCalled { call: Box::new(call.clone()) });
                self.ready.push_back(Ok(ProviderEvent::ToolCall(call)));
            }
            ProviderEvent::Usage(usage) => {
                self.usage = Some(usage);
                self.ready.push_back(Ok(ProviderEvent::Usage(self.used.plus(usage))));
            }
            ProviderEvent::Finish(reason) => self.reason = Some(reason),
            other => self.ready.push_back(Ok(other)),
        }
    }

    /// The model's answer is over: its calls are made, or the whole is over.
    fn answered(&mut self) {
        let Some(reason) = self.reason.take() else {
            // It broke off; whoever reads it sees that from the missing end.
            self.phase = Phase::Over;
            return;
        };
        self.used = self.used.plus(self.usage.take().unwrap_or_default());
        if !self.transcript.has_calls_to_make() {
            return self.finish(reason);
        }
        self.call_tools();
    }

    /// Makes the open calls, as far as they are to be made.
    fn call_tools(&mut self) {
        let plan = self.call.tools.plan(self.transcript.open_calls());
        for result in plan.refused {
            self.returned(result);
        }
        self.ends = plan.ends;
        if self.call.tools.ends_with(&plan.ask) {
            self.ends.get_or_insert(FinishReason::ToolCalls);
        } else {
            for call in plan.ask {
                let why =
                    "This call needs a person's approval, which only an answer that is stored can wait for.";
                self.returned(ToolResult::error(call.id, why));
            }
        }
        self.phase = Phase::Calling(ToolCalls::new(&self.call.tools.calling, plan.make));
    }

    fn returned(&mut self, result: ToolResult) {
        let result = Box::new(result);
        self.transcript.apply(&ChatEvent::ToolReturned(result.clone()));
        self.ready.push_back(Ok(ProviderEvent::ToolReturned(result)));
    }

    fn finish(&mut self, reason: FinishReason) {
        self.ready.push_back(Ok(ProviderEvent::Finish(reason)));
        self.phase = Phase::Over;
    }

    /// Asks the model again, with what the tools returned.
    async fn ask(&mut self) {
        let (tools, request) = (&mut self.call.tools, &mut self.call.request);
        if let Some(detail) = tools.step_done(request, &self.used) {
            self.ready.push_back(Ok(ProviderEvent::Warning { code: WarningCode::ToolLimit, detail }));
        }
        request.messages.truncate(self.prompt);
        request.messages.extend(steps_of(self.transcript.parts(), self.call.sees_pictures));
        match ask(self.call.provider.as_ref(), &self.call.endpoint, request).await {
            Ok(stream) => self.phase = Phase::Answering(stream),
            Err(error) => self.ready.push_back(Err(error)),
        }
    }
}
