//! Runs that wait for a person, and how they go on.

use std::sync::Arc;

use aimate_text::tokens::Tokenizer;
use serde_json::Value;
use tracing::Instrument as _;

use super::run_call::RunQuestion;
use super::turn_prompt::{Branch, TurnPrompt, budget};
use super::{Engine, Runs};
use crate::audit::{AuditEvent, action};
use crate::chat::channel::Channel;
use crate::chat::context::{MAX_MESSAGES, message_tokens};
use crate::chat::end::PartialAnswer;
use crate::chat::tool_loop::{Parked, ToolLoop, WaitingCall};
use crate::chat::transcript::Transcript;
use crate::chat::{CallDecision, OnDisconnect};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RunId;
use crate::limit;
use crate::provider::FinishReason;
use crate::retrieval::citations::passages_of;
use crate::run::{AbandonedRun, ChangeParked, EventBatch, FinishRun, Run, RunStatus, ToolAnswer};
use crate::scope::Scope;
use crate::tool::ElicitationAnswer;

/// How often a decision is tried again that another one got in the way of.
const TRIES: u32 = 8;

impl Runs {
    /// Says whether a call that waits may be made. Once every call of the run has been decided
    /// it goes on, in this process; [`Runs::attach`] listens to it. The same again changes
    /// nothing: a call is made once.
    ///
    /// Only the user whose run it is decides: its tools act for them.
    ///
    /// # Errors
    /// `NotFound` for an unknown run or call; `Conflict` if the call was decided otherwise
    /// before, or does not wait any more; `Unavailable` while draining.
    pub async fn decide(&self, id: RunId, call: &str, decision: CallDecision) -> Result<Run> {
        self.engine.admit(&self.scope).await?;
        self.engine.accepting()?;
        if let Some(reason) = &decision.reason {
            limit::text("reason", reason, limit::PROMPT)?;
        }
        // In a task of the engine: a caller who goes away must not leave a run that is taken
        // and that nobody drives.
        let (engine, scope, call) = (self.engine.clone(), self.scope, call.to_owned());
        let decide = async move { engine.decide(&scope, id, &call, decision).await };
        let decided = self.engine.inner.tasks.spawn(decide.in_current_span()).await;
        decided.map_err(|error| Error::internal("a decision broke down").with_source(error))?
    }

    /// Answers what a tool asks while it runs ([`ChatEvent::InputRequired`](crate::chat::event::ChatEvent::InputRequired)).
    /// Where another process makes the call, it is told within a second.
    ///
    /// Only the user whose run it is answers: its tools act for them.
    ///
    /// # Errors
    /// `NotFound` for an unknown run, for one that is not under way, or if the call asks nothing
    /// in this process, which makes it; `Invalid` for an answer of more than 64 KiB; `Conflict`
    /// if many answers wait for the other process.
    pub async fn answer_tool(&self, id: RunId, call: &str, answer: ElicitationAnswer) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        limit::name("call_id", call, limit::NAME)?;
        if let ElicitationAnswer::Accept { content } = &answer {
            limit::metadata("content", content)?;
        }
        let inner = &self.engine.inner;
        if inner.channel(&self.scope, id).is_some() {
            return inner.tools.questions.answer(id, call, answer);
        }
        let answer = ToolAnswer { call: call.to_owned(), answer };
        inner.stores.runs.leave_answer(&self.scope, id, &answer).await
    }
}

impl Engine {
    async fn decide(&self, scope: &Scope, id: RunId, call: &str, decision: CallDecision) -> Result<Run> {
        let runs = &self.inner.stores.runs;
        let mut tries = 0;
        loop {
            let (run, stored) = runs.parked(scope, id).await?;
            let mut parked = match stored {
                Some(stored) => Parked::read(stored)?,
                None => return Err(Error::conflict("no call of this run waits for anybody")),
            };
            match parked.calls.get_mut(call) {
                None => {
                    let call = crate::text::shorten(call, 100);
                    return Err(Error::not_found(format!("no call `{call}` waits in this run")));
                }
                // A call is made once, however often that is said.
                Some(WaitingCall { decision: Some(before), .. }) if before.approve == decision.approve => {
                    return Ok(run);
                }
                Some(WaitingCall { decision: Some(_), .. }) => {
                    return Err(Error::conflict("the call was decided otherwise before"));
                }
                Some(_) if run.status != RunStatus::Waiting => {
                    return Err(Error::conflict(format!("the run waits for nobody: it is {}", run.status)));
                }
                Some(waiting) => waiting.decision = Some(decision.clone()),
            }
            // Before it is known to be this process's: a run that is stored as its own and that
            // nobody holds would be taken for abandoned.
            let hold = parked.is_decided().then(|| self.inner.beginning.hold(id));
            let change = ChangeParked {
                id,
                attempt: run.attempt,
                parked: parked.stored(),
                resumed_by: hold.as_ref().map(|_| self.inner.worker),
                now: self.inner.sources.now(),
            };
            let changed = match runs.change_parked(scope, &change).await {
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => {
                    tries += 1;
                    continue;
                }
                changed => changed?,
            };
            let did = if decision.approve { action::TOOL_APPROVED } else { action::TOOL_REJECTED };
            self.audit_of(scope, AuditEvent::new(did).target("run", id).detail("call", call)).await;
            if hold.is_some() {
                self.go_on(scope, changed.clone(), parked).await;
            }
            return Ok(changed);
        }
    }

