use std::collections::HashSet;

use futures_util::future::join;

use super::knowledge_world::{Fixture, LONG_AGO, collection, document, space};
use super::world::{World, at, id};
use crate::knowledge::{ClaimedDocument, DocumentError, DocumentStatus, Fence, Finish, SpaceStatus};
use crate::{DocumentId, Scope, Stores, WorkerId};

async fn joined(stores: &Stores) -> WorkerId {
    let worker = id();
    stores.workers.join(worker, at(0)).await.unwrap();
    worker
}

async fn claimed(stores: &Stores, worker: WorkerId, limit: u32) -> Vec<ClaimedDocument> {
    stores.queue.claim_documents(worker, at(10), LONG_AGO, limit).await.unwrap()
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
        stores.documents.add(&scope, &document).await.unwrap();
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
    let claim =
        async |dead_before| ids(&stores.queue.claim_documents(heir, at(20), dead_before, 10).await.unwrap());
    assert_eq!(claim(at(10)).await, []);
    assert_eq!(claim(at(11)).await, [added.id]);
    // It was only late, and goes on with others.
    stores.workers.beat(fixture.world.worker, at(20)).await.unwrap();
    fixture.add("b").await;
    assert_eq!(fixture.claim().await.len(), 1);
    assert_eq!(claim(LONG_AGO).await, []);
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
    let claim =
        async |now| stores.queue.claim_documents(fixture.world.worker, now, LONG_AGO, 10).await.unwrap();
    assert_eq!(claim(at(29)).await, []);
    let again = claim(at(30)).await;
    assert_eq!((ids(&again), again[0].tries), (vec![added.id], 2));
    assert!(again[0].attempt > fence.attempt);
    // Added again, it is tried from the beginning, at once.
    let source = crate::knowledge::Document { source: Some("s".into()), ..document(fixture.collection, "s") };
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

pub async fn space_is_built_by_one_worker(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let new = space(fixture.collection, "local/b", SpaceStatus::Building);
    stores.spaces.create(&fixture.me, &new).await.unwrap();
    let (one, two) = (joined(stores).await, joined(stores).await);
    let claim = async |worker| stores.queue.claim_space(worker, LONG_AGO).await.unwrap();
    assert_eq!(claim(one).await, Some((fixture.me, new.clone())));
    assert_eq!(claim(two).await, None);
    assert_eq!(claim(one).await, None);
    stores.workers.leave(one).await.unwrap();
    assert_eq!(claim(two).await, Some((fixture.me, new.clone())));
    stores.spaces.fail(&fixture.me, new.id, "no model").await.unwrap();
    stores.workers.leave(two).await.unwrap();
    assert_eq!(claim(fixture.world.worker).await, None);
}
