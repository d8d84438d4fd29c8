//! The transport: the only place that makes HTTP clients and waits for bytes,
//! with deadlines, retries and limits.

mod address_guard;
mod compression;
mod deadline;
mod exchange;
mod fetch;
mod raw_client;
mod response;
mod retry;
mod upstream_errors;
mod vendor_error;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aimate_core::connection::ConnectionSettings;
use aimate_core::provider::{AddressSource, Endpoint};
use aimate_core::{Error, Result};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url};

pub use address_guard::AddressPolicy;
#[cfg(feature = "local")]
pub(crate) use address_guard::is_public;
use address_guard::{AddressGuard, RefusedAddress};
pub use raw_client::Redirects;
pub(crate) use response::ResponseBody;
use retry::AttemptError;
#[cfg(feature = "fuzzing")]
pub(crate) use retry::retry_after;
pub(crate) use upstream_errors::UpstreamErrors;

const CONNECT_MS: u64 = 5_000;
/// How long a server may be silent where neither the connection nor the transport
/// says.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// The same for one on this machine, which may have to load a model first and
/// reads long prompts slowly.
const LOCAL_PATIENCE: Duration = Duration::from_secs(30 * 60);
const RETRIES: u32 = 2;
const BACKOFF: Duration = Duration::from_millis(250);
/// Maximum clients that are kept for other connect timeouts and proxies.
const MAX_CLIENTS: usize = 64;
/// Maximum bytes read of an error body: 8 KiB and the longest key, so that a key
/// in the first 8 KiB is not cut before it is redacted.
const MAX_ERROR_BODY: usize = 12 * 1024;
/// Maximum bytes of a body that is read whole.
pub(crate) const MAX_BODY: usize = 64 * 1024 * 1024;

/// The HTTP client of all providers: one pool of connections that follows no
/// redirects (a key must not reach another server), uses no proxy unless told to,
/// stores no cookies and reads no environment variables. Clones share the pool.
#[derive(Clone)]
pub struct Transport(Arc<Inner>);

struct Inner {
    backoff: Duration,
    patience: Option<Duration>,
    proxy: Option<String>,
    /// For addresses that the operator gave.
    operator_guard: Arc<AddressGuard>,
    /// For those of everybody else.
    untrusted_guard: Arc<AddressGuard>,
    /// For where a public address leads on to.
    public_guard: Arc<AddressGuard>,
    tls: OnceLock<rustls::ClientConfig>,
    public_client: OnceLock<Option<Client>>,
    /// Clients by what reqwest has no setting of a request for: connect timeout in
    /// milliseconds, proxy, and who gave the address.
    clients: Mutex<HashMap<ClientKey, Client>>,
}

/// What one client is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClientKey {
    connect_timeout_ms: u64,
    proxy: Option<String>,
    source: AddressSource,
    redirects: Redirects,
}

impl ClientKey {
    /// For pages of addresses that users give.
    fn of_pages() -> Self {
        Self {
            connect_timeout_ms: CONNECT_MS,
            proxy: None,
            source: AddressSource::Untrusted,
            redirects: Redirects::Never,
        }
    }
}

impl Default for Transport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport {
    /// A transport with an empty pool. The client is made at the first call.
    pub fn new() -> Self {
        let untrusted = AddressPolicy::public_only().allow_loopback();
        Self::over(Inner {
            backoff: BACKOFF,
            patience: None,
            proxy: None,
            operator_guard: Arc::new(AddressGuard::new(AddressPolicy::any())),
            untrusted_guard: Arc::new(AddressGuard::new(untrusted).untrusted()),
            public_guard: Arc::new(AddressGuard::new(AddressPolicy::public_only())),
            public_client: OnceLock::new(),
            tls: OnceLock::new(),
            clients: Mutex::default(),
        })
    }

    /// Sets the maximum wait before the first retry; it doubles with each further
    /// one. Default: 250 ms.
    #[must_use]
    pub fn backoff(self, backoff: Duration) -> Self {
        Self::over(Inner { backoff, ..self.settings() })
    }

