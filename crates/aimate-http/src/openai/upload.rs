//! `/v1/uploads`: files that come in parts, in OpenAI's form.

use std::time::Duration;

use aimate_core::engine::Uploads;
use aimate_core::file::{FilePurpose, NewFile};
use aimate_core::upload::{FileUpload, NewFileUpload, UploadPart};
use aimate_core::{Error, MediaType, UploadId, UploadPartId, limit};
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::file::OpenAiFile;
use super::wire_id::{self, about};
use crate::app::App;
use crate::error::Result;
use crate::form::multipart::Multipart;
use crate::form::{self, FormReader};
use crate::json::Json;
use crate::path::Path;
use crate::scope::Caller;

/// What the ids of uploads begin with.
const UPLOAD: &str = "upload_";
/// What the ids of their parts begin with.
const PART: &str = "part_";
/// The part of a form that has the bytes.
const DATA: &str = "data";

/// An upload in OpenAI's form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiUpload {
    /// `upload_…`.
    id: String,
    /// `upload`.
    object: &'static str,
    /// Bytes of the whole file.
    bytes: u64,
    /// When it was begun, in seconds since 1970.
    created_at: i64,
    /// From when on it is over if nobody completes it, in seconds since 1970.
    expires_at: i64,
    /// The name of the file.
    filename: String,
    /// What the file is for.
    purpose: &'static str,
    /// `pending`, `completed` or `cancelled`.
    status: &'static str,
    /// The file that it came to.
    file: Option<OpenAiFile>,
}

impl OpenAiUpload {
    fn new(upload: FileUpload, file: Option<OpenAiFile>) -> Self {
        Self {
            id: wire_id::write(UPLOAD, upload.id.0),
            object: "upload",
            bytes: upload.size,
            created_at: upload.created_at.unix_seconds(),
            expires_at: upload.expires_at.unix_seconds(),
            filename: upload.name,
            purpose: upload.purpose.as_str(),
            status: upload.status.as_str(),
            file,
        }
    }
}

/// A part of an upload in OpenAI's form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiUploadPart {
    /// `part_…`.
    id: String,
    /// `upload.part`.
    object: &'static str,
    /// When it came, in seconds since 1970.
    created_at: i64,
    /// The upload.
    upload_id: String,
}

/// A file that is to come in parts.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct UploadBody {
    /// The name of the file.
    filename: String,
    /// What the file is for.
    #[schema(inline)]
    purpose: FilePurpose,
    /// Bytes of the whole file, 1 to 1 GiB.
    bytes: u64,
    /// The media type of the file; what is none counts as unknown.
    #[serde(default)]
    mime_type: Option<String>,
    /// When the file expires, counted from when the upload is completed; default: never.
    #[serde(default)]
    expires_after: Option<FileExpiry>,
}

/// When a file expires.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct FileExpiry {
    /// `created_at`.
    #[allow(dead_code, reason = "there is one")]
    anchor: FileAnchor,
    /// Seconds, 3600 to 2592000.
    seconds: u64,
}

/// What seconds are counted from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FileAnchor {
    /// When the file is made.
    CreatedAt,
}

/// A part, as a form.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct UploadPartForm {
    /// The bytes, at most 64 MiB.
    #[schema(value_type = String, format = Binary)]
    data: Vec<u8>,
}

/// What a file is made of.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CompleteUploadBody {
    /// The parts, in the order of their bytes.
    part_ids: Vec<String>,
    /// The MD5 of the whole file, in hexadecimal.
    #[serde(default)]
    md5: Option<String>,
}

/// The id of an upload that a client names.
fn upload_id(text: &str) -> Result<UploadId> {
    Ok(UploadId(wire_id::of(UPLOAD, "upload", text)?))
}

/// Begins an upload of at most 1 GiB, which may take an hour.
#[utoipa::path(post, path = "/v1/uploads", tag = "files", operation_id = "create_upload",
    request_body = UploadBody, responses((status = 200, body = OpenAiUpload)))]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<UploadBody>,
) -> Result<Json<OpenAiUpload>> {
    let length = body.filename.chars().count();
    if body.filename.trim().is_empty() || length > limit::DOCUMENT_NAME {
        let message = format!("has {length} characters; it needs 1 to {}", limit::DOCUMENT_NAME);
        return Err(Error::field("filename", message).into());
    }
    // Clients send `pdf` as well, and `application/octet-stream` for what they do not know: reading the
    // file finds out.
    let said = body.mime_type.as_deref().and_then(MediaType::parse);
    let said = said.filter(|said| said.essence() != "application/octet-stream");
    let file = NewFile {
        name: body.filename,
        media_type: said.map(|said| said.to_string()),
        purpose: body.purpose,
        expires_after: body.expires_after.map(|after| Duration::from_secs(after.seconds)),
    };
    let upload = app.engine.uploads(&scope).create(NewFileUpload { file, size: body.bytes }).await?;
    Ok(Json(OpenAiUpload::new(upload, None)))
}

