//! From what `Engine.open` is told to an engine.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aimate::knowledge::{Embedder, Reranker, Retriever};
use aimate::mcp::client::McpClient;
use aimate::observer::Observer;
use aimate::provider::ChatProvider;
use aimate::providers::local::LocalEmbedder;
use aimate::providers::{AddressPolicy, BraveSearch, HttpReranker, RerankShape, SearxngSearch, Transport};
use aimate::store::{self, Store};
use aimate::text::extract::{Extractor, Limits};
use aimate::tool::HostTool;
use aimate::{Engine, EngineBuilder, Error, KeyRing, Result, Secret};

use crate::config::{Config, RerankServer, duration};

/// What of an engine is written in Python.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) providers: Vec<(String, Arc<dyn ChatProvider>)>,
    pub(crate) tools: Vec<HostTool>,
    pub(crate) embedders: Vec<Arc<dyn Embedder>>,
    pub(crate) reranker: Option<Arc<dyn Reranker>>,
    pub(crate) retrievers: Vec<(String, Arc<dyn Retriever>)>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
}

/// Builds the engine.
///
/// # Errors
/// `Invalid`, naming what is wrong; what the store says.
pub(crate) async fn engine(config: Config, parts: Parts) -> Result<Engine> {
    let transport = transport(&config)?;
    let store = connect(&config).await?;
    let mut builder = Engine::builder()
        .store(store.clone())
        .providers(aimate::providers::with(&transport))
        .fetcher(Arc::new(transport.clone()))
        .tool_client(Arc::new(McpClient::new(transport.clone())))
        .answer_limits(config.limits.answer()?)
        .storage_quotas(config.quotas.storage());
    if let Some(keys) = keys(&config, &store).await? {
        builder = builder.keys(keys);
    }
    if let Some(extractor) = extractor(config.worker.as_deref()) {
        builder = builder.extractor(extractor);
    }
    builder = servers(builder, &config, &transport)?;
    for (name, provider) in parts.providers {
        let id = name.parse::<aimate::provider::ProviderId>()?;
        builder = builder.provider_named(id, provider);
    }
    for connection in config.connections {
        builder = builder.connection(connection);
    }
    for tool in parts.tools {
        builder = builder.tool(tool);
    }
    for server in config.tool_servers {
        builder = builder.tool_server(server.configured()?);
    }
    for embedder in parts.embedders {
        builder = builder.embedder(embedder);
    }
    if let Some(folder) = config.model_dir {
        builder = builder.embedder(local_embedder(folder).await?);
    }
    if let Some(reranker) = parts.reranker {
        builder = builder.reranker(reranker);
    }
    for (name, retriever) in parts.retrievers {
        builder = builder.retriever(name, retriever);
    }
    if let Some(seconds) = config.retriever_timeout {
        builder = builder.retriever_timeout(duration("retriever_timeout", seconds)?);
    }
    for observer in parts.observers {
        builder = builder.observer(observer);
    }
    if let Some(seconds) = config.observer_timeout {
        builder = builder.observer_timeout(duration("observer_timeout", seconds)?);
    }
    if let Some(name) = config.default_embedder {
        builder = builder.default_embedder(name);
    }
    if let Some(provider) = config.prefer {
        builder = builder.prefer(provider.parse::<aimate::provider::ProviderId>()?);
    }
    if let Some(prompt) = config.system_prompt {
        builder = builder.system_prompt(prompt);
    }
    if let Some(count) = config.readers {
        builder = builder.readers(count);
    }
    if let Some(count) = config.max_runs {
        builder = builder.max_runs(count);
    }
    if let Some(count) = config.max_runs_per_user {
        builder = builder.max_runs_per_user(count);
    }
    builder.build().await
}

async fn connect(config: &Config) -> Result<Store> {
    let defaults = store::Options::default();
    let timeout = config.timeout.map_or(Ok(defaults.timeout), |seconds| duration("timeout", seconds))?;
    let options = store::Options {
        pool_size: config.pool_size,
        timeout,
        migrate: config.migrate,
        blobs: config.blobs.clone(),
        schema: config.schema.clone(),
        table_prefix: config.table_prefix.clone(),
        row_level_security: config.row_level_security,
        ..defaults
    };
    store::connect_with(&config.url, options).await
}

