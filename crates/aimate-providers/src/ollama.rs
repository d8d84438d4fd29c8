//! Ollama's native API: lines of JSON, an explicit context window, and what its
//! OpenAI imitation leaves out.

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

use crate::frame::Frame;
use crate::http::{BODY_LIMIT, Call, Peer, Transport};
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
        let mut answer =
            self.transport.send(&Call::post(endpoint, "/api/chat", &request.model, body)).await?;
        if answer.is("text/html") {
            return Err(answer.peer.web_page());
        }
        let decoder = decode::ChatDecoder::new(request, sent);
        if request.stream {
            return Ok(stream::live(answer, decoder));
        }
        let data = answer.whole(BODY_LIMIT).await?;
        stream::whole(&answer.peer, &Frame { data, ..Frame::default() }, decoder)
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
            let mut answer = self.transport.send(&Call::post(endpoint, "/api/embed", model, body)).await?;
            let body = answer.whole(BODY_LIMIT).await?;
            let (vectors, tokens) = read_vectors(&answer.peer, &body)?;
            vector::add(&answer.peer, &mut all.vectors, vectors, input.len(), dimensions)?;
            all.usage.input_tokens += tokens;
        }
        Ok(all)
    }
}

/// Too long a text is an error rather than silently cut.
fn embed_body(endpoint: &Endpoint, model: &str, input: &[String], dimensions: Option<u32>) -> Vec<u8> {
    let mut body = serde_json::Map::new();
    body.insert("model".into(), model.into());
    body.insert("input".into(), input.into());
    body.insert("truncate".into(), false.into());
    body.extend(dimensions.map(|dimensions| ("dimensions".into(), dimensions.into())));
    body.extend(endpoint.settings.keep_alive.as_ref().map(|time| ("keep_alive".into(), json!(time))));
    Value::Object(body).to_string().into_bytes()
}

fn read_vectors(peer: &Peer, body: &[u8]) -> Result<(Vec<Vec<f32>>, u64)> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, default, deserialize_with = "list")]
        embeddings: Vec<&'a RawValue>,
        #[serde(default)]
        prompt_eval_count: Number,
        #[serde(default)]
        error: Option<Value>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body)
        .map_err(|error| peer.nonsense(format_args!("the answer is no list of vectors ({error})"), body))?;
    if let Some(error) = answer.error.filter(|error| !error.is_null()) {
        return Err(peer.complaint(&error));
    }
    let vectors = answer.embeddings.iter().map(|json| vector::vector(peer, json)).collect::<Result<_>>()?;
    Ok((vectors, answer.prompt_eval_count.count().unwrap_or(0)))
}
