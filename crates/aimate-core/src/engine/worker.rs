//! The process as a worker: it renews its lease, picks up requests to cancel a
//! run, and ends the runs of processes that died.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Engine;
use super::deletion::KEEP_RECEIPTS;
use crate::chat::context::message_tokens;
use crate::chat::event::ChatEvent;
use crate::chat::tool_step::unknown_outcome;
use crate::chat::transcript::Transcript;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::run::{AbandonedRun, EventBatch, FinishRun, Run, RunError, RunStatus, ToolAnswer};
use crate::scope::Scope;
use crate::usage::TokenUsage;
use aimate_text::tokens::Tokenizer;

/// How often the worker looks for requests to cancel while it has runs.
const BEAT: Duration = Duration::from_millis(500);
/// How many abandoned runs are taken over at once.
const TAKE: u32 = 100;
/// How long the event log of a finished run is kept for listeners who come back.
const KEEP_LOGS: Duration = Duration::from_secs(3_600);
/// How long a batch of files is known when none of them belongs to it any more: a week.
const KEEP_BATCHES: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Beats between two looks for abandoned runs (and signs of life of an idle
/// worker), and between two clearings of logs and of links that have ended.
const LOOK_EVERY: u64 = 10;
/// Beats between two looks for running answers of users who may not act any more.
/// Disabling a user cancels what runs then; this finds what another process, which
/// did not know of it yet, began after that.
const JUDGE_EVERY: u64 = 4;
const CLEAR_EVERY: u64 = 1_200;

impl Engine {
    pub(super) async fn start_worker(&self) -> Result<()> {
        let inner = &self.inner;
        inner.stores.workers.join(inner.worker, inner.sources.now()).await?;
        self.recover().await?;
        let engine = self.clone();
        let stop = inner.stop.clone();
        inner.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = engine.work() => {}
            }
        });
        let engine = self.clone();
        self.until_stopped(async move { engine.keep_messages_indexed().await });
        let engine = self.clone();
        self.until_stopped(async move { engine.keep_hidden_cleared().await });
        Ok(())
    }

    async fn work(&self) {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for count in 1_u64.. {
            beats.tick().await;
            // After a failure, whether it has passed is soon of interest.
            let is_idle = self.running() == 0 && !self.inner.readiness.is_in_trouble();
            if is_idle && !count.is_multiple_of(LOOK_EVERY) {
                continue;
            }
            let outcome = self.beat(count).await;
            if let Err(error) = &outcome {
                tracing::warn!(%error, cause = ?error, "housekeeping failed; trying again");
            }
            self.inner.readiness.note(&outcome);
        }
    }

    async fn beat(&self, count: u64) -> Result<()> {
        let inner = &self.inner;
        let now = inner.sources.now();
        // First: the lease is renewed whatever fails after it.
        for run in inner.stores.workers.beat(inner.worker, now).await? {
            if let Some(channel) = inner.channels().get(&run) {
                channel.cancel.cancel();
            }
        }
        if count.is_multiple_of(JUDGE_EVERY) && self.running() > 0 {
            inner.stores.workers.cancel_of_inactive(inner.worker).await?;
        }
        if inner.tools.questions.some_wait() {
            for (run, answers) in inner.stores.workers.take_answers(inner.worker).await? {
                for ToolAnswer { call, answer } in answers {
                    // A question that is not asked any more needs none.
                    let _ = inner.tools.questions.answer(run, &call, answer);
                }
            }
        }
        if count.is_multiple_of(LOOK_EVERY) {
            self.recover().await?;
        }
        if count.is_multiple_of(CLEAR_EVERY) {
            inner.stores.workers.clear_logs(now.minus(KEEP_LOGS)).await?;
            inner.stores.deletions.clear(now.minus(KEEP_RECEIPTS)).await?;
            inner.stores.shares.clear(now).await?;
            inner.stores.queue.clear_batches(now.minus(KEEP_BATCHES)).await?;
        }
        Ok(())
    }

    /// Ends every run whose process is gone, with the text that was logged; and
    /// every run of this process that nobody drives: its begin, or its end, was
    /// stored without the database saying so.
    async fn recover(&self) -> Result<()> {
        let (inner, workers) = (&self.inner, &self.inner.stores.workers);
        for (cancelled, parked) in workers.take_cancelled(inner.worker, TAKE).await? {
            self.end_parked(cancelled, parked, None).await?;
        }
        loop {
            // In this order: a run is held before it has a time, and until its
            // channel is there.
            let now = inner.sources.now();
            let mut held = inner.beginning.all();
            held.extend(inner.channels().keys());
            let mut found = workers.take_unheld(inner.worker, now, &held, TAKE).await?;
            found.extend(workers.take_abandoned(inner.worker, now, inner.lease, TAKE).await?);
            let full = found.len() as u64 >= u64::from(TAKE);
            for abandoned in found {
                self.end_abandoned(abandoned).await?;
            }
            if !full {
                return Ok(());
            }
        }
    }

    pub(super) async fn end_abandoned(&self, AbandonedRun { scope, run }: AbandonedRun) -> Result<()> {
        let (mut transcript, last) = self.logged(&scope, &run).await?;
        let closed = transcript.close_calls(unknown_outcome());
        let tokenizer = Tokenizer::Estimate;
        let content = transcript.into_answer().content;
        let tokens = message_tokens(tokenizer, &content);
        let error =
            Error::unavailable("the process that wrote this answer stopped before it was whole; ask again");
        let now: Timestamp = self.inner.sources.now();
        let mut usage = TokenUsage {
            input_tokens: prompt_tokens(&run.context),
            output_tokens: u64::from(tokens),
            estimated: true,
            ..TokenUsage::default()
        };
        usage.cost = self.pricing_of(&scope, &run.model, run.created_at).await.cost(&usage);
        tracing::info!(run = %run.id, tokens, "ended a run whose process is gone");
        let finish = FinishRun {
            error: Some(RunError::from(&error)),
            tokens,
            content,
            events: EventBatch {
                first: last + 1,
                events: closed.into_iter().map(|result| ChatEvent::ToolReturned(Box::new(result))).collect(),
            },
            ..FinishRun::of(&run, RunStatus::Interrupted, usage, now)
        };
        self.store_end_of(scope, &run, &finish).await
    }

    /// Stores the end of a run that nobody drives.
    pub(super) async fn store_end_of(&self, scope: Scope, run: &Run, finish: &FinishRun) -> Result<()> {
        match self.inner.stores.runs.finish(&scope, finish).await {
            // Somebody deleted the conversation, or ended the run, meanwhile.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => Ok(()),
            outcome => {
                outcome?;
                self.inner.observers.notices.run_finished(scope, run, finish);
                Ok(())
            }
        }
    }

    /// The fold of a run's log, and the last sequence number in it.
    async fn logged(&self, scope: &crate::Scope, run: &crate::run::Run) -> Result<(Transcript, u64)> {
        let (mut transcript, mut last) = (Transcript::default(), 0);
        loop {
            let batches = self.inner.stores.runs.events(scope, run.id, last, 1_000).await?;
            if batches.is_empty() {
                return Ok((transcript, last));
            }
            for batch in batches {
                for (event, n) in batch.events.iter().zip(batch.first..) {
                    if n > last {
                        transcript.apply(event);
                        last = n;
                    }
                }
            }
        }
    }
}

/// Tokens of a run's prompt, out of its manifest, or of what stands for it
/// while the run is driven.
fn prompt_tokens(context: &serde_json::Value) -> u64 {
    context.as_u64().or_else(|| context.get("tokens")?.as_u64()).unwrap_or(0)
}
