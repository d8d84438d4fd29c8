//! `/v1/conversations`: OpenAI's conversations, which are those of `/api/v1`.

use aimate_core::conversation::{Conversation, ConversationChange, NewConversation};
use aimate_core::{ConversationId, Error};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::attribute;
use super::item::input_messages;
use super::wire_id;
use crate::app::App;
use crate::error::{Failure, Result};
use crate::json::{Json, OptionalJson};
use crate::path::Path;
use crate::scope::Caller;

/// What the ids of conversations begin with.
pub(super) const PREFIX: &str = "conv_";
/// Items that are added at once at most.
pub(super) const MAX_ITEMS: usize = 20;

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiConversation {
    /// `conv_…`.
    id: String,
    /// `conversation`.
    object: &'static str,
    /// When it was made, in seconds since 1970.
    created_at: i64,
    /// Texts of the application, at most 16.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

impl From<Conversation> for OpenAiConversation {
    fn from(conversation: Conversation) -> Self {
        // Elsewhere metadata may be any JSON; here it is text.
        let text = |(name, value)| match value {
            Value::String(_) => (name, value),
            other => (name, Value::String(other.to_string())),
        };
        Self {
            id: wire_id::write(PREFIX, conversation.id.0),
            object: "conversation",
            created_at: conversation.created_at.unix_seconds(),
            metadata: conversation.metadata.into_iter().map(text).collect(),
        }
    }
}

/// A new conversation.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct NewOpenAiConversation {
    /// At most 16 texts of 512 characters, under names of 64.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// What is said in it already, at most 20 items.
    #[schema(value_type = Option<Vec<Object>>)]
    items: Option<Vec<Value>>,
}

/// A change of a conversation.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct OpenAiConversationChange {
    /// The new metadata, in the place of all before; `null` for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Object, required = true)]
    metadata: Option<Option<Map<String, Value>>>,
}

/// A field that may be `null`, which is something else than missing.
fn given<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from).map(Some)
}

/// What is left of a conversation that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedConversation {
    /// The conversation.
    id: String,
    /// `conversation.deleted`.
    object: &'static str,
    /// True.
    deleted: bool,
}

/// The conversation of a path.
///
/// # Errors
/// `NotFound` for a malformed id.
pub(super) fn conversation_id(text: &str) -> Result<ConversationId> {
    wire_id::of(PREFIX, "conversation", text).map(ConversationId)
}

/// The failure of a call about the conversation that was sent as `text`, which it names.
pub(super) fn failure(error: Error, text: &str) -> Failure {
    wire_id::about(error, "conversation", text)
}

/// Checks how many items there are.
///
/// # Errors
/// `Invalid`, naming `items`.
pub(super) fn check_count(items: &[Value]) -> Result<()> {
    if items.len() > MAX_ITEMS {
        let count = items.len();
        return Err(
            Error::field("items", format!("has {count} items; the most is {MAX_ITEMS} at once")).into()
        );
    }
    Ok(())
}

/// Makes a conversation, with what is said in it already. The body is optional.
#[utoipa::path(post, path = "/v1/conversations", tag = "openai conversations",
    request_body = Option<NewOpenAiConversation>, responses((status = 200, body = OpenAiConversation)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    OptionalJson(new): OptionalJson<NewOpenAiConversation>,
) -> Result<Json<OpenAiConversation>> {
    let metadata = attribute::metadata(new.metadata.unwrap_or_default())?;
    let items = new.items.unwrap_or_default();
    check_count(&items)?;
    let messages = input_messages(&items, "items")?;
    let conversations = app.engine.conversations(&scope);
    let conversation = conversations.create(NewConversation::new().metadata(metadata)).await?;
    if !messages.is_empty()
        && let Err(error) = conversations.append(conversation.id, messages).await
    {
        // Nothing stays half made.
        conversations.delete(conversation.id).await?;
        return Err(failure(error, PREFIX));
    }
    Ok(Json(conversation.into()))
}

/// Returns a conversation.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "openai conversations",
    params(("id" = String, Path, description = "`conv_…`")),
    responses((status = 200, body = OpenAiConversation)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<OpenAiConversation>> {
    let found = app.engine.conversations(&scope).get(conversation_id(&id)?).await;
    Ok(Json(found.map_err(|error| failure(error, &id))?.into()))
}

/// Replaces the metadata of a conversation.
#[utoipa::path(post, path = "/v1/conversations/{id}", tag = "openai conversations",
    params(("id" = String, Path, description = "`conv_…`")), request_body = OpenAiConversationChange,
    responses((status = 200, body = OpenAiConversation)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
    Json(change): Json<OpenAiConversationChange>,
) -> Result<Json<OpenAiConversation>> {
    let missing = || Error::field("metadata", "is missing; it replaces the metadata that there is");
    let metadata = attribute::metadata(change.metadata.ok_or_else(missing)?.unwrap_or_default())?;
    let change = ConversationChange::new().metadata(metadata);
    let changed = app.engine.conversations(&scope).update(conversation_id(&id)?, change).await;
    Ok(Json(changed.map_err(|error| failure(error, &id))?.into()))
}

/// Deletes a conversation with its items; its running answers stop.
#[utoipa::path(delete, path = "/v1/conversations/{id}", tag = "openai conversations",
    params(("id" = String, Path, description = "`conv_…`")),
    responses((status = 200, body = DeletedConversation)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<DeletedConversation>> {
    let conversation = conversation_id(&id)?;
    let deleted = app.engine.conversations(&scope).delete(conversation).await;
    deleted.map_err(|error| failure(error, &id))?;
    let id = wire_id::write(PREFIX, conversation.0);
    Ok(Json(DeletedConversation { id, object: "conversation.deleted", deleted: true }))
}
