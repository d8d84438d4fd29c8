//! What a server sends without being asked: progress, and questions to the person.
#![expect(deprecated, reason = "sampling and roots are refused as long as servers may ask for them")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aimate_core::tool::{ToolCaller, ToolProgress};
use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestMethod, CreateMessageRequestParams,
    CreateMessageResult, CustomRequest, CustomResult, ElicitRequestParams, ElicitResult,
    ElicitationCapability, ErrorCode, ErrorData, Extensions, FormElicitationCapability, Implementation,
    ListRootsRequestMethod, ListRootsResult, ProgressNotificationParam, ProgressToken, ProtocolVersion,
    RequestId, UrlElicitationCapability,
};
use rmcp::service::{InboundStreamOrigin, NotificationContext, RequestContext, RoleClient};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::elicit;

/// Characters of a message of progress that are passed on.
const MAX_MESSAGE: usize = 1_000;

/// The requests of a session that are not answered yet.
#[derive(Default)]
pub(super) struct Waiting {
    /// Held while a request is sent and put down here.
    pub(super) registering: tokio::sync::Mutex<()>,
    requests: Mutex<Requests>,
}

#[derive(Default)]
struct Requests {
    by_id: HashMap<RequestId, Waiter>,
    count: u64,
}

struct Waiter {
    token: ProgressToken,
    caller: Option<Arc<dyn ToolCaller>>,
    /// Fires when the request is not waited for any more.
    ended: CancellationToken,
    number: u64,
}

impl Waiting {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, id: RequestId, token: ProgressToken, caller: Option<Arc<dyn ToolCaller>>) {
        let mut requests = self.requests();
        requests.count += 1;
        let waiter = Waiter { token, caller, ended: CancellationToken::new(), number: requests.count };
        requests.by_id.insert(id, waiter);
    }

    pub(super) fn remove(&self, id: &RequestId) {
        if let Some(waiter) = self.requests().by_id.remove(id) {
            waiter.ended.cancel();
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.requests().by_id.is_empty()
    }

    fn caller_of(&self, token: &ProgressToken) -> Option<Arc<dyn ToolCaller>> {
        let requests = self.requests();
        let waiter = requests.by_id.values().find(|waiter| waiter.token == *token)?;
        waiter.caller.clone()
    }

    /// Who is to be asked what came with `extensions`: the caller of the request that it
    /// belongs to. Where the transport cannot tell, that of the newest: all are of one user.
    fn asked(&self, extensions: &Extensions) -> Option<(Arc<dyn ToolCaller>, CancellationToken)> {
        let requests = self.requests();
        let waiter = match extensions.get::<InboundStreamOrigin>() {
            Some(InboundStreamOrigin::OutboundRequest(id)) => requests.by_id.get(id),
            _ => requests.by_id.values().filter(|one| one.caller.is_some()).max_by_key(|one| one.number),
        }?;
        Some((waiter.caller.clone()?, waiter.ended.clone()))
    }
}

/// Answers the server of one session.
pub(super) struct Handler {
    waiting: Arc<Waiting>,
    config: ClientConfig,
}

impl Handler {
    pub(super) fn new(waiting: Arc<Waiting>) -> Self {
        let mut capabilities = ClientCapabilities::default();
        let elicitation = ElicitationCapability::new().with_form(FormElicitationCapability::default());
        capabilities.elicitation = Some(elicitation.with_url(UrlElicitationCapability::default()));
        let own = Implementation::new("aimate", env!("CARGO_PKG_VERSION"));
        // The revision of the older handshake, where it comes to that.
        let config =
            ClientConfig::new(capabilities, own).with_protocol_version(ProtocolVersion::V_2025_11_25);
        Self { waiting, config }
    }

    async fn ask(&self, question: &Value, context: &RequestContext<RoleClient>) -> ElicitResult {
        let Some((caller, ended)) = self.waiting.asked(&context.extensions) else {
            return elicit::nobody();
        };
        tokio::select! {
            answer = elicit::ask(question, caller.as_ref()) => answer,
            () = ended.cancelled() => elicit::nobody(),
            () = context.ct.cancelled() => elicit::nobody(),
        }
    }
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        drop(self.waiting.registering.lock().await);
        if let Some(caller) = self.waiting.caller_of(&progress.progress_token) {
            let mut told = ToolProgress::default();
            told.progress = progress.progress;
            told.total = progress.total;
            told.message = progress.message.map(|message| message.chars().take(MAX_MESSAGE).collect());
            caller.progress(told);
        }
    }

    async fn create_elicitation(
        &self,
        question: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let question = serde_json::to_value(question).unwrap_or_default();
        Ok(self.ask(&question, &context).await)
    }

    /// A question whose schema the SDK does not read comes as a request that it does not know.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        if request.method != "elicitation/create" {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None));
        }
        let answer = self.ask(&request.params.unwrap_or_default(), &context).await;
        Ok(CustomResult::new(serde_json::to_value(answer).unwrap_or_default()))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Err(ErrorData::method_not_found::<CreateMessageRequestMethod>())
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListRootsRequestMethod>())
    }
}
