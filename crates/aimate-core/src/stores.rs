//! The stores of one engine.

use std::sync::Arc;

use crate::api_token::ApiTokenStore;
use crate::audit::AuditStore;
use crate::budget::BudgetStore;
use crate::connection::ConnectionStore;
use crate::conversation::ConversationStore;
use crate::deletion::DeletionStore;
use crate::file::FileStore;
use crate::group::GroupStore;
use crate::identity::IdentityStore;
use crate::invite::InviteStore;
use crate::knowledge::{
    AttachmentStore, BlobStore, CollectionStore, DocumentStore, EmbeddingSpaceStore, IngestQueue,
    IngestStore, MaintenanceStore, SearchIndex,
};
use crate::login::LoginStore;
use crate::message::MessageStore;
use crate::model::ModelStore;
use crate::price::PriceStore;
use crate::prompt::PromptStore;
use crate::rate_limit::LimitStore;
use crate::run::{RunRequestStore, RunStore, WorkerStore};
use crate::sealing::SecretStore;
use crate::session::SessionStore;
use crate::share::ShareStore;
use crate::tenant::TenantStore;
use crate::tool::{ToolOutputStore, ToolServerStore};
use crate::upload::UploadStore;
use crate::usage::UsageStore;
use crate::user::UserStore;
use crate::workspace::WorkspaceStore;

/// The stores of one engine, each behind its port.
///
/// Every port method takes the [`Scope`](crate::Scope) of who asks first, and a
/// row of another user is `NotFound`. These serve the process or its operator
/// instead, and no user's call reaches them:
///
/// | port or method | why it has no scope |
/// |---|---|
/// | [`TenantStore`] | The operator's, who stands above all tenants. |
/// | [`LoginStore`] | Who signs in has no scope yet: an address leads to a tenant and a user. |
/// | [`IdentityStore`] | Who signs in has no scope yet: a provider's name for them leads to a user. |
/// | [`ApiTokenStore::find`] | A token leads to its tenant and user; the caller proves that it has the secret. |
/// | [`ShareStore::find`] | Who has a link needs no login: its secret leads to its tenant. |
/// | [`ShareStore::clear`] | Links of all tenants end. |
/// | [`RunRequestStore::clear`] | Chains of answers of all tenants that nobody goes on with end. |
/// | [`DeletionStore`] | The engine asks who may delete; it says what goes. |
/// | [`WorkerStore`] | The leases of processes; it returns the scope of each run it hands out. |
/// | [`IngestQueue`] | Work for a process; it returns the scope of all that it hands out. |
/// | [`MaintenanceStore`] | `doctor` looks over all tenants. |
/// | [`SecretStore`] | The operator rotates the keys of all tenants' secrets. |
/// | [`BlobStore`] | A [`Blob`](crate::knowledge::Blob) names its tenant, and comes from a document or file that was read with a scope. |
/// | [`LimitStore`] | A process counts requests, also of machines that nobody is signed in on. |
/// | [`UsageStore::record`] | Each record carries its scope: one batch is of many users. |
/// | [`UsageStore::summarize_all`] | The operator's bill is over all tenants. |
///
/// Start from the stores of one adapter and put others in place of some:
///
/// ```
/// # use std::sync::Arc;
/// # use aimate_core::{Stores, knowledge::BlobStore};
/// fn with_own_blobs(mut stores: Stores, blobs: Arc<dyn BlobStore>) -> Stores {
///     stores.blobs = blobs;
///     stores
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Stores {
    /// Tenants.
    pub tenants: Arc<dyn TenantStore>,
    /// Users.
    pub users: Arc<dyn UserStore>,
    /// Deletions of tenants and users.
    pub deletions: Arc<dyn DeletionStore>,
    /// How users sign in.
    pub logins: Arc<dyn LoginStore>,
    /// Whom OpenID providers vouch for.
    pub identities: Arc<dyn IdentityStore>,
    /// Logins on one device each.
    pub sessions: Arc<dyn SessionStore>,
    /// Credentials for programs.
    pub api_tokens: Arc<dyn ApiTokenStore>,
    /// Who may register.
    pub invites: Arc<dyn InviteStore>,
    /// Workspaces and who is in them.
    pub workspaces: Arc<dyn WorkspaceStore>,
    /// Groups.
    pub groups: Arc<dyn GroupStore>,
    /// Prompts.
    pub prompts: Arc<dyn PromptStore>,
    /// Conversations and their trees of messages.
    pub conversations: Arc<dyn ConversationStore>,
    /// Single messages of conversations.
    pub messages: Arc<dyn MessageStore>,
    /// Links by which conversations are shared.
    pub shares: Arc<dyn ShareStore>,
    /// Runs and their event logs.
    pub runs: Arc<dyn RunStore>,
    /// What runs keep for their callers.
    pub run_requests: Arc<dyn RunRequestStore>,
    /// Results of tools that are kept whole.
    pub tool_outputs: Arc<dyn ToolOutputStore>,
    /// The processes that own runs.
    pub workers: Arc<dyn WorkerStore>,
    /// Model servers.
    pub connections: Arc<dyn ConnectionStore>,
    /// Their models.
    pub models: Arc<dyn ModelStore>,
    /// Tool servers, what they list, and logins at them.
    pub tool_servers: Arc<dyn ToolServerStore>,
    /// What answers used.
    pub usage: Arc<dyn UsageStore>,
    /// What calls may cost.
    pub budgets: Arc<dyn BudgetStore>,
    /// What models cost.
    pub prices: Arc<dyn PriceStore>,
    /// How many requests may still come.
    pub limits: Arc<dyn LimitStore>,
    /// Uploaded files.
    pub files: Arc<dyn FileStore>,
    /// Files that come in parts.
    pub uploads: Arc<dyn UploadStore>,
    /// Collections.
    pub collections: Arc<dyn CollectionStore>,
    /// Documents.
    pub documents: Arc<dyn DocumentStore>,
    /// Files attached to collections.
    pub attachments: Arc<dyn AttachmentStore>,
    /// Embedding spaces.
    pub spaces: Arc<dyn EmbeddingSpaceStore>,
    /// The index in which chunks are found.
    pub index: Arc<dyn SearchIndex>,
    /// The work on documents until they are published.
    pub ingest: Arc<dyn IngestStore>,
    /// Documents to read and spaces to build.
    pub queue: Arc<dyn IngestQueue>,
    /// Sealed secrets, whatever they are of.
    pub secrets: Arc<dyn SecretStore>,
    /// What nothing refers to.
    pub maintenance: Arc<dyn MaintenanceStore>,
    /// What happened that matters for security.
    pub audit: Arc<dyn AuditStore>,
    /// The bytes of documents.
    pub blobs: Arc<dyn BlobStore>,
}

