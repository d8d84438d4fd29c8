//! The driver's part in the tool loop: it makes the calls of a step, tells listeners, and
//! lets the run wait where a person has to say something.

use tokio::time::Instant;

use super::accounting::Accounting;
use super::channel::Channel;
use super::context::message_tokens;
use super::driver::Driver;
use super::end::{DATABASE_PATIENCE, End, NextStep, PartialAnswer, database_away, failed, shutting_down};
use super::event::ChatEvent;
use super::model_call::ModelCall;
use super::tool_calls::{ToolCalls, ToolEvent};
use super::tool_loop::{StepPlan, ToolLoop};
use crate::error::{ErrorKind, Result};
use crate::message::{ToolCall, ToolResult};
use crate::provider::FinishReason;
use crate::run::{EventBatch, ParkRun};
use crate::tool::KeptOutput;
use crate::tool::result::CappedResult;
use crate::warning::WarningCode;

impl Driver {
    /// Makes the calls that the model wants, as far as they are to be made.
    pub(super) async fn use_tools(
        &mut self,
        tools: &mut ToolLoop,
        call: &mut ModelCall,
        answer: &mut PartialAnswer,
        accounting: &mut Accounting,
    ) -> NextStep {
        // Another process must find the calls before anything comes of them: it must not
        // make them again.
        if let Err(error) = self.save().await {
            return NextStep::End(failed(&error, true));
        }
        let StepPlan { make, refused, ask, ends } = tools.plan(answer.transcript.open_calls());
        self.returned(refused, answer);
        if !make.is_empty()
            && let Err(end) = self.make(ToolCalls::new(&tools.calling, make), tools, answer).await
        {
            return NextStep::End(end);
        }
        if !ask.is_empty() && !tools.ends_with(&ask) {
            return NextStep::Wait(ask);
        }
        if let Some(reason) = ends.or_else(|| (!ask.is_empty()).then_some(FinishReason::ToolCalls)) {
            return NextStep::End(End::completed(reason));
        }
        if let Some(detail) = tools.step_done(&mut call.request, &answer.used) {
            self.publish([ChatEvent::Warning { code: WarningCode::ToolLimit, detail }]);
        }
        call.go_on(answer.transcript.parts());
        let tokens = message_tokens(accounting.tokenizer, answer.transcript.parts());
        accounting.prompt_tokens = call.prompt_tokens + u64::from(tokens);
        match &call.meter {
            None => NextStep::Ask,
            Some(meter) => match meter.set_aside(accounting.prompt_tokens).await {
                Ok(true) => NextStep::Ask,
                Ok(false) => {
                    self.publish([ChatEvent::Warning {
                        code: WarningCode::BudgetExceeded,
                        detail: "a budget that counts this answer is used up, so it ends here; an admin can raise it"
                            .into(),
                    }]);
                    NextStep::End(End::completed(FinishReason::budget()))
                }
                Err(error) => NextStep::End(failed(&error, true)),
            },
        }
    }

