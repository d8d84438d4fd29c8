//! The responses of OpenAI-compatible servers: one type for chunks and whole
//! answers, in which any field may be missing, null or of another type.

use aimate_core::usage::{Cost, TokenUsage};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::{Number, Text, list};

/// A `chat.completion.chunk` or a `chat.completion`.
#[derive(Deserialize)]
pub(crate) struct Chunk<'a> {
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) choices: Vec<Choice<'a>>,
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    #[serde(default)]
    pub(crate) error: Option<Value>,
    /// Where some servers put their error's text.
    #[serde(default)]
    pub(crate) detail: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(default)]
    pub(crate) index: Number,
    /// In a stream.
    #[serde(borrow, default)]
    pub(crate) delta: Option<Delta<'a>>,
    /// In a whole answer; boxed so that pieces of a stream stay small.
    #[serde(borrow, default)]
    pub(crate) message: Option<Box<Delta<'a>>>,
    #[serde(borrow, default)]
    pub(crate) finish_reason: Text<'a>,
    #[serde(default)]
    pub(crate) error: Option<Value>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Delta<'a> {
    #[serde(borrow, default)]
    pub(crate) content: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) reasoning: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) reasoning_content: Text<'a>,
    #[serde(default)]
    pub(crate) reasoning_details: Option<Value>,
    #[serde(borrow, default)]
    pub(crate) refusal: Text<'a>,
    #[serde(borrow, default, deserialize_with = "list")]
    pub(crate) tool_calls: Vec<CallPiece<'a>>,
    /// The single call of the API before `tool_calls`.
    #[serde(borrow, default)]
    pub(crate) function_call: Option<FunctionPiece<'a>>,
}

/// A piece of a tool call.
#[derive(Deserialize)]
pub(crate) struct CallPiece<'a> {
    #[serde(default)]
    pub(crate) index: Number,
    #[serde(borrow, default)]
    pub(crate) id: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) function: Option<FunctionPiece<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct FunctionPiece<'a> {
    #[serde(borrow, default)]
    pub(crate) name: Text<'a>,
    /// A piece of JSON in a string, or from some servers the object itself.
    #[serde(borrow, default)]
    pub(crate) arguments: Option<&'a RawValue>,
}

/// The usage of an answer.
#[derive(Clone, Copy, Default, Deserialize)]
pub(crate) struct Usage {
    #[serde(default)]
    prompt_tokens: Number,
    #[serde(default)]
    completion_tokens: Number,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for what was cached.
    #[serde(default)]
    prompt_cache_hit_tokens: Number,
    /// OpenRouter's price of the answer in dollars.
    #[serde(default)]
    cost: Number,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Number,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Number,
}

impl Usage {
    /// Converts the usage; `None` if it has no tokens.
    pub(crate) fn tokens(&self) -> Option<TokenUsage> {
        let count = |number: Number| number.count().unwrap_or(0);
        let cached = self.prompt_tokens_details.and_then(|details| details.cached_tokens.count());
        let reasoning = self.completion_tokens_details.map(|details| details.reasoning_tokens);
        let usage = TokenUsage {
            input_tokens: count(self.prompt_tokens),
            output_tokens: count(self.completion_tokens),
            cached_tokens: cached.unwrap_or_else(|| count(self.prompt_cache_hit_tokens)),
            reasoning_tokens: count(reasoning.unwrap_or_default()),
            cost: self.cost.0.filter(|cost| *cost >= 0.0).map(Cost::from_dollars),
            estimated: false,
        };
        (usage.input_tokens + usage.output_tokens > 0).then_some(usage)
    }
}
