//! aiMate over HTTP: the product's own REST API under `/api/v1` and an
//! OpenAI-compatible face under `/v1`, over the same [`Engine`].
//!
//! [`router`] gives an [`axum::Router`] to embed in any axum application;
//! [`serve`] runs it as a server of its own, with the limits and the graceful
//! end that a server on a network needs.
//!
//! ```no_run
//! # async fn example(engine: aimate_core::Engine) -> std::io::Result<()> {
//! use aimate_http::Options;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! aimate_http::serve(listener, engine, Options::default(), async {
//!     // Ends when the process is asked to stop.
//!     std::future::pending().await
//! })
//! .await
//! # }
//! ```
//!
//! # Conventions
//! Ids in a path that are unknown, another user's or no UUIDs at all are `404`;
//! malformed ids in a query or body are `400`. `PUT` and `PATCH` do the same:
//! they change the fields that are given. Unknown fields are refused under
//! `/api/v1` and ignored, as OpenAI does, under `/v1`.

mod app;
mod connection;
mod content;
mod conversation;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod health;
mod json;
mod knowledge;
mod message;
mod metrics;
mod model;
mod openai;
mod openapi;
mod options;
mod origin;
mod page;
mod path;
mod prompt;
mod router;
mod run;
mod scope;
mod serve;
mod sse;
mod usage;
mod workspace;

pub use options::Options;
pub use router::router;
pub use serve::serve;

#[doc(no_inline)]
pub use aimate_core::Engine;
