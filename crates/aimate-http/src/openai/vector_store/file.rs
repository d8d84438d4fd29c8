//! The files of a vector store.

use aimate_core::engine::Knowledge;
use aimate_core::knowledge::{
    AttachmentFilter, AttachmentStatus, Document, DocumentErrorCode, NewAttachment,
};
use aimate_core::{Error, FileId};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::super::attribute;
use super::super::cursor_list::{CursorList, CursorQuery, CursorRules};
use super::super::file::{DeletedObject, FILE, file_id};
use super::super::wire_id::{self, about};
use super::strategy::ChunkingStrategy;
use super::{STORE, found, present, usable, wait_for};
use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::path::{Path, Query};
use crate::scope::Caller;

/// How soon OpenAI's clients look again, in milliseconds.
const POLL_AFTER: HeaderName = HeaderName::from_static("openai-poll-after-ms");
const SOON: HeaderValue = HeaderValue::from_static("300");

/// Types whose bytes are their text.
const PLAIN: [&str; 4] = ["text/plain", "text/markdown", "text/csv", "application/json"];
/// Bytes of a plain text that is shown as it is; of more, what is read of it.
const MAX_PLAIN: u64 = 8 * 1024 * 1024;

pub(super) const RULES: CursorRules = CursorRules { prefix: FILE, default_limit: 20, max_limit: 100 };

/// A file of a vector store.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VectorStoreFile {
    /// The id of the file.
    pub(super) id: String,
    /// `vector_store.file`.
    object: &'static str,
    /// When it was attached, in seconds since 1970.
    created_at: i64,
    /// The vector store.
    vector_store_id: String,
    /// Bytes that can be found.
    usage_bytes: u64,
    /// `in_progress`, `completed`, `failed` or `cancelled`.
    status: &'static str,
    /// Why it failed.
    last_error: Option<LastError>,
    /// How it is split.
    chunking_strategy: ChunkingStrategy,
    /// What filters go by.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
}

/// Why a file failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastError {
    /// `server_error`, `unsupported_file` or `invalid_file`.
    code: &'static str,
    /// What was wrong and what would be right.
    message: String,
}

impl VectorStoreFile {
    pub(super) fn new(document: &Document) -> Self {
        let status = document.attachment_status();
        let is_failed = status == AttachmentStatus::Failed;
        let last_error = document
            .error
            .as_ref()
            .filter(|_| is_failed)
            .map(|error| LastError { code: error_code(&error.code), message: error.detail.clone() });
        Self {
            id: wire_id::write(FILE, document.key().0),
            object: "vector_store.file",
            created_at: document.created_at.unix_seconds(),
            vector_store_id: wire_id::write(STORE, document.collection_id.0),
            usage_bytes: if document.chunk_count > 0 { document.size } else { 0 },
            status: status.as_str(),
            last_error,
            chunking_strategy: ChunkingStrategy::of(document.token_chunking),
            attributes: attribute::of_document(&document.metadata),
        }
    }

    /// The answer, with when to ask again while it is read.
    fn respond(self) -> Response {
        let is_open = self.status == AttachmentStatus::InProgress.as_str();
        polled(is_open, Json(self))
    }
}

/// `body`, with when to ask again if it is not over.
pub(super) fn polled(is_open: bool, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if is_open {
        response.headers_mut().insert(POLL_AFTER, SOON);
    }
    response
}

fn error_code(code: &DocumentErrorCode) -> &'static str {
    use DocumentErrorCode::{Damaged, Empty, Encrypted, Invalid, NoText, TooLarge, Unsupported};
    match code {
        Unsupported | Encrypted | NoText => "unsupported_file",
        Damaged | Empty | Invalid | TooLarge => "invalid_file",
        _ => "server_error",
    }
}

/// A file to attach.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct StoreFileBody {
    /// The file.
    file_id: String,
    /// At most 16 strings, numbers and booleans, which filters go by.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    /// How it is split; default: `auto`.
    #[serde(default)]
    chunking_strategy: Option<ChunkingStrategy>,
}

