//! The OpenAI-compatible API: `/v1/…`, and `/api/v1/chat/completions`, which
//! stores question and answer.

mod attribute;
mod attribute_filter;
mod chunk;
mod completion;
pub(crate) mod conversation;
pub(crate) mod conversation_item;
pub(crate) mod cursor_list;
mod embedding;
pub(crate) mod file;
mod function;
mod include;
pub(crate) mod item;
mod item_walk;
mod message;
pub(crate) mod number;
mod parsed;
mod request;
pub(crate) mod responses;
mod schema;
mod stream;
mod text_completion;
pub(crate) mod upload;
pub(crate) mod vector_store;
pub(crate) mod wire_id;
mod write;

use aimate_core::engine::{Completion, OfferedModel};
use aimate_core::{Error, Scope};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{App, Seat};
use crate::error::Result;
use crate::json::{self, Json};
use crate::message::client_id;
use crate::path::Path;
use crate::scope::Caller;
use crate::sse;
use chunk::{ChunkWriter, CompletionHead, write_completion};
use completion::ChatCompletion;
use parsed::ParsedRequest;
use request::ChatBody;
use schema::{ChatChunkSchema, ChatCompletionSchema};
use stream::{CompletionStreamBody, StoredCompletion};
pub(crate) use {embedding::__path_embeddings, embedding::embeddings};
pub(crate) use {text_completion::__path_text_completion, text_completion::text_completion};

/// Answers a chat. Only the usage is stored, unless `store` is true or
/// `conversation_id` is set.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "chat", request_body = ChatBody,
    responses((status = 200, content((ChatCompletionSchema = "application/json"), (ChatChunkSchema = "text/event-stream")))))]
pub(crate) async fn completion(
    State(app): State<App>,
    Caller(scope): Caller,
    headers: HeaderMap,
    Json(body): Json<ChatBody>,
) -> Result<Response> {
    let store = body.store.unwrap_or(body.conversation_id.is_some());
    answer(&app, &scope, &headers, body, store).await
}

/// Answers a chat and stores it, unless `store` is false. The answer has a
/// `conversation_id`; if the next request sends it, only the messages after the
/// last answer count as new.
#[utoipa::path(post, path = "/api/v1/chat/completions", tag = "chat", request_body = ChatBody,
    params(("idempotency-key" = Option<String>, Header, description = "The caller's own id of the turn: if sent twice, the turn is answered once")),
    responses((status = 200, content((ChatCompletionSchema = "application/json"), (ChatChunkSchema = "text/event-stream")))))]
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
    let request = body.parse()?;
    let seat = app.seat(scope)?;
    if store {
        complete_stored(app, scope, headers, request, seat).await
    } else {
        complete(app, scope, request, seat).await
    }
}

/// Answers without storing anything but the usage.
async fn complete(app: &App, scope: &Scope, parsed: ParsedRequest, seat: Seat) -> Result<Response> {
    if parsed.conversation.is_some() {
        return Err(Error::field("conversation_id", "requires `store`; leave one of them out").into());
    }
    let include_usage = parsed.include_usage;
    let is_streamed = parsed.request.stream;
    let mut completion = Completion::new(parsed.request);
    completion.model = parsed.model;
    completion.knowledge = parsed.knowledge;
    completion.retrievers = parsed.retrievers;
    completion.use_tools = parsed.use_tools;
    completion.tags = parsed.tags;
    let stream = app.engine.complete(scope, completion).await?;
    let head = CompletionHead::new(app.engine.sources(), stream.model(), None);
    if is_streamed {
        let chunks = ChunkWriter::new(&head, include_usage);
        return Ok(sse::response(app, CompletionStreamBody::new(stream, chunks), seat));
    }
    let completion = ChatCompletion::collect(stream).await?;
    Ok(json::bytes(write_completion(&head, &completion)))
}

/// Answers and stores question and answer.
async fn complete_stored(
    app: &App,
    scope: &Scope,
    headers: &HeaderMap,
    parsed: ParsedRequest,
    seat: Seat,
) -> Result<Response> {
    let include_usage = parsed.include_usage;
    let is_streamed = parsed.request.stream;
    let mut turn = parsed.into_turn()?;
    turn.client_id = client_id(headers, None)?;
    let answer = app.engine.chat(scope, turn).await?;
    let conversation = answer.conversation_id();
    let completion = StoredCompletion::new(answer);
    if is_streamed {
        let (completion, model) = completion.started().await?;
        let head = CompletionHead::new(app.engine.sources(), &model, Some(conversation));
        let chunks = ChunkWriter::new(&head, include_usage);
        return Ok(sse::response(app, completion.into_chunks(chunks), seat));
    }
    let (completion, model) = completion.collect().await?;
    let head = CompletionHead::new(app.engine.sources(), &model, Some(conversation));
    Ok(json::bytes(write_completion(&head, &completion)))
}

/// A model in OpenAI's form.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiModel {
    /// `CONNECTION/MODEL`.
    id: String,
    /// `model`.
    object: &'static str,
    /// The creation time of its connection, in seconds since 1970.
    created: u64,
    /// The connection's name.
    owned_by: String,
}

/// A list of models in OpenAI's form.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiModels {
    /// `list`.
    object: &'static str,
    /// The models.
    data: Vec<OpenAiModel>,
}

impl From<OfferedModel> for OpenAiModel {
    fn from(model: OfferedModel) -> Self {
        let created = model.connection_id.uuid().get_timestamp();
        let name = model.id.split('/').next().unwrap_or_default();
        Self {
            owned_by: name.to_owned(),
            created: created.map_or(0, |at| at.to_unix().0),
            id: model.id,
            object: "model",
        }
    }
}

/// Lists the active models.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, body = OpenAiModels)))]
pub(crate) async fn models(State(app): State<App>, Caller(scope): Caller) -> Result<Json<OpenAiModels>> {
    let offered = app.engine.models(&scope).list().await?;
    let active = offered.into_iter().filter(|model| model.is_active);
    Ok(Json(OpenAiModels { object: "list", data: active.map(OpenAiModel::from).collect() }))
}

/// Returns one model. The slashes of its id may be sent as they are or as `%2F`.
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
