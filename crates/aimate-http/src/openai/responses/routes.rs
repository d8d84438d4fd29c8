//! The routes of responses.

use std::time::Duration;

use aimate_core::chat::event::ChatEvent;
use aimate_core::run::Run;
use aimate_core::{Answer, Error, RunId, Scope};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Uri};
use serde_json::Value;
use tokio::time::timeout;

use super::ask::{Asked, found, refused, stored_run};
use super::body::{StoredBody, stored_response};
use super::echo::Echo;
use super::frame::{Frames, Framing};
use super::object::{Head, Outcome, PREFIX, State as ResponseState};
use super::query::{InputItemQuery, RetrieveQuery};
use super::request::ResponseBody;
use super::schema::{DeletedResponse, InputTokens, ResponseEventSchema, ResponseSchema};
use super::unstored::{self, UnstoredBody};
use crate::app::{App, Seat};
use crate::error::{Failure, Result};
use crate::json::Json;
use crate::message::client_id;
use crate::openai::cursor_list::CursorList;
use crate::openai::item::Item;
use crate::openai::item_walk::ItemWalk;
use crate::openai::wire_id;
use crate::path::Path;
use crate::scope::Caller;
use crate::sse;

/// How long a cancelled response may take to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers a question. The response is stored, unless `store` is false, and others can follow
/// it.
#[utoipa::path(post, path = "/v1/responses", tag = "responses", request_body = ResponseBody,
    params(("idempotency-key" = Option<String>, Header, description = "The caller's own id of a stored response: if sent twice, it is made once")),
    responses((status = 200, content((ResponseSchema = "application/json"), (ResponseEventSchema = "text/event-stream")))))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    headers: HeaderMap,
    Json(body): Json<ResponseBody>,
) -> Result<Response> {
    // First: what a request brings along may be work by itself.
    let seat = app.seat(&scope)?;
    let mut asked = Asked::read(&app, &scope, body).await?;
    asked.once(client_id(&headers, None)?);
    asked.search(&app, &scope).await?;
    // What is added to a conversation is stored, whether or not the response can be read again.
    let is_run = asked.parsed.is_stored() || asked.parsed.conversation.is_some();
    if !is_run {
        return unstored(&app, &scope, asked, seat).await;
    }
    // On the heap: it is as large as all that a response is made or read again with.
    Box::pin(stored(&app, &scope, asked, seat)).await
}

/// Begins a stored response.
pub(super) async fn begin(app: &App, scope: &Scope, asked: Asked) -> Result<(Answer, Echo)> {
    let (follows, echo) = (asked.follows, asked.parsed.echo.clone());
    let turn = asked.into_turn(app, scope).await?;
    let answer = app.engine.chat(scope, turn).await.map_err(|error| refused(error, follows))?;
    Ok((answer, echo))
}

async fn stored(app: &App, scope: &Scope, asked: Asked, seat: Seat) -> Result<Response> {
    let is_streamed = asked.parsed.is_streamed;
    let before = match asked.client_id.as_ref().filter(|_| asked.parsed.is_stored()) {
        Some((id, _)) => app.engine.runs(scope).of_client(id).await?.map(|run| run.id),
        None => None,
    };
    // A call that was decided of may have been made: the same request sent again must find the run.
    let is_kept = !asked.approvals.is_empty();
    let (mut answer, echo) = begin(app, scope, asked).await?;
    let (run, is_background) = (answer.run_id(), echo.is_background());
    if before == Some(run) {
        let (run, echo) = stored_run(app, scope, &wire_id::write(PREFIX, run.0)).await?;
        if run.status.is_final() {
            return match is_streamed {
                true => told(app, scope, &run, echo, None, seat).await,
                false => Ok(Json(stored_response(app, scope, &run, echo).await?).into_response()),
            };
        }
    }
    if is_streamed {
        let mut body = StoredBody::new(app, scope, answer, echo, Frames::new(Framing::Sse, None));
        if !is_background && let Err(failure) = body.begun().await {
            return Err(if is_kept { failure } else { not_kept(app, scope, run, failure).await });
        }
        return Ok(sse::response(app, body, seat));
    }
    if is_background {
        let run = app.engine.runs(scope).get(run).await?;
        let head = Head::of_run(&run, echo);
        return Ok(Json(head.response(&Outcome::begun(ResponseState::Queued))).into_response());
    }
    if let Err(error) = answer.finished_or_waiting().await {
        return Err(if is_kept { error.into() } else { not_kept(app, scope, run, error.into()).await });
    }
    let run = app.engine.runs(scope).get(run).await?;
    Ok(Json(stored_response(app, scope, &run, echo).await?).into_response())
}

/// Forgets a response that failed before its client learned its id: nobody could delete it.
async fn not_kept(app: &App, scope: &Scope, run: RunId, failure: Failure) -> Failure {
    if let Err(error) = app.engine.runs(scope).forget(run).await {
        tracing::warn!(%error, "a response that failed could not be forgotten");
    }
    failure
}

