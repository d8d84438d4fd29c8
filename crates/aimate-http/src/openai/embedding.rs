//! OpenAI's embeddings.

use std::fmt;

use aimate_core::Error;
use aimate_core::engine::{EmbeddingRequest, EmbeddingResponse};
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema::{EmbeddingList, EmbeddingUsage};
use super::write::put;
use crate::app::App;
use crate::content::Content;
use crate::error::Result;
use crate::json::{self, Json};
use crate::scope::Caller;

/// Maximum texts of one request, as in OpenAI's API.
const MAX_TEXTS: usize = 2_048;

/// Texts to embed.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EmbeddingBody {
    /// The model, as `CONNECTION/MODEL` or a bare name.
    model: Option<String>,
    /// A text, or up to 2,048 of them. Token ids of `cl100k_base`, as some clients
    /// send them, are read as the text that they stand for.
    #[schema(value_type = InputSchema)]
    input: Content<Input>,
    /// The encoding of the vectors; default `float`.
    encoding_format: Option<Encoding>,
    /// Dimensions of the vectors, for models that let one choose.
    dimensions: Option<u32>,
}

/// The encoding of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// A list of numbers.
    #[default]
    Float,
    /// Little-endian 32-bit floats in base64.
    Base64,
}

/// A text, or several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum InputSchema {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// One item of the input.
#[derive(Debug)]
enum Input {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputVisitor)
    }
}

struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = Input;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Input, E> {
        Ok(Input::Text(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Input, E> {
        u32::try_from(id).map(Input::Token).map_err(|_| E::custom("is no token id"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tokens: A) -> Result<Input, A::Error> {
        let mut ids = Vec::new();
        while let Some(id) = tokens.next_element()? {
            ids.push(id);
        }
        Ok(Input::Tokens(ids))
    }
}

/// Embeds texts.
#[utoipa::path(post, path = "/v1/embeddings", tag = "chat", request_body = EmbeddingBody,
    responses((status = 200, body = EmbeddingList)))]
pub(crate) async fn embeddings(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<EmbeddingBody>,
) -> Result<Response> {
    let _seat = app.seat(&scope)?;
    let mut request = request(body.input)?;
    request.model = body.model;
    request.dimensions = body.dimensions;
    let response = app.engine.embed(&scope, request).await?;
    Ok(json::bytes(write(&response, body.encoding_format.unwrap_or_default())))
}

fn request(input: Content<Input>) -> Result<EmbeddingRequest> {
    let items = input.into_parts(Input::Text);
    let mixed = || Error::field("input", "mixes texts and token ids");
    // A list of ids is one text.
    if !items.is_empty() && items.iter().all(|item| matches!(item, Input::Token(_))) {
        let ids =
            items.into_iter().filter_map(|item| if let Input::Token(id) = item { Some(id) } else { None });
        return Ok(EmbeddingRequest::of_tokens([ids.collect()]));
    }
    if items.is_empty() || items.len() > MAX_TEXTS {
        let message = format!("has {} texts; it must have 1 to {MAX_TEXTS}", items.len());
        return Err(Error::field("input", message).into());
    }
    let (mut texts, mut tokens) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Input::Text(text) if text.is_empty() => {
                return Err(Error::field("input", "has an empty text").into());
            }
            Input::Tokens(ids) if ids.is_empty() => {
                return Err(Error::field("input", "has an empty list of ids").into());
            }
            Input::Text(text) => texts.push(text),
            Input::Tokens(ids) => tokens.push(ids),
            Input::Token(_) => return Err(mixed().into()),
        }
    }
    match (texts.is_empty(), tokens.is_empty()) {
        (false, true) => Ok(EmbeddingRequest::new(texts)),
        (true, false) => Ok(EmbeddingRequest::of_tokens(tokens)),
        _ => Err(mixed().into()),
    }
}

fn write(response: &EmbeddingResponse, encoding: Encoding) -> Bytes {
    let numbers: usize = response.vectors.iter().map(Vec::len).sum();
    let mut text = BytesMut::with_capacity(256 + numbers * 12);
    let out = &mut text;
    out.put_slice(b"{\"object\":\"list\",\"data\":[");
    for (n, vector) in response.vectors.iter().enumerate() {
        out.put_slice(if n > 0 { b"," } else { b"".as_slice() });
        out.put_slice(b"{\"object\":\"embedding\",\"index\":");
        put(out, &n);
        out.put_slice(b",\"embedding\":");
        match encoding {
            Encoding::Float => put(out, vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                put(out, &STANDARD.encode(bytes));
            }
        }
        out.put_slice(b"}");
    }
    out.put_slice(b"],\"model\":");
    put(out, &response.model);
    out.put_slice(b",\"usage\":");
    let tokens = response.usage.input_tokens;
    put(out, &EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens });
    out.put_slice(b"}");
    text.freeze()
}
