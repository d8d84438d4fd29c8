//! The conformance cases of blobs on object storage, and what only it has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aimate_core::knowledge::{Blob, BlobEntry, BlobStore, ByteStream};
use aimate_core::{Error, ErrorKind, Ids as _, RandomIds};
use aimate_object_store::ObjectBlobs;
use aimate_object_store::object_store::memory::InMemory;
use aimate_object_store::object_store::path::Path;
use aimate_object_store::object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

/// Beyond what fits into one part.
const LARGE: usize = (8 << 20) + 1;

async fn in_memory(case: impl AsyncFn(&dyn BlobStore)) {
    case(&ObjectBlobs::open("memory:///some/where", [("", ""); 0]).unwrap()).await;
}

async fn in_a_folder(case: impl AsyncFn(&dyn BlobStore)) {
    let folder = Folder::new();
    let url = format!("file://{}", folder.0.display());
    case(&ObjectBlobs::open(&url, [("", ""); 0]).unwrap()).await;
}

mod memory {
    use super::in_memory;
    aimate_core::blob_conformance_tests!(in_memory);
}

mod folder {
    use super::in_a_folder;
    aimate_core::blob_conformance_tests!(in_a_folder);
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("aimate-object-store-{}", RandomIds.next()));
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn new_blob() -> Blob {
    Blob { tenant: RandomIds.next().into(), id: RandomIds.next().into() }
}

fn large() -> Vec<u8> {
    (0..LARGE).map(|n| (n % 251) as u8).collect()
}

/// `bytes` in pieces that end nowhere near the end of a part.
fn pieces(bytes: &[u8]) -> ByteStream<'static> {
    let pieces: Vec<_> = bytes.chunks(1_000_003).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

async fn read(blobs: &dyn BlobStore, blob: &Blob) -> Vec<u8> {
    let mut all = Vec::new();
    let mut bytes = blobs.get(blob).await.unwrap().into_stream();
    while let Some(piece) = bytes.try_next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    all
}

async fn names(store: &dyn ObjectStore) -> Vec<String> {
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    objects.into_iter().map(|object| object.location.to_string()).collect()
}

#[tokio::test]
async fn large_document_is_stored_in_parts_under_its_name() {
    let watched = Arc::new(Watched::default());
    let blobs = ObjectBlobs::new(watched.clone());
    let blob = new_blob();
    let size = blobs.put(&blob, pieces(&large()), u64::MAX).await.unwrap().size;
    assert_eq!((size, watched.begun(), watched.aborted()), (LARGE as u64, 1, 0));
    assert!(read(&blobs, &blob).await == large());
    assert_eq!(
        names(watched.as_ref()).await,
        [format!("{}/{}", blob.tenant, {
            let [.., last] = blob.id.0.into_bytes();
            format!("{last:02x}/{}", blob.id)
        })]
    );
    blobs.put(&new_blob(), pieces(b"small"), u64::MAX).await.unwrap();
    assert_eq!(watched.begun(), 1, "a small one needs no parts");
}

#[tokio::test]
async fn document_that_is_too_large_leaves_no_parts() {
    let watched = Arc::new(Watched::default());
    let blobs = ObjectBlobs::new(watched.clone());
    let error =
        blobs.put(&new_blob(), pieces(&[large(), large()].concat()), 2 * LARGE as u64 - 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!((watched.begun(), watched.aborted()), (1, 1));
    let broken = pieces(&large()).chain(stream::iter([Err(Error::invalid("it broke off"))])).boxed();
    let error = blobs.put(&new_blob(), broken, u64::MAX).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "it broke off"));
    assert_eq!((watched.begun(), watched.aborted()), (2, 2));
    assert_eq!(names(watched.as_ref()).await, Vec::<String>::new());
}

#[tokio::test]
async fn upload_whose_caller_goes_away_is_aborted() {
    let watched = Arc::new(Watched::default());
    let blobs = ObjectBlobs::new(watched.clone());
    let endless = pieces(&large()).chain(stream::pending()).boxed();
    let blob = new_blob();
    let mut upload = Box::pin(blobs.put(&blob, endless, u64::MAX));
    // All that comes is taken, then it waits for more.
    assert!(futures_util::poll!(&mut upload).is_pending());
    while watched.begun() == 0 {
        assert!(futures_util::poll!(&mut upload).is_pending());
        tokio::task::yield_now().await;
    }
    drop(upload);
    while watched.aborted() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(names(watched.as_ref()).await, Vec::<String>::new());
}

#[tokio::test]
async fn object_of_another_name_is_foreign() {
    let store = Arc::new(InMemory::new());
    store.put(&Path::from("README"), PutPayload::from_static(b"not ours")).await.unwrap();
    let blobs = ObjectBlobs::new(store);
    assert_eq!(blobs.list().try_collect::<Vec<_>>().await.unwrap(), [BlobEntry::Foreign("README".into())]);
}

#[tokio::test]
async fn folder_gives_a_local_path() {
    let folder = Folder::new();
    let blobs = ObjectBlobs::open(&format!("file://{}", folder.0.display()), [("", ""); 0]).unwrap();
    let blob = new_blob();
    blobs.put(&blob, pieces(&large()), u64::MAX).await.unwrap();
    let content = blobs.get(&blob).await.unwrap();
    assert!(std::fs::read(content.path().unwrap()).unwrap() == large());
    assert!(read(&blobs, &blob).await == large());
    let in_memory = ObjectBlobs::open("memory:///", [("", ""); 0]).unwrap();
    in_memory.put(&blob, pieces(b"x"), 1).await.unwrap();
    assert_eq!(in_memory.get(&blob).await.unwrap().path(), None);
}

#[test]
fn strange_addresses_are_refused() {
    let open = |url| ObjectBlobs::open(url, [("", ""); 0]).unwrap_err().kind();
    assert_eq!(open("a folder"), ErrorKind::Invalid);
    assert_eq!(open("ftp://host/x"), ErrorKind::Unsupported);
}

#[cfg(feature = "aws")]
#[test]
fn s3_is_opened_with_its_options() {
    let options = [
        ("endpoint", "http://127.0.0.1:1"),
        ("region", "x"),
        ("access_key_id", "me"),
        ("secret_access_key", "hunter2"),
        ("allow_http", "true"),
    ];
    let blobs = ObjectBlobs::open("s3://bucket/some/where", options).unwrap();
    assert!(!format!("{blobs:?}").contains("hunter2"), "{blobs:?}");
    let error = ObjectBlobs::open("s3://bucket", [("no_such_option", "x")]);
    assert!(error.is_ok(), "unknown options are passed over");
}

/// A store in memory that counts uploads in parts.
#[derive(Debug, Default)]
struct Watched {
    inner: InMemory,
    begun: AtomicUsize,
    aborted: Arc<AtomicUsize>,
}

impl Watched {
    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn aborted(&self) -> usize {
        self.aborted.load(Ordering::SeqCst)
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("watched")
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(WatchedUpload { inner, aborted: self.aborted.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct WatchedUpload {
    inner: Box<dyn MultipartUpload>,
    aborted: Arc<AtomicUsize>,
}

#[async_trait]
impl MultipartUpload for WatchedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.aborted.fetch_add(1, Ordering::SeqCst);
        self.inner.abort().await
    }
}
