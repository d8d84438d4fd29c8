//! `/api/v1/conversations/{id}/messages`: the messages of a conversation, and
//! the turns that add to them; `/api/v1/messages`: the turn that starts one.

pub(crate) mod turn;

use aimate_core::chat::Turn;
use aimate_core::chat::event::ChatEvent;
use aimate_core::conversation::ListedMessage;
use aimate_core::engine::{Edited, Reached};
use aimate_core::message::{Message, ToolCall};
use aimate_core::{Answer, ConversationId, Error, MessageId, RunId};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{App, Seat};
use crate::error::Result;
use crate::json::{Json, OptionalJson};
use crate::page::{List, page};
use crate::path::{Path, Query};
use crate::scope::Caller;
use crate::sse;
use turn::TurnBody;

/// The header that OpenAI's and others' clients send a turn's own id in.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Which messages are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageQuery {
    /// The last message of the branch; default: the branch that is open.
    leaf: Option<MessageId>,
    /// A message of the branch, in place of its last one: the newest branch that it is in.
    through: Option<MessageId>,
    /// Rows at most, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Whether each part of type `text` or `reasoning` has its text as HTML that is safe to show too,
    /// as `html`; default false. A part without it is too long.
    #[cfg(feature = "markdown")]
    html: Option<bool>,
}

/// Lists a branch, newest page first, each page oldest message first.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/messages", tag = "messages",
    params(("id" = ConversationId, Path), MessageQuery),
    responses((status = 200, body = List<ListedMessage>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConversationId>,
    Query(query): Query<MessageQuery>,
) -> Result<Response> {
    let list = format!("messages/{id}");
    let page = page(&list, query.limit, query.cursor.as_deref())?;
    let conversations = app.engine.conversations(&scope);
    let leaf = match (query.leaf, query.through) {
        (Some(_), Some(_)) => {
            return Err(
                Error::field("through", "is another way to say which branch than `leaf`; give one").into()
            );
        }
        // A later page begins at its cursor.
        (None, Some(message)) if page.after.is_none() => Some(conversations.newest_leaf(id, message).await?),
        (leaf, _) => leaf,
    };
    let listed = List::of(&list, conversations.messages(id, leaf, page).await?);
    #[cfg(feature = "markdown")]
    if query.html == Some(true) {
        return Ok(crate::markdown::with_html(&app, listed, "data").await?.into_response());
    }
    Ok(listed.into_response())
}

/// Starts a conversation with a message and answers it: as a stream of events, or with
/// `"stream": false` as the finished message. `conversation` may give its title, labels
/// and so on.
#[utoipa::path(post, path = "/api/v1/messages", tag = "messages",
    params(("idempotency-key" = Option<String>, Header, description = "Like `client_id`")),
    request_body = TurnBody,
    responses((status = 200, content((ChatEvent = "text/event-stream"), (Message = "application/json"))),
        (status = 202, body = WaitingAnswer, description = "With `stream: false`: the answer waits for approvals")))]
pub(crate) async fn start(
    State(app): State<App>,
    Caller(scope): Caller,
    headers: HeaderMap,
    Json(body): Json<TurnBody>,
) -> Result<Response> {
    let seat = app.seat(&scope)?;
    let TurnRequest { turn, stream } = body.next(None, &headers)?;
    respond(&app, app.engine.chat(&scope, turn).await?, stream, seat).await
}

/// Adds a message and answers it: as a stream of events, or with
/// `"stream": false` as the finished message.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/messages", tag = "messages",
    params(("id" = ConversationId, Path),
        ("idempotency-key" = Option<String>, Header, description = "Like `client_id`")),
    request_body = TurnBody,
    responses((status = 200, content((ChatEvent = "text/event-stream"), (Message = "application/json"))),
        (status = 202, body = WaitingAnswer, description = "With `stream: false`: the answer waits for approvals")))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<ConversationId>,
    headers: HeaderMap,
    Json(body): Json<TurnBody>,
) -> Result<Response> {
    let seat = app.seat(&scope)?;
    let TurnRequest { turn, stream } = body.next(Some(id), &headers)?;
    respond(&app, app.engine.chat(&scope, turn).await?, stream, seat).await
}

