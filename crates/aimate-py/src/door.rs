//! The one door to the data: aiMate's own HTTP API, called within the process. So a
//! Python program gets exactly its checks, its objects and its errors.

use std::convert::Infallible;

use aimate::{Engine, Scope, http as api};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use crate::fault::{Fault, Result, bug};
use crate::outcome::Outcome;

/// A request's or a response's body.
pub(crate) type DoorBody = UnsyncBoxBody<Bytes, BodyFailed>;

/// A body broke off.
#[derive(Debug)]
pub(crate) struct BodyFailed;

impl std::fmt::Display for BodyFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body broke off")
    }
}

impl std::error::Error for BodyFailed {}

/// What is asked.
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// The path with its query.
    pub(crate) path: String,
    /// JSON.
    pub(crate) body: Option<Vec<u8>>,
}

/// A request under way.
pub(crate) type Knock = BoxFuture<'static, Result<Answered>>;

/// What comes back.
pub(crate) enum Answered {
    /// All of it.
    Whole(Outcome),
    /// Server-sent events.
    Stream(DoorBody),
}

/// The routes of an engine.
#[derive(Clone)]
pub(crate) struct Door {
    service: BoxCloneSyncService<Request<DoorBody>, Response<DoorBody>, Infallible>,
}

impl Door {
    /// The door for callers that are known: no rate limits, and no bound on listeners but
    /// that of the engine's runs.
    pub(crate) fn new(engine: Engine, prefix: &str) -> Self {
        let options = api::Options::default()
            .callers(api::Callers::Extension)
            .max_listeners(usize::MAX)
            .max_requests(100_000)
            .max_database_work(100_000);
        let mut router = api::router::<()>(engine, options);
        if !prefix.is_empty() {
            // As axum nests them, so that the addresses they give out begin with it.
            router = empty_like(&router).nest(prefix, router);
        }
        Self { service: boxed(router) }
    }

    /// Sends a request as it is, for `scope`; nobody where there is none.
    pub(crate) async fn send(
        &self,
        mut request: Request<DoorBody>,
        scope: Option<Scope>,
    ) -> Response<DoorBody> {
        if let Some(scope) = scope {
            request.extensions_mut().insert(scope);
        }
        match self.service.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Asks for JSON, or for events.
    pub(crate) fn ask(&self, asked: Asked, scope: BoxFuture<'static, Result<Scope>>) -> Knock {
        let door = self.clone();
        async move {
            let scope = scope.await?;
            let Asked { method, path, body } = asked;
            let mut request = Request::new(whole(body.unwrap_or_default()));
            *request.method_mut() = method;
            *request.uri_mut() = path
                .parse()
                .map_err(|_| Fault::Engine(aimate::Error::invalid("an id has characters that none has")))?;
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
            answered(door.send(request, Some(scope)).await).await
        }
        .boxed()
    }
}

fn boxed<S, B>(service: S) -> BoxCloneSyncService<Request<DoorBody>, Response<DoorBody>, Infallible>
where
    S: Service<Request<DoorBody>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
{
    BoxCloneSyncService::new(
        service.map_response(|response| response.map(|body| body.map_err(|_| BodyFailed).boxed_unsync())),
    )
}

/// An empty one of the same kind: the router's type has a name in aimate-http alone.
fn empty_like<T: Default>(_: &T) -> T {
    T::default()
}

/// A body that is all there.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> DoorBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Whether these are the headers of an event stream.
fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json") || value.contains("+json"))
}

async fn answered(response: Response<DoorBody>) -> Result<Answered> {
    let (head, body) = response.into_parts();
    if head.status.is_success() && is_stream(&head.headers) {
        return Ok(Answered::Stream(body));
    }
    let bytes = body.collect().await.map_err(|_| bug())?.to_bytes();
    if !head.status.is_success() {
        return Err(Fault::Problem(head.status.as_u16(), bytes));
    }
    let outcome = match head.status {
        StatusCode::NO_CONTENT => Outcome::Nothing,
        _ if bytes.is_empty() => Outcome::Nothing,
        _ if is_json(&head.headers) => Outcome::Json(bytes),
        _ => Outcome::Bytes(bytes),
    };
    Ok(Answered::Whole(outcome))
}
