//! The calls of tools that one step of an answer makes, side by side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::caught::caught;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::{PartsHash, hex};
use crate::id::{ConversationId, RunId};
use crate::message::ToolCall;
use crate::metrics;
use crate::scope::Scope;
use crate::tool::result::{CappedResult, capped};
use crate::tool::{
    Elicitation, ElicitationAnswer, OfferedTool, ToolCaller, ToolContext, ToolLimits, ToolOutput,
    ToolProgress, ToolServerClient, ToolSource,
};

/// Notes of progress that wait to be published; more are dropped.
const WAITING: usize = 64;

/// A call that is to be made.
pub(crate) struct MadeCall {
    pub(crate) call: ToolCall,
    pub(crate) tool: OfferedTool,
    pub(crate) arguments: Map<String, Value>,
}

/// What comes of calls while they are made.
pub(crate) enum ToolEvent {
    /// A tool is so far.
    Progress(String, ToolProgress),
    /// A tool asks the person.
    Question(String, Elicitation),
    /// A tool answered, or failed.
    Returned(Box<CappedResult>),
}

/// For whom tools are called.
#[derive(Clone)]
pub(crate) struct Calling {
    pub(crate) scope: Scope,
    pub(crate) conversation_id: Option<ConversationId>,
    pub(crate) run_id: Option<RunId>,
    pub(crate) knowledge: Vec<String>,
    pub(crate) limits: ToolLimits,
    pub(crate) client: Option<Arc<dyn ToolServerClient>>,
    /// `None` where nobody can be asked.
    pub(crate) questions: Option<Questions>,
    /// Sets the calls of this answer apart from all others.
    pub(crate) seed: String,
}

/// Questions of tools that wait for an answer, by run and call.
#[derive(Clone, Default)]
pub(crate) struct Questions(Arc<Mutex<Asked>>);

/// By run and call, where the answer goes.
type Asked = HashMap<(RunId, String), oneshot::Sender<ElicitationAnswer>>;

impl Questions {
    /// Answers what a call asks.
    ///
    /// # Errors
    /// `NotFound` if it asks nothing in this process.
    pub(crate) fn answer(&self, run: RunId, call: &str, answer: ElicitationAnswer) -> Result<()> {
        let asked = self.all().remove(&(run, call.to_owned()));
        let told = asked.is_some_and(|asked| asked.send(answer).is_ok());
        if told {
            return Ok(());
        }
        Err(Error::not_found("no tool asks anything in this call any more"))
    }

    /// Whether a tool asks something in this process.
    pub(crate) fn some_wait(&self) -> bool {
        !self.all().is_empty()
    }

    fn ask(&self, run: RunId, call: &str) -> oneshot::Receiver<ElicitationAnswer> {
        let (asked, answered) = oneshot::channel();
        // One question at a time: a second one puts the first away.
        self.all().insert((run, call.to_owned()), asked);
        answered
    }

    fn forget(&self, run: RunId, call: &str) {
        self.all().remove(&(run, call.to_owned()));
    }

