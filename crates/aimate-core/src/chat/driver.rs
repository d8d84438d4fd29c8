//! The driver of a run: it calls the model, publishes its events, logs them at
//! checkpoints and stores the end. It belongs to the engine; nobody who listens
//! can lose an answer by leaving.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::channel::Channel;
use super::context::message_tokens;
use super::event::{ChatEvent, Finished};
use super::model_call::ModelCall;
use super::transcript::Transcript;
use crate::clock::{ClockAndIds, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, Part};
use crate::model::Prices;
use crate::provider::{FinishReason, ProviderEvent, ProviderStream};
use crate::retrieval::citations::Resolved;
use crate::run::{EventBatch, FinishRun, Run, RunError, RunStatus, RunStore};
use crate::usage::{TokenUsage, UsageRecord};
use crate::warning::WarningCode;
use aimate_text::tokens::Tokenizer;

/// How long published text may stay out of the log.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);
/// How many events may.
const CHECKPOINT_EVENTS: usize = 64;
/// Pieces of an answer that are published together at most.
const READY: usize = 32;
/// How many bytes of text may.
const CHECKPOINT_BYTES: usize = 4 * 1024;

/// How the usage of a call is counted where the provider does not report it.
pub(crate) struct Accounting {
    pub(crate) prices: Option<Prices>,
    pub(crate) tokenizer: Tokenizer,
    /// Tokens of the prompt as aiMate counted them.
    pub(crate) prompt_tokens: u64,
}

impl Accounting {
    /// The usage to record: what the provider said, else what aiMate counts; with
    /// a cost where the provider reports one or the model has prices.
    fn final_usage(&self, answer: &PartialAnswer) -> TokenUsage {
        let mut usage = answer.usage.unwrap_or_else(|| TokenUsage {
            input_tokens: self.prompt_tokens,
            output_tokens: u64::from(message_tokens(self.tokenizer, answer.transcript.parts())),
            estimated: true,
            ..TokenUsage::default()
        });
        usage.cost = usage.cost.or_else(|| self.prices.map(|prices| prices.cost(&usage)));
        usage
    }
}

/// All that drives one run.
pub(crate) struct Driver {
    pub(crate) runs: Arc<dyn RunStore>,
    pub(crate) sources: ClockAndIds,
    pub(crate) channel: Arc<Channel>,
    pub(crate) run: Run,
    /// The answer's placeholder as it was stored.
    pub(crate) answer: Message,
    /// Fires when the process must end before the run does.
    pub(crate) interrupt: CancellationToken,
    pub(crate) log: Log,
}

/// How an answer ended.
struct End {
    status: RunStatus,
    reason: Option<FinishReason>,
    error: Option<RunError>,
}

impl End {
    fn cancelled() -> Self {
        Self {
            status: RunStatus::Cancelled,
            reason: Some(FinishReason::Other("cancelled".to_owned())),
            error: None,
        }
    }

    fn interrupted(error: &Error) -> Self {
        Self { status: RunStatus::Interrupted, reason: None, error: Some(error.into()) }
    }
}

/// What the model has produced so far.
#[derive(Default)]
struct PartialAnswer {
    transcript: Transcript,
    usage: Option<TokenUsage>,
    reason: Option<FinishReason>,
}

impl Driver {
    /// Drives the run to its end. `call` is dropped as soon as the model has
    /// been asked: a long stream holds no prompt in memory.
    pub(crate) async fn drive(mut self, call: ModelCall, accounting: Accounting) {
        let asked = tokio::select! {
            biased;
            () = self.channel.cancel.cancelled() => Err(End::cancelled()),
            () = self.interrupt.cancelled() => Err(End::interrupted(&shutting_down())),
            stream = call.send() => stream.map_err(|error| failed(&error, false)),
        };
        let mut answer = PartialAnswer::default();
        answer.transcript.apply(&ChatEvent::Retrieved { citations: call.request.passages });
        drop((call.endpoint, call.explain, call.request.messages));
        let end = match asked {
            Err(end) => end,
            Ok(stream) => self.follow(stream, &mut answer).await,
        };
        let usage = accounting.final_usage(&answer);
        self.finish(answer.transcript, usage, end, accounting.tokenizer).await;
    }