impl StoreFileBody {
    pub(super) fn of(file_id: String) -> Self {
        Self { file_id, attributes: None, chunking_strategy: None }
    }

    /// The file as the client names it.
    pub(super) fn file_id(&self) -> &str {
        &self.file_id
    }

    /// The file for the engine. What it does not say itself is that of its batch.
    pub(super) fn attachment(
        self,
        attributes: Option<&Map<String, Value>>,
        strategy: Option<ChunkingStrategy>,
    ) -> Result<NewAttachment> {
        let attributes = self.attributes.or_else(|| attributes.cloned()).unwrap_or_default();
        Ok(NewAttachment {
            file: file_id(&self.file_id)?,
            metadata: attribute::attributes(attributes)?,
            chunking: self.chunking_strategy.or(strategy).unwrap_or_default().chunking()?,
        })
    }
}

/// Other attributes of a file.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AttributesBody {
    /// All attributes, replaced as a whole; `null` for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>, required = true)]
    attributes: Option<Option<Map<String, Value>>>,
}

/// Which files of a vector store are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusQuery {
    /// Only those that are `in_progress`, `completed`, `failed` or `cancelled`.
    filter: Option<String>,
}

impl StatusQuery {
    pub(super) fn status(&self) -> Result<Option<AttachmentStatus>> {
        let status = self.filter.as_deref().map(str::parse::<AttachmentStatus>).transpose();
        status.map_err(|error| Error::field("filter", error.message()).into())
    }
}

/// The document that the client means.
async fn attached(knowledge: &Knowledge, store: &str, file: &str) -> Result<Document> {
    let collection = found(knowledge, store).await?;
    let document = knowledge.attached(collection.id, file_id(file)?).await;
    document.map_err(|error| about(error, "file in the vector store", file))
}

/// Attaches a file to a vector store. The answer waits up to 2 seconds for it to be read.
#[utoipa::path(post, path = "/v1/vector_stores/{vector_store_id}/files", tag = "vector stores",
    operation_id = "create_vector_store_file", request_body = StoreFileBody,
    params(("vector_store_id" = String, Path)), responses((status = 200, body = VectorStoreFile)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(store): Path<String>,
    Json(body): Json<StoreFileBody>,
) -> Result<Response> {
    let knowledge = app.engine.knowledge(&scope);
    let collection = usable(&app, &knowledge, &store).await?;
    let id = body.file_id.clone();
    let new = body.attachment(None, None)?;
    let key = new.file;
    // Whose answer names the file, so that what is missing otherwise is the store.
    app.engine.files(&scope).get(key).await.map_err(|error| about(error, "file", &id))?;
    let attached = knowledge.attach(collection.id, new).await;
    let document = attached.map_err(|error| about(error, "vector store", &store))?;
    wait_for(&app, &scope, &[document.id]).await?;
    let document = knowledge.attached(collection.id, key).await;
    let document = document.map_err(|error| about(error, "file in the vector store", &id))?;
    Ok(VectorStoreFile::new(&document).respond())
}

