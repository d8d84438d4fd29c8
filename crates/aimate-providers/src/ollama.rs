//! Ollama's native API. Its OpenAI-compatible one has no context window to set,
//! and leaves out other things.

mod decode;
mod encode;
mod models;

use aimate_core::Result;
use aimate_core::provider::{
    ChatProvider, ChatRequest, Embeddings, Endpoint, ListedModel, ProviderProfile, ProviderStream,
};
use aimate_core::usage::TokenUsage;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::http::{Call, MAX_BODY, Transport, UpstreamErrors};
use crate::json::{Number, list};
use crate::{stream, vector};

/// Tokens of the context window that is asked for where the connection does not
/// set it: Ollama holds the whole window in memory, so a model's largest one may
/// not fit the machine.
const WINDOW: u32 = 8_192;

/// Ollama servers.
#[derive(Clone)]
pub struct Ollama {
    transport: Transport,
}

impl Ollama {
    /// Over `transport`.
    pub fn new(transport: Transport) -> Self {
        Self { transport }
    }
}

#[async_trait]
impl ChatProvider for Ollama {
    fn profile(&self) -> ProviderProfile {
        ProviderProfile::new()
            .default_url("http://127.0.0.1:11434")
            .default_window(WINDOW)
            .max_window(WINDOW)
            .optional_suffix(":latest")
    }

    async fn chat(&self, endpoint: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        let (body, sent) = encode::body(endpoint, request)?;
        let mut response =
            self.transport.send(&Call::post(endpoint, "/api/chat", &request.model, body)).await?;
        if response.is("text/html") {
            return Err(response.errors.web_page());
        }
        let decoder = decode::OllamaDecoder::new(request, sent);
        if request.stream {
            return Ok(stream::streaming(response, decoder));
        }
        let body = response.read_all(MAX_BODY).await?;
        stream::whole(&response.errors, body, decoder)
    }

    async fn models(&self, endpoint: &Endpoint) -> Result<Vec<ListedModel>> {
        models::list(&self.transport, endpoint).await
    }

    async fn embed(
        &self,
        endpoint: &Endpoint,
        model: &str,
        texts: &[String],
        dimensions: Option<u32>,
    ) -> Result<Embeddings> {
        let mut all = Embeddings { vectors: Vec::with_capacity(texts.len()), usage: TokenUsage::default() };
        for range in vector::batches(texts) {
            let input = texts.get(range).unwrap_or_default();
            let body = embed_body(endpoint, model, input, dimensions);
            let mut response = self.transport.send(&Call::post(endpoint, "/api/embed", model, body)).await?;
            let body = response.read_all(MAX_BODY).await?;
            let (vectors, tokens) = read_vectors(&response.errors, &body)?;
            vector::add(&response.errors, &mut all.vectors, vectors, input.len(), dimensions)?;
            all.usage.input_tokens += tokens;
        }
        Ok(all)
    }
}

/// `truncate` is off: an error is better than a vector of half the text.
fn embed_body(endpoint: &Endpoint, model: &str, input: &[String], dimensions: Option<u32>) -> Vec<u8> {
    let mut body = serde_json::Map::new();
    body.insert("model".into(), model.into());
    body.insert("input".into(), input.into());
    body.insert("truncate".into(), false.into());
    body.extend(dimensions.map(|dimensions| ("dimensions".into(), dimensions.into())));
    body.extend(endpoint.settings.keep_alive.as_ref().map(|time| ("keep_alive".into(), json!(time))));
    Value::Object(body).to_string().into_bytes()
}

fn read_vectors(errors: &UpstreamErrors, body: &[u8]) -> Result<(Vec<Vec<f32>>, u64)> {
    #[derive(Deserialize)]
    struct EmbedResponse<'a> {
        #[serde(borrow, default, deserialize_with = "list")]
        embeddings: Vec<&'a RawValue>,
        #[serde(default)]
        prompt_eval_count: Number,
        #[serde(default)]
        error: Option<Value>,
    }
    let response: EmbedResponse<'_> = serde_json::from_slice(body).map_err(|error| {
        errors.invalid_response(format_args!("the response is not a list of vectors ({error})"), body)
    })?;
    if let Some(error) = response.error.filter(|error| !error.is_null()) {
        return Err(errors.error_object(&error));
    }
    let vectors =
        response.embeddings.iter().map(|json| vector::vector(errors, json)).collect::<Result<_>>()?;
    Ok((vectors, response.prompt_eval_count.count().unwrap_or(0)))
}
