//! What surrounds every handler: the `Host` check, the request id, the form of
//! error responses, the metrics, and the end of a panic.
//!
//! One axum middleware instead of a stack of tower-http layers, because its
//! parts depend on each other: the error body, the log line and the metrics
//! all need the request id, the route and the API that was called. tower-http's
//! request-id layer accepts any id of a caller; ours goes into the log, so it
//! has to be short and printable.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use aimate_core::audit::AuditOrigin;
use aimate_core::rate_limit::RateBucket;
use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method};
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::app::App;
use crate::error::{ErrorFormat, Failure};
use crate::{client_address, mount, origin, request_class, work};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Whose pages may embed a response without asking: `<img>` and `<script>` send no
/// `Origin`.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// Maximum length of a request id that the caller chose.
const MAX_REQUEST_ID: usize = 128;

/// Runs the rest of the router for `request` and finishes its response.
pub(crate) async fn handle(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let context = RequestContext::new(&app, &request);
    let is_service = request_class::is_service(request.uri().path());
    // Before anything is done for it: refusing has to cost far less than answering.
    if !is_service && let Err(failure) = app.has_room() {
        return context.finish(failure.into_response());
    }
    let watch = Watch::begin(&app, &mut request);
    let prefix = mount::prefix(&request).to_owned();
    let span = context.span();
    let audit = context.audit_origin(&app, &request);
    request.extensions_mut().insert(RequestId(context.id.clone()));
    let mut response = match origin::check(&app.options, &request) {
        Err(error) => Failure::from(error).into_response(),
        // A bug in one handler must not close the connection, which other
        // requests may be using, without an answer.
        Ok(()) => {
            let is_change = request_class::is_change(request.method(), request.uri().path());
            let handled = let_in(app.clone(), is_service, request, next).instrument(span);
            let handled = AssertUnwindSafe(audit.of(work::handling(handled))).catch_unwind();
            let handled = if is_change { to_its_end(handled).await } else { handled.await.ok() };
            handled.unwrap_or_else(|| Failure::unexpected().into_response())
        }
    };
    mount::complete_location(&prefix, &mut response);
    let response = watch.over(response, &context).await;
    context.finish(response)
}

/// Handles a change to its end, whether its client waits for the answer or not: what is
/// stored goes into the audit log too.
#[expect(clippy::disallowed_methods, reason = "it ends with the handler, which has a deadline")]
async fn to_its_end<E: Send + 'static>(
    handled: impl Future<Output = Result<Response, E>> + Send + 'static,
) -> Option<Response> {
    tokio::spawn(handled).await.ok()?.ok()
}

/// The id of a request, for what goes on after its answer.
#[derive(Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// From where what goes on after the answer comes, for the audit log.
    pub(crate) fn audit_origin(app: &App, head: &http::request::Parts) -> AuditOrigin {
        let ip = client_address::of(&app.options, &head.extensions, &head.headers);
        let id = head.extensions.get::<Self>().and_then(|id| id.0.to_str().ok());
        AuditOrigin::new(ip.map(|ip| ip.to_string()), id.map(str::to_owned))
    }
}

/// Whom the handler lets in, so that a stream of theirs ends with their sign-in.
#[cfg(feature = "accounts")]
struct Watch(Option<(aimate_accounts::Accounts, crate::principal::PrincipalSlot)>);

#[cfg(feature = "accounts")]
impl Watch {
    fn begin(app: &App, request: &mut Request) -> Self {
        let crate::callers::Callers::Accounts(accounts) = &app.options.callers else { return Self(None) };
        let slot = crate::principal::PrincipalSlot::default();
        request.extensions_mut().insert(slot.clone());
        Self(Some((accounts.clone(), slot)))
    }

    async fn over(self, response: Response, context: &RequestContext) -> Response {
        let let_in = self.0.as_ref().and_then(|(accounts, slot)| Some((accounts, slot.get()?)));
        let Some((accounts, let_in)) = let_in else { return response };
        crate::watched_body::watch(response, accounts, let_in, context.format, context.started).await
    }
}

#[cfg(not(feature = "accounts"))]
struct Watch;