    /// Sets how long a server may be silent, before its answer and within it, where
    /// the connection does not say. Default: 5 minutes, and 30 for a server on this
    /// machine.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self::over(Inner { patience: Some(patience), ..self.settings() })
    }

    /// Sets the proxy of every connection that does not name its own, such as
    /// `http://proxy.example.org:3128`. Default: none; no environment variable is
    /// read. The address policy holds for the proxy too.
    #[must_use]
    pub fn proxy(self, url: impl Into<String>) -> Self {
        Self::over(Inner { proxy: Some(url.into()), ..self.settings() })
    }

    /// Sets what may be reached at addresses that the operator gave: those of configured
    /// connections, of the reranker and of the proxy. Default: [`AddressPolicy::any`].
    #[must_use]
    pub fn operator_policy(self, policy: AddressPolicy) -> Self {
        Self::over(Inner { operator_guard: Arc::new(AddressGuard::new(policy)), ..self.settings() })
    }

    /// Sets what may be reached at addresses that anybody else gave: those of stored
    /// connections, of documents that are added by their address, and what these lead on to.
    /// Ports at which other protocols listen are refused in any case. Default: public
    /// addresses and this machine; [`AddressPolicy::public_only`] is right where users are
    /// strangers.
    #[must_use]
    pub fn untrusted_policy(self, policy: AddressPolicy) -> Self {
        let guard = AddressGuard::new(policy).untrusted();
        Self::over(Inner { untrusted_guard: Arc::new(guard), ..self.settings() })
    }

    fn over(inner: Inner) -> Self {
        Self(Arc::new(Inner { public_guard: Arc::new(inner.untrusted_guard.public()), ..inner }))
    }

    /// The guard of addresses that `source` gave.
    fn guard(&self, source: AddressSource) -> &Arc<AddressGuard> {
        match source {
            AddressSource::Operator => &self.0.operator_guard,
            AddressSource::Untrusted => &self.0.untrusted_guard,
        }
    }

    /// The settings of this transport without its clients.
    fn settings(&self) -> Inner {
        Inner {
            backoff: self.0.backoff,
            patience: self.0.patience,
            proxy: self.0.proxy.clone(),
            operator_guard: self.0.operator_guard.clone(),
            untrusted_guard: self.0.untrusted_guard.clone(),
            public_guard: self.0.public_guard.clone(),
            public_client: OnceLock::new(),
            tls: OnceLock::new(),
            clients: Mutex::default(),
        }
    }

    /// Sends `call` and waits for the head of the response, with retries.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<ResponseBody> {
        self.try_send(call).await.map_err(|refused| refused.error)
    }

    /// Sends `call` as [`Transport::send`] does; a refusal says which fields of the
    /// request it names.
    pub(crate) async fn try_send(&self, call: &Call<'_>) -> Result<ResponseBody, Refused> {
        let (url, headers) = (call.url()?, call.headers()?);
        let source = call.endpoint.address_source;
        self.guard(source).check(&url).map_err(|refused| call.errors().forbidden(&refused))?;
        let settings = &call.endpoint.settings;
        let client = self.client_of(call, &url).await?;
        let retries = settings.retries.unwrap_or(RETRIES);
        let silence = Silence::new(settings, self.0.patience.unwrap_or_else(|| patience(&url)));
        let begun_at = tokio::time::Instant::now();
        let mut attempt = 0;
        loop {
            let mut request = Request::new(call.method.clone(), url.clone());
            request.headers_mut().clone_from(&headers);
            *request.body_mut() = call.body.clone().map(Into::into);
            let failure = match call.attempt(&client, request, silence).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            // A model that is being loaded is worth as much patience as one that is slow.
            let retries =
                if failure.is_loading && !call.model.is_empty() && begun_at.elapsed() < silence.first {
                    u32::MAX
                } else {
                    retries
                };
            let Some(wait) = failure.wait(attempt, retries, self.0.backoff) else {
                return Err(Refused { error: failure.error, said: failure.said });
            };
            tracing::debug!(
                connection = %call.endpoint.name, attempt, wait_ms = wait.as_millis(), error = %failure.error,
                "the model server failed; retrying"
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Returns the client of a call to `url`.
    async fn client_of(&self, call: &Call<'_>, url: &Url) -> Result<Client> {
        let settings = &call.endpoint.settings;
        let connect_timeout_ms = settings.connect_timeout_ms.unwrap_or(CONNECT_MS);
        let (source, own) = (call.endpoint.address_source, settings.proxy.as_ref());
        let redirects = Redirects::Never;
        let Some(proxy) = own.or(self.0.proxy.as_ref()).filter(|url| !url.is_empty()) else {
            return self.client(ClientKey { connect_timeout_ms, proxy: None, source, redirects });
        };
        let address = Url::parse(proxy).map_err(|error| {
            Error::invalid(format!("connection `{}`: its proxy is no url: {error}", call.endpoint.name))
        })?;
        // A proxy of the connection is as trusted as the connection; another is the operator's.
        let proxy_source = if own.is_some() { source } else { AddressSource::Operator };
        let forbidden = |refused: RefusedAddress| call.errors().forbidden(&refused);
        self.guard(proxy_source).check(&address).map_err(forbidden)?;
        self.guard(source).check_behind_proxy(url).await.map_err(forbidden)?;
        self.client(ClientKey {
            connect_timeout_ms,
            proxy: Some(proxy.clone()),
            source: proxy_source,
            redirects,
        })
    }

    /// Returns the client for what `key` says: its guard is that of the first address that is
    /// connected to, the proxy's if there is one.
    fn client(&self, key: ClientKey) -> Result<Client> {
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let guard = self.guard(key.source);
        let client = self.make(&key, guard).map_err(|error| {
            Error::internal("the HTTP client could not be created").with_source(error.without_url())
        })?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// Returns the client that reaches public addresses alone.
    fn public_client(&self) -> Result<Client> {
        let client =
            self.0.public_client.get_or_init(|| self.make(&ClientKey::of_pages(), &self.0.public_guard).ok());
        client.clone().ok_or_else(|| Error::internal("the HTTP client could not be created"))
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that makes an HTTP client")]
    fn make(&self, key: &ClientKey, guard: &Arc<AddressGuard>) -> reqwest::Result<Client> {
        let builder = match &key.proxy {
            Some(url) => Client::builder().proxy(reqwest::Proxy::all(url)?),
            None => Client::builder().no_proxy(),
        };
        builder
            .tls_backend_preconfigured(self.0.tls.get_or_init(tls).clone())
            .connect_timeout(Duration::from_millis(key.connect_timeout_ms))
            .redirect(key.redirects.policy())
            .retry(reqwest::retry::never())
            .referer(false)
            .dns_resolver(guard.clone())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(4_096)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("aimate/", env!("CARGO_PKG_VERSION")))
            .build()
    }
}

/// How long a server at `url` may be silent.
fn patience(url: &Url) -> Duration {
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_local { LOCAL_PATIENCE } else { PATIENCE }
}

/// How long a server may be silent: before the first content of its answer, and
/// from then on.
#[derive(Clone, Copy, Debug)]
struct Silence {
    first: Duration,
    idle: Duration,
}

impl Silence {
    fn new(settings: &ConnectionSettings, patience: Duration) -> Self {
        let set = |ms: Option<u64>| ms.map_or(patience, Duration::from_millis);
        Self { first: set(settings.first_byte_timeout_ms), idle: set(settings.idle_timeout_ms) }
    }
}

/// A call that failed.
pub(crate) struct Refused {
    pub(crate) error: Error,
    /// What the server said, in lower case; empty if it did not refuse the request.
    said: String,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, said: String::new() }
    }
}

impl Refused {
    /// Whether the server refused the request and named this field of it.
    pub(crate) fn names(&self, field: &str) -> bool {
        memchr::memmem::find(self.said.as_bytes(), field.as_bytes()).is_some()
    }
}

/// TLS with ring, chosen here so that no process-wide default is needed. Without
/// root certificates on the machine, `https:` fails and `http:` still works.
fn tls() -> rustls::ClientConfig {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?found.errors, "no root certificates found; https model servers cannot be reached");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let config = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions);
    // Invariant: ring has cipher suites for both versions.
    #[allow(clippy::expect_used, reason = "both versions and their suites are constants")]
    let config = config.expect("ring speaks TLS 1.2 and 1.3");
    config.with_root_certificates(roots).with_no_client_auth()
}

