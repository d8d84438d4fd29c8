//! The tool loop of one answer: which calls are made, which wait, and when there were enough.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem::take;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::approval::{CallDecision, OnApproval};
use super::tool_calls::{Calling, MadeCall, idempotency_key};
use super::{Truncation, Turn};
use crate::error::{Error, Result};
use crate::message::{CallApproval, ToolCall, ToolResult};
use crate::provider::{ChatRequest, FinishReason, ResponseFormat, Sampling, ToolChoice, ToolSpec};
use crate::tool::ToolContent;
use crate::tool::toolbox::{CallVerdict, Toolbox};
use crate::usage::TokenUsage;

/// Bytes of pictures, sounds and the like that the results of one answer keep, in base64.
const MAX_MEDIA: usize = 16 << 20;

/// The tools of an answer, and how far it is with them.
pub(crate) struct ToolLoop {
    pub(crate) toolbox: Toolbox,
    /// The caller's own tools: their calls come back to the caller.
    pub(crate) foreign: Vec<ToolSpec>,
    pub(crate) calling: Arc<Calling>,
    pub(crate) turn: ParkedTurn,
    pub(crate) progress: LoopProgress,
    /// What people said of calls that waited.
    pub(crate) decided: BTreeMap<String, WaitingCall>,
    pub(crate) started: Instant,
    /// Whether the model was told to call no more.
    pub(crate) is_closed: bool,
    /// Whether it was told to call none at all.
    pub(crate) is_barred: bool,
}

/// How far an answer is with its tools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoopProgress {
    steps: u32,
    /// How often each call was made, by its name and arguments.
    made: BTreeMap<String, u32>,
    /// Milliseconds of the time before it waited.
    milliseconds: u64,
    /// Bytes of the pictures, sounds and the like that tools returned.
    #[serde(default)]
    media: usize,
    /// Calls that were made.
    #[serde(default)]
    calls: u32,
}

/// What of a turn its model is called with, in this process or in the one that goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ParkedTurn {
    pub(crate) use_tools: Vec<String>,
    pub(crate) tools: Vec<ToolSpec>,
    pub(crate) tool_choice: Option<ToolChoice>,
    pub(crate) parallel_tool_calls: Option<bool>,
    pub(crate) response_format: Option<ResponseFormat>,
    pub(crate) sampling: Sampling,
    pub(crate) extra: Map<String, Value>,
    pub(crate) stream: bool,
    pub(crate) system_prompt: Option<String>,
    pub(crate) knowledge: Vec<String>,
    pub(crate) own_prompts_only: bool,
    pub(crate) truncation: Truncation,
    pub(crate) max_tool_calls: Option<u32>,
    /// Whether the answer's text stays as it was told.
    pub(crate) keeps_text: bool,
    pub(crate) on_approval: OnApproval,
}

impl ParkedTurn {
    /// That of `turn`, whose tools and settings of the model are moved here.
    pub(crate) fn taken_of(turn: &mut Turn) -> Self {
        Self {
            use_tools: take(&mut turn.use_tools),
            tools: take(&mut turn.tools),
            tool_choice: turn.tool_choice.take(),
            parallel_tool_calls: turn.parallel_tool_calls,
            response_format: turn.response_format.take(),
            sampling: take(&mut turn.sampling),
            extra: take(&mut turn.extra),
            stream: turn.stream,
            system_prompt: turn.system_prompt.clone(),
            knowledge: turn.knowledge.clone().unwrap_or_default(),
            own_prompts_only: turn.own_prompts_only,
            truncation: turn.truncation,
            max_tool_calls: turn.max_tool_calls,
            keeps_text: turn.request.is_some(),
            on_approval: turn.on_approval,
        }
    }
}

/// What a waiting run keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parked {
    pub(crate) turn: ParkedTurn,
    pub(crate) progress: LoopProgress,
    pub(crate) usage: TokenUsage,
    /// The last sequence number of its events.
    pub(crate) last: u64,
    /// The calls that wait or waited.
    pub(crate) calls: BTreeMap<String, WaitingCall>,
}

