use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::knowledge_world::hash;
use super::world::{id, missing, refused};
use crate::TenantId;
use crate::error::{Error, ErrorKind};
use crate::knowledge::{Blob, BlobEntry, BlobStore, ByteStream, StoredBytes};

/// Beyond any case's bytes.
const MUCH: u64 = 1 << 20;

fn parts(parts: &[&str]) -> ByteStream<'static> {
    let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::copy_from_slice(part.as_bytes()))).collect();
    stream::iter(parts).boxed()
}

/// A new name.
fn blob() -> Blob {
    Blob { tenant: id(), id: id() }
}

async fn put(blobs: &dyn BlobStore, blob: Blob, text: &str) -> Blob {
    let stored = blobs.put(&blob, parts(&[text]), MUCH).await.unwrap();
    assert_eq!(stored, StoredBytes { size: text.len() as u64, hash: hash(text) });
    blob
}

async fn read(blobs: &dyn BlobStore, blob: &Blob) -> Vec<u8> {
    let content = blobs.get(blob).await.unwrap();
    let size = content.size();
    if let Some(path) = content.path() {
        assert_eq!(std::fs::metadata(path).unwrap().len(), size);
    }
    let pieces: Vec<Bytes> = content.into_stream().try_collect().await.unwrap();
    let bytes = pieces.concat();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

async fn listed(blobs: &dyn BlobStore) -> Vec<BlobEntry> {
    let mut listed: Vec<_> = blobs.list().try_collect().await.unwrap();
    listed.sort();
    listed
}

pub async fn bytes_read_back(blobs: &dyn BlobStore) {
    let whole = blob();
    let stored = blobs.put(&whole, parts(&["one", "", "two"]), MUCH).await.unwrap();
    assert_eq!(stored, StoredBytes { size: 6, hash: hash("onetwo") });
    assert_eq!(read(blobs, &whole).await, b"onetwo");
    let empty = put(blobs, Blob { id: id(), ..whole }, "").await;
    assert_eq!(read(blobs, &empty).await, b"");
    assert_eq!(read(blobs, &whole).await, b"onetwo");
}

pub async fn too_many_bytes_leave_nothing(blobs: &dyn BlobStore) {
    let error = blobs.put(&blob(), parts(&["1234", "56"]), 5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains('5'), "{error}");
    assert_eq!(listed(blobs).await, []);
    blobs.put(&blob(), parts(&["1234", "5"]), 5).await.unwrap();
}

pub async fn broken_stream_leaves_nothing(blobs: &dyn BlobStore) {
    let broken =
        stream::iter([Ok(Bytes::from_static(b"a")), Err(Error::invalid("the upload broke off"))]).boxed();
    let error = blobs.put(&blob(), broken, MUCH).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "the upload broke off"));
    assert_eq!(listed(blobs).await, []);
}

pub async fn deleted_bytes_are_gone(blobs: &dyn BlobStore) {
    let gone = put(blobs, blob(), "a").await;
    blobs.delete(&gone).await.unwrap();
    missing(blobs.get(&gone).await);
    blobs.delete(&gone).await.unwrap();
    assert_eq!(listed(blobs).await, []);
}

pub async fn all_blobs_are_listed(blobs: &dyn BlobStore) {
    let tenant = id::<TenantId>();
    let mut all = Vec::new();
    for name in [Blob { tenant, id: id() }, Blob { tenant, id: id() }, blob()] {
        all.push(BlobEntry::Blob(put(blobs, name, "a").await));
    }
    all.sort();
    assert_eq!(listed(blobs).await, all);
}

pub async fn bytes_are_of_one_upload(blobs: &dyn BlobStore) {
    let one = put(blobs, blob(), "a").await;
    missing(blobs.get(&Blob { tenant: id(), ..one }).await);
    missing(blobs.get(&Blob { id: id(), ..one }).await);
    let two = put(blobs, Blob { id: id(), ..one }, "a").await;
    blobs.delete(&one).await.unwrap();
    assert_eq!(read(blobs, &two).await, b"a");
}

pub async fn abandoned_upload_leaves_nothing(blobs: &dyn BlobStore) {
    let pending = stream::iter([Ok(Bytes::from_static(b"a"))]).chain(stream::pending()).boxed();
    let name = blob();
    let upload = blobs.put(&name, pending, MUCH);
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(20), upload).await;
    assert!(gave_up.is_err());
    assert_eq!(listed(blobs).await, []);
    refused(blobs.put(&blob(), parts(&["ab"]), 1).await, ErrorKind::TooLarge);
}
