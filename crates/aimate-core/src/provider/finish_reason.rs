//! Why a model stopped, in whatever words.

use serde::{Deserialize, Serialize};

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It reached the limit of tokens.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// A filter of the provider stopped it.
    ContentFilter,
    /// What else the provider says.
    Other(String),
}

impl FinishReason {
    /// The word of an answer that was stopped because a budget is used up.
    pub const BUDGET: &'static str = "budget";

    /// A budget is used up.
    pub fn budget() -> Self {
        Self::Other(Self::BUDGET.to_owned())
    }

    /// Somebody stopped it.
    pub(crate) fn cancelled() -> Self {
        Self::Other("cancelled".to_owned())
    }

    /// Whether it is [`FinishReason::budget`].
    pub fn is_budget(&self) -> bool {
        matches!(self, Self::Other(word) if word == Self::BUDGET)
    }

    /// The reason that a provider's word stands for, in whatever case; `None` for
    /// one that stands for none, such as `null`.
    pub fn named(word: &str) -> Option<Self> {
        let word = word.trim();
        match word.to_ascii_lowercase().as_str() {
            "" | "null" | "none" | "undefined" | "unspecified" | "finish_reason_unspecified" => None,
            _ => Some(word.to_owned().into()),
        }
    }

    /// Whether it is a failure of the server: the answer broke off.
    pub fn is_failure(&self) -> bool {
        const FAILURES: [&str; 12] = [
            "error",
            "abort",
            "cancel",
            "fail",
            "timeout",
            "timed_out",
            "interrupt",
            "overload",
            "unavailable",
            "insufficient",
            "malformed",
            "disconnect",
        ];
        let Self::Other(word) = self else { return false };
        let word = word.to_ascii_lowercase();
        FAILURES.iter().any(|failure| word.contains(failure))
    }

    /// OpenAI's name for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other(name) => name,
        }
    }
}

/// Vendors have their own words: `MAX_TOKENS`, `SAFETY`, `eos_token`, `end_turn`.
impl From<String> for FinishReason {
    fn from(name: String) -> Self {
        const FAILURE_OR_ITS_OWN: [&str; 5] = ["error", "malformed", "cancel", "abort", "unexpected"];
        const FILTERS: [&str; 18] = [
            "filter",
            "safety",
            "recitation",
            "blocklist",
            "blocked",
            "prohibited",
            "spii",
            "refus",
            "guardrail",
            "toxic",
            "sensitive",
            "moderat",
            "policy",
            "censor",
            "violation",
            "risk",
            "image_other",
            "no_image",
        ];
        const LENGTHS: [&str; 8] =
            ["length", "max_", "maxtokens", "max tokens", "token_limit", "limit", "trunc", "context_window"];
        let word = name.trim().to_ascii_lowercase().replace('-', "_");
        let word = word.rsplit('.').next().unwrap_or(&word);
        let word = word.strip_prefix("finish_reason_").unwrap_or(word);
        let has = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
        match word {
            "stop" | "stop_sequence" | "stop_token" | "stopped" | "end_turn" | "end" | "ended" | "eos"
            | "eos_token" | "eos_found" | "end_of_text" | "endoftext" | "end_of_turn" | "end_of_sequence"
            | "complete" | "completed" | "done" | "finish" | "finished" | "normal" | "success" => Self::Stop,
            "tool_calls" | "tool_call" | "tool_use" | "function_call" | "function_calls" | "tools" => {
                Self::ToolCalls
            }
            _ if word != "error_limit" && has(&FAILURE_OR_ITS_OWN) => {
                if has(&["toxic"]) {
                    Self::ContentFilter
                } else {
                    Self::Other(name)
                }
            }
            _ if has(&FILTERS) => Self::ContentFilter,
            _ if has(&LENGTHS) => Self::Length,
            _ => Self::Other(name),
        }
    }
}

impl From<FinishReason> for String {
    fn from(reason: FinishReason) -> Self {
        reason.as_str().to_owned()
    }
}