/// A call that waits for a person, or waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingCall {
    /// The tool as it was when the person was asked ([`Toolbox::fingerprint`]).
    pub(crate) tool: String,
    /// What they said.
    pub(crate) decision: Option<CallDecision>,
}

impl Parked {
    /// What a stored run keeps.
    ///
    /// # Errors
    /// `Internal` if it is none of this version's.
    pub(crate) fn read(stored: Value) -> Result<Self> {
        serde_json::from_value(stored)
            .map_err(|error| Error::internal("what a waiting run keeps could not be read").with_source(error))
    }

    /// As it is stored.
    pub(crate) fn stored(&self) -> Value {
        // Invariant: it is plain data, which JSON can always hold.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether a person has said something of every call.
    pub(crate) fn is_decided(&self) -> bool {
        self.calls.values().all(|call| call.decision.is_some())
    }
}

/// Which calls are made here: all but those of the caller's own tools.
pub(crate) struct ToolNames {
    foreign: HashSet<String>,
    /// The server of each tool that is a server's.
    servers: HashMap<String, String>,
    /// What says of which calls the answer ends, so that a person is asked; `None` if it waits.
    asks: Option<Toolbox>,
}

impl ToolNames {
    /// Says of a call whether it is made here, or refused, whose tool it is of, and whether the
    /// answer ends with it.
    pub(crate) fn mark(&self, call: &mut ToolCall) {
        call.is_made_here = !self.foreign.contains(&call.name);
        call.server = self.servers.get(&call.name).cloned();
        call.approval = self.asks.as_ref().and_then(|toolbox| toolbox.asks(call));
    }
}

/// What is done with the calls of one step.
#[derive(Default)]
pub(crate) struct StepPlan {
    pub(crate) make: Vec<MadeCall>,
    pub(crate) refused: Vec<ToolResult>,
    /// They wait for a person.
    pub(crate) ask: Vec<ToolCall>,
    /// How the answer ends with this step; `None` if the model is asked again.
    pub(crate) ends: Option<FinishReason>,
}

impl ToolLoop {
    /// That of an answer that begins.
    pub(crate) fn new(toolbox: Toolbox, foreign: Vec<ToolSpec>, calling: Calling, turn: ParkedTurn) -> Self {
        let is_barred = turn.tool_choice == Some(ToolChoice::None);
        Self {
            is_barred,
            toolbox,
            // What nobody may call is nobody's to make.
            foreign: if is_barred { Vec::new() } else { foreign },
            calling: Arc::new(calling),
            turn,
            progress: LoopProgress::default(),
            decided: BTreeMap::new(),
            started: Instant::now(),
            is_closed: false,
        }
    }

