use std::collections::HashSet;
use std::time::Duration;

use aimate_index::analysis::{VERSION, analyze_query};
use futures_util::future::join;

use super::knowledge_world::{Fixture, LONG, collection, document, space, uploaded};
use super::world::{World, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{
    Blob, ClaimedDocument, Document, DocumentError, DocumentStatus, Fence, Finish, SpaceStatus, StorageQuotas,
};
use crate::{DocumentId, Scope, Stores, WorkerId};

async fn joined(stores: &Stores) -> WorkerId {
    let worker = id();
    stores.workers.join(worker, at(0)).await.unwrap();
    worker
}

async fn claimed(stores: &Stores, worker: WorkerId, limit: u32) -> Vec<ClaimedDocument> {
    stores.queue.claim_documents(worker, at(10), LONG, limit).await.unwrap()
}

fn ids(claimed: &[ClaimedDocument]) -> Vec<DocumentId> {
    claimed.iter().map(|claimed| claimed.document.id).collect()
}

pub async fn oldest_documents_are_claimed_first(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let mut added = Vec::new();
    for name in ["a", "b", "c"] {
        added.push(fixture.add(name).await.id);
    }
    let worker = fixture.world.worker;
    let first = claimed(stores, worker, 2).await;
    assert_eq!(ids(&first), added[..2]);
    assert!(first.iter().all(|claimed| (claimed.attempt, claimed.tries) == (1, 1)));
    assert!(first.iter().all(|claimed| claimed.document.status == DocumentStatus::Processing));
    assert_eq!(first[0].document, fixture.get(added[0]).await);
    assert_eq!(ids(&claimed(stores, worker, 2).await), added[2..]);
    assert_eq!(claimed(stores, worker, 2).await, []);
}

pub async fn claimed_document_tells_its_scope(stores: &Stores) {
    let w = World::new(stores).await;
    let mut expected: Vec<(Scope, DocumentId)> = Vec::new();
    for scope in [w.me, w.stranger, w.admin] {
        let collection = collection("c");
        stores.collections.create(&scope, &collection).await.unwrap();
        let document = document(collection.id, "d");
        uploaded(stores, w.worker, &scope, &document, &StorageQuotas::default()).await.unwrap();
        expected.push((scope, document.id));
    }
    let claimed = claimed(stores, w.worker, 10).await;
    let found: Vec<_> = claimed.iter().map(|claimed| (claimed.scope, claimed.document.id)).collect();
    assert_eq!(found, expected);
}

pub async fn each_document_goes_to_one_caller(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let mut all = HashSet::new();
    for n in 0..10 {
        all.insert(fixture.add(&n.to_string()).await.id);
    }
    let (one, two) = (joined(stores).await, joined(stores).await);
    let (first, second) = join(claimed(stores, one, 10), claimed(stores, two, 10)).await;
    let both: HashSet<_> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!((first.len() + second.len(), both), (10, all));
}

pub async fn documents_of_a_live_worker_stay(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    fixture.add("a").await;
    assert_eq!(fixture.claim().await.len(), 1);
    let other = joined(stores).await;
    assert_eq!(claimed(stores, other, 10).await, []);
    assert_eq!(fixture.claim().await, []);
}

pub async fn documents_of_a_left_worker_are_claimed(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let added = fixture.add("a").await;
    let former = fixture.fence(added.id).await;
    let heir = joined(stores).await;
    stores.workers.leave(fixture.world.worker).await.unwrap();
    let taken = claimed(stores, heir, 10).await;
    assert_eq!((ids(&taken), taken[0].attempt, taken[0].tries), (vec![added.id], 2, 2));
    // The former one is fenced off.
    let late = fixture.publication(vec![fixture.published(former, &["late"])]);
    assert_eq!(stores.ingest.publish(&fixture.me, &late).await.unwrap(), []);
    assert_eq!(claimed(stores, heir, 10).await, []);
}

pub async fn who_comes_on_is_tried_anew(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let (first, second) = (fixture.add("a").await, fixture.add("b").await);
    let claimed_now = fixture.claim().await;
    let read: Vec<_> = claimed_now
        .iter()
        .filter(|claimed| claimed.document.id == first.id)
        .map(|claimed| (Fence { document: claimed.document.id, attempt: claimed.attempt }, 0.0))
        .collect();
    let marked = stores.ingest.mark_progress(&fixture.me, fixture.collection, &read).await.unwrap();
    assert_eq!(marked, [first.id]);
    // One that is still being read can crash its reader, however far it has come.
    let attempt = claimed_now.iter().find(|claimed| claimed.document.id == second.id).unwrap().attempt;
    let fence = Fence { document: second.id, attempt };
    assert!(stores.ingest.mark_reading(&fixture.me, fence, 0.4).await.unwrap());
    let heir = joined(stores).await;
    stores.workers.leave(fixture.world.worker).await.unwrap();
    let tries: Vec<_> = claimed(stores, heir, 10).await.iter().map(|c| (c.document.id, c.tries)).collect();
    assert_eq!(tries, [(first.id, 1), (second.id, 2)]);
}

pub async fn documents_of_a_late_worker_are_claimed(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let added = fixture.add("a").await;
    fixture.claim().await;
    stores.workers.beat(fixture.world.worker, at(10)).await.unwrap();
    let heir = joined(stores).await;
    let claim = async |now, lease| ids(&stores.queue.claim_documents(heir, now, lease, 10).await.unwrap());
    assert_eq!(claim(at(10), LONG).await, []);
    // Either clock says that no time has passed, or this one that a second has.
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(claim(at(11), Duration::ZERO).await, [added.id]);
    // It was only late, and goes on with others.
    stores.workers.beat(fixture.world.worker, at(20)).await.unwrap();
    fixture.add("b").await;
    assert_eq!(fixture.claim().await.len(), 1);
    assert_eq!(claim(at(20), LONG).await, []);
}

pub async fn documents_that_nobody_holds_are_claimed_again(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (lost, held) = (fixture.add("lost").await, fixture.add("held").await);
    let worker = fixture.world.worker;
    let former = fixture.fence(lost.id).await;
    let other = joined(stores).await;
    assert_eq!(stores.queue.release_unheld(other, &[]).await.unwrap(), 0);
    assert_eq!(stores.queue.release_unheld(worker, &[held.id, lost.id]).await.unwrap(), 0);
    assert_eq!(stores.queue.release_unheld(worker, &[held.id]).await.unwrap(), 1);
    let again = claimed(stores, worker, 10).await;
    assert_eq!((ids(&again), again[0].tries), (vec![lost.id], 2));
    let late = fixture.publication(vec![fixture.published(former, &["late"])]);
    assert_eq!(stores.ingest.publish(&fixture.me, &late).await.unwrap(), []);
}

/// What is on the list, in order.
async fn to_remove(stores: &Stores, worker: WorkerId) -> Vec<Blob> {
    let mut blobs = stores.queue.blobs_to_remove(worker, at(10), LONG, 100).await.unwrap();
    blobs.sort();
    blobs
}

pub async fn bytes_are_removed_once_no_document_has_them(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let blob = |id| Blob { tenant: fixture.me.tenant, id };
    let worker = fixture.world.worker;
    let with = |name: &str| Document { source: Some("s".into()), ..document(fixture.collection, name) };
    let (former, latter) = (with("former"), with("latter"));
    fixture.add_this(&former).await;
    assert_eq!(to_remove(stores, worker).await, []);
    let replaced = fixture.add_this(&latter).await;
    assert_eq!(to_remove(stores, worker).await, [blob(former.blob_id)]);
    let deleted = fixture.ready("deleted", &["apple"]).await;
    stores.documents.delete(&fixture.me, &[replaced.id, deleted.id]).await.unwrap();
    let mut all = [former.blob_id, latter.blob_id, deleted.blob_id].map(blob);
    all.sort();
    // Until they are gone, anybody is told of them, and of no more than asked for.
    assert_eq!(to_remove(stores, joined(stores).await).await, all);
    assert_eq!(stores.queue.blobs_to_remove(worker, at(10), LONG, 2).await.unwrap().len(), 2);
    stores.queue.forget_removed(&all[..2]).await.unwrap();
    assert_eq!(to_remove(stores, worker).await, all[2..]);
    let (one, two) = (fixture.add("one").await, fixture.add("two").await);
    stores.collections.delete(&fixture.me, fixture.collection).await.unwrap();
    stores.queue.forget_removed(&all).await.unwrap();
    stores.queue.forget_removed(&[]).await.unwrap();
    let mut rest = [one.blob_id, two.blob_id].map(blob);
    rest.sort();
    assert_eq!(to_remove(stores, worker).await, rest);
}

pub async fn upload_of_a_left_worker_is_removed(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let upload = document(fixture.collection, "a");
    let (documents, worker) = (&stores.documents, fixture.world.worker);
    documents.begin_upload(&fixture.me, fixture.collection, upload.blob_id, worker).await.unwrap();
    let heir = joined(stores).await;
    assert_eq!(to_remove(stores, heir).await, []);
    stores.workers.leave(worker).await.unwrap();
    let blob = Blob { tenant: fixture.me.tenant, id: upload.blob_id };
    assert_eq!(to_remove(stores, heir).await, [blob]);
    // The worker was only late: its bytes may be gone already.
    refused(documents.add(&fixture.me, &upload, &StorageQuotas::default()).await, ErrorKind::Unavailable);
    missing(documents.get(&fixture.me, upload.id).await);
    assert_eq!(to_remove(stores, heir).await, [blob]);
}

pub async fn retried_document_waits_until_it_is_due(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let added = fixture.add("a").await;
    let fence = fixture.fence(added.id).await;
    let error = DocumentError { code: "unavailable".into(), detail: "no answer".into() };
    let finish = Finish::Retry { not_before: at(30), error: error.clone(), tries: 1 };
    stores.ingest.finish(&fixture.me, fence, &finish, at(12)).await.unwrap();
    let waiting = fixture.get(added.id).await;
    assert_eq!((waiting.status, waiting.error), (DocumentStatus::Pending, Some(error)));
    let claim = async |now| stores.queue.claim_documents(fixture.world.worker, now, LONG, 10).await.unwrap();
    assert_eq!(claim(at(29)).await, []);
    let again = claim(at(30)).await;
    assert_eq!((ids(&again), again[0].tries), (vec![added.id], 2));
    assert!(again[0].attempt > fence.attempt);
    // Added again, it is tried from the beginning, at once.
    let source = Document { source: Some("s".into()), ..document(fixture.collection, "s") };
    fixture.add_this(&source).await;
    let fence = fixture.fence(source.id).await;
    stores.ingest.finish(&fixture.me, fence, &finish, at(31)).await.unwrap();
    fixture.add_this(&source).await;
    let first = claim(at(12)).await;
    assert_eq!((ids(&first), first[0].tries), (vec![source.id], 1));
}

pub async fn released_documents_are_claimed_untried(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let added = fixture.add("a").await;
    let former = fixture.fence(added.id).await;
    let other = joined(stores).await;
    fixture.add("b").await;
    assert_eq!(claimed(stores, other, 10).await.len(), 1);
    stores.queue.release_documents(fixture.world.worker).await.unwrap();
    assert_eq!(fixture.get(added.id).await.status, DocumentStatus::Pending);
    let late = fixture.publication(vec![fixture.published(former, &["late"])]);
    assert_eq!(stores.ingest.publish(&fixture.me, &late).await.unwrap(), []);
    let again = claimed(stores, fixture.world.worker, 10).await;
    assert_eq!((ids(&again), again[0].tries), (vec![added.id], 1));
    assert!(again[0].attempt > former.attempt);
}

pub async fn ready_and_failed_documents_are_not_claimed(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    fixture.ready("ready", &["x"]).await;
    let failed = fixture.add("failed").await;
    let fence = fixture.fence(failed.id).await;
    let error = DocumentError { code: "empty".into(), detail: "nothing in it".into() };
    stores.ingest.finish(&fixture.me, fence, &Finish::Failed(error), at(12)).await.unwrap();
    stores.workers.leave(fixture.world.worker).await.unwrap();
    let heir = joined(stores).await;
    assert_eq!(claimed(stores, heir, 10).await, []);
}

pub async fn documents_of_an_older_analysis_are_read_anew(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let ready = fixture.ready("ready", &["apple"]).await;
    let new = || Document { source: Some("pear".into()), ..document(fixture.collection, "failed") };
    let failed = fixture.ready_this(&new(), &["pear"]).await;
    let again = fixture.add_this(&new()).await;
    assert_eq!(again.id, failed.id);
    let error = DocumentError { code: "empty".into(), detail: "nothing in it".into() };
    let fence = fixture.fence(failed.id).await;
    stores.ingest.finish(&fixture.me, fence, &Finish::Failed(error), at(12)).await.unwrap();
    assert_eq!(stores.queue.requeue_outdated(VERSION).await.unwrap(), 0);
    assert_eq!(stores.queue.requeue_outdated(VERSION + 1).await.unwrap(), 1);
    assert_eq!(stores.queue.requeue_outdated(VERSION + 1).await.unwrap(), 0);
    assert_eq!(fixture.get(ready.id).await.status, DocumentStatus::Pending);
    assert_eq!(fixture.get(failed.id).await.status, DocumentStatus::Failed);
    // Both are found meanwhile.
    for word in ["apple", "pear"] {
        let terms = analyze_query(word);
        let found = stores.index.find_text(&fixture.me, &fixture.target(), &terms, 10).await.unwrap();
        assert_eq!(found.best.len(), 1, "{word}");
    }
    let claimed = claimed(stores, fixture.world.worker, 10).await;
    assert_eq!((ids(&claimed), claimed[0].tries), (vec![ready.id], 1));
}

pub async fn space_is_built_by_one_worker(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let new = space(fixture.collection, "local/b", SpaceStatus::Building);
    stores.spaces.create(&fixture.me, &new).await.unwrap();
    let (one, two) = (joined(stores).await, joined(stores).await);
    let claim = async |worker| stores.queue.claim_space(worker, at(10), LONG).await.unwrap();
    assert_eq!(claim(one).await, Some((fixture.me, new.clone())));
    assert_eq!(claim(two).await, None);
    // A worker that asks builds none: the answer to its first claim was lost.
    assert_eq!(claim(one).await, Some((fixture.me, new.clone())));
    stores.workers.leave(one).await.unwrap();
    assert_eq!(claim(two).await, Some((fixture.me, new.clone())));
    stores.spaces.fail(&fixture.me, new.id, "no model").await.unwrap();
    stores.workers.leave(two).await.unwrap();
    assert_eq!(claim(fixture.world.worker).await, None);
}
