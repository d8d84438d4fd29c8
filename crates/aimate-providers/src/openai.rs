//! OpenAI's chat API, by whoever serves it: OpenAI, LM Studio, vLLM, llama.cpp,
//! LiteLLM and the many others.

pub(crate) mod calls;
pub(crate) mod decode;
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
use crate::http::{BODY_LIMIT, Call, Transport};
use crate::stream;

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

/// In what OpenAI's API and OpenRouter's differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAI's own.
    OpenAi,
    /// OpenRouter's.
    OpenRouter,
}

impl Dialect {
    fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OpenAi => &[],
            Self::OpenRouter => crate::openrouter::HEADERS,
        }
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

/// Asks the model: events as they come, or all of them out of one body. A server
/// that sends one body although a stream was asked for is understood too.
pub(crate) async fn chat(
    transport: &Transport,
    dialect: Dialect,
    endpoint: &Endpoint,
    request: &ChatRequest,
) -> Result<ProviderStream> {
    let body = encode::body(dialect, endpoint, request)?;
    let call =
        Call::post(endpoint, "/chat/completions", &request.model, body).with_headers(dialect.headers());
    let mut answer = transport.send(&call).await?;
    let decoder = decode::ChatDecoder::new(dialect, request);
    if answer.is("text/html") {
        return Err(answer.peer.web_page());
    }
    if request.stream && !answer.is("application/json") {
        return Ok(stream::live(answer, decoder));
    }
    let data = answer.whole(BODY_LIMIT).await?;
    stream::whole(&answer.peer, &Frame { data, ..Frame::default() }, decoder.whole())
}

/// The server's model list.
pub(crate) async fn models(
    transport: &Transport,
    dialect: Dialect,
    endpoint: &Endpoint,
) -> Result<Vec<ListedModel>> {
    let mut answer = transport.send(&Call::get(endpoint, "/models").with_headers(dialect.headers())).await?;
    let body = answer.whole(BODY_LIMIT).await?;
    models::read(&answer.peer, dialect, &body)
}
