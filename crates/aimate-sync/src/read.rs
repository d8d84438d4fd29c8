//! The bytes of files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use aimate_core::engine::Knowledge;
use aimate_core::knowledge::{ByteStream, Document, NewDocument};
use aimate_core::{CollectionId, Error, Result};
use futures_util::stream::{self, StreamExt};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::list::special;
use crate::plan::not_there;
use crate::source::{name_of, source_of};

/// Bytes that are read from a file at once.
const BUFFER: usize = 256 * 1024;

/// Adds a file to a collection; its document is `pending` then. A file of the
/// same path is replaced.
///
/// # Errors
/// `NotFound` if the file cannot be read; `Invalid` if it is a device, a pipe or a
/// socket; see [`Knowledge::add`].
pub async fn add_file(
    knowledge: &Knowledge,
    collection: CollectionId,
    path: impl AsRef<Path> + Send,
) -> Result<Document> {
    let path = path.as_ref();
    let path = tokio::fs::canonicalize(path).await.map_err(|error| not_there(path, error))?;
    let metadata = tokio::fs::metadata(&path).await.map_err(|error| not_there(&path, error))?;
    if let Some(what) = special(metadata.file_type()) {
        return Err(Error::invalid(format!("`{}` is {what}, not a file", path.display())));
    }
    knowledge.add(collection, new_document(&path), Bytes::of(path).stream).await
}

/// The document that a file becomes.
pub(crate) fn new_document(path: &Path) -> NewDocument {
    NewDocument { source: Some(source_of(path)), ..NewDocument::new(name_of(path)) }
}

/// A file's bytes, and why they ended early if they did.
pub(crate) struct Bytes {
    pub(crate) stream: ByteStream<'static>,
    pub(crate) failure: Arc<OnceLock<String>>,
}

impl Bytes {
    pub(crate) fn of(path: PathBuf) -> Self {
        let failure = Arc::new(OnceLock::new());
        let failed = failure.clone();
        let first = State::Closed(path);
        let stream = stream::unfold(first, move |state| next(state, failed.clone()));
        let stream = stream.map(|piece| piece.map(Into::into)).boxed();
        Self { stream, failure }
    }
}

enum State {
    Closed(PathBuf),
    Open(PathBuf, File),
    Ended,
}

async fn next(state: State, failure: Arc<OnceLock<String>>) -> Option<(Result<Vec<u8>>, State)> {
    let fail = |path: &Path, error: std::io::Error| {
        let _ = failure.set(error.to_string());
        Some((Err(not_there(path, error)), State::Ended))
    };
    let (path, mut file) = match state {
        State::Ended => return None,
        State::Open(path, file) => (path, file),
        State::Closed(path) => match File::open(&path).await {
            Ok(file) => (path, file),
            Err(error) => return fail(&path, error),
        },
    };
    let mut buffer = vec![0; BUFFER];
    match file.read(&mut buffer).await {
        Ok(0) => None,
        Ok(n) => {
            buffer.truncate(n);
            Some((Ok(buffer), State::Open(path, file)))
        }
        Err(error) => fail(&path, error),
    }
}