    /// Waits for calls and tells what comes of them.
    async fn make(
        &mut self,
        mut calls: ToolCalls,
        tools: &mut ToolLoop,
        answer: &mut PartialAnswer,
    ) -> Result<(), End> {
        let cancel = self.channel.cancel.clone();
        let interrupt = self.interrupt.clone();
        loop {
            let due = self.log.due();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(End::cancelled()),
                () = interrupt.cancelled() => return Err(End::interrupted(&shutting_down())),
                () = self.log.saved(&self.channel) => {}
                event = calls.next() => match event {
                    None => return Ok(()),
                    Some(ToolEvent::Progress(id, progress)) => {
                        self.publish([ChatEvent::ToolProgress { id, progress: Box::new(progress) }]);
                    }
                    Some(ToolEvent::Question(id, question)) => {
                        self.publish([ChatEvent::InputRequired { id, question: Box::new(question) }]);
                    }
                    Some(ToolEvent::Returned(result)) => {
                        let result = tools.bounded(self.keep(*result, tools).await);
                        self.returned(vec![result], answer);
                    }
                },
                () = tokio::time::sleep_until(due), if self.log.is_dirty() => self.log.age(),
            }
            self.log.save_if_due(&self.runs, &self.run, &self.channel);
        }
    }

    /// Keeps what a result has beyond what its model is shown.
    async fn keep(&self, capped: CappedResult, tools: &ToolLoop) -> ToolResult {
        let CappedResult { mut result, whole } = capped;
        let Some(text) = whole else { return result };
        let (id, kept) = (self.sources.id(), text.len());
        let output = KeptOutput { id, conversation_id: self.run.conversation_id, text };
        let (shown, all) = (result.text().len(), result.bytes.unwrap_or_default());
        let note = match self.outputs.keep(&self.channel.scope, &output).await {
            Ok(()) => {
                result.handle = Some(id);
                let rest = if (kept as u64) < all {
                    format!(", of which the first {kept} are kept")
                } else {
                    String::new()
                };
                format!(
                    "[The first {shown} of {all} bytes{rest}. Read on with `read_tool_output`, handle {id}, offset {shown}.]"
                )
            }
            Err(error) => {
                tracing::warn!(%error, "the whole of a tool's result could not be kept");
                format!("[The first {shown} of {all} bytes; the rest could not be kept.]")
            }
        };
        debug_assert!(shown <= tools.calling.limits.shown);
        result.output = format!("{}\n\n{note}", result.text()).into();
        result
    }

    fn returned(&mut self, results: Vec<ToolResult>, answer: &mut PartialAnswer) {
        let events: Vec<_> =
            results.into_iter().map(|result| ChatEvent::ToolReturned(Box::new(result))).collect();
        for event in &events {
            answer.transcript.apply(event);
        }
        self.publish(events);
    }

    /// Publishes events that are to be logged.
    pub(super) fn publish(&mut self, events: impl IntoIterator<Item = ChatEvent>) {
        let events: Vec<_> = events.into_iter().collect();
        for event in &events {
            self.log.note(event);
        }
        if !events.is_empty() {
            self.channel.publish(events);
        }
    }

    /// Stores all that is published, however long the database takes, within reason.
    async fn save(&mut self) -> Result<()> {
        self.log.flush(&self.channel).await;
        let deadline = Instant::now() + DATABASE_PATIENCE;
        let mut wait = std::time::Duration::from_millis(50);
        loop {
            let batch = unlogged(&self.channel);
            let outcome =
                self.runs.checkpoint(&self.channel.scope, self.run.id, self.run.attempt, &batch).await;
            match outcome {
                Ok(()) => {
                    self.channel.logged(batch.last());
                    self.log.clear();
                    return Ok(());
                }
                Err(error) if error.kind() != ErrorKind::Unavailable => return Err(error),
                Err(error) if Instant::now() >= deadline || self.interrupt.is_cancelled() => {
                    return Err(database_away().with_source(error));
                }
                Err(error) => {
                    tracing::warn!(%error, run = %self.run.id, "a checkpoint before a tool's call failed; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(std::time::Duration::from_secs(5));
                }
            }
        }
    }

    /// Stores the run as one that waits for a person to say something of these calls. Returns
    /// how it ended where that failed.
    pub(super) async fn park(
        &mut self,
        tools: &ToolLoop,
        waiting: &[ToolCall],
        answer: &PartialAnswer,
    ) -> Option<End> {
        if let Err(error) = self.save().await {
            return Some(failed(&error, true));
        }
        if self.channel.cancel.is_cancelled() {
            return Some(End::cancelled());
        }
        let asked: Vec<_> =
            waiting.iter().map(|call| ChatEvent::ApprovalRequired { call: Box::new(call.clone()) }).collect();
        let (first, count) = (self.channel.last() + 1, asked.len() as u64);
        let parked = tools.parked(waiting, answer.used, first + count - 1);
        let park = ParkRun {
            id: self.run.id,
            attempt: self.run.attempt,
            parked: parked.stored(),
            content: answer.transcript.parts().to_vec(),
            events: EventBatch { first, events: asked.clone() },
        };
        match self.runs.park(&self.channel.scope, &park).await {
            Ok(()) => {
                // Not before: whoever hears it may answer at once.
                self.channel.publish(asked);
                self.channel.logged(first + count - 1);
                self.channel.park();
                None
            }
            Err(error) => Some(failed(&error, true)),
        }
    }
}

/// What is published and not logged.
fn unlogged(channel: &Channel) -> EventBatch {
    let (first, events) = channel.unlogged();
    EventBatch { first, events: events.iter().map(|event| ChatEvent::clone(event)).collect() }
}

/// The error of a run whose calls were cut off.
pub(crate) fn unknown_outcome() -> &'static str {
    "The process stopped while this call was under way. Whether it did anything is not known; it is not made again."
}
