//! OpenRouter: OpenAI's API with its own headers, prices, reasoning and errors.

use aimate_core::Result;
use aimate_core::provider::{
    ChatProvider, ChatRequest, Embeddings, Endpoint, ListedModel, ProviderProfile, ProviderStream,
};
use async_trait::async_trait;

use crate::http::Transport;
use crate::openai::{self, Dialect, Learned, embeddings};

/// OpenRouter.
#[derive(Clone)]
pub struct OpenRouter {
    transport: Transport,
    learned: Learned,
}

impl OpenRouter {
    /// Over `transport`.
    pub fn new(transport: Transport) -> Self {
        Self { transport, learned: Learned::default() }
    }
}

#[async_trait]
impl ChatProvider for OpenRouter {
    fn profile(&self) -> ProviderProfile {
        ProviderProfile::new().default_url("https://openrouter.ai/api/v1").needs_key()
    }

    async fn chat(&self, endpoint: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        openai::chat(&self.transport, &self.learned, Dialect::OpenRouter, endpoint, request).await
    }

    async fn models(&self, endpoint: &Endpoint) -> Result<Vec<ListedModel>> {
        openai::models(&self.transport, Dialect::OpenRouter, endpoint).await
    }

    async fn embed(
        &self,
        endpoint: &Endpoint,
        model: &str,
        texts: &[String],
        dimensions: Option<u32>,
    ) -> Result<Embeddings> {
        embeddings::embed(&self.transport, Dialect::OpenRouter, endpoint, model, texts, dimensions).await
    }
}
