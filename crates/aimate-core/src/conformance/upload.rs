use std::time::Duration;

use super::file::file;
use super::knowledge_world::LONG;
use super::world::{World, at, id, missing, refused};
use crate::deletion::{DeletionStep, DeletionTarget};
use crate::error::{ErrorKind, ErrorReason};
use crate::file::{File, FilePurpose};
use crate::knowledge::{Blob, StorageQuota, StorageQuotas};
use crate::upload::{FileUpload, UploadPart, UploadStatus};
use crate::{Result, Scope, Stores, UploadId};

fn upload(size: u64) -> FileUpload {
    FileUpload {
        id: id(),
        name: "Übung — 会議.pdf".into(),
        media_type: "application/pdf".into(),
        purpose: FilePurpose::Batch,
        size,
        file_life: Some(Duration::from_secs(3_600)),
        status: UploadStatus::Pending,
        file_id: None,
        created_at: at(0),
        expires_at: at(100),
    }
}

fn part(size: u64) -> UploadPart {
    UploadPart { id: id(), size, content_hash: "0f".repeat(32), blob_id: id(), created_at: at(1) }
}

async fn begun(w: &World<'_>, size: u64) -> FileUpload {
    let upload = upload(size);
    w.stores.uploads.create(&w.me, &upload).await.unwrap();
    upload
}

/// Adds a part whose bytes came.
async fn add(w: &World<'_>, id: UploadId, part: &UploadPart, quotas: &StorageQuotas) -> Result<()> {
    w.stores.files.begin_upload(&w.me, part.blob_id, w.worker).await.unwrap();
    w.stores.uploads.add_part(&w.me, id, part, quotas).await
}

async fn added(w: &World<'_>, id: UploadId, size: u64) -> UploadPart {
    let part = part(size);
    add(w, id, &part, &StorageQuotas::default()).await.unwrap();
    part
}

/// The file of a completed upload, whose bytes came.
async fn whole(w: &World<'_>, size: u64) -> File {
    let file = File { size, created_at: at(2), ..file("a") };
    w.stores.files.begin_upload(&w.me, file.blob_id, w.worker).await.unwrap();
    file
}

async fn loose(w: &World<'_>) -> Vec<crate::id::BlobId> {
    let loose = w.stores.queue.blobs_to_remove(w.worker, at(3), LONG, 99).await.unwrap();
    let mut loose: Vec<_> = loose.iter().map(|blob| blob.id).collect();
    loose.sort_unstable();
    loose
}

pub async fn begun_upload_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let upload = begun(&w, 10).await;
    assert_eq!(stores.uploads.get(&w.me, upload.id, at(0)).await.unwrap(), upload);
    assert_eq!(stores.uploads.parts(&w.me, upload.id, at(0)).await.unwrap(), []);
    missing(stores.uploads.get(&w.me, id(), at(0)).await);
    refused(stores.uploads.create(&w.me, &upload).await, ErrorKind::Conflict);
    let nobody = Scope { user: id(), ..w.me };
    missing(stores.uploads.create(&nobody, &self::upload(1)).await);
}

pub async fn others_see_no_upload(stores: &Stores) {
    let w = World::new(stores).await;
    let upload = begun(&w, 10).await;
    let kept = added(&w, upload.id, 10).await;
    let none = StorageQuotas::default();
    for scope in w.others() {
        let theirs = FileUpload { id: id(), ..upload.clone() };
        stores.uploads.create(&scope, &theirs).await.unwrap();
        missing(stores.uploads.get(&w.me, theirs.id, at(1)).await);
        missing(stores.uploads.get(&scope, upload.id, at(1)).await);
        missing(stores.uploads.parts(&scope, upload.id, at(1)).await);
        let part = part(1);
        stores.files.begin_upload(&scope, part.blob_id, w.worker).await.unwrap();
        missing(stores.uploads.add_part(&scope, upload.id, &part, &none).await);
        let file = File { size: 10, created_at: at(2), ..file("a") };
        stores.files.begin_upload(&scope, file.blob_id, w.worker).await.unwrap();
        missing(stores.uploads.complete(&scope, upload.id, &file, &none).await);
        missing(stores.files.get(&scope, file.id, at(2)).await);
        missing(stores.uploads.cancel(&scope, upload.id, at(2)).await);
        missing(stores.uploads.delete(&scope, upload.id).await);
    }
    assert_eq!(stores.uploads.get(&w.me, upload.id, at(2)).await.unwrap(), upload);
    assert_eq!(stores.uploads.parts(&w.me, upload.id, at(2)).await.unwrap(), [kept]);
    assert_eq!(loose(&w).await, []);
}