    /// Publishes the stream until it ends or somebody ends it.
    async fn follow(&mut self, stream: ProviderStream, answer: &mut PartialAnswer) -> End {
        let mut stream = stream.ready_chunks(READY);
        let cancel = self.channel.cancel.clone();
        let interrupt = self.interrupt.clone();
        loop {
            let due = self.log.due();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return End::cancelled(),
                () = interrupt.cancelled() => return End::interrupted(&shutting_down()),
                () = self.log.saved(&self.channel) => {}
                chunk = stream.next() => match chunk {
                    None => return ended(answer),
                    // What fails after the model has finished costs no answer.
                    Some(pieces) => match self.take(pieces, answer) {
                        Err(_) if answer.reason.is_some() => return ended(answer),
                        Err(error) => return failed(&error, !answer.transcript.is_empty()),
                        Ok(()) => {}
                    },
                },
                () = tokio::time::sleep_until(due), if self.log.is_dirty() => self.log.age(),
            }
            self.log.save_if_due(&self.runs, &self.run, &self.channel);
        }
    }

    /// Publishes pieces of the answer that arrived together.
    fn take(&mut self, pieces: Vec<Result<ProviderEvent>>, answer: &mut PartialAnswer) -> Result<()> {
        let mut events = Vec::with_capacity(pieces.len());
        let mut outcome = Ok(());
        for piece in pieces {
            match piece {
                Ok(ProviderEvent::Text(text)) => events.push(ChatEvent::Text { text }),
                Ok(ProviderEvent::Reasoning(text)) => events.push(ChatEvent::Reasoning { text }),
                Ok(ProviderEvent::ToolCall(call)) => {
                    events.push(ChatEvent::ToolCalled { call: Box::new(call) });
                }
                Ok(ProviderEvent::Warning { code, detail }) => {
                    events.push(ChatEvent::Warning { code, detail });
                }
                Ok(ProviderEvent::ReasoningDetails(details)) => answer.transcript.details(details),
                Ok(ProviderEvent::Usage(usage)) => answer.usage = Some(usage),
                Ok(ProviderEvent::Finish(reason)) => answer.reason = Some(reason),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        for event in &events {
            answer.transcript.apply(event);
            self.log.note(event);
        }
        if !events.is_empty() && !self.channel.publish(events) {
            return Err(Error::unavailable(
                "the database has been away for too long to keep this answer; what came before is stored",
            ));
        }
        outcome
    }

    /// Stores the end of the run and publishes its last event.
    async fn finish(mut self, transcript: Transcript, usage: TokenUsage, end: End, tokenizer: Tokenizer) {
        self.log.flush(&self.channel).await;
        let now = self.sources.now();
        let resolved = transcript.into_answer();
        self.channel.publish(citation_warnings(&resolved));
        let finish = self.finish_run(resolved.content, usage, &end, tokenizer, now);
        let last = match store_end(self.runs.as_ref(), &self.channel, &finish, &self.interrupt).await {
            Err(error) => unstored_end(&error),
            Ok(()) => final_event(&self.run, &self.answer, finish),
        };
        self.channel.publish([last]);
    }

    fn finish_run(
        &self,
        content: Vec<Part>,
        usage: TokenUsage,
        end: &End,
        tokenizer: Tokenizer,
        now: Timestamp,
    ) -> FinishRun {
        let (first, events) = self.channel.unlogged();
        FinishRun {
            id: self.run.id,
            attempt: self.run.attempt,
            status: end.status,
            error: end.error.clone(),
            finish_reason: end.reason.clone(),
            tokens: message_tokens(tokenizer, &content),
            content,
            usage: UsageRecord {
                id: self.sources.id(),
                run_id: Some(self.run.id),
                conversation_id: Some(self.run.conversation_id),
                model: self.run.model.clone(),
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

/// Warnings of citations of no passage and of quotations that are in none.
fn citation_warnings(resolved: &Resolved) -> Vec<ChatEvent> {
    let unknown = resolved.unknown.iter().map(|n| ChatEvent::Warning {
        code: WarningCode::CitationUnknown,
        detail: format!("the answer cited [{n}], but there is no such passage; the mark was taken out"),
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
    let run = Run {
        status: finish.status,
        error: finish.error,
        finish_reason: finish.finish_reason,
        usage: Some(usage),
        ..run.clone()
    };
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

/// The last event of a run whose end could not be stored.
fn unstored_end(error: &Error) -> ChatEvent {
    tracing::error!(%error, cause = ?error, "the end of a run could not be stored");
    let error = RunError::from(error);
    ChatEvent::Error { code: error.code, detail: error.detail, retryable: error.retryable }
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

fn shutting_down() -> Error {
    Error::unavailable("the server was stopped before the answer was whole; ask again")
}

/// The end of a stream without an error.
fn ended(answer: &PartialAnswer) -> End {
    let Some(reason) = answer.reason.clone() else {
        let error = Error::upstream("the model server broke off before the answer was whole");
        return failed(&error, !answer.transcript.is_empty());
    };
    let reason = if answer.transcript.has_calls() && reason == FinishReason::Stop {
        FinishReason::ToolCalls
    } else {
        reason
    };
    End { status: RunStatus::Completed, reason: Some(reason), error: None }
}

/// The end by an error: what had begun is interrupted, what had not has failed.
fn failed(error: &Error, began: bool) -> End {
    let broke_off = matches!(error.kind(), ErrorKind::Upstream | ErrorKind::Timeout | ErrorKind::Unavailable);
    let status = if began && broke_off { RunStatus::Interrupted } else { RunStatus::Failed };
    tracing::warn!(code = error.kind().as_str(), cause = ?error, "a run did not succeed");
    End { status, reason: None, error: Some(error.into()) }
}

/// What is published and not yet logged, and the checkpoint on its way.
pub(crate) struct Log {
    events: usize,
    bytes: usize,
    since: Option<Instant>,
    aged: bool,
    saving: Option<(u64, JoinHandle<Result<()>>)>,
    spawn: Spawn,
}

/// How the driver starts a checkpoint beside itself: in the engine's task set.
pub(crate) type Spawn =
    Arc<dyn Fn(futures_util::future::BoxFuture<'static, Result<()>>) -> JoinHandle<Result<()>> + Send + Sync>;

impl Log {
    pub(crate) fn new(spawn: Spawn) -> Self {
        Self { events: 0, bytes: 0, since: None, aged: false, saving: None, spawn }
    }

    fn note(&mut self, event: &ChatEvent) {
        self.events += 1;
        if let ChatEvent::Text { text } | ChatEvent::Reasoning { text } = event {
            self.bytes += text.len();
        }
        self.since.get_or_insert_with(Instant::now);
    }

    fn is_dirty(&self) -> bool {
        self.since.is_some() && !self.aged
    }

    fn due(&self) -> Instant {
        self.since.unwrap_or_else(Instant::now) + CHECKPOINT_EVERY
    }

    fn age(&mut self) {
        self.aged = true;
    }

    fn save_if_due(&mut self, runs: &Arc<dyn RunStore>, run: &Run, channel: &Arc<Channel>) {
        let due = self.aged || self.events >= CHECKPOINT_EVENTS || self.bytes >= CHECKPOINT_BYTES;
        if !due || self.since.is_none() || self.saving.is_some() {
            return;
        }
        let (first, events) = channel.unlogged();
        let batch =
            EventBatch { first, events: events.iter().map(|event| ChatEvent::clone(event)).collect() };
        let (runs, scope, id, attempt) = (runs.clone(), channel.scope, run.id, run.attempt);
        let last = batch.last();
        let save = async move { runs.checkpoint(&scope, id, attempt, &batch).await };
        self.saving = Some((last, (self.spawn)(Box::pin(save))));
        (self.events, self.bytes, self.since, self.aged) = (0, 0, None, false);
    }

    /// Waits for the checkpoint on its way; for ever if there is none.
    async fn saved(&mut self, channel: &Channel) {
        match &mut self.saving {
            None => std::future::pending().await,
            Some((last, task)) => {
                let (last, outcome) = (*last, task.await);
                self.saving = None;
                match outcome {
                    Ok(Ok(())) => channel.logged(last),
                    Ok(Err(error)) => {
                        // Its events stay unlogged and go with the next one.
                        tracing::warn!(%error, "a checkpoint failed");
                        self.since.get_or_insert_with(Instant::now);
                    }
                    Err(error) => tracing::error!(%error, "a checkpoint panicked"),
                }
            }
        }
    }

    /// Waits until no checkpoint is on its way.
    async fn flush(&mut self, channel: &Channel) {
        if self.saving.is_some() {
            self.saved(channel).await;
        }
    }
}
