//! The driver of a run: it calls the model, publishes its events, logs them at
//! checkpoints and stores the end. It belongs to the engine; nobody who listens
//! can lose an answer by leaving.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::accounting::{Accounting, counted};
use super::answer_limits::PIECE;
use super::call_trace::CallTrace;
use super::channel::Channel;
use super::context::image_refused;
use super::event::{ChatEvent, Finished, Started};
use super::log::Log;
use super::model_call::{ModelCall, trimmed};
use super::tool_loop::{ToolLoop, ToolNames};
use super::tool_step::Step;
use super::transcript::Transcript;
use crate::clock::{ClockAndIds, Timestamp};
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::message::{Message, Part};
use crate::observer::Notices;
use crate::provider::{FinishReason, ProviderEvent, ProviderStream};
use crate::retrieval::citations::Resolved;
use crate::run::{EventBatch, FinishRun, Run, RunError, RunStatus, RunStore};
use crate::tool::ToolOutputStore;
use crate::usage::{TokenUsage, UsageRecord, UsageStore};
use crate::warning::WarningCode;
use aimate_text::tokens::Tokenizer;

/// Pieces of an answer that are published together at most.
const READY: usize = 32;
/// Bytes of pieces that are taken together, but for the last of them.
const READY_BYTES: usize = 64 * 1024;
/// How long an answer waits for a database that stores nothing, once as much is
/// unlogged as may be.
pub(super) const DATABASE_PATIENCE: Duration = Duration::from_secs(60);

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
    /// The tools whose calls are made here; `None` without any.
    pub(crate) tools: Option<ToolNames>,
    pub(crate) notices: Notices,
}

/// How an answer ended.
pub(super) struct End {
    pub(super) status: RunStatus,
    reason: Option<FinishReason>,
    error: Option<RunError>,
    /// Later prompts leave the pictures of the question out.
    is_image_refused: bool,
}

impl End {
    pub(super) fn completed(reason: FinishReason) -> Self {
        Self { reason: Some(reason), ..Self::of(RunStatus::Completed) }
    }

    fn of(status: RunStatus) -> Self {
        Self { status, reason: None, error: None, is_image_refused: false }
    }

    pub(super) fn cancelled() -> Self {
        let reason = Some(FinishReason::cancelled());
        Self { reason, ..Self::of(RunStatus::Cancelled) }
    }

    pub(super) fn interrupted(error: &Error) -> Self {
        Self { error: Some(error.into()), ..Self::of(RunStatus::Interrupted) }
    }
}

/// What the model has produced so far.
pub(crate) struct PartialAnswer {
    pub(super) transcript: Transcript,
    /// Of the model's answers that are over: one, or one for each step of its tools.
    pub(super) used: TokenUsage,
    /// What the provider says of the last one.
    usage: Option<TokenUsage>,
    reason: Option<FinishReason>,
}

