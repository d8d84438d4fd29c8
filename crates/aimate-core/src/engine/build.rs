//! Putting an engine together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aimate_text::extract::{Extractor, Limits};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Engine, Inner, catalog::Catalogs, knowledge::KnowledgeServices, meter};
use crate::Stores;
use crate::clock::ClockAndIds;
use crate::connection::{NewConnection, ProviderKind};
use crate::error::{Error, Result};
use crate::keyring::KeyRing;
use crate::knowledge::{Embedder, Fetcher, Reranker};
use crate::provider::ChatProvider;

/// How long a worker counts as alive after it last said so.
const LEASE: Duration = Duration::from_secs(30);
/// Documents that are read at once.
const READERS: usize = 2;
/// Answers that may be written at once.
const MAX_RUNS: usize = 10_000;

/// A model server that the application configures, with the implementations
/// that come along with it.
#[derive(Clone)]
pub struct ConnectionConfig {
    /// The server.
    pub connection: NewConnection,
    /// Implementations for kinds that the builder has none for.
    pub providers: HashMap<ProviderKind, Arc<dyn ChatProvider>>,
}

impl From<NewConnection> for ConnectionConfig {
    fn from(connection: NewConnection) -> Self {
        Self { connection, providers: HashMap::new() }
    }
}

/// Collects the parts of an engine; see [`Engine::builder`].
#[derive(Default)]
pub struct EngineBuilder {
    stores: Option<Stores>,
    providers: HashMap<ProviderKind, Arc<dyn ChatProvider>>,
    sources: ClockAndIds,
    keys: Option<KeyRing>,
    connections: Vec<NewConnection>,
    system_prompt: Option<String>,
    preferred: Option<ProviderKind>,
    lease: Option<Duration>,
    max_runs: Option<usize>,
    embedders: Vec<Arc<dyn Embedder>>,
    default_embedder: Option<String>,
    reranker: Option<Arc<dyn Reranker>>,
    extractor: Option<Extractor>,
    fetcher: Option<Arc<dyn Fetcher>>,
    readers: Option<usize>,
}

impl EngineBuilder {
    /// Where everything is kept. Required.
    #[must_use]
    pub fn store(mut self, stores: impl Into<Stores>) -> Self {
        self.stores = Some(stores.into());
        self
    }

    /// The implementation of a kind of model server; replaces an earlier one.
    #[must_use]
    pub fn provider(mut self, kind: ProviderKind, provider: Arc<dyn ChatProvider>) -> Self {
        self.providers.insert(kind, provider);
        self
    }

    /// Several implementations at once.
    #[must_use]
    pub fn providers(
        mut self,
        providers: impl IntoIterator<Item = (ProviderKind, Arc<dyn ChatProvider>)>,
    ) -> Self {
        self.providers.extend(providers);
        self
    }

    /// A model server that every user of every tenant may use. It is listed
    /// like a stored connection, but its key stays in memory alone.
    #[must_use]
    pub fn connection(mut self, configured: impl Into<ConnectionConfig>) -> Self {
        let ConnectionConfig { connection, providers } = configured.into();
        self.connections.push(connection);
        for (kind, provider) in providers {
            self.providers.entry(kind).or_insert(provider);
        }
        self
    }

    /// The keys that users' provider keys are sealed with. Without them a
    /// connection with a key cannot be stored.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Instructions that open every prompt of every conversation.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// Which kind of model server answers where nobody names a model; default:
    /// the connection that was made first, `builtin` last.
    #[must_use]
    pub fn prefer(mut self, provider: ProviderKind) -> Self {
        self.preferred = Some(provider);
        self
    }

    /// Time and ids; default: the machine's clock and random UUIDv7.
    #[must_use]
    pub fn sources(mut self, sources: ClockAndIds) -> Self {
        self.sources = sources;
        self
    }

