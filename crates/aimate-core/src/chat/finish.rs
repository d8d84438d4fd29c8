//! The driver's last act: it stores the end of a run and publishes its last event.

use std::time::Duration;

use aimate_text::tokens::Tokenizer;
use tokio_util::sync::CancellationToken;

use super::accounting::counted;
use super::channel::Channel;
use super::driver::Driver;
use super::end::End;
use super::event::{ChatEvent, Finished, Started};
use super::transcript::Transcript;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, Part};
use crate::provider::FinishReason;
use crate::retrieval::citations::Resolved;
use crate::run::{EventBatch, FinishRun, Run, RunError, RunStatus, RunStore};
use crate::usage::{TokenUsage, UsageRecord};
use crate::warning::WarningCode;

impl Driver {
    /// Stores the end of the run and publishes its last event.
    pub(super) async fn finish(
        mut self,
        transcript: Transcript,
        usage: TokenUsage,
        end: End,
        tokenizer: Tokenizer,
    ) {
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
            error: end.error.clone(),
            finish_reason: end.reason.clone(),
            tokens,
            content,
            events: EventBatch {
                first,
                events: events.iter().map(|event| ChatEvent::clone(event)).collect(),
            },
            ..FinishRun::of(&self.run, end.status, usage, now)
        }
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
