//! OpenAI's chat API, as served by OpenAI, LM Studio, vLLM, llama.cpp, LiteLLM and
//! many others.

pub(crate) mod calls;
mod content;
pub(crate) mod decode;
mod dialect;
pub(crate) mod embeddings;
pub(crate) mod encode;
mod learned;
pub(crate) mod models;
mod opaque;
mod usage;
mod verbatim;
pub(crate) mod wire;

use aimate_core::provider::{
    ChatProvider, ChatRequest, Embeddings, Endpoint, ListedModel, ProviderProfile, ProviderStream,
};
use aimate_core::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;

use crate::http::{Call, MAX_BODY, ResponseBody, Transport};
use crate::stream;
pub(crate) use dialect::Dialect;
pub(crate) use learned::Learned;

/// Servers that speak OpenAI's chat API.
#[derive(Clone)]
pub struct OpenAi {
    transport: Transport,
    learned: Learned,
}

impl OpenAi {
    /// Over `transport`.
    pub fn new(transport: Transport) -> Self {
        Self { transport, learned: Learned::default() }
    }
}

#[async_trait]
impl ChatProvider for OpenAi {
    fn profile(&self) -> ProviderProfile {
        ProviderProfile::new().default_url("https://api.openai.com/v1").needs_key()
    }

    async fn chat(&self, endpoint: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        chat(&self.transport, &self.learned, Dialect::OpenAi, endpoint, request).await
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

/// Times that one question is sent again in another form, after a refusal.
const MAX_FORMS: usize = 4;

/// Calls the model and returns its events, streamed or from one body. Some servers
/// send one body although a stream was requested, or the other way round.
pub(crate) async fn chat(
    transport: &Transport,
    learned: &Learned,
    dialect: Dialect,
    endpoint: &Endpoint,
    request: &ChatRequest,
) -> Result<ProviderStream> {
    let mut response = send(transport, learned, dialect, endpoint, request).await?;
    if response.is("text/html") {
        return Err(response.errors.web_page());
    }
    let decoder = decode::OpenAiDecoder::new(request);
    // An error that is said at once has a status of its own.
    if request.stream && !(response.is("application/json") && response.begins_with_json().await?) {
        return Ok(stream::streaming(response, decoder));
    }
    let body = response.read_all(MAX_BODY).await?;
    stream::whole(&response.errors, body, decoder)
}

/// Sends the question. What the server refuses is left out or named otherwise, and
/// once it takes that, from then on.
async fn send(
    transport: &Transport,
    learned: &Learned,
    dialect: Dialect,
    endpoint: &Endpoint,
    request: &ChatRequest,
) -> Result<ResponseBody> {
    let known = learned.of(endpoint, &request.model);
    let mut takes = known;
    let mut first = None;
    for _ in 0..=MAX_FORMS {
        let body: Bytes = encode::body(dialect, endpoint, request, takes)?.into();
        let call = Call::post(endpoint, "/chat/completions", &request.model, body.clone());
        match transport.try_send(&call.with_headers(dialect.headers())).await {
            Ok(response) => {
                if takes != known {
                    tracing::info!(connection = %endpoint.name, model = %request.model, ?takes, "a model server takes less than was sent");
                    learned.keep(endpoint, &request.model, takes);
                }
                return Ok(response);
            }
            Err(refused) => {
                let next = takes.after(&refused, request, &body);
                // Another form that is refused too says nothing of the first.
                first.get_or_insert(refused.error);
                match next {
                    Some(next) => takes = next,
                    None => break,
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| Error::internal("no form of the question was sent")))
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