    /// How long after its last sign of life a process counts as dead and its
    /// answers as abandoned; default 30 s.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// How many answers may be written at once; a turn beyond it is
    /// `Unavailable`. Default 10,000.
    #[must_use]
    pub fn max_runs(mut self, count: usize) -> Self {
        self.max_runs = Some(count);
        self
    }

    /// An embedder that runs in this process. The first one is `local`, and what
    /// new collections use where nobody says otherwise.
    #[must_use]
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedders.push(embedder);
        self
    }

    /// What new collections use: `local`, `none` (text search alone) or
    /// `CONNECTION/MODEL`. Default: the first embedder of this process, else
    /// `none`.
    #[must_use]
    pub fn default_embedder(mut self, name: impl Into<String>) -> Self {
        self.default_embedder = Some(name.into());
        self
    }

    /// What reorders the best hits of a search.
    #[must_use]
    pub fn reranker(mut self, reranker: Arc<dyn Reranker>) -> Self {
        self.reranker = Some(reranker);
        self
    }

    /// What reads documents. Default: in this process, where a hostile file can
    /// take the process with it; see
    /// [`Extractor::with_worker`](aimate_text::extract::Extractor::with_worker).
    #[must_use]
    pub fn extractor(mut self, extractor: Extractor) -> Self {
        self.extractor = Some(extractor);
        self
    }

    /// What fetches documents by the addresses that users give. Without it they
    /// are `Unsupported`.
    #[must_use]
    pub fn fetcher(mut self, fetcher: Arc<dyn Fetcher>) -> Self {
        self.fetcher = Some(fetcher);
        self
    }

    /// How many documents are read at once; 0 leaves them to other processes on
    /// the same database. Default: 2.
    #[must_use]
    pub fn readers(mut self, count: usize) -> Self {
        self.readers = Some(count);
        self
    }

    /// Builds the engine, ends what an earlier process left unfinished, and
    /// starts the housekeeping.
    ///
    /// # Errors
    /// `Invalid` if there are no stores or a connection is wrong; what the
    /// store says.
    pub async fn build(mut self) -> Result<Engine> {
        let stores = self.stores.ok_or_else(|| {
            Error::invalid(
                "an engine needs stores: `.store(aimate::store::connect(\"sqlite:aimate.db\").await?)`",
            )
        })?;
        if !self.connections.iter().any(|connection| connection.provider == ProviderKind::Builtin) {
            self.connections.push(NewConnection::new("builtin", ProviderKind::Builtin));
        }
        self.connections.retain(|connection| {
            connection.provider != ProviderKind::Builtin
                || self.providers.contains_key(&ProviderKind::Builtin)
        });
        for connection in &mut self.connections {
            connection.check()?;
        }
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let default = self.embedders.first().map_or("none", |first| first.model().name.as_str()).to_owned();
        let knowledge = KnowledgeServices {
            embedders: self.embedders,
            default_embedder: self.default_embedder.unwrap_or(default),
            reranker: self.reranker,
            extractor: self.extractor.unwrap_or_else(|| Extractor::in_process(Limits::default())),
            fetcher: self.fetcher,
            readers: self.readers.unwrap_or(READERS),
            added: Notify::new(),
            space_made: Notify::new(),
        };
        let inner = Arc::new(Inner {
            knowledge,
            meter: meter::Meter::start(stores.usage.clone(), &tasks, stop.clone()),
            worker: self.sources.id(),
            stores,
            providers: self.providers,
            sources: self.sources,
            keys: self.keys,
            configured: self.connections,
            system_prompt: self.system_prompt,
            preferred: self.preferred,
            lease: self.lease.unwrap_or(LEASE),
            max_runs: self.max_runs.unwrap_or(MAX_RUNS),
            channels: std::sync::Mutex::default(),
            catalogs: Catalogs::default(),
            tasks,
            draining: AtomicBool::new(false),
            interrupt: CancellationToken::new(),
            stop,
        });
        let engine = Engine { inner };
        engine.start_worker().await?;
        engine.start_ingest();
        Ok(engine)
    }
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder").field("connections", &self.connections).finish_non_exhaustive()
    }
}