async fn unstored(app: &App, scope: &Scope, asked: Asked, seat: Seat) -> Result<Response> {
    let (is_streamed, follows) = (asked.parsed.is_streamed, asked.follows);
    let (completion, echo) = unstored::call(app, scope, asked).await?;
    let stream = app.engine.complete(scope, completion).await.map_err(|error| refused(error, follows))?;
    let framing = if is_streamed { Framing::Sse } else { Framing::Discard };
    let body = UnstoredBody::new(app.engine.sources(), stream, echo, Frames::new(framing, None));
    if is_streamed {
        return Ok(sse::response(app, body, seat));
    }
    Ok(Json(body.collect().await?).into_response())
}

/// Returns a response, or its events: with `stream`, those after `starting_after`.
#[utoipa::path(get, path = "/v1/responses/{id}", tag = "responses",
    params(("id" = String, Path, description = "The id of a response"), RetrieveQuery),
    responses((status = 200, content((ResponseSchema = "application/json"), (ResponseEventSchema = "text/event-stream")))))]
pub(crate) async fn retrieve(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response> {
    let query = RetrieveQuery::read(uri.query())?;
    let (run, mut echo) = stored_run(&app, &scope, &id).await?;
    echo.include.extend(query.include);
    if query.stream {
        let seat = app.seat(&scope)?;
        return told(&app, &scope, &run, echo, query.starting_after, seat).await;
    }
    Ok(Json(stored_response(&app, &scope, &run, echo).await?).into_response())
}

/// The events of a response that is there, those after a number.
async fn told(
    app: &App,
    scope: &Scope,
    run: &Run,
    echo: Echo,
    after: Option<u64>,
    seat: Seat,
) -> Result<Response> {
    let found = found(app, scope, run, &echo).await?;
    let answer = app.engine.runs(scope).attach(run.id, 0).await?;
    let body = StoredBody::new(app, scope, answer, echo, Frames::new(Framing::Sse, after));
    Ok(sse::response(app, body.with_found(found), seat))
}

/// Deletes a response. Responses that follow it stay.
#[utoipa::path(delete, path = "/v1/responses/{id}", tag = "responses",
    params(("id" = String, Path, description = "The id of a response")),
    responses((status = 200, body = DeletedResponse)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<DeletedResponse>> {
    let (run, _) = stored_run(&app, &scope, &id).await?;
    let runs = app.engine.runs(&scope);
    if !run.status.is_final() {
        // Nobody reads what it would cost.
        runs.cancel(run.id).await?;
    }
    runs.forget(run.id).await?;
    Ok(Json(DeletedResponse { id, object: "response.deleted", deleted: true }))
}

/// Cancels a response that was begun with `background`. One that is over stays as it is.
#[utoipa::path(post, path = "/v1/responses/{id}/cancel", tag = "responses",
    params(("id" = String, Path, description = "The id of a response")),
    responses((status = 200, body = ResponseSchema)))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let (mut run, echo) = stored_run(&app, &scope, &id).await?;
    if !echo.is_background() {
        let why = "only a response that was begun with `background` can be cancelled";
        return Err(Error::field("response_id", why).into());
    }
    if !run.status.is_final() {
        let _seat = app.seat(&scope)?;
        let runs = app.engine.runs(&scope);
        run = runs.cancel(run.id).await?;
        if !run.status.is_final() {
            let mut answer = runs.attach(run.id, 0).await?;
            let ended = async {
                while let Some(events) = answer.next_batch().await {
                    if events.iter().any(|(_, event): &(u64, std::sync::Arc<ChatEvent>)| event.is_final()) {
                        break;
                    }
                }
            };
            // One that takes longer is told as it is.
            let _ = timeout(CANCEL_TIMEOUT, ended).await;
            run = runs.get(run.id).await?;
        }
    }
    Ok(Json(stored_response(&app, &scope, &run, echo).await?))
}

/// Lists what the model was shown for a response: its own input, and the items that it follows.
#[utoipa::path(get, path = "/v1/responses/{id}/input_items", tag = "responses",
    params(("id" = String, Path, description = "The id of a response"), InputItemQuery),
    responses((status = 200, body = CursorList<Item>)))]
pub(crate) async fn input_items(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<CursorList<Item>>> {
    let query = InputItemQuery::read(uri.query())?;
    let (run, _) = stored_run(&app, &scope, &id).await?;
    let conversations = app.engine.conversations(&scope);
    let (conversation, answer) = (run.conversation_id, Some(run.message_id));
    let walk = ItemWalk { conversations, conversation, leaf: answer, answer, limit: query.limit() };
    Ok(Json(walk.page(query.order(), query.after()).await?))
}

/// Counts what a model would be shown for a request.
#[utoipa::path(post, path = "/v1/responses/input_tokens", tag = "responses", request_body = ResponseBody,
    responses((status = 200, body = InputTokens)))]
pub(crate) async fn input_tokens(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<ResponseBody>,
) -> Result<Json<InputTokens>> {
    let _seat = app.seat(&scope)?;
    let mut asked = Asked::read(&app, &scope, body).await?;
    asked.check(&app, &scope).await?;
    let follows = asked.follows;
    let turn = asked.into_turn(&app, &scope).await?;
    let counted = app.engine.count_prompt_tokens(&scope, turn).await;
    let input_tokens = counted.map_err(|error| refused(error, follows))?;
    Ok(Json(InputTokens { object: "response.input_tokens", input_tokens }))
}
