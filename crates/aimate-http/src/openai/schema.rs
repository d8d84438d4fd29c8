//! OpenAI's answers as the OpenAPI document describes them. They are serialized
//! elsewhere, by hand; tests compare the two.
#![allow(dead_code, reason = "most types exist for their schema only")]

use aimate_core::ConversationId;
use aimate_core::message::Citation;
use aimate_core::usage::{Cost, TokenUsage};
use serde::Serialize;
use utoipa::ToSchema;

/// The tokens and the cost of an answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Tokens of the prompt.
    prompt_tokens: u64,
    /// Tokens of the answer.
    completion_tokens: u64,
    /// The sum of both.
    total_tokens: u64,
    /// Details of `prompt_tokens`.
    prompt_tokens_details: PromptTokens,
    /// Details of `completion_tokens`.
    completion_tokens_details: CompletionTokens,
    /// The cost in US dollars, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// Whether aiMate estimated the tokens because the provider sent none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    estimated: bool,
}

#[derive(Serialize, ToSchema)]
struct PromptTokens {
    /// Tokens read from the provider's cache.
    cached_tokens: u64,
}

#[derive(Serialize, ToSchema)]
struct CompletionTokens {
    /// Tokens of reasoning.
    reasoning_tokens: u64,
}

impl From<&TokenUsage> for Usage {
    fn from(usage: &TokenUsage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            prompt_tokens_details: PromptTokens { cached_tokens: usage.cached_tokens },
            completion_tokens_details: CompletionTokens { reasoning_tokens: usage.reasoning_tokens },
            cost: usage.cost.map(Cost::dollars),
            estimated: usage.estimated,
        }
    }
}

/// A whole answer.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatCompletion)]
pub(crate) struct ChatCompletionSchema {
    /// Its id.
    id: String,
    /// `chat.completion`.
    object: String,
    /// The time of the answer, in seconds since 1970.
    created: i64,
    /// The model, as `CONNECTION/MODEL`.
    model: String,
    /// The conversation that it is stored in.
    #[schema(required = false)]
    conversation_id: Option<ConversationId>,
    /// Exactly one.
    choices: Vec<Choice>,
    /// With `knowledge`: the passages that `[n]` in the answer refers to.
    #[schema(required = false)]
    citations: Option<Vec<Citation>>,
    /// Tokens and cost.
    usage: Usage,
}

/// A piece of a streamed answer. The last line of a stream is `data: [DONE]`; an
/// answer that fails sends an error object before it.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatChunk)]
pub(crate) struct ChatChunkSchema {
    /// The answer's id.
    id: String,
    /// `chat.completion.chunk`.
    object: String,
    /// The start of the answer, in seconds since 1970.
    created: i64,
    /// The model, as `CONNECTION/MODEL`.
    model: String,
    /// The conversation that it is stored in.
    #[schema(required = false)]
    conversation_id: Option<ConversationId>,
    /// Exactly one; none in the chunk with the usage.
    choices: Vec<ChunkChoice>,
    /// With `knowledge`: the passages that `[n]` in the answer refers to, in the
    /// first chunk.
    #[schema(required = false)]
    citations: Option<Vec<Citation>>,
    /// Tokens and cost: in the last chunk, if `include_usage` was set.
    #[schema(required = false)]
    usage: Option<Usage>,
}

#[derive(Serialize, ToSchema)]
struct Choice {
    /// 0.
    index: u32,
    /// The answer.
    message: AnswerMessage,
    /// Always null.
    logprobs: Option<bool>,
    /// `stop`, `length`, `tool_calls` or `content_filter`.
    finish_reason: String,
    /// The provider's own reason, if OpenAI has no name for it.
    #[schema(required = false)]
    native_finish_reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ChunkChoice {
    /// 0.
    index: u32,
    /// The new part; only the first chunk has the role.
    delta: Delta,
    /// Always null.
    logprobs: Option<bool>,
    /// Null except in the last chunk: `stop`, `length`, `tool_calls` or
    /// `content_filter`.
    finish_reason: Option<String>,
    /// The provider's own reason, if OpenAI has no name for it.
    #[schema(required = false)]
    native_finish_reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct AnswerMessage {
    /// `assistant`.
    role: String,
    /// The text; null if the answer only calls tools.
    content: Option<String>,
    /// Always null.
    refusal: Option<String>,
    /// The reasoning of the model.
    #[schema(required = false)]
    reasoning_content: Option<String>,
    /// The tool calls.
    #[schema(required = false)]
    tool_calls: Option<Vec<ChatToolCall>>,
}

#[derive(Serialize, ToSchema)]
struct Delta {
    /// `assistant`.
    #[schema(required = false)]
    role: Option<String>,
    /// More text.
    #[schema(required = false)]
    content: Option<String>,
    /// Always null.
    #[schema(required = false)]
    refusal: Option<String>,
    /// More reasoning.
    #[schema(required = false)]
    reasoning_content: Option<String>,
    /// A whole tool call.
    #[schema(required = false)]
    tool_calls: Option<Vec<ChatToolCall>>,
}

#[derive(Serialize, ToSchema)]
struct ChatToolCall {
    /// Its position among the calls; in chunks only.
    #[schema(required = false)]
    index: Option<u32>,
    /// Its id.
    id: String,
    /// `function`.
    #[serde(rename = "type")]
    kind: String,
    /// The function.
    function: ChatFunctionCall,
}

#[derive(Serialize, ToSchema)]
struct ChatFunctionCall {
    /// The tool's name.
    name: String,
    /// The arguments, as JSON in a string.
    arguments: String,
}

/// Vectors in the order of the texts.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingList {
    /// `list`.
    object: String,
    /// The vectors.
    data: Vec<EmbeddingItem>,
    /// The model.
    model: String,
    /// Tokens of the texts.
    usage: EmbeddingUsage,
}

#[derive(Serialize, ToSchema)]
struct EmbeddingItem {
    /// `embedding`.
    object: String,
    /// The position of its text in the request.
    index: u32,
    /// The numbers, in the requested encoding.
    embedding: EmbeddingVector,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum EmbeddingVector {
    /// A list.
    Float(Vec<f32>),
    /// Little-endian 32-bit floats in base64.
    Base64(String),
}

/// The tokens of an embedding request.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    /// Tokens of the texts.
    pub(super) prompt_tokens: u64,
    /// The same.
    pub(super) total_tokens: u64,
}
