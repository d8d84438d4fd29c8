use serde_json::{Map, Value, json};

use super::file::{file, uploaded};
use super::knowledge_world::{Fixture, LONG, collection, document};
use super::world::{at, id, missing};
use crate::deletion::{DeletionStep, DeletionTarget};
use crate::file::File;
use crate::id::{CollectionId, DocumentId, FileBatchId, FileId, UserId};
use crate::knowledge::{
    AttachmentCounts, AttachmentFilter, AttachmentStatus, Attachments, Collection, Document, DocumentError,
    NewAttachment, StorageQuota, StorageQuotas, TokenChunking,
};
use crate::workspace::{NewWorkspaceMember, WorkspaceRole};
use crate::{ErrorReason, IdRange, Order, Stores};

async fn stored(fixture: &Fixture<'_>, name: &str) -> File {
    let file = File { size: 5, ..file(name) };
    uploaded(&fixture.world, &fixture.me, &file, &StorageQuotas::default()).await.unwrap();
    file
}

fn these(fixture: &Fixture<'_>, batch: Option<FileBatchId>, files: &[FileId]) -> Attachments {
    let new = |file: &FileId| (id(), NewAttachment::new(*file));
    Attachments {
        collection: fixture.collection,
        file_owner: fixture.me.user,
        batch,
        files: files.iter().map(new).collect(),
        quotas: StorageQuotas::default(),
        now: at(1),
    }
}

async fn attached(fixture: &Fixture<'_>, file: FileId) -> Document {
    let attachments = these(fixture, None, &[file]);
    fixture.stores.attachments.attach(&fixture.me, &attachments).await.unwrap().remove(0)
}

fn metadata() -> Map<String, Value> {
    Map::from_iter([("year".into(), json!(2026)), ("a.b".into(), json!("x"))])
}

fn cancelled() -> DocumentError {
    DocumentError { code: "cancelled".into(), detail: "you said so".into() }
}

fn any() -> AttachmentFilter {
    AttachmentFilter::default()
}

pub async fn attached_file_waits(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let file = stored(&fixture, "a.txt").await;
    let chunking = TokenChunking { max_tokens: 100, overlap: 50 };
    let mut attachments = these(&fixture, None, &[]);
    let new: DocumentId = id();
    attachments.files.push((new, NewAttachment { file: file.id, metadata: metadata(), chunking }));
    let document = stores.attachments.attach(&fixture.me, &attachments).await.unwrap().remove(0);
    let expected = Document {
        id: new,
        size: file.size,
        content_hash: file.content_hash.clone(),
        blob_id: file.blob_id,
        metadata: metadata(),
        file_id: Some(file.id),
        token_chunking: Some(chunking),
        created_at: at(1),
        updated_at: at(1),
        ..super::knowledge_world::document(fixture.collection, "a.txt")
    };
    assert_eq!(document, expected);
    assert_eq!(fixture.get(new).await, expected);
    let found = stores.attachments.get(&fixture.me, fixture.collection, file.id, at(1)).await.unwrap();
    assert_eq!((found.key(), found.attachment_status()), (file.id, AttachmentStatus::InProgress));
    let claimed = fixture.claim().await;
    assert_eq!(claimed[0].document.token_chunking, Some(chunking));
}

pub async fn file_is_attached_once(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let file = stored(&fixture, "a.txt").await;
    let first = attached(&fixture, file.id).await;
    let fence = fixture.fence(first.id).await;
    fixture.publish(fence, &["apple"]).await;
    let again = attached(&fixture, file.id).await;
    assert_eq!((again.id, again.chunk_count), (first.id, 1));
    assert_eq!(again.attachment_status(), AttachmentStatus::InProgress);
    // What was findable stays so until it is read again.
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple"]);
    let all =
        stores.attachments.list(&fixture.me, fixture.collection, any(), IdRange::first(9, Order::Asc), at(1));
    assert_eq!(all.await.unwrap().data.len(), 1);
}