#[cfg(not(feature = "accounts"))]
impl Watch {
    fn begin(_: &App, _: &mut Request) -> Self {
        Self
    }

    async fn over(self, response: Response, _: &RequestContext) -> Response {
        response
    }
}

/// Runs the handler, if there is a place in work, and the machine that the request comes
/// from has not sent too many that need nobody to be signed in. A request whose body is
/// still to come gets its place then: who sends slowly keeps nobody else out.
async fn let_in(app: App, is_service: bool, request: Request, next: Next) -> Response {
    if !is_service
        && (request.body().is_end_stream()
            || !request_class::takes_a_body(request.method(), request.uri().path()))
        && let Err(failure) = app.begin_work()
    {
        return failure.into_response();
    }
    if let Some(class) = request_class::of_public(request.method(), request.uri().path())
        && let Some(address) = client_address::of(&app.options, request.extensions(), request.headers())
        && let Err(failure) = app.pass(RateBucket::of_address(address, class)).await
    {
        return failure.into_response();
    }
    next.run(request).await
}

/// The part of a request that its response needs.
struct RequestContext {
    app: App,
    started: Instant,
    method: Method,
    route: Option<MatchedPath>,
    format: Option<ErrorFormat>,
    id: HeaderValue,
}

impl RequestContext {
    fn new(app: &App, request: &Request) -> Self {
        Self {
            app: app.clone(),
            started: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            format: ErrorFormat::of(request.uri().path()),
            id: request_id(app, request),
        }
    }

    /// From where the request comes, for the audit log.
    fn audit_origin(&self, app: &App, request: &Request) -> AuditOrigin {
        let ip = client_address::of(&app.options, request.extensions(), request.headers());
        AuditOrigin::new(ip.map(|ip| ip.to_string()), self.id.to_str().ok().map(str::to_owned))
    }

    /// The span of the request: its route, not its path, which may name what is
    /// somebody's.
    fn span(&self) -> tracing::Span {
        tracing::info_span!(
            "request",
            request_id = self.id.to_str().unwrap_or_default(),
            method = %self.method,
            route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str),
        )
    }

    /// Writes the error body, counts the request and adds the common headers.
    fn finish(self, mut response: Response) -> Response {
        if let Some(failure) = response.extensions_mut().remove::<Arc<Failure>>() {
            response = self.error_response(&failure, response);
        }
        // The route, not the path: a path would make a metric per id.
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        let status = response.status().as_u16();
        self.app.metrics.record_request(&self.method, route, status, self.started.elapsed());
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // What is data is no page, whatever a browser is made to take it for.
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(DATA_POLICY));
        if self.app.options.allowed_origins.is_empty() {
            headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
        }
        headers.insert(REQUEST_ID, self.id);
        response
    }

    /// Writes a failure in the format of the API that was called. Its cause
    /// goes to the log only: it may hold internals.
    fn error_response(&self, failure: &Failure, mut bare: Response) -> Response {
        let mut response = failure.response_as(self.format.unwrap_or(ErrorFormat::Problem));
        for name in [ALLOW, CACHE_CONTROL, REFERRER_POLICY] {
            if let Some(value) = bare.headers_mut().remove(&name) {
                response.headers_mut().insert(name, value);
            }
        }
        let (id, error) = (self.id.to_str().unwrap_or_default(), &failure.error);
        let code = error.kind().as_str();
        // Who finds no room comes in crowds, and must not fill the log too.
        if failure.status().is_server_error() && !failure.is_crowded() {
            tracing::error!(request_id = id, method = %self.method, code, cause = ?error, "request failed");
        } else {
            tracing::debug!(request_id = id, method = %self.method, code, cause = ?error, "request refused");
        }
        response
    }
}

/// The caller's own request id if it is short and printable, else a new one.
fn request_id(app: &App, request: &Request) -> HeaderValue {
    let own = request.headers().get(&REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= MAX_REQUEST_ID && bytes.iter().all(u8::is_ascii_graphic)
    });
    own.cloned().unwrap_or_else(|| {
        let id: Uuid = app.engine.sources().id();
        let mut text = Uuid::encode_buffer();
        HeaderValue::from_str(id.simple().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static("-"))
    })
}
