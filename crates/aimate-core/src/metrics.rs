//! What the engine measures, through the facade of the crate
//! [`metrics`](https://docs.rs/metrics): the recorder that an application installs
//! gets all of it. Without a recorder it costs next to nothing.
//!
//! No name, key, text or id of a user is in a label, so the number of series is
//! bounded by the providers that are registered.
//!
//! | metric | kind | labels | meaning |
//! |---|---|---|---|
//! | `aimate_model_calls_total` | counter | `provider`, `outcome` | calls of models that came to an end |
//! | `aimate_model_call_seconds` | histogram | `provider`, `outcome` | from asking to the end of the answer |
//! | `aimate_first_token_seconds` | histogram | `provider` | from asking to the first content |
//! | `aimate_tokens_total` | counter | `provider`, `kind` | `input`, `output`, `cached`, `reasoning` |
//! | `aimate_cost_nanodollars_total` | counter | `provider` | billionths of a dollar, where known |
//! | `aimate_runs` | gauge | | answers that are being written |
//! | `aimate_checkpoints_total` | counter | `outcome` | stored parts of running answers |
//! | `aimate_search_seconds` | histogram | `leg` | `text`, `embed`, `vector`, `rerank`, `total` |
//! | `aimate_documents_total` | counter | `outcome` | documents that were read: `ready`, `failed`, `retried` |
//! | `aimate_document_wait_seconds` | histogram | | from adding a document to a reader taking it |
//! | `aimate_document_bytes_total` | counter | | bytes of documents that readers took |
//! | `aimate_chunks_total` | counter | | chunks that were made findable |
//! | `aimate_documents_waiting` | gauge | | claimed and not yet findable, in this process |
//! | `aimate_database_wait_seconds` | histogram | `database` | until a connection was free |
//! | `aimate_database_seconds` | histogram | `database`, `work` | one unit of work, `read` or `write`, with its wait |
//! | `aimate_index_cache_total` | counter | `outcome` | parts of the index: `hit`, `miss` |
//! | `aimate_rate_limited_total` | counter | `class` | requests that a rate limit refused |
//! | `aimate_audit_failures_total` | counter | | audit events that could not be stored, and are in the log alone |

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::usage::{TokenUsage, UsageOutcome};

/// Tells the recorder what each metric means and in which unit it is. Call it after
/// a recorder was installed.
pub fn describe() {
    describe_counter!("aimate_model_calls_total", "Calls of models that came to an end.");
    describe_histogram!(
        "aimate_model_call_seconds",
        Unit::Seconds,
        "From asking a model to the end of its answer."
    );
    describe_histogram!(
        "aimate_first_token_seconds",
        Unit::Seconds,
        "From asking a model to its first content."
    );
    describe_counter!("aimate_tokens_total", "Tokens read and written by models.");
    describe_counter!("aimate_cost_nanodollars_total", "Cost of model calls, in billionths of a dollar.");
    describe_gauge!("aimate_runs", "Answers that are being written.");
    describe_counter!("aimate_checkpoints_total", "Stored parts of running answers.");
    describe_histogram!("aimate_search_seconds", Unit::Seconds, "Parts of a search.");
    describe_counter!("aimate_documents_total", "Documents whose reading came to an end.");
    describe_histogram!(
        "aimate_document_wait_seconds",
        Unit::Seconds,
        "From adding a document to reading it."
    );
    describe_counter!("aimate_document_bytes_total", Unit::Bytes, "Bytes of documents that were read.");
    describe_counter!("aimate_chunks_total", "Chunks that were made findable.");
    describe_gauge!("aimate_documents_waiting", "Documents that this process has taken and not ended.");
    describe_histogram!(
        "aimate_database_wait_seconds",
        Unit::Seconds,
        "Until a database connection was free."
    );
    describe_histogram!("aimate_database_seconds", Unit::Seconds, "One unit of work on the database.");
    describe_counter!("aimate_index_cache_total", "Parts of the search index that were looked up in memory.");
    describe_counter!("aimate_rate_limited_total", "Requests that a rate limit refused.");
    describe_counter!("aimate_tool_calls_total", "Calls of tools that have ended.");
    describe_histogram!("aimate_tool_call_seconds", Unit::Seconds, "One call of a tool.");
    describe_counter!("aimate_audit_failures_total", "Audit events that could not be stored.");
}

/// A call of a model that has ended.
pub(crate) fn model_called(provider: &str, outcome: UsageOutcome, usage: &TokenUsage, time: Duration) {
    let (provider, outcome) = (provider.to_owned(), outcome.as_str());
    counter!("aimate_model_calls_total", "provider" => provider.clone(), "outcome" => outcome).increment(1);
    histogram!("aimate_model_call_seconds", "provider" => provider.clone(), "outcome" => outcome)
        .record(time);
    for (kind, tokens) in [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("cached", usage.cached_tokens),
        ("reasoning", usage.reasoning_tokens),
    ] {
        if tokens > 0 {
            counter!("aimate_tokens_total", "provider" => provider.clone(), "kind" => kind).increment(tokens);
        }
    }
    if let Some(cost) = usage.cost.and_then(|cost| u64::try_from(cost.0).ok()) {
        counter!("aimate_cost_nanodollars_total", "provider" => provider).increment(cost);
    }
}

/// The first content of an answer came.
pub(crate) fn first_token(provider: &str, time: Duration) {
    histogram!("aimate_first_token_seconds", "provider" => provider.to_owned()).record(time);
}

/// So many answers are being written.
pub(crate) fn running(count: usize) {
    gauge!("aimate_runs").set(u32::try_from(count).unwrap_or(u32::MAX));
}

/// A part of a running answer was stored, or was not.
pub(crate) fn checkpoint(is_stored: bool) {
    counter!("aimate_checkpoints_total", "outcome" => if is_stored { "stored" } else { "failed" })
        .increment(1);
}

/// A part of a search took so long.
pub(crate) fn searched(leg: &'static str, time: Duration) {
    histogram!("aimate_search_seconds", "leg" => leg).record(time);
}

/// A document of so many bytes was taken to be read, so long after it was added.
pub(crate) fn document_taken(waited: Duration, bytes: u64) {
    histogram!("aimate_document_wait_seconds").record(waited);
    counter!("aimate_document_bytes_total").increment(bytes);
}

/// So many documents are being read in this process.
pub(crate) fn documents_waiting(count: usize) {
    gauge!("aimate_documents_waiting").set(u32::try_from(count).unwrap_or(u32::MAX));
}

/// The reading of a document came to an end.
pub(crate) fn document_ended(outcome: &'static str) {
    counter!("aimate_documents_total", "outcome" => outcome).increment(1);
}

/// So many documents were made findable, with so many chunks.
pub(crate) fn published(documents: usize, chunks: usize) {
    counter!("aimate_documents_total", "outcome" => "ready").increment(documents as u64);
    counter!("aimate_chunks_total").increment(chunks as u64);
}

/// A rate limit refused a request.
pub(crate) fn rate_limited(class: &'static str) {
    counter!("aimate_rate_limited_total", "class" => class).increment(1);
}

/// A call of a tool that has ended.
pub(crate) fn tool_called(is_success: bool, time: Duration) {
    let outcome = if is_success { "returned" } else { "failed" };
    counter!("aimate_tool_calls_total", "outcome" => outcome).increment(1);
    histogram!("aimate_tool_call_seconds", "outcome" => outcome).record(time);
}

/// An audit event could not be stored.
pub(crate) fn audit_failed() {
    counter!("aimate_audit_failures_total").increment(1);
}