pub async fn unknown_file_or_collection_stores_nothing(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (mine, theirs) = (stored(&fixture, "a").await, file("b"));
    uploaded(&fixture.world, &fixture.world.other, &theirs, &StorageQuotas::default()).await.unwrap();
    let batch: FileBatchId = id();
    for wrong in [id(), theirs.id] {
        let attachments = these(&fixture, Some(batch), &[mine.id, wrong]);
        missing(stores.attachments.attach(&fixture.me, &attachments).await);
    }
    let nowhere = Attachments { collection: id(), ..these(&fixture, None, &[mine.id]) };
    missing(stores.attachments.attach(&fixture.me, &nowhere).await);
    missing(stores.attachments.batch(&fixture.me, fixture.collection, batch).await);
    // The file itself is all that may be kept.
    let one = StorageQuota { documents: Some(1), bytes: None };
    for quotas in [
        StorageQuotas { user: one, ..StorageQuotas::default() },
        StorageQuotas { tenant: one, ..StorageQuotas::default() },
    ] {
        let beyond = Attachments { quotas, ..these(&fixture, None, &[mine.id]) };
        let refused = stores.attachments.attach(&fixture.me, &beyond).await.unwrap_err();
        assert_eq!(refused.reason(), Some(ErrorReason::QuotaExceeded), "{refused}");
    }
    assert_eq!(fixture.claim().await.len(), 0);
}

pub async fn attached_documents_are_listed_by_key(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let a = stored(&fixture, "a").await;
    let own = fixture.add("b").await;
    let c = stored(&fixture, "c").await;
    // In another order than they were uploaded in.
    attached(&fixture, c.id).await;
    let ready = attached(&fixture, a.id).await;
    let fence = fixture.fence(ready.id).await;
    fixture.publish(fence, &["apple"]).await;
    let names = async |filter, range| {
        let list =
            stores.attachments.list(&fixture.me, fixture.collection, filter, range, at(1)).await.unwrap();
        list.data.iter().map(|document| document.name.clone()).collect::<String>()
    };
    assert_eq!(names(any(), IdRange::first(9, Order::Asc)).await, "abc");
    assert_eq!(names(any(), IdRange::first(9, Order::Desc)).await, "cba");
    let after = IdRange { after: Some(own.key().0), ..IdRange::first(9, Order::Desc) };
    assert_eq!(names(any(), after).await, "a");
    let of = |status| AttachmentFilter { status: Some(status), ..any() };
    assert_eq!(names(of(AttachmentStatus::Completed), IdRange::first(9, Order::Asc)).await, "a");
    assert_eq!(names(of(AttachmentStatus::InProgress), IdRange::first(9, Order::Asc)).await, "bc");
    assert_eq!(names(of(AttachmentStatus::Failed), IdRange::first(9, Order::Asc)).await, "");
    stores.documents.cancel(&fixture.me, own.id, &cancelled(), at(2)).await.unwrap();
    assert_eq!(names(of(AttachmentStatus::Cancelled), IdRange::first(9, Order::Asc)).await, "b");
    assert_eq!(fixture.get(own.id).await.attachment_status(), AttachmentStatus::Cancelled);
}

pub async fn others_see_nothing_attached(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (file, collection) = (stored(&fixture, "a").await, fixture.collection);
    let batch: FileBatchId = id();
    let attachments = these(&fixture, Some(batch), &[file.id]);
    let document = stores.attachments.attach(&fixture.me, &attachments).await.unwrap().remove(0);
    for scope in fixture.world.others() {
        missing(stores.attachments.attach(&scope, &these(&fixture, None, &[file.id])).await);
        missing(stores.attachments.get(&scope, collection, file.id, at(1)).await);
        assert_eq!(stores.attachments.get_many(&scope, &[document.id], at(1)).await.unwrap(), []);
        let list =
            stores.attachments.list(&scope, collection, any(), IdRange::first(9, Order::Asc), at(1)).await;
        assert!(list.unwrap().data.is_empty());
        missing(stores.attachments.set_metadata(&scope, document.id, &metadata(), at(1)).await);
        missing(stores.attachments.batch(&scope, collection, batch).await);
        missing(stores.attachments.cancel_batch(&scope, collection, batch, &cancelled(), at(1)).await);
        let counts = stores.attachments.counts(&scope, &[collection]).await.unwrap();
        assert_eq!(counts, [AttachmentCounts::default()]);
    }
    assert_eq!(fixture.get(document.id).await, document);
}

