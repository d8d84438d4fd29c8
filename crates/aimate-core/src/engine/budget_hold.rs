//! What is set aside in budgets for a call of a model: before it is asked, and more
//! while its answer grows. The answer ends where there is no more.
//!
//! What the call cost in the end is counted in the commit that stores its usage, which
//! also gives back what was set aside for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aimate_text::tokens::MESSAGE_OVERHEAD;
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tokio::task::JoinHandle;

use super::Engine;
use super::resolve::ResolvedModel;
use crate::budget::{Amount, Budget, BudgetLimits, BudgetedCall, Reserve, Reserved};
use crate::chat::model_call::{Meter, ModelCall};
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::id::{UsageId, WorkspaceId};
use crate::price::Pricing;
use crate::provider::{ChatRequest, FinishReason, ProviderEvent, ProviderStream};
use crate::scope::Scope;
use crate::usage::Cost;
use crate::warning::WarningCode;

/// Tokens of an answer that are set aside at a time.
const STEP: u64 = 1_024;
/// Tokens of an answer that comes as a whole, where nobody says how many it may have.
const WHOLE: u64 = 4_096;
/// Tokens that an answer needs at least, to be begun.
const LEAST: u64 = 16;
/// Tokens before the end of what is set aside at which more is asked for.
const AHEAD: u64 = 64;
/// How long something stays set aside beyond the time that an answer may take.
const GRACE: Duration = Duration::from_secs(600);
/// How long to wait for a database that does not answer, before each new try.
const WAITS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_millis(1_000)];

/// A call for which something is to be set aside.
pub(super) struct NewHold<'c> {
    /// The id of its usage record.
    pub(super) call: UsageId,
    pub(super) target: &'c ResolvedModel,
    pub(super) pricing: Pricing,
    pub(super) workspace: Option<WorkspaceId>,
    pub(super) tags: &'c [String],
    pub(super) prompt_tokens: u64,
    /// Tokens that the answer may have.
    pub(super) output: Output,
    /// What the call's earlier answers took, where it goes on.
    pub(super) spent: Amount,
    /// How often something may have been set aside for it before.
    pub(super) steps_before: u32,
}

/// How the answer comes.
#[derive(Clone, Copy)]
pub(super) enum Output {
    /// Piece by piece, so that more can be set aside on the way; at most so many tokens.
    Streamed(Option<u32>),
    /// As a whole; at most so many tokens.
    Whole(Option<u32>),
    /// There is none to count: vectors.
    None,
}

impl Output {
    /// How the answer to `request` comes.
    pub(super) fn of(request: &ChatRequest) -> Self {
        let most = request.sampling.max_tokens;
        if request.stream { Self::Streamed(most) } else { Self::Whole(most) }
    }

    /// Tokens to set aside, and those that are needed at least.
    fn tokens(self) -> (u64, u64) {
        let wanted = match self {
            Self::Streamed(most) => most.map_or(STEP, |most| u64::from(most).min(STEP)),
            Self::Whole(most) => most.map_or(WHOLE, u64::from),
            Self::None => 0,
        };
        (wanted, wanted.min(LEAST))
    }
}

/// What is set aside for one call. Given back when dropped, unless the call takes place
/// ([`BudgetHold::take`]): then its usage record does it.
pub(super) struct BudgetHold {
    engine: Engine,
    scope: Scope,
    call: UsageId,
    subjects: Vec<String>,
    pricing: Pricing,
    prompt_tokens: u64,
    /// What its earlier answers took, in a run whose model calls tools.
    spent: Amount,
    /// Tokens of the answer so far.
    written: u64,
    step: u32,
    /// What the call may cost before more is set aside.
    granted: BudgetLimits,
    takes_place: bool,
    /// Something that is being set aside: its caller may go away, and the database does
    /// not stop for that.
    under_way: Option<JoinHandle<Result<Reserved>>>,
}

