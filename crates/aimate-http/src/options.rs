//! Options of the router and the server.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::rate_limit::RateLimits;
use http::HeaderValue;
use http::uri::Authority;

use crate::callers::{Callers, ScopeResolver};

/// Options of the router and the server; every field has a default.
///
/// ```
/// let options = aimate_http::Options::local().max_connections(100);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Who asks. Default: whom a middleware of the application names, else nobody.
    ///
    /// In local mode only requests are answered whose `Host` is a loopback address,
    /// against DNS rebinding.
    pub callers: Callers,
    /// Origins of web pages that may call the API, such as
    /// `https://app.example.org`; compared exactly. One that is none, such as
    /// `null`, is ignored with a warning; see [`Options::check`]. Default: none.
    pub allowed_origins: Vec<String>,
    /// Hosts that requests may name, such as `chat.example.org`, with or without a port;
    /// others are refused. Default: any, and in local mode those of the loopback
    /// interface.
    pub allowed_hosts: Vec<String>,
    /// Proxies of the operator's own that every request passes, each of which adds the
    /// address it came from to `X-Forwarded-For`. With too many, clients choose their
    /// address themselves. Default: 0, the header means nothing.
    pub proxies: usize,
    /// Whether the cookies of accounts are marked `Secure`: over TLS alone. Default: they
    /// are, unless a request names this machine itself (`localhost`) and no proxy had it
    /// over TLS.
    pub secure_cookies: Option<bool>,
    /// The OpenID providers by which people sign in to the accounts of `callers`; with none
    /// of them, by password alone. Default: none.
    #[cfg(feature = "accounts")]
    pub oidc: Option<aimate_accounts::Oidc>,
    /// Maximum bytes of a request body. Default: 32 MiB, which leaves room for
    /// inline images. A document uploaded as a file may have
    /// [1 GiB](aimate_core::engine::MAX_BYTES).
    pub body_limit: usize,
    /// Maximum bytes of all request bodies that arrive at once, beside 64 KiB of
    /// each; further ones are answered with 503. Default: 128 MiB.
    pub bodies_limit: usize,
    /// How long a request body may take to arrive; for an uploaded file, each
    /// piece of it. Default: 60 s.
    pub body_timeout: Duration,
    /// Bytes a second that an uploaded file must bring, once it was slower for 20 s;
    /// 0 for any rate. Default: 1,000.
    pub min_upload_rate: u32,
    /// How long a request head may take to arrive, and how long a kept-alive
    /// connection may be idle. Default: 10 s. For [`serve`](crate::serve) only.
    pub header_timeout: Duration,
    /// Maximum open connections; further ones are answered with 503 and closed.
    /// Default: 10,000. For [`serve`](crate::serve) only.
    pub max_connections: usize,
    /// Maximum clients that listen to events or wait for an answer at once;
    /// further ones are answered with 503, so that other requests find a
    /// connection. Default: 7,500.
    pub max_listeners: usize,
    /// Maximum of them of one user; further ones are answered with 429. Default: as many
    /// as of all.
    pub max_listeners_per_user: usize,
    /// Maximum requests in work at once, from when a request has come whole until its
    /// answer begins; who waits for a model is not in work. Further ones are answered with
    /// 503 at once. `/health`, `/ready` and `/metrics` always answer. Default: 1,000.
    pub max_requests: usize,
    /// Maximum units of work on the database that wait or are under way, of requests and
    /// of the engine itself, at which a request is still let in; further requests are
    /// answered with 503. Default: 1,000.
    pub max_database_work: usize,
    /// How many requests of each class a user, or a machine that nobody is signed in on,
    /// may send; further ones are answered with 429. The counts are kept in the store, for
    /// all processes. A machine is known by the address that its connection comes from.
    /// Default: [`RateLimits::NONE`].
    pub rate_limits: RateLimits,
    /// How long a client may take none of what is sent to it; then its connection
    /// is closed. It can resume an event stream. Default: 60 s. For
    /// [`serve`](crate::serve) only.
    pub write_timeout: Duration,
    /// More of Prometheus' text format for `/metrics`: what the application's recorder
    /// has of the engine and of itself; see [`aimate_core::metrics`]. Default: none.
    pub more_metrics: Option<MoreMetrics>,
    /// Whether the router has the page, a front end in the browser: `/`, `/new`, `/c/…`, `/search`,
    /// `/knowledge…`, `/settings…`, `/shared/…`, `/workspaces…`, `/sign-in` and `/assets/…`. Under a
    /// prefix (`Router::nest`) it works too. Default: false; [`serve`](crate::serve) always has it.
    #[cfg(feature = "page")]
    pub web_page: bool,
    /// How long running answers may continue at shutdown; those unfinished by
    /// then are stored as `interrupted`. Default: 25 s, which fits into the 30 s
    /// that Kubernetes grants. For [`serve`](crate::serve) only.
    pub drain: Duration,
    /// Whether the engine ends with the server; else it goes on for the application around
    /// it, and answers that are listened to have [`drain`](Self::drain) to become whole.
    /// Default: it does. For [`serve`](crate::serve) only.
    pub ends_engine: bool,
}

/// Renders metrics in Prometheus' text format.
#[derive(Clone)]
pub struct MoreMetrics(Arc<dyn Fn() -> String + Send + Sync>);

impl MoreMetrics {
    pub(crate) fn render(&self) -> String {
        (self.0)()
    }
}