    /// What is done with these calls. Those that wait for a person are made once the others
    /// have returned.
    pub(crate) fn plan(&mut self, calls: Vec<ToolCall>) -> StepPlan {
        let mut plan = StepPlan::default();
        if self.is_closed || (self.is_barred && self.progress.steps > 0) {
            plan.ends = Some(FinishReason::Other("tool_limit".to_owned()));
        }
        for call in calls {
            if self.is_barred {
                let why = "No tool is to be called in this answer. Answer without one.";
                plan.refused.push(ToolResult::error(&call.id, why));
                continue;
            }
            if call.is_asked() {
                plan.ask.push(call);
                continue;
            }
            if self.is_closed && self.toolbox.has(&call.name) {
                let why = "No more tools are called in this answer. Answer with what you have.";
                plan.refused.push(ToolResult::error(&call.id, why));
                continue;
            }
            let decided = self.decided.get(&call.id);
            let decision =
                decided.and_then(|waiting| waiting.decision.as_ref().map(|said| (&waiting.tool, said)));
            let repeats = self.progress.made.entry(fingerprint(&call)).or_default();
            *repeats += 1;
            let before = *repeats - 1;
            let verdict = match decision {
                Some((_, CallDecision { approve: false, reason })) => {
                    let why = reason.as_deref().filter(|why| !why.trim().is_empty());
                    let why = why.map_or_else(String::new, |why| format!(" They say: {why}"));
                    CallVerdict::Refuse(ToolResult::error(
                        &call.id,
                        format!("The person does not want this call.{why}"),
                    ))
                }
                Some((tool, _)) => self.toolbox.approved(&call, tool),
                None => self.toolbox.judge(&call, &self.foreign),
            };
            match verdict {
                CallVerdict::Foreign => plan.ends = Some(FinishReason::ToolCalls),
                CallVerdict::Ask => {
                    // It comes here once more.
                    *repeats -= 1;
                    plan.ask.push(call);
                }
                CallVerdict::Refuse(result) => plan.refused.push(result),
                CallVerdict::Make(..) if before >= self.calling.limits.repeats => {
                    let why = format!(
                        "This very call was made {before} times already in this answer; use what it returned, or \
                         do something else."
                    );
                    plan.refused.push(ToolResult::error(&call.id, why));
                }
                CallVerdict::Make(..) if !self.may_call() => {
                    let why = "No more calls are made in this answer. Answer with what you have.";
                    plan.refused.push(ToolResult::error(&call.id, why));
                }
                CallVerdict::Make(tool, arguments) => {
                    self.progress.calls += 1;
                    plan.make.push(MadeCall { tool: tool.clone(), arguments, call });
                }
            }
        }
        plan
    }

    /// Begins with calls that a person decided: they are made by the tools as they are now. Gives
    /// them back as ones that are made here.
    pub(crate) fn decide(&mut self, decided: Vec<(ToolCall, CallDecision)>) -> Vec<ToolCall> {
        let names = self.names();
        let mut calls = Vec::with_capacity(decided.len());
        for (mut call, decision) in decided {
            let given =
                call.approval.take().filter(|approval| matches!(approval, CallApproval::Given { .. }));
            names.mark(&mut call);
            (call.approval, call.is_made_here) = (given, true);
            let tool = self.toolbox.fingerprint(&call.name).unwrap_or_default();
            self.decided.insert(call.id.clone(), WaitingCall { tool, decision: Some(decision) });
            calls.push(call);
        }
        calls
    }

    /// Whether these calls, which a person is to be asked of, end the answer.
    pub(crate) fn ends_with(&self, asked: &[ToolCall]) -> bool {
        !asked.is_empty() && self.turn.on_approval == OnApproval::End
    }

    /// Which of them are the caller's own.
    pub(crate) fn names(&self) -> ToolNames {
        ToolNames {
            foreign: self.foreign.iter().map(|spec| spec.name.clone()).collect(),
            servers: self.toolbox.servers().collect(),
            asks: (self.turn.on_approval == OnApproval::End && !self.is_barred).then(|| self.toolbox.clone()),
        }
    }

    /// Whether the caller lets one more call be made.
    fn may_call(&self) -> bool {
        self.turn.max_tool_calls.is_none_or(|most| self.progress.calls < most)
    }

    /// A result as it is kept: without its pictures, sounds and the like where the answer has as
    /// many as it may.
    pub(crate) fn bounded(&mut self, mut result: ToolResult) -> ToolResult {
        let media = result.content.iter().map(ToolContent::bytes).sum::<usize>();
        if self.progress.media + media <= MAX_MEDIA {
            self.progress.media += media;
            return result;
        }
        let (pieces, most) = (result.content.len(), MAX_MEDIA >> 20);
        let note = format!(
            "[{pieces} of the pieces above are not kept: pictures, sounds and files of one answer may have {most} MiB.]"
        );
        result.content.clear();
        result.output = format!("{}\n\n{note}", result.text()).into();
        result
    }

