use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::knowledge_world::hash;
use super::world::{id, missing, refused};
use crate::error::{Error, ErrorKind};
use crate::knowledge::{Blob, BlobStore, ByteStream};
use crate::{DocumentId, TenantId};

/// Beyond any case's bytes.
const MUCH: u64 = 1 << 20;

fn parts(parts: &[&str]) -> ByteStream<'static> {
    let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::copy_from_slice(part.as_bytes()))).collect();
    stream::iter(parts).boxed()
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

async fn listed(blobs: &dyn BlobStore) -> Vec<Blob> {
    blobs.list().try_collect().await.unwrap()
}

pub async fn bytes_read_back(blobs: &dyn BlobStore) {
    let (tenant, document) = (id::<TenantId>(), id::<DocumentId>());
    let (blob, size) = blobs.put(tenant, document, parts(&["one", "", "two"]), MUCH).await.unwrap();
    assert_eq!((&blob, size), (&Blob { tenant, document, hash: hash("onetwo") }, 6));
    assert_eq!(read(blobs, &blob).await, b"onetwo");
    // The same again is the same.
    assert_eq!(blobs.put(tenant, document, parts(&["onetwo"]), MUCH).await.unwrap(), (blob.clone(), 6));
    let (empty, size) = blobs.put(tenant, document, parts(&[]), MUCH).await.unwrap();
    assert_eq!((read(blobs, &empty).await, size), (Vec::new(), 0));
    assert_eq!(read(blobs, &blob).await, b"onetwo");
}

pub async fn too_many_bytes_leave_nothing(blobs: &dyn BlobStore) {
    let document = id();
    let error = blobs.put(id(), document, parts(&["1234", "56"]), 5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains('5'), "{error}");
    assert_eq!(listed(blobs).await, []);
    blobs.put(id(), document, parts(&["1234", "5"]), 5).await.unwrap();
}

pub async fn broken_stream_leaves_nothing(blobs: &dyn BlobStore) {
    let broken =
        stream::iter([Ok(Bytes::from_static(b"a")), Err(Error::invalid("the upload broke off"))]).boxed();
    let error = blobs.put(id(), id(), broken, MUCH).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "the upload broke off"));
    assert_eq!(listed(blobs).await, []);
}

pub async fn deleted_bytes_are_gone(blobs: &dyn BlobStore) {
    let (blob, _) = blobs.put(id(), id(), parts(&["a"]), MUCH).await.unwrap();
    blobs.delete(&blob).await.unwrap();
    missing(blobs.get(&blob).await);
    blobs.delete(&blob).await.unwrap();
    assert_eq!(listed(blobs).await, []);
}

pub async fn all_blobs_are_listed(blobs: &dyn BlobStore) {
    let mut all = Vec::new();
    let (tenant, document) = (id(), id());
    for (tenant, document, text) in
        [(tenant, document, "a"), (tenant, document, "b"), (tenant, id(), "a"), (id(), document, "a")]
    {
        all.push(blobs.put(tenant, document, parts(&[text]), MUCH).await.unwrap().0);
    }
    let mut listed = listed(blobs).await;
    all.sort();
    listed.sort();
    assert_eq!(listed, all);
}

pub async fn bytes_are_of_one_document(blobs: &dyn BlobStore) {
    let (blob, _) = blobs.put(id(), id(), parts(&["a"]), MUCH).await.unwrap();
    missing(blobs.get(&Blob { tenant: id(), ..blob.clone() }).await);
    missing(blobs.get(&Blob { document: id(), ..blob.clone() }).await);
    for strange in ["", "../../etc/passwd", &blob.hash.to_uppercase(), &format!("{}/", &blob.hash[..63])] {
        if strange != blob.hash {
            missing(blobs.get(&Blob { hash: strange.to_owned(), ..blob.clone() }).await);
            blobs.delete(&Blob { hash: strange.to_owned(), ..blob.clone() }).await.unwrap();
        }
    }
    assert_eq!(read(blobs, &blob).await, b"a");
}

pub async fn abandoned_upload_leaves_nothing(blobs: &dyn BlobStore) {
    let pending = stream::iter([Ok(Bytes::from_static(b"a"))]).chain(stream::pending()).boxed();
    let upload = blobs.put(id(), id(), pending, MUCH);
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(20), upload).await;
    assert!(gave_up.is_err());
    assert_eq!(listed(blobs).await, []);
    refused(blobs.put(id(), id(), parts(&["ab"]), 1).await, ErrorKind::TooLarge);
}