    fn all(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls under way. Dropping it ends them, and their servers are told.
pub(crate) struct ToolCalls {
    results: BoxStream<'static, CappedResult>,
    notes: mpsc::Receiver<ToolEvent>,
    _cancel: tokio_util::sync::DropGuard,
}

impl ToolCalls {
    /// Makes these calls, [`ToolLimits::at_once`] of them at the same time.
    pub(crate) fn new(calling: &Arc<Calling>, calls: Vec<MadeCall>) -> Self {
        let (sender, notes) = mpsc::channel(WAITING);
        let cancelled = CancellationToken::new();
        let guard = cancelled.clone().drop_guard();
        let at_once = calling.limits.at_once.max(1);
        let calling = calling.clone();
        let results = stream::iter(calls)
            .map(move |made| {
                let call =
                    OneCall { calling: calling.clone(), notes: sender.clone(), cancelled: cancelled.clone() };
                call.make(made)
            })
            .buffer_unordered(at_once)
            .boxed();
        Self { results, notes, _cancel: guard }
    }

    /// What comes next; `None` once every call has returned. Dropping the future loses
    /// nothing.
    pub(crate) async fn next(&mut self) -> Option<ToolEvent> {
        tokio::select! {
            biased;
            // The calls hold senders: a note that is there is told before their end.
            Some(note) = self.notes.recv() => Some(note),
            result = self.results.next() => result.map(|result| ToolEvent::Returned(Box::new(result))),
        }
    }
}

/// One call on its way.
struct OneCall {
    calling: Arc<Calling>,
    notes: mpsc::Sender<ToolEvent>,
    cancelled: CancellationToken,
}

impl OneCall {
    async fn make(self, made: MadeCall) -> CappedResult {
        let MadeCall { call, tool, arguments } = made;
        let span = tracing::info_span!(
            "tool_call",
            "gen_ai.operation.name" = "execute_tool",
            "gen_ai.tool.name" = call.name.as_str(),
            "gen_ai.tool.call.id" = call.id.as_str(),
        );
        let started = Instant::now();
        let limits = self.calling.limits;
        let output = self.outcome(&call, tool, arguments).instrument(span).await;
        metrics::tool_called(!output.is_error, started.elapsed());
        capped(&call.id, output, started.elapsed(), &limits)
    }

    async fn outcome(self, call: &ToolCall, tool: OfferedTool, arguments: Map<String, Value>) -> ToolOutput {
        let caller = Arc::new(Caller {
            call: call.id.clone(),
            calling: self.calling.clone(),
            notes: self.notes,
            thought: Mutex::default(),
            told: Mutex::default(),
        });
        let key = idempotency_key(&self.calling.seed, &call.id);
        let calling = self.calling.clone();
        let (peer, cancelled): (Arc<dyn ToolCaller>, _) = (caller.clone(), self.cancelled);
        let made = async move {
            match tool.source {
                ToolSource::Handler(handler) => {
                    let context = ToolContext {
                        scope: calling.scope,
                        conversation_id: calling.conversation_id,
                        run_id: calling.run_id,
                        call_id: call.id.clone(),
                        idempotency_key: key,
                        knowledge: calling.knowledge.clone(),
                        caller: peer,
                        cancelled,
                    };
                    handler.call(context, Value::Object(arguments)).await
                }
                ToolSource::Server { endpoint, tool, link: _link } => match &calling.client {
                    Some(client) => client.call(&endpoint, &tool, &arguments, &key, peer).await,
                    None => Err(Error::unsupported("this engine reaches no tool servers")),
                },
            }
        };
        let limit = self.calling.limits.call_time;
        match caller.within(limit, caught(made)).await {
            None => ToolOutput::error(format!(
                "The tool did not answer within {} s. Whether it did anything is not known.",
                limit.as_secs_f64()
            )),
            Some(Err(panic)) => {
                tracing::error!(%panic, "a tool panicked");
                ToolOutput::error("The tool broke down. Whether it did anything is not known.")
            }
            Some(Ok(Err(error))) => {
                tracing::warn!(code = error.kind().as_str(), cause = ?error, "a tool failed");
                ToolOutput::error(sentence(&error))
            }
            Some(Ok(Ok(output))) => output,
        }
    }
}

/// What the model is told of an error.
fn sentence(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Internal => "The tool failed.".to_owned(),
        _ => error.message().to_owned(),
    }
}

/// The key of one call: of this answer and this id, and of no others.
pub(crate) fn idempotency_key(seed: &str, call: &str) -> String {
    let mut key = hex(&PartsHash::new("aimate/tool-call/1").part(seed).part(call).finish());
    key.truncate(32);
    key
}

/// The engine as the one who waits for a call.
struct Caller {
    call: String,
    calling: Arc<Calling>,
    notes: mpsc::Sender<ToolEvent>,
    /// How long a person thought, and since when one does.
    thought: Mutex<(Duration, Option<Instant>)>,
    /// When progress was last told.
    told: Mutex<Option<Instant>>,
}

/// Progress is told so often at most: it is stored with the answer's events.
const TELL_EVERY: Duration = Duration::from_millis(200);

impl Caller {
    fn thought(&self) -> MutexGuard<'_, (Duration, Option<Instant>)> {
        self.thought.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a call as long as it may take; the time that a person thinks is not its own.
    async fn within<T>(&self, limit: Duration, made: impl Future<Output = T>) -> Option<T> {
        let started = Instant::now();
        let mut made = std::pin::pin!(made);
        loop {
            let (thought, since) = *self.thought();
            let own =
                started.elapsed().saturating_sub(thought + since.map_or(Duration::ZERO, |at| at.elapsed()));
            let left = limit.saturating_sub(own);
            if left.is_zero() {
                return None;
            }
            tokio::select! {
                biased;
                outcome = &mut made => return Some(outcome),
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}

#[async_trait]
impl ToolCaller for Caller {
    fn progress(&self, progress: ToolProgress) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        // A tool that tells more than anybody reads is told less of.
        let _ = self.notes.try_send(ToolEvent::Progress(self.call.clone(), progress));
    }

    async fn elicit(&self, question: Elicitation) -> ElicitationAnswer {
        let (Some(questions), Some(run)) = (&self.calling.questions, self.calling.run_id) else {
            return ElicitationAnswer::Decline;
        };
        let answered = questions.ask(run, &self.call);
        if self.notes.send(ToolEvent::Question(self.call.clone(), question)).await.is_err() {
            return ElicitationAnswer::Cancel;
        }
        self.thought().1 = Some(Instant::now());
        let answer = tokio::time::timeout(self.calling.limits.answer_time, answered).await;
        {
            let mut thought = self.thought();
            if let Some(since) = thought.1.take() {
                thought.0 += since.elapsed();
            }
        }
        match answer {
            Ok(Ok(answer)) => answer,
            _ => {
                questions.forget(run, &self.call);
                ElicitationAnswer::Cancel
            }
        }
    }
}
