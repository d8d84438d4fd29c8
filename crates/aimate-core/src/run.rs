//! Runs: the generation of one answer, and the port that makes it durable.

mod request;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::event::ChatEvent;
use crate::clock::Timestamp;
use crate::conversation::Conversation;
use crate::error::{ErrorKind, Result};
use crate::id::{ConversationId, MessageId, RunId, WorkerId, WorkspaceId};
use crate::message::{Message, MessageStatus, Part};
use crate::provider::FinishReason;
use crate::scope::Scope;
use crate::text::names;
use crate::tool::ElicitationAnswer;
use crate::usage::{TokenUsage, UsageOutcome, UsageRecord};

pub use request::RunRequestStore;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Stored; no worker has begun it.
    Queued,
    /// A worker is writing the answer.
    Running,
    /// Waits for a person to approve a tool call.
    Waiting,
    /// The answer is whole.
    Completed,
    /// It failed; `error` says why.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Its worker died or its model server broke off.
    Interrupted,
}

names! {
    RunStatus {
        Queued = "queued", Running = "running", Waiting = "waiting", Completed = "completed",
        Failed = "failed", Cancelled = "cancelled", Interrupted = "interrupted",
    }
}

impl RunStatus {
    /// Whether the run is over.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Waiting)
    }

    /// The status of the answer's message under this status of its run.
    pub fn message_status(self) -> MessageStatus {
        match self {
            Self::Queued | Self::Running | Self::Waiting => MessageStatus::Streaming,
            Self::Completed => MessageStatus::Complete,
            Self::Failed => MessageStatus::Failed,
            Self::Cancelled => MessageStatus::Cancelled,
            Self::Interrupted => MessageStatus::Interrupted,
        }
    }

    /// How a call that ended with this status counts in the usage.
    pub fn usage_outcome(self) -> UsageOutcome {
        match self {
            Self::Completed => UsageOutcome::Completed,
            Self::Cancelled => UsageOutcome::Cancelled,
            Self::Failed => UsageOutcome::Failed,
            Self::Queued | Self::Running | Self::Waiting | Self::Interrupted => UsageOutcome::Interrupted,
        }
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunError {
    /// What kind of failure it is.
    pub code: ErrorKind,
    /// The sentence for the caller.
    pub detail: String,
    /// Whether the same turn may succeed later.
    pub retryable: bool,
}

impl From<&crate::Error> for RunError {
    fn from(error: &crate::Error) -> Self {
        Self { code: error.kind(), detail: error.message().to_owned(), retryable: error.kind().retryable() }
    }
}

/// The generation of one answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The conversation it answers in.
    pub conversation_id: ConversationId,
    /// The message it answers: the answer's parent.
    pub user_message_id: Option<MessageId>,
    /// The answer it writes.
    pub message_id: MessageId,
    /// How far it has come.
    pub status: RunStatus,
    /// The model that answers, as `CONNECTION/MODEL`.
    pub model: String,
    /// Why it failed.
    pub error: Option<RunError>,
    /// Why the model stopped, once it has.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub finish_reason: Option<FinishReason>,
    /// What it used.
    pub usage: Option<TokenUsage>,
    /// The manifest: what the model was shown, what was left out and why.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub context: Value,
    /// The worker that writes the answer.
    #[serde(skip)]
    pub worker_id: WorkerId,
    /// How often a worker took the run, from 1: the fencing token of every
    /// update.
    #[serde(skip)]
    pub attempt: u32,
    /// The caller's own id for the turn: the same id gives the same run.
    pub client_id: Option<String>,
    /// SHA-256 over the turn that `client_id` was first used with.
    #[serde(skip)]
    pub client_hash: Option<Vec<u8>>,
    /// What the application wants its usage summed by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The workspace that its usage is counted for: that of the conversation when it
    /// was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// All that one turn stores before the model is asked, in one commit.
#[derive(Clone, Debug)]
pub struct BeginRun {
    /// The conversation to create with the turn; `None` if it exists.
    pub create: Option<Conversation>,
    /// A new title for a conversation that exists and still has
    /// [`DEFAULT_TITLE`](crate::conversation::DEFAULT_TITLE).
    pub title: Option<String>,
    /// The caller's messages, each the parent of the next; empty when an
    /// existing message is answered again.
    pub messages: Vec<Message>,
    /// The answer's placeholder: empty, `streaming`.
    pub answer: Message,
    /// The run.
    pub run: Run,
    /// What the turn asked to be kept for its caller ([`Turn::request`](crate::chat::Turn::request)), a
    /// JSON object, of which a run itself knows nothing: it may be as large as a prompt.
    pub request: Option<Value>,
    /// A run that is over and gives its `client_id` to this one, which answers the same
    /// turn anew.
    pub replaces: Option<RunId>,
}

/// What [`RunStore::begin`] did.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// The turn is stored.
    New,
    /// A run with the same `client_id` is stored already; nothing was.
    Existing(Box<Run>),
}