pub async fn metadata_changes_without_reading(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let file = stored(&fixture, "a").await;
    let document = attached(&fixture, file.id).await;
    let fence = fixture.fence(document.id).await;
    fixture.publish(fence, &["apple"]).await;
    let before = fixture.get(document.id).await;
    let changed =
        stores.attachments.set_metadata(&fixture.me, document.id, &metadata(), at(30)).await.unwrap();
    assert_eq!(changed, Document { metadata: metadata(), updated_at: at(30), ..before });
    assert_eq!(fixture.claim().await.len(), 0);
    missing(stores.attachments.set_metadata(&fixture.me, id(), &metadata(), at(30)).await);
}

pub async fn batch_counts_its_documents(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let mut files = Vec::new();
    for name in ["a", "b", "c", "d"] {
        files.push(stored(&fixture, name).await.id);
    }
    attached(&fixture, files[3]).await;
    let batch: FileBatchId = id();
    let attachments = these(&fixture, Some(batch), &files[..3]);
    let documents = stores.attachments.attach(&fixture.me, &attachments).await.unwrap();
    let fence = fixture.fence(documents[0].id).await;
    fixture.publish(fence, &["apple"]).await;
    stores.documents.cancel(&fixture.me, documents[1].id, &cancelled(), at(2)).await.unwrap();
    let found = stores.attachments.batch(&fixture.me, fixture.collection, batch).await.unwrap();
    let expected = AttachmentCounts { in_progress: 1, completed: 1, cancelled: 1, failed: 0, bytes: 5 };
    assert_eq!((found.counts, found.counts.total(), found.is_cancelled), (expected, 3, false));
    assert_eq!((found.collection, found.created_at), (fixture.collection, at(1)));
    let of_batch = AttachmentFilter { batch: Some(batch), ..any() };
    let range = IdRange::first(9, Order::Asc);
    let list =
        stores.attachments.list(&fixture.me, fixture.collection, of_batch, range, at(1)).await.unwrap();
    assert_eq!(list.data.iter().map(Document::key).collect::<Vec<_>>(), files[..3]);
    missing(stores.attachments.batch(&fixture.me, id(), batch).await);
    missing(stores.attachments.batch(&fixture.me, fixture.collection, id()).await);
}

pub async fn cancelled_batch_keeps_what_has_begun(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (a, b) = (stored(&fixture, "a").await, stored(&fixture, "b").await);
    let batch: FileBatchId = id();
    let documents =
        stores.attachments.attach(&fixture.me, &these(&fixture, Some(batch), &[a.id, b.id])).await.unwrap();
    let worker = fixture.world.worker;
    let begun = stores.queue.claim_documents(worker, at(10), LONG, 1).await.unwrap().remove(0);
    for _ in 0..2 {
        let reason = cancelled();
        let cancel = stores.attachments.cancel_batch(&fixture.me, fixture.collection, batch, &reason, at(2));
        let found = cancel.await.unwrap();
        assert!(found.is_cancelled);
        assert_eq!((found.counts.in_progress, found.counts.cancelled), (1, 1));
    }
    assert_eq!(begun.document.id, documents[0].id);
    missing(stores.attachments.cancel_batch(&fixture.me, id(), batch, &cancelled(), at(2)).await);
    missing(
        stores.attachments.cancel_batch(&fixture.me, fixture.collection, id(), &cancelled(), at(2)).await,
    );
    assert_eq!(fixture.claim().await.len(), 0);
}