/// Lists the files of a vector store, by when they were uploaded.
#[utoipa::path(get, path = "/v1/vector_stores/{vector_store_id}/files", tag = "vector stores",
    operation_id = "list_vector_store_files", params(("vector_store_id" = String, Path), CursorQuery, StatusQuery),
    responses((status = 200, body = CursorList<VectorStoreFile>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(store): Path<String>,
    Query(query): Query<CursorQuery>,
    Query(status): Query<StatusQuery>,
) -> Result<Json<CursorList<VectorStoreFile>>> {
    let knowledge = app.engine.knowledge(&scope);
    let collection = found(&knowledge, &store).await?;
    let filter = AttachmentFilter { status: status.status()?, batch: None };
    let files = knowledge.attached_files(collection.id, filter, query.range(RULES)?).await?;
    Ok(Json(CursorList::new(files.map(|document| VectorStoreFile::new(&document)), |file| &file.id)))
}

/// Returns a file of a vector store.
#[utoipa::path(get, path = "/v1/vector_stores/{vector_store_id}/files/{file_id}", tag = "vector stores",
    operation_id = "retrieve_vector_store_file",
    params(("vector_store_id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, body = VectorStoreFile)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((store, file)): Path<(String, String)>,
) -> Result<Response> {
    let document = attached(&app.engine.knowledge(&scope), &store, &file).await?;
    Ok(VectorStoreFile::new(&document).respond())
}

/// Replaces the attributes of a file, which is not read again.
#[utoipa::path(post, path = "/v1/vector_stores/{vector_store_id}/files/{file_id}", tag = "vector stores",
    operation_id = "update_vector_store_file", request_body = AttributesBody,
    params(("vector_store_id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, body = VectorStoreFile)))]
pub(crate) async fn update(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((store, file)): Path<(String, String)>,
    Json(body): Json<AttributesBody>,
) -> Result<Response> {
    let knowledge = app.engine.knowledge(&scope);
    let document = attached(&knowledge, &store, &file).await?;
    let missing = || Error::field("attributes", "is missing; it replaces the attributes that there are");
    let attributes = attribute::attributes(body.attributes.ok_or_else(missing)?.unwrap_or_default())?;
    let changed = knowledge.set_metadata(document.id, &attributes).await;
    let changed = changed.map_err(|error| about(error, "file in the vector store", &file))?;
    Ok(VectorStoreFile::new(&changed).respond())
}

/// Takes a file out of a vector store. The file stays.
#[utoipa::path(delete, path = "/v1/vector_stores/{vector_store_id}/files/{file_id}", tag = "vector stores",
    operation_id = "delete_vector_store_file",
    params(("vector_store_id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, body = DeletedObject)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((store, file)): Path<(String, String)>,
) -> Result<Json<DeletedObject>> {
    let knowledge = app.engine.knowledge(&scope);
    let document = attached(&knowledge, &store, &file).await?;
    let key: FileId = document.key();
    let deleted = knowledge.delete(document.id).await;
    deleted.map_err(|error| about(error, "file in the vector store", &file))?;
    Ok(Json(DeletedObject::new("vector_store.file.deleted", wire_id::write(FILE, key.0))))
}

/// The text of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileContentPage {
    /// `vector_store.file_content.page`.
    object: &'static str,
    /// One entry.
    data: Vec<ContentText>,
    /// `false`.
    has_more: bool,
    /// `null`.
    next_page: Option<String>,
}

/// A piece of text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContentText {
    /// `text`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The text.
    text: String,
}

impl ContentText {
    pub(super) fn new(text: String) -> Self {
        Self { kind: "text", text }
    }
}

/// The text of a document: a plain one to its last space, of others what can be read.
async fn text(knowledge: &Knowledge, document: &Document) -> aimate_core::Result<String> {
    if PLAIN.contains(&document.media_type.split(';').next().unwrap_or_default())
        && document.size <= MAX_PLAIN
    {
        let (_, content) = knowledge.content(document.id).await?;
        let pieces: Vec<Bytes> = content.into_stream().try_collect().await?;
        if let Ok(text) = String::from_utf8(pieces.concat()) {
            return Ok(text);
        }
    }
    knowledge.text(document.id).await
}

/// Returns the text of a file.
#[utoipa::path(get, path = "/v1/vector_stores/{vector_store_id}/files/{file_id}/content", tag = "vector stores",
    operation_id = "retrieve_vector_store_file_content",
    params(("vector_store_id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, body = FileContentPage)))]
pub(crate) async fn content(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((store, file)): Path<(String, String)>,
) -> Result<Json<FileContentPage>> {
    let knowledge = app.engine.knowledge(&scope);
    let document = attached(&knowledge, &store, &file).await?;
    let _seat = app.seat(&scope)?;
    let text = text(&knowledge, &document).await;
    let text = text.map_err(|error| about(error, "file in the vector store", &file))?;
    Ok(Json(FileContentPage {
        object: "vector_store.file_content.page",
        data: vec![ContentText::new(text)],
        has_more: false,
        next_page: None,
    }))
}