    /// Ends a run that waits, because somebody does not want its answer any more.
    pub(super) async fn cancel_waiting(&self, scope: &Scope, id: RunId) -> Result<()> {
        let runs = &self.inner.stores.runs;
        for _ in 0..TRIES {
            let (run, stored) = runs.parked(scope, id).await?;
            if run.status != RunStatus::Waiting {
                return Ok(());
            }
            let hold = self.inner.beginning.hold(id);
            let parked = stored.unwrap_or_default();
            let change = ChangeParked {
                id,
                attempt: run.attempt,
                parked: parked.clone(),
                resumed_by: Some(self.inner.worker),
                now: self.inner.sources.now(),
            };
            match runs.change_parked(scope, &change).await {
                Err(error) if error.kind() == ErrorKind::Conflict => continue,
                Err(error) => return Err(error),
                Ok(run) => {
                    let abandoned = AbandonedRun { scope: *scope, run };
                    let ended = self.end_parked(abandoned, parked, None).await;
                    drop(hold);
                    return ended;
                }
            }
        }
        Err(Error::unavailable("the run changes at this moment; try again"))
    }

    /// Goes on with a run that this process has taken. One that cannot go on ends, and says why.
    async fn go_on(&self, scope: &Scope, run: Run, parked: Parked) {
        let stored = parked.stored();
        match self.resume(scope, &run, parked).await {
            Ok(()) => self.inner.resumed.notify_waiters(),
            Err(error) => {
                tracing::warn!(%error, cause = ?error, run = %run.id, "a run could not go on");
                let abandoned = AbandonedRun { scope: *scope, run };
                if let Err(error) = self.end_parked(abandoned, stored, Some(&error)).await {
                    tracing::error!(%error, "ending a run that could not go on failed too");
                }
            }
        }
    }

    async fn resume(&self, scope: &Scope, run: &Run, parked: Parked) -> Result<()> {
        let place = self.place_of_answer(scope)?;
        let inner = &self.inner;
        let target = self.resolve_in_connection(scope, &run.model).await?;
        let tokenizer = Tokenizer::for_model(&target.model_id);
        let turn = parked.turn;
        let budget = budget(target.window(), turn.sampling.max_tokens);
        let conversations = &inner.stores.conversations;
        let branch = conversations
            .window(scope, run.conversation_id, run.user_message_id, budget.prompt(), MAX_MESSAGES)
            .await?;
        let answer = conversations.message(scope, run.conversation_id, run.message_id).await?;
        let (toolbox, _) = self.toolbox(scope, &turn.use_tools, &[], &turn.tools).await?;
        let tools = toolbox.offer(tokenizer, &turn.tools);
        let branch = Branch {
            conversation: branch.conversation,
            is_new: false,
            prompts: branch.prompts,
            path: branch.messages,
        };
        let prompt = TurnPrompt { branch: &branch, new: 1, target: &target, turn: &turn, tools: &tools };
        let context = self.turn_prompt(&prompt, tokenizer, budget)?;
        let (specs, _) = tools;
        let passages = branch.path.last().map(|last| passages_of(&last.content)).unwrap_or_default();
        let prompt_tokens = context.tokens;
        let question = RunQuestion {
            run,
            target,
            turn: &turn,
            messages: context.messages,
            prompt_tokens,
            tokenizer,
            tools: specs,
            passages,
            so_far: (&answer.content, parked.usage),
        };
        let (mut call, accounting, hold) = self.run_call(scope, question).await?;
        let knowledge = turn.knowledge.clone();
        let calling = self.calling(scope, Some(run.conversation_id), Some(run.id), knowledge);
        let decided = parked.calls;
        let (own, keeps_text) = (turn.tools.clone(), turn.keeps_text);
        let tools =
            ToolLoop { progress: parked.progress, decided, ..ToolLoop::new(toolbox, own, calling, turn) };
        if let Some(hold) = hold {
            call.limit(hold);
        }
        let transcript =
            Transcript::of(answer.content.clone(), call.request.passages.clone()).keeping_text(keeps_text);
        let begun = PartialAnswer::new(transcript, parked.usage);
        let continues = OnDisconnect::Continue;
        let channel = Arc::new(Channel::resumed(*scope, run.conversation_id, continues, parked.last));
        inner.channels().insert(run.id, channel.clone());
        let mut run = run.clone();
        run.context = serde_json::json!(prompt_tokens);
        self.drive(channel, run, answer, place, call, Some(tools), begun, accounting);
        Ok(())
    }

    /// Ends a run that waited, as this process's: cancelled, or failed with `error`.
    pub(super) async fn end_parked(
        &self,
        AbandonedRun { scope, run }: AbandonedRun,
        parked: Value,
        error: Option<&Error>,
    ) -> Result<()> {
        let conversations = &self.inner.stores.conversations;
        let answer = match conversations.message(&scope, run.conversation_id, run.message_id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            answer => answer?,
        };
        let parked = Parked::read(parked).ok();
        let mut transcript = Transcript::of(answer.content, Vec::new());
        transcript.close_calls("The answer ended before this call was made.");
        let content = transcript.into_answer().content;
        let status = if error.is_some() { RunStatus::Failed } else { RunStatus::Cancelled };
        let tokens = message_tokens(Tokenizer::Estimate, &content);
        let (usage, last) = parked.map(|parked| (parked.usage, parked.last)).unwrap_or_default();
        let finish = FinishRun {
            error: error.map(Into::into),
            finish_reason: error.is_none().then(FinishReason::cancelled),
            tokens,
            content,
            events: EventBatch { first: last + 1, events: Vec::new() },
            ..FinishRun::of(&run, status, usage, self.inner.sources.now())
        };
        self.store_end_of(scope, &run, &finish).await
    }
}
