//! The driver of a run: it calls the model, publishes its events, logs them at
//! checkpoints and stores the end. It belongs to the engine; nobody who listens
//! can lose an answer by leaving.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::accounting::Accounting;
use super::answer_limits::PIECE;
use super::call_trace::CallTrace;
use super::channel::Channel;
use super::context::image_refused;
use super::end::{
    DATABASE_PATIENCE, End, NextStep, PartialAnswer, database_away, ended, failed, shutting_down,
};
use super::event::ChatEvent;
use super::log::Log;
use super::model_call::{ModelCall, trimmed};
use super::tool_loop::{ToolLoop, ToolNames};
use crate::clock::ClockAndIds;
use crate::error::Result;
use crate::message::{Message, ToolCall};
use crate::observer::Notices;
use crate::provider::{ProviderEvent, ProviderStream};
use crate::run::{Run, RunStatus, RunStore};
use crate::text::shorten;
use crate::tool::ToolOutputStore;
use crate::usage::UsageStore;
use crate::warning::WarningCode;

/// Pieces of an answer that are published together at most.
const READY: usize = 32;
/// Bytes of pieces that are taken together, but for the last of them.
const READY_BYTES: usize = 64 * 1024;

/// All that drives one run.
pub(crate) struct Driver {
    pub(crate) runs: Arc<dyn RunStore>,
    pub(crate) outputs: Arc<dyn ToolOutputStore>,
    pub(crate) usage: Arc<dyn UsageStore>,
    pub(crate) sources: ClockAndIds,
    pub(crate) channel: Arc<Channel>,
    pub(crate) run: Run,
    /// The answer's placeholder as it was stored.
    pub(crate) answer: Message,
    /// Fires when the process must end before the run does.
    pub(crate) interrupt: CancellationToken,
    pub(crate) log: Log,
    /// Which calls are made here; `None` if the model was told of no tool.
    pub(crate) tools: Option<ToolNames>,
    /// Whether the caller told the model of tools in its server's own way.
    pub(crate) has_own_tools: bool,
    pub(crate) notices: Notices,
}

impl Driver {
    /// Drives the run to its end, or until it waits for a person. `call` holds no prompt in
    /// memory while a long answer comes, unless tools may need it again.
    pub(crate) async fn drive(
        mut self,
        mut call: ModelCall,
        mut tools: Option<ToolLoop>,
        mut answer: PartialAnswer,
        mut accounting: Accounting,
    ) {
        let end = loop {
            if let Some(tools) = &mut tools
                && answer.transcript.has_open_calls()
            {
                match self.use_tools(tools, &mut call, &mut answer, &mut accounting).await {
                    NextStep::Ask => {}
                    NextStep::End(end) => break end,
                    NextStep::Wait(waiting) => match self.park(tools, &waiting, &answer).await {
                        None => return,
                        Some(end) => break end,
                    },
                }
            }
            let end = self.ask(&mut call, tools.is_some(), &mut answer, &accounting).await;
            let goes_on = end.status == RunStatus::Completed
                && tools.is_some()
                && answer.transcript.has_calls_to_make();
            if !goes_on {
                break end;
            }
        };
        if end.is_image_refused {
            answer.transcript.mark(image_refused());
        }
        if tools.is_some() {
            let why = "The answer ended before this call returned. Whether it did anything is not known.";
            let closed = answer.transcript.close_calls(why);
            self.publish(closed.into_iter().map(|result| ChatEvent::ToolReturned(Box::new(result))));
        }
        self.finish(answer.transcript, answer.used, end, accounting.tokenizer).await;
    }

