//! The transport: the only place that makes HTTP clients and waits for bytes,
//! with deadlines, retries and limits.

mod address_guard;
mod deadline;
mod fetch;
mod response;
mod retry;
mod upstream_errors;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aimate_core::provider::Endpoint;
use aimate_core::{Error, Result};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Request, Url};

pub use address_guard::AddressPolicy;
use address_guard::{AddressGuard, RefusedAddress};
pub(crate) use response::ResponseBody;
use retry::AttemptError;
#[cfg(feature = "fuzzing")]
pub(crate) use retry::retry_after;
pub(crate) use upstream_errors::UpstreamErrors;

const CONNECT_MS: u64 = 5_000;
const FIRST_BYTE_MS: u64 = 300_000;
const IDLE_MS: u64 = 60_000;
const RETRIES: u32 = 2;
const BACKOFF: Duration = Duration::from_millis(250);
/// Maximum clients that are kept for connect timeouts other than the default.
const MAX_CLIENTS: usize = 64;
/// Maximum bytes read of an error body: 8 KiB and the longest key, so that a key
/// in the first 8 KiB is not cut before it is redacted.
const MAX_ERROR_BODY: usize = 12 * 1024;
/// Maximum bytes of a body that is read whole.
pub(crate) const MAX_BODY: usize = 64 * 1024 * 1024;

/// The HTTP client of all providers: one pool of connections that follows no
/// redirects (a key must not reach another server), uses no proxy, stores no
/// cookies and reads no environment variables. Clones share the pool.
#[derive(Clone)]
pub struct Transport(Arc<Inner>);

struct Inner {
    backoff: Duration,
    guard: Arc<AddressGuard>,
    /// For where a public address leads on to.
    public_guard: Arc<AddressGuard>,
    tls: OnceLock<rustls::ClientConfig>,
    default_client: OnceLock<Option<Client>>,
    public_client: OnceLock<Option<Client>>,
    /// Clients by connect timeout, which reqwest has no setting of a request for.
    by_timeout: Mutex<HashMap<u64, Client>>,
}

impl Default for Transport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport {
    /// A transport with an empty pool. The client is made at the first call.
    pub fn new() -> Self {
        Self::over(BACKOFF, Arc::new(AddressGuard::new(AddressPolicy::any())))
    }

    /// Sets the maximum wait before the first retry; it doubles with each further
    /// one. Default: 250 ms.
    #[must_use]
    pub fn backoff(self, backoff: Duration) -> Self {
        Self::over(backoff, self.0.guard.clone())
    }

    /// Sets the addresses that may be reached. Default: [`AddressPolicy::any`].
    #[must_use]
    pub fn policy(self, policy: AddressPolicy) -> Self {
        Self::over(self.0.backoff, Arc::new(AddressGuard::new(policy)))
    }

    /// A transport with an empty pool over `guard`.
    fn over(backoff: Duration, guard: Arc<AddressGuard>) -> Self {
        Self(Arc::new(Inner {
            backoff,
            public_guard: Arc::new(guard.public()),
            guard,
            tls: OnceLock::new(),
            default_client: OnceLock::new(),
            public_client: OnceLock::new(),
            by_timeout: Mutex::new(HashMap::new()),
        }))
    }

