//! Documents that are sent as a file: on to the engine as they arrive, never
//! held as a whole.

use aimate_core::engine::{Knowledge, MAX_BYTES};
use aimate_core::knowledge::{Document, NewDocument};
use aimate_core::{CollectionId, Error};
use axum::extract::Request;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::StatusCode;
use http::header::EXPECT;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::is_media_type;
use super::multipart::{Multipart, Part, boundary};
use crate::app::App;
use crate::error::{Failure, Result};
use crate::json;

/// Bytes of a part that is no file at most: metadata and names are shorter, but
/// for white space.
const TEXT: usize = 128 * 1024;
/// Bytes of a body beside its file at most.
const AROUND: u64 = 1024 * 1024;
/// The part with the bytes.
const FILE: &str = "file";

/// A new document as a form sends it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct UploadForm {
    /// The name, 1 to 4,000 characters; default: that of the file.
    name: Option<String>,
    /// Where it came from. A collection has one document of a source: adding it
    /// again replaces what was there.
    source: Option<String>,
    /// The media type; default: that of the part, else told from the bytes and
    /// the name.
    media_type: Option<String>,
    /// Free for the application, a JSON object of at most 64 KiB; filters look
    /// here.
    metadata: Option<String>,
    /// The document, at most 1 GiB; the last part.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Adds the file of a form.
pub(super) async fn add(
    app: &App,
    knowledge: &Knowledge,
    collection: CollectionId,
    request: Request,
) -> Result<Document> {
    let boundary = boundary(request.headers());
    let announced = json::announced(request.headers()).unwrap_or(0);
    // A client that waits to be asked sends nothing until the body is read.
    let mut is_sending = !request.headers().contains_key(EXPECT);
    let mut body = request.into_body();
    let outcome = match boundary {
        Err(error) => Err(error.into()),
        Ok(None) => Err(Failure::with_status(
            Error::invalid(
                "the body must be `multipart/form-data` with a part `file`, or JSON; say which with `Content-Type`",
            ),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        )),
        Ok(Some(_)) if announced > MAX_BYTES + AROUND => {
            Err(Error::too_large(format!("the file is larger than {MAX_BYTES} bytes, which is the most"))
                .into())
        }
        Ok(Some(boundary)) => {
            is_sending = true;
            let mut form = Multipart::new(&mut body, &boundary, app.options.body_timeout);
            add_form(&mut form, knowledge, collection).await
        }
    };
    if is_sending {
        json::drain(&mut body).await;
    }
    outcome
}

async fn add_form(
    form: &mut Multipart<'_>,
    knowledge: &Knowledge,
    collection: CollectionId,
) -> Result<Document> {
    let outcome = match head(form).await {
        Ok(new) => knowledge.add(collection, new, file(form)).await,
        Err(error) => Err(error),
    };
    outcome.map_err(|error| {
        if form.is_late() { Failure::with_status(error, StatusCode::REQUEST_TIMEOUT) } else { error.into() }
    })
}

/// What stands before the file's bytes.
async fn head(form: &mut Multipart<'_>) -> aimate_core::Result<NewDocument> {
    let mut new = NewDocument::default();
    let mut name = None;
    let mut seen: Vec<String> = Vec::new();
    loop {
        let part = form.next().await?.ok_or_else(|| {
            Error::field(FILE, "is missing; send the document as a part of this name, after all others")
        })?;
        let field = part.name.as_str();
        if seen.iter().any(|other| other == field) {
            return Err(Error::field(field, "is there twice"));
        }
        match field {
            FILE => return with_file(new, name, &part),
            "name" => name = Some(form.text(field, TEXT).await?),
            "source" => new.source = Some(form.text(field, TEXT).await?),
            "media_type" => new.media_type = Some(media_type(form.text(field, TEXT).await?)?),
            "metadata" => new.metadata = metadata(&form.text(field, TEXT).await?)?,
            other => {
                let other: String = other.chars().take(64).collect();
                let message = "is no part that is known; expected `file`, and before it `name`, `source`, \
                    `media_type` or `metadata`";
                return Err(Error::field(other, message));
            }
        }
        seen.push(part.name);
    }
}

fn media_type(text: String) -> aimate_core::Result<String> {
    if is_media_type(&text) {
        return Ok(text);
    }
    Err(Error::field("media_type", "is no media type; it should be like `text/plain`"))
}

fn metadata(text: &str) -> aimate_core::Result<Map<String, Value>> {
    serde_json::from_str(text)
        .map_err(|error| Error::field("metadata", format!("is not a JSON object: {error}")))
}

fn with_file(new: NewDocument, name: Option<String>, part: &Part) -> aimate_core::Result<NewDocument> {
    let name = name.or_else(|| part.file_name.clone()).filter(|name| !name.trim().is_empty());
    let missing = "is missing; give the part `file` a filename, or send a part `name` before it";
    let name = name.ok_or_else(|| Error::field("name", missing))?;
    // What a client writes that does not know it.
    let told =
        part.media_type.clone().filter(|kind| is_media_type(kind) && kind != "application/octet-stream");
    Ok(NewDocument { name, media_type: new.media_type.clone().or(told), ..new })
}

/// The file's bytes. They end with an error if the form does not end after them:
/// then nothing is kept.
fn file<'a>(form: &'a mut Multipart<'_>) -> BoxStream<'a, aimate_core::Result<Vec<u8>>> {
    let pieces = stream::unfold(Some(form), |form| async move {
        let form = form?;
        let piece = match form.piece().await {
            Ok(Some(piece)) => return Some((Ok(piece.into()), Some(form))),
            Ok(None) => form.next().await,
            Err(error) => Err(error),
        };
        match piece {
            Ok(None) => None,
            Ok(Some(_)) => Some((
                Err(Error::field(FILE, "is not the last part; one file at a time, after all others")),
                None,
            )),
            Err(error) => Some((Err(error), None)),
        }
    });
    pieces.boxed()
}
