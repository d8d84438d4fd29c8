//! The engine: the one object an application holds.

mod answer;
mod build;
mod catalog;
mod chat;
mod complete;
mod connection;
mod conversation;
mod endpoint;
mod knowledge;
mod meter;
mod model;
mod model_list;
mod passage;
mod prompt;
mod provider;
mod resolve;
mod run;
mod worker;
mod workspace;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::Stores;
use crate::chat::channel::Channel;
use crate::clock::ClockAndIds;
use crate::connection::NewConnection;
use crate::error::{Error, Result};
use crate::id::{RunId, TenantId, UserId, WorkerId};
use crate::keyring::KeyRing;
use crate::provider::ProviderId;
use crate::scope::{Role, Scope};
use crate::usage::{UsageFilter, UsageSum};
use crate::user::User;

pub use answer::{Answer, NumberedEvents};
pub use build::{ConnectionConfig, EngineBuilder};
pub use complete::{Completion, CompletionStream};
pub use connection::{ConnectionTest, Connections};
pub use conversation::Conversations;
pub use knowledge::{Knowledge, MAX_BYTES, SyncEvent, SyncOptions, SyncReport};
pub use model::{Models, OfferedModel};
pub use prompt::Prompts;
pub use run::Runs;
pub use workspace::Workspaces;

/// The tenant and user of local mode, the same in every database.
const LOCAL: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// The engine: stores, providers and the runs of this process.
///
/// Cloning is cheap and gives the same engine. Every method takes the
/// [`Scope`] of who asks.
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
}

struct Inner {
    stores: Stores,
    providers: Arc<provider::Providers>,
    sources: ClockAndIds,
    keys: Option<KeyRing>,
    /// Connections of the builder: offered in every tenant, their keys in
    /// memory alone.
    configured: Vec<NewConnection>,
    system_prompt: Option<String>,
    preferred: Option<ProviderId>,
    worker: WorkerId,
    lease: Duration,
    max_runs: usize,
    channels: Mutex<HashMap<RunId, Arc<Channel>>>,
    catalogs: catalog::Catalogs,
    model_lists: model_list::ModelLists,
    meter: meter::Meter,
    knowledge: knowledge::KnowledgeServices,
    /// Every task the engine starts, so that shutting down waits for them.
    tasks: TaskTracker,
    draining: AtomicBool,
    /// Fires when running answers must end now.
    interrupt: CancellationToken,
    /// Fires when the housekeeping tasks must end.
    stop: CancellationToken,
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
        let scope = Scope { tenant: TenantId(LOCAL), user: UserId(LOCAL), role: Role::Admin };
        let now = self.inner.sources.now();
        let user = User {
            id: scope.user,
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

    /// The engine's clock and ids, for faces that tell the time or name an
    /// answer.
    pub fn sources(&self) -> &ClockAndIds {
        &self.inner.sources
    }

    /// What calls used and cost, in sums; see [`UsageFilter`].
    ///
    /// # Errors
    /// What the store says.
    pub async fn usage(&self, scope: &Scope, filter: &UsageFilter) -> Result<Vec<UsageSum>> {
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from >= to
        {
            return Err(Error::field("from", "is not before `to`"));
        }
        self.inner.meter.flush().await;
        self.inner.stores.usage.summarize(scope, filter).await
    }

    /// Answers if the database does.
    ///
    /// # Errors
    /// `Unavailable` if it does not.
    pub async fn ping(&self) -> Result<()> {
        self.inner.stores.workers.ping().await
    }

    /// Whether the engine takes no new turns any more.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Acquire)
    }

    /// How many answers are being written.
    pub fn running(&self) -> usize {
        self.inner.channels().len()
    }

    /// Shuts down: takes no new turns, lets answers go on until `deadline`,
    /// then stores what came of the others as `interrupted`, and hands in the
    /// lease. The engine is not usable after this.
    pub async fn drain(&self, deadline: Duration) {
        self.inner.draining.store(true, Ordering::Release);
        let idle = async {
            while self.running() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(deadline, idle).await.is_err() {
            tracing::warn!(runs = self.running(), "ending answers that are not whole");
        }
        self.inner.interrupt.cancel();
        self.inner.meter.flush().await;
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(Duration::from_secs(10), self.inner.tasks.wait()).await.is_err() {
            tracing::error!("some tasks did not end; their runs will be found as abandoned");
        }
        if let Err(error) = self.inner.stores.queue.release_documents(self.inner.worker).await {
            tracing::warn!(%error, "handing documents back to the queue failed");
        }
        if let Err(error) = self.inner.stores.workers.leave(self.inner.worker).await {
            tracing::warn!(%error, "leaving as a worker failed");
        }
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