impl Engine {
    /// Sets aside what a call may need; `None` if no budget counts it.
    ///
    /// # Errors
    /// `RateLimited` with [`ErrorReason::BudgetExceeded`]; what the store says.
    pub(super) async fn hold_budget(&self, scope: &Scope, new: NewHold<'_>) -> Result<Option<BudgetHold>> {
        if !new.target.has_budgets() {
            return Ok(None);
        }
        let label = new.target.label();
        let call = BudgetedCall { user: scope.user, workspace: new.workspace, model: &label, tags: new.tags };
        let mut hold = BudgetHold {
            engine: self.for_task(),
            scope: *scope,
            call: new.call,
            subjects: call.subjects(),
            pricing: new.pricing,
            prompt_tokens: new.prompt_tokens,
            spent: new.spent,
            written: 0,
            step: new.steps_before,
            granted: BudgetLimits::default(),
            takes_place: false,
            under_way: None,
        };
        let (wanted, least) = new.output.tokens();
        let of = |output| plus(new.spent, new.pricing.estimate(new.prompt_tokens, output));
        match hold.reserve(of(wanted), of(least)).await? {
            Reserved::Unlimited => {
                hold.takes_place = true;
                Ok(None)
            }
            Reserved::Granted(_) => Ok(Some(hold)),
            Reserved::Refused(budget) => {
                // There is nothing to give back.
                hold.takes_place = true;
                Err(used_up(&budget))
            }
        }
    }
}

impl BudgetHold {
    /// The call takes place: its usage record gives back what is set aside.
    pub(super) fn take(&mut self) {
        self.takes_place = true;
    }

    /// The call takes place, and is asked for no more tokens than are set aside where
    /// its answer comes as a whole. Returns how many that are, if it is fewer than it
    /// would be asked for otherwise.
    pub(super) fn take_whole(&mut self, request: &mut ChatRequest) -> Option<u32> {
        self.take();
        let cap = if request.stream { None } else { self.cap(request.sampling.max_tokens) };
        if cap.is_some() {
            request.sampling.max_tokens = cap;
        }
        cap
    }

    fn cap(&self, most: Option<u32>) -> Option<u32> {
        let fits = |output: &u64| self.covers(&self.needed(*output));
        let most = most.map_or(WHOLE, u64::from);
        if fits(&most) {
            return None;
        }
        // The greatest that fits: what it costs grows with the tokens.
        let (mut low, mut high) = (0, most);
        while low + 1 < high {
            let middle = low.midpoint(high);
            if fits(&middle) { low = middle } else { high = middle }
        }
        u32::try_from(low.max(1)).ok()
    }

    /// What the call takes with so many tokens of this answer.
    fn needed(&self, output: u64) -> Amount {
        plus(self.spent, self.pricing.estimate(self.prompt_tokens, output))
    }

    /// Sets something aside for one more answer, to a prompt of so many tokens; whether there
    /// is enough.
    async fn set_aside(&mut self, prompt_tokens: u64) -> Result<bool> {
        self.spent = self.needed(self.written);
        (self.prompt_tokens, self.written) = (prompt_tokens, 0);
        if self.covers(&self.needed(LEAST)) {
            return Ok(true);
        }
        let of = |output| self.pricing.estimate(prompt_tokens, output);
        let (wanted, least) = (of(STEP), of(LEAST));
        Ok(!matches!(self.reserve(wanted, least).await?, Reserved::Refused(_)))
    }

    /// Sets more aside and notes what there is now.
    async fn reserve(&mut self, wanted: Amount, least: Amount) -> Result<Reserved> {
        let lasts = self.engine.inner.answer_limits.time;
        let mut waits = WAITS.into_iter();
        loop {
            let now = self.engine.inner.sources.now();
            let reserve = Reserve {
                call: self.call,
                step: self.step,
                subjects: self.subjects.clone(),
                wanted,
                least,
                now,
                expires_at: now.plus(lasts).plus(GRACE),
            };
            // One whose acknowledgement is lost may be stored.
            self.step += 1;
            match self.reserve_once(reserve).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error),
                },
                Err(error) => return Err(error),
                Ok(reserved) => {
                    if let Reserved::Granted(budgets) = &reserved {
                        self.granted = smallest(budgets);
                    }
                    return Ok(reserved);
                }
            }
        }
    }

    async fn reserve_once(&mut self, reserve: Reserve) -> Result<Reserved> {
        let (engine, scope) = (self.engine.clone(), self.scope);
        let task = async move { engine.inner.stores.budgets.reserve(&scope, &reserve).await };
        let under_way = self.under_way.insert(self.engine.inner.tasks.spawn(task));
        let reserved = under_way.await;
        self.under_way = None;
        reserved.map_err(|error| Error::internal("setting something aside failed").with_source(error))?
    }

    fn covers(&self, amount: &Amount) -> bool {
        self.granted.max_cost.is_none_or(|most| amount.cost <= most)
            && self.granted.max_tokens.is_none_or(|most| amount.tokens <= most)
    }
}

