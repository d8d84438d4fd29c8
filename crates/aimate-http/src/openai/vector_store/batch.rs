//! Files that are attached to a vector store together.

use aimate_core::knowledge::{AttachmentFilter, FileBatch};
use aimate_core::{Error, FileBatchId};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::cursor_list::{CursorList, CursorQuery};
use super::super::wire_id::{self, about};
use super::file::{RULES, StatusQuery, StoreFileBody, VectorStoreFile, polled};
use super::strategy::ChunkingStrategy;
use super::{FileCounts, STORE, files_are_there, found, usable, wait};
use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::path::{Path, Query};
use crate::scope::Caller;

/// What the ids of batches begin with.
const BATCH: &str = "vsfb_";
/// Files of a batch at most.
const MAX_FILES: usize = 2_000;

/// A batch of files.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VectorStoreFileBatch {
    /// `vsfb_…`.
    id: String,
    /// `vector_store.files_batch`.
    object: &'static str,
    /// When they were attached, in seconds since 1970.
    created_at: i64,
    /// The vector store.
    vector_store_id: String,
    /// `in_progress` while a file is read, `cancelled`, `failed` if no file could be read, or
    /// `completed`.
    status: &'static str,
    /// How many files it has.
    file_counts: FileCounts,
}

impl From<FileBatch> for VectorStoreFileBatch {
    fn from(batch: FileBatch) -> Self {
        let counts = batch.counts;
        let status = if batch.is_cancelled {
            "cancelled"
        } else if counts.in_progress > 0 {
            "in_progress"
        } else if counts.failed > 0 && counts.failed == counts.total() {
            "failed"
        } else {
            "completed"
        };
        Self {
            id: wire_id::write(BATCH, batch.id.0),
            object: "vector_store.files_batch",
            created_at: batch.created_at.unix_seconds(),
            vector_store_id: wire_id::write(STORE, batch.collection.0),
            status,
            file_counts: counts.into(),
        }
    }
}

impl VectorStoreFileBatch {
    fn respond(self) -> Response {
        polled(self.status == "in_progress", Json(self))
    }
}

/// Files to attach.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct FileBatchBody {
    /// The files, at most 2,000.
    #[serde(default)]
    file_ids: Option<Vec<String>>,
    /// The files, each with what is its own; instead of `file_ids`.
    #[serde(default)]
    files: Option<Vec<StoreFileBody>>,
    /// Attributes of those that have none of their own.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    /// How those are split that do not say it themselves.
    #[serde(default)]
    chunking_strategy: Option<ChunkingStrategy>,
}

impl FileBatchBody {
    fn files(self) -> Result<Vec<StoreFileBody>> {
        let (field, files) = match (self.file_ids, self.files) {
            (Some(_), Some(_)) => {
                return Err(Error::field("files", "and `file_ids` are mutually exclusive").into());
            }
            (Some(ids), None) => ("file_ids", ids.into_iter().map(StoreFileBody::of).collect()),
            (None, Some(files)) => ("files", files),
            (None, None) => return Err(Error::field("file_ids", "is missing; or send `files`").into()),
        };
        if files.is_empty() || files.len() > MAX_FILES {
            let message = format!("has {} files; it must have 1 to {MAX_FILES}", files.len());
            return Err(Error::field(field, message).into());
        }
        Ok(files)
    }
}

fn batch_id(text: &str) -> Result<FileBatchId> {
    Ok(FileBatchId(wire_id::of(BATCH, "file batch", text)?))
}

/// Attaches files to a vector store together: all of them or, if one is not there, none.
#[utoipa::path(post, path = "/v1/vector_stores/{vector_store_id}/file_batches", tag = "vector stores",
    operation_id = "create_vector_store_file_batch", request_body = FileBatchBody,
    params(("vector_store_id" = String, Path)), responses((status = 200, body = VectorStoreFileBatch)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(store): Path<String>,
    Json(mut body): Json<FileBatchBody>,
) -> Result<Response> {
    let knowledge = app.engine.knowledge(&scope);
    let collection = usable(&app, &knowledge, &store).await?;
    let (attributes, strategy) = (body.attributes.take(), body.chunking_strategy);
    let files = body.files()?;
    let named: Vec<String> = files.iter().map(|file| file.file_id().to_owned()).collect();
    let new = files.into_iter().map(|file| file.attachment(attributes.as_ref(), strategy));
    let new = new.collect::<Result<Vec<_>>>()?;
    files_are_there(&app, &scope, named.iter().map(String::as_str), &new).await?;
    let batch = knowledge.attach_batch(collection.id, new).await;
    let batch = batch.map_err(|error| about(error, "vector store", &store))?;
    wait(&app, &scope, &batch).await?;
    let batch = knowledge.batch(collection.id, batch.id).await?;
    Ok(VectorStoreFileBatch::from(batch).respond())
}

/// Returns a batch.
#[utoipa::path(get, path = "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}", tag = "vector stores",
    operation_id = "retrieve_vector_store_file_batch",
    params(("vector_store_id" = String, Path), ("batch_id" = String, Path)),
    responses((status = 200, body = VectorStoreFileBatch)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((store, id)): Path<(String, String)>,
) -> Result<Response> {
    let knowledge = app.engine.knowledge(&scope);
    let collection = found(&knowledge, &store).await?;
    let batch = knowledge.batch(collection.id, batch_id(&id)?).await;
    let batch = batch.map_err(|error| about(error, "file batch", &id))?;
    Ok(VectorStoreFileBatch::from(batch).respond())
}

/// Cancels a batch: files that nobody has begun to read are not read.
#[utoipa::path(post, path = "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel",
    tag = "vector stores", operation_id = "cancel_vector_store_file_batch",
    params(("vector_store_id" = String, Path), ("batch_id" = String, Path)),
    responses((status = 200, body = VectorStoreFileBatch)))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((store, id)): Path<(String, String)>,
) -> Result<Json<VectorStoreFileBatch>> {
    let knowledge = app.engine.knowledge(&scope);
    let collection = found(&knowledge, &store).await?;
    let batch = knowledge.cancel_batch(collection.id, batch_id(&id)?).await;
    Ok(Json(batch.map_err(|error| about(error, "file batch", &id))?.into()))
}

/// Lists the files of a batch.
#[utoipa::path(get, path = "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files",
    tag = "vector stores", operation_id = "list_files_in_vector_store_batch",
    params(("vector_store_id" = String, Path), ("batch_id" = String, Path), CursorQuery, StatusQuery),
    responses((status = 200, body = CursorList<VectorStoreFile>)))]
pub(crate) async fn files(
    State(app): State<App>,
    Caller(scope): Caller,
    Path((store, id)): Path<(String, String)>,
    Query(query): Query<CursorQuery>,
    Query(status): Query<StatusQuery>,
) -> Result<Json<CursorList<VectorStoreFile>>> {
    let knowledge = app.engine.knowledge(&scope);
    let collection = found(&knowledge, &store).await?;
    let filter = AttachmentFilter { status: status.status()?, batch: Some(batch_id(&id)?) };
    let files = knowledge.attached_files(collection.id, filter, query.range(RULES)?).await;
    let files = files.map_err(|error| about(error, "file batch", &id))?;
    Ok(Json(CursorList::new(files.map(|document| VectorStoreFile::new(&document)), |file| &file.id)))
}
