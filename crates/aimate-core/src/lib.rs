//! aiMate's domain and engine: users, workspaces, conversations and runs, the
//! ports through which they are stored and answered, and the rules between
//! them. It names no database, no vendor and no web framework.

pub mod chat;
mod clock;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod connection;
pub mod conversation;

pub mod engine;
mod error;
pub mod file;
mod id;
mod keyring;
pub mod knowledge;
pub mod limit;
pub mod message;
pub mod model;
mod page;
pub mod prompt;
pub mod provider;
pub mod run;
mod scope;
mod secret;
pub mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod usage;
pub mod user;
mod warning;
pub mod workspace;

pub use clock::{Clock, ClockAndIds, Ids, RandomIds, SystemClock, Timestamp};
pub use engine::{Answer, Engine, EngineBuilder};
pub use error::{Error, ErrorKind, ErrorReason, FieldError, Result};
pub use id::{
    ChunkId, CollectionId, ConnectionId, ConversationId, DocumentId, FileId, MessageId, PromptId, RunId,
    SessionId, SpaceId, TenantId, UsageId, UserId, WorkerId, WorkspaceId,
};
pub use keyring::{Binding, KeyRing};
pub use page::{Cursor, Page, PageRequest};
pub use scope::{Role, Scope};
pub use secret::Secret;
pub use warning::WarningCode;

use std::sync::Arc;

/// The stores of one engine, each behind its port.
#[derive(Clone)]
pub struct Stores {
    /// Users.
    pub users: Arc<dyn user::UserStore>,
    /// Logins.
    pub sessions: Arc<dyn session::SessionStore>,
    /// Workspaces.
    pub workspaces: Arc<dyn workspace::WorkspaceStore>,
    /// Prompts.
    pub prompts: Arc<dyn prompt::PromptStore>,
    /// Conversations and messages.
    pub conversations: Arc<dyn conversation::ConversationStore>,
    /// Runs and their event logs.
    pub runs: Arc<dyn run::RunStore>,
    /// The processes that own runs.
    pub workers: Arc<dyn run::WorkerStore>,
    /// Model servers.
    pub connections: Arc<dyn connection::ConnectionStore>,
    /// Their models.
    pub models: Arc<dyn model::ModelStore>,
    /// What answers used.
    pub usage: Arc<dyn usage::UsageStore>,
    /// Uploaded files.
    pub files: Arc<dyn file::FileStore>,
    /// Collections, documents and what is found in them.
    pub knowledge: Arc<dyn knowledge::KnowledgeStore>,
    /// The documents that wait to be read.
    pub queue: Arc<dyn knowledge::KnowledgeQueue>,
    /// The bytes of documents.
    pub blobs: Arc<dyn knowledge::BlobStore>,
}
