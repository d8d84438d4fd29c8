//! `/api/v1/knowledge/documents`, and adding documents to a collection.

use aimate_core::engine::Knowledge;
use aimate_core::knowledge::{Chunk, Document, DocumentFilter, DocumentStatus, NewDocument};
use aimate_core::{CollectionId, DocumentId, Error, PageRequest};
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::upload::{self, UploadForm};
use crate::app::App;
use crate::error::Result;
use crate::json::{self, Json};
use crate::page::{List, page};
use crate::path::{Path, Query};
use crate::scope::Caller;
use crate::sse;

/// The filter of the list of documents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DocumentQuery {
    /// Only those of this collection.
    collection_id: Option<CollectionId>,
    /// Only those with this status.
    #[param(inline)]
    status: Option<DocumentStatus>,
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// The chunks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChunkQuery {
    /// The index of the first chunk; default 0.
    from: Option<u32>,
    /// Maximum items, 1 to 200; default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page, instead of `from`.
    cursor: Option<String>,
}

/// A new document: its text, or the URL to fetch it from.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DocumentBody {
    /// The name, 1 to 4,000 characters; required with `text`. Its extension hints
    /// at the format.
    name: Option<String>,
    /// The text; either this or `url`.
    text: Option<String>,
    /// An `http:` or `https:` URL; either this or `text`.
    url: Option<String>,
    /// Where the document comes from; default: `url`. A collection has one
    /// document per source: adding it again replaces it.
    source: Option<String>,
    /// The media type; default: `text/markdown` for `text`, else detected from
    /// content and name.
    media_type: Option<String>,
    /// Application data, at most 64 KiB as JSON; filters match it.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

impl DocumentBody {
    async fn add(self, knowledge: &Knowledge, collection: CollectionId) -> Result<Document> {
        let new = NewDocument {
            name: self.name.clone().unwrap_or_default(),
            media_type: self.media_type,
            source: self.source,
            metadata: self.metadata,
        };
        match (self.text, self.url) {
            (Some(_), Some(_)) => Err(Error::field("url", "excludes `text`; send one of them").into()),
            (None, None) => Err(Error::field("text", "is missing; send `text` with `name`, or `url`").into()),
            (Some(_), None) if self.name.is_none() => Err(Error::field("name", "is missing").into()),
            (Some(text), None) if text.trim().is_empty() => Err(Error::field("text", "is empty").into()),
            (Some(text), None) => Ok(knowledge.add_text_to(collection, new, text).await?),
            (None, Some(url)) => Ok(knowledge.add_url(collection, &url, new).await?),
        }
    }
}

const LIST: &str = "documents";

/// Lists the caller's documents, newest first.
#[utoipa::path(get, path = "/api/v1/knowledge/documents", tag = "knowledge", params(DocumentQuery),
    responses((status = 200, body = List<Document>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<DocumentQuery>,
) -> Result<List<Document>> {
    let page = page(LIST, query.limit, query.cursor.as_deref())?;
    let filter =
        DocumentFilter { collection: query.collection_id, status: query.status, ..DocumentFilter::default() };
    Ok(List::of(LIST, app.engine.knowledge(&scope).documents(&filter, page).await?))
}

/// Adds a document: a file of at most 1 GiB, a text, or the page of a URL. It is
/// `pending` at first, and searchable once it is `ready`.
#[utoipa::path(post, path = "/api/v1/knowledge/collections/{id}/documents", tag = "knowledge",
    params(("id" = CollectionId, Path)),
    request_body(content((UploadForm = "multipart/form-data"), (DocumentBody = "application/json"))),
    responses((status = 202, body = Document)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<CollectionId>,
    request: Request,
) -> Result<Response> {
    let knowledge = app.engine.knowledge(&scope);
    let document = if json::is_json(request.headers()) {
        let Json(body) = Json::<DocumentBody>::from_request(request, &app).await?;
        body.add(&knowledge, id).await?
    } else {
        upload::add(&app, &knowledge, id, request).await?
    };
    Ok(json::accepted(&format!("/api/v1/knowledge/documents/{}", document.id), document))
}

/// Returns one document.
#[utoipa::path(get, path = "/api/v1/knowledge/documents/{id}", tag = "knowledge",
    params(("id" = DocumentId, Path)), responses((status = 200, body = Document)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<DocumentId>,
) -> Result<Json<Document>> {
    Ok(Json(app.engine.knowledge(&scope).document(id).await?))
}

/// Deletes a document with its file, text, chunks and vectors.
#[utoipa::path(delete, path = "/api/v1/knowledge/documents/{id}", tag = "knowledge",
    params(("id" = DocumentId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<DocumentId>,
) -> Result<StatusCode> {
    app.engine.knowledge(&scope).delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancels the processing of a document; one that is `ready` or `failed` stays as
/// it is.
#[utoipa::path(post, path = "/api/v1/knowledge/documents/{id}/cancel", tag = "knowledge",
    params(("id" = DocumentId, Path)), responses((status = 200, body = Document)))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<DocumentId>,
) -> Result<Json<Document>> {
    Ok(Json(app.engine.knowledge(&scope).cancel(id).await?))
}

/// Reads a document that is `failed` again, from the file that is stored; one that is not stays as
/// it is.
#[utoipa::path(post, path = "/api/v1/knowledge/documents/{id}/retry", tag = "knowledge",
    params(("id" = DocumentId, Path)), responses((status = 202, body = Document)))]
