//! Files attached to collections, one by one and in batches.
//!
//! A document that was attached from a [`File`](crate::file::File) reads the file's bytes,
//! and has none of its own: detaching it leaves the file, deleting the file deletes it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Document, DocumentError, StorageQuotas};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{CollectionId, DocumentId, FileBatchId, FileId, UserId};
use crate::limit;
use crate::page::{IdRange, Slice};
use crate::scope::Scope;
use crate::text::names;

/// How a document is split into chunks, where it does not follow its collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenChunking {
    /// Maximum tokens of a chunk, 100 to 4,096; default 800. An embedder that takes less
    /// gets less.
    pub max_tokens: u32,
    /// Tokens repeated from the previous chunk, at most half of `max_tokens`; default 400.
    pub overlap: u32,
}

impl Default for TokenChunking {
    fn default() -> Self {
        Self { max_tokens: 800, overlap: 400 }
    }
}

impl TokenChunking {
    /// Checks the limits.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        let Self { max_tokens, overlap } = self;
        if !(100..=4_096).contains(max_tokens) {
            let message = format!("is {max_tokens}; it must be 100 to 4096 tokens");
            return Err(Error::field("max_chunk_size_tokens", message));
        }
        if *overlap > max_tokens / 2 {
            let message = format!("is {overlap}; it must be at most half of {max_tokens} tokens");
            return Err(Error::field("chunk_overlap_tokens", message));
        }
        Ok(())
    }
}

/// Parameters for attaching a file to a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAttachment {
    /// The file.
    pub file: FileId,
    /// The document's metadata, which filters match; at most 64 KiB as JSON.
    pub metadata: Map<String, Value>,
    /// How it is split into chunks.
    pub chunking: TokenChunking,
}

impl NewAttachment {
    /// A file without metadata, split as is usual.
    pub fn new(file: FileId) -> Self {
        Self { file, metadata: Map::new(), chunking: TokenChunking::default() }
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.chunking.check()?;
        limit::metadata("metadata", &self.metadata)
    }
}

/// Files that are attached in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachments {
    /// The collection.
    pub collection: CollectionId,
    /// Whose files they are.
    pub file_owner: UserId,
    /// The batch that they make, if they are one.
    pub batch: Option<FileBatchId>,
    /// The files, each with the id of its document if it is new in the collection.
    pub files: Vec<(DocumentId, NewAttachment)>,
    /// What the collection's owner, and their tenant, may keep.
    pub quotas: StorageQuotas,
    /// Now.
    pub now: Timestamp,
}

/// How far a document has come, in the terms of those who attach files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachmentStatus {
    /// It waits, or is read.
    InProgress,
    /// It can be found.
    Completed,
    /// It could not be read.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

names! {
    AttachmentStatus {
        InProgress = "in_progress",
        Completed = "completed",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

/// How many documents there are of each status, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachmentCounts {
    /// They wait, or are read.
    pub in_progress: u64,
    /// They can be found.
    pub completed: u64,
    /// They could not be read.
    pub failed: u64,
    /// Somebody stopped them.
    pub cancelled: u64,
    /// Bytes of the originals of those that can be found.
    pub bytes: u64,
}

impl AttachmentCounts {
    /// All documents.
    pub fn total(&self) -> u64 {
        self.in_progress + self.completed + self.failed + self.cancelled
    }
}

/// Files that were attached together.
#[derive(Clone, Debug, PartialEq)]
pub struct FileBatch {
    /// Its id.
    pub id: FileBatchId,
    /// The collection.
    pub collection: CollectionId,
    /// Whether somebody cancelled it.
    pub is_cancelled: bool,
    /// Its documents as they are now, without those that were detached or attached anew.
    pub counts: AttachmentCounts,
    /// When they were attached.
    pub created_at: Timestamp,
}

/// Which documents of a collection are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachmentFilter {
    /// Of this status.
    pub status: Option<AttachmentStatus>,
    /// Of this batch.
    pub batch: Option<FileBatchId>,
}

/// Stores attached files. A document of a collection is known here by its key: the id of
/// the file that it was attached from, or its own, if it was added by itself. Documents of
/// files that have expired by `now` are not there.
///
/// What only reads sees what the scope's user may read; what changes something is called
/// in the scope of the collection's owner. A foreign or unknown id is `NotFound`.
#[async_trait]
pub trait AttachmentStore: Send + Sync {
    /// Attaches files, in one commit: each is a document that waits (`pending`). A file
    /// that the collection has already is read again in its document, with the new metadata and
    /// chunking; what is findable of it stays until then. `NotFound` if the collection or one of
    /// the files is not there, and [`StorageQuotas::refusal`] if more would be stored than `quotas`
    /// allow: nothing is stored then.
    async fn attach(&self, scope: &Scope, attachments: &Attachments) -> Result<Vec<Document>>;
    /// The document with this key.
    async fn get(
        &self,
        scope: &Scope,
        collection: CollectionId,
        key: FileId,
        now: Timestamp,
    ) -> Result<Document>;
    /// Those of these documents that are there, in any order.
    async fn get_many(&self, scope: &Scope, ids: &[DocumentId], now: Timestamp) -> Result<Vec<Document>>;
    /// The documents that pass `filter`, by key; none of an unknown collection.
    async fn list(
        &self,
        scope: &Scope,
        collection: CollectionId,
        filter: AttachmentFilter,
        range: IdRange,
        now: Timestamp,
    ) -> Result<Slice<Document>>;
    /// Gives a document other metadata, without reading it again.
    async fn set_metadata(
        &self,
        scope: &Scope,
        id: DocumentId,
        metadata: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Document>;
    /// The batch with this id.
    async fn batch(&self, scope: &Scope, collection: CollectionId, id: FileBatchId) -> Result<FileBatch>;
    /// Cancels a batch: its documents whose reading has not begun are `failed` with this
    /// reason, in one commit. Again, it changes nothing.
    async fn cancel_batch(
        &self,
        scope: &Scope,
        collection: CollectionId,
        id: FileBatchId,
        reason: &DocumentError,
        now: Timestamp,
    ) -> Result<FileBatch>;
    /// The counts of collections, in their order; of an unknown one there is nothing.
    async fn counts(&self, scope: &Scope, collections: &[CollectionId]) -> Result<Vec<AttachmentCounts>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunking_is_bounded() {
        let wrong = |max_tokens, overlap| {
            let error = TokenChunking { max_tokens, overlap }.check().unwrap_err();
            error.fields()[0].path.clone()
        };
        TokenChunking::default().check().unwrap();
        TokenChunking { max_tokens: 100, overlap: 50 }.check().unwrap();
        TokenChunking { max_tokens: 4_096, overlap: 0 }.check().unwrap();
        assert_eq!(wrong(99, 0), "max_chunk_size_tokens");
        assert_eq!(wrong(4_097, 0), "max_chunk_size_tokens");
        assert_eq!(wrong(100, 51), "chunk_overlap_tokens");
    }
}
