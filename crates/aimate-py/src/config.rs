//! What `Engine.open` is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aimate::connection::NewConnection;
use aimate::engine::ToolServerConfig;
use aimate::knowledge::{StorageQuota, StorageQuotas};
use aimate::tool::ToolPolicy;
use aimate::{AnswerLimits, Secret};
use serde::Deserialize;

/// The plain part of it; functions and objects come beside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) url: String,
    pub(crate) blobs: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) keys: Option<Secret>,
    pub(crate) schema: Option<String>,
    pub(crate) table_prefix: Option<String>,
    pub(crate) row_level_security: bool,
    pub(crate) pool_size: Option<u32>,
    /// Seconds.
    pub(crate) timeout: Option<f64>,
    pub(crate) migrate: bool,
    pub(crate) connections: Vec<NewConnection>,
    pub(crate) prefer: Option<String>,
    pub(crate) system_prompt: Option<String>,
    pub(crate) default_embedder: Option<String>,
    pub(crate) model_dir: Option<PathBuf>,
    pub(crate) allow_private: Vec<String>,
    pub(crate) tool_servers: Vec<ConfiguredToolServer>,
    pub(crate) reranker: Option<RerankServer>,
    /// Seconds.
    pub(crate) retriever_timeout: Option<f64>,
    /// Seconds.
    pub(crate) observer_timeout: Option<f64>,
    pub(crate) searxng_url: Option<String>,
    pub(crate) brave_api_key: Option<Secret>,
    pub(crate) readers: Option<usize>,
    pub(crate) max_runs: Option<usize>,
    pub(crate) max_runs_per_user: Option<usize>,
    pub(crate) quotas: Quotas,
    pub(crate) limits: Limits,
    /// What reads risky documents, and its arguments.
    pub(crate) worker: Option<Vec<String>>,
}

/// A tool server that every user may use.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfiguredToolServer {
    name: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    command: Option<Vec<String>>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    #[serde(default)]
    env: BTreeMap<String, Secret>,
    #[serde(default)]
    oauth: bool,
    /// By tool; `*` is all others.
    #[serde(default)]
    policy: BTreeMap<String, ToolPolicy>,
}

impl ConfiguredToolServer {
    /// The server.
    ///
    /// # Errors
    /// `Invalid` if it is neither a program nor an address.
    pub(crate) fn configured(self) -> aimate::Result<ToolServerConfig> {
        let name = self.name;
        let mut config = match (self.command, self.url) {
            (Some(command), None) => ToolServerConfig::stdio(&name, command),
            (None, Some(url)) => ToolServerConfig::http(&name, url),
            _ => {
                return Err(aimate::Error::field(
                    format!("tool_servers.{name}"),
                    "has either `url` or `command`, the program with its arguments",
                ));
            }
        };
        for (header, value) in self.headers {
            config = config.header(header, value);
        }
        for (variable, value) in self.env {
            config = config.variable(variable, value);
        }
        if self.oauth {
            config = config.oauth();
        }
        for (tool, policy) in self.policy {
            config = if tool == "*" { config.default_policy(policy) } else { config.policy(tool, policy) };
        }
        Ok(config)
    }
}

/// A rerank endpoint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RerankServer {
    pub(crate) url: String,
    /// With a name in the shape of Cohere and Jina, without one in that of
    /// text-embeddings-inference.
    #[serde(default)]
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) api_key: Option<Secret>,
}

/// What users and tenants may keep.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Quotas {
    user_documents: Option<u64>,
    user_bytes: Option<u64>,
    tenant_documents: Option<u64>,
    tenant_bytes: Option<u64>,
}

impl Quotas {
    pub(crate) fn storage(&self) -> StorageQuotas {
        StorageQuotas {
            user: StorageQuota { documents: self.user_documents, bytes: self.user_bytes },
            tenant: StorageQuota { documents: self.tenant_documents, bytes: self.tenant_bytes },
        }
    }
}

/// What an answer may take.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    answer_bytes: Option<usize>,
    answer_seconds: Option<f64>,
}

impl Limits {
    /// # Errors
    /// `Invalid` if the time is none.
    pub(crate) fn answer(&self) -> aimate::Result<AnswerLimits> {
        let mut limits = AnswerLimits::default();
        if let Some(bytes) = self.answer_bytes {
            limits = limits.text(bytes).reasoning(bytes);
        }
        if let Some(seconds) = self.answer_seconds {
            limits = limits.time(duration("limits.answer_seconds", seconds)?);
        }
        Ok(limits)
    }
}

/// Seconds that are a time, at most a hundred days.
///
/// # Errors
/// `Invalid`, naming the argument.
pub(crate) fn duration(name: &str, seconds: f64) -> aimate::Result<std::time::Duration> {
    const MOST: f64 = 100.0 * 86_400.0;
    if (0.0..=MOST).contains(&seconds) {
        return Ok(std::time::Duration::from_secs_f64(seconds));
    }
    Err(aimate::Error::field(name, format!("is {seconds}; it is a number of seconds from 0 to {MOST}")))
}