pub async fn parts_are_kept_as_they_came(stores: &Stores) {
    let w = World::new(stores).await;
    let upload = begun(&w, 10).await;
    let parts = [added(&w, upload.id, 4).await, added(&w, upload.id, 6).await];
    assert_eq!(stores.uploads.parts(&w.me, upload.id, at(1)).await.unwrap(), parts);
    // Their bytes are somebody's.
    let blobs = parts.each_ref().map(|part| Blob { tenant: w.me.tenant, id: part.blob_id });
    assert_eq!(stores.maintenance.unreferenced_blobs(&blobs).await.unwrap(), []);
    stores.documents.give_up_upload(&w.me, parts[0].blob_id).await.unwrap();
    assert_eq!(loose(&w).await, []);
    missing(stores.uploads.parts(&w.me, id(), at(1)).await);
}

pub async fn upload_takes_no_more_than_it_may(stores: &Stores) {
    let w = World::new(stores).await;
    let upload = begun(&w, 10).await;
    // Each may be sent again.
    for size in [6, 4, 6] {
        added(&w, upload.id, size).await;
    }
    refused(add(&w, upload.id, &part(5), &StorageQuotas::default()).await, ErrorKind::Invalid);
    added(&w, upload.id, 4).await;
    assert_eq!(stores.uploads.parts(&w.me, upload.id, at(1)).await.unwrap().len(), 4);
    let many = begun(&w, 10_000).await;
    for _ in 0..FileUpload::MAX_PARTS {
        added(&w, many.id, 1).await;
    }
    refused(add(&w, many.id, &part(1), &StorageQuotas::default()).await, ErrorKind::Invalid);
}

pub async fn completed_upload_is_a_file(stores: &Stores) {
    let w = World::new(stores).await;
    let upload = begun(&w, 10).await;
    let mut parts = [added(&w, upload.id, 4).await.blob_id, added(&w, upload.id, 6).await.blob_id];
    parts.sort_unstable();
    let file = whole(&w, 10).await;
    let none = StorageQuotas::default();
    let completed = stores.uploads.complete(&w.me, upload.id, &file, &none).await.unwrap();
    let expected = FileUpload { status: UploadStatus::Completed, file_id: Some(file.id), ..upload.clone() };
    assert_eq!(completed, expected);
    assert_eq!(stores.files.get(&w.me, file.id, at(2)).await.unwrap(), file);
    assert_eq!(stores.uploads.parts(&w.me, upload.id, at(2)).await.unwrap(), []);
    assert_eq!(loose(&w).await, parts);
    let again = whole(&w, 10).await;
    refused(stores.uploads.complete(&w.me, upload.id, &again, &none).await, ErrorKind::Invalid);
    missing(stores.files.get(&w.me, again.id, at(2)).await);
    refused(stores.uploads.cancel(&w.me, upload.id, at(2)).await, ErrorKind::Invalid);
    refused(add(&w, upload.id, &part(1), &none).await, ErrorKind::Invalid);
    // What it was is over, and the file stays.
    stores.uploads.delete(&w.me, upload.id).await.unwrap();
    stores.files.get(&w.me, file.id, at(2)).await.unwrap();
}

pub async fn cancelled_upload_has_no_parts(stores: &Stores) {
    let w = World::new(stores).await;
    let upload = begun(&w, 10).await;
    let part = added(&w, upload.id, 4).await;
    for _ in 0..2 {
        let cancelled = stores.uploads.cancel(&w.me, upload.id, at(2)).await.unwrap();
        assert_eq!(cancelled, FileUpload { status: UploadStatus::Cancelled, ..upload.clone() });
        assert_eq!(loose(&w).await, [part.blob_id]);
    }
    let none = StorageQuotas::default();
    refused(add(&w, upload.id, &self::part(1), &none).await, ErrorKind::Invalid);
    let file = whole(&w, 10).await;
    refused(stores.uploads.complete(&w.me, upload.id, &file, &none).await, ErrorKind::Invalid);
    missing(stores.uploads.cancel(&w.me, id(), at(2)).await);
}

pub async fn expired_upload_is_not_there(stores: &Stores) {
    let w = World::new(stores).await;
    let upload = FileUpload { expires_at: at(2), ..upload(10) };
    stores.uploads.create(&w.me, &upload).await.unwrap();
    let kept = added(&w, upload.id, 4).await;
    assert_eq!(stores.queue.expired_uploads(at(1), 9).await.unwrap(), []);
    missing(stores.uploads.get(&w.me, upload.id, at(2)).await);
    missing(stores.uploads.parts(&w.me, upload.id, at(2)).await);
    let none = StorageQuotas::default();
    missing(add(&w, upload.id, &UploadPart { created_at: at(2), ..part(1) }, &none).await);
    let file = whole(&w, 10).await;
    missing(stores.uploads.complete(&w.me, upload.id, &file, &none).await);
    missing(stores.uploads.cancel(&w.me, upload.id, at(2)).await);
    let expired = stores.queue.expired_uploads(at(2), 9).await.unwrap();
    assert_eq!(expired.len(), 1);
    assert_eq!((expired[0].0.tenant, expired[0].0.user, expired[0].1), (w.me.tenant, w.me.user, upload.id));
    stores.uploads.delete(&expired[0].0, upload.id).await.unwrap();
    assert_eq!(loose(&w).await, [kept.blob_id]);
    missing(stores.uploads.delete(&w.me, upload.id).await);
    assert_eq!(stores.queue.expired_uploads(at(2), 9).await.unwrap(), []);
}

