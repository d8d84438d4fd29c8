//! What a server was found not to take: optional fields that it refused once are
//! not sent to it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aimate_core::message::{MessageRole, Part};
use aimate_core::provider::{ChatRequest, Endpoint, MaxTokensField};

use crate::http::Refused;

/// Maximum models that something is kept of.
const MAX_MODELS: usize = 4_096;

/// What a server takes for a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Takes {
    /// The name of the field for the tokens of an answer at most; `None` where
    /// nothing is known.
    pub(crate) max_tokens: Option<MaxTokensField>,
    /// It refuses `stream_options`.
    pub(crate) no_stream_options: bool,
    pub(crate) reasoning: ReasoningField,
    /// It refuses what providers want back unchanged.
    pub(crate) no_opaque: bool,
    /// It refuses parts of text instead of one text.
    pub(crate) is_text_only: bool,
}

/// Where the reasoning of earlier answers is sent back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReasoningField {
    /// Beside calls of tools.
    #[default]
    WithCalls,
    /// In every answer.
    Always,
    /// Nowhere.
    None,
}

/// What was learned so far, by address and model. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Learned(Arc<Mutex<HashMap<(String, String), Takes>>>);

impl Learned {
    fn known(&self) -> MutexGuard<'_, HashMap<(String, String), Takes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(&self, endpoint: &Endpoint, model: &str) -> Takes {
        let known = self.known();
        if known.is_empty() {
            return Takes::default();
        }
        known.get(&(endpoint.url.clone(), model.to_owned())).copied().unwrap_or_default()
    }

    /// Keeps what worked.
    pub(crate) fn keep(&self, endpoint: &Endpoint, model: &str, takes: Takes) {
        let mut known = self.known();
        if known.len() >= MAX_MODELS {
            known.clear();
        }
        known.insert((endpoint.url.clone(), model.to_owned()), takes);
    }
}

impl Takes {
    /// What to send after a refusal; `None` if it names nothing that can be left
    /// out or named otherwise. `sent` is the body that was refused.
    pub(crate) fn after(self, refused: &Refused, request: &ChatRequest, sent: &[u8]) -> Option<Self> {
        let sends = |name: &str| memchr::memmem::find(sent, format!("\"{name}\":").as_bytes()).is_some();
        let names = |name: &str| refused.names(name) && sends(name);
        if names("stream_options") && request.stream {
            return Some(Self { no_stream_options: true, ..self });
        }
        if names("max_tokens") && request.sampling.max_tokens.is_some() && self.max_tokens.is_none() {
            return Some(Self { max_tokens: Some(MaxTokensField::MaxCompletionTokens), ..self });
        }
        if names("max_completion_tokens")
            && request.sampling.max_tokens.is_some()
            && self.max_tokens.is_none()
        {
            return Some(Self { max_tokens: Some(MaxTokensField::MaxTokens), ..self });
        }
        let is_unknown = [
            "unsupported",
            "not supported",
            "not permitted",
            "forbidden",
            "unexpected",
            "unknown",
            "unrecognized",
            "additional",
            "extra",
        ];
        let is_unknown = is_unknown.iter().any(|word| refused.names(word));
        if refused.names("reasoning_content")
            && !is_unknown
            && self.reasoning == ReasoningField::WithCalls
            && has_reasoning(request)
        {
            return Some(Self { reasoning: ReasoningField::Always, ..self });
        }
        if ["reasoning_content", "reasoning"].into_iter().any(names) && self.reasoning != ReasoningField::None
        {
            return Some(Self { reasoning: ReasoningField::None, ..self });
        }
        let opaque = [
            "reasoning_details",
            "thinking_blocks",
            "reasoning_opaque",
            "extra_content",
            "provider_specific_fields",
        ];
        if opaque.into_iter().any(names) && !self.no_opaque {
            return Some(Self { no_opaque: true, ..self });
        }
        let wants_text = refused.names("string") || refused.names("str ");
        if refused.names("content") && wants_text && !self.is_text_only && sends("text") {
            return Some(Self { is_text_only: true, ..self });
        }
        None
    }
}

/// Whether an answer in the prompt has reasoning.
fn has_reasoning(request: &ChatRequest) -> bool {
    let answers = request.messages.iter().filter(|message| message.role == MessageRole::Assistant);
    answers
        .flat_map(|message| &message.content)
        .any(|part| matches!(part, Part::Reasoning { text, .. } if !text.is_empty()))
}