pub async fn finished_batch_is_not_cancelled(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let file = stored(&fixture, "a").await;
    let batch: FileBatchId = id();
    let new = these(&fixture, Some(batch), &[file.id]);
    let document = stores.attachments.attach(&fixture.me, &new).await.unwrap().remove(0);
    let fence = fixture.fence(document.id).await;
    fixture.publish(fence, &["apple"]).await;
    let reason = cancelled();
    let cancel = stores.attachments.cancel_batch(&fixture.me, fixture.collection, batch, &reason, at(2));
    let found = cancel.await.unwrap();
    assert_eq!((found.is_cancelled, found.counts.completed), (false, 1));
}

pub async fn batch_without_documents_is_forgotten(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (a, b) = (stored(&fixture, "a").await, stored(&fixture, "b").await);
    let [first, second, third]: [FileBatchId; 3] = [id(), id(), id()];
    for (batch, files) in [(first, [a.id]), (second, [b.id]), (third, [a.id])] {
        stores.attachments.attach(&fixture.me, &these(&fixture, Some(batch), &files)).await.unwrap();
    }
    let batch = async |id| stores.attachments.batch(&fixture.me, fixture.collection, id).await;
    // Attached anew, a file has left its batch.
    stores.queue.clear_batches(at(1)).await.unwrap();
    assert_eq!(batch(first).await.unwrap().counts.total(), 0);
    stores.queue.clear_batches(at(2)).await.unwrap();
    missing(batch(first).await);
    for kept in [second, third] {
        assert_eq!(batch(kept).await.unwrap().counts.total(), 1);
    }
}

pub async fn file_of_nobody_goes_with_its_last_document(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let w = &fixture.world;
    let shelf = collection("for all");
    stores.collections.create(&w.me.shared(), &shelf).await.unwrap();
    let file = File { size: 5, ..file("a") };
    uploaded(w, &w.other, &file, &StorageQuotas::default()).await.unwrap();
    let new = these(&fixture, None, &[file.id]);
    let there = Attachments { collection: shelf.id, file_owner: w.other.user, ..new };
    let document = stores.attachments.attach(&w.me.shared(), &there).await.unwrap().remove(0);
    let target = DeletionTarget { tenant: w.me.tenant, user: Some(w.other.user) };
    stores.deletions.begin(&target, w.worker, at(0)).await.unwrap();
    while stores.deletions.step(&target, at(1_000)).await.unwrap() != DeletionStep::Empty {}
    // It is the tenant's: every user reads it, and nobody deletes it.
    assert_eq!(stores.documents.get(&w.me, document.id).await.unwrap().file_id, Some(file.id));
    missing(stores.files.delete(&w.me, file.id).await);
    assert_eq!(stores.queue.expired_files(at(1), 9).await.unwrap(), []);
    stores.documents.delete(&w.me.shared(), &[document.id]).await.unwrap();
    let unused = stores.queue.expired_files(at(1), 9).await.unwrap();
    assert_eq!(
        unused.iter().map(|(scope, id)| (scope.user, *id)).collect::<Vec<_>>(),
        [(UserId::SHARED, file.id)]
    );
    let blob = stores.files.delete(&unused[0].0, file.id).await.unwrap();
    assert_eq!(blob.id, file.blob_id);
    assert_eq!(stores.queue.expired_files(at(1), 9).await.unwrap(), []);
}

