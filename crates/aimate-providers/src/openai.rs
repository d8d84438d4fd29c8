//! OpenAI's chat API, as served by OpenAI, LM Studio, vLLM, llama.cpp, LiteLLM and
//! many others.

pub(crate) mod calls;
pub(crate) mod decode;
mod dialect;
pub(crate) mod embeddings;
pub(crate) mod encode;
pub(crate) mod models;
pub(crate) mod wire;

use aimate_core::Result;
use aimate_core::provider::{
    ChatProvider, ChatRequest, Embeddings, Endpoint, ListedModel, ProviderProfile, ProviderStream,
};
use async_trait::async_trait;

use crate::frame::Frame;
use crate::http::{Call, MAX_BODY, Transport};
use crate::stream;
pub(crate) use dialect::Dialect;

/// Servers that speak OpenAI's chat API.
#[derive(Clone)]
pub struct OpenAi {
    transport: Transport,
}

impl OpenAi {
    /// Over `transport`.
    pub fn new(transport: Transport) -> Self {
        Self { transport }
    }
}

#[async_trait]
impl ChatProvider for OpenAi {
    fn profile(&self) -> ProviderProfile {
        ProviderProfile::new().default_url("https://api.openai.com/v1").needs_key()
    }

    async fn chat(&self, endpoint: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        chat(&self.transport, Dialect::OpenAi, endpoint, request).await
    }

    async fn models(&self, endpoint: &Endpoint) -> Result<Vec<ListedModel>> {
        models(&self.transport, Dialect::OpenAi, endpoint).await
    }

    async fn embed(
        &self,
        endpoint: &Endpoint,
        model: &str,
        texts: &[String],
        dimensions: Option<u32>,
    ) -> Result<Embeddings> {
        embeddings::embed(&self.transport, Dialect::OpenAi, endpoint, model, texts, dimensions).await
    }
}

/// Calls the model and returns its events, streamed or from one body. Some servers
/// send one body although a stream was requested.
pub(crate) async fn chat(
    transport: &Transport,
    dialect: Dialect,
    endpoint: &Endpoint,
    request: &ChatRequest,
) -> Result<ProviderStream> {
    let body = encode::body(dialect, endpoint, request)?;
    let call =
        Call::post(endpoint, "/chat/completions", &request.model, body).with_headers(dialect.headers());
    let mut response = transport.send(&call).await?;
    let decoder = decode::OpenAiDecoder::new(dialect, request);
    if response.is("text/html") {
        return Err(response.errors.web_page());
    }
    if request.stream && !response.is("application/json") {
        return Ok(stream::streaming(response, decoder));
    }
    let data = response.read_all(MAX_BODY).await?;
    stream::single(&response.errors, &Frame { data, ..Frame::default() }, decoder.whole())
}

/// Lists the models of a server.
pub(crate) async fn models(
    transport: &Transport,
    dialect: Dialect,
    endpoint: &Endpoint,
) -> Result<Vec<ListedModel>> {
    let mut response =
        transport.send(&Call::get(endpoint, "/models").with_headers(dialect.headers())).await?;
    let body = response.read_all(MAX_BODY).await?;
    models::read(&response.errors, dialect, &body)
}
