//! Embeddings of OpenAI-compatible servers.

use aimate_core::Result;
use aimate_core::provider::{Embeddings, Endpoint};
use aimate_core::usage::TokenUsage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::dialect::Dialect;
use super::usage::Usage;
use crate::http::{Call, MAX_BODY, Transport, UpstreamErrors};
use crate::json::{Number, list};
use crate::vector;

#[derive(Serialize)]
struct EmbeddingsRequest<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
struct EmbeddingsResponse<'a> {
    #[serde(borrow, default, deserialize_with = "list")]
    data: Vec<EmbeddingEntry<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct EmbeddingEntry<'a> {
    #[serde(default)]
    index: Number,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Embeds `texts`, one batch after the other.
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
        let body = serde_json::to_vec(&EmbeddingsRequest { model, input, dimensions }).unwrap_or_default();
        let call = Call::post(endpoint, "/embeddings", model, body).with_headers(dialect.headers());
        let mut response = transport.send(&call).await?;
        let body = response.read_all(MAX_BODY).await?;
        let (vectors, usage) = read(&response.errors, &body)?;
        vector::add(&response.errors, &mut all.vectors, vectors, input.len(), dimensions)?;
        all.usage.input_tokens += usage.input_tokens;
        if let Some(cost) = usage.cost {
            all.usage.cost.get_or_insert_default().0 += cost.0;
        }
    }
    Ok(all)
}

/// Returns the vectors of one batch in the order of its texts.
fn read(errors: &UpstreamErrors, body: &[u8]) -> Result<(Vec<Vec<f32>>, TokenUsage)> {
    let response: EmbeddingsResponse<'_> = serde_json::from_slice(body).map_err(|error| {
        if body.trim_ascii().starts_with(b"<") {
            return errors.web_page();
        }
        errors.invalid_response(format_args!("the response is not a list of vectors ({error})"), body)
    })?;
    if let Some(error) = response.error.filter(|error| !error.is_null()) {
        return Err(errors.error_object(&error));
    }
    let mut entries = response.data;
    let has_indexes = entries.iter().all(|entry| entry.index.count().is_some());
    if has_indexes {
        entries.sort_by_key(|entry| entry.index.count());
        let is_complete = entries.iter().zip(0..).all(|(entry, n)| entry.index.count() == Some(n));
        if !is_complete {
            return Err(errors.invalid_response("the vectors' indexes have gaps or duplicates", b""));
        }
    }
    let vectors =
        entries.iter().map(|entry| vector::vector(errors, entry.embedding)).collect::<Result<_>>()?;
    Ok((vectors, response.usage.and_then(|usage| usage.tokens()).unwrap_or_default()))
}