/// Answers again: a sibling of this answer, or an answer to this question.
/// Takes the options of a turn, all of which may be left out.
#[utoipa::path(post, path = "/api/v1/conversations/{id}/messages/{mid}/regenerate", tag = "messages",
    params(("id" = ConversationId, Path), ("mid" = MessageId, Path)), request_body = Option<TurnBody>,
    responses((status = 200, content((ChatEvent = "text/event-stream"), (Message = "application/json"))),
        (status = 202, body = WaitingAnswer, description = "With `stream: false`: the answer waits for approvals")))]
pub(crate) async fn regenerate(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, message)): Path<(ConversationId, MessageId)>,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<TurnBody>,
) -> Result<Response> {
    let seat = app.seat(&scope)?;
    let TurnRequest { turn, stream } = body.again(id, message, &headers)?;
    respond(&app, app.engine.chat(&scope, turn).await?, stream, seat).await
}

/// Stores another wording beside a message. Of a question it is a turn of its
/// own, answered like any other; of an answer it is that message alone, as
/// JSON.
#[utoipa::path(put, path = "/api/v1/conversations/{id}/messages/{mid}", tag = "messages",
    params(("id" = ConversationId, Path), ("mid" = MessageId, Path)), request_body = TurnBody,
    responses((status = 200, content((ChatEvent = "text/event-stream"), (Message = "application/json"))),
        (status = 202, body = WaitingAnswer, description = "With `stream: false`: the answer waits for approvals")))]
pub(crate) async fn edit(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((id, message)): Path<(ConversationId, MessageId)>,
    headers: HeaderMap,
    Json(body): Json<TurnBody>,
) -> Result<Response> {
    let seat = app.seat(&scope)?;
    let TurnRequest { turn, stream } = body.edit(id, message, &headers)?;
    match app.engine.edit(&scope, turn).await? {
        Edited::Question(answer) => respond(&app, answer, stream, seat).await,
        Edited::Answer(message) => Ok(Json(*message).into_response()),
    }
}

/// A turn and how its answer is wanted.
pub(crate) struct TurnRequest {
    pub(crate) turn: Turn,
    stream: bool,
}

/// A turn whose answer waits for a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingAnswer {
    /// The run, which goes on once each call is decided.
    run_id: RunId,
    /// The calls that wait.
    approvals: Vec<ToolCall>,
}

/// The answer as a stream of events, or as the finished message; `202` where it waits for a
/// person.
async fn respond(app: &App, mut answer: Answer, stream: bool, seat: Seat) -> Result<Response> {
    if stream {
        return Ok(sse::answer(app, answer, seat));
    }
    let run_id = answer.run_id();
    match answer.finished_or_waiting().await? {
        Reached::Finished(finished) => Ok(Json(finished.message).into_response()),
        Reached::Waiting(approvals) => {
            Ok((StatusCode::ACCEPTED, Json(WaitingAnswer { run_id, approvals })).into_response())
        }
    }
}

/// The caller's own id of a turn out of the headers.
///
/// # Errors
/// `Invalid` if it is no text, or another one than `in_body`.
pub(crate) fn client_id(headers: &HeaderMap, in_body: Option<String>) -> Result<Option<String>> {
    let Some(header) = headers.get(&IDEMPOTENCY_KEY) else {
        return Ok(in_body);
    };
    let key = header.to_str().ok().filter(|key| !key.trim().is_empty());
    let key = key.ok_or_else(|| Error::field("Idempotency-Key", "is empty or no plain text"))?;
    match in_body {
        Some(id) if id != key => Err(Error::field(
            "client_id",
            "is another one than the header `Idempotency-Key`; send one of them",
        )
        .into()),
        _ => Ok(Some(key.to_owned())),
    }
}

/// Whether a caller who does not say wants a stream: yes, unless JSON is all
/// that is accepted.
fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .collect();
    accepted.is_empty() || accepted.iter().any(|range| *range != "application/json")
}