    /// Sends `call` and waits for the head of the response, with retries.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<ResponseBody> {
        let (url, headers) = (call.url()?, call.headers()?);
        self.0.guard.check(&url).map_err(|refused| call.errors().forbidden(&refused))?;
        let client = self.client(call.endpoint.settings.connect_timeout_ms.unwrap_or(CONNECT_MS))?;
        let retries = call.endpoint.settings.retries.unwrap_or(RETRIES);
        let mut attempt = 0;
        loop {
            let mut request = Request::new(call.method.clone(), url.clone());
            request.headers_mut().clone_from(&headers);
            *request.body_mut() = call.body.clone().map(Into::into);
            let failure = match call.attempt(&client, request).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let Some(wait) = failure.wait(attempt, retries, self.0.backoff) else {
                return Err(failure.error);
            };
            tracing::debug!(
                connection = %call.endpoint.name, attempt, wait_ms = wait.as_millis(), error = %failure.error,
                "the model server failed; retrying"
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Returns the client with a connect timeout of `timeout` milliseconds.
    fn client(&self, timeout: u64) -> Result<Client> {
        let broken = || Error::internal("the HTTP client could not be created");
        if timeout == CONNECT_MS {
            return self
                .0
                .default_client
                .get_or_init(|| self.make(CONNECT_MS, &self.0.guard).ok())
                .clone()
                .ok_or_else(broken);
        }
        let mut by_timeout = self.0.by_timeout.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = by_timeout.get(&timeout) {
            return Ok(client.clone());
        }
        if by_timeout.len() >= MAX_CLIENTS {
            by_timeout.clear();
        }
        let client = self.make(timeout, &self.0.guard).map_err(|error| broken().with_source(error))?;
        by_timeout.insert(timeout, client.clone());
        Ok(client)
    }

    /// Returns the client that reaches public addresses alone.
    fn public_client(&self) -> Result<Client> {
        let client = self.0.public_client.get_or_init(|| self.make(CONNECT_MS, &self.0.public_guard).ok());
        client.clone().ok_or_else(|| Error::internal("the HTTP client could not be created"))
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that makes an HTTP client")]
    fn make(&self, connect_timeout_ms: u64, guard: &Arc<AddressGuard>) -> reqwest::Result<Client> {
        Client::builder()
            .tls_backend_preconfigured(self.0.tls.get_or_init(tls).clone())
            .connect_timeout(Duration::from_millis(connect_timeout_ms))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(guard.clone())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(4_096)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("aimate/", env!("CARGO_PKG_VERSION")))
            .build()
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
}

impl<'a> Call<'a> {
    /// A GET of `path` below the endpoint's address.
    pub(crate) fn get(endpoint: &'a Endpoint, path: &'a str) -> Self {
        Self { endpoint, model: "", method: Method::GET, path, body: None, extra_headers: &[] }
    }

    /// A POST of JSON; `model` is for error messages.
    pub(crate) fn post(endpoint: &'a Endpoint, path: &'a str, model: &'a str, body: Vec<u8>) -> Self {
        Self { endpoint, model, method: Method::POST, path, body: Some(body.into()), extra_headers: &[] }
    }

    /// Adds the provider's own headers.
    pub(crate) fn with_headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.extra_headers = headers;
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
            let mut value = self.header(&["Bearer ", key.expose()].concat(), "key")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
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

    async fn attempt(&self, client: &Client, request: Request) -> Result<ResponseBody, AttemptError> {
        let errors = self.errors();
        let mut deadline = Box::pin(tokio::time::sleep(self.first_byte()));
        let response = tokio::select! {
            biased;
            response = client.execute(request) => response,
            () = &mut deadline => {
                return Err(AttemptError::permanent(errors.timeout("did not begin to answer", self.first_byte())));
            }
        };
        let response = response.map_err(|error| match RefusedAddress::in_source_of(&error) {
            Some(refused) => AttemptError::permanent(errors.forbidden(refused)),
            None => AttemptError::transient(errors.unreachable(error)),
        })?;
        let idle = Duration::from_millis(self.endpoint.settings.idle_timeout_ms.unwrap_or(IDLE_MS));
        let mut response = ResponseBody::new(errors, response, deadline, self.first_byte(), idle);
        if response.status().is_success() {
            return Ok(response);
        }
        let body = response.read_prefix(MAX_ERROR_BODY).await;
        Err(AttemptError::from_response(&response, self.path, &body))
    }

    fn first_byte(&self) -> Duration {
        Duration::from_millis(self.endpoint.settings.first_byte_timeout_ms.unwrap_or(FIRST_BYTE_MS))
    }
}
