//! The form of an upload, whose parts may come in any order.

use std::time::Duration;

use aimate_core::Error;
use aimate_core::engine::{Files, MAX_BYTES, UploadedBytes};
use aimate_core::file::{File, NewFile};
use axum::extract::Request;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Result;
use crate::form::multipart::{Multipart, PartHead};
use crate::form::{self, FormReader};

/// Maximum bytes of a part that is not the file.
const MAX_TEXT: usize = 1_024;
/// The part with the file.
const FILE: &str = "file";

/// A file to upload, as a form.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct OpenAiUploadForm {
    /// The file, at most 1 GiB.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// `assistants`, `batch`, `fine-tune`, `vision`, `user_data` or `evals`.
    purpose: String,
    /// `created_at`.
    #[schema(rename = "expires_after[anchor]")]
    expires_after_anchor: Option<String>,
    /// Seconds after which it expires, 3600 to 2592000.
    #[schema(rename = "expires_after[seconds]")]
    expires_after_seconds: Option<u64>,
}

/// What a form says of its file.
#[derive(Default)]
struct Described {
    name: Option<String>,
    media_type: Option<String>,
    purpose: Option<String>,
    anchor: Option<String>,
    seconds: Option<String>,
}

/// Stores the file of a form.
pub(super) async fn store(app: &App, files: &Files, request: Request) -> Result<File> {
    let (new, uploaded) = form::read(app, request, MAX_BYTES, form::no_form, FileReader(files)).await?;
    app.begin_work()?;
    Ok(files.finish(new, uploaded).await?)
}

/// Reads a form with a file.
struct FileReader<'f>(&'f Files);

impl FormReader for FileReader<'_> {
    type Output = (NewFile, UploadedBytes);

    async fn read(self, form: &mut Multipart<'_>) -> Result<Self::Output> {
        Ok(read(self.0, form).await?)
    }
}

/// Reads the whole form; its file goes on as it comes.
async fn read(files: &Files, body: &mut Multipart<'_>) -> aimate_core::Result<(NewFile, UploadedBytes)> {
    let mut described = Described::default();
    let mut uploaded = None;
    let mut parts = 0;
    while let Some(part) = body.next().await? {
        parts += 1;
        if parts > form::MAX_PARTS {
            return Err(Error::invalid(format!("the form has more than {} parts", form::MAX_PARTS)));
        }
        let field = part.name.as_str();
        let text = match field {
            FILE if uploaded.is_some() => return Err(Error::field(FILE, "is sent twice")),
            FILE => {
                described.take(&part);
                uploaded = Some(files.upload(form::content(body)).await?);
                continue;
            }
            "purpose" => &mut described.purpose,
            "expires_after[anchor]" => &mut described.anchor,
            "expires_after[seconds]" => &mut described.seconds,
            // What aiMate does not know, OpenAI's clients may.
            _ => continue,
        };
        *text = Some(body.text(field, MAX_TEXT).await?);
    }
    let missing = || Error::field(FILE, "is missing; send the file as a part of this name");
    Ok((described.into_new()?, uploaded.ok_or_else(missing)?))
}

impl Described {
    fn take(&mut self, part: &PartHead) {
        self.name = part.file_name.clone().filter(|name| !name.trim().is_empty());
        self.media_type = part.stated_type();
    }

    fn into_new(self) -> aimate_core::Result<NewFile> {
        let purposes = "it must be `assistants`, `batch`, `fine-tune`, `vision`, `user_data` or `evals`";
        let purpose =
            self.purpose.ok_or_else(|| Error::field("purpose", format!("is missing; {purposes}")))?;
        let unknown = |_| {
            let shown: String = purpose.chars().take(64).collect();
            Error::field("purpose", format!("is `{shown}`; {purposes}"))
        };
        let expires_after = match (self.anchor.as_deref(), self.seconds.as_deref()) {
            (None, None) => None,
            (Some("created_at"), Some(seconds)) => Some(Duration::from_secs(seconds_of(seconds)?)),
            (Some("created_at"), None) => return Err(Error::field("expires_after[seconds]", "is missing")),
            (None | Some(_), _) => {
                return Err(Error::field("expires_after[anchor]", "must be `created_at`"));
            }
        };
        Ok(NewFile {
            purpose: purpose.parse().map_err(unknown)?,
            name: self.name.unwrap_or_else(|| "upload".to_owned()),
            media_type: self.media_type,
            expires_after,
        })
    }
}

fn seconds_of(text: &str) -> aimate_core::Result<u64> {
    text.trim().parse().map_err(|_| {
        Error::field("expires_after[seconds]", "must be a whole number of seconds, 3600 to 2592000")
    })
}
