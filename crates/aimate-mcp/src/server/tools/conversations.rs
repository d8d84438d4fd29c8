//! `list_conversations` and `get_conversation`.

use aimate_core::conversation::{Conversation, ConversationFilter, ListedMessage};
use aimate_core::message::{Part, text_of};
use aimate_core::{ConversationId, Engine, Error, MessageId, Result, Scope, Timestamp};
use rmcp::model::{CallToolResult, JsonObject, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::document_text::shortened;
use super::super::schema;
use super::{GET_CONVERSATION, LIST_CONVERSATIONS, page, reading, result};

/// Characters that are shown of one message.
const MAX_MESSAGE: usize = 20_000;
/// Characters of all messages of a page together: clients take events of a mebibyte.
const MAX_PAGE: usize = 150_000;
/// What is shown of a message however many there are.
const MIN_MESSAGE: usize = 500;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListConversations {
    /// Conversations whose title contains this, whatever the case.
    #[serde(default)]
    query: Option<String>,
    /// Conversations with this tag.
    #[serde(default)]
    tag: Option<String>,
    /// Only archived ones, or only the others; both if left out.
    #[serde(default)]
    archived: Option<bool>,
    /// How many to return, 1 to 200; 20 if left out.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before; the first page if left out.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetConversation {
    /// The conversation's id, as `list_conversations` and `ask` give it.
    conversation_id: String,
    /// How many messages to return, 1 to 200; 20 if left out.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, for older messages; the newest if left out.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct ConversationList {
    /// The conversations, last changed first.
    conversations: Vec<ConversationInfo>,
    /// To be passed on as `cursor`; null on the last page.
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct ConversationInfo {
    /// Its id, for `get_conversation` and `ask`.
    #[schemars(with = "String")]
    id: ConversationId,
    /// Its title.
    title: String,
    /// Its tags.
    tags: Vec<String>,
    /// Whether it is put away.
    is_archived: bool,
    /// How many messages all its branches have.
    message_count: u64,
    /// When it was begun.
    #[schemars(with = "String")]
    created_at: Timestamp,
    /// When it last changed.
    #[schemars(with = "String")]
    updated_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
struct ConversationPart {
    /// The conversation.
    conversation: ConversationInfo,
    /// Messages of the branch that is open, oldest first.
    messages: Vec<MessageInfo>,
    /// To be passed on as `cursor` for older messages; null where there are none.
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct MessageInfo {
    /// Its id.
    #[schemars(with = "String")]
    id: MessageId,
    /// `system`, `user`, `assistant` or `tool`.
    role: String,
    /// `complete`, or how an answer that is not whole ended.
    status: String,
    /// What is said; at most 20000 characters of it, and fewer where many messages are asked for.
    text: String,
    /// How many passages it cites.
    citations: usize,
    /// The model that wrote it.
    model: Option<String>,
    /// When it was made.
    #[schemars(with = "String")]
    created_at: Timestamp,
}

pub(super) fn list_tool() -> Tool {
    let schemas = (schema::input::<ListConversations>(), schema::output::<ConversationList>());
    reading(
        LIST_CONVERSATIONS,
        "List conversations",
        "Lists the user's conversations with models, last changed first, page by page.",
        schemas,
    )
}

pub(super) fn get_tool() -> Tool {
    let schemas = (schema::input::<GetConversation>(), schema::output::<ConversationPart>());
    reading(
        GET_CONVERSATION,
        "Read a conversation",
        "Reads the messages of a conversation: the newest first page, then older ones.",
        schemas,
    )
}

pub(super) async fn list(
    engine: &Engine,
    scope: &Scope,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let arguments: ListConversations = schema::arguments(arguments)?;
    let page = page(arguments.limit, arguments.cursor.as_deref())?;
    let filter = ConversationFilter {
        query: arguments.query.filter(|query| !query.is_empty()),
        tag: arguments.tag.filter(|tag| !tag.is_empty()),
        is_archived: arguments.archived,
        ..ConversationFilter::default()
    };
    let found = engine.conversations(scope).list(&filter, page).await?;
    let next_cursor = found.next.map(|cursor| cursor.encode());
    let conversations = found.data.into_iter().map(ConversationInfo::from).collect();
    result(&ConversationList { conversations, next_cursor }, None)
}

pub(super) async fn get(
    engine: &Engine,
    scope: &Scope,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let arguments: GetConversation = schema::arguments(arguments)?;
    let page = page(arguments.limit, arguments.cursor.as_deref())?;
    let id = id(&arguments.conversation_id)?;
    let conversations = engine.conversations(scope);
    let conversation = conversations.get(id).await?;
    let found = conversations.messages(id, None, page).await?;
    let next_cursor = found.next.map(|cursor| cursor.encode());
    let length = (MAX_PAGE / found.data.len().max(1)).clamp(MIN_MESSAGE, MAX_MESSAGE);
    let messages = found.data.into_iter().map(|listed| MessageInfo::new(listed, length)).collect();
    result(&ConversationPart { conversation: conversation.into(), messages, next_cursor }, None)
}

/// The id that an argument names.
///
/// # Errors
/// `NotFound` for what is none.
pub(super) fn id(text: &str) -> Result<ConversationId> {
    text.parse().map_err(|_| Error::missing("conversation", shortened(text, 64)))
}

impl From<Conversation> for ConversationInfo {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id,
            title: conversation.title,
            tags: conversation.tags,
            is_archived: conversation.is_archived,
            message_count: conversation.message_count,
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
        }
    }
}

impl MessageInfo {
    /// A message with so many characters of its text at most.
    fn new(listed: ListedMessage, length: usize) -> Self {
        let message = listed.message;
        Self {
            id: message.id,
            role: message.role.as_str().to_owned(),
            status: message.status.as_str().to_owned(),
            text: shortened(&text_of(&message.content), length),
            citations: message.content.iter().filter(|part| matches!(part, Part::Citation(_))).count(),
            model: message.model,
            created_at: message.created_at,
        }
    }
}
