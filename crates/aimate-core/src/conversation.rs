//! Conversations: trees of messages, and the port that keeps them.

mod search;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ConversationId, MessageId, RunId, WorkspaceId};
use crate::limit;
use crate::message::Message;
use crate::page::{Page, PageRequest};
use crate::prompt::Prompt;
use crate::scope::Scope;
use crate::setters::setters;

pub use search::{
    ConversationHit, ConversationSearch, FoundConversation, FoundMessage, SnippetMatch, searchable_parts,
    searchable_text, searchable_title,
};

/// The title of a conversation that nobody named.
pub const DEFAULT_TITLE: &str = "New Conversation";

/// A tree of messages of one user.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The workspace whose prompts apply.
    pub workspace_id: Option<WorkspaceId>,
    /// The title, at most 500 characters.
    pub title: String,
    /// Instructions that open every prompt of this conversation, at most
    /// 100,000 characters.
    pub system_prompt: Option<String>,
    /// Whether it is kept at the top.
    pub is_pinned: bool,
    /// Whether it is put away.
    pub is_archived: bool,
    /// Whether it is found by its id alone, and is in no list, count or search: a chain of
    /// answers that nobody opened a conversation for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_hidden: bool,
    /// Labels, at most 50.
    pub tags: Vec<String>,
    /// Free for the application.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// The last message of the branch that is open; `None` while empty.
    pub active_leaf_id: Option<MessageId>,
    /// How many messages all branches have together.
    pub message_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a message of it was last stored; lists sort by it. A new title or label leaves it.
    pub updated_at: Timestamp,
}

/// Parameters for creating a conversation.
///
/// ```
/// use aimate_core::conversation::NewConversation;
/// let new = NewConversation::new().title("The pump").tag("ticket:42");
/// # let _ = new;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NewConversation {
    /// The title, at most 500 characters; taken from the first message if absent.
    pub title: Option<String>,
    /// Instructions that open every prompt, at most 100,000 characters.
    pub system_prompt: Option<String>,
    /// The workspace whose prompts apply.
    pub workspace_id: Option<WorkspaceId>,
    /// Whether it is kept at the top.
    pub is_pinned: bool,
    /// Labels, at most 50 of 1 to 100 characters.
    pub tags: Vec<String>,
    /// Free for the application, at most 64 KiB as JSON.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
}

impl NewConversation {
    /// A conversation with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// In this workspace.
    #[must_use]
    pub fn workspace(mut self, id: WorkspaceId) -> Self {
        self.workspace_id = Some(id);
        self
    }

    /// Kept at the top.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        self.is_pinned = true;
        self
    }

    /// With one more label.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    setters! {
        /// Under this title.
        optional title: String;
        /// With these instructions.
        optional system_prompt: String;
        /// With this metadata in place of all before.
        plain metadata: Map<String, Value>;
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.title.as_ref().map_or(Ok(()), |title| limit::name("title", title, limit::TITLE))?;
        self.system_prompt
            .as_ref()
            .map_or(Ok(()), |text| limit::text("system_prompt", text, limit::PROMPT))?;
        limit::tags("tags", &self.tags)?;
        limit::metadata("metadata", &self.metadata)
    }
}

/// What to change about a conversation; an absent field stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConversationChange {
    /// The title, 1 to 500 characters.
    pub title: Option<String>,
    /// Instructions that open every prompt; an empty text removes them.
    pub system_prompt: Option<String>,
    /// The workspace; `null` takes it out of its workspace.
    #[serde(deserialize_with = "crate::text::present")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<WorkspaceId>))]
    pub workspace_id: Option<Option<WorkspaceId>>,
    /// Whether it is kept at the top.
    pub is_pinned: Option<bool>,
    /// Whether it is put away.
    pub is_archived: Option<bool>,
    /// All labels, replaced as a whole.
    pub tags: Option<Vec<String>>,
    /// All metadata, replaced as a whole.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
    /// The branch to open, by its last message.
    pub active_leaf_id: Option<MessageId>,
}

impl ConversationChange {
    /// A change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// To this title.
        optional title: String;
        /// To these instructions; an empty text removes them.
        optional system_prompt: String;
        /// Into this workspace, or out of its own.
        optional workspace_id: Option<WorkspaceId>;
        /// To the top, or not.
        optional is_pinned: bool;
        /// Put away, or not.
        optional is_archived: bool;
        /// To these labels.
        optional tags: Vec<String>;
        /// To this metadata.
        optional metadata: Map<String, Value>;
        /// To the branch that ends with this message.
        optional active_leaf_id: MessageId;
    }

    /// Checks the limits of every field that is given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.title.as_ref().map_or(Ok(()), |title| limit::name("title", title, limit::TITLE))?;
        self.system_prompt
            .as_ref()
            .map_or(Ok(()), |text| limit::text("system_prompt", text, limit::PROMPT))?;
        self.tags.as_ref().map_or(Ok(()), |tags| limit::tags("tags", tags))?;
        self.metadata.as_ref().map_or(Ok(()), |map| limit::metadata("metadata", map))
    }
}

/// Which conversations a list shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversationFilter {
    /// Only those whose title contains this, whatever the case.
    pub query: Option<String>,
    /// Only those with this label.
    pub tag: Option<String>,
    /// Only archived ones, or only the others; `None` for both.
    pub is_archived: Option<bool>,
    /// Only pinned ones, or only the others; `None` for both.
    pub is_pinned: Option<bool>,
    /// Only those of this workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// Only hidden ones; else only the others.
    pub is_hidden: bool,
}

