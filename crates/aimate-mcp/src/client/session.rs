//! One connection to one server for one user.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aimate_core::Result;
use aimate_core::tool::{ServerInfo, ToolCaller, ToolEndpoint};
use rmcp::ServiceError;
use rmcp::model::{
    CancelledNotificationParam, ClientRequest, ProtocolVersion, RequestId, ServerCapabilities, ServerResult,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, Peer, RoleClient, RunningService,
};
use rmcp::transport::IntoTransport;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::errors::Errors;
use super::handler::{Handler, Waiting};

/// A connection over which requests go beside each other. Dropping it ends it.
pub(super) struct ServerSession {
    service: RunningService<RoleClient, Handler>,
    waiting: Arc<Waiting>,
    /// Whether a request found the connection ended.
    is_broken: AtomicBool,
    /// Requests that nobody waits for any more.
    dropped: UnboundedSender<RequestId>,
    /// What the server says of itself.
    pub(super) server: ServerInfo,
    /// What it can do.
    pub(super) capabilities: ServerCapabilities,
    /// Whether the revision that it speaks is none that is known here.
    pub(super) is_unknown_revision: bool,
    /// What it wrote last, where it is a child process.
    #[cfg(feature = "stdio")]
    pub(super) ending: Option<super::ending::Ending>,
    _canceller: JoinSet<()>,
}

impl ServerSession {
    /// Connects over `transport`: in the current revision of the protocol, else in the one that
    /// the server knows.
    pub(super) async fn open<T, E, A>(transport: T) -> Result<Self, ClientInitializeError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mode = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: None,
        };
        Self::open_in(mode, transport).await
    }

    /// Connects over `transport` with the handshake of `mode`.
    pub(super) async fn open_in<T, E, A>(
        mode: ClientLifecycleMode,
        transport: T,
    ) -> Result<Self, ClientInitializeError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let waiting = Arc::new(Waiting::default());
        let serving = Handler::new(waiting.clone()).serve_with_lifecycle(transport, mode);
        let service = Box::pin(serving).await?;
        let info = service.peer_info();
        let protocol = info.as_ref().map(|info| info.protocol_version.clone()).unwrap_or_default();
        let (dropped, to_cancel) = unbounded_channel();
        let mut canceller = JoinSet::new();
        canceller.spawn(cancel(service.peer().clone(), to_cancel));
        Ok(Self {
            server: server_info(info.as_deref(), &protocol),
            capabilities: info.map(|info| info.capabilities.clone()).unwrap_or_default(),
            is_unknown_revision: !ProtocolVersion::KNOWN_VERSIONS.contains(&protocol),
            #[cfg(feature = "stdio")]
            ending: None,
            service,
            waiting,
            is_broken: AtomicBool::new(false),
            dropped,
            _canceller: canceller,
        })
    }

    /// Whether the connection ended.
    pub(super) fn is_closed(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
            || self.service.is_closed()
            || self.service.is_transport_closed()
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting.is_busy()
    }

    /// Sends `request` and waits for the answer, which may take as long as the caller lets it.
    /// `caller` is told of progress and asked what the server asks. Dropping the future tells
    /// the server.
    pub(super) async fn request(
        &self,
        request: ClientRequest,
        caller: Option<Arc<dyn ToolCaller>>,
    ) -> Result<ServerResult, ServiceError> {
        let (handle, mut pending) = {
            // Progress waits here until it is known whose it is.
            let _registering = self.waiting.registering.lock().await;
            let handle = self.service.send_request_with_option(request, Default::default()).await?;
            self.waiting.add(handle.id.clone(), handle.progress_token.clone(), caller);
            let pending = Pending { session: self, id: Some(handle.id.clone()) };
            (handle, pending)
        };
        let answer = handle.await_response().await;
        pending.answered();
        if matches!(answer, Err(ServiceError::TransportClosed)) {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Sends a request that only reads, within the endpoint's deadline.
    pub(super) async fn read(&self, endpoint: &ToolEndpoint, request: ClientRequest) -> Result<ServerResult> {
        let errors = Errors(endpoint);
        match tokio::time::timeout(endpoint.timeout, self.request(request, None)).await {
            Ok(answer) => answer.map_err(|error| self.ended(errors.request(error), endpoint)),
            Err(_) => Err(errors.too_slow("answer")),
        }
    }

    /// `error` with what a child process said before it ended, if that is what it comes of.
    #[cfg(feature = "stdio")]
    pub(super) fn ended(&self, error: aimate_core::Error, endpoint: &ToolEndpoint) -> aimate_core::Error {
        match &self.ending {
            Some(ending) if ending.is_over() => ending.explain(error, endpoint),
            _ => error,
        }
    }

    #[cfg(not(feature = "stdio"))]
    pub(super) fn ended(&self, error: aimate_core::Error, _endpoint: &ToolEndpoint) -> aimate_core::Error {
        error
    }
}

/// Tells the server of each request that nobody waits for any more.
async fn cancel(peer: Peer<RoleClient>, mut dropped: UnboundedReceiver<RequestId>) {
    while let Some(id) = dropped.recv().await {
        let param =
            CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".to_owned()));
        if let Err(error) = peer.notify_cancelled(param).await {
            tracing::debug!(%error, "a tool server was not told of a request that was dropped");
        }
    }
}

/// A request that was sent and not answered yet.
struct Pending<'a> {
    session: &'a ServerSession,
    /// `None` once it was answered.
    id: Option<RequestId>,
}

impl Pending<'_> {
    fn answered(&mut self) {
        if let Some(id) = self.id.take() {
            self.session.waiting.remove(&id);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.session.waiting.remove(&id);
            // The other end lives as long as the session.
            let _ = self.session.dropped.send(id);
        }
    }
}

fn server_info(info: Option<&rmcp::model::ServerPeerInfo>, protocol: &ProtocolVersion) -> ServerInfo {
    let mut server = ServerInfo::default();
    server.protocol = protocol.as_str().to_owned();
    if let Some(info) = info {
        let own = info.server_info.as_ref();
        server.name = own.map(|own| own.name.clone()).unwrap_or_default();
        server.version = own.map(|own| own.version.clone()).unwrap_or_default();
        server.instructions = info.instructions.clone();
    }
    server
}
