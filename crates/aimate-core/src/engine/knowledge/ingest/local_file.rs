//! A document's bytes in a file, for programs that read files.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;

use crate::error::{Error, Result};
use crate::knowledge::BlobContent;

/// Tells this process's files apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file with a blob's bytes: the store's own, or a temporary copy that is
/// removed with the value.
pub(in crate::engine) struct LocalFile {
    path: PathBuf,
    is_temporary: bool,
}

impl LocalFile {
    /// The store's own file where it has one; else the bytes are copied, in
    /// pieces, so that a large document does not fill the memory.
    pub(in crate::engine) async fn of(content: BlobContent) -> Result<Self> {
        if let Some(path) = content.path() {
            return Ok(Self { path: path.to_owned(), is_temporary: false });
        }
        let (copy, mut file) = off_the_async_threads(Self::create).await?;
        let mut bytes = content.into_stream();
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            file = off_the_async_threads(move || file.write_all(&piece).map(|()| file)).await?;
        }
        Ok(copy)
    }

    /// A new empty file among the system's temporary ones, which this user alone
    /// can read.
    fn create() -> std::io::Result<(Self, File)> {
        loop {
            let name =
                format!("aimate-document-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(file) => return Ok((Self { path, is_temporary: true }, file)),
                // A process of the same number left it.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(in crate::engine) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "a temporary file could not be removed");
        }
    }
}

async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let unwritable = |error| {
        Error::unavailable("a temporary file cannot be written; is the disk full?").with_source(error)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(unwritable),
        Err(error) => Err(Error::internal("writing a temporary file broke off").with_source(error)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;

    use super::*;
    use crate::ErrorKind;

    #[tokio::test]
    async fn stream_is_copied_into_a_file_that_goes_with_the_value() {
        let pieces = [Ok(Bytes::from_static(b"one")), Ok(Bytes::from_static(b"two"))];
        let file = LocalFile::of(BlobContent::from_stream(stream::iter(pieces).boxed(), 6)).await.unwrap();
        let path = file.path().to_owned();
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn broken_stream_leaves_no_file() {
        let before = NEXT.load(Ordering::Relaxed);
        let pieces = [Ok(Bytes::from_static(b"one")), Err(Error::unavailable("the line broke"))];
        let content = BlobContent::from_stream(stream::iter(pieces).boxed(), 6);
        let error = LocalFile::of(content).await.err().unwrap();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "the line broke"));
        for n in before..NEXT.load(Ordering::Relaxed) {
            let path = std::env::temp_dir().join(format!("aimate-document-{}-{n}", std::process::id()));
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn file_of_the_store_stays() {
        let path = std::env::temp_dir().join(format!("aimate-local-file-{}", std::process::id()));
        std::fs::write(&path, "x").unwrap();
        let file = LocalFile::of(BlobContent::from_file(&path, 1)).await.unwrap();
        assert_eq!(file.path(), path);
        drop(file);
        assert!(path.exists());
        std::fs::remove_file(path).unwrap();
    }
}