impl Drop for BudgetHold {
    fn drop(&mut self) {
        let under_way = self.under_way.take();
        // Without a runtime the process is ending; it expires.
        if (self.takes_place && under_way.is_none()) || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (engine, scope, call) = (self.engine.clone(), self.scope, self.call);
        self.engine.inner.tasks.spawn(async move {
            if let Some(under_way) = under_way {
                // Whatever came of it is given back.
                let _ = under_way.await;
            }
            if let Err(error) = engine.inner.stores.budgets.release(&scope, call).await {
                tracing::warn!(%error, "what was set aside for a call is given back when it expires");
            }
        });
    }
}

impl ModelCall {
    /// Holds the answer to what is set aside for it: the call takes place.
    pub(super) fn limit(&mut self, mut budget: BudgetHold) {
        let cap = budget.take_whole(&mut self.request);
        self.meter =
            Some(Arc::new(SharedHold { hold: Arc::new(Mutex::new(Some(budget))), is_capped: cap.is_some() }));
    }
}

/// What is set aside for a run, whose answers take it one after the other.
struct SharedHold {
    /// Absent while an answer has it.
    hold: Arc<Mutex<Option<BudgetHold>>>,
    /// The model was asked for fewer tokens than it may have otherwise.
    is_capped: bool,
}

fn slot(hold: &Mutex<Option<BudgetHold>>) -> MutexGuard<'_, Option<BudgetHold>> {
    hold.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Meter for SharedHold {
    fn hold(&self, stream: ProviderStream) -> ProviderStream {
        let taken = slot(&self.hold).take();
        match taken {
            Some(hold) => metered_in(stream, hold, self.is_capped, Some(self.hold.clone())),
            None => stream,
        }
    }

    async fn set_aside(&self, prompt_tokens: u64) -> Result<bool> {
        let taken = slot(&self.hold).take();
        let Some(mut hold) = taken else { return Ok(true) };
        let outcome = hold.set_aside(prompt_tokens).await;
        *slot(&self.hold) = Some(hold);
        outcome
    }
}

fn plus(one: Amount, other: Amount) -> Amount {
    Amount {
        cost: Cost(one.cost.0.saturating_add(other.cost.0)),
        tokens: one.tokens.saturating_add(other.tokens),
    }
}

/// What every budget has set aside for the call.
fn smallest(budgets: &[(Budget, Amount)]) -> BudgetLimits {
    let costs = budgets.iter().filter(|(budget, _)| budget.limits.max_cost.is_some());
    let tokens = budgets.iter().filter(|(budget, _)| budget.limits.max_tokens.is_some());
    BudgetLimits {
        max_cost: costs.map(|(_, amount)| amount.cost).min(),
        max_tokens: tokens.map(|(_, amount)| amount.tokens).min(),
    }
}

/// The refusal of a call for which a budget has too little left.
fn used_up(budget: &Budget) -> Error {
    let Budget { subject, period, limits, spent, reserved, .. } = budget;
    let dollars = |cost: Cost| format!("${:.4}", cost.dollars());
    let mut parts = Vec::new();
    if let Some(max) = limits.max_cost {
        parts.push(format!(
            "{} of {} are spent and {} set aside",
            dollars(spent.cost),
            dollars(max),
            dollars(reserved.cost)
        ));
    }
    if let Some(max) = limits.max_tokens {
        parts.push(format!("{} of {max} tokens are used and {} set aside", spent.tokens, reserved.tokens));
    }
    let next = period.end(budget.begins_at);
    let (whose, parts) = (subject.describe(), parts.join(", "));
    Error::rate_limited(format!(
        "the {} budget {whose} has too little left: {parts}; it begins anew at {next}, and an admin can raise it",
        period.adjective()
    ))
    .with_reason(ErrorReason::BudgetExceeded)
}

