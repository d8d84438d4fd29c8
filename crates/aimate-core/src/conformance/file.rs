use super::world::{World, at, id, missing, refused};
use crate::error::{ErrorKind, ErrorReason};
use crate::file::{File, FilePurpose};
use crate::knowledge::{StorageQuota, StorageQuotas};
use crate::{IdRange, Order, Result, Scope, Stores};

/// A file that is not stored yet.
pub fn file(name: &str) -> File {
    File {
        id: id(),
        name: name.into(),
        media_type: "text/plain".into(),
        purpose: FilePurpose::Assistants,
        size: 5_000_000_000,
        content_hash: "0f".repeat(32),
        blob_id: id(),
        created_at: at(0),
        expires_at: None,
    }
}

/// Stores a file whose bytes came; of somebody who is not there none do.
pub async fn uploaded(w: &World<'_>, scope: &Scope, file: &File, quotas: &StorageQuotas) -> Result<()> {
    let _ = w.stores.files.begin_upload(scope, file.blob_id, w.worker).await;
    w.stores.files.create(scope, file, quotas).await
}

async fn created(w: &World<'_>, name: &str) -> File {
    let file = file(name);
    uploaded(w, &w.me, &file, &StorageQuotas::default()).await.unwrap();
    file
}

fn first(order: Order) -> IdRange {
    IdRange::first(10, order)
}

async fn names(stores: &Stores, scope: &Scope, purpose: Option<FilePurpose>, range: IdRange) -> String {
    let files = stores.files.list(scope, purpose, range, at(0)).await.unwrap();
    files.data.iter().map(|file| file.name.as_str()).collect()
}

pub async fn created_file_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let file =
        File { expires_at: Some(at(9)), purpose: FilePurpose::FineTune, ..file("Bericht — 会議.pdf") };
    uploaded(&w, &w.me, &file, &StorageQuotas::default()).await.unwrap();
    assert_eq!(stores.files.get(&w.me, file.id, at(0)).await.unwrap(), file);
}

pub async fn taken_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let file = created(&w, "a").await;
    let again = File { blob_id: id(), ..file };
    refused(uploaded(&w, &w.me, &again, &StorageQuotas::default()).await, ErrorKind::Conflict);
    let nobody = Scope { user: id(), ..w.me };
    let new = self::file("b");
    missing(uploaded(&w, &nobody, &new, &StorageQuotas::default()).await);
    missing(stores.files.begin_upload(&nobody, id(), w.worker).await);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = created(&w, "mine").await;
    for scope in w.others() {
        missing(stores.files.get(&scope, mine.id, at(0)).await);
        missing(stores.files.delete(&scope, mine.id).await);
        assert_eq!(stores.files.get_many(&scope, &[mine.id], at(0)).await.unwrap(), []);
        assert!(stores.files.list(&scope, None, first(Order::Desc), at(0)).await.unwrap().data.is_empty());
        stores.files.begin_upload(&scope, id(), w.worker).await.unwrap();
    }
    let theirs = File { id: id(), blob_id: id(), ..mine.clone() };
    stores.files.begin_upload(&w.other, theirs.blob_id, w.worker).await.unwrap();
    stores.files.create(&w.other, &theirs, &StorageQuotas::default()).await.unwrap();
    missing(stores.files.get(&w.me, theirs.id, at(0)).await);
    stores.files.get(&w.me, mine.id, at(0)).await.unwrap();
}

pub async fn files_are_listed_by_id(stores: &Stores) {
    let w = World::new(stores).await;
    let mut files = Vec::new();
    for name in ["a", "b", "c"] {
        files.push(created(&w, name).await);
    }
    let vision = File { purpose: FilePurpose::Vision, ..file("v") };
    uploaded(&w, &w.me, &vision, &StorageQuotas::default()).await.unwrap();
    assert_eq!(names(stores, &w.me, None, first(Order::Asc)).await, "abcv");
    assert_eq!(names(stores, &w.me, None, first(Order::Desc)).await, "vcba");
    assert_eq!(names(stores, &w.me, Some(FilePurpose::Vision), first(Order::Desc)).await, "v");
    let two = |order, after, before| IdRange { limit: 2, order, after, before };
    let (a, c) = (Some(files[0].id.0), Some(files[2].id.0));
    assert_eq!(names(stores, &w.me, None, two(Order::Asc, a, None)).await, "bc");
    assert_eq!(names(stores, &w.me, None, two(Order::Desc, c, None)).await, "ba");
    assert_eq!(names(stores, &w.me, None, two(Order::Asc, None, c)).await, "ab");
    assert_eq!(names(stores, &w.me, None, two(Order::Desc, None, a)).await, "cb");
    let page = stores.files.list(&w.me, None, two(Order::Asc, None, None), at(0)).await.unwrap();
    assert!(page.has_more && page.data.len() == 2);
    // A place stays one when its file is gone.
    stores.files.delete(&w.me, files[0].id).await.unwrap();
    assert_eq!(names(stores, &w.me, None, two(Order::Asc, a, None)).await, "bc");
}

