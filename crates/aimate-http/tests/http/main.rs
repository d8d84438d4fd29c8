//! The HTTP face, asked as a client asks it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may say what they mean, as tests may"
)]

#[cfg(feature = "accounts")]
mod account;
#[cfg(feature = "accounts")]
mod account_attack;
#[cfg(feature = "accounts")]
mod account_cost;
#[cfg(feature = "accounts")]
mod account_stream;
mod bad_input;
mod budget;
mod common;
mod connection;
mod conversation;
mod conversation_search;
mod document;
mod embedded;
mod event_socket;
mod families;
#[path = "../../../aimate-providers/tests/families/mod.rs"]
#[allow(dead_code, reason = "the providers' own tests read the rest of a row")]
mod family_rows;
mod file;
mod hostile;
#[cfg(feature = "accounts")]
mod isolation;
mod knowledge;
mod knowledge_search;
mod knowledge_turn;
mod knowledge_upload;
mod knowledge_url;
#[cfg(feature = "markdown")]
mod markdown;
#[cfg(feature = "mcp")]
mod mcp;
mod middleware;
#[cfg(feature = "accounts")]
mod oidc;
#[cfg(feature = "accounts")]
#[path = "../../../aimate-accounts/tests/oidc/provider.rs"]
#[allow(dead_code, reason = "the accounts' own tests make it lie")]
mod oidc_provider;
mod openai;
mod openai_conversation;
mod overload;
#[path = "../../packer.rs"]
mod packer;
mod packing;
mod rate_limit;
mod responses;
mod responses_input;
mod responses_search;
mod responses_socket;
mod responses_stream;
mod responses_tools;
#[path = "../../script_lexer.rs"]
mod script_lexer;
mod server;
#[cfg(feature = "accounts")]
mod server_info;
mod share;
mod tool;
mod turn;
mod upload;
mod vector_store;
#[cfg(feature = "page")]
mod web_page;
mod wire;
mod workspace;
