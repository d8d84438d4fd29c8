//! Documents and their chunks.

use aimate_index::analysis::Terms;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{AttachmentStatus, Blob, StorageQuotas, StorageUse, TokenChunking};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{BlobId, ChunkId, CollectionId, DocumentId, FileId, WorkerId};
use crate::limit;
use crate::media_type::MediaType;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::text::{names, open_names};

/// One document of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// The collection it is in.
    pub collection_id: CollectionId,
    /// The name it was given: for people, never part of a path.
    pub name: String,
    /// The title its text gives it; the name until it is read.
    pub title: String,
    /// Where it came from: an address, or the path it was synchronised from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its media type, such as `application/pdf`.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub content_hash: String,
    /// The upload that its bytes are of; not part of its JSON.
    #[serde(skip, default = "no_blob")]
    pub blob_id: BlobId,
    /// How far it has come.
    pub status: DocumentStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DocumentError>,
    /// How far the work on it has come, 0 to 1: the first half is reading it, the second
    /// the share of its chunks that are embedded.
    pub progress: f32,
    /// How many of its chunks can be found.
    pub chunk_count: u32,
    /// What was noticed while reading it, such as a guessed encoding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Free for the application; filters look here.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// The file that it was attached from, whose bytes it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<FileId>,
    /// How it is split into chunks, where it does not follow its collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_chunking: Option<TokenChunking>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Document {
    /// What it is known by among the files of its collection: the id of the file that it
    /// was attached from, or its own.
    pub fn key(&self) -> FileId {
        self.file_id.unwrap_or(FileId(self.id.0))
    }

    /// How far it has come, in the terms of those who attach files.
    pub fn attachment_status(&self) -> AttachmentStatus {
        let is_cancelled =
            || self.error.as_ref().is_some_and(|error| error.code == DocumentErrorCode::Cancelled);
        match self.status {
            DocumentStatus::Pending | DocumentStatus::Processing => AttachmentStatus::InProgress,
            DocumentStatus::Ready => AttachmentStatus::Completed,
            DocumentStatus::Failed if is_cancelled() => AttachmentStatus::Cancelled,
            DocumentStatus::Failed => AttachmentStatus::Failed,
        }
    }
}

fn no_blob() -> BlobId {
    BlobId(uuid::Uuid::nil())
}

/// How far a document has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DocumentStatus {
    /// It waits for a worker. What it replaces can still be found.
    Pending,
    /// A worker reads and embeds it. What it replaces can still be found.
    Processing,
    /// It can be found.
    Ready,
    /// It could not be read; `error` says why.
    Failed,
}

names! {
    DocumentStatus { Pending = "pending", Processing = "processing", Ready = "ready", Failed = "failed" }
}

/// Why a document failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentError {
    /// What kind of reason it is.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: DocumentErrorCode,
    /// A sentence that says what was wrong and what would be right.
    pub detail: String,
}

impl From<&Error> for DocumentError {
    fn from(error: &Error) -> Self {
        Self { code: error.kind().as_str().into(), detail: error.message().to_owned() }
    }
}

open_names! {
    /// What kind of reason a document failed for: one that lies in the document,
    /// or a kind of the error table.
    pub enum DocumentErrorCode {
        /// It has no bytes.
        Empty = "empty",
        /// A password is needed to read it.
        Encrypted = "encrypted",
        /// It is cut off, or not what its format demands.
        Damaged = "damaged",
        /// It holds no text, as a scan does.
        NoText = "no_text",
        /// What read it ended without an answer, again and again.
        Crashed = "crashed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
        /// It, or what reading it takes, is beyond a limit.
        TooLarge = "too_large",
        /// Nothing here reads its format, or its model is not loaded.
        Unsupported = "unsupported",
        /// Reading or embedding it took too long.
        Timeout = "timeout",
        /// What it needs is not there any more.
        NotFound = "not_found",
        /// It clashes with what is stored.
        Conflict = "conflict",
        /// It, or what was made of it, is malformed.
        Invalid = "invalid",
        /// The model server does not accept the key.
        Unauthenticated = "unauthenticated",
        /// The model server does not let the key do this.
        Forbidden = "forbidden",
        /// A text is too long for the model.
        ContextOverflow = "context_overflow",
        /// Too many requests to the model server.
        RateLimited = "rate_limited",
        /// The model server failed or answered nonsense.
        Upstream = "upstream",
        /// The model server, the bytes or the database cannot be reached.
        Unavailable = "unavailable",
        /// A fault of aiMate.
        Internal = "internal",
    }
}