impl std::fmt::Debug for MoreMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MoreMetrics(..)")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            callers: Callers::default(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            proxies: 0,
            secure_cookies: None,
            #[cfg(feature = "accounts")]
            oidc: None,
            body_limit: 32 * 1024 * 1024,
            bodies_limit: 128 * 1024 * 1024,
            body_timeout: Duration::from_secs(60),
            min_upload_rate: 1_000,
            header_timeout: Duration::from_secs(10),
            max_connections: 10_000,
            max_listeners: 7_500,
            max_listeners_per_user: usize::MAX,
            max_requests: 1_000,
            max_database_work: 1_000,
            rate_limits: RateLimits::NONE,
            write_timeout: Duration::from_secs(60),
            more_metrics: None,
            #[cfg(feature = "page")]
            web_page: false,
            drain: Duration::from_secs(25),
            ends_engine: true,
        }
    }
}

impl Options {
    /// Checks what a server would otherwise ignore with a warning.
    ///
    /// # Errors
    /// `Invalid` if an allowed origin is none.
    pub fn check(&self) -> aimate_core::Result<()> {
        match self.allowed_origins.iter().find(|origin| parse_origin(origin).is_none()) {
            Some(origin) => Err(aimate_core::Error::invalid(format!(
                "`{origin}` is not the origin of a web page; it should be like `https://app.example.org`, without a \
                 path or `*`"
            ))),
            None => Ok(()),
        }
    }

    /// The options of local mode: one user, no login, and only requests whose `Host`
    /// is a loopback address.
    pub fn local() -> Self {
        Self::default().callers(Callers::Local)
    }

    /// Sets [`Options::callers`].
    #[must_use]
    pub fn callers(self, callers: Callers) -> Self {
        Self { callers, ..self }
    }

    /// Lets `resolver` say who asks.
    #[must_use]
    pub fn resolver(self, resolver: Arc<dyn ScopeResolver>) -> Self {
        self.callers(Callers::Resolver(resolver))
    }

    /// Sets [`Options::allowed_origins`].
    #[must_use]
    pub fn allowed_origins(self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { allowed_origins: origins.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets [`Options::allowed_hosts`].
    #[must_use]
    pub fn allowed_hosts(self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { allowed_hosts: hosts.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets [`Options::proxies`].
    #[must_use]
    pub fn proxies(self, proxies: usize) -> Self {
        Self { proxies, ..self }
    }

    /// Sets [`Options::secure_cookies`].
    #[must_use]
    pub fn secure_cookies(self, are_secure: bool) -> Self {
        Self { secure_cookies: Some(are_secure), ..self }
    }

    /// Sets [`Options::oidc`].
    #[cfg(feature = "accounts")]
    #[must_use]
    pub fn oidc(self, oidc: aimate_accounts::Oidc) -> Self {
        Self { oidc: Some(oidc), ..self }
    }

    /// Sets [`Options::body_limit`].
    #[must_use]
    pub fn body_limit(self, bytes: usize) -> Self {
        Self { body_limit: bytes, ..self }
    }

    /// Sets [`Options::bodies_limit`].
    #[must_use]
    pub fn bodies_limit(self, bytes: usize) -> Self {
        Self { bodies_limit: bytes, ..self }
    }

    /// Sets [`Options::body_timeout`].
    #[must_use]
    pub fn body_timeout(self, timeout: Duration) -> Self {
        Self { body_timeout: timeout, ..self }
    }

    /// Sets [`Options::min_upload_rate`].
    #[must_use]
    pub fn min_upload_rate(self, bytes: u32) -> Self {
        Self { min_upload_rate: bytes, ..self }
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

    /// Sets [`Options::max_listeners`].
    #[must_use]
    pub fn max_listeners(self, listeners: usize) -> Self {
        Self { max_listeners: listeners, ..self }
    }

    /// Sets [`Options::max_listeners_per_user`].
    #[must_use]
    pub fn max_listeners_per_user(self, listeners: usize) -> Self {
        Self { max_listeners_per_user: listeners, ..self }
    }

    /// Sets [`Options::max_requests`].
    #[must_use]
    pub fn max_requests(self, requests: usize) -> Self {
        Self { max_requests: requests, ..self }
    }

    /// Sets [`Options::max_database_work`].
    #[must_use]
    pub fn max_database_work(self, units: usize) -> Self {
        Self { max_database_work: units, ..self }
    }

    /// Sets [`Options::rate_limits`].
    #[must_use]
    pub fn rate_limits(self, limits: RateLimits) -> Self {
        Self { rate_limits: limits, ..self }
    }

    /// Sets [`Options::write_timeout`].
    #[must_use]
    pub fn write_timeout(self, timeout: Duration) -> Self {
        Self { write_timeout: timeout, ..self }
    }

    /// Sets [`Options::more_metrics`].
    #[must_use]
    pub fn more_metrics(self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { more_metrics: Some(MoreMetrics(Arc::new(render))), ..self }
    }

    /// Sets [`Options::web_page`].
    #[cfg(feature = "page")]
    #[must_use]
    pub fn web_page(self, is_there: bool) -> Self {
        Self { web_page: is_there, ..self }
    }

    /// Sets [`Options::ends_engine`].
    #[must_use]
    pub fn ends_engine(self, ends: bool) -> Self {
        Self { ends_engine: ends, ..self }
    }

    /// Sets [`Options::drain`].
    #[must_use]
    pub fn drain(self, time: Duration) -> Self {
        Self { drain: time, ..self }
    }
}

/// `origin` as browsers send it, such as `https://app.example.org`; `None` for
/// what is none: `null` stands for any page without an origin of its own.
pub(crate) fn parse_origin(origin: &str) -> Option<HeaderValue> {
    let (scheme, authority) = origin.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    let is_authority = !authority.contains(['*', '@', '/'])
        && Authority::try_from(authority).is_ok_and(|authority| !authority.host().is_empty());
    HeaderValue::from_str(origin).ok().filter(|_| is_scheme && is_authority)
}
