//! Uploaded files, passed on to the engine as they arrive and never held whole.

use std::sync::OnceLock;

use aimate_core::engine::{Knowledge, MAX_BYTES};
use aimate_core::knowledge::{ByteStream, Document, NewDocument};
use aimate_core::{CollectionId, Error, MediaType};
use axum::extract::Request;
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use http::header::EXPECT;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::multipart::{Multipart, Pace, PartHead, boundary};
use crate::app::App;
use crate::error::{Failure, Result};
use crate::json;
use crate::options::Options;

/// Maximum bytes of a part that is not the file: more than names and metadata
/// may have, to leave room for white space in JSON.
const MAX_TEXT: usize = 128 * 1024;
/// Maximum bytes of a body besides its file.
const MAX_OVERHEAD: u64 = 1024 * 1024;
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
    let boundary = boundary(request.headers());
    let length = json::content_length(request.headers()).unwrap_or(0);
    // A client that sent `Expect: 100-continue` sends nothing before the body is
    // read, so a refusal needs no draining then.
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
        Ok(Some(_)) if length > MAX_BYTES + MAX_OVERHEAD => {
            Err(Error::too_large(format!("the file is larger than the maximum of {MAX_BYTES} bytes")).into())
        }
        Ok(Some(boundary)) => {
            is_sending = true;
            let Options { body_timeout, min_upload_rate, .. } = app.options;
            let pace = Pace { piece: body_timeout, rate: min_upload_rate };
            let mut form = Multipart::new(&mut body, &boundary, pace);
            add_form(app, &mut form, knowledge, collection).await
        }
    };
    if is_sending {
        json::drain(&mut body).await;
    }
    outcome
}

async fn add_form(
    app: &App,
    form: &mut Multipart<'_>,
    knowledge: &Knowledge,
    collection: CollectionId,
) -> Result<Document> {
    let no_room = OnceLock::new();
    let outcome = match read_head(form).await {
        Ok(new) => knowledge.add(collection, new, file(form, app, &no_room)).await,
        Err(error) => Err(error),
    };
    outcome.map_err(|error| {
        if let Some(failure) = no_room.into_inner() {
            failure
        } else if form.has_timed_out() {
            Failure::with_status(error, StatusCode::REQUEST_TIMEOUT)
        } else {
            error.into()
        }
    })
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
    // `application/octet-stream` is what clients send for an unknown type.
    let declared = part.media_type.as_deref().and_then(MediaType::parse);
    let declared = declared.filter(|kind| kind.essence() != "application/octet-stream");
    let declared = declared.map(|kind| kind.to_string());
    Ok(NewDocument { name, media_type: new.media_type.clone().or(declared), ..new })
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