/// Parameters for adding a document; its bytes come beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewDocument {
    /// The name, 1 to 4,000 characters; its extension is a hint to the format.
    pub name: String,
    /// The media type; default: told from the bytes and the name.
    pub media_type: Option<String>,
    /// Where it came from. A collection has one document of a source: adding it
    /// again replaces what was there.
    pub source: Option<String>,
    /// Free for the application, at most 64 KiB as JSON.
    pub metadata: Map<String, Value>,
}

impl NewDocument {
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
        self.source.as_ref().map_or(Ok(()), |source| limit::name("source", source, limit::DOCUMENT_NAME))?;
        limit::metadata("metadata", &self.metadata)
    }
}

/// Which documents of a user are listed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DocumentFilter {
    /// Of this collection.
    pub collection: Option<CollectionId>,
    /// In this state.
    pub status: Option<DocumentStatus>,
    /// From sources that begin with this.
    pub source_prefix: Option<String>,
}

/// A stretch of a document that is found and cited as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Chunk {
    /// Its id: the same for the same text in the same document, so that an
    /// unchanged chunk keeps it when the document changes.
    pub id: ChunkId,
    /// The document.
    pub document_id: DocumentId,
    /// Its place among the document's chunks, from 0.
    pub index: u32,
    /// The text.
    pub text: String,
    /// The headings it stands under, outermost first.
    pub headings: Vec<String>,
    /// The page, slide or sheet, from 1, where the format has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// First character of the chunk in the document's text, in Unicode code
    /// points.
    pub start: u64,
    /// The character after its last.
    pub end: u64,
}

impl Chunk {
    /// Characters of the title and headings that are embedded with a chunk.
    pub const MAX_HEADING: usize = 200;

    /// The text that is embedded and indexed: title and headings (at most
    /// [`Chunk::MAX_HEADING`] characters of them), then the chunk's own.
    pub fn index_text(title: &str, headings: &[String], text: &str) -> String {
        let path = headings.iter().map(String::as_str).filter(|heading| *heading != title);
        let line = std::iter::once(title).chain(path).filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let line = crate::text::shorten(&line.join(" > "), Self::MAX_HEADING);
        if line.is_empty() || text.starts_with(&line) { text.to_owned() } else { format!("{line}\n{text}") }
    }

    /// The id of the `nth` chunk (from 0) of a document that has this index
    /// text: shaped as a UUIDv7 of the document's own time.
    pub fn id_of(document: DocumentId, index_text: &str, nth: u32) -> ChunkId {
        let mut hash = Sha256::new();
        hash.update(document.0.as_bytes());
        hash.update(index_text.as_bytes());
        hash.update(nth.to_be_bytes());
        let digest = hash.finalize();
        let mut bytes = *document.0.as_bytes();
        for (byte, hashed) in bytes.iter_mut().zip(digest).skip(6) {
            *byte = hashed;
        }
        ChunkId(uuid::Builder::from_bytes(bytes).with_version(uuid::Version::SortRand).into_uuid())
    }
}

/// A chunk that is to be published, with what is indexed of it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// The terms of its index text.
    pub terms: Terms,
}

/// Another name and source for a document whose content stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentMove {
    /// The document.
    pub id: DocumentId,
    /// Its new name.
    pub name: String,
    /// Its new source.
    pub source: String,
}

