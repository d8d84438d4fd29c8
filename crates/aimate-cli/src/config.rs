//! What every command shares: the database, the data folder, the keys.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aimate::engine::ToolServerConfig;
use aimate::providers::{AddressPolicy, BraveSearch, SearxngSearch, Transport};
use aimate::store::{Options, Store};
use aimate::text::extract::Extractor;
use aimate::tool::{ToolPolicy, WebSearch};
use aimate::{AnswerLimits, Engine, EngineBuilder, Error, KeyRing, Result, Secret};

use crate::embedder::Embedding;
use crate::find::{FoundServer, configured, find, preferred};
use crate::oidc;
use crate::reading::Reading;
use crate::reranker;
use crate::terminal::say;
use crate::tool_file;

/// The names that the environment may hold; see the README.
const KNOWN: [&str; 56] = [
    "AIMATE_READ_DEPTH",
    "AIMATE_READ_FILE",
    "AIMATE_READ_MEMORY",
    "AIMATE_READ_NESTING",
    "AIMATE_READ_PAGES",
    "AIMATE_READ_PARTS",
    "AIMATE_READ_RATIO",
    "AIMATE_READ_SECONDS",
    "AIMATE_READ_TEXT",
    "AIMATE_ANSWER_BYTES",
    "AIMATE_ANSWER_SECONDS",
    "AIMATE_MAX_CONNECTIONS",
    "AIMATE_MAX_DATABASE_WORK",
    "AIMATE_MAX_REQUESTS",
    "AIMATE_MAX_STREAMS_PER_USER",
    "AIMATE_RATE_LIMITS",
    "AIMATE_TENANT_BYTES",
    "AIMATE_TENANT_DOCUMENTS",
    "AIMATE_USER_BYTES",
    "AIMATE_USER_DOCUMENTS",
    "AIMATE_ADDR",
    "AIMATE_ALLOWED_HOSTS",
    "AIMATE_OIDC",
    "AIMATE_PUBLIC_URL",
    "AIMATE_PROXIES",
    "AIMATE_REGISTRATION",
    "AIMATE_SECURE_COOKIES",
    "AIMATE_ACCESS_LIFETIME",
    "AIMATE_SESSION_LIFETIME",
    "AIMATE_SESSION_MAX",
    "AIMATE_INVITE_LIFETIME",
    "AIMATE_DATA_DIR",
    "AIMATE_KEYS",
    "AIMATE_ALLOW_PRIVATE",
    "AIMATE_EMBEDDER",
    "AIMATE_EMBEDDER_SCRIPTS",
    "AIMATE_MODEL_DIR",
    "AIMATE_MODEL_HUB",
    "AIMATE_MODEL_TIMEOUT",
    "AIMATE_PROXY",
    "AIMATE_MCP_APPROVAL",
    "AIMATE_SEARXNG_URL",
    "AIMATE_RERANKER_URL",
    "AIMATE_RERANKER_MODEL",
    "AIMATE_RERANKER_KEY",
    "AIMATE_LOG",
    "AIMATE_LOG_FORMAT",
    "AIMATE_SPANS",
    "AIMATE_SYSTEM_PROMPT",
    "AIMATE_TOOL_SERVERS",
    "AIMATE_BIN",
    "AIMATE_BENCH_POSTGRES",
    "AIMATE_TEST_POOLER",
    "AIMATE_TEST_POSTGRES",
    "AIMATE_TEST_MODEL",
    "AIMATE_TEST_OIDC",
];

/// The database and the data folder.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Config {
    /// `sqlite:PATH`, `sqlite::memory:` or `postgres://…` [default: a SQLite file in the data folder]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// The folder of the database file, the documents' bytes and the encryption key
    #[arg(long, env = "AIMATE_DATA_DIR", default_value = "aimate-data")]
    pub(crate) data_dir: PathBuf,
    /// PostgreSQL behind a pooler: the address of the server itself, for migrations and the
    /// process's sign of life
    #[arg(long, env = "DATABASE_DIRECT_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_direct: Option<String>,
    /// PostgreSQL: the schema that the tables are in, made if it is not there
    #[arg(long, env = "DATABASE_SCHEMA", value_name = "NAME")]
    pub(crate) database_schema: Option<String>,
    /// What the tables' names begin with, in a database that an application has tables in
    #[arg(long, env = "DATABASE_TABLE_PREFIX", value_name = "PREFIX")]
    pub(crate) table_prefix: Option<String>,
    /// PostgreSQL: let the database itself keep tenants apart, by the policies of
    /// `migrate --row-level-security-for`
    #[arg(long, env = "DATABASE_ROW_LEVEL_SECURITY")]
    pub(crate) row_level_security: bool,
    /// Connections to the database
    #[arg(long, env = "DATABASE_POOL_SIZE")]
    pub(crate) pool_size: Option<u32>,
    /// Milliseconds to wait for the database
    #[arg(long, env = "DATABASE_TIMEOUT", default_value_t = 10_000)]
    pub(crate) database_timeout: u64,
    /// Hosts, addresses and networks that connections may reach although they are private, separated
    /// by commas, such as `gpu-box,10.2.0.0/16`
    #[arg(long, env = "AIMATE_ALLOW_PRIVATE", value_name = "HOSTS")]
    pub(crate) allow_private: Option<String>,
    /// A JSON file of the tool servers that every user may use, child processes among them
    #[arg(long, env = "AIMATE_TOOL_SERVERS", value_name = "FILE")]
    pub(crate) tool_servers: Option<PathBuf>,
    /// Bytes of text, and as many of reasoning, that an answer may have; it is cut there
    #[arg(long, env = "AIMATE_ANSWER_BYTES", default_value_t = 4 << 20, value_name = "BYTES")]
    pub(crate) answer_bytes: usize,
    /// Seconds that an answer may take; it is cut there
    #[arg(long, env = "AIMATE_ANSWER_SECONDS", default_value_t = 3_600, value_name = "SECONDS")]
    pub(crate) answer_seconds: u64,
    /// Whether others than the operator may use it over the network.
    #[arg(skip)]
    pub(crate) serves_others: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) embedding: Embedding,
}