/// Adds a part of at most 64 MiB to an upload. Parts may come at once and in any order.
#[utoipa::path(post, path = "/v1/uploads/{upload_id}/parts", tag = "files", operation_id = "add_upload_part",
    params(("upload_id" = String, Path)),
    request_body(content = UploadPartForm, content_type = "multipart/form-data"),
    responses((status = 200, body = OpenAiUploadPart)))]
pub(crate) async fn add_part(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<OpenAiUploadPart>> {
    let (upload, uploads) = (upload_id(&id)?, app.engine.uploads(&scope));
    // Before the bytes are taken.
    uploads.get(upload).await.map_err(|error| about(error, "upload", &id))?;
    let reader = PartReader { uploads: &uploads, upload };
    let part = form::read(&app, request, FileUpload::MAX_PART, form::no_form, reader).await?;
    Ok(Json(OpenAiUploadPart {
        id: wire_id::write(PART, part.id.0),
        object: "upload.part",
        created_at: part.created_at.unix_seconds(),
        upload_id: wire_id::write(UPLOAD, upload.0),
    }))
}

/// Reads the form of a part; its bytes go on as they come.
struct PartReader<'u> {
    uploads: &'u Uploads,
    upload: UploadId,
}

impl FormReader for PartReader<'_> {
    type Output = UploadPart;

    async fn read(self, form: &mut Multipart<'_>) -> Result<UploadPart> {
        let mut parts = 0;
        while let Some(head) = form.next().await? {
            parts += 1;
            if parts > form::MAX_PARTS {
                let message = format!("the form has more than {} parts", form::MAX_PARTS);
                return Err(Error::invalid(message).into());
            }
            // What aiMate does not know, OpenAI's clients may.
            if head.name == DATA {
                return Ok(self.uploads.add_part(self.upload, form::content(form)).await?);
            }
        }
        Err(Error::field(DATA, "is missing; send the bytes as a part of this name").into())
    }
}

/// Completes an upload: its parts are a file from now on. Again, it returns the same.
#[utoipa::path(post, path = "/v1/uploads/{upload_id}/complete", tag = "files", operation_id = "complete_upload",
    params(("upload_id" = String, Path)), request_body = CompleteUploadBody,
    responses((status = 200, body = OpenAiUpload)))]
pub(crate) async fn complete(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
    Json(body): Json<CompleteUploadBody>,
) -> Result<Json<OpenAiUpload>> {
    let upload = upload_id(&id)?;
    if body.part_ids.len() > FileUpload::MAX_PARTS as usize {
        let message = format!("has {} parts; the most is {}", body.part_ids.len(), FileUpload::MAX_PARTS);
        return Err(Error::field("part_ids", message).into());
    }
    let parts = body.part_ids.iter().enumerate().map(|(place, part)| {
        let wrong = || Error::field(format!("part_ids[{place}]"), "is no part of the upload");
        wire_id::read(PART, part).map(UploadPartId).ok_or_else(wrong)
    });
    let parts = parts.collect::<aimate_core::Result<Vec<_>>>()?;
    let md5 = body.md5.as_deref().filter(|md5| !md5.is_empty());
    let completed = app.engine.uploads(&scope).complete(upload, &parts, md5).await;
    let (upload, file) = completed.map_err(|error| about(error, "upload", &id))?;
    Ok(Json(OpenAiUpload::new(upload, Some(file.into()))))
}

/// Gives an upload up, with its parts. Again, it changes nothing.
#[utoipa::path(post, path = "/v1/uploads/{upload_id}/cancel", tag = "files", operation_id = "cancel_upload",
    params(("upload_id" = String, Path)), responses((status = 200, body = OpenAiUpload)))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> Result<Json<OpenAiUpload>> {
    let cancelled = app.engine.uploads(&scope).cancel(upload_id(&id)?).await;
    let cancelled = cancelled.map_err(|error| about(error, "upload", &id))?;
    Ok(Json(OpenAiUpload::new(cancelled, None)))
}