pub async fn expired_file_is_not_there(stores: &Stores) {
    let w = World::new(stores).await;
    let file = File { expires_at: Some(at(10)), ..file("a") };
    uploaded(&w, &w.me, &file, &StorageQuotas::default()).await.unwrap();
    created(&w, "b").await;
    stores.files.get(&w.me, file.id, at(9)).await.unwrap();
    let both = [file.id, id(), file.id];
    assert_eq!(stores.files.get_many(&w.me, &both, at(9)).await.unwrap(), std::slice::from_ref(&file));
    assert_eq!(stores.files.get_many(&w.me, &both, at(10)).await.unwrap(), []);
    assert_eq!(stores.queue.expired_files(at(9), 10).await.unwrap(), []);
    missing(stores.files.get(&w.me, file.id, at(10)).await);
    assert_eq!(stores.files.list(&w.me, None, first(Order::Asc), at(10)).await.unwrap().data.len(), 1);
    let expired = stores.queue.expired_files(at(10), 10).await.unwrap();
    assert_eq!(expired.len(), 1);
    assert_eq!((expired[0].0.tenant, expired[0].0.user, expired[0].1), (w.me.tenant, w.me.user, file.id));
    stores.files.delete(&expired[0].0, expired[0].1).await.unwrap();
    assert_eq!(stores.queue.expired_files(at(10), 10).await.unwrap(), []);
}

pub async fn deleted_file_is_gone(stores: &Stores) {
    let w = World::new(stores).await;
    let file = created(&w, "a").await;
    let blob = stores.files.delete(&w.me, file.id).await.unwrap();
    assert_eq!((blob.tenant, blob.id), (w.me.tenant, file.blob_id));
    missing(stores.files.get(&w.me, file.id, at(0)).await);
    missing(stores.files.delete(&w.me, file.id).await);
    let long = super::knowledge_world::LONG;
    assert_eq!(stores.queue.blobs_to_remove(w.worker, at(0), long, 9).await.unwrap(), [blob]);
}

pub async fn file_counts_for_the_quota(stores: &Stores) {
    let w = World::new(stores).await;
    let quota = StorageQuota { documents: Some(2), bytes: Some(10) };
    let quotas = StorageQuotas { user: quota, ..StorageQuotas::default() };
    let sized = |size| File { size, ..file("a") };
    uploaded(&w, &w.me, &sized(6), &quotas).await.unwrap();
    let refused = uploaded(&w, &w.me, &sized(5), &quotas).await.unwrap_err();
    assert_eq!(refused.reason(), Some(ErrorReason::QuotaExceeded));
    uploaded(&w, &w.me, &sized(4), &quotas).await.unwrap();
    assert!(uploaded(&w, &w.me, &sized(0), &quotas).await.is_err());
    let stored = stores.documents.storage(&w.me, &quotas).await.unwrap().user;
    assert_eq!((stored.documents, stored.bytes), (2, 10));
}

pub async fn upload_that_was_given_up_becomes_none(stores: &Stores) {
    let w = World::new(stores).await;
    let file = file("a");
    stores.files.begin_upload(&w.me, file.blob_id, w.worker).await.unwrap();
    stores.documents.give_up_upload(&w.me, file.blob_id).await.unwrap();
    let result = stores.files.create(&w.me, &file, &StorageQuotas::default()).await;
    refused(result, ErrorKind::Unavailable);
    missing(stores.files.get(&w.me, file.id, at(0)).await);
    // Nor when its bytes were removed and nobody knows of them any more.
    let unknown = self::file("c");
    let result = stores.files.create(&w.me, &unknown, &StorageQuotas::default()).await;
    refused(result, ErrorKind::Unavailable);
    let other = self::file("b");
    stores.files.begin_upload(&w.me, other.blob_id, w.worker).await.unwrap();
    stores.files.create(&w.me, &other, &StorageQuotas::default()).await.unwrap();
    let loose = stores.queue.blobs_to_remove(w.worker, at(0), super::knowledge_world::LONG, 9).await.unwrap();
    assert_eq!(loose.iter().map(|blob| blob.id).collect::<Vec<_>>(), [file.blob_id]);
}