impl Config {
    /// Where everything is kept.
    pub(crate) fn database_url(&self) -> String {
        self.database
            .clone()
            .filter(|url| !url.is_empty())
            .unwrap_or_else(|| format!("sqlite:{}", self.data_dir.join("aimate.db").display()))
    }

    /// The folder of the documents' bytes.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.data_dir.join(format!("{}blobs", self.table_prefix.as_deref().unwrap_or_default()))
    }

    /// Opens the database. The bytes of documents are kept in the data folder,
    /// but for a database in memory, with which they go.
    pub(crate) async fn connect(&self, migrate: bool) -> Result<Store> {
        let url = self.database_url();
        let options = Options {
            pool_size: self.pool_size,
            timeout: Duration::from_millis(self.database_timeout),
            migrate,
            blobs: (!url.ends_with(":memory:")).then(|| self.blobs()),
            schema: self.database_schema.clone().filter(|name| !name.is_empty()),
            table_prefix: self.table_prefix.clone(),
            row_level_security: self.row_level_security,
            direct_url: self.database_direct.clone().filter(|url| !url.is_empty()),
            ..Options::default()
        };
        aimate::store::connect_with(&url, options).await
    }

    /// What asks the model servers. The operator's own addresses reach whatever they name;
    /// those of users reach public addresses and what the operator allows, which, as long as
    /// the one user is the operator, is this machine and the hosts of the settings too.
    pub(crate) fn transport(&self) -> Result<Transport> {
        let wrong = |name: &str, error: &Error| Error::invalid(format!("{name}: {error}"));
        let mut policy = AddressPolicy::public_only()
            .allow(self.allow_private.as_deref().unwrap_or_default())
            .map_err(|error| wrong("AIMATE_ALLOW_PRIVATE", &error))?;
        if !self.serves_others {
            policy = policy.allow_loopback();
        }
        for (name, url) in configured() {
            let allowed = policy.clone().allow_host_of(&url).map_err(|error| wrong(name, &error))?;
            policy = if self.serves_others { policy } else { allowed };
        }
        let mut transport = Transport::new();
        if let Ok(url) = std::env::var("AIMATE_PROXY") {
            policy.clone().allow_host_of(&url).map_err(|error| wrong("AIMATE_PROXY", &error))?;
            transport = transport.proxy(url);
        }
        if let Ok(seconds) = std::env::var("AIMATE_MODEL_TIMEOUT") {
            let seconds = seconds.trim().parse().map_err(|_| {
                Error::invalid("AIMATE_MODEL_TIMEOUT: is not a number of seconds, such as `600`")
            })?;
            transport = transport.patience(Duration::from_secs(seconds));
        }
        Ok(transport.untrusted_policy(policy))
    }

    /// An engine builder with everything that is configured, and the model servers that are found.
    pub(crate) async fn engine(&self) -> Result<(EngineBuilder, Vec<FoundServer>)> {
        let (builder, found, _) = self.engine_and_store().await?;
        Ok((builder, found))
    }

    /// [`Config::engine`], and the store that it is on.
    pub(crate) async fn engine_and_store(&self) -> Result<(EngineBuilder, Vec<FoundServer>, Store)> {
        let transport = self.transport()?;
        let embedders = self.embedding.load(&self.data_dir).await?;
        let store = self.connect(true).await?;
        let keys = self.keys(&store).await?;
        let mut builder = Engine::builder()
            .store(store.clone())
            .providers(aimate::providers::with(&transport))
            // Who runs the binary alone is told how to connect a model.
            .connection(aimate::providers::builtin())
            .keys(keys)
            .fetcher(Arc::new(transport.clone()))
            .answer_limits(self.answer_limits())
            .extractor(extractor(&self.reading)?);
        if let Some(search) = web_search(&transport) {
            builder = builder.web_search(search);
        }
        if let Some(reranker) = reranker::configured(&transport, &self.data_dir).await {
            builder = builder.reranker(reranker);
        }
        builder = embedders.join(builder);
        if let Some(provider) = preferred()? {
            builder = builder.prefer(provider);
        }
        if let Some(policy) = turn_server_policy()? {
            builder = builder.turn_server_policy(policy);
        }
        if let Ok(prompt) = std::env::var("AIMATE_SYSTEM_PROMPT") {
            builder = builder.system_prompt(prompt);
        }
        builder = with_tools(builder, &transport, self.tool_servers()?);
        let found = find(&transport).await?;
        for FoundServer { connection, .. } in &found {
            builder = builder.connection(connection.clone());
        }
        Ok((builder, found, store))
    }

    /// Says how documents are searched.
    pub(crate) fn tell_search(&self) {
        let reranked = reranker::told(&self.data_dir).map(|told| format!(", {told}")).unwrap_or_default();
        say(&format!("  search  {}{reranked}", self.embedding.told(&self.data_dir)));
    }

    /// The tool servers that the operator named.
    pub(crate) fn tool_servers(&self) -> Result<Vec<ToolServerConfig>> {
        let path = self.tool_servers.as_ref().filter(|path| !path.as_os_str().is_empty());
        path.map_or_else(|| Ok(Vec::new()), |path| tool_file::read(path))
    }

    fn answer_limits(&self) -> AnswerLimits {
        let time = Duration::from_secs(self.answer_seconds);
        AnswerLimits::default().text(self.answer_bytes).reasoning(self.answer_bytes).time(time)
    }

    /// The encryption keys: of the environment, else of the data folder, where
    /// one is made the first time. A lost one is not replaced: another key under
    /// the same number would open nothing that is stored.
    pub(crate) async fn keys(&self, store: &Store) -> Result<KeyRing> {
        if let Some(name) = Self::environment_keys() {
            let keys = std::env::var(name).unwrap_or_default();
            return KeyRing::parse(&keys).map_err(|error| Error::invalid(format!("{name}: {error}")));
        }
        let path = self.key_path();
        match fs::read_to_string(&path) {
            Ok(keys) => KeyRing::parse(keys.trim())
                .map_err(|error| Error::invalid(format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if store.has_sealed_keys().await? {
                    return Err(lost_key(&path));
                }
                make_key(&self.data_dir, &path)
            }
            Err(error) => Err(file_error("read", &path, error)),
        }
    }

    /// The variable that holds the encryption keys, if one does.
    pub(crate) fn environment_keys() -> Option<&'static str> {
        ["AIMATE_KEYS", "ENCRYPTION_KEY"].into_iter().find(|name| std::env::var(name).is_ok())
    }

    /// The file of a SQLite database; `None` if it is in memory or on a server.
    pub(crate) fn database_file(&self) -> Option<PathBuf> {
        let url = self.database_url();
        let path = url.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        (path != ":memory:").then(|| path.into())
    }

    /// The file of the generated key.
    pub(crate) fn key_path(&self) -> PathBuf {
        self.data_dir.join("encryption.key")
    }
}