impl PartialAnswer {
    /// One that begins, or goes on.
    pub(crate) fn new(transcript: Transcript, used: TokenUsage) -> Self {
        Self { transcript, used, usage: None, reason: None }
    }
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
                    Step::Ask => {}
                    Step::End(end) => break end,
                    Step::Wait(waiting) => match self.park(tools, &waiting, &answer).await {
                        None => return,
                        Some(end) => break end,
                    },
                }
            }
            let end = self.ask(&mut call, tools.is_some(), &mut answer, &accounting).await;
            let goes_on = end.status == RunStatus::Completed
                && tools.is_some()
                && answer.transcript.open_calls().iter().any(|call| call.is_made_here);
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
                Ok(ProviderEvent::ToolCall(mut call)) => {
                    // Calls of one step that have one id are told apart as well.
                    answer.transcript.rename(&mut call, &events);
                    call.is_made_here = self.tools.as_ref().is_some_and(|names| names.makes(&call.name));
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

    /// Stores the end of the run and publishes its last event.
    async fn finish(mut self, transcript: Transcript, usage: TokenUsage, end: End, tokenizer: Tokenizer) {
        self.log.flush(&self.channel).await;
        let now = self.sources.now();
        let resolved = transcript.into_answer();
        self.channel.publish(citation_warnings(&resolved));
        let (tokens, content) = counted(tokenizer, resolved.content).await;
        let finish = self.finish_run(content, usage, &end, tokens, now);
        let last = match store_end(self.runs.as_ref(), &self.channel, &finish, &self.interrupt).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.record_usage(&finish.usage).await;
                deleted()
            }
            Err(error) => unstored_end(&error),
            Ok(()) => {
                self.notices.run_finished(self.channel.scope, &self.run, &finish);
                final_event(&self.run, &self.answer, finish)
            }
        };
        self.channel.publish([last]);
    }

    /// Stores the usage of a call whose conversation was deleted meanwhile.
    async fn record_usage(&self, record: &UsageRecord) {
        let record = UsageRecord { run_id: None, conversation_id: None, ..record.clone() };
        let scope = self.channel.scope;
        match self.usage.record(&[(scope, record.clone())]).await {
            Ok(()) => self.notices.usage_recorded(scope, &record),
            Err(error) => {
                tracing::error!(%error, run = %self.run.id, "the usage of a deleted answer is lost");
            }
        }
    }

    fn finish_run(
        &self,
        content: Vec<Part>,
        usage: TokenUsage,
        end: &End,
        tokens: u32,
        now: Timestamp,
    ) -> FinishRun {
        let (first, events) = self.channel.unlogged();
        FinishRun {
            id: self.run.id,
            attempt: self.run.attempt,
            status: end.status,
            error: end.error.clone(),
            finish_reason: end.reason.clone(),
            tokens,
            content,
            usage: UsageRecord {
                // Under which a budget has something set aside for it.
                id: self.run.id.0.into(),
                run_id: Some(self.run.id),
                conversation_id: Some(self.run.conversation_id),
                model: self.run.model.clone(),
                tags: self.run.tags.clone(),
                workspace_id: self.run.workspace_id,
                outcome: end.status.usage_outcome(),
                usage,
                created_at: now,
            },
            events: EventBatch {
                first,
                events: events.iter().map(|event| ChatEvent::clone(event)).collect(),
            },
            now,
        }
    }
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

/// Warnings of citations of no passage and of quotations that are in none.
fn citation_warnings(resolved: &Resolved) -> Vec<ChatEvent> {
    let unknown = resolved.unknown.iter().map(|n| ChatEvent::Warning {
        code: WarningCode::CitationUnknown,
        detail: format!("the answer cited [{n}], but there is no such passage"),
    });
    let misquoted = resolved.misquoted.iter().map(|(n, quote)| ChatEvent::Warning {
        code: WarningCode::QuoteNotFound,
        detail: format!("“{}” does not stand in passage [{n}]", crate::text::shorten(quote, 200)),
    });
    unknown.chain(misquoted).collect()
}

/// The last event of a run that `finish` ends.
fn final_event(run: &Run, answer: &Message, finish: FinishRun) -> ChatEvent {
    let usage = finish.usage.usage;
    let run = finish.ended(run.clone());
    let answer = Message {
        content: finish.content,
        status: finish.status.message_status(),
        model: Some(run.model.clone()),
        usage: Some(usage),
        cost: usage.cost,
        path_stats: answer.path_stats.with_tokens(finish.tokens),
        ..answer.clone()
    };
    final_of(&run, &answer)
}

/// The first event of a run.
pub(crate) fn started(run: &Run) -> Started {
    Started {
        run_id: run.id,
        conversation_id: run.conversation_id,
        user_message_id: run.user_message_id,
        message_id: run.message_id,
        model: run.model.clone(),
    }
}

