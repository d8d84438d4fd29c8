//! The engine: the one object an application holds.

mod access;
mod answer;
mod audit;
mod begin_run;
mod budget;
mod budget_hold;
mod build;
mod builtin;
mod catalog;
mod chat;
mod complete;
mod connection;
mod conversation;
mod decided;
mod deletion;
mod drive;
mod edit;
mod end_run;
mod endpoint;
mod expired;
#[cfg(feature = "schemars")]
mod extract;
mod file;
mod group;
mod held;
mod hidden;
mod history;
mod key_rotation;
mod knowledge;
mod message;
mod message_index;
mod model;
mod model_list;
mod price;
mod prompt;
mod prompt_fit;
mod provider;
mod rate_limiter;
mod ready;
mod replay;
mod resolve;
mod resume;
mod run;
mod run_call;
mod scope;
mod seal;
mod share;
mod shutdown;
mod stored_answer;
mod tenant;
mod title;
mod tool_server;
mod tool_stream;
mod toolbox;
mod turn_prompt;
mod upload;
mod usage;
mod usage_guard;
mod usage_recorder;
mod user;
mod worker;
mod workspace;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use stored_answer::StoredAnswer;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::Stores;
use crate::chat::AnswerLimits;
use crate::chat::channel::Channel;
use crate::clock::ClockAndIds;
use crate::connection::NewConnection;
use crate::error::{Error, Result};
use crate::id::{ConversationId, RunId, TenantId, UserId, WorkerId};
use crate::knowledge::StorageQuotas;
use crate::observer::Observers;
use crate::per_user::PerUser;
use crate::provider::ProviderId;
use crate::scope::{Role, Scope};
use crate::sealing::Sealer;
use crate::user::User;

pub use crate::chat::event::NumberedEvents;
pub use answer::{Answer, NumberedAnswer, Reached};
pub use budget::Budgets;
pub use build::{ConnectionConfig, EngineBuilder};
pub use complete::{Completion, CompletionStream, EmbeddingRequest, EmbeddingResponse};
pub use connection::{ConnectionTest, Connections};
pub use conversation::Conversations;
pub use deletion::{Deleted, Swept};
pub use edit::Edited;
pub use file::{Files, UploadedBytes};
pub use group::Groups;
pub use key_rotation::{KeyRotation, KeyState};
pub use knowledge::{FileHit, FileSearch, Knowledge, MAX_BYTES};
pub use model::{Models, OfferedModel};
pub use price::PriceTable;
pub use prompt::Prompts;
pub use rate_limiter::RateLimiter;
pub use run::Runs;
pub use scope::ScopeBuilder;
pub use share::Shares;
pub use tenant::{TenantRef, Tenants};
pub use tool_server::{
    ToolLogin, ToolServerConfig, ToolServerDetail, ToolServerTest, ToolServers, UsableTool,
};
pub use toolbox::RegisteredTool;
pub use upload::Uploads;
pub use user::Users;
pub use workspace::Workspaces;

/// The engine: stores, providers and the runs of this process.
///
/// Cloning is cheap and gives the same engine. Every method takes the
/// [`Scope`] of who asks.
///
/// The engine ends when its last handle is dropped (a clone, an [`Answer`], a
/// [`Knowledge`] and the like): its tasks stop, what came of running answers is
/// stored as interrupted, and its leases are handed back, so that another engine
/// on the same store goes on at once. [`Engine::drain`] ends it gracefully.
///
/// ```no_run
/// # async fn example(stores: aimate_core::Stores) -> aimate_core::Result<()> {
/// use aimate_core::{Engine, chat::Turn};
/// let engine = Engine::builder().store(stores).build().await?;
/// let me = engine.local_scope().await?;
/// let mut answer = engine.chat(&me, Turn::new("Hello")).await?;
/// while let Some(event) = answer.next().await {
///     println!("{event:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    /// Fires [`Inner::stop`] when the last handle is dropped. The engine's own
    /// tasks hold none, see [`Engine::for_task`].
    _alive: Option<Arc<DropGuard>>,
}

struct Inner {
    stores: Stores,
    providers: Arc<provider::Providers>,
    sources: ClockAndIds,
    keys: Option<Sealer>,
    /// Connections of the builder: offered in every tenant, their keys in
    /// memory alone.
    configured: Vec<NewConnection>,
    system_prompt: Option<String>,
    preferred: Option<ProviderId>,
    worker: WorkerId,
    lease: Duration,
    /// How long a hidden conversation is kept after its last message.
    keep_hidden: Duration,
    max_runs: usize,
    max_runs_per_user: usize,
    /// Answers under way of each user.
    user_runs: PerUser,
    answer_limits: AnswerLimits,
    storage_quotas: StorageQuotas,
    channels: Mutex<HashMap<RunId, Arc<Channel>>>,
    /// Lets so many listeners read from the store at once.
    log_readers: Semaphore,
    /// Answers that are over and being listened to.
    stored_answers: Mutex<HashMap<RunId, Weak<StoredAnswer>>>,
    /// Runs that are being stored.
    beginning: held::Held<RunId>,
    readiness: ready::Readiness,
    access: access::Access,
    deletions: deletion::DeletionServices,
    catalogs: catalog::Catalogs,
    /// Tool servers of the builder: offered in every tenant, what they are authorized with in
    /// memory alone.
    configured_tools: Vec<ToolServerConfig>,
    tool_catalogs: tool_server::ToolCatalogs,
    model_lists: model_list::ModelLists,
    usage_recorder: usage_recorder::UsageRecorder,
    observers: Observers,
    knowledge: knowledge::KnowledgeServices,
    tools: toolbox::ToolServices,
    /// Fires when a run that waited goes on in this process.
    resumed: tokio::sync::Notify,
    /// Every task the engine starts, so that shutting down waits for them.
    tasks: TaskTracker,
    draining: AtomicBool,
    /// Fires when running answers must end now.
    interrupt: CancellationToken,
    /// Fires when the engine must end.
    stop: CancellationToken,
    /// Fires when it has ended: its tasks are gone, its leases handed back.
    ended: CancellationToken,
}