/// The engine with what reaches tool servers, and these.
pub(crate) fn with_tools(
    mut builder: EngineBuilder,
    transport: &Transport,
    servers: Vec<ToolServerConfig>,
) -> EngineBuilder {
    #[cfg(feature = "mcp")]
    {
        builder = builder.tool_client(Arc::new(aimate::mcp::client::McpClient::new(transport.clone())));
    }
    #[cfg(not(feature = "mcp"))]
    let _ = transport;
    for server in servers {
        builder = builder.tool_server(server);
    }
    builder
}

/// What reads documents, where it is not this process' own program.
static WORKER: OnceLock<Vec<OsString>> = OnceLock::new();

/// Sets it, once.
pub(crate) fn set_worker(worker: Vec<OsString>) {
    let _ = WORKER.set(worker);
}

/// Reads documents in a child process of this same program, so that a hostile
/// file ends that one alone.
pub(crate) fn extractor(reading: &Reading) -> Result<Extractor> {
    if let Some((program, arguments)) = WORKER.get().and_then(|worker| worker.split_first()) {
        return Ok(Extractor::with_command(program.into(), arguments, reading.limits()));
    }
    let program = std::env::current_exe().map_err(|error| {
        Error::unavailable("this program's own file cannot be found, which reads documents")
            .with_source(error)
    })?;
    Ok(Extractor::with_worker(program, reading.limits()))
}