/// The last event of a run that is over, out of what is stored.
pub(crate) fn final_of(run: &Run, answer: &Message) -> ChatEvent {
    if let Some(RunError { code, detail, retryable }) = run.error.clone() {
        return ChatEvent::Error { code, detail, retryable };
    }
    ChatEvent::Finished(Box::new(Finished {
        message: answer.clone(),
        finish_reason: run.finish_reason.clone().unwrap_or(FinishReason::Stop),
        usage: run.usage.unwrap_or_default(),
    }))
}

/// The last event of a run whose conversation was deleted meanwhile, which stops
/// the run: there is nothing left to keep.
fn deleted() -> ChatEvent {
    tracing::debug!("an answer's conversation was deleted while it was written");
    let error = Error::not_found("the conversation was deleted while the answer was written");
    failure(&error)
}

/// The last event of a run whose end could not be stored.
fn unstored_end(error: &Error) -> ChatEvent {
    tracing::error!(%error, cause = ?error, "the end of a run could not be stored");
    failure(error)
}

fn failure(error: &Error) -> ChatEvent {
    let RunError { code, detail, retryable } = error.into();
    ChatEvent::Error { code, detail, retryable }
}

/// Stores the end, again and again while the database is away: the answer
/// waits in memory until it is back or the process ends. What the database
/// refuses for good is stored without its content, so that no run stays open.
async fn store_end(
    runs: &dyn RunStore,
    channel: &Channel,
    finish: &FinishRun,
    interrupt: &CancellationToken,
) -> Result<()> {
    let mut wait = Duration::from_millis(50);
    loop {
        let last_try = interrupt.is_cancelled();
        match runs.finish(&channel.scope, finish).await {
            Err(error) if error.kind() == ErrorKind::Unavailable && !last_try => {
                tracing::warn!(%error, run = %finish.id, "storing the end of a run failed; trying again");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = interrupt.cancelled() => {}
                }
                wait = (wait * 2).min(Duration::from_secs(5));
            }
            Err(error) if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Invalid) => {
                tracing::error!(%error, cause = ?error, run = %finish.id, "the database refuses an answer");
                runs.finish(&channel.scope, &without_content(finish, &error)).await?;
                return Err(error);
            }
            // A try whose acknowledgement was lost has stored it.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let run = runs.get(&channel.scope, finish.id).await?;
                return if run.finished_at == Some(finish.now) { Ok(()) } else { Err(error) };
            }
            outcome => return outcome,
        }
    }
}

fn without_content(finish: &FinishRun, error: &Error) -> FinishRun {
    FinishRun {
        status: RunStatus::Failed,
        error: Some(error.into()),
        content: Vec::new(),
        events: EventBatch { first: finish.events.first, events: Vec::new() },
        ..finish.clone()
    }
}

pub(super) fn database_away() -> Error {
    Error::unavailable("the database was away for too long to keep this answer; what came before is stored")
}

pub(super) fn shutting_down() -> Error {
    Error::unavailable("the server was stopped before the answer was whole; ask again")
}

/// The end of a stream without an error.
fn ended(answer: &PartialAnswer) -> End {
    let Some(reason) = answer.reason.clone() else {
        let error = Error::upstream("the model server broke off before the answer was whole");
        return failed(&error, !answer.transcript.is_empty());
    };
    let reason = if answer.transcript.has_open_calls() && reason == FinishReason::Stop {
        FinishReason::ToolCalls
    } else {
        reason
    };
    End { status: RunStatus::Completed, reason: Some(reason), error: None, is_image_refused: false }
}

/// The end by an error: what had begun is interrupted, what had not has failed.
pub(super) fn failed(error: &Error, began: bool) -> End {
    let broke_off = matches!(error.kind(), ErrorKind::Upstream | ErrorKind::Timeout | ErrorKind::Unavailable);
    let status = if began && broke_off { RunStatus::Interrupted } else { RunStatus::Failed };
    tracing::warn!(code = error.kind().as_str(), cause = ?error, "a run did not succeed");
    let is_image_refused = error.reason() == Some(ErrorReason::ImageRefused);
    End { status, reason: None, error: Some(error.into()), is_image_refused }
}