pub async fn viewer_reads_what_is_attached_and_changes_nothing(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let w = &fixture.world;
    let workspace = w.workspace("w").await.id;
    let viewer = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Viewer);
    stores.workspaces.put_member(&w.me, workspace, &viewer, at(0)).await.unwrap();
    let shelf = Collection { workspace_id: Some(workspace), ..collection("shared shelf") };
    stores.collections.create(&w.me, &shelf).await.unwrap();
    let file = stored(&fixture, "a").await;
    let batch: FileBatchId = id();
    let there = Attachments { collection: shelf.id, ..these(&fixture, Some(batch), &[file.id]) };
    let document = stores.attachments.attach(&w.me, &there).await.unwrap().remove(0);
    let attachments = &stores.attachments;
    assert_eq!(attachments.get(&w.other, shelf.id, file.id, at(1)).await.unwrap(), document);
    assert_eq!(attachments.get_many(&w.other, &[document.id], at(1)).await.unwrap().len(), 1);
    let range = IdRange::first(9, Order::Asc);
    assert_eq!(attachments.list(&w.other, shelf.id, any(), range, at(1)).await.unwrap().data.len(), 1);
    assert_eq!(attachments.batch(&w.other, shelf.id, batch).await.unwrap().counts.in_progress, 1);
    assert_eq!(attachments.counts(&w.other, &[shelf.id]).await.unwrap()[0].in_progress, 1);
    // The file stays its owner's.
    missing(stores.files.get(&w.other, file.id, at(1)).await);
    missing(attachments.set_metadata(&w.other, document.id, &metadata(), at(1)).await);
    missing(attachments.cancel_batch(&w.other, shelf.id, batch, &cancelled(), at(1)).await);
    let again = Attachments { file_owner: w.other.user, ..there };
    missing(attachments.attach(&w.other, &again).await);
    assert_eq!(stores.documents.get(&w.me, document.id).await.unwrap(), document);
}

pub async fn deleted_file_takes_what_was_attached(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let file = stored(&fixture, "a").await;
    fixture.ready("stays", &["pear"]).await;
    let document = attached(&fixture, file.id).await;
    let fence = fixture.fence(document.id).await;
    fixture.publish(fence, &["apple"]).await;
    let second = Collection { space: None, ..collection("second") };
    stores.collections.create(&fixture.me, &second).await.unwrap();
    let there = Attachments { collection: second.id, ..these(&fixture, None, &[file.id]) };
    let waiting = stores.attachments.attach(&fixture.me, &there).await.unwrap().remove(0);
    let blob = stores.files.delete(&fixture.me, file.id).await.unwrap();
    assert_eq!(blob.id, file.blob_id);
    for gone in [document.id, waiting.id] {
        missing(stores.documents.get(&fixture.me, gone).await);
    }
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple pear").await, ["pear"]);
    let loose = stores.queue.blobs_to_remove(fixture.world.worker, at(1), LONG, 9).await.unwrap();
    assert_eq!(loose, [blob]);
    fixture.is_tidy().await;
}

pub async fn detached_document_leaves_the_file(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let file = stored(&fixture, "a").await;
    let document = attached(&fixture, file.id).await;
    assert_eq!(stores.documents.delete(&fixture.me, &[document.id]).await.unwrap(), []);
    missing(stores.attachments.get(&fixture.me, fixture.collection, file.id, at(1)).await);
    attached(&fixture, file.id).await;
    assert_eq!(stores.collections.delete(&fixture.me, fixture.collection).await.unwrap(), []);
    stores.files.get(&fixture.me, file.id, at(1)).await.unwrap();
    assert_eq!(stores.queue.blobs_to_remove(fixture.world.worker, at(1), LONG, 9).await.unwrap(), []);
    let blob = crate::knowledge::Blob { tenant: fixture.me.tenant, id: file.blob_id };
    assert_eq!(stores.maintenance.unreferenced_blobs(&[blob]).await.unwrap(), []);
    let named = stores.maintenance.referenced_blobs(None, 9).await.unwrap();
    assert_eq!(named.iter().map(|named| named.blob).collect::<Vec<_>>(), [blob]);
}

