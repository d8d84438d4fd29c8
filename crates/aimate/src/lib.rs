//! aiMate: an embeddable chat and RAG engine. The backend of a chat product as
//! a library: users, workspaces, a tree of conversations, streaming answers
//! from Ollama, OpenAI, OpenRouter and whatever speaks their protocols, kept in
//! one SQLite file or in PostgreSQL.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use aimate::{ChatEvent, Engine, Turn};
//!
//! let engine = Engine::builder()
//!     .store(aimate::store::connect("sqlite::memory:").await?)
//!     .connection(aimate::providers::builtin())
//!     .build()
//!     .await?;
//! let me = engine.local_scope().await?;
//!
//! let mut answer = engine.chat(&me, Turn::new("When is the boiler serviced?")).await?;
//! while let Some(event) = answer.next().await {
//!     if let ChatEvent::Text { text } = event {
//!         print!("{text}");
//!     }
//! }
//! # Ok::<(), aimate::Error>(()) }).unwrap();
//! ```
//!
//! This crate gathers the others and has no code of its own: the engine and its
//! nouns from [`aimate_core`], [`providers`], [`text`], [`index`] and, with their
//! features, [`store`], [`sync`] and [`http`]; and what a port is implemented with:
//! [`async_trait`](macro@async_trait), [`Stream`], [`StreamExt`], [`stream`],
//! [`serde_json`], [`bytes`] and [`uuid`].
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "accounts")]
pub use aimate_accounts as accounts;
pub use aimate_core::chat::event::ChatEvent;
pub use aimate_core::chat::{AnswerLimits, InputMessage, OnDisconnect, Truncation, Turn, TurnInput};
// A module for each noun: its types, its rules and the port it is stored through.
pub use aimate_core::{
    Answer, ApiTokenId, BlobId, ChunkId, Clock, ClockAndIds, CollectionId, ConnectionId, ConversationId,
    Cursor, DocumentId, EmailAddress, Engine, EngineBuilder, Error, ErrorKind, ErrorReason, FieldError,
    FileId, GroupId, Ids, InviteId, KeyRing, MediaType, MemberId, MessageId, Page, PageRequest, PromptId,
    RandomIds, Result, Role, RunId, Scope, Secret, SessionId, ShareId, SpaceId, Stores, SystemClock,
    TenantId, Timestamp, ToolOutputId, ToolServerId, UploadId, UploadPartId, UsageId, UserId, WarningCode,
    WorkerId, WorkspaceId,
};
pub use aimate_core::{
    api_token, audit, budget, chat, connection, conversation, deletion, engine, file, group, identity,
    invite, knowledge, limit, login, message, metrics, model, observer, price, prompt, provider, rate_limit,
    run, sealing, session, share, tenant, tool, upload, usage, user, workspace,
};
#[cfg(feature = "testing")]
pub use aimate_core::{conformance, testing};
#[cfg(feature = "http")]
pub use aimate_http as http;
pub use aimate_index as index;
#[cfg(feature = "markdown")]
pub use aimate_markdown as markdown;
#[cfg(any(feature = "mcp", feature = "mcp-server"))]
pub use aimate_mcp as mcp;
#[cfg(feature = "object-store")]
pub use aimate_object_store as object_store;
pub use aimate_providers as providers;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use aimate_store as store;
#[cfg(feature = "sync")]
pub use aimate_sync as sync;
pub use aimate_text as text;
// What the ports are written with, so that an adapter needs no dependency but this
// one, in the versions that fit.
pub use async_trait::async_trait;
pub use futures_util::{Stream, StreamExt, stream};
#[cfg(feature = "schemars")]
pub use schemars;
pub use {bytes, serde_json, uuid};

/// The first programs of the README and of the guide, as a newcomer copies them.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/embedding.md")]
struct Documents;