    /// Counts a step whose calls have returned, and readies the request for the next answer of
    /// the model. Returns a warning if that is to be the last one.
    pub(crate) fn step_done(&mut self, request: &mut ChatRequest, used: &TokenUsage) -> Option<String> {
        self.progress.steps += 1;
        if let Some(limit) = self.exhausted(used) {
            self.is_closed = true;
            request.tool_choice = Some(ToolChoice::None);
            return Some(format!("no more tools are called in this answer: it reached the limit of {limit}"));
        }
        if !self.may_call() {
            if self.foreign.is_empty() {
                self.is_closed = true;
                request.tool_choice = Some(ToolChoice::None);
                return None;
            }
            // The caller's own tools do not count: the model is told of them alone.
            request.tools.retain(|spec| !self.toolbox.has(&spec.name));
        }
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_))) {
            // It has called what it had to: else it could never answer.
            request.tool_choice = None;
        }
        None
    }

    /// Which limit is reached, in words; `None` if the model may call again.
    fn exhausted(&self, usage: &TokenUsage) -> Option<String> {
        let limits = &self.calling.limits;
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        let looping =
            self.progress.made.values().any(|times| *times >= limits.repeats.saturating_mul(2).max(2));
        if self.progress.steps >= limits.steps {
            return Some(format!("{} steps", limits.steps));
        }
        if looping {
            return Some(format!("{} equal calls", limits.repeats.saturating_mul(2).max(2)));
        }
        if self.milliseconds() >= limits.time.as_millis() {
            return Some(format!("{} s", limits.time.as_secs_f64()));
        }
        if let Some(most) = limits.tokens.filter(|most| tokens >= *most) {
            return Some(format!("{most} tokens"));
        }
        let most = limits.cost.filter(|most| usage.cost.is_some_and(|cost| cost >= *most))?;
        Some(format!("${:.4}", most.dollars()))
    }

    fn milliseconds(&self) -> u128 {
        u128::from(self.progress.milliseconds) + self.started.elapsed().as_millis()
    }

    /// What the run keeps while these calls wait.
    pub(crate) fn parked(&self, waiting: &[ToolCall], usage: TokenUsage, last: u64) -> Parked {
        let milliseconds = u64::try_from(self.milliseconds()).unwrap_or(u64::MAX);
        Parked {
            turn: self.turn.clone(),
            progress: LoopProgress { milliseconds, ..self.progress.clone() },
            usage,
            last,
            calls: self
                .decided
                .iter()
                .map(|(call, waited)| (call.clone(), waited.clone()))
                .chain(waiting.iter().map(|call| {
                    let tool = self.toolbox.fingerprint(&call.name).unwrap_or_default();
                    (call.id.clone(), WaitingCall { tool, decision: None })
                }))
                .collect(),
        }
    }
}

/// The same for calls of one tool with equal arguments.
fn fingerprint(call: &ToolCall) -> String {
    idempotency_key(&call.name, &call.arguments_json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::{Role, Scope};
    use crate::tool::ToolLimits;

    fn tools() -> ToolLoop {
        let calling = Calling {
            scope: Scope {
                tenant: uuid::Uuid::nil().into(),
                user: uuid::Uuid::nil().into(),
                role: Role::User,
            },
            conversation_id: None,
            run_id: None,
            knowledge: Vec::new(),
            limits: ToolLimits::default(),
            client: None,
            questions: None,
            seed: String::new(),
        };
        ToolLoop::new(Toolbox::default(), Vec::new(), calling, ParkedTurn::default())
    }

    #[test]
    fn pictures_of_one_answer_are_bounded_together() {
        let mut tools = tools();
        let picture = |bytes| {
            let data = "A".repeat(bytes);
            let content = vec![ToolContent::Image { data, media_type: "image/png".to_owned() }];
            ToolResult { content, ..ToolResult::new("1", "[picture]") }
        };
        for _ in 0..4 {
            assert_eq!(tools.bounded(picture(MAX_MEDIA / 4)).content.len(), 1);
        }
        let left_out = tools.bounded(picture(1));
        assert!(left_out.content.is_empty() && left_out.text().contains("16 MiB"), "{left_out:?}");
        // Text costs nothing of it.
        assert_eq!(tools.bounded(ToolResult::new("1", "x")), ToolResult::new("1", "x"));
    }
}
