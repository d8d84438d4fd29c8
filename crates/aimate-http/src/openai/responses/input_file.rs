//! `input_file`, and `input_image` by a `file_id`: what a message brings as a file. Models' servers
//! take no files: of a document the model is shown the text, under its name.

use aimate_core::engine::Files;
use aimate_core::{Error, ErrorKind, FileId, Scope, limit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use super::request::{check_bytes, check_total, size};
use crate::app::App;
use crate::error::{Failure, Result};
use crate::openai::wire_id;

/// Files of one request at most.
const MAX_FILES: usize = 20;
/// Bytes of the text of one file at most: of more, passages are found.
const MAX_TEXT: usize = 1024 * 1024;
/// Characters of a file's name at most.
const MAX_NAME: usize = 255;
/// Bytes of a picture at most: so many are [`limit::IMAGE`] in base64.
const MAX_IMAGE: u64 = limit::IMAGE as u64 / 4 * 3;

/// Puts what files say in place of them, and pictures in place of their ids.
///
/// # Errors
/// `Invalid` or `Unsupported`, naming the part; `TooLarge`.
pub(super) async fn resolve(app: &App, scope: &Scope, items: &mut [Value]) -> Result<()> {
    let files = app.engine.files(scope);
    let (mut count, mut bytes) = (0, 0);
    for (n, item) in items.iter_mut().enumerate() {
        for field in ["content", "output"] {
            let Some(parts) = item.get_mut(field).and_then(Value::as_array_mut) else { continue };
            for (m, part) in parts.iter_mut().enumerate() {
                let path = format!("input[{n}].{field}[{m}]");
                let kind = part.get("type").and_then(Value::as_str);
                let has_file = text_of(part, "file_id").is_some() && text_of(part, "image_url").is_none();
                let is_file = kind == Some("input_file");
                let is_picture = kind == Some("input_image") && has_file;
                if !is_file && !is_picture {
                    continue;
                }
                count += 1;
                if count > MAX_FILES {
                    let why = format!("is the file number {count}; the most is {MAX_FILES}");
                    return Err(Error::field(path, why).into());
                }
                *part = if is_file {
                    document(&files, part, &path).await?
                } else {
                    picture(&files, part, &path).await?
                };
                bytes += size(part);
                check_total(bytes)?;
            }
        }
    }
    if count == 0 { Ok(()) } else { check_bytes(items.iter()) }
}

fn text_of<'a>(part: &'a Value, name: &str) -> Option<&'a str> {
    part.get(name).and_then(Value::as_str)
}

/// The text of a file, as a part.
async fn document(files: &Files, part: &Value, path: &str) -> Result<Value> {
    let (name, text) = match (text_of(part, "file_id"), text_of(part, "file_data")) {
        (Some(id), _) => {
            let path = format!("{path}.file_id");
            let found = files.text(file_id(&path, id)?).await.map_err(|error| named(&path, id, error))?;
            (found.0.name, found.1)
        }
        (None, Some(data)) => {
            let name = text_of(part, "filename").filter(|name| !name.trim().is_empty());
            let name = name.ok_or_else(|| Error::field(format!("{path}.filename"), "is missing"))?;
            if name.chars().count() > MAX_NAME {
                let why = format!("has more than {MAX_NAME} characters");
                return Err(Error::field(format!("{path}.filename"), why).into());
            }
            let path = format!("{path}.file_data");
            let (media_type, data) = data
                .strip_prefix("data:")
                .and_then(|rest| rest.split_once(";base64,"))
                .map_or((None, data), |(media_type, data)| (Some(media_type), data));
            let bytes = STANDARD.decode(data.trim());
            let bytes = bytes.map_err(|_| Error::field(&path, "must be base64, or `data:…;base64,…`"))?;
            let read = files.text_of_bytes(name, media_type, Bytes::from(bytes)).await;
            (name.to_owned(), read.map_err(|error| named(&path, name, error))?)
        }
        (None, None) if text_of(part, "file_url").is_some() => {
            let why =
                "is not fetched; send `file_data` with a `filename`, or upload the file and send `file_id`";
            return Err(Failure::unsupported(format!("{path}.file_url"), why));
        }
        (None, None) => {
            let why = "is missing; send it, or `file_data` with a `filename`";
            return Err(Error::field(format!("{path}.file_id"), why).into());
        }
    };
    if text.len() > MAX_TEXT {
        let bytes = text.len();
        let why = format!(
            "is a file with {bytes} bytes of text; the most is {MAX_TEXT}: attach it to a vector store and let \
             `file_search` find what is asked for"
        );
        return Err(Error::field(path, why).into());
    }
    Ok(json!({"type": "input_text", "text": format!("File `{name}`:\n\n{text}")}))
}

/// A picture that was uploaded, as one that is sent along.
async fn picture(files: &Files, part: &Value, path: &str) -> Result<Value> {
    let id = text_of(part, "file_id").unwrap_or_default();
    let path = format!("{path}.file_id");
    let content = files.content(file_id(&path, id)?).await;
    let (file, content) = content.map_err(|error| named(&path, id, error))?;
    if content.size() > MAX_IMAGE {
        let why = format!("has {} bytes; a picture has at most {MAX_IMAGE}", content.size());
        return Err(Error::field(path, why).into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(content.size()).unwrap_or(0));
    let mut pieces = content.into_stream();
    while let Some(piece) = pieces.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    // What it really is, is seen by its bytes.
    let said = Some(file.media_type.as_str()).filter(|said| said.starts_with("image/"));
    let url = format!("data:{};base64,{}", said.unwrap_or("image/png"), STANDARD.encode(bytes));
    Ok(json!({"type": "input_image", "image_url": url}))
}

fn file_id(path: &str, id: &str) -> Result<FileId> {
    let known = wire_id::read("file-", id).map(FileId);
    known.ok_or_else(|| named(path, id, Error::not_found("")))
}

/// What is wrong with a file, as what is wrong with the field that brings it.
fn named(path: &str, file: &str, error: Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => {
            let shown = wire_id::shown(file);
            Error::field(path, format!("there is no file `{shown}`")).with_source(error).into()
        }
        ErrorKind::Invalid => Error::field(path, error.message().to_owned()).with_source(error).into(),
        _ => error.into(),
    }
}
