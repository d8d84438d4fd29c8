//! Putting an engine together.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, atomic::AtomicBool};
use std::time::Duration;

use aimate_text::extract::{Extractor, Limits};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Access;
use super::catalog::Catalogs;
use super::deletion::DeletionServices;
use super::held::Held;
use super::knowledge::{BlobServices, EndedDocuments, KnowledgeServices, RefiledDocuments};
use super::model_list::ModelLists;
use super::provider::Providers;
use super::ready::Readiness;
use super::tool_server::{ToolCatalogs, ToolServerConfig};
use super::toolbox::ToolServices;
use super::usage_recorder::UsageRecorder;
use super::{Engine, Inner};
use crate::Stores;
use crate::chat::AnswerLimits;
use crate::clock::ClockAndIds;
use crate::connection::NewConnection;
use crate::error::{Error, Result};
use crate::knowledge::{Embedder, Fetcher, Reranker, Retriever, Scripts, StorageQuotas};
use crate::limit;
use crate::observer::{Observer, Observers};
use crate::per_user::PerUser;
use crate::provider::{ChatProvider, ProviderId};
use crate::sealing::Sealer;
use crate::tool::{HostTool, ToolLimits, ToolPolicy, ToolServerClient, WebSearch};

/// How long a worker counts as alive after it last said so.
const LEASE: Duration = Duration::from_secs(30);
/// How long a hidden conversation is kept after its last message.
const KEEP_HIDDEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Documents that are read at once.
const READERS: usize = 2;
/// How long an application's own search may take.
const RETRIEVER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an observer may take to allow a turn.
const OBSERVER_TIMEOUT: Duration = Duration::from_secs(1);
/// Answers that may be written at once.
const MAX_RUNS: usize = 10_000;

/// A model server that the application configures, with the implementations
/// that come along with it.
#[derive(Clone)]
pub struct ConnectionConfig {
    /// The server.
    pub connection: NewConnection,
    /// Providers for names under which the builder has none.
    pub providers: HashMap<ProviderId, Arc<dyn ChatProvider>>,
}

impl From<NewConnection> for ConnectionConfig {
    fn from(connection: NewConnection) -> Self {
        Self { connection, providers: HashMap::new() }
    }
}

/// Collects the parts of an engine; see [`Engine::builder`].
///
/// What has a name (a provider, a connection, an embedder) is added, and replaces
/// what was added under the same name; everything else is set, and replaces what
/// was set before.
#[derive(Default)]
pub struct EngineBuilder {
    stores: Option<Stores>,
    providers: HashMap<ProviderId, Arc<dyn ChatProvider>>,
    sources: ClockAndIds,
    keys: Option<Sealer>,
    connections: Vec<NewConnection>,
    tool_servers: Vec<ToolServerConfig>,
    system_prompt: Option<String>,
    preferred: Option<ProviderId>,
    lease: Option<Duration>,
    keep_hidden: Option<Duration>,
    max_runs: Option<usize>,
    max_runs_per_user: Option<usize>,
    answer_limits: AnswerLimits,
    storage_quotas: StorageQuotas,
    embedders: Vec<Arc<dyn Embedder>>,
    default_embedder: Option<String>,
    embedder_scripts: HashMap<String, Scripts>,
    reranker: Option<Arc<dyn Reranker>>,
    extractor: Option<Extractor>,
    fetcher: Option<Arc<dyn Fetcher>>,
    readers: Option<usize>,
    retrievers: BTreeMap<String, Arc<dyn Retriever>>,
    retriever_timeout: Option<Duration>,
    tools: BTreeMap<String, HostTool>,
    tool_client: Option<Arc<dyn ToolServerClient>>,
    web_search: Option<Arc<dyn WebSearch>>,
    tool_limits: ToolLimits,
    turn_server_policy: Option<ToolPolicy>,
    observers: Vec<Arc<dyn Observer>>,
    observer_timeout: Option<Duration>,
}

impl EngineBuilder {
    /// Where everything is kept. Required.
    #[must_use]
    pub fn store(mut self, stores: impl Into<Stores>) -> Self {
        self.stores = Some(stores.into());
        self
    }

