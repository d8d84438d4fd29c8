//! Servers reached over streamable HTTP.

use std::sync::Arc;
use std::time::Duration;

use aimate_core::tool::{ToolAccess, ToolEndpoint};
use aimate_core::{Error, ErrorKind, Result};
use aimate_providers::{Redirects, Transport};
use futures_util::stream::BoxStream;
use reqwest::Client;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::service::{ClientInitializeError, ClientLifecycleMode};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use sse_stream::Sse;
use tokio::sync::watch;
use tokio::time::timeout;

use super::auth::{Access, Logins, probe};
use super::errors::Errors;
use super::headers::{Headers, headers};
use super::session::ServerSession;

/// Requests of one session that are sent beside each other; more wait.
const MAX_CONCURRENT: usize = 64;
/// How long the answer to the request for the stream of events is waited for.
const EVENTS: Duration = Duration::from_secs(1);

type Failed = StreamableHttpError<reqwest::Error>;

/// Connects to a server over HTTP.
pub(super) async fn connect(
    transport: &Transport,
    logins: &Logins,
    endpoint: &ToolEndpoint,
) -> Result<ServerSession> {
    let ToolAccess::Http { url, source, .. } = &endpoint.access else {
        return Err(Errors(endpoint).without("address"));
    };
    let client = transport.raw_client(url, *source, Redirects::SameOrigin).await.map_err(|error| {
        Error::new(error.kind(), format!("tool server `{}`: {}", endpoint.name, error.message()))
    })?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
        .max_concurrent_requests(MAX_CONCURRENT)
        .max_sse_event_size(endpoint.max_bytes)
        .max_json_response_size(endpoint.max_bytes)
        .max_error_response_size(4 * 1024)
        .custom_headers(headers(endpoint)?);
    config.control_request_timeout = endpoint.timeout;
    let access = logins.access(endpoint);
    let (events, mut opened_events) = watch::channel(Events::Unwanted);
    let http = HttpClient { client: client.clone(), access, events: Arc::new(events) };
    let over = || StreamableHttpClientTransport::with_client(http.clone(), config.clone());
    let opened = match ServerSession::open(over()).await {
        // Servers of older revisions that answer whatever they are asked.
        Err(ClientInitializeError::ExpectedInitResult(_)) => {
            ServerSession::open_in(ClientLifecycleMode::Initialize, over()).await
        }
        opened => opened,
    };
    let error = match opened {
        Ok(session) => {
            // What servers of older revisions ask comes over a stream of its own, and is lost
            // before that is open.
            if *opened_events.borrow_and_update() == Events::Wanted {
                let _ = timeout(EVENTS, opened_events.wait_for(|events| *events == Events::Answered)).await;
            }
            return Ok(session);
        }
        Err(error) => Errors(endpoint).connecting(error),
    };
    // A server that wants an authorization need not say how it is got.
    let is_plain = error.reason().is_none() && error.kind() != ErrorKind::Forbidden;
    if is_plain && probe(&client, endpoint).await.is_ok_and(|answer| answer.is_refusal()) {
        return Err(Errors(endpoint).login_wanted().with_source(error));
    }
    Err(error)
}

/// The HTTP client of one session: the guarded one, with the tokens of the user's login.
#[derive(Clone)]
struct HttpClient {
    client: Client,
    /// `None` where there is no login.
    access: Option<Arc<Access>>,
    /// How it stands with the stream of events.
    events: Arc<watch::Sender<Events>>,
}

/// How it stands with the stream on which a server of an older revision sends what belongs to
/// no request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Events {
    /// There is none: the server made no session.
    Unwanted,
    /// It is being asked for.
    Wanted,
    /// The server opened it, or has none.
    Answered,
}

impl HttpClient {
    /// Sends with the token that is there. Where it is refused, sends once more with a new one:
    /// a request that was refused was not carried out.
    async fn authorized<T, Sending>(&self, send: impl Fn(Option<String>) -> Sending) -> Result<T, Failed>
    where
        Sending: Future<Output = Result<T, Failed>>,
    {
        let Some(access) = &self.access else { return send(None).await };
        let token = access.token().await?;
        match send(token.clone()).await {
            Err(StreamableHttpError::AuthRequired(wanted)) => {
                let challenge = &wanted.www_authenticate_header;
                let Some(token) = access.renew(token.as_deref(), challenge).await? else {
                    return Err(StreamableHttpError::AuthRequired(wanted));
                };
                let answer = send(Some(token)).await;
                if let Err(StreamableHttpError::AuthRequired(wanted)) = &answer {
                    access.challenged(&wanted.www_authenticate_header);
                }
                answer
            }
            Err(StreamableHttpError::InsufficientScope(wanted)) => {
                access.challenged(&wanted.www_authenticate_header);
                Err(StreamableHttpError::InsufficientScope(wanted))
            }
            answer => answer,
        }
    }
}

impl StreamableHttpClient for HttpClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session_id, auth_header, custom_headers, limits)
            .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _: Option<String>,
        custom_headers: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let answer = self
            .authorized(|token| {
                let (uri, message, session_id) = (uri.clone(), message.clone(), session_id.clone());
                self.client.post_message_with_response_limits(
                    uri,
                    message,
                    session_id,
                    token,
                    custom_headers.clone(),
                    limits,
                )
            })
            .await;
        let made_session = matches!(
            &answer,
            Ok(StreamableHttpPostResponse::Json(_, Some(_)) | StreamableHttpPostResponse::Sse(_, Some(_)))
        );
        if made_session && session_id.is_none() {
            self.events.send_replace(Events::Wanted);
        }
        answer
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _: Option<String>,
        custom_headers: Headers,
    ) -> Result<(), Failed> {
        self.authorized(|token| {
            self.client.delete_session(uri.clone(), session_id.clone(), token, custom_headers.clone())
        })
        .await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let limit = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            limit,
        )
        .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _: Option<String>,
        custom_headers: Headers,
        limit: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let answer = self
            .authorized(|token| {
                self.client.get_stream_with_max_sse_event_size(
                    uri.clone(),
                    session_id.clone(),
                    last_event_id.clone(),
                    token,
                    custom_headers.clone(),
                    limit,
                )
            })
            .await;
        self.events.send_replace(Events::Answered);
        answer
    }
}
