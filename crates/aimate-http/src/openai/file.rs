//! `/v1/files`: the user's files in OpenAI's form.

mod upload;

use aimate_core::FileId;
use aimate_core::file::{File, FilePurpose};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_LENGTH;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor_list::{CursorList, CursorQuery, CursorRules};
use super::wire_id::{self, about};
use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::knowledge::original;
use crate::path::{Path, Query};
use crate::scope::Caller;
use upload::OpenAiUploadForm;

/// What the ids of files begin with.
pub(crate) const FILE: &str = "file-";

const RULES: CursorRules = CursorRules { prefix: FILE, default_limit: 10_000, max_limit: 10_000 };

/// A file in OpenAI's form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiFile {
    /// `file-…`.
    id: String,
    /// `file`.
    object: &'static str,
    /// Its size.
    bytes: u64,
    /// When it was uploaded, in seconds since 1970.
    created_at: i64,
    /// When it expires, in seconds since 1970, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// The name it was uploaded under.
    filename: String,
    /// What it was uploaded for.
    purpose: &'static str,
    /// `processed`: it may be used at once.
    status: &'static str,
}

impl From<File> for OpenAiFile {
    fn from(file: File) -> Self {
        Self {
            id: wire_id::write(FILE, file.id.0),
            object: "file",
            bytes: file.size,
            created_at: file.created_at.unix_seconds(),
            expires_at: file.expires_at.map(|at| at.unix_seconds()),
            filename: file.name,
            purpose: file.purpose.as_str(),
            status: "processed",
        }
    }
}

/// That something was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedObject {
    /// Its id.
    id: String,
    /// What it was.
    object: &'static str,
    /// `true`.
    deleted: bool,
}

impl DeletedObject {
    pub(super) fn new(object: &'static str, id: String) -> Self {
        Self { id, object, deleted: true }
    }
}

/// Which files are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PurposeQuery {
    /// Only files that were uploaded for this.
    #[param(inline)]
    purpose: Option<FilePurpose>,
}

/// The id of a file that a client names.
pub(super) fn file_id(text: &str) -> Result<FileId> {
    Ok(FileId(wire_id::of(FILE, "file", text)?))
}

/// Uploads a file, of at most 1 GiB.
#[utoipa::path(post, path = "/v1/files", tag = "files", operation_id = "create_file",
    request_body(content = OpenAiUploadForm, content_type = "multipart/form-data"),
    responses((status = 200, body = OpenAiFile)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    request: Request,
) -> Result<Json<OpenAiFile>> {
    let file = upload::store(&app, &app.engine.files(&scope), request).await?;
    Ok(Json(file.into()))
}

/// Lists the files.
#[utoipa::path(get, path = "/v1/files", tag = "files", operation_id = "list_files",
    params(CursorQuery, PurposeQuery), responses((status = 200, body = CursorList<OpenAiFile>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(scope): Caller,
    Query(query): Query<CursorQuery>,
    Query(filter): Query<PurposeQuery>,
) -> Result<Json<CursorList<OpenAiFile>>> {
    let files = app.engine.files(&scope).list(filter.purpose, query.range(RULES)?).await?;
    Ok(Json(CursorList::new(files.map(OpenAiFile::from), |file| &file.id)))
}

/// Returns a file's description.
#[utoipa::path(get, path = "/v1/files/{file_id}", tag = "files", operation_id = "retrieve_file",
    params(("file_id" = String, Path)), responses((status = 200, body = OpenAiFile)))]
pub(crate) async fn get(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<OpenAiFile>> {
    let file = app.engine.files(&scope).get(file_id(&id)?).await;
    Ok(Json(file.map_err(|error| about(error, "file", &id))?.into()))
}

/// Deletes a file: no vector store finds it any more.
#[utoipa::path(delete, path = "/v1/files/{file_id}", tag = "files", operation_id = "delete_file",
    params(("file_id" = String, Path)), responses((status = 200, body = DeletedObject)))]
pub(crate) async fn delete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<DeletedObject>> {
    let file = file_id(&id)?;
    app.engine.files(&scope).delete(file).await.map_err(|error| about(error, "file", &id))?;
    Ok(Json(DeletedObject::new("file", wire_id::write(FILE, file.0))))
}

/// Returns a file's bytes.
#[utoipa::path(get, path = "/v1/files/{file_id}/content", tag = "files", operation_id = "download_file",
    params(("file_id" = String, Path)),
    responses((status = 200, description = "The bytes.", content_type = "application/octet-stream", body = Vec<u8>)))]
pub(crate) async fn content(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    let found = app.engine.files(&scope).content(file_id(&id)?).await;
    let (file, content) = found.map_err(|error| about(error, "file", &id))?;
    let size = content.size();
    let mut response = Body::from_stream(content.into_stream()).into_response();
    response.headers_mut().insert(CONTENT_LENGTH, size.into());
    original::describe(&file.media_type, &file.name, response.headers_mut());
    Ok(response)
}
