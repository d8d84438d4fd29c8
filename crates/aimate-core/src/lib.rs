//! aiMate's domain and engine: users, workspaces, conversations and runs, the
//! ports through which they are stored and answered, and the rules between
//! them. It names no database, no vendor, no route and no environment.
//!
//! - [`Engine`] is what an application holds; [`EngineBuilder`] puts it together.
//! - A turn is a [`chat::Turn`]; its answer is an [`Answer`], a stream of
//!   [`chat::event::ChatEvent`]s.
//! - Ports are traits that adapters implement: the stores in [`Stores`],
//!   [`provider::ChatProvider`], [`knowledge::Embedder`],
//!   [`knowledge::Reranker`], [`knowledge::Fetcher`], [`Clock`] and [`Ids`].
//! - A failure is an [`Error`]: an [`ErrorKind`] that each face maps to its own
//!   terms, a sentence for people, and for some an [`ErrorReason`] that programs
//!   act on. Nobody acts on the sentence.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod api_token;
pub mod audit;
pub mod budget;
mod caught;
pub mod chat;
mod clock;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod connection;
pub mod conversation;
pub mod deletion;
mod email;

pub mod engine;
mod error;
pub mod file;
pub mod group;
mod hash;
mod id;
pub mod identity;
mod image;
pub mod invite;
mod keyring;
pub mod knowledge;
pub mod limit;
pub mod login;
mod media_type;
pub mod message;
pub mod metrics;
pub mod model;
pub mod observer;
mod page;
mod per_user;
pub mod price;
mod profile;
pub mod prompt;
pub mod provider;
pub mod rate_limit;
mod retrieval;
pub mod run;
mod scope;
pub mod sealing;
mod secret;
pub mod session;
mod setters;
pub mod share;
mod stores;
pub mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod tool;
mod tool_content;
pub mod upload;
pub mod usage;
pub mod user;
mod warning;
pub mod workspace;

pub use clock::{Clock, ClockAndIds, Ids, RandomIds, SystemClock, Timestamp};
pub use email::EmailAddress;
pub use engine::{Answer, Engine, EngineBuilder};
pub use error::{Error, ErrorKind, ErrorReason, FieldError, Overflow, Result};
pub use id::{
    ApiTokenId, BlobId, BudgetId, ChunkId, CollectionId, ConnectionId, ConversationId, DocumentId,
    FileBatchId, FileId, GroupId, InviteId, MemberId, MessageId, PriceId, PromptId, RunId, SessionId,
    ShareId, SpaceId, TenantId, ToolOutputId, ToolServerId, UploadId, UploadPartId, UsageId, UserId,
    WorkerId, WorkspaceId,
};
pub use keyring::KeyRing;
pub use media_type::MediaType;
pub use page::{Cursor, IdRange, Order, Page, PageRequest, Slice};
pub use per_user::{PerUser, UserPlace};
pub use retrieval::citations::citation_places;
pub use scope::{Role, Scope};
pub use secret::Secret;
pub use stores::Stores;
pub use warning::WarningCode;
