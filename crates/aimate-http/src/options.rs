//! Options of the router and the server.

use std::time::Duration;

/// Options of the router and the server; every field has a default.
///
/// ```
/// let options = aimate_http::Options::default().max_connections(100);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Local mode: one user, no login, and only requests whose `Host` is a
    /// loopback address, against DNS rebinding. Default: true.
    ///
    /// Without it requests for any host are answered, still as the local user:
    /// put a proxy that authenticates callers in front.
    pub local: bool,
    /// Origins of web pages that may call the API, such as
    /// `https://app.example.org`; compared exactly. Default: none.
    pub allowed_origins: Vec<String>,
    /// Maximum bytes of a request body. Default: 32 MiB, which leaves room for
    /// inline images. A document uploaded as a file may have
    /// [1 GiB](aimate_core::engine::MAX_BYTES).
    pub body_limit: usize,
    /// How long a request body may take to arrive; for an uploaded file, each
    /// piece of it. Default: 60 s.
    pub body_timeout: Duration,
    /// How long a request head may take to arrive, and how long a kept-alive
    /// connection may be idle. Default: 10 s. For [`serve`](crate::serve) only.
    pub header_timeout: Duration,
    /// Maximum open connections; further ones wait to be accepted. Default:
    /// 10,000. For [`serve`](crate::serve) only.
    pub max_connections: usize,
    /// How long running answers may continue at shutdown; those unfinished by
    /// then are stored as `interrupted`. Default: 25 s, which fits into the 30 s
    /// that Kubernetes grants. For [`serve`](crate::serve) only.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            local: true,
            allowed_origins: Vec::new(),
            body_limit: 32 * 1024 * 1024,
            body_timeout: Duration::from_secs(60),
            header_timeout: Duration::from_secs(10),
            max_connections: 10_000,
            drain: Duration::from_secs(25),
        }
    }
}

impl Options {
    /// Sets [`Options::local`].
    #[must_use]
    pub fn local(self, local: bool) -> Self {
        Self { local, ..self }
    }

    /// Sets [`Options::allowed_origins`].
    #[must_use]
    pub fn allowed_origins(self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { allowed_origins: origins.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets [`Options::body_limit`].
    #[must_use]
    pub fn body_limit(self, bytes: usize) -> Self {
        Self { body_limit: bytes, ..self }
    }

    /// Sets [`Options::body_timeout`].
    #[must_use]
    pub fn body_timeout(self, timeout: Duration) -> Self {
        Self { body_timeout: timeout, ..self }
    }

    /// Sets [`Options::header_timeout`].
    #[must_use]
    pub fn header_timeout(self, timeout: Duration) -> Self {
        Self { header_timeout: timeout, ..self }
    }

    /// Sets [`Options::max_connections`].
    #[must_use]
    pub fn max_connections(self, connections: usize) -> Self {
        Self { max_connections: connections, ..self }
    }

    /// Sets [`Options::drain`].
    #[must_use]
    pub fn drain(self, time: Duration) -> Self {
        Self { drain: time, ..self }
    }
}