/// Stores documents. Every method sees those of the scope's user; a foreign or
/// unknown id is `NotFound`. What only reads sees those of shared collections as well;
/// see [`CollectionStore`](super::CollectionStore).
///
/// A document that is `pending` is also the job of reading it; see
/// [`IngestQueue`](super::IngestQueue).
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// Says that `worker` is about to upload `blob` for a document of the
    /// collection. Until [`add`](Self::add) gives the bytes to a document, they
    /// are loose: they are removed when the upload is given up, or when its
    /// worker is gone. `NotFound` if the collection is not there.
    async fn begin_upload(
        &self,
        scope: &Scope,
        collection: CollectionId,
        blob: BlobId,
        worker: WorkerId,
    ) -> Result<()>;
    /// Puts the bytes of an upload that no document got on the list of what is to
    /// be removed ([`IngestQueue::blobs_to_remove`](super::IngestQueue::blobs_to_remove)).
    /// Nothing happens if a document has them, so it is safe where nobody knows
    /// whether `add` was stored.
    async fn give_up_upload(&self, scope: &Scope, blob: BlobId) -> Result<()>;
    /// Stores a document that waits for a worker (`pending`), with the bytes of
    /// its `blob_id`. If the collection has a document of the same `source`, that
    /// one becomes `pending` instead, with the new name, size, hash, bytes and
    /// metadata: its id and what is findable of it stay, and its attempt grows,
    /// so that older work on it is fenced off. The same commit puts the bytes
    /// that it does not need any more on the list of what is to be removed.
    /// Returns the document as it is now, and those bytes. `NotFound` if the
    /// collection is not there, `Conflict` if the id is taken, `Unavailable` if
    /// the upload was given up meanwhile, and
    /// [`StorageQuotas::refusal`](super::StorageQuotas::refusal) if more would be stored
    /// than `quotas` allow: calls at the same moment, in several processes, never store
    /// more together.
    async fn add(
        &self,
        scope: &Scope,
        document: &Document,
        quotas: &StorageQuotas,
    ) -> Result<(Document, Option<Blob>)>;
    /// How much the user and their tenant keep, each if `quotas` limit it, and nothing else.
    /// Costs time in proportion to the documents of whom they limit.
    async fn storage(&self, scope: &Scope, quotas: &StorageQuotas) -> Result<StorageUse>;
    /// The document with this id.
    async fn get(&self, scope: &Scope, id: DocumentId) -> Result<Document>;
    /// The documents with these ids, in any order. Those that are not there are
    /// left out.
    async fn get_many(&self, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Document>>;
    /// The collection's document of exactly this source; `None` if there is
    /// none, or no such collection.
    async fn get_by_source(
        &self,
        scope: &Scope,
        collection: CollectionId,
        source: &str,
    ) -> Result<Option<Document>>;
    /// The documents that pass `filter`, newest first.
    async fn list(&self, scope: &Scope, filter: &DocumentFilter, page: PageRequest)
    -> Result<Page<Document>>;
    /// Gives documents other names and sources without reading them again, in
    /// one commit: they may take each other's. `NotFound` if one is not there,
    /// `Conflict` if a source is one of a document that is not moved; nothing is
    /// changed then.
    async fn rename(&self, scope: &Scope, moves: &[DocumentMove], now: Timestamp) -> Result<()>;
    /// Deletes documents with their text, chunks, vectors and index entries, and
    /// puts their bytes on the list of what is to be removed, in one commit.
    /// Returns those bytes. Ids that are not there are passed over.
    async fn delete(&self, scope: &Scope, ids: &[DocumentId]) -> Result<Vec<Blob>>;
    /// Ends the work on a document that is `pending` or `processing`: it becomes
    /// `failed` with this reason, and its attempt grows, which fences off the
    /// worker that reads it. Returns the document as it is now; one that is
    /// `ready` or `failed` already is left as it is.
    async fn cancel(
        &self,
        scope: &Scope,
        id: DocumentId,
        reason: &DocumentError,
        now: Timestamp,
    ) -> Result<Document>;
    /// The findable chunks of a document in order, at most `limit`, the first
    /// being the one at index `from`.
    async fn chunks(&self, scope: &Scope, id: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>>;
}
