//! What a sync tells while it runs, at its end, and when it cannot go on.

use std::fmt;
use std::path::PathBuf;

use aimate_core::knowledge::Document;
use aimate_core::{DocumentId, Error, ErrorKind};

use crate::SyncPlan;

/// A path that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The file or folder.
    pub path: PathBuf,
    /// Why, as the end of a sentence that the path begins.
    pub reason: String,
}

impl LeftOut {
    pub(crate) fn new(path: impl Into<PathBuf>, reason: impl fmt::Display) -> Self {
        Self { path: path.into(), reason: reason.to_string() }
    }
}

/// One step of a sync.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SyncEvent {
    /// The files were listed.
    Listed {
        /// How many there are.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Files were read to be compared with their documents.
    Compared {
        /// How many so far.
        files: u64,
        /// How many there are to compare.
        of: u64,
    },
    /// A file is as its document is, or was only moved.
    Unchanged(PathBuf),
    /// A file was put into the queue; its document is `pending`.
    Queued(PathBuf, Box<Document>),
    /// A file was left out because it can be no document.
    Skipped(LeftOut),
    /// A file or folder could not be read. Its documents stay as they are.
    Unreadable(LeftOut),
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// Documents that are new.
    pub added: Vec<DocumentId>,
    /// Documents whose content changed.
    pub updated: Vec<DocumentId>,
    /// Documents whose file has another name or place now.
    pub moved: u64,
    /// Documents whose file is gone.
    pub deleted: u64,
    /// Documents that are as they were.
    pub unchanged: u64,
    /// Files that were left out because they can be no documents.
    pub skipped: Vec<LeftOut>,
    /// Files and folders that could not be read. Their documents, and those of
    /// what is below them, stay as they are.
    pub unreadable: Vec<LeftOut>,
}

/// Why a sync did not do its work.
#[derive(Debug)]
#[non_exhaustive]
pub enum SyncError {
    /// It would have deleted more than 20 documents and more than a quarter of
    /// the collection. Nothing was changed. Allow it with
    /// [`SyncOptions::delete_many`](crate::SyncOptions::delete_many), or give
    /// this plan to [`FolderSync::apply`](crate::FolderSync::apply).
    DeletesMany(Box<SyncPlan>),
    /// What the file system, the engine or the store says.
    Failed(Error),
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeletesMany(plan) => write!(
                f,
                "the files of {} of the collection's {} documents are gone, and deleting so many has to be \
                 allowed; nothing was changed",
                plan.delete.len(),
                plan.documents
            ),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SyncError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::DeletesMany(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}

impl From<Error> for SyncError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<SyncError> for Error {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Failed(error) => error,
            SyncError::DeletesMany(_) => Self::new(ErrorKind::Conflict, error.to_string()),
        }
    }
}