impl ConversationFilter {
    /// All of them but the hidden ones.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Whose title contains this, whatever the case.
        optional query: String;
        /// With this label.
        optional tag: String;
        /// That are put away, or are not.
        optional is_archived: bool;
        /// That are kept at the top, or are not.
        optional is_pinned: bool;
        /// Of this workspace.
        optional workspace_id: WorkspaceId;
        /// That are hidden, or are not.
        plain is_hidden: bool;
    }
}

/// What a turn is built on: see [`ConversationStore::window`].
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The conversation.
    pub conversation: Conversation,
    /// The active prompts of its workspace, oldest first.
    pub prompts: Vec<Prompt>,
    /// The end of the path to the leaf, oldest first; the leaf is last. Empty
    /// for a conversation without messages.
    pub messages: Vec<Message>,
}

/// A message as a list of them shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedMessage {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// The messages that share its parent, itself included, oldest first: the
    /// branches at this point.
    pub sibling_ids: Vec<MessageId>,
    /// The run that wrote it, if it is an answer: its events, its manifest, and why it failed.
    pub run_id: Option<RunId>,
}

/// Where conversations and their messages are kept. Every method sees those of
/// the scope's user; a foreign or unknown id is `NotFound`.
///
/// Messages are added by [`RunStore::begin`](crate::run::RunStore::begin),
/// [`ConversationStore::append`] and [`MessageStore`](crate::message::MessageStore) only, so a
/// message never exists without its conversation's counters being right.
#[async_trait]
pub trait ConversationStore: Send + Sync {
    /// Stores a new, empty conversation. `Conflict` if the id is taken;
    /// `NotFound` if its workspace is not the user's.
    async fn create(&self, scope: &Scope, conversation: &Conversation) -> Result<()>;
    /// The conversation with this id.
    async fn get(&self, scope: &Scope, id: ConversationId) -> Result<Conversation>;
    /// The user's conversations, last changed first (then by id, descending).
    /// The cursor is `(updated_at, id)`.
    async fn list(
        &self,
        scope: &Scope,
        filter: &ConversationFilter,
        page: PageRequest,
    ) -> Result<Page<Conversation>>;
    /// Finds conversations in which every word of the search occurs, in the title or in
    /// what the user and the model say in any message of any branch. The one whose
    /// [message](FoundConversation::message) is newest comes first, by its id; one that is
    /// found by its title alone stands where it was made. The cursor's id is the message's
    /// or the conversation's. What a call stored before is found; titles and messages of
    /// before there was an index, and copies, may come into it a little later, by
    /// [`WorkerStore::index_messages`](crate::run::WorkerStore::index_messages). Costs what
    /// is shown, and a few blocks of the index for each word. A page may have fewer hits
    /// than asked for, and a next one.
    async fn search(
        &self,
        scope: &Scope,
        search: &ConversationSearch,
        page: PageRequest,
    ) -> Result<Page<FoundConversation>>;
    /// Applies `change`; `updated_at` stays. `NotFound` if the conversation, the
    /// workspace or the leaf is not there; nothing changes then.
    async fn update(
        &self,
        scope: &Scope,
        id: ConversationId,
        change: &ConversationChange,
    ) -> Result<Conversation>;
    /// Deletes the conversation with its messages and runs. Usage records stay.
    async fn delete(&self, scope: &Scope, id: ConversationId) -> Result<()>;

    /// One message.
    async fn message(&self, scope: &Scope, id: ConversationId, message: MessageId) -> Result<Message>;
    /// One page of the path from the root to `leaf` (the active leaf if
    /// `None`), newest page first, each page oldest first. The cursor's id is
    /// the page's oldest message; the next page ends at its parent. Costs what
    /// is shown, however long the path is.
    async fn messages(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
        page: PageRequest,
    ) -> Result<Page<ListedMessage>>;
    /// The last message of the newest branch through `message`: from it on always the child
    /// that came last, down to one that has none.
    async fn newest_leaf(&self, scope: &Scope, id: ConversationId, message: MessageId) -> Result<MessageId>;
    /// Adds finished messages under their parents and makes the last one the
    /// active leaf, all or none; sets `updated_at` to `now`. `NotFound` if the
    /// conversation or a parent is not there, `Conflict` if an id is taken.
    async fn append(
        &self,
        scope: &Scope,
        id: ConversationId,
        messages: &[Message],
        now: Timestamp,
    ) -> Result<()>;
    /// What a turn under `leaf` (the active leaf if `None`) is built on: the
    /// conversation, its workspace's active prompts, and the newest messages of
    /// the path whose tokens, summed from the leaf, stay within `tokens` (the
    /// leaf always comes, and at most `max` messages). Costs what it returns.
    async fn window(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: Option<MessageId>,
        tokens: u64,
        max: u32,
    ) -> Result<Window>;
    /// Copies the path from the root to `leaf` into the new conversation
    /// `into`, in one commit; each copied message gets an id from `ids`, which
    /// makes ids in path order. `Conflict` if `into.id` is taken.
    async fn fork(
        &self,
        scope: &Scope,
        id: ConversationId,
        leaf: MessageId,
        into: &Conversation,
        ids: &dyn crate::clock::Ids,
    ) -> Result<Conversation>;
}
