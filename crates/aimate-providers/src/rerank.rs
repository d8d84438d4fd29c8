//! Rerank endpoints: servers that score passages against a query.

use std::time::Duration;

use aimate_core::connection::ConnectionSettings;
use aimate_core::knowledge::Reranker;
use aimate_core::provider::{AddressSource, Endpoint, ProviderId};
use aimate_core::{Error, Result, Secret};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use crate::http::{Call, MAX_BODY, Transport, UpstreamErrors};

/// Whom logs and errors name: a reranker has no provider beside it.
const PROVIDER: ProviderId = ProviderId::from_static("reranker");
/// How long a search waits for a reranker.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The request and response format of a rerank endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RerankShape {
    /// `{model, query, documents, top_n}` → `{results: [{index,
    /// relevance_score}]}`: Cohere (`https://api.cohere.com/v2`), Jina
    /// (`https://api.jina.ai/v1`), vLLM, llama.cpp and LiteLLM (`…/v1`).
    Cohere,
    /// `{query, texts}` → `[{index, score}]`: Hugging Face's
    /// text-embeddings-inference.
    Tei,
}

/// A reranker behind an HTTP endpoint.
///
/// ```
/// use aimate_providers::{HttpReranker, RerankShape, Transport};
/// let reranker = HttpReranker::new(Transport::new(), RerankShape::Tei, "http://127.0.0.1:8080");
/// # let _ = reranker;
/// ```
#[derive(Clone)]
pub struct HttpReranker {
    transport: Transport,
    shape: RerankShape,
    endpoint: Endpoint,
    model: String,
}

impl HttpReranker {
    /// A reranker at `url`, to which `/rerank` is added.
    pub fn new(transport: Transport, shape: RerankShape, url: &str) -> Self {
        let url = url.trim_end_matches('/');
        let endpoint = Endpoint {
            name: "reranker".to_owned(),
            provider: PROVIDER,
            url: url.strip_suffix("/rerank").unwrap_or(url).to_owned(),
            address_source: AddressSource::Operator,
            api_key: None,
            settings: ConnectionSettings {
                first_byte_timeout_ms: u64::try_from(TIMEOUT.as_millis()).ok(),
                retries: Some(1),
                ..ConnectionSettings::default()
            },
        };
        Self { transport, shape, endpoint, model: String::new() }
    }

    /// Sets the model. Default: none, for servers that have only one.
    #[must_use]
    pub fn model(self, model: impl Into<String>) -> Self {
        Self { model: model.into(), ..self }
    }

    /// Sets the key. Default: none.
    #[must_use]
    pub fn api_key(mut self, key: Secret) -> Self {
        self.endpoint.api_key = Some(key);
        self
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RerankResponse {
    Results { results: Vec<PassageScore> },
    List(Vec<PassageScore>),
}

#[derive(Deserialize)]
struct PassageScore {
    index: usize,
    #[serde(alias = "relevance_score")]
    score: f32,
}

#[async_trait]
impl Reranker for HttpReranker {
    fn name(&self) -> &str {
        if self.model.is_empty() { "reranker" } else { &self.model }
    }

    async fn rerank(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        if passages.is_empty() {
            return Ok(Vec::new());
        }
        let body = match self.shape {
            RerankShape::Cohere => {
                json!({"model": self.model, "query": query, "documents": passages, "top_n": passages.len()})
            }
            RerankShape::Tei => json!({"query": query, "texts": passages, "truncate": true}),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let call = Call::post(&self.endpoint, "/rerank", &self.model, body);
        let mut response = self.transport.send(&call).await?;
        let body = response.read_all(MAX_BODY).await?;
        read(&response.errors, &body, passages.len())
    }
}

/// Returns the scores in the order of the passages.
fn read(errors: &UpstreamErrors, body: &[u8], count: usize) -> Result<Vec<f32>> {
    let invalid = |what: &str| -> Error { errors.invalid_response(what, body) };
    let response: RerankResponse =
        serde_json::from_slice(body).map_err(|_| invalid("the response is not a list of scores"))?;
    let entries = match response {
        RerankResponse::Results { results } => results,
        RerankResponse::List(results) => results,
    };
    let mut scores = vec![f32::NAN; count];
    for PassageScore { index, score } in entries {
        let place = scores.get_mut(index).ok_or_else(|| invalid("a score has an index without a passage"))?;
        *place = score;
    }
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(invalid("a passage has no finite score"));
    }
    Ok(scores)
}
