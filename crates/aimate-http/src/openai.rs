//! OpenAI's shapes: `/v1/…`, and `/api/v1/chat/completions`, which keeps what
//! is said.

mod answer;
mod chunk;
mod embedding;
mod function;
mod message;
mod question;
mod request;
mod schema;

use aimate_core::engine::{Completion, OfferedModel};
use aimate_core::{Error, Scope};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::message::client_id;
use crate::path::Path;
use crate::scope::Caller;
use crate::sse;
use answer::{Kept, Live, Whole};
use chunk::{Chunks, Head};
use question::Question;
use request::ChatBody;
use schema::{ChatChunk, ChatCompletion};
pub(crate) use {embedding::__path_embeddings, embedding::embeddings};

/// Answers a chat. Nothing is kept but the usage, unless `store` or
/// `conversation_id` says so.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "chat", request_body = ChatBody,
    responses((status = 200, content((ChatCompletion = "application/json"), (ChatChunk = "text/event-stream")))))]
pub(crate) async fn completion(
    State(app): State<App>,
    Caller(scope): Caller,
    headers: HeaderMap,
    Json(body): Json<ChatBody>,
) -> Result<Response> {
    let store = body.store.unwrap_or(body.conversation_id.is_some());
    answer(&app, &scope, &headers, body, store).await
}

/// Answers a chat and keeps it, unless `"store": false`. The answer carries the
/// `conversation_id`; sent with the next question, only the messages after the
/// last answer count as new.
#[utoipa::path(post, path = "/api/v1/chat/completions", tag = "chat", request_body = ChatBody,
    params(("idempotency-key" = Option<String>, Header, description = "The caller's own id of the turn: sent twice, it is answered once")),
    responses((status = 200, content((ChatCompletion = "application/json"), (ChatChunk = "text/event-stream")))))]
pub(crate) async fn stored_completion(
    State(app): State<App>,
    Caller(scope): Caller,
    headers: HeaderMap,
    Json(body): Json<ChatBody>,
) -> Result<Response> {
    let store = body.store.unwrap_or(true);
    answer(&app, &scope, &headers, body, store).await
}

async fn answer(
    app: &App,
    scope: &Scope,
    headers: &HeaderMap,
    body: ChatBody,
    store: bool,
) -> Result<Response> {
    let question = body.question()?;
    if store { kept(app, scope, headers, question).await } else { passing(app, scope, question).await }
}

/// Asks and keeps nothing.
async fn passing(app: &App, scope: &Scope, question: Question) -> Result<Response> {
    if question.conversation.is_some() {
        return Err(Error::field("conversation_id", "needs `store`; leave one of them out").into());
    }
    let include_usage = question.include_usage;
    let stream = question.request.stream;
    let completion =
        Completion { model: question.model, request: question.request, knowledge: question.knowledge };
    let pieces = app.engine.complete(scope, completion).await?;
    let head = Head::new(app.engine.sources(), pieces.model(), None);
    if stream {
        let chunks = Chunks::new(&head, include_usage);
        return Ok(sse::response(app, Live::new(pieces, chunks)));
    }
    Ok(json::bytes(Whole::of(pieces).await?.write(&head)))
}

/// Asks and keeps question and answer.
async fn kept(app: &App, scope: &Scope, headers: &HeaderMap, question: Question) -> Result<Response> {
    let include_usage = question.include_usage;
    let stream = question.request.stream;
    let mut turn = question.turn()?;
    turn.client_id = client_id(headers, None)?;
    let answer = app.engine.chat(scope, turn).await?;
    let conversation = answer.conversation_id();
    let kept = Kept::new(answer);
    if stream {
        let (kept, model) = kept.begun().await?;
        let head = Head::new(app.engine.sources(), &model, Some(conversation));
        let chunks = Chunks::new(&head, include_usage);
        return Ok(sse::response(app, kept.told_as(chunks)));
    }
    let (whole, model) = kept.whole().await?;
    let head = Head::new(app.engine.sources(), &model, Some(conversation));
    Ok(json::bytes(whole.write(&head)))
}

/// A model, as OpenAI's clients read it.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiModel {
    /// `CONNECTION/MODEL`.
    id: String,
    /// `model`.
    object: &'static str,
    /// When its connection was made, in seconds since 1970.
    created: u64,
    /// The connection's name.
    owned_by: String,
}

/// The models, as OpenAI's clients read them.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiModels {
    /// `list`.
    object: &'static str,
    /// The models.
    data: Vec<OpenAiModel>,
}

impl From<OfferedModel> for OpenAiModel {
    fn from(model: OfferedModel) -> Self {
        let made = model.connection_id.uuid().get_timestamp();
        let name = model.id.split('/').next().unwrap_or_default();
        Self {
            owned_by: name.to_owned(),
            created: made.map_or(0, |at| at.to_unix().0),
            id: model.id,
            object: "model",
        }
    }
}

/// Lists the models that may be used.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, body = OpenAiModels)))]
pub(crate) async fn models(State(app): State<App>, Caller(scope): Caller) -> Result<Json<OpenAiModels>> {
    let offered = app.engine.models(&scope).list().await?;
    let active = offered.into_iter().filter(|model| model.is_active);
    Ok(Json(OpenAiModels { object: "list", data: active.map(OpenAiModel::from).collect() }))
}

/// Gives one model. The slashes of its id may stand as they are or as `%2F`.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "models",
    params(("id" = String, Path, description = "`CONNECTION/MODEL`")),
    responses((status = 200, body = OpenAiModel)))]
pub(crate) async fn model(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<OpenAiModel>> {
    let model = app.engine.models(&scope).get(&id).await?;
    if !model.is_active {
        return Err(Error::not_found(format!("the model `{}` is disabled", model.id)).into());
    }
    Ok(Json(model.into()))
}

/// Writes `value` as JSON behind what is there.
fn put<T: Serialize + ?Sized>(out: &mut bytes::BytesMut, value: &T) {
    // Invariant: texts, numbers and JSON values can always be written as JSON,
    // and memory takes every byte.
    if let Err(error) = serde_json::to_writer(bytes::BufMut::writer(out), value) {
        tracing::error!(%error, "a value could not be written as JSON");
    }
}

/// What was written.
fn done(out: bytes::BytesMut) -> Bytes {
    out.freeze()
}