/// One request of a provider.
pub(crate) struct Call<'a> {
    endpoint: &'a Endpoint,
    model: &'a str,
    method: Method,
    path: &'a str,
    body: Option<Bytes>,
    extra_headers: &'static [(&'static str, &'static str)],
    /// The header that the key goes in, where it is not `Authorization`.
    key_header: Option<&'static str>,
}

impl<'a> Call<'a> {
    /// A GET of `path` below the endpoint's address.
    pub(crate) fn get(endpoint: &'a Endpoint, path: &'a str) -> Self {
        Self {
            endpoint,
            model: "",
            method: Method::GET,
            path,
            body: None,
            extra_headers: &[],
            key_header: None,
        }
    }

    /// A POST of JSON; `model` is for error messages.
    pub(crate) fn post(
        endpoint: &'a Endpoint,
        path: &'a str,
        model: &'a str,
        body: impl Into<Bytes>,
    ) -> Self {
        Self { model, method: Method::POST, body: Some(body.into()), ..Self::get(endpoint, path) }
    }

    /// Adds the provider's own headers.
    pub(crate) fn with_headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.extra_headers = headers;
        self
    }

    /// Sends the key as it is in this header.
    pub(crate) fn with_key_in(mut self, header: &'static str) -> Self {
        self.key_header = Some(header);
        self
    }

    fn url(&self) -> Result<Url> {
        let base = self.endpoint.url.trim_end_matches('/');
        let url = Url::parse(&[base, self.path].concat()).map_err(|error| {
            Error::invalid(format!("connection `{}`: its url is invalid: {error}", self.endpoint.name))
        })?;
        // The guard knows how these two schemes write a host, and no others.
        if !matches!(url.scheme(), "http" | "https") {
            let name = &self.endpoint.name;
            return Err(Error::invalid(format!(
                "connection `{name}`: its url should begin with `http://` or `https://`"
            )));
        }
        let has_more = !url.username().is_empty() || url.password().is_some() || url.fragment().is_some();
        if has_more && self.endpoint.address_source == AddressSource::Untrusted {
            let name = &self.endpoint.name;
            return Err(Error::invalid(format!(
                "connection `{name}`: its url has credentials or a fragment"
            )));
        }
        Ok(url)
    }

    fn errors(&self) -> UpstreamErrors {
        UpstreamErrors::new(self.endpoint, self.model)
    }

    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::with_capacity(8);
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = self.endpoint.api_key.as_ref().filter(|key| !key.expose().is_empty()) {
            let (name, scheme) = match self.key_header {
                Some(name) => (HeaderName::from_static(name), ""),
                None => (AUTHORIZATION, "Bearer "),
            };
            let mut value = self.header(&[scheme, key.expose()].concat(), "key")?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if let Some(organization) = &self.endpoint.settings.organization {
            headers.insert("openai-organization", self.header(organization, "organization")?);
        }
        for (name, value) in self.extra_headers {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        Ok(headers)
    }

    fn header(&self, value: &str, what: &str) -> Result<HeaderValue> {
        HeaderValue::from_str(value).map_err(|_| {
            Error::invalid(format!(
                "connection `{}`: its {what} has characters that are not allowed in a header",
                self.endpoint.name
            ))
        })
    }

    async fn attempt(
        &self,
        client: &Client,
        request: Request,
        silence: Silence,
    ) -> Result<ResponseBody, AttemptError> {
        let errors = self.errors();
        let mut deadline = Box::pin(tokio::time::sleep_until(deadline::after(silence.first)));
        let response = tokio::select! {
            biased;
            response = client.execute(request) => response,
            () = &mut deadline => {
                return Err(AttemptError::permanent(errors.timeout("did not begin to answer", silence.first)));
            }
        };
        let response = response.map_err(|error| match RefusedAddress::in_source_of(&error) {
            Some(refused) => AttemptError::permanent(errors.forbidden(refused)),
            None => AttemptError::transient(errors.unreachable(error)),
        })?;
        let mut response = ResponseBody::new(errors, response, deadline, silence.first, silence.idle);
        if response.status().is_success() {
            return Ok(response);
        }
        let body = response.read_prefix(MAX_ERROR_BODY).await;
        Err(AttemptError::from_response(&response, self.path, &body))
    }
}
