//! Files: what a user uploaded, by itself, to attach it to collections later.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{BlobId, FileId, WorkerId};
use crate::knowledge::{Blob, StorageQuotas};
use crate::limit;
use crate::media_type::MediaType;
use crate::page::{IdRange, Slice};
use crate::scope::Scope;
use crate::text::names;

/// How long an uploaded file may be kept at least, where it expires.
const MIN_LIFE: Duration = Duration::from_secs(3_600);
/// How long at most: 30 days.
const MAX_LIFE: Duration = Duration::from_secs(2_592_000);

/// One uploaded file of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// The name it was uploaded under: for people, never part of a path.
    pub name: String,
    /// Its media type, such as `image/png`.
    pub media_type: String,
    /// What it was uploaded for.
    pub purpose: FilePurpose,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub content_hash: String,
    /// The upload that its bytes are of; not part of its JSON.
    #[serde(skip, default = "no_blob")]
    pub blob_id: BlobId,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// From when on it is not there any more; `None` if it stays until somebody deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

fn no_blob() -> BlobId {
    BlobId(uuid::Uuid::nil())
}

/// What a file was uploaded for. aiMate attaches any file, whatever it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FilePurpose {
    /// To be searched.
    #[default]
    #[serde(rename = "assistants")]
    Assistants,
    /// The requests of a batch.
    #[serde(rename = "batch")]
    Batch,
    /// Examples to train with.
    #[serde(rename = "fine-tune")]
    FineTune,
    /// An image to look at.
    #[serde(rename = "vision")]
    Vision,
    /// Anything.
    #[serde(rename = "user_data")]
    UserData,
    /// Examples to measure with.
    #[serde(rename = "evals")]
    Evals,
}

names! {
    FilePurpose {
        Assistants = "assistants",
        Batch = "batch",
        FineTune = "fine-tune",
        Vision = "vision",
        UserData = "user_data",
        Evals = "evals",
    }
}

/// Parameters for storing a file; its bytes come beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewFile {
    /// The name, 1 to 4,000 characters.
    pub name: String,
    /// The media type; default: unknown, which reading it finds out.
    pub media_type: Option<String>,
    /// What it is for.
    pub purpose: FilePurpose,
    /// How long it is kept, an hour to 30 days; default: until somebody deletes it.
    pub expires_after: Option<Duration>,
}

impl NewFile {
    /// One with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        limit::name("name", &self.name, limit::DOCUMENT_NAME)?;
        if self.media_type.as_ref().is_some_and(|media_type| MediaType::parse(media_type).is_none()) {
            return Err(Error::field("media_type", "must be a media type such as `text/plain`"));
        }
        match self.expires_after {
            Some(life) if !(MIN_LIFE..=MAX_LIFE).contains(&life) => Err(Error::field(
                "expires_after",
                format!("is {} seconds; it must be 3600 to 2592000", life.as_secs()),
            )),
            _ => Ok(()),
        }
    }
}

/// Stores files. Every method sees those of the scope's user that have not expired by
/// `now`; a foreign, unknown or expired id is `NotFound`.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Says that `worker` is about to upload `blob` for a file of the user. Until
    /// [`create`](Self::create) gives the bytes to a file, they are loose: they are removed
    /// when the upload is given up
    /// ([`DocumentStore::give_up_upload`](crate::knowledge::DocumentStore::give_up_upload)),
    /// or when its worker is gone. `NotFound` if the user is not there.
    async fn begin_upload(&self, scope: &Scope, blob: BlobId, worker: WorkerId) -> Result<()>;
    /// Stores a new file with the bytes of its `blob_id`. `Conflict` if the id is taken,
    /// `NotFound` if the user is not there, `Unavailable` if the upload was given up
    /// meanwhile, and [`StorageQuotas::refusal`] if more would be stored than `quotas` allow.
    async fn create(&self, scope: &Scope, file: &File, quotas: &StorageQuotas) -> Result<()>;
    /// The file with this id.
    async fn get(&self, scope: &Scope, id: FileId, now: Timestamp) -> Result<File>;
    /// Those of these files that are there, in any order, in one query.
    async fn get_many(&self, scope: &Scope, ids: &[FileId], now: Timestamp) -> Result<Vec<File>>;
    /// Files, by id; only those for `purpose`, if one is given.
    async fn list(
        &self,
        scope: &Scope,
        purpose: Option<FilePurpose>,
        range: IdRange,
        now: Timestamp,
    ) -> Result<Slice<File>>;
    /// Deletes the file, expired or not, with the documents that were attached from it,
    /// whatever collection they are in, and puts its bytes on the list of what is to be
    /// removed, in one commit. Returns those bytes.
    async fn delete(&self, scope: &Scope, id: FileId) -> Result<Blob>;
}