/// Events of a run with consecutive sequence numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct EventBatch {
    /// The sequence number of the first event; a run's first event has 1.
    pub first: u64,
    /// The events.
    pub events: Vec<ChatEvent>,
}

impl EventBatch {
    /// The sequence number of the last event.
    pub fn last(&self) -> u64 {
        (self.first + self.events.len() as u64).saturating_sub(1)
    }
}

/// How a run ends, in one commit.
#[derive(Clone, Debug)]
pub struct FinishRun {
    /// The run.
    pub id: RunId,
    /// The conversation that it is in.
    pub conversation_id: ConversationId,
    /// The answer.
    pub message_id: MessageId,
    /// The attempt that ends it; another one's update is refused.
    pub attempt: u32,
    /// A final status.
    pub status: RunStatus,
    /// Why it failed.
    pub error: Option<RunError>,
    /// Why the model stopped.
    pub finish_reason: Option<FinishReason>,
    /// The answer's whole content.
    pub content: Vec<Part>,
    /// What the answer costs in a later prompt, in tokens.
    pub tokens: u32,
    /// The usage record of the call.
    pub usage: UsageRecord,
    /// The events that were not checkpointed yet; may be empty. The final event
    /// is not among them: it is made again from the run and its message.
    pub events: EventBatch,
    /// When it ended.
    pub now: Timestamp,
}

/// How a run waits for a person, in one commit.
#[derive(Clone, Debug)]
pub struct ParkRun {
    /// The run.
    pub id: RunId,
    /// The attempt that parks it; another one's update is refused.
    pub attempt: u32,
    /// What the run needs to go on, in any process.
    pub parked: Value,
    /// The answer so far.
    pub content: Vec<Part>,
    /// The events that were not checkpointed yet; may be empty.
    pub events: EventBatch,
}

/// What changes about a run that waits.
#[derive(Clone, Debug)]
pub struct ChangeParked {
    /// The run.
    pub id: RunId,
    /// The attempt that it was read with; it is one more then.
    pub attempt: u32,
    /// In place of what was parked.
    pub parked: Value,
    /// The worker that goes on with it; `None` if it waits on.
    pub resumed_by: Option<WorkerId>,
    /// When that was.
    pub now: Timestamp,
}

impl FinishRun {
    /// An end of `run` and the record of its usage, without an error, content or events.
    pub(crate) fn of(run: &Run, status: RunStatus, usage: TokenUsage, now: Timestamp) -> Self {
        Self {
            id: run.id,
            conversation_id: run.conversation_id,
            message_id: run.message_id,
            attempt: run.attempt,
            status,
            error: None,
            finish_reason: None,
            content: Vec::new(),
            tokens: 0,
            usage: UsageRecord {
                // Under which a budget has something set aside for it.
                id: run.id.0.into(),
                run_id: Some(run.id),
                conversation_id: Some(run.conversation_id),
                model: run.model.clone(),
                tags: run.tags.clone(),
                workspace_id: run.workspace_id,
                outcome: status.usage_outcome(),
                usage,
                created_at: now,
            },
            events: EventBatch { first: 1, events: Vec::new() },
            now,
        }
    }

    /// The run as it is stored then, without its manifest.
    pub(crate) fn ended(&self, run: Run) -> Run {
        Run {
            status: self.status,
            error: self.error.clone(),
            finish_reason: self.finish_reason.clone(),
            usage: Some(self.usage.usage),
            context: Value::Null,
            attempt: self.attempt,
            finished_at: Some(self.now),
            ..run
        }
    }
}

