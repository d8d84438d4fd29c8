//! `/v1/conversations/{id}/items`: what is said in a conversation, item by item.

use aimate_core::{Error, ErrorKind, Slice};
use axum::extract::{RawQuery, State};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::conversation::{OpenAiConversation, check_count, conversation_id, failure};
use super::cursor_list::{CursorList, ListOrder};
use super::include;
use super::item::{Item, input_messages, items, placed};
use super::item_walk::{ItemWalk, message};
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
    let walk = ItemWalk { conversations, conversation, leaf: None, answer: None, limit };
    let after = query.after.as_deref();
    Ok(Json(walk.page(query.order.unwrap_or(ListOrder::Desc), after).await?))
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
    if found.parts.is_empty() {
        let why = "is the decision of the call behind it, and goes with that `mcp_call`; delete that one";
        return Err(Error::field("item_id", why).into());
    }
    let removed = conversations.remove_parts(conversation, message.id, &found.parts).await;
    removed.map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing().into(),
        _ => failure(error, &id),
    })?;
    let left = conversations.get(conversation).await;
    Ok(Json(left.map_err(|error| failure(error, &id))?.into()))
}

fn list(data: Vec<Item>, has_more: bool) -> CursorList<Item> {
    CursorList::new(Slice { data, has_more }, Item::id)
}
