//! Vectors from OpenAI-like servers.

use aimate_core::Result;
use aimate_core::provider::{Embeddings, Endpoint};
use aimate_core::usage::TokenUsage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Dialect;
use super::wire::Usage;
use crate::http::{BODY_LIMIT, Call, Peer, Transport};
use crate::json::{Number, list};
use crate::vector;

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default, deserialize_with = "list")]
    data: Vec<Entry<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(default)]
    index: Number,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Vectors for `texts`, batch after batch.
pub(crate) async fn embed(
    transport: &Transport,
    dialect: Dialect,
    endpoint: &Endpoint,
    model: &str,
    texts: &[String],
    dimensions: Option<u32>,
) -> Result<Embeddings> {
    let mut all = Embeddings { vectors: Vec::with_capacity(texts.len()), usage: TokenUsage::default() };
    for range in vector::batches(texts) {
        let input = texts.get(range).unwrap_or_default();
        let body = serde_json::to_vec(&Request { model, input, dimensions }).unwrap_or_default();
        let call = Call::post(endpoint, "/embeddings", model, body).with_headers(dialect.headers());
        let mut answer = transport.send(&call).await?;
        let body = answer.whole(BODY_LIMIT).await?;
        let (vectors, usage) = read(&answer.peer, &body)?;
        vector::add(&answer.peer, &mut all.vectors, vectors, input.len(), dimensions)?;
        all.usage.input_tokens += usage.input_tokens;
        if let Some(cost) = usage.cost {
            all.usage.cost.get_or_insert_default().0 += cost.0;
        }
    }
    Ok(all)
}

/// The vectors of one batch in the order of their texts.
fn read(peer: &Peer, body: &[u8]) -> Result<(Vec<Vec<f32>>, TokenUsage)> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| {
        if body.trim_ascii().starts_with(b"<") {
            return peer.web_page();
        }
        peer.nonsense(format_args!("the answer is no list of vectors ({error})"), body)
    })?;
    if let Some(error) = answer.error.filter(|error| !error.is_null()) {
        return Err(peer.complaint(&error));
    }
    let mut entries = answer.data;
    let has_indexes = entries.iter().all(|entry| entry.index.count().is_some());
    if has_indexes {
        entries.sort_by_key(|entry| entry.index.count());
        let is_complete = entries.iter().zip(0..).all(|(entry, n)| entry.index.count() == Some(n));
        if !is_complete {
            return Err(peer.nonsense("the vectors' indexes have gaps or doubles", b""));
        }
    }
    let vectors = entries.iter().map(|entry| vector::vector(peer, entry.embedding)).collect::<Result<_>>()?;
    Ok((vectors, answer.usage.and_then(|usage| usage.tokens()).unwrap_or_default()))
}
