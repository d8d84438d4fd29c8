//! The forms of what `/v1/responses` returns, for the OpenAPI document: the objects are made as
//! JSON, with the fields that OpenAI's document lists.
#![allow(dead_code, reason = "only their schemas are used")]

use serde::Serialize;
use utoipa::ToSchema;

/// A response. Beside these fields it repeats those of its request, with the values that
/// counted.
#[derive(Serialize, ToSchema)]
#[schema(as = Response)]
pub(crate) struct ResponseSchema {
    /// `resp_` and the id of its run.
    id: String,
    /// `response`.
    object: String,
    /// The time of its request, in seconds since 1970.
    created_at: i64,
    /// When it was complete, in seconds since 1970.
    completed_at: Option<i64>,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    status: String,
    /// Why it failed.
    #[schema(value_type = Option<Object>)]
    error: Option<serde_json::Value>,
    /// Why it was cut off: `max_output_tokens` or `content_filter`.
    #[schema(value_type = Option<Object>)]
    incomplete_details: Option<serde_json::Value>,
    /// The model, as `CONNECTION/MODEL`.
    model: String,
    /// The items of the answer.
    #[schema(value_type = Vec<Object>)]
    output: Vec<serde_json::Value>,
    /// The response that it follows.
    previous_response_id: Option<String>,
    /// The conversation that it is added to, with its `id`.
    #[schema(value_type = Option<Object>)]
    conversation: Option<serde_json::Value>,
    /// Tokens; null until it has ended.
    #[schema(value_type = Option<Object>)]
    usage: Option<serde_json::Value>,
}

/// An event of a response. The last line of a stream is `data: [DONE]`.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseEvent)]
pub(crate) struct ResponseEventSchema {
    /// What it is, such as `response.output_text.delta`.
    #[serde(rename = "type")]
    kind: String,
    /// Its number, from 0, without a gap.
    sequence_number: u64,
}

/// A response that was deleted.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeletedResponse {
    /// Its id.
    pub(super) id: String,
    /// `response.deleted`.
    pub(super) object: &'static str,
    /// True.
    pub(super) deleted: bool,
}

/// The tokens of a request.
#[derive(Serialize, ToSchema)]
pub(crate) struct InputTokens {
    /// `response.input_tokens`.
    pub(super) object: &'static str,
    /// What the model would be shown.
    pub(super) input_tokens: u64,
}

/// A context that was made shorter.
#[derive(Serialize, ToSchema)]
#[schema(as = Compaction)]
pub(crate) struct CompactionSchema {
    /// Its id. It is no response, and nothing can follow it by its id.
    id: String,
    /// `response.compaction`.
    object: String,
    /// When it was made, in seconds since 1970.
    created_at: i64,
    /// What to send as `input`: what users said, and last an item of the type `compaction`.
    #[schema(value_type = Vec<Object>)]
    output: Vec<serde_json::Value>,
    /// Tokens.
    #[schema(value_type = Object)]
    usage: serde_json::Value,
}