    /// Registers a provider under a name, which connections give as their
    /// `provider`. Replaces an earlier one of the same name.
    #[must_use]
    pub fn provider(mut self, id: impl Into<ProviderId>, provider: Arc<dyn ChatProvider>) -> Self {
        self.providers.insert(id.into(), provider);
        self
    }

    /// Registers a provider and connects it under the same name, without an address
    /// or a key: `NAME/MODEL` is answered by it from then on. Replaces an earlier
    /// provider and an earlier connection of the name; a
    /// [`connection`](Self::connection) of it that is added later may have an address,
    /// a key and settings.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use aimate_core::provider::ChatProvider;
    /// # async fn example(stores: aimate_core::Stores, acme: Arc<dyn ChatProvider>) -> aimate_core::Result<()> {
    /// use aimate_core::{Engine, chat::Turn};
    /// let engine = Engine::builder().store(stores).provider_named("acme-llm", acme).build().await?;
    /// let me = engine.local_scope().await?;
    /// let answer = engine.chat(&me, Turn::new("Hello").model("acme-llm/large")).await?;
    /// # let _ = answer;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn provider_named(self, name: impl Into<ProviderId>, provider: Arc<dyn ChatProvider>) -> Self {
        let id = name.into();
        let connection = NewConnection::new(id.as_str(), id.clone());
        self.provider(id, provider).connection(connection)
    }

    /// Registers several providers at once.
    #[must_use]
    pub fn providers(
        mut self,
        providers: impl IntoIterator<Item = (ProviderId, Arc<dyn ChatProvider>)>,
    ) -> Self {
        self.providers.extend(providers);
        self
    }

    /// A tool server that every user of every tenant may use. It is listed like a stored one, but
    /// what it is authorized with stays in memory alone. Replaces an earlier one of the same name.
    #[must_use]
    pub fn tool_server(mut self, configured: ToolServerConfig) -> Self {
        self.tool_servers.retain(|other| other.name() != configured.name());
        self.tool_servers.push(configured);
        self
    }

    /// A model server that every user of every tenant may use. It is listed
    /// like a stored connection, but its key stays in memory alone. Replaces an
    /// earlier one of the same name.
    #[must_use]
    pub fn connection(mut self, configured: impl Into<ConnectionConfig>) -> Self {
        let ConnectionConfig { connection, providers } = configured.into();
        self.connections.retain(|other| other.name != connection.name);
        self.connections.push(connection);
        for (id, provider) in providers {
            self.providers.entry(id).or_insert(provider);
        }
        self
    }

    /// What users' provider keys are sealed with: a [`KeyRing`](crate::KeyRing), or another
    /// [`KeyProvider`](crate::sealing::KeyProvider). Without it a connection with a key cannot
    /// be stored.
    #[must_use]
    pub fn keys(mut self, keys: impl Into<Sealer>) -> Self {
        self.keys = Some(keys.into());
        self
    }

    /// Instructions that open every prompt of every conversation.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// The provider whose models answer where nobody names one. Default: that of
    /// the connection that was made first.
    #[must_use]
    pub fn prefer(mut self, provider: impl Into<ProviderId>) -> Self {
        self.preferred = Some(provider.into());
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

    /// How long a hidden conversation ([`Turn::hidden`](crate::chat::Turn::hidden)) is kept after its
    /// last message; it is deleted then, with its answers and what they keep for their callers.
    /// It is in no list, so nobody else would. Default: 30 days; `Duration::MAX` keeps it for ever.
    #[must_use]
    pub fn keep_hidden(mut self, time: Duration) -> Self {
        self.keep_hidden = Some(time);
        self
    }

    /// How many answers may be written at once; a turn beyond it is
    /// `Unavailable`. Default 10,000.
    #[must_use]
    pub fn max_runs(mut self, count: usize) -> Self {
        self.max_runs = Some(count);
        self
    }

    /// How many answers of one user this process may write at once; a turn beyond it is
    /// `RateLimited`. Default: as many as [`max_runs`](Self::max_runs).
    #[must_use]
    pub fn max_runs_per_user(mut self, count: usize) -> Self {
        self.max_runs_per_user = Some(count);
        self
    }

    /// How many documents, and how many bytes of them, each user and each tenant may keep.
    /// Default: as much as there is room for. With a quota, adding a document costs time in
    /// proportion to the number of documents that it counts.
    #[must_use]
    pub fn storage_quotas(mut self, quotas: StorageQuotas) -> Self {
        self.storage_quotas = quotas;
        self
    }

    /// What one answer may take: bytes of text, reasoning and arguments, calls and
    /// time. Default: see [`AnswerLimits`].
    #[must_use]
    pub fn answer_limits(mut self, limits: AnswerLimits) -> Self {
        self.answer_limits = limits;
        self
    }

    /// An embedder that runs in this process. The first one is `local`, and what
    /// new collections use where nobody says otherwise. Replaces an earlier one
    /// of the same model.
    #[must_use]
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        match self.embedders.iter_mut().find(|earlier| earlier.model() == embedder.model()) {
            Some(earlier) => *earlier = embedder,
            None => self.embedders.push(embedder),
        }
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

    /// The scripts that the embedder of this name reads (`local/NAME` or
    /// `CONNECTION/MODEL`). Default: what [`Embedder::scripts`] says; all for a model
    /// of a connection, whose server does not tell.
    #[must_use]
    pub fn embedder_scripts(mut self, name: impl Into<String>, scripts: Scripts) -> Self {
        self.embedder_scripts.insert(name.into(), scripts);
        self
    }

    /// What reorders the best hits of a search.
    #[must_use]
    pub fn reranker(mut self, reranker: Arc<dyn Reranker>) -> Self {
        self.reranker = Some(reranker);
        self
    }

    /// A search of the application's own, which turns ask for passages by this name
    /// ([`Turn::retrievers`](crate::chat::Turn::retrievers)); a turn that names none
    /// asks none. Replaces an earlier one of the same name.
    #[must_use]
    pub fn retriever(mut self, name: impl Into<String>, retriever: Arc<dyn Retriever>) -> Self {
        self.retrievers.insert(name.into(), retriever);
        self
    }

    /// How long a retriever may take; what it finds after that is not waited for, and
    /// the turn goes on with a warning. Default: 10 s.
    #[must_use]
    pub fn retriever_timeout(mut self, timeout: Duration) -> Self {
        self.retriever_timeout = Some(timeout);
        self
    }

    /// Adds an observer: what may refuse a turn, and is told of what happens. Those
    /// that were added before stay.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// How long an observer may take to say whether a turn is allowed
    /// ([`Observer::before_turn`]); after that the turn goes on, or is refused
    /// ([`Observer::fail_closed`]). Default: 1 s.
    #[must_use]
    pub fn observer_timeout(mut self, timeout: Duration) -> Self {
        self.observer_timeout = Some(timeout);
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

    /// A tool of the application, which turns name in
    /// [`Turn::use_tools`](crate::chat::Turn::use_tools). Replaces an earlier one of the same
    /// name, and one of aiMate's own; [`Engine::register_tool`] adds one later.
    ///
    /// aiMate's own are `current_time`, `knowledge_search` and, with a fetcher,
    /// `web_fetch` and, with [`EngineBuilder::web_search`], `web_search`.
    #[must_use]
    pub fn tool(mut self, tool: HostTool) -> Self {
        self.tools.insert(tool.tool.name.clone(), tool);
        self
    }

    /// What speaks to tool servers, such as `aimate-mcp`'s client. Without it calls that need it
    /// say `Unsupported`.
    #[must_use]
    pub fn tool_client(mut self, client: Arc<dyn ToolServerClient>) -> Self {
        self.tool_client = Some(client);
        self
    }

    /// What the tool `web_search` asks. Default: none, and no such tool.
    #[must_use]
    pub fn web_search(mut self, search: Arc<dyn WebSearch>) -> Self {
        self.web_search = Some(search);
        self
    }

    /// What the tool calls of one answer may take.
    #[must_use]
    pub fn tool_limits(mut self, limits: ToolLimits) -> Self {
        self.tool_limits = limits;
        self
    }

    /// What becomes of calls of tool servers whose address a turn brings
    /// ([`TurnToolServer::at`](crate::tool::TurnToolServer::at)) where the turn does not say it; with
    /// [`ToolPolicy::Deny`] no turn may bring one. Default: [`ToolPolicy::Ask`].
    #[must_use]
    pub fn turn_server_policy(mut self, policy: ToolPolicy) -> Self {
        self.turn_server_policy = Some(policy);
        self
    }

    /// Builds the engine, ends what an earlier process left unfinished, and
    /// starts the housekeeping.
    ///
    /// # Errors
    /// `Invalid` if there are no stores, a provider's name is none, or a
    /// connection or a tool is wrong; `Unsupported` if the preferred provider is not
    /// registered; what the store says.
    pub async fn build(self) -> Result<Engine> {
        let stores = self
            .stores
            .ok_or_else(|| Error::invalid("an engine needs stores; give the builder `.store(…)`"))?;
        let providers = Providers::new(self.providers)?;
        if let Some(preferred) = &self.preferred {
            providers.get(preferred)?;
        }
        let connections = self.connections.into_iter().map(|connection| providers.validated(connection));
        let connections = connections.collect::<Result<_>>()?;
        let configured_tools = self.tool_servers.into_iter().map(ToolServerConfig::validated);
        let configured_tools = configured_tools.collect::<Result<_>>()?;
        for name in self.retrievers.keys() {
            limit::name("retriever", name, limit::NAME)?;
        }
        for tool in self.tools.values() {
            tool.check()?;
        }
        let outputs = stores.tool_outputs.clone();
        let policy = self.turn_server_policy.unwrap_or(ToolPolicy::Ask);
        let tools = ToolServices::new(self.tools, self.tool_client, self.tool_limits, policy, outputs);
        let default = self.embedders.first().map_or("none", |first| first.model().name.as_str()).to_owned();
        let knowledge = KnowledgeServices {
            embedders: self.embedders,
            default_embedder: self.default_embedder.unwrap_or(default),
            embedder_scripts: self.embedder_scripts,
            reranker: self.reranker,
            extractor: self.extractor.unwrap_or_else(|| Extractor::in_process(Limits::default())),
            fetcher: self.fetcher,
            readers: self.readers.unwrap_or(READERS),
            retrievers: self.retrievers,
            retriever_timeout: self.retriever_timeout.unwrap_or(RETRIEVER_TIMEOUT),
            added: Notify::new(),
            ended: EndedDocuments::default(),
            space_made: Notify::new(),
            refiled: RefiledDocuments::default(),
            held: Held::default(),
            bytes: BlobServices::default(),
        };
        let observers = Observers::start(self.observers, self.observer_timeout.unwrap_or(OBSERVER_TIMEOUT));
        let inner = Arc::new(Inner {
            knowledge,
            tools,
            usage_recorder: UsageRecorder::start(stores.usage.clone(), observers.notices.clone()),
            observers,
            worker: self.sources.id(),
            stores,
            providers: Arc::new(providers),
            sources: self.sources,
            keys: self.keys,
            configured: connections,
            system_prompt: self.system_prompt,
            preferred: self.preferred,
            lease: self.lease.unwrap_or(LEASE),
            keep_hidden: self.keep_hidden.unwrap_or(KEEP_HIDDEN),
            max_runs: self.max_runs.unwrap_or(MAX_RUNS),
            max_runs_per_user: self.max_runs_per_user.unwrap_or(usize::MAX),
            user_runs: PerUser::default(),
            answer_limits: self.answer_limits,
            storage_quotas: self.storage_quotas,
            channels: std::sync::Mutex::default(),
            log_readers: Semaphore::new(super::answer::READERS),
            stored_answers: std::sync::Mutex::default(),
            beginning: Held::default(),
            resumed: Notify::new(),
            readiness: Readiness::default(),
            access: Access::default(),
            deletions: DeletionServices::default(),
            catalogs: Catalogs::default(),
            configured_tools,
            tool_catalogs: ToolCatalogs::default(),
            model_lists: ModelLists::default(),
            tasks: TaskTracker::new(),
            draining: AtomicBool::new(false),
            interrupt: CancellationToken::new(),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
        });
        let alive = Some(Arc::new(inner.stop.clone().drop_guard()));
        let engine = Engine { inner, _alive: alive };
        engine.register_builtin_tools(self.web_search);
        engine.end_when_stopped();
        let worker = engine.for_task();
        worker.start_worker().await?;
        worker.start_ingest();
        worker.start_removing();
        worker.start_deleting();
        Ok(engine)
    }
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder").field("connections", &self.connections).finish_non_exhaustive()
    }
}
