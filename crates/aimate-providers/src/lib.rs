//! The providers of aiMate: OpenAI-compatible servers, Ollama, OpenRouter, and
//! `builtin`, which needs no server.
//!
//! Each is a codec (request to body, frame to events) over one transport with
//! deadlines, retries and limits. No other crate knows a vendor's wire format, and
//! this one knows nothing of conversations.
//!
//! ```
//! # #[cfg(feature = "ollama")] {
//! let connection = aimate_providers::ollama("http://127.0.0.1:11434");
//! assert_eq!(connection.connection.name, "ollama");
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "ollama", feature = "openai", feature = "openrouter")),
    allow(
        dead_code,
        unreachable_pub,
        reason = "the protocols share helpers, which some of them alone do not use up"
    )
)]

mod builtin;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod halves;
mod http;
mod json;
#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "ollama")]
mod ollama;
// Ollama writes calls and tools as OpenAI does.
#[cfg(any(feature = "ollama", feature = "openai", feature = "openrouter"))]
mod openai;
#[cfg(feature = "openrouter")]
mod openrouter;
mod rerank;
mod stream;
mod think_tags;
mod vector;
mod web_search;

use std::collections::HashMap;
use std::sync::Arc;

use aimate_core::Secret;
use aimate_core::connection::NewConnection;
use aimate_core::engine::ConnectionConfig;
use aimate_core::provider::{ChatProvider, ProviderId};

pub use builtin::Builtin;
pub use http::{AddressPolicy, Redirects, Transport};
#[cfg(feature = "ollama")]
pub use ollama::Ollama;
#[cfg(feature = "openai")]
pub use openai::OpenAi;
#[cfg(feature = "openrouter")]
pub use openrouter::OpenRouter;
pub use rerank::{HttpReranker, RerankShape};
pub use web_search::{BraveSearch, SearxngSearch};

/// The name of [`OpenAi`].
pub const OPENAI: ProviderId = ProviderId::from_static("openai");
/// The name of [`Ollama`].
pub const OLLAMA: ProviderId = ProviderId::from_static("ollama");
/// The name of [`OpenRouter`].
pub const OPENROUTER: ProviderId = ProviderId::from_static("openrouter");
/// The name of [`Builtin`].
pub const BUILTIN: ProviderId = ProviderId::from_static("builtin");

/// Every provider that is built in under its name, over one transport with its
/// defaults.
pub fn all() -> HashMap<ProviderId, Arc<dyn ChatProvider>> {
    with(&Transport::new())
}

/// Every provider that is built in under its name, over `transport`.
#[cfg_attr(
    not(any(feature = "ollama", feature = "openai", feature = "openrouter")),
    expect(unused_variables, reason = "no provider that is built in needs a transport")
)]
pub fn with(transport: &Transport) -> HashMap<ProviderId, Arc<dyn ChatProvider>> {
    let builtin: Arc<dyn ChatProvider> = Arc::new(Builtin);
    HashMap::from([
        (BUILTIN, builtin),
        #[cfg(feature = "ollama")]
        (OLLAMA, Arc::new(Ollama::new(transport.clone()))),
        #[cfg(feature = "openai")]
        (OPENAI, Arc::new(OpenAi::new(transport.clone()))),
        #[cfg(feature = "openrouter")]
        (OPENROUTER, Arc::new(OpenRouter::new(transport.clone()))),
    ])
}

/// A connection named `ollama` to an Ollama server, such as
/// `http://127.0.0.1:11434` (what an empty address means).
#[cfg(feature = "ollama")]
pub fn ollama(url: impl Into<String>) -> ConnectionConfig {
    configured(NewConnection::new("ollama", OLLAMA).url(url), "")
}

/// A connection named `openai` to a server that speaks OpenAI's chat API. The
/// address usually ends in `/v1`, an empty one means OpenAI itself; an empty
/// key means none.
#[cfg(feature = "openai")]
pub fn openai(url: impl Into<String>, key: impl Into<String>) -> ConnectionConfig {
    configured(NewConnection::new("openai", OPENAI).url(url), key)
}

/// A connection named `openrouter` to OpenRouter; an empty key means none.
#[cfg(feature = "openrouter")]
pub fn openrouter(key: impl Into<String>) -> ConnectionConfig {
    configured(NewConnection::new("openrouter", OPENROUTER), key)
}

/// A connection named `builtin` that needs no server: aiMate itself says that no
/// model is connected and how to connect one, or quotes the user's documents. It
/// answers only in an engine that was given this connection; any other says in an
/// error that no model answers.
pub fn builtin() -> ConnectionConfig {
    configured(NewConnection::new("builtin", BUILTIN), "")
}

/// The connection with every provider beside it, so that connections added
/// later find theirs.
fn configured(connection: NewConnection, key: impl Into<String>) -> ConnectionConfig {
    let key = key.into();
    let connection = if key.is_empty() { connection } else { connection.api_key(Secret::new(key)) };
    ConnectionConfig { connection, providers: all() }
}
