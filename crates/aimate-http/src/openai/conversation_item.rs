//! `/v1/conversations/{id}/items`: what is said in a conversation, item by item.

use aimate_core::engine::Conversations;
use aimate_core::message::{Message, MessageStatus};
use aimate_core::{ConversationId, Cursor, Error, ErrorKind, MessageId, PageRequest, Slice, Timestamp};
use axum::extract::{RawQuery, State};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::conversation::{OpenAiConversation, check_count, conversation_id, failure};
use super::cursor_list::{CursorList, ListOrder};
use super::include;
use super::item::{Item, input_messages, items, message_of, placed};
use super::wire_id;
use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::path::{Path, Query};
use crate::scope::Caller;

/// Items of a page where the caller does not say, and at most.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// New items.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NewItems {
    /// The items, 1 to 20: messages, calls of functions, their outputs, thoughts.
    #[schema(value_type = Vec<Object>, required = true)]
    items: Option<Vec<Value>>,
}

/// The query of a list of items. Other fields are passed over, as OpenAI does.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ItemQuery {
    /// Maximum items, 1 to 100; default 20.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// `asc` or `desc`, in the order of the conversation; default `desc`.
    #[param(inline)]
    order: Option<ListOrder>,
    /// The id of an item: what follows it is listed.
    after: Option<String>,
}

/// Adds items at the end of a conversation, all or none.
#[utoipa::path(post, path = "/v1/conversations/{id}/items", tag = "openai conversations",
    params(("id" = String, Path, description = "`conv_…`")), request_body = NewItems,
    responses((status = 200, body = CursorList<Item>)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    Json(new): Json<NewItems>,
) -> Result<Json<CursorList<Item>>> {
    include::check(query.as_deref())?;
    let conversation = conversation_id(&id)?;
    let items_given = new.items.unwrap_or_default();
    if items_given.is_empty() {
        return Err(Error::field("items", "is empty; it needs at least one item").into());
    }
    check_count(&items_given)?;
    let messages = input_messages(&items_given, "items")?;
    let conversations = app.engine.conversations(&scope);
    let added = if messages.is_empty() {
        conversations.get(conversation).await.map(|_| Vec::new())
    } else {
        conversations.append(conversation, messages).await
    };
    let added = added.map_err(|error| failure(error, &id))?;
    Ok(Json(list(added.iter().flat_map(items).collect(), false)))
}

/// Lists the items of a conversation.
#[utoipa::path(get, path = "/v1/conversations/{id}/items", tag = "openai conversations",
    params(("id" = String, Path, description = "`conv_…`"), ItemQuery),
    responses((status = 200, body = CursorList<Item>)))]
pub(crate) async fn list_items(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    Query(query): Query<ItemQuery>,
) -> Result<Json<CursorList<Item>>> {
    include::check(raw.as_deref())?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::field("limit", format!("is {limit}; it must be 1 to {MAX_LIMIT}")).into());
    }
    let conversation = conversation_id(&id)?;
    let conversations = app.engine.conversations(&scope);
    conversations.get(conversation).await.map_err(|error| failure(error, &id))?;
    let walk = Walk { conversations, conversation, wanted: limit + 1 };
    let after = query.after.as_deref();
    let mut found = match query.order {
        Some(ListOrder::Asc) => walk.forwards(after).await?,
        Some(ListOrder::Desc) | None => walk.backwards(after).await?,
    };
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok(Json(list(found, has_more)))
}

/// Returns an item.
#[utoipa::path(get, path = "/v1/conversations/{id}/items/{item}", tag = "openai conversations",
    params(("id" = String, Path, description = "`conv_…`"), ("item" = String, Path, description = "The item's id")),
    responses((status = 200, body = Item)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, item)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Item>> {
    include::check(query.as_deref())?;
    let conversation = conversation_id(&id)?;
    let conversations = app.engine.conversations(&scope);
    conversations.get(conversation).await.map_err(|error| failure(error, &id))?;
    let message = message(&conversations, conversation, &item).await?;
    let found = message.iter().flat_map(items).find(|found| found.id() == item);
    Ok(Json(found.ok_or_else(|| wire_id::missing("item", &item))?))
}