    /// Asks the model once, and publishes its answer.
    async fn ask(
        &mut self,
        call: &mut ModelCall,
        keeps_prompt: bool,
        answer: &mut PartialAnswer,
        accounting: &Accounting,
    ) -> End {
        let mut trace = CallTrace::chat(&call.endpoint, &call.request.model);
        let span = trace.span();
        let before = answer.transcript.parts().len();
        (answer.usage, answer.reason) = (None, None);
        let cancel = self.channel.cancel.clone();
        let asked = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(End::cancelled()),
            () = self.interrupt.cancelled() => Err(End::interrupted(&shutting_down())),
            stream = call.send().instrument(span.clone()) => {
                stream.map_err(|error| failed(&error, !answer.transcript.is_empty()))
            }
        };
        let passages = std::mem::take(&mut call.request.passages);
        if !passages.is_empty() {
            answer.transcript.apply(&ChatEvent::Retrieved { citations: passages });
        }
        if !keeps_prompt {
            call.request.messages = Vec::new();
        }
        let end = match asked {
            Err(end) => end,
            Ok((stream, left_out)) => {
                if left_out > 0 {
                    self.channel.publish([trimmed(left_out)]);
                }
                self.follow(stream, answer, &mut trace).instrument(span).await
            }
        };
        let said = answer.transcript.parts().get(before..).unwrap_or_default();
        let usage = accounting.usage_of(answer.usage.take(), said).await;
        answer.used = answer.used.plus(usage);
        if let Some(reason) = &answer.reason {
            trace.stopped(reason);
        }
        trace.end(end.status.usage_outcome(), &usage);
        end
    }

    /// Publishes the stream until it ends or somebody ends it. While too much waits
    /// for the log, the model is not listened to: it waits at its connection, and
    /// nothing piles up here.
    async fn follow(
        &mut self,
        mut stream: ProviderStream,
        answer: &mut PartialAnswer,
        trace: &mut CallTrace,
    ) -> End {
        let cancel = self.channel.cancel.clone();
        let interrupt = self.interrupt.clone();
        let mut full_since = None;
        loop {
            let due = self.log.due();
            let has_room = self.channel.has_room();
            full_since = if has_room { None } else { full_since.or_else(|| Some(Instant::now())) };
            let patience = full_since.unwrap_or(due) + DATABASE_PATIENCE;
            tokio::select! {
                biased;
                () = cancel.cancelled() => return End::cancelled(),
                () = interrupt.cancelled() => return End::interrupted(&shutting_down()),
                () = self.log.saved(&self.channel) => {}
                pieces = ready_pieces(&mut stream), if has_room => match pieces {
                    None => return ended(answer),
                    // What fails after the model has finished costs no answer.
                    Some(pieces) => match self.take(pieces, answer, trace) {
                        Err(_) if answer.reason.is_some() => return ended(answer),
                        Err(error) => return failed(&error, !answer.transcript.is_empty()),
                        Ok(()) => {}
                    },
                },
                () = tokio::time::sleep_until(due), if self.log.is_dirty() => self.log.age(),
                () = tokio::time::sleep_until(patience), if !has_room => {
                    return failed(&database_away(), !answer.transcript.is_empty());
                }
            }
            self.log.save_if_due(&self.runs, &self.run, &self.channel);
        }
    }

    /// Publishes pieces of the answer that arrived together.
    fn take(
        &mut self,
        pieces: Vec<Result<ProviderEvent>>,
        answer: &mut PartialAnswer,
        trace: &mut CallTrace,
    ) -> Result<()> {
        // A model that is faster than its events are published, or that says a
        // letter at a time, must not make a log many times as large as its answer.
        let joins = pieces.len() >= READY;
        let mut events: Vec<ChatEvent> = Vec::with_capacity(pieces.len());
        let mut outcome = Ok(());
        for piece in pieces {
            let event = match piece {
                Ok(ProviderEvent::Text(text)) => ChatEvent::Text { text },
                Ok(ProviderEvent::Reasoning(text)) => ChatEvent::Reasoning { text },
                // What nobody offered is nobody's to make.
                Ok(ProviderEvent::ToolCall(call)) if self.tools.is_none() && !self.has_own_tools => {
                    not_offered(&call)
                }
                Ok(ProviderEvent::ToolCall(mut call)) => {
                    // Calls of one step that have one id are told apart as well.
                    answer.transcript.rename(&mut call, &events);
                    if let Some(names) = &self.tools {
                        names.mark(&mut call);
                    }
                    ChatEvent::ToolCalled { call: Box::new(call) }
                }
                Ok(ProviderEvent::ToolReturned(result)) => ChatEvent::ToolReturned(result),
                Ok(ProviderEvent::Warning { code, detail }) => ChatEvent::Warning { code, detail },
                Ok(ProviderEvent::ReasoningDetails(details)) => {
                    answer.transcript.details(details);
                    continue;
                }
                Ok(ProviderEvent::Usage(usage)) => {
                    answer.usage = Some(usage);
                    continue;
                }
                Ok(ProviderEvent::Finish(reason)) => {
                    answer.reason = Some(reason);
                    continue;
                }
                Ok(ProviderEvent::TextWasReasoning) => ChatEvent::TextWasReasoning,
                Ok(ProviderEvent::Extra(fields)) => ChatEvent::Extra { fields },
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            };
            match events.last_mut().filter(|_| joins) {
                Some(last) => {
                    let rest = join(last, event);
                    events.extend(rest);
                }
                None => events.push(event),
            }
        }
        for event in &events {
            answer.transcript.apply(event);
            self.log.note(event);
        }
        if !events.is_empty() {
            trace.content();
            self.channel.publish(events);
        }
        outcome
    }
}

/// That a call is left out.
fn not_offered(call: &ToolCall) -> ChatEvent {
    let name = shorten(&call.name, 64);
    let detail = format!("the model called a tool `{name}`, but was told of none; the call is left out");
    ChatEvent::Warning { code: WarningCode::Tool, detail }
}

/// The pieces that are there, waiting for the first one; `None` at the end.
/// Dropping the future loses nothing.
async fn ready_pieces(stream: &mut ProviderStream) -> Option<Vec<Result<ProviderEvent>>> {
    poll_fn(|context| {
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        while pieces.len() < READY && bytes < READY_BYTES {
            match stream.as_mut().poll_next(context) {
                Poll::Ready(Some(piece)) => {
                    if let Ok(ProviderEvent::Text(text) | ProviderEvent::Reasoning(text)) = &piece {
                        bytes += text.len();
                    }
                    pieces.push(piece);
                }
                Poll::Ready(None) if pieces.is_empty() => return Poll::Ready(None),
                Poll::Pending if pieces.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(Some(pieces))
    })
    .await
}

/// Adds an event to the one before where both are text of one kind, up to the
/// length of a piece; else gives it back.
fn join(last: &mut ChatEvent, event: ChatEvent) -> Option<ChatEvent> {
    match (last, event) {
        (ChatEvent::Text { text: all }, ChatEvent::Text { text })
        | (ChatEvent::Reasoning { text: all }, ChatEvent::Reasoning { text })
            if all.len() + text.len() <= PIECE =>
        {
            all.push_str(&text);
            None
        }
        (_, event) => Some(event),
    }
}
