//! Rerank endpoints: servers that read a question and passages together.

use std::time::Duration;

use aimate_core::connection::ConnectionSettings;
use aimate_core::knowledge::Reranker;
use aimate_core::provider::{Endpoint, ProviderId};
use aimate_core::{Error, Result, Secret};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use crate::http::{BODY_LIMIT, Call, Peer, Transport};

/// Whom logs and errors name: a reranker has no provider beside it.
const PROVIDER: ProviderId = ProviderId::from_static("reranker");
/// How long a search waits for a reranker.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a rerank endpoint is asked and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
/// let reranker = HttpReranker::new(Transport::new(), RerankShape::Tei, "http://127.0.0.1:8080", "", None);
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
    /// The model `model` (empty where the server has one alone) at `url`, to
    /// which `/rerank` is added.
    pub fn new(
        transport: Transport,
        shape: RerankShape,
        url: &str,
        model: impl Into<String>,
        api_key: Option<Secret>,
    ) -> Self {
        let url = url.trim_end_matches('/');
        let endpoint = Endpoint {
            name: "reranker".to_owned(),
            provider: PROVIDER,
            url: url.strip_suffix("/rerank").unwrap_or(url).to_owned(),
            api_key,
            settings: ConnectionSettings {
                first_byte_timeout_ms: u64::try_from(PATIENCE.as_millis()).ok(),
                retries: Some(1),
                ..ConnectionSettings::default()
            },
        };
        Self { transport, shape, endpoint, model: model.into() }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Results { results: Vec<Entry> },
    List(Vec<Entry>),
}

#[derive(Deserialize)]
struct Entry {
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
        let mut answer = self.transport.send(&call).await?;
        let body = answer.whole(BODY_LIMIT).await?;
        read(&answer.peer, &body, passages.len())
    }
}

/// The scores in the order of the passages.
fn read(peer: &Peer, body: &[u8], count: usize) -> Result<Vec<f32>> {
    let nonsense = |what: &str| -> Error { peer.nonsense(what, body) };
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| nonsense("the answer is no list of scores"))?;
    let entries = match answer {
        Answer::Results { results } => results,
        Answer::List(results) => results,
    };
    let mut scores = vec![f32::NAN; count];
    for Entry { index, score } in entries {
        let place = scores.get_mut(index).ok_or_else(|| nonsense("a score is of no passage"))?;
        *place = score;
    }
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(nonsense("a passage has no score that is a number"));
    }
    Ok(scores)
}
