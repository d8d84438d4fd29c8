//! A document on its way from the parser to the index, and why it may not get
//! there.

use std::sync::Arc;

use aimate_text::extract::{ExtractError, ExtractErrorKind};
use tokio::sync::OwnedSemaphorePermit;

use super::super::super::held::Hold;
use crate::error::Error;
use crate::id::{CollectionId, DocumentId, SpaceId};
use crate::knowledge::{DocumentError, DocumentErrorCode, Embedder, Fence, NewChunk};
use crate::scope::Scope;

/// Chunks that are parsed and wait to be embedded at most; a document with more
/// is alone. With their terms they take about 5 KB each.
pub(super) const MAX_CHUNKS_IN_FLIGHT: u32 = 2_048;

/// The share of the work on a document that reading it is shown as.
pub(super) const READING: f32 = 0.5;

/// A document that is parsed and waits to be embedded.
pub(super) struct ParsedDocument {
    pub(super) scope: Scope,
    pub(super) collection: CollectionId,
    pub(super) fence: Fence,
    /// Attempts that count against it, this one among them.
    pub(super) tries: u32,
    /// The spaces its chunks need vectors in: the active one, one being built.
    pub(super) spaces: Vec<(SpaceId, Arc<dyn Embedder>)>,
    pub(super) title: String,
    pub(super) media_type: String,
    pub(super) warnings: Vec<String>,
    pub(super) chunks: Vec<NewChunk>,
    /// Whether the store knows that parsing it did no harm.
    pub(super) is_marked: bool,
    /// Room for its chunks, given back when the document is done.
    pub(super) _room: OwnedSemaphorePermit,
    /// Keeps this process from claiming it again.
    pub(super) _hold: Hold<DocumentId>,
}

impl ParsedDocument {
    /// Whether both may be stored by one call.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.scope == other.scope && self.collection == other.collection
    }
}

/// Why a document could not be parsed.
pub(super) enum IngestError {
    /// The document is at fault: trying again would end the same.
    Permanent(DocumentError),
    /// Something else is at fault, such as a disk or a model server; whether it
    /// is worth trying again is for the retry policy to say.
    Transient(Error),
}

impl IngestError {
    pub(super) fn permanent(code: DocumentErrorCode, detail: impl Into<String>) -> Self {
        Self::Permanent(DocumentError { code, detail: detail.into() })
    }
}

impl From<Error> for IngestError {
    fn from(error: Error) -> Self {
        Self::Transient(error)
    }
}

impl From<ExtractError> for IngestError {
    fn from(error: ExtractError) -> Self {
        let code = match error.kind {
            ExtractErrorKind::Empty => DocumentErrorCode::Empty,
            ExtractErrorKind::Encrypted => DocumentErrorCode::Encrypted,
            ExtractErrorKind::Damaged => DocumentErrorCode::Damaged,
            ExtractErrorKind::TooLarge => DocumentErrorCode::TooLarge,
            ExtractErrorKind::NoText => DocumentErrorCode::NoText,
            ExtractErrorKind::Unsupported => DocumentErrorCode::Unsupported,
            ExtractErrorKind::Timeout => DocumentErrorCode::Timeout,
            ExtractErrorKind::Crashed => DocumentErrorCode::Crashed,
            ExtractErrorKind::Io => return Self::Transient(Error::unavailable(error.message)),
        };
        Self::permanent(code, error.message)
    }
}
