//! `/api/v1/conversations`, without the messages: those are in
//! [`message`](crate::message).

use aimate_core::conversation::{
    Conversation, ConversationChange, ConversationFilter, ConversationHit, ConversationSearch,
    NewConversation,
};
use aimate_core::{ConversationId, MessageId, WorkspaceId};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json, OptionalJson};
use crate::page::{List, page};
use crate::path::{Path, Query};
use crate::scope::Caller;

/// The filter of the list of conversations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConversationQuery {
    /// Only those whose title contains this, ignoring case.
    q: Option<String>,
    /// Only those with this label.
    tag: Option<String>,
    /// Only archived (true) or only other (false) ones.
    archived: Option<bool>,
    /// Only pinned (true) or only other (false) ones.
    pinned: Option<bool>,
    /// Only those of this workspace.
    workspace_id: Option<WorkspaceId>,
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// What is searched for in conversations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConversationSearchQuery {
    /// Words, 1 to 500 characters. Each has to occur in the title or in a message; the
    /// last one may be only begun. Signs that are no words say nothing.
    #[param(required, min_length = 1, max_length = 500)]
    q: Option<String>,
    /// Only conversations with this label.
    tag: Option<String>,
    /// Only archived (true) or only other (false) ones.
    archived: Option<bool>,
    /// Only those of this workspace.
    workspace_id: Option<WorkspaceId>,
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// A copy of a conversation up to a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForkBody {
    /// The last message of the copy.
    message_id: MessageId,
}

const LIST: &str = "conversations";
const SEARCH: &str = "conversation search";

/// Lists the caller's conversations, last changed first.
#[utoipa::path(get, path = "/api/v1/conversations", tag = "conversations", params(ConversationQuery),
    responses((status = 200, body = List<Conversation>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<ConversationQuery>,
) -> Result<List<Conversation>> {
    let page = page(LIST, query.limit, query.cursor.as_deref())?;
    let filter = ConversationFilter {
        query: query.q,
        tag: query.tag,
        is_archived: query.archived,
        is_pinned: query.pinned,
        workspace_id: query.workspace_id,
        is_hidden: false,
    };
    let conversations = app.engine.conversations(&scope);
    Ok(List::of(LIST, conversations.list(&filter, page).await?))
}

/// Finds conversations by the words of their titles and messages, the newest message that fits
/// best first.
#[utoipa::path(get, path = "/api/v1/conversations/search", tag = "conversations",
    params(ConversationSearchQuery), responses((status = 200, body = List<ConversationHit>)))]
pub(crate) async fn search(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<ConversationSearchQuery>,
) -> Result<List<ConversationHit>> {
    // Of another search, a cursor is no place in this one.
    let list = format!("{SEARCH} {}", query.q.as_deref().unwrap_or_default());
    let page = page(&list, query.limit, query.cursor.as_deref())?;
    let search = ConversationSearch {
        query: query.q.unwrap_or_default(),
        tag: query.tag,
        is_archived: query.archived,
        workspace_id: query.workspace_id,
    };
    let conversations = app.engine.conversations(&scope);
    Ok(List::of(&list, conversations.search(&search, page).await?))
}

/// Adds an empty conversation; the body is optional.
#[utoipa::path(post, path = "/api/v1/conversations", tag = "conversations",
    request_body = Option<NewConversation>, responses((status = 201, body = Conversation)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    OptionalJson(new): OptionalJson<NewConversation>,
) -> Result<Response> {
    let conversation = app.engine.conversations(&scope).create(new).await?;
    Ok(created(conversation))
}

/// Returns one conversation.
#[utoipa::path(get, path = "/api/v1/conversations/{id}", tag = "conversations",
    params(("id" = ConversationId, Path)), responses((status = 200, body = Conversation)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConversationId>,
) -> Result<Json<Conversation>> {
    Ok(Json(app.engine.conversations(&scope).get(id).await?))
}

/// Changes the fields that are present.
#[utoipa::path(method(put, patch), path = "/api/v1/conversations/{id}", tag = "conversations",
    params(("id" = ConversationId, Path)), request_body = ConversationChange,
    responses((status = 200, body = Conversation)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConversationId>,
    Json(change): Json<ConversationChange>,
) -> Result<Json<Conversation>> {
    let conversations = app.engine.conversations(&scope);
    Ok(Json(conversations.update(id, change).await?))
}

/// Deletes a conversation with its messages and runs.
#[utoipa::path(delete, path = "/api/v1/conversations/{id}", tag = "conversations",
    params(("id" = ConversationId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConversationId>,
) -> Result<StatusCode> {
    app.engine.conversations(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Copies the branch up to a message into a new conversation.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/fork", tag = "conversations",
    params(("id" = ConversationId, Path)), request_body = ForkBody,
    responses((status = 201, body = Conversation)))]
pub(crate) async fn fork(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConversationId>,
    Json(body): Json<ForkBody>,
) -> Result<Response> {
    let conversations = app.engine.conversations(&scope);
    Ok(created(conversations.fork(id, body.message_id).await?))
}

fn created(conversation: Conversation) -> Response {
    let address = format!("/api/v1/conversations/{}", conversation.id);
    json::created(&address, conversation)
}
