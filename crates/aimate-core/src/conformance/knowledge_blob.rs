use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::knowledge_world::hash;
use super::world::{id, missing, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::knowledge::Blob;
use crate::{DocumentId, Stores, TenantId};

/// Beyond any case's bytes.
const MUCH: u64 = 1 << 20;

fn parts(parts: &[&str]) -> BoxStream<'static, Result<Vec<u8>>> {
    let parts: Vec<_> = parts.iter().map(|part| Ok(part.as_bytes().to_vec())).collect();
    stream::iter(parts).boxed()
}

async fn read(stores: &Stores, blob: &Blob) -> Vec<u8> {
    let path = stores.blobs.file(blob).await.unwrap();
    std::fs::read(path).unwrap()
}

pub async fn bytes_read_back(stores: &Stores) {
    let (tenant, document) = (id::<TenantId>(), id::<DocumentId>());
    let (blob, size) = stores.blobs.put(tenant, document, parts(&["one", "", "two"]), MUCH).await.unwrap();
    assert_eq!((&blob, size), (&Blob { tenant, document, hash: hash("onetwo") }, 6));
    assert_eq!(read(stores, &blob).await, b"onetwo");
    // The same again is the same.
    assert_eq!(
        stores.blobs.put(tenant, document, parts(&["onetwo"]), MUCH).await.unwrap(),
        (blob.clone(), 6)
    );
    let (empty, size) = stores.blobs.put(tenant, document, parts(&[]), MUCH).await.unwrap();
    assert_eq!((read(stores, &empty).await, size), (Vec::new(), 0));
    assert_eq!(read(stores, &blob).await, b"onetwo");
}

pub async fn too_many_bytes_leave_nothing(stores: &Stores) {
    let document = id();
    let error = stores.blobs.put(id(), document, parts(&["1234", "56"]), 5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains('5'), "{error}");
    assert_eq!(stores.blobs.list().await.unwrap(), []);
    stores.blobs.put(id(), document, parts(&["1234", "5"]), 5).await.unwrap();
}

pub async fn broken_stream_leaves_nothing(stores: &Stores) {
    let broken = stream::iter([Ok(b"a".to_vec()), Err(Error::invalid("the upload broke off"))]).boxed();
    let error = stores.blobs.put(id(), id(), broken, MUCH).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "the upload broke off"));
    assert_eq!(stores.blobs.list().await.unwrap(), []);
}

pub async fn deleted_bytes_are_gone(stores: &Stores) {
    let (blob, _) = stores.blobs.put(id(), id(), parts(&["a"]), MUCH).await.unwrap();
    stores.blobs.delete(&blob).await.unwrap();
    missing(stores.blobs.file(&blob).await);
    stores.blobs.delete(&blob).await.unwrap();
    assert_eq!(stores.blobs.list().await.unwrap(), []);
}

pub async fn all_blobs_are_listed(stores: &Stores) {
    let mut all = Vec::new();
    let (tenant, document) = (id(), id());
    for (tenant, document, text) in
        [(tenant, document, "a"), (tenant, document, "b"), (tenant, id(), "a"), (id(), document, "a")]
    {
        all.push(stores.blobs.put(tenant, document, parts(&[text]), MUCH).await.unwrap().0);
    }
    let mut listed = stores.blobs.list().await.unwrap();
    all.sort();
    listed.sort();
    assert_eq!(listed, all);
}

pub async fn bytes_are_of_one_document(stores: &Stores) {
    let (blob, _) = stores.blobs.put(id(), id(), parts(&["a"]), MUCH).await.unwrap();
    missing(stores.blobs.file(&Blob { tenant: id(), ..blob.clone() }).await);
    missing(stores.blobs.file(&Blob { document: id(), ..blob.clone() }).await);
    for strange in ["", "../../etc/passwd", &blob.hash.to_uppercase(), &format!("{}/", &blob.hash[..63])] {
        if strange != blob.hash {
            missing(stores.blobs.file(&Blob { hash: strange.to_owned(), ..blob.clone() }).await);
            stores.blobs.delete(&Blob { hash: strange.to_owned(), ..blob.clone() }).await.unwrap();
        }
    }
    assert_eq!(read(stores, &blob).await, b"a");
}

pub async fn abandoned_upload_leaves_nothing(stores: &Stores) {
    let pending = stream::iter([Ok(b"a".to_vec())]).chain(stream::pending()).boxed();
    let upload = stores.blobs.put(id(), id(), pending, MUCH);
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(20), upload).await;
    assert!(gave_up.is_err());
    assert_eq!(stores.blobs.list().await.unwrap(), []);
    refused(stores.blobs.put(id(), id(), parts(&["ab"]), 1).await, ErrorKind::TooLarge);
}