pub(crate) async fn retry(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<DocumentId>,
) -> Result<Response> {
    let document = app.engine.knowledge(&scope).retry(id).await?;
    Ok(json::accepted(&format!("/api/v1/knowledge/documents/{id}"), document))
}

/// Lists the searchable chunks of a document, in order.
#[utoipa::path(get, path = "/api/v1/knowledge/documents/{id}/chunks", tag = "knowledge",
    params(("id" = DocumentId, Path), ChunkQuery), responses((status = 200, body = List<Chunk>)))]
pub(crate) async fn chunks(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<DocumentId>,
    Query(query): Query<ChunkQuery>,
) -> Result<List<Chunk>> {
    let limit = PageRequest::new(query.limit, None)?.limit;
    let from = match (query.from, &query.cursor) {
        (Some(_), Some(_)) => {
            return Err(Error::field("from", "excludes `cursor`; send one of them").into());
        }
        (from, None) => from.unwrap_or(0),
        (None, Some(cursor)) => cursor
            .parse()
            .map_err(|_| Error::field("cursor", "must be the `next_cursor` of an earlier page"))?,
    };
    let knowledge = app.engine.knowledge(&scope);
    let count = knowledge.document(id).await?.chunk_count;
    let data = knowledge.chunks(id, from, limit).await?;
    let next = data.last().map(|last| last.index.saturating_add(1)).filter(|next| *next < count);
    Ok(List { data, next_cursor: next.map(|next| next.to_string()) })
}

/// Streams the document whenever it changes, until it is `ready` or `failed`;
/// `204` if it already is and its last event was received.
#[utoipa::path(get, path = "/api/v1/knowledge/documents/{id}/events", tag = "knowledge",
    params(("id" = DocumentId, Path),
        ("last-event-id" = Option<u64>, Header, description = "The `id` of the last event received")),
    responses((status = 200, content_type = "text/event-stream", body = Document),
        (status = 204, description = "No more events")))]
pub(crate) async fn events(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<DocumentId>,
    headers: HeaderMap,
) -> Result<Response> {
    let last_received = sse::last_event_id(&headers)?;
    let knowledge = app.engine.knowledge(&scope);
    let document = knowledge.document(id).await?;
    let is_over = matches!(document.status, DocumentStatus::Ready | DocumentStatus::Failed);
    // A browser's `EventSource` reconnects after every end, but not after 204.
    if is_over && last_received == Some(event_id(&document)) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let seat = app.seat(&scope)?;
    Ok(sse::response(&app, DocumentChanges(knowledge.watch(id)), seat))
}

/// The changes of a document.
struct DocumentChanges(BoxStream<'static, aimate_core::Result<Document>>);

/// The `error` event of [`DocumentChanges`], such as for a deleted document.
#[derive(Serialize)]
struct ErrorEvent<'a> {
    code: &'static str,
    detail: &'a str,
    retryable: bool,
}

impl sse::SseSource for DocumentChanges {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        let before = out.len();
        let written = match self.0.next().await {
            None => return false,
            Some(Ok(document)) => write(out, Some(event_id(&document)), "document", &document),
            Some(Err(error)) => {
                let kind = error.kind();
                let event =
                    ErrorEvent { code: kind.as_str(), detail: error.message(), retryable: kind.retryable() };
                write(out, None, "error", &event)
            }
        };
        if let Err(error) = written {
            // Invariant: a document is plain data, which always serializes.
            tracing::error!(%error, "failed to serialize a document event");
            out.truncate(before);
        }
        true
    }
}

fn event_id(document: &Document) -> u64 {
    u64::try_from(document.updated_at.0).unwrap_or_default()
}

fn write(out: &mut BytesMut, id: Option<u64>, name: &str, data: &impl Serialize) -> std::io::Result<()> {
    use std::io::Write;
    let mut writer = out.writer();
    if let Some(id) = id {
        writeln!(writer, "id: {id}")?;
    }
    write!(writer, "event: {name}\ndata: ")?;
    serde_json::to_writer(&mut writer, data)?;
    writer.write_all(b"\n\n")
}