impl Engine {
    /// Starts building an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The scope of local mode: one user, made on the first call.
    ///
    /// # Errors
    /// What the store says.
    pub async fn local_scope(&self) -> Result<Scope> {
        let scope = Scope { tenant: TenantId::LOCAL, user: UserId::LOCAL, role: Role::Admin };
        let now = self.inner.sources.now();
        let user = User {
            id: scope.user,
            key: None,
            email: None,
            name: "Local user".to_owned(),
            role: Role::Admin,
            is_active: true,
            settings: serde_json::json!({}),
            created_at: now,
            updated_at: now,
        };
        match self.inner.stores.users.create(&scope, &user).await {
            Err(error) if error.kind() != crate::ErrorKind::Conflict => Err(error),
            _ => Ok(scope),
        }
    }

    /// The engine's clock and ids, for faces that need a time or an id.
    pub fn sources(&self) -> &ClockAndIds {
        &self.inner.sources
    }

    /// How many notices observers were not told of: their queue was full, or they took
    /// too long.
    pub fn dropped_notices(&self) -> u64 {
        self.inner.observers.notices.dropped()
    }

    /// Answers if the database does.
    ///
    /// # Errors
    /// `Unavailable` if it does not.
    pub async fn ping(&self) -> Result<()> {
        self.inner.stores.workers.ping().await
    }

    /// Units of work of this process that wait for the database or are under way on it, as
    /// far as its store knows. A server that finds too many takes no more requests.
    pub fn database_work(&self) -> usize {
        self.inner.stores.workers.database_work()
    }

    /// Whether the engine takes no new turns any more.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Acquire)
    }

    /// How many answers are being written.
    pub fn running(&self) -> usize {
        self.inner.channels().len()
    }

    fn accepting(&self) -> Result<()> {
        if self.is_draining() {
            return Err(Error::unavailable("the server is shutting down; try again in a moment")
                .with_retry_after(Duration::from_secs(5)));
        }
        Ok(())
    }
}

impl Inner {
    fn channels(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored_answers(&self) -> MutexGuard<'_, HashMap<RunId, Weak<StoredAnswer>>> {
        self.stored_answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the running answers of a conversation that is deleted.
    fn cancel_all_of(&self, conversation: ConversationId) {
        for channel in self.channels().values().filter(|channel| channel.conversation == conversation) {
            channel.cancel.cancel();
        }
    }

    /// The live channel of a run of this process, for its own scope only.
    fn channel(&self, scope: &Scope, run: RunId) -> Option<Arc<Channel>> {
        let channel = self.channels().get(&run).cloned()?;
        (channel.scope.tenant == scope.tenant && channel.scope.user == scope.user).then_some(channel)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("running", &self.running()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::UsageFilter;

    const fn is_shared<T: Send + Sync + Clone + 'static>() {}
    const fn is_sent<T: Send + 'static>() {}
    const fn is_synced<T: Send + Sync + 'static>() {}

    /// Applications keep these in their state and move them between tasks. It is
    /// the compiler that checks them.
    const _: () = {
        is_shared::<Engine>();
        is_shared::<Budgets>();
        is_shared::<PriceTable>();
        is_shared::<Connections>();
        is_shared::<Conversations>();
        is_shared::<Knowledge>();
        is_shared::<Models>();
        is_shared::<Prompts>();
        is_shared::<RateLimiter>();
        is_shared::<Runs>();
        is_shared::<ScopeBuilder>();
        is_shared::<Tenants>();
        is_shared::<ToolServers>();
        is_shared::<Users>();
        is_shared::<Workspaces>();
        is_shared::<crate::chat::Turn>();
        is_sent::<EngineBuilder>();
        is_sent::<Answer>();
        is_sent::<NumberedAnswer>();
        is_sent::<CompletionStream>();
        is_shared::<Completion>();
        is_shared::<crate::Stores>();
        is_synced::<crate::KeyRing>();
        is_synced::<crate::sealing::Sealer>();
        is_shared::<crate::Secret>();
        is_shared::<UsageFilter>();
        is_shared::<crate::knowledge::SourcePassage>();
        is_shared::<crate::observer::TurnSummary>();
        is_shared::<crate::chat::event::ChatEvent>();
        is_synced::<Error>();
    };
}
