//! The streamable HTTP transport.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use aimate_core::Engine;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::caller::McpCaller;
use super::guard::WebPolicy;
use super::handler::EngineHandler;
use super::sessions::{self, Sessions};

/// Between two comments that keep an event stream open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The body of a response: JSON, or a stream of events.
pub type ResponseBody = BoxBody<Bytes, Infallible>;

type Handle = dyn Fn(Request<Full<Bytes>>) -> BoxFuture<'static, Response<ResponseBody>> + Send + Sync;

/// Options of an [`HttpServer`]; every field has a default but the policy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpServerOptions {
    /// Which hosts and web pages are answered.
    pub web: WebPolicy,
    /// Sessions at once; one more ends the one that was longest unused. Default: 1,000.
    pub max_sessions: usize,
    /// Sessions of one user at once. Default: 16.
    pub max_sessions_per_user: usize,
}

impl HttpServerOptions {
    /// The defaults under this policy.
    pub fn new(web: WebPolicy) -> Self {
        Self { web, max_sessions: 1_000, max_sessions_per_user: 16 }
    }
}

/// Answers MCP requests over HTTP. Whoever has the server reads each request whole, says who
/// sent it, and sends the response. Clones share the sessions, which end with the last one.
#[derive(Clone)]
pub struct HttpServer {
    handle: Arc<Handle>,
    web: Arc<WebPolicy>,
    stop: CancellationToken,
    _ends_sessions: Arc<DropGuard>,
}

impl HttpServer {
    /// A server of `engine`'s knowledge, conversations and prompts.
    pub fn new(engine: Engine, options: HttpServerOptions) -> Self {
        Self::of_handler(move || EngineHandler::new(engine.clone()), options)
    }

    /// A server of handlers of one's own, under the same checks and with the same sessions.
    #[doc(hidden)]
    pub fn of_handler<H: ServerHandler>(
        handler: impl Fn() -> H + Send + Sync + 'static,
        options: HttpServerOptions,
    ) -> Self {
        let stop = CancellationToken::new();
        let sessions = Arc::new(Sessions::new(options.max_sessions, options.max_sessions_per_user));
        // Hosts and origins are checked before, by rules that know the server's own pages.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_sse_keep_alive(Some(KEEP_ALIVE))
            .with_json_response(true)
            .with_max_request_body_bytes(usize::MAX)
            .with_cancellation_token(stop.clone());
        let service = StreamableHttpService::new(move || Ok(handler()), sessions, config);
        let handle = move |request| {
            let service = service.clone();
            async move { service.handle(request).await }.boxed()
        };
        Self {
            handle: Arc::new(handle),
            web: Arc::new(options.web),
            _ends_sessions: Arc::new(stop.clone().drop_guard()),
            stop,
        }
    }

    /// Answers one request of `caller`, whose body has been read. The response may be a
    /// stream that lasts as long as a tool works, or the session.
    pub async fn handle(&self, caller: McpCaller, request: Request<Bytes>) -> Response<ResponseBody> {
        if let Some(why) = self.web.refuses(request.uri(), request.headers()) {
            return refusal(StatusCode::FORBIDDEN, why);
        }
        if self.stop.is_cancelled() {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down");
        }
        let ends = request.method() == Method::DELETE;
        let mut request = request.map(Full::new);
        request.extensions_mut().insert(caller);
        let mut response = sessions::handling((&caller.scope).into(), (self.handle)(request)).await;
        // The session is over, not about to be: some clients tell the two apart.
        if ends && response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        response
    }

    /// Ends all sessions and streams; every further request is refused.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer").field("web", &self.web).finish_non_exhaustive()
    }
}

/// A response that answers no message: a JSON-RPC error without an id.
fn refusal(status: StatusCode, why: &str) -> Response<ResponseBody> {
    let error = serde_json::json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": why}});
    let mut response = Response::new(Full::new(Bytes::from(error.to_string())).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