impl Stores {
    /// All ports on one adapter, but for the bytes of documents, which few
    /// databases keep.
    pub fn new<S>(store: Arc<S>, blobs: Arc<dyn BlobStore>) -> Self
    where
        S: TenantStore
            + UserStore
            + DeletionStore
            + LoginStore
            + IdentityStore
            + SessionStore
            + ApiTokenStore
            + InviteStore
            + WorkspaceStore
            + GroupStore
            + PromptStore
            + ConversationStore
            + MessageStore
            + ShareStore
            + RunStore
            + RunRequestStore
            + ToolOutputStore
            + WorkerStore
            + ConnectionStore
            + ModelStore
            + ToolServerStore
            + UsageStore
            + BudgetStore
            + PriceStore
            + LimitStore
            + FileStore
            + UploadStore
            + CollectionStore
            + DocumentStore
            + AttachmentStore
            + EmbeddingSpaceStore
            + SearchIndex
            + IngestStore
            + IngestQueue
            + SecretStore
            + MaintenanceStore
            + AuditStore
            + 'static,
    {
        Self {
            tenants: store.clone(),
            users: store.clone(),
            deletions: store.clone(),
            logins: store.clone(),
            identities: store.clone(),
            sessions: store.clone(),
            api_tokens: store.clone(),
            invites: store.clone(),
            workspaces: store.clone(),
            groups: store.clone(),
            prompts: store.clone(),
            conversations: store.clone(),
            messages: store.clone(),
            shares: store.clone(),
            runs: store.clone(),
            run_requests: store.clone(),
            tool_outputs: store.clone(),
            workers: store.clone(),
            connections: store.clone(),
            models: store.clone(),
            tool_servers: store.clone(),
            usage: store.clone(),
            budgets: store.clone(),
            prices: store.clone(),
            limits: store.clone(),
            files: store.clone(),
            uploads: store.clone(),
            collections: store.clone(),
            documents: store.clone(),
            attachments: store.clone(),
            spaces: store.clone(),
            index: store.clone(),
            ingest: store.clone(),
            queue: store.clone(),
            secrets: store.clone(),
            maintenance: store.clone(),
            audit: store,
            blobs,
        }
    }
}
