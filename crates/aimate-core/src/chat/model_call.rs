//! One call of a model.

use std::sync::Arc;

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
    /// Asks the model.
    ///
    /// # Errors
    /// What the server says; see [`ChatProvider::chat`].
    pub(crate) async fn send(&self) -> Result<ProviderStream> {
        self.provider.chat(&self.endpoint, &self.request).await.map_err(|error| (self.explain)(error))
    }
}
