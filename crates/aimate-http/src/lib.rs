//! aiMate over HTTP: the product's own REST API under `/api/v1` and an
//! OpenAI-compatible API under `/v1`, over the same [`Engine`].
//!
//! [`router`] returns an [`axum::Router`] to merge into any axum application;
//! [`serve`] runs it as a server of its own, with the limits and the graceful
//! shutdown that a server on a network needs.
//!
//! ```no_run
//! # async fn example(engine: aimate_core::Engine) -> std::io::Result<()> {
//! use aimate_http::Options;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! aimate_http::serve(listener, engine, Options::local(), async {
//!     // Completes when the server should shut down.
//!     std::future::pending().await
//! })
//! .await
//! # }
//! ```
//!
//! # Conventions
//! An id in a path that is unknown, another user's or not a UUID is `404`; a
//! malformed id in a query or body is `400`. `PUT` and `PATCH` do the same: they
//! change the fields that are present. Unknown fields are refused under
//! `/api/v1` and ignored, as OpenAI does, under `/v1`.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "accounts")]
mod access;
#[cfg(feature = "accounts")]
mod api_token;
mod app;
mod audit;
#[cfg(feature = "accounts")]
mod auth;
mod budget;
mod callers;
mod client_address;
mod client_stream;
mod connection;
mod content;
mod conversation;
mod cookie;
mod error;
mod event_frame;
mod event_socket;
mod form;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod health;
#[cfg(feature = "accounts")]
mod invite;
mod json;
mod knowledge;
#[cfg(feature = "markdown")]
mod markdown;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(feature = "mcp")]
mod mcp_server;
mod message;
mod metrics;
mod middleware;
mod model;
mod mount;
#[cfg(feature = "accounts")]
mod oidc;
mod openai;
mod openapi;
mod openapi_object;
mod options;
mod origin;
mod page;
mod path;
mod price;
#[cfg(feature = "accounts")]
mod principal;
mod prompt;
#[cfg(feature = "markdown")]
mod rendering;
mod request_class;
mod router;
mod run;
mod scope;
mod serve;
mod server_info;
#[cfg(feature = "accounts")]
mod session;
mod share;
mod sockets;
mod sse;
mod tool;
mod usage;
#[cfg(feature = "accounts")]
mod user;
#[cfg(feature = "accounts")]
mod watched_body;
#[cfg(feature = "page")]
mod web_page;
mod web_socket;
mod work;
mod workspace;

pub use callers::{Callers, ScopeResolver};
pub use error::problem;
pub use options::{MoreMetrics, Options};
pub use router::router;
pub use serve::serve;
pub use sse::{last_event_id, sse, sse_resumed};

#[cfg(feature = "accounts")]
#[doc(no_inline)]
pub use aimate_accounts::Accounts;
#[doc(no_inline)]
pub use aimate_core::Engine;
#[doc(no_inline)]
pub use async_trait::async_trait;