/// Takes an item out of a conversation, and returns the conversation.
#[utoipa::path(delete, path = "/v1/conversations/{id}/items/{item}", tag = "openai conversations",
    params(("id" = String, Path, description = "`conv_…`"), ("item" = String, Path, description = "The item's id")),
    responses((status = 200, body = OpenAiConversation)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, item)): Path<(String, String)>,
) -> Result<Json<OpenAiConversation>> {
    let conversation = conversation_id(&id)?;
    let conversations = app.engine.conversations(&scope);
    conversations.get(conversation).await.map_err(|error| failure(error, &id))?;
    let message = message(&conversations, conversation, &item).await?;
    let found = message.iter().flat_map(placed).find(|found| found.item.id() == item);
    let missing = || wire_id::missing("item", &item);
    let (found, message) = found.zip(message).ok_or_else(missing)?;
    let removed = conversations.remove_parts(conversation, message.id, &found.parts).await;
    removed.map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing().into(),
        _ => failure(error, &id),
    })?;
    let left = conversations.get(conversation).await;
    Ok(Json(left.map_err(|error| failure(error, &id))?.into()))
}

/// The message that an item is of; `None` if there is none.
async fn message(
    conversations: &Conversations,
    conversation: ConversationId,
    item: &str,
) -> Result<Option<Message>> {
    let Some(id) = message_of(item) else { return Ok(None) };
    match conversations.message(conversation, id).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn list(data: Vec<Item>, has_more: bool) -> CursorList<Item> {
    CursorList::new(Slice { data, has_more }, Item::id)
}

/// The way through a conversation, until there are as many items as are wanted.
struct Walk {
    conversations: Conversations,
    conversation: ConversationId,
    wanted: usize,
}

impl Walk {
    /// From the newest item to the first.
    async fn backwards(&self, after: Option<&str>) -> Result<Vec<Item>> {
        let (mut found, mut cursor) = (Vec::new(), None);
        if let Some(after) = after {
            let message = self.message_of(after).await?;
            let known = place(&message, after)?;
            let before = items(&message).into_iter().take(known);
            found.extend(before.rev());
            cursor = Some(Cursor { at: Timestamp(0), id: message.id.0 });
        }
        while found.len() < self.wanted {
            let page = PageRequest { limit: self.page(), after: cursor };
            let page = self.conversations.messages(self.conversation, None, page).await?;
            let shown = page.data.iter().map(|listed| &listed.message).filter(|one| is_shown(one));
            found.extend(shown.rev().flat_map(|message| items(message).into_iter().rev()));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// From the first item to the newest.
    async fn forwards(&self, after: Option<&str>) -> Result<Vec<Item>> {
        let path = self.conversations.path(self.conversation).await?;
        let (mut found, mut from) = (Vec::new(), 0);
        if let Some(after) = after {
            let message = self.message_of(after).await?;
            let known = place(&message, after)?;
            found.extend(items(&message).into_iter().skip(known + 1));
            let index = path.iter().position(|id| *id == message.id);
            from = index.ok_or_else(|| unknown(after))? + 1;
        }
        for ids in path.get(from..).unwrap_or_default().chunks(self.page() as usize) {
            if found.len() >= self.wanted {
                break;
            }
            let messages = self.messages(ids).await?;
            found.extend(messages.iter().filter(|one| is_shown(one)).flat_map(items));
        }
        Ok(found)
    }

    /// The messages of a piece of the path.
    async fn messages(&self, ids: &[MessageId]) -> Result<Vec<Message>> {
        let (mut messages, mut cursor) = (Vec::with_capacity(ids.len()), None);
        // A page of large messages is shorter than it is asked for: the rest is older.
        while messages.len() < ids.len() {
            let limit = u32::try_from(ids.len() - messages.len()).unwrap_or(u32::MAX);
            let page = PageRequest { limit, after: cursor };
            let page = self.conversations.messages(self.conversation, ids.last().copied(), page).await?;
            cursor = page.next;
            messages.splice(0..0, page.data.into_iter().map(|listed| listed.message));
            if cursor.is_none() {
                break;
            }
        }
        Ok(messages)
    }

    async fn message_of(&self, after: &str) -> Result<Message> {
        let message = message(&self.conversations, self.conversation, after).await?;
        message.ok_or_else(|| unknown(after).into())
    }

    fn page(&self) -> u32 {
        u32::try_from(self.wanted).unwrap_or(u32::MAX)
    }
}

/// An answer is in the conversation once it is whole.
fn is_shown(message: &Message) -> bool {
    message.status != MessageStatus::Streaming
}

/// The place of an item among those of its message.
fn place(message: &Message, id: &str) -> Result<usize> {
    items(message).iter().position(|item| item.id() == id).ok_or_else(|| unknown(id).into())
}

fn unknown(after: &str) -> Error {
    let shown = wire_id::shown(after);
    Error::field("after", format!("there is no item `{shown}` in this conversation"))
}
