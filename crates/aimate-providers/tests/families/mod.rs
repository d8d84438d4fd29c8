//! The families of model servers: how each writes its answers, its calls of tools
//! and its refusals. A new family is a row.
//!
//! The rows are made up after what is publicly known of each server; `sources`
//! names where from: a document, or an issue as PROJECT#NUMBER. Every row says the
//! same in its own way: "Hello there", perhaps after the thought "Hm.", with 12
//! tokens read and 5 written; or a call of `get_weather` for Köln.

mod clouds;
mod local;
mod openai;
mod routers;

/// What a family of servers sends.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// Where its shapes are known from.
    pub(crate) sources: &'static str,
    /// The provider that speaks to it.
    pub(crate) provider: &'static str,
    /// The body of a streamed answer.
    pub(crate) stream: &'static str,
    /// The body of a whole one.
    pub(crate) plain: &'static str,
    /// Whether "Hm." comes before the text.
    pub(crate) thinks: bool,
    /// Whether a stream has its usage.
    pub(crate) counts: bool,
    /// The body of a streamed answer that calls a tool.
    pub(crate) call: &'static str,
    /// What must be in the next prompt after the call, for the provider itself.
    pub(crate) wants_back: &'static str,
    /// What it refuses, and how.
    pub(crate) refusals: &'static [Refusal],
}

/// A refusal: for what, the status, the body, the kind of error that it is, and
/// words that a caller must be shown.
pub(crate) struct Refusal(
    pub(crate) &'static str,
    pub(crate) u16,
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

/// Every family.
pub(crate) fn all() -> Vec<&'static Family> {
    [openai::ROWS, clouds::ROWS, routers::ROWS, local::ROWS].into_iter().flatten().collect()
}

impl Family {
    /// The media type of a streamed answer.
    pub(crate) fn media_type(&self) -> &'static str {
        if self.provider == "ollama" { "application/x-ndjson" } else { "text/event-stream" }
    }
}