/// What asks model servers: those that the program connects wherever they are, those that
/// users name at public addresses and where the program allows it.
fn transport(config: &Config) -> Result<Transport> {
    let policy = AddressPolicy::public_only()
        .allow(&config.allow_private.join(","))
        .map_err(|error| Error::field("allow_private", error.to_string()))?;
    Ok(Transport::new().untrusted_policy(policy))
}

/// The servers that are asked beside models.
fn servers(mut builder: EngineBuilder, config: &Config, transport: &Transport) -> Result<EngineBuilder> {
    match (&config.searxng_url, &config.brave_api_key) {
        (Some(_), Some(_)) => {
            return Err(Error::field("brave_api_key", "excludes `searxng_url`; give one of them"));
        }
        (Some(url), None) => {
            builder = builder.web_search(Arc::new(SearxngSearch::new(transport.clone(), url)));
        }
        (None, Some(key)) => {
            builder = builder.web_search(Arc::new(BraveSearch::new(transport.clone(), key.clone())));
        }
        (None, None) => {}
    }
    if let Some(RerankServer { url, model, api_key }) = &config.reranker {
        let shape = if model.is_some() { RerankShape::Cohere } else { RerankShape::Tei };
        let mut reranker = HttpReranker::new(transport.clone(), shape, url);
        if let Some(model) = model {
            reranker = reranker.model(model);
        }
        if let Some(key) = api_key {
            reranker = reranker.api_key(key.clone());
        }
        builder = builder.reranker(Arc::new(reranker));
    }
    Ok(builder)
}

async fn local_embedder(folder: std::path::PathBuf) -> Result<Arc<dyn Embedder>> {
    let loading = tokio::task::spawn_blocking(move || LocalEmbedder::open(&folder)).await;
    let embedder =
        loading.map_err(|error| Error::internal("loading the embedder failed").with_source(error))?;
    Ok(Arc::new(
        embedder
            .map_err(|error| Error::new(error.kind(), format!("`model_dir`: {error}")).with_source(error))?,
    ))
}

/// A child process that reads risky documents; without one they are read here.
fn extractor(worker: Option<&[String]>) -> Option<Extractor> {
    let (program, arguments) = worker?.split_first()?;
    Some(Extractor::with_command(program.into(), arguments, Limits::default()))
}

/// The encryption keys: those that are given, else those of the file, made the first time.
async fn keys(config: &Config, store: &Store) -> Result<Option<KeyRing>> {
    if let Some(keys) = &config.keys {
        let keys = KeyRing::parse(keys.expose()).map_err(|error| Error::field("keys", error.to_string()))?;
        return Ok(Some(keys));
    }
    let Some(path) = &config.key_file else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(keys) => read_keys(path, &keys).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if store.has_sealed_keys().await? {
                return Err(Error::invalid(format!(
                    "the encryption key {} is gone, and stored secrets need it; put it back, or give another one as \
                     `keys` and enter them again",
                    path.display()
                )));
            }
            make_key(path).map(Some)
        }
        Err(error) => Err(file_error("read", path, error)),
    }
}

fn read_keys(path: &Path, keys: &str) -> Result<KeyRing> {
    KeyRing::parse(keys.trim()).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

/// Makes the key, unless another process does at the same time.
fn make_key(path: &Path) -> Result<KeyRing> {
    let key: Secret = KeyRing::generate()?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(key.expose().as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => KeyRing::parse(key.expose()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::thread::sleep(Duration::from_millis(200));
            let keys = std::fs::read_to_string(path).map_err(|error| file_error("read", path, error))?;
            read_keys(path, &keys)
        }
        Err(error) => Err(file_error("write", path, error)),
    }
}

fn file_error(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {}: {}", path.display(), error.kind())).with_source(error)
}
