//! What is around every handler: the Host check, the request's id, the form of
//! failures, the metrics, and the end of a panic.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aimate_core::Error;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{ALLOW, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method};
use tokio::time::Instant;
use tower::{Layer, Service};
use uuid::Uuid;

use crate::app::App;
use crate::error::Failure;
use crate::origin;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a caller's own request id at most.
const MAX_ID: usize = 128;

/// Puts a [`Guard`] around a service.
#[derive(Clone)]
pub(crate) struct GuardLayer(pub(crate) App);

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { app: self.0.clone(), inner }
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Guard<S> {
    app: App,
    inner: S,
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let asked = Asked::new(&self.app, &request);
        let refused = origin::check(&self.app.options, &request).err();
        let answer = match refused {
            Some(error) => Err(error),
            None => Ok(AssertUnwindSafe(self.inner.call(request)).catch_unwind()),
        };
        Box::pin(async move {
            let response = match answer {
                Err(error) => Failure::from(error).into_response(),
                Ok(answer) => match answer.await {
                    Ok(Ok(response)) => response,
                    Ok(Err(never)) => match never {},
                    Err(_) => Failure::from(Error::internal(
                        "the server failed in a way it should not; the log has the details",
                    ))
                    .into_response(),
                },
            };
            Ok(asked.answered(response))
        })
    }
}

/// What is kept of a request to finish its answer.
struct Asked {
    app: App,
    begun: Instant,
    method: Method,
    route: Option<MatchedPath>,
    is_openai: bool,
    id: HeaderValue,
}

impl Asked {
    fn new(app: &App, request: &Request) -> Self {
        Self {
            app: app.clone(),
            begun: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            is_openai: is_openai(request.uri().path()),
            id: request_id(app, request),
        }
    }

    fn answered(self, mut response: Response) -> Response {
        if let Some(failure) = response.extensions_mut().remove::<Arc<Failure>>() {
            response = self.failed(&failure, response);
        }
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        let status = response.status().as_u16();
        self.app.metrics.answered(&self.method, route, status, self.begun.elapsed());
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REQUEST_ID, self.id);
        response
    }

    /// Writes a failure down for the face that was asked, and its cause into
    /// the log alone.
    fn failed(&self, failure: &Failure, mut bare: Response) -> Response {
        let mut response = if self.is_openai { failure.openai() } else { failure.problem() };
        if let Some(allow) = bare.headers_mut().remove(ALLOW) {
            response.headers_mut().insert(ALLOW, allow);
        }
        let (id, error) = (self.id.to_str().unwrap_or_default(), &failure.error);
        let code = error.kind().as_str();
        if failure.status().is_server_error() {
            tracing::error!(request_id = id, method = %self.method, code, cause = ?error, "a request failed");
        } else {
            tracing::debug!(request_id = id, method = %self.method, code, cause = ?error, "a request was refused");
        }
        response
    }
}

fn is_openai(path: &str) -> bool {
    path.strip_prefix("/v1").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The caller's own id of the request if it is a plain one, else a new one.
fn request_id(app: &App, request: &Request) -> HeaderValue {
    let own = request.headers().get(&REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= MAX_ID && bytes.iter().all(u8::is_ascii_graphic)
    });
    own.cloned().unwrap_or_else(|| {
        let id: Uuid = app.engine.sources().id();
        let mut text = Uuid::encode_buffer();
        HeaderValue::from_str(id.simple().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static("-"))
    })
}
