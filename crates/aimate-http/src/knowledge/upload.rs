//! Uploaded files, passed on to the engine as they arrive and never held whole.

use std::sync::OnceLock;

use aimate_core::engine::{Knowledge, MAX_BYTES};
use aimate_core::knowledge::{ByteStream, Document, NewDocument};
use aimate_core::{CollectionId, Error};
use axum::extract::Request;
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Failure, Result};
use crate::form::multipart::{Multipart, PartHead};
use crate::form::{self, FormReader};

/// Maximum bytes of a part that is not the file: more than names and metadata
/// may have, to leave room for white space in JSON.
const MAX_TEXT: usize = 128 * 1024;
/// The name of the part with the file.
const FILE: &str = "file";

/// A new document as a form.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct UploadForm {
    /// The name, 1 to 4,000 characters; default: the file name.
    name: Option<String>,
    /// Where the document comes from. A collection has one document per source:
    /// adding it again replaces it.
    source: Option<String>,
    /// The media type; default: that of the part, else detected from content and
    /// name.
    media_type: Option<String>,
    /// Application data, a JSON object of at most 64 KiB; filters match it.
    metadata: Option<String>,
    /// The document, at most 1 GiB; the last part.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Adds the file of a form as a document.
pub(super) async fn add(
    app: &App,
    knowledge: &Knowledge,
    collection: CollectionId,
    request: Request,
) -> Result<Document> {
    let no_form = || {
        let message = "the body must be `multipart/form-data` with a part `file`, or JSON; say which with \
            `Content-Type`";
        Failure::with_status(Error::invalid(message), StatusCode::UNSUPPORTED_MEDIA_TYPE)
    };
    form::read(app, request, MAX_BYTES, no_form, DocumentReader { app, knowledge, collection }).await
}

/// Reads the form of a document.
struct DocumentReader<'r> {
    app: &'r App,
    knowledge: &'r Knowledge,
    collection: CollectionId,
}

impl FormReader for DocumentReader<'_> {
    type Output = Document;

    async fn read(self, form: &mut Multipart<'_>) -> Result<Document> {
        let new = read_head(form).await?;
        let no_room = OnceLock::new();
        let added = self.knowledge.add(self.collection, new, file(form, self.app, &no_room)).await;
        added.map_err(|error| no_room.into_inner().unwrap_or_else(|| error.into()))
    }
}

/// Reads the parts before the file.
async fn read_head(form: &mut Multipart<'_>) -> aimate_core::Result<NewDocument> {
    let mut new = NewDocument::default();
    let mut name = None;
    let mut seen: Vec<String> = Vec::new();
    loop {
        let part = form.next().await?.ok_or_else(|| {
            Error::field(FILE, "is missing; send the document as the last part, with this name")
        })?;
        let field = part.name.as_str();
        if seen.iter().any(|other| other == field) {
            return Err(Error::field(field, "is sent twice"));
        }
        match field {
            FILE => return with_file(new, name, &part),
            "name" => name = Some(form.text(field, MAX_TEXT).await?),
            "source" => new.source = Some(form.text(field, MAX_TEXT).await?),
            "media_type" => new.media_type = Some(form.text(field, MAX_TEXT).await?),
            "metadata" => new.metadata = metadata(&form.text(field, MAX_TEXT).await?)?,
            other => {
                let other: String = other.chars().take(64).collect();
                let message = "is unknown; expected `file`, and before it `name`, `source`, `media_type` or \
                    `metadata`";
                return Err(Error::field(other, message));
            }
        }
        seen.push(part.name);
    }
}

fn metadata(text: &str) -> aimate_core::Result<Map<String, Value>> {
    serde_json::from_str(text)
        .map_err(|error| Error::field("metadata", format!("is not a JSON object: {error}")))
}

fn with_file(new: NewDocument, name: Option<String>, part: &PartHead) -> aimate_core::Result<NewDocument> {
    let name = name.or_else(|| part.file_name.clone()).filter(|name| !name.trim().is_empty());
    let missing = "is missing; give the part `file` a filename, or send `name` before it";
    let name = name.ok_or_else(|| Error::field("name", missing))?;
    Ok(NewDocument { name, media_type: new.media_type.clone().or_else(|| part.stated_type()), ..new })
}

/// Streams the file. The stream ends with an error if another part follows, so
/// that nothing is stored then; and with `no_room`, if there is no place in work for the rest of
/// it when the file has come.
fn file<'a>(form: &'a mut Multipart<'_>, app: &'a App, no_room: &'a OnceLock<Failure>) -> ByteStream<'a> {
    let pieces = stream::unfold(Some(form), move |form| async move {
        let form = form?;
        let piece = match form.piece().await {
            Ok(Some(piece)) => return Some((Ok(piece), Some(form))),
            Ok(None) => form.next().await,
            Err(error) => Err(error),
        };
        match piece {
            Ok(None) => {
                let failure = app.begin_work().err()?;
                let stop = Error::unavailable("there is no place for the file in work");
                let _ = no_room.set(failure);
                Some((Err(stop), None))
            }
            Ok(Some(_)) => {
                Some((Err(Error::field(FILE, "must be the last part; send one file per request")), None))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    pieces.boxed()
}
