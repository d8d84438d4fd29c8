//! Uploads: files that come in parts, for those that are too large, or connections too weak, for one
//! request.
//!
//! The parts of an upload are kept as they come; completing it puts those that are named together as
//! one [`File`]. An upload that nobody completes is over after an hour, with its parts.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::file::{File, FilePurpose, NewFile};
use crate::id::{BlobId, FileId, UploadId, UploadPartId};
use crate::knowledge::StorageQuotas;
use crate::scope::Scope;
use crate::text::names;

/// A file that comes in parts.
#[derive(Clone, Debug, PartialEq)]
pub struct FileUpload {
    /// Its id.
    pub id: UploadId,
    /// The name that its file is to have.
    pub name: String,
    /// The media type that its file is to have.
    pub media_type: String,
    /// What its file is for.
    pub purpose: FilePurpose,
    /// Bytes of its file.
    pub size: u64,
    /// How long its file is kept; `None`: until somebody deletes it.
    pub file_life: Option<Duration>,
    /// What became of it.
    pub status: UploadStatus,
    /// The file that it came to.
    pub file_id: Option<FileId>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// From when on it is not there any more, with its parts.
    pub expires_at: Timestamp,
}

impl FileUpload {
    /// How long an upload may take: an hour.
    pub const LIFE: Duration = Duration::from_secs(3_600);
    /// Bytes of a part at most: 64 MiB.
    pub const MAX_PART: u64 = 64 * 1024 * 1024;
    /// Parts of an upload at most.
    pub const MAX_PARTS: u32 = 1_000;
    /// Pending uploads of a user at most.
    pub const MAX_PENDING: u32 = 100;

    /// Bytes of all its parts at most: each may be sent a second time, when nobody knows whether it
    /// came.
    pub fn max_bytes(&self) -> u64 {
        self.size.saturating_mul(2)
    }
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UploadStatus {
    /// Parts may come.
    Pending,
    /// It is a file.
    Completed,
    /// Somebody gave it up.
    Cancelled,
}

names! {
    UploadStatus {
        Pending = "pending",
        Completed = "completed",
        Cancelled = "cancelled",
    }
}

/// A stretch of a file that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadPart {
    /// Its id.
    pub id: UploadPartId,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256, lower-case hexadecimal.
    pub content_hash: String,
    /// Where they are.
    pub blob_id: BlobId,
    /// When it came.
    pub created_at: Timestamp,
}

/// Parameters for beginning an upload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewFileUpload {
    /// What its file is to be.
    pub file: NewFile,
    /// Bytes of its file, 1 to 1 GiB.
    pub size: u64,
}

impl NewFileUpload {
    /// Checks the limits of every field; `max_size` is that of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self, max_size: u64) -> Result<()> {
        self.file.check()?;
        if !(1..=max_size).contains(&self.size) {
            return Err(Error::field("bytes", format!("is {}; it must be 1 to {max_size}", self.size)));
        }
        Ok(())
    }
}

/// Stores uploads. Every method sees those of the scope's user that are not over by `now`; a foreign,
/// unknown or expired id is `NotFound`.
#[async_trait]
pub trait UploadStore: Send + Sync {
    /// Stores a new upload. `Conflict` if the id is taken, `NotFound` if the user is not there, and
    /// `Invalid` if the user has [`FileUpload::MAX_PENDING`] that are pending.
    async fn create(&self, scope: &Scope, upload: &FileUpload) -> Result<()>;
    /// The upload with this id.
    async fn get(&self, scope: &Scope, id: UploadId, now: Timestamp) -> Result<FileUpload>;
    /// Stores a part whose bytes came
    /// ([`FileStore::begin_upload`](crate::file::FileStore::begin_upload)). `Invalid` if the upload is not
    /// pending, has [`FileUpload::MAX_PARTS`], or would have more than [`FileUpload::max_bytes`];
    /// `Unavailable` if the bytes were given up meanwhile; and [`StorageQuotas::refusal`] if more would
    /// be stored than `quotas` allow.
    async fn add_part(
        &self,
        scope: &Scope,
        id: UploadId,
        part: &UploadPart,
        quotas: &StorageQuotas,
    ) -> Result<()>;
    /// The parts of an upload, as they came; none of one that is not pending.
    async fn parts(&self, scope: &Scope, id: UploadId, now: Timestamp) -> Result<Vec<UploadPart>>;
    /// Completes an upload with this file, whose bytes came like a part's, and puts the bytes of its
    /// parts on the list of what is to be removed, in one commit. `Invalid` if it is not pending;
    /// `Unavailable` and [`StorageQuotas::refusal`] as for a part.
    async fn complete(
        &self,
        scope: &Scope,
        id: UploadId,
        file: &File,
        quotas: &StorageQuotas,
    ) -> Result<FileUpload>;
    /// Cancels an upload and puts the bytes of its parts on the list of what is to be removed, in one
    /// commit. Of one that is cancelled it changes nothing; `Invalid` if it is completed.
    async fn cancel(&self, scope: &Scope, id: UploadId, now: Timestamp) -> Result<FileUpload>;
    /// Deletes an upload, expired or not, and puts the bytes of its parts on the list of what is to be
    /// removed, in one commit.
    async fn delete(&self, scope: &Scope, id: UploadId) -> Result<()>;
}
