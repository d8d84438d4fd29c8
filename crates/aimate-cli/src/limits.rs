//! What `serve` lets users do: how often, how much at once, how much they keep.

use aimate::knowledge::{StorageQuota, StorageQuotas};
use aimate::rate_limit::RateLimits;
use aimate::{EngineBuilder, Error, Result, http};

/// Streams of one user at once, where the server has several.
const STREAMS_PER_USER: usize = 32;

/// Limits of users.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct UserLimits {
    /// Requests a minute of each user, and of each machine that nobody is signed in on, by class:
    /// `off`, or what differs from the default, such as `chat=30/5,ingest=off` (30 a minute, 5 at
    /// once) [default: read=1200, write=300, chat=60, ingest=120, search=240, auth=30/10, a quarter
    /// of each at once; off in local mode]
    #[arg(long, env = "AIMATE_RATE_LIMITS", value_name = "LIMITS")]
    rate_limits: Option<String>,
    /// Streams and answers of one user at once, in each process [default: 32; no limit in local mode]
    #[arg(long, env = "AIMATE_MAX_STREAMS_PER_USER", value_name = "COUNT")]
    max_streams_per_user: Option<usize>,
    /// Requests in work at once; further ones are answered with 503 at once
    #[arg(long, env = "AIMATE_MAX_REQUESTS", default_value_t = 1_000, value_name = "COUNT")]
    max_requests: usize,
    /// Units of database work that wait or are under way at which requests are still taken
    #[arg(long, env = "AIMATE_MAX_DATABASE_WORK", default_value_t = 1_000, value_name = "COUNT")]
    max_database_work: usize,
    /// Documents that each user may keep [default: no limit]
    #[arg(long, env = "AIMATE_USER_DOCUMENTS", value_name = "COUNT")]
    user_documents: Option<u64>,
    /// Bytes of documents that each user may keep [default: no limit]
    #[arg(long, env = "AIMATE_USER_BYTES", value_name = "BYTES")]
    user_bytes: Option<u64>,
    /// Documents that all users of a tenant may keep together [default: no limit]
    #[arg(long, env = "AIMATE_TENANT_DOCUMENTS", value_name = "COUNT")]
    tenant_documents: Option<u64>,
    /// Bytes of documents that all users of a tenant may keep together [default: no limit]
    #[arg(long, env = "AIMATE_TENANT_BYTES", value_name = "BYTES")]
    tenant_bytes: Option<u64>,
}

impl UserLimits {
    /// The options of a server that is for several users, or for its operator alone.
    ///
    /// # Errors
    /// `Invalid` for rate limits that are none.
    pub(crate) fn options(&self, options: http::Options, is_local: bool) -> Result<http::Options> {
        let streams = self.streams_per_user(is_local);
        Ok(options
            .rate_limits(self.rate_limits(is_local)?)
            .max_listeners_per_user(streams)
            .max_requests(self.max_requests)
            .max_database_work(self.max_database_work))
    }

    /// The same of the engine.
    pub(crate) fn engine(&self, builder: EngineBuilder, is_local: bool) -> EngineBuilder {
        let user = StorageQuota { documents: self.user_documents, bytes: self.user_bytes };
        let tenant = StorageQuota { documents: self.tenant_documents, bytes: self.tenant_bytes };
        builder
            .max_runs_per_user(self.streams_per_user(is_local))
            .storage_quotas(StorageQuotas { user, tenant })
    }

    fn streams_per_user(&self, is_local: bool) -> usize {
        self.max_streams_per_user.unwrap_or(if is_local { usize::MAX } else { STREAMS_PER_USER })
    }

    fn rate_limits(&self, is_local: bool) -> Result<RateLimits> {
        match self.rate_limits.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            None if is_local => Ok(RateLimits::NONE),
            None => Ok(RateLimits::default()),
            Some(text) => {
                text.parse().map_err(|error| Error::invalid(format!("AIMATE_RATE_LIMITS: {error}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        limits: UserLimits,
    }

    fn limits(arguments: &[&str]) -> UserLimits {
        Command::parse_from([&["aimate"], arguments].concat()).limits
    }

    #[test]
    fn local_mode_has_no_limit_but_those_that_are_set() {
        let default = limits(&[]);
        let local = default.options(http::Options::local(), true).unwrap();
        assert!(local.rate_limits.is_none());
        assert_eq!(local.max_listeners_per_user, usize::MAX);
        let server = default.options(http::Options::default(), false).unwrap();
        assert_eq!((server.rate_limits, server.max_listeners_per_user), (RateLimits::default(), 32));
        let set = limits(&["--rate-limits", "chat=3", "--max-streams-per-user", "2"]);
        let local = set.options(http::Options::local(), true).unwrap();
        assert!(!local.rate_limits.is_none());
        assert_eq!(local.max_listeners_per_user, 2);
        assert!(limits(&["--rate-limits", "off"]).rate_limits(false).unwrap().is_none());
        let wrong = limits(&["--rate-limits", "chat=many"]).rate_limits(true).unwrap_err();
        assert!(wrong.message().starts_with("AIMATE_RATE_LIMITS: `chat=many`"), "{wrong}");
    }
}