/// An answer that is counted while it comes.
struct Metered {
    /// Gone once the budget is used up.
    stream: Option<ProviderStream>,
    /// There until it is given back.
    hold: Option<BudgetHold>,
    /// Where it is put when the answer ends.
    back: Option<Arc<Mutex<Option<BudgetHold>>>>,
    ready: VecDeque<Result<ProviderEvent>>,
    /// What came so far: characters of ASCII, and others.
    ascii: u64,
    others: u64,
    /// No budget has more than what is set aside already.
    is_last: bool,
    /// The model was asked for fewer tokens than it may have otherwise.
    is_capped: bool,
    is_finished: bool,
}

/// The answer until a budget is used up: it ends there with the reason
/// [`FinishReason::budget`], and a warning before it.
pub(super) fn metered(stream: ProviderStream, hold: BudgetHold, is_capped: bool) -> ProviderStream {
    metered_in(stream, hold, is_capped, None)
}

fn metered_in(
    stream: ProviderStream,
    hold: BudgetHold,
    is_capped: bool,
    back: Option<Arc<Mutex<Option<BudgetHold>>>>,
) -> ProviderStream {
    let metered = Metered {
        stream: Some(stream),
        hold: Some(hold),
        back,
        ready: VecDeque::new(),
        ascii: 0,
        others: 0,
        is_last: false,
        is_capped,
        is_finished: false,
    };
    stream::unfold(metered, |mut metered| async move { Some((metered.next().await?, metered)) })
        .fuse()
        .boxed()
}

impl Drop for Metered {
    fn drop(&mut self) {
        let written = self.written();
        if let (Some(mut hold), Some(back)) = (self.hold.take(), &self.back) {
            hold.written = written;
            *slot(back) = Some(hold);
        }
    }
}

impl Metered {
    async fn next(&mut self) -> Option<Result<ProviderEvent>> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        let piece = self.stream.as_mut()?.next().await?;
        match &piece {
            Ok(ProviderEvent::Text(text) | ProviderEvent::Reasoning(text)) => self.count(text),
            Ok(ProviderEvent::ToolCall(call)) => self.count(&call.arguments_json()),
            Ok(ProviderEvent::Finish(FinishReason::Length)) if self.is_capped => {
                self.is_finished = true;
                self.ready.push_back(Ok(ProviderEvent::Finish(FinishReason::budget())));
                return Some(Ok(self.warning()));
            }
            Ok(ProviderEvent::Finish(_)) => self.is_finished = true,
            _ => return Some(piece),
        }
        // An answer that is whole is not cut.
        if !self.is_finished {
            match self.goes_on().await {
                Ok(true) => {}
                Ok(false) => {
                    self.stream = None;
                    self.ready.push_back(Ok(self.warning()));
                    self.ready.push_back(Ok(ProviderEvent::Finish(FinishReason::budget())));
                }
                Err(error) => {
                    self.stream = None;
                    self.ready.push_back(Err(error));
                }
            }
        }
        Some(piece)
    }

    fn count(&mut self, text: &str) {
        let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
        self.ascii += ascii;
        self.others += text.chars().count() as u64 - ascii;
    }

    fn written(&self) -> u64 {
        self.ascii.div_ceil(4) + self.others + u64::from(MESSAGE_OVERHEAD)
    }

    /// Whether the answer may go on: something is set aside for what comes next.
    async fn goes_on(&mut self) -> Result<bool> {
        let used = self.written();
        let Some(hold) = &mut self.hold else { return Ok(true) };
        if !self.is_last && !hold.covers(&hold.needed(used + AHEAD)) {
            let (more, one) = (hold.pricing.estimate(0, STEP), hold.pricing.estimate(0, 1));
            self.is_last = matches!(hold.reserve(more, one).await?, Reserved::Refused(_));
        }
        Ok(hold.covers(&hold.needed(used)))
    }

    fn warning(&self) -> ProviderEvent {
        ProviderEvent::Warning {
            code: WarningCode::BudgetExceeded,
            detail: "a budget that counts this answer is used up, so it ends here; an admin can raise it"
                .into(),
        }
    }
}