/// Where runs and their event logs are kept. Every method sees those of the
/// scope's user; a foreign or unknown id is `NotFound`.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Stores a turn: the conversation if it is new, the caller's messages, the
    /// answer's placeholder and the run; makes the answer the active leaf and
    /// sets `updated_at`. All or nothing, at most one round trip on a server
    /// database. `NotFound` if the conversation or a parent is not there. A run that is
    /// replaced loses its `client_id` in the same commit; where it does not have it any
    /// more, or is not over, nothing is stored: the run that has it is
    /// [`Begun::Existing`], and without one that is a `Conflict`.
    async fn begin(&self, scope: &Scope, begin: &BeginRun) -> Result<Begun>;
    /// The run with this id.
    async fn get(&self, scope: &Scope, id: RunId) -> Result<Run>;
    /// The user's run that was begun with this `client_id`; `None` if there is
    /// none.
    async fn of_client(&self, scope: &Scope, client_id: &str) -> Result<Option<Run>>;
    /// Appends events to the log of a run that `attempt` still owns. `Conflict`
    /// if another attempt does or the run is over. Appending the same events
    /// again changes nothing.
    async fn checkpoint(&self, scope: &Scope, id: RunId, attempt: u32, batch: &EventBatch) -> Result<()>;
    /// Lets the run wait for a person ([`RunStatus::Waiting`]): what is parked, the answer's
    /// content so far, the last events. Nobody takes a waiting run over. `Conflict` if
    /// another attempt owns the run or it is over.
    async fn park(&self, scope: &Scope, park: &ParkRun) -> Result<()>;
    /// A run of the user's own, with what is parked, or was when it last waited; `None` if it
    /// never did.
    async fn parked(&self, scope: &Scope, id: RunId) -> Result<(Run, Option<Value>)>;
    /// Changes what is parked, or lets a worker go on with the run; returns the run as it is
    /// then. `Conflict` if it has changed since it was read, or does not wait.
    async fn change_parked(&self, scope: &Scope, change: &ChangeParked) -> Result<Run>;
    /// Ends the run: its status, the answer's content and tokens (with the
    /// path's), the usage record, the last events. `Conflict` if another attempt
    /// owns the run or it is over.
    async fn finish(&self, scope: &Scope, finish: &FinishRun) -> Result<()>;
    /// The logged events after sequence number `after`, oldest first, at most
    /// about `limit` events. Empty if there are none (yet, or any more: logs of
    /// finished runs are cleared by [`WorkerStore::clear_logs`]).
    async fn events(&self, scope: &Scope, id: RunId, after: u64, limit: u32) -> Result<Vec<EventBatch>>;
    /// Asks the run's worker to stop it. Returns the status the run had:
    /// nothing changes if it is over.
    async fn request_cancel(&self, scope: &Scope, id: RunId) -> Result<RunStatus>;
    /// Leaves what the run's user answers to a question of a tool for the process that makes
    /// the call ([`WorkerStore::take_answers`]). `NotFound` unless the run is their own and
    /// under way; `Conflict` while about 256 KiB of answers wait there.
    async fn leave_answer(&self, scope: &Scope, id: RunId, answer: &ToolAnswer) -> Result<()>;
}

/// What a person answered to a question of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolAnswer {
    /// The call in which it asks.
    pub call: String,
    /// What they answered.
    pub answer: ElicitationAnswer,
}

/// A run whose worker is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct AbandonedRun {
    /// Whose it is.
    pub scope: Scope,
    /// The run, already taken over: its `attempt` is the new one.
    pub run: Run,
}

/// How processes share runs: each joins as a worker, says regularly that it
/// lives, and takes over the runs of workers that do not.
///
/// This is the one port without a scope: it serves the process, returns the
/// scope of what it finds, and no user's call reaches it.
#[async_trait]
pub trait WorkerStore: Send + Sync {
    /// Makes this process a worker until it leaves or dies. Where the database
    /// can tell at once that a process has died (a lock it held is free), later
    /// calls of [`WorkerStore::take_abandoned`] need not wait for the lease.
    async fn join(&self, worker: WorkerId, now: Timestamp) -> Result<()>;
    /// Says that the worker lives, and returns the runs of it that somebody
    /// asked to stop. Where processes of several machines share the database, its
    /// own clock says when that was, and `now` counts for nothing: a machine
    /// whose clock is wrong loses no work.
    async fn beat(&self, worker: WorkerId, now: Timestamp) -> Result<Vec<RunId>>;
    /// Takes over at most `limit` unfinished runs of workers that have left,
    /// died or not beaten for `lease`; each run goes to one caller only. Those that wait
    /// for a person are nobody's, and stay.
    async fn take_abandoned(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<AbandonedRun>>;
    /// Takes over at most `limit` unfinished runs of `worker` itself that were
    /// begun, or went on, before `begun_before` and are not among those it `held`: the
    /// database did not confirm that they were begun.
    async fn take_unheld(
        &self,
        worker: WorkerId,
        begun_before: Timestamp,
        held: &[RunId],
        limit: u32,
    ) -> Result<Vec<AbandonedRun>>;
    /// Takes over at most `limit` runs that wait for a person and that somebody asked to
    /// stop, with what is parked; each goes to one caller only, and is running then.
    async fn take_cancelled(&self, worker: WorkerId, limit: u32) -> Result<Vec<(AbandonedRun, Value)>>;
    /// Takes the answers that people left for calls of this worker's runs, each once.
    async fn take_answers(&self, worker: WorkerId) -> Result<Vec<(RunId, Vec<ToolAnswer>)>>;
    /// Asks `worker` itself to stop the runs of users who may not act any more: they or
    /// their tenant are disabled, being deleted or gone.
    async fn cancel_of_inactive(&self, worker: WorkerId) -> Result<()>;
    /// Ends the worker; its unfinished runs are abandoned.
    async fn leave(&self, worker: WorkerId) -> Result<()>;
    /// Deletes the event logs of runs that finished before `before`.
    async fn clear_logs(&self, before: Timestamp) -> Result<()>;
    /// Does some of the work that waits on the index of conversations: it indexes what is
    /// there from before there was one and what has moved or was copied, takes out what
    /// was deleted, and merges what was written. Returns how many pieces of work it did; 0
    /// if none waits. What breaks off is done again.
    async fn index_messages(&self) -> Result<u64>;
    /// Units of work of this process that wait for the database or are under way on it.
    /// Default: 0, for a store that does not know.
    fn database_work(&self) -> usize {
        0
    }
    /// Answers if the database does; for health checks.
    async fn ping(&self) -> Result<()>;
}
