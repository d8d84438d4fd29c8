//! Blobs: the bytes of documents as they were sent.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio_util::io::ReaderStream;

use crate::error::{Error, Result};
use crate::id::{BlobId, TenantId};

/// Bytes as they come; an error ends them.
pub type ByteStream<'a> = BoxStream<'a, Result<Bytes>>;

/// Bytes that are read from a file at once.
const PIECE: usize = 256 * 1024;

/// The name of a document's bytes: a new one for each upload, so that bytes that
/// are there are never written again, and nobody deletes what another one has
/// just stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob {
    /// Whose it is.
    pub tenant: TenantId,
    /// The upload.
    pub id: BlobId,
}

/// What an upload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBytes {
    /// How many bytes there are.
    pub size: u64,
    /// Their SHA-256, lower-case hexadecimal.
    pub hash: String,
}

/// What a [`BlobStore`] finds where it keeps its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlobEntry {
    /// The bytes of an upload.
    Blob(Blob),
    /// Something that no blob store has put there: another name, a link. It is
    /// never read and never deleted.
    Foreign(String),
}

/// What a [`BlobStore`] has under a [`Blob`].
pub struct BlobContent {
    size: u64,
    source: Source,
}

enum Source {
    File(PathBuf),
    Stream(ByteStream<'static>),
}

impl BlobContent {
    /// In a file on this machine, which is opened when its bytes are asked for.
    pub fn from_file(path: impl Into<PathBuf>, size: u64) -> Self {
        Self { size, source: Source::File(path.into()) }
    }

    /// From somewhere else.
    pub fn from_stream(bytes: ByteStream<'static>, size: u64) -> Self {
        Self { size, source: Source::Stream(bytes) }
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file that holds the bytes, to be read only; `None` if they are not in
    /// one on this machine. It may be deleted together with its document.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Stream(_) => None,
        }
    }

    /// Reads all bytes; returns how many there are, and their hash.
    ///
    /// # Errors
    /// See [`BlobContent::into_stream`].
    pub async fn read_through(self) -> Result<StoredBytes> {
        let (mut size, mut hash, mut bytes) = (0, Sha256::new(), self.into_stream());
        while let Some(piece) = bytes.try_next().await? {
            size += piece.len() as u64;
            hash.update(&piece);
        }
        Ok(StoredBytes { size, hash: format!("{:x}", hash.finalize()) })
    }

    /// The bytes. A file that is gone meanwhile is `NotFound`, as the stream's
    /// first item.
    pub fn into_stream(self) -> ByteStream<'static> {
        match self.source {
            Source::Stream(bytes) => bytes,
            Source::File(path) => stream::once(tokio::fs::File::open(path))
                .map_ok(|file| ReaderStream::with_capacity(file, PIECE))
                .try_flatten()
                .map_err(unreadable)
                .boxed(),
        }
    }
}

fn unreadable(error: std::io::Error) -> Error {
    let message = "the bytes of a document cannot be read";
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(message),
        _ => Error::unavailable(message),
    }
    .with_source(error)
}

impl std::fmt::Debug for BlobContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobContent").field("size", &self.size).field("path", &self.path()).finish()
    }
}

/// Stores the bytes of documents: in a folder, or in object storage.
///
/// A [`Blob`] names its tenant, and comes from a document that was read with a
/// scope, so the methods take none. Names that users give are never part of
/// where the bytes are.
#[async_trait]
pub trait BlobStore: Send + Sync + std::fmt::Debug {
    /// Stores bytes as they come under a name that is new. They are there as a
    /// whole or not at all: after an error, or if the future is dropped, nothing
    /// is. `TooLarge` as soon as there are more than `max_bytes`; an error of
    /// `bytes` is handed on.
    async fn put(&self, blob: &Blob, bytes: ByteStream<'_>, max_bytes: u64) -> Result<StoredBytes>;
    /// The bytes of a blob. `NotFound` if they are not there, or if what is there
    /// is a link to something else.
    async fn get(&self, blob: &Blob) -> Result<BlobContent>;
    /// Deletes the bytes, and what an upload of this name left unfinished;
    /// nothing happens if there are none.
    async fn delete(&self, blob: &Blob) -> Result<()>;
    /// All blobs of all tenants, in any order, for finding those that no document
    /// refers to, and what else lies there. Bytes that are being stored are not
    /// among them. What earlier uploads left unfinished is removed on the way, if
    /// the store can have such.
    fn list(&self) -> BoxStream<'_, Result<BlobEntry>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    async fn read(content: BlobContent) -> Result<Vec<u8>> {
        content
            .into_stream()
            .try_fold(Vec::new(), async |mut all, bytes| {
                all.extend_from_slice(&bytes);
                Ok(all)
            })
            .await
    }

    #[tokio::test]
    async fn file_is_read_in_pieces() {
        let path = std::env::temp_dir().join(format!("aimate-blob-content-{}", std::process::id()));
        let bytes: Vec<u8> = (0..PIECE + 10).map(|n| n as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let content = BlobContent::from_file(&path, bytes.len() as u64);
        assert_eq!((content.path(), content.size()), (Some(path.as_path()), bytes.len() as u64));
        assert!(read(content).await.unwrap() == bytes);
        std::fs::remove_file(&path).unwrap();
        let error = read(BlobContent::from_file(&path, 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn stream_is_in_no_file() {
        let bytes = stream::iter([Ok(Bytes::from_static(b"one")), Ok(Bytes::from_static(b"two"))]);
        let content = BlobContent::from_stream(bytes.boxed(), 6);
        assert_eq!((content.path(), content.size()), (None, 6));
        assert_eq!(read(content).await.unwrap(), b"onetwo");
    }
}