pub async fn parts_count_for_the_quota(stores: &Stores) {
    let w = World::new(stores).await;
    let quota = StorageQuota { documents: None, bytes: Some(10) };
    for quotas in [
        StorageQuotas { user: quota, ..StorageQuotas::default() },
        StorageQuotas { tenant: quota, ..StorageQuotas::default() },
    ] {
        let upload = begun(&w, 10).await;
        add(&w, upload.id, &part(6), &quotas).await.unwrap();
        let more = add(&w, upload.id, &part(5), &quotas).await.unwrap_err();
        assert_eq!(more.reason(), Some(ErrorReason::QuotaExceeded), "{more}");
        add(&w, upload.id, &part(4), &quotas).await.unwrap();
        let over = whole(&w, 11).await;
        let refused = stores.uploads.complete(&w.me, upload.id, &over, &quotas).await.unwrap_err();
        assert_eq!(refused.reason(), Some(ErrorReason::QuotaExceeded), "{refused}");
        // The file takes the place of its parts.
        let file = whole(&w, 10).await;
        stores.uploads.complete(&w.me, upload.id, &file, &quotas).await.unwrap();
        let stored = stores.documents.storage(&w.me, &quotas).await.unwrap();
        assert_eq!(stored.user.bytes + stored.tenant.bytes, 10);
        stores.files.delete(&w.me, file.id).await.unwrap();
    }
}

pub async fn part_that_was_given_up_is_none(stores: &Stores) {
    let w = World::new(stores).await;
    let upload = begun(&w, 10).await;
    let (part, none) = (part(4), StorageQuotas::default());
    stores.files.begin_upload(&w.me, part.blob_id, w.worker).await.unwrap();
    stores.documents.give_up_upload(&w.me, part.blob_id).await.unwrap();
    refused(stores.uploads.add_part(&w.me, upload.id, &part, &none).await, ErrorKind::Unavailable);
    let file = whole(&w, 10).await;
    stores.documents.give_up_upload(&w.me, file.blob_id).await.unwrap();
    refused(stores.uploads.complete(&w.me, upload.id, &file, &none).await, ErrorKind::Unavailable);
    assert_eq!(stores.uploads.get(&w.me, upload.id, at(2)).await.unwrap(), upload);
    assert_eq!(stores.uploads.parts(&w.me, upload.id, at(2)).await.unwrap(), []);
}

pub async fn user_has_so_many_pending_uploads(stores: &Stores) {
    let w = World::new(stores).await;
    let mut last = None;
    for _ in 0..FileUpload::MAX_PENDING {
        last = Some(begun(&w, 1).await.id);
    }
    refused(stores.uploads.create(&w.me, &upload(1)).await, ErrorKind::Invalid);
    stores.uploads.create(&w.other, &upload(1)).await.unwrap();
    stores.uploads.cancel(&w.me, last.unwrap(), at(1)).await.unwrap();
    begun(&w, 1).await;
    // Those that are over count no more.
    let later = FileUpload { created_at: at(100), expires_at: at(200), ..upload(1) };
    stores.uploads.create(&w.me, &later).await.unwrap();
}

pub async fn deleted_user_takes_their_uploads(stores: &Stores) {
    let w = World::new(stores).await;
    let mut parts = Vec::new();
    // More than go in one step.
    for _ in 0..21 {
        let upload = begun(&w, 10).await;
        parts.push(added(&w, upload.id, 4).await.blob_id);
    }
    parts.sort_unstable();
    let target = DeletionTarget { tenant: w.me.tenant, user: Some(w.me.user) };
    stores.deletions.begin(&target, w.worker, at(0)).await.unwrap();
    while stores.deletions.step(&target, at(1_000)).await.unwrap() != DeletionStep::Empty {}
    assert_eq!(stores.deletions.find(&target).await.unwrap().unwrap().counts.uploads, 21);
    assert_eq!(loose(&w).await, parts);
    // At one go, too.
    let theirs = upload(10);
    stores.uploads.create(&w.other, &theirs).await.unwrap();
    let part = part(4);
    stores.files.begin_upload(&w.other, part.blob_id, w.worker).await.unwrap();
    stores.uploads.add_part(&w.other, theirs.id, &part, &StorageQuotas::default()).await.unwrap();
    stores.users.delete(&w.admin, w.other.user).await.unwrap();
    assert!(loose(&w).await.contains(&part.blob_id));
}
