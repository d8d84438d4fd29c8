//! How the server behaves.

use std::time::Duration;

/// How the router and the server behave; every field has a default.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether this is local mode: one user, no login, and only requests whose
    /// `Host` is this machine's loopback. Default: true.
    ///
    /// Without it requests for any host are answered, still as the local user:
    /// put a proxy that knows the callers in front.
    pub local: bool,
    /// Web pages of other origins that may call, such as
    /// `https://app.example.org`; compared exactly. Default: none.
    pub allowed_origins: Vec<String>,
    /// Bytes of a request body at most. Default: 32 MiB, for inline images. A
    /// document that is sent as a file may have
    /// [1 GiB](aimate_core::engine::MAX_BYTES).
    pub body_limit: usize,
    /// How long a request body may take to arrive; of a document that is sent as a
    /// file, each piece of it. Default: 60 s.
    pub body_timeout: Duration,
    /// How long a request head may take to arrive, and how long a kept-alive
    /// connection may be idle. Default: 10 s. Of [`serve`](crate::serve) alone.
    pub header_timeout: Duration,
    /// Connections at once; more wait to be accepted. Default: 10,000. Of
    /// [`serve`](crate::serve) alone.
    pub max_connections: usize,
    /// How long running answers may go on when the server is asked to stop;
    /// what is not whole by then is stored as `interrupted`. Default: 25 s. Of
    /// [`serve`](crate::serve) alone.
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