fn make_key(folder: &Path, path: &Path) -> Result<KeyRing> {
    let key = KeyRing::generate()?;
    fs::create_dir_all(folder).map_err(|error| file_error("make", folder, error))?;
    let mut options = fs::OpenOptions::new();
    // New: of two processes that start at once, one makes the key.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(key.expose().as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => KeyRing::parse(key.expose()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::thread::sleep(Duration::from_millis(200));
            let keys = fs::read_to_string(path).map_err(|error| file_error("read", path, error))?;
            KeyRing::parse(keys.trim())
        }
        Err(error) => Err(file_error("write", path, error)),
    }
}

fn lost_key(path: &Path) -> Error {
    Error::invalid(format!(
        "the encryption key {} is gone, and connections or tool servers have secrets that it alone opens: put it back (a backup has \
         it), or name it in AIMATE_KEYS; to give those up, set ENCRYPTION_KEY to a new one (`openssl rand \
         -base64 32`) and enter them again",
        path.display()
    ))
}

fn file_error(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::unavailable(format!(
        "cannot {verb} {}: {}; choose a folder this user may write with `--data-dir`",
        path.display(),
        error.kind()
    ))
    .with_source(error)
}

/// Warns of `AIMATE_*` names that mean nothing: they are typing errors.
pub(crate) fn warn_unknown(names: impl Iterator<Item = String>) {
    for name in unknown(names) {
        tracing::warn!(
            "the environment variable `{name}` means nothing to aiMate; see the README for the names"
        );
    }
}

fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let is_known = |name: &str| KNOWN.contains(&name) || oidc::is_known(name);
    names.filter(|name| name.starts_with("AIMATE_") && !is_known(name)).collect()
}

/// What becomes of calls of tool servers whose address a request brings.
fn turn_server_policy() -> Result<Option<ToolPolicy>> {
    match std::env::var("AIMATE_MCP_APPROVAL").unwrap_or_default().trim() {
        "" => Ok(None),
        "always" => Ok(Some(ToolPolicy::Ask)),
        "never" => Ok(Some(ToolPolicy::Allow)),
        "deny" => Ok(Some(ToolPolicy::Deny)),
        _ => Err(Error::invalid("AIMATE_MCP_APPROVAL: must be `always`, `never` or `deny`")),
    }
}

/// The search engine that is configured: the operator's own before Brave's.
fn web_search(transport: &Transport) -> Option<Arc<dyn WebSearch>> {
    let read = |name| std::env::var(name).ok().filter(|value: &String| !value.trim().is_empty());
    if let Some(url) = read("AIMATE_SEARXNG_URL") {
        return Some(Arc::new(SearxngSearch::new(transport.clone(), url.trim())));
    }
    let key = read("BRAVE_API_KEY")?;
    Some(Arc::new(BraveSearch::new(transport.clone(), Secret::new(key.trim()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unknown_own_names_are_told() {
        let names = ["PATH", "AIMATE_LOG", "AIMATE_ADRR"].map(String::from);
        assert_eq!(unknown(names.into_iter()), ["AIMATE_ADRR"]);
    }

    #[test]
    fn broken_list_of_private_hosts_is_told() {
        let config = |list: &str| Config {
            database_direct: None,
            database_schema: None,
            table_prefix: None,
            row_level_security: false,
            database: None,
            data_dir: PathBuf::new(),
            pool_size: None,
            database_timeout: 1,
            allow_private: Some(list.to_owned()),
            tool_servers: None,
            answer_bytes: 1,
            answer_seconds: 1,
            serves_others: false,
            reading: Reading::of_defaults(),
            embedding: Embedding::default(),
        };
        assert!(config("gpu-box, 10.2.0.0/16,").transport().is_ok());
        let error = config("10.2.0.0/40").transport().err().unwrap();
        assert!(
            error.message().starts_with("AIMATE_ALLOW_PRIVATE: `10.2.0.0/40` is not a host name"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn key_is_made_once_and_for_its_owner_only() {
        let store = aimate::store::connect("sqlite::memory:").await.unwrap();
        let folder = std::env::temp_dir().join(format!("aimate-key-{}", std::process::id()));
        let config = Config {
            database_direct: None,
            database_schema: None,
            table_prefix: None,
            row_level_security: false,
            database: None,
            data_dir: folder.clone(),
            pool_size: None,
            database_timeout: 1,
            answer_bytes: 1,
            answer_seconds: 1,
            allow_private: None,
            tool_servers: None,
            serves_others: false,
            reading: Reading::of_defaults(),
            embedding: Embedding::default(),
        };
        config.keys(&store).await.unwrap();
        let first = fs::read(config.key_path()).unwrap();
        config.keys(&store).await.unwrap();
        assert_eq!(fs::read(config.key_path()).unwrap(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(config.key_path()).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
