//! OpenAI's answers as the document tells them. What is written is in
//! [`chunk`](super::chunk); the tests hold both together.
#![allow(dead_code, reason = "most of it is only there for its schema")]

use aimate_core::ConversationId;
use aimate_core::message::Citation;
use aimate_core::usage::{Cost, TokenUsage};
use serde::Serialize;
use utoipa::ToSchema;

/// What an answer used.
#[derive(Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Tokens read.
    prompt_tokens: u64,
    /// Tokens written.
    completion_tokens: u64,
    /// Both.
    total_tokens: u64,
    /// More about the tokens read.
    prompt_tokens_details: PromptTokens,
    /// More about the tokens written.
    completion_tokens_details: CompletionTokens,
    /// What it cost, in US dollars, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// Whether aiMate counted because the provider did not say.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    estimated: bool,
}

#[derive(Serialize, ToSchema)]
struct PromptTokens {
    /// Those the provider had cached.
    cached_tokens: u64,
}

#[derive(Serialize, ToSchema)]
struct CompletionTokens {
    /// Those of reasoning.
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
pub(crate) struct ChatCompletion {
    /// Its id.
    id: String,
    /// `chat.completion`.
    object: String,
    /// When it was made, in seconds since 1970.
    created: i64,
    /// The model that answered, as `CONNECTION/MODEL`.
    model: String,
    /// The conversation it was kept in.
    #[schema(required = false)]
    conversation_id: Option<ConversationId>,
    /// The answer: one.
    choices: Vec<Choice>,
    /// With `knowledge`: the passages that `[n]` in the answer stands for.
    #[schema(required = false)]
    citations: Option<Vec<Citation>>,
    /// What it used.
    usage: Usage,
}

/// A piece of an answer. The last line of a stream is `data: [DONE]`; an answer
/// that breaks off tells an error object before it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChatChunk {
    /// The answer's id.
    id: String,
    /// `chat.completion.chunk`.
    object: String,
    /// When the answer was begun, in seconds since 1970.
    created: i64,
    /// The model that answers, as `CONNECTION/MODEL`.
    model: String,
    /// The conversation it is kept in.
    #[schema(required = false)]
    conversation_id: Option<ConversationId>,
    /// What is new of the answer; empty beside the usage.
    choices: Vec<ChunkChoice>,
    /// With `knowledge`: the passages that `[n]` in the answer stands for, in the
    /// first chunk.
    #[schema(required = false)]
    citations: Option<Vec<Citation>>,
    /// What the answer used: in the last chunk, where it was asked for.
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
    /// The provider's own reason, where OpenAI has no name for it.
    #[schema(required = false)]
    native_finish_reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ChunkChoice {
    /// 0.
    index: u32,
    /// What is new; the role is in the first chunk alone.
    delta: Delta,
    /// Always null.
    logprobs: Option<bool>,
    /// Null but in the last chunk: `stop`, `length`, `tool_calls` or
    /// `content_filter`.
    finish_reason: Option<String>,
    /// The provider's own reason, where OpenAI has no name for it.
    #[schema(required = false)]
    native_finish_reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct AnswerMessage {
    /// `assistant`.
    role: String,
    /// The text; null where only tools are called.
    content: Option<String>,
    /// Always null.
    refusal: Option<String>,
    /// What the model thought.
    #[schema(required = false)]
    reasoning_content: Option<String>,
    /// The tools that it calls.
    #[schema(required = false)]
    tool_calls: Option<Vec<Call>>,
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
    /// More of what the model thinks.
    #[schema(required = false)]
    reasoning_content: Option<String>,
    /// A call of a tool, whole.
    #[schema(required = false)]
    tool_calls: Option<Vec<Call>>,
}

#[derive(Serialize, ToSchema)]
struct Call {
    /// Its place among the calls; in chunks alone.
    #[schema(required = false)]
    index: Option<u32>,
    /// Its id.
    id: String,
    /// `function`.
    #[serde(rename = "type")]
    kind: String,
    /// What is called.
    function: Called,
}

#[derive(Serialize, ToSchema)]
struct Called {
    /// The tool's name.
    name: String,
    /// The arguments: JSON in a text.
    arguments: String,
}

/// Vectors, in the order of the texts.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingList {
    /// `list`.
    object: String,
    /// The vectors.
    data: Vec<Vector>,
    /// The model that made them.
    model: String,
    /// What they used.
    usage: EmbeddingUsage,
}

#[derive(Serialize, ToSchema)]
struct Vector {
    /// `embedding`.
    object: String,
    /// The place of its text in the request.
    index: u32,
    /// The numbers, in the form that was asked for.
    embedding: Numbers,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Numbers {
    /// A list.
    Float(Vec<f32>),
    /// 32-bit numbers, little end first, in base64.
    Base64(String),
}

/// What vectors used.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    /// Tokens read.
    pub(super) prompt_tokens: u64,
    /// The same.
    pub(super) total_tokens: u64,
}
