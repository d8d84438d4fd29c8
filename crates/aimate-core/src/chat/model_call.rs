//! One call of a model.

use std::sync::Arc;

use tokio::time::timeout_at;

use super::answer_limits::too_slow;
use crate::error::{Error, Result};
use crate::provider::{ChatProvider, ChatRequest, Endpoint, ProviderStream};

/// Adds to a server's refusal what the engine knows of its models.
pub(crate) type ExplainRefusal = Box<dyn Fn(Error) -> Error + Send + Sync>;

/// What a model is asked, and how it is reached.
pub(crate) struct ModelCall {
    pub(crate) provider: Arc<dyn ChatProvider>,
    pub(crate) endpoint: Endpoint,
    pub(crate) request: ChatRequest,
    pub(crate) explain: ExplainRefusal,
}

impl ModelCall {
    /// Asks the model; the answer keeps to the limits of the request.
    ///
    /// # Errors
    /// What the server says; see [`ChatProvider::chat`]. `Timeout` if it has not
    /// begun to answer in the time of an answer.
    pub(crate) async fn send(&self) -> Result<ProviderStream> {
        ask(self.provider.as_ref(), &self.endpoint, &self.request)
            .await
            .map_err(|error| (self.explain)(error))
    }
}

/// Asks a model; the answer keeps to the limits of the request.
///
/// # Errors
/// See [`ModelCall::send`].
pub(crate) async fn ask(
    provider: &dyn ChatProvider,
    endpoint: &Endpoint,
    request: &ChatRequest,
) -> Result<ProviderStream> {
    let limits = request.limits;
    let deadline = limits.deadline();
    match timeout_at(deadline, provider.chat(endpoint, request)).await {
        Ok(stream) => Ok(limits.hold(stream?, deadline)),
        Err(_) => Err(too_slow(limits.time)),
    }
}