pub async fn expired_file_is_attached_no_more(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let file = File { expires_at: Some(at(5)), ..file("a") };
    uploaded(&fixture.world, &fixture.me, &file, &StorageQuotas::default()).await.unwrap();
    let document = attached(&fixture, file.id).await;
    let get = async |now| stores.attachments.get(&fixture.me, fixture.collection, file.id, at(now)).await;
    let many =
        async |now| stores.attachments.get_many(&fixture.me, &[document.id], at(now)).await.unwrap().len();
    let range = IdRange::first(9, Order::Asc);
    let listed = async |now| {
        let list = stores.attachments.list(&fixture.me, fixture.collection, any(), range, at(now)).await;
        list.unwrap().data.len()
    };
    get(4).await.unwrap();
    assert_eq!((many(4).await, listed(4).await), (1, 1));
    missing(get(5).await);
    assert_eq!((many(5).await, listed(5).await), (0, 0));
    let late = Attachments { now: at(5), ..these(&fixture, None, &[file.id]) };
    missing(stores.attachments.attach(&fixture.me, &late).await);
}

pub async fn file_of_a_deleted_user_stays_where_it_is_attached(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let w = &fixture.world;
    let workspace = w.workspace("w").await.id;
    let member = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Editor);
    stores.workspaces.put_member(&w.me, workspace, &member, at(0)).await.unwrap();
    let shelf = Collection { workspace_id: Some(workspace), ..collection("shared shelf") };
    stores.collections.create(&w.me, &shelf).await.unwrap();
    // More than go in one step.
    let used: Vec<File> = (0..201).map(|n| File { size: 5, ..file(&format!("used {n}")) }).collect();
    let unused = File { size: 5, ..file("unused") };
    for file in used.iter().chain([&unused]) {
        uploaded(w, &w.other, file, &StorageQuotas::default()).await.unwrap();
    }
    let ids: Vec<FileId> = used.iter().map(|file| file.id).collect();
    let there = Attachments { collection: shelf.id, file_owner: w.other.user, ..these(&fixture, None, &ids) };
    let documents = stores.attachments.attach(&w.me, &there).await.unwrap();
    let target = DeletionTarget { tenant: w.me.tenant, user: Some(w.other.user) };
    stores.deletions.begin(&target, w.worker, at(0)).await.unwrap();
    while stores.deletions.step(&target, at(1_000)).await.unwrap() != DeletionStep::Empty {}
    let counts = stores.deletions.find(&target).await.unwrap().unwrap().counts;
    assert_eq!((counts.files, counts.handed_over_files), (1, 201));
    for (file, document) in used.iter().zip(&documents) {
        assert_eq!(stores.files.get(&w.me, file.id, at(1)).await.unwrap(), *file);
        assert_eq!(stores.documents.get(&w.me, document.id).await.unwrap().file_id, Some(file.id));
    }
    let loose = stores.queue.blobs_to_remove(w.worker, at(1), LONG, 9).await.unwrap();
    assert_eq!(loose.iter().map(|blob| blob.id).collect::<Vec<_>>(), [unused.blob_id]);
}

pub async fn counts_are_of_each_collection(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let file = stored(&fixture, "a").await;
    attached(&fixture, file.id).await;
    let own = fixture.ready_this(&document(fixture.collection, "own"), &["apple"]).await;
    let empty = collection("empty");
    stores.collections.create(&fixture.me, &empty).await.unwrap();
    let unknown: CollectionId = id();
    let ids = [empty.id, fixture.collection, unknown];
    let counts = stores.attachments.counts(&fixture.me, &ids).await.unwrap();
    let nothing = AttachmentCounts::default();
    let some = AttachmentCounts { in_progress: 1, completed: 1, bytes: own.size, ..nothing };
    assert_eq!(counts, [nothing, some, nothing]);
    for (name, code) in [("stopped", "cancelled"), ("broken", "damaged")] {
        let document = fixture.add(name).await;
        let reason = DocumentError { code: code.into(), ..cancelled() };
        stores.documents.cancel(&fixture.me, document.id, &reason, at(2)).await.unwrap();
    }
    let counts = stores.attachments.counts(&fixture.me, &[fixture.collection]).await.unwrap();
    assert_eq!(counts, [AttachmentCounts { failed: 1, cancelled: 1, ..some }]);
}
