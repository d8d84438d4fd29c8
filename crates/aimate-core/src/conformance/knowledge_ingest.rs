use super::knowledge_world::{EAST, Fixture, chunk_id, document, space};
use super::world::{at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{Document, DocumentError, DocumentStatus, Fence, Finish, SpaceStatus, SpaceVectors};
use crate::{ChunkId, Stores};

fn failure() -> DocumentError {
    DocumentError { code: "damaged".into(), detail: "it cannot be read".into() }
}

pub async fn published_document_is_ready(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let added = fixture.add("a").await;
    let fence = fixture.fence(added.id).await;
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, Vec::<String>::new());
    fixture.publish(fence, &["red apple", "green apple", "pear"]).await;
    let expected = Document {
        title: "title".into(),
        media_type: "text/markdown".into(),
        warnings: vec!["guessed".into()],
        status: DocumentStatus::Ready,
        progress: 1.0,
        chunk_count: 3,
        updated_at: at(20),
        ..added.clone()
    };
    assert_eq!(fixture.get(added.id).await, expected);
    let mut found = fixture.found(&fixture.me, &fixture.target(), "apple").await;
    found.sort();
    assert_eq!(found, ["green apple", "red apple"]);
    // It is over: the same again is left out.
    let again = fixture.publication(vec![fixture.published(fence, &["again"])]);
    assert_eq!(stores.ingest.publish(&fixture.me, &again).await.unwrap(), []);
    fixture.is_tidy().await;
}

pub async fn new_version_replaces_the_former(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let source = Document { source: Some("s".into()), ..document(fixture.collection, "a") };
    fixture.ready_this(&source, &["old apple", "same", "dropped"]).await;
    let other = fixture.ready("other", &["other apple"]).await;
    fixture.ready_this(&source, &["new apple", "same"]).await;
    assert_eq!(fixture.chunks(source.id).await, ["new apple", "same"]);
    let mut found = fixture.found(&fixture.me, &fixture.target(), "apple").await;
    found.sort();
    assert_eq!(found, ["new apple", "other apple"]);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "dropped").await, Vec::<String>::new());
    assert_eq!(fixture.chunks(other.id).await, ["other apple"]);
    // What is not there any more has no vector either.
    let gone = [chunk_id(source.id, "dropped"), chunk_id(source.id, "same")];
    let space = fixture.space.unwrap();
    assert_eq!(stores.ingest.embedded(&fixture.me, space, &gone).await.unwrap(), [gone[1]]);
    assert_eq!(fixture.get(source.id).await.chunk_count, 2);
    // And it may become empty.
    fixture.ready_this(&source, &[]).await;
    assert_eq!(fixture.chunks(source.id).await, Vec::<String>::new());
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["other apple"]);
    fixture.is_tidy().await;
}

pub async fn stale_work_is_left_out(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let source = Document { source: Some("s".into()), ..document(fixture.collection, "a") };
    let first = fixture.add_this(&source).await;
    let stale = fixture.fence(first.id).await;
    fixture.add_this(&source).await;
    let current = fixture.add("b").await;
    let current = fixture.fence(current.id).await;
    let both = fixture.publication(vec![
        fixture.published(stale, &["stale apple"]),
        fixture.published(current, &["fresh apple"]),
    ]);
    assert_eq!(stores.ingest.publish(&fixture.me, &both).await.unwrap(), [current.document]);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["fresh apple"]);
    assert_eq!(fixture.get(first.id).await.status, DocumentStatus::Processing);
    let vectors = fixture.publication(vec![fixture.published(stale, &["x"])]).vectors;
    let stored =
        stores.ingest.store_vectors(&fixture.me, fixture.collection, &[(stale, 0.5)], &vectors).await;
    assert_eq!(stored.unwrap(), []);
    let marked = stores.ingest.mark_progress(&fixture.me, fixture.collection, &[(stale, 0.5)]).await;
    assert_eq!(marked.unwrap(), []);
    let finished = stores.ingest.finish(&fixture.me, stale, &Finish::Failed(failure()), at(30)).await;
    refused(finished, ErrorKind::Conflict);
    assert_eq!(fixture.get(first.id).await.progress, 0.0);
    fixture.is_tidy().await;
}

pub async fn several_documents_are_published_together(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let mut fences = Vec::new();
    for n in 0..20 {
        fixture.add(&n.to_string()).await;
    }
    for claimed in fixture.claim().await {
        fences.push(Fence { document: claimed.document.id, attempt: claimed.attempt });
    }
    let texts: Vec<String> = (0..20).map(|n| format!("apple number{n}")).collect();
    let published =
        fences.iter().zip(&texts).map(|(fence, text)| fixture.published(*fence, &[text.as_str()])).collect();
    let mut done = stores.ingest.publish(&fixture.me, &fixture.publication(published)).await.unwrap();
    done.sort();
    assert_eq!(done, fences.iter().map(|fence| fence.document).collect::<Vec<_>>());
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await.len(), 20);
    // All have the word before the number; one has both.
    let found = fixture.found(&fixture.me, &fixture.target(), "number7").await;
    assert_eq!(found.first().map(String::as_str), Some("apple number7"));
    fixture.is_tidy().await;
}

pub async fn stored_vectors_wait_for_publication(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let added = fixture.add("a").await;
    let fence = fixture.fence(added.id).await;
    let mut publication = fixture.publication(vec![fixture.published(fence, &["one", "two"])]);
    let vectors = std::mem::take(&mut publication.vectors);
    let space = fixture.space.unwrap();
    let ids: Vec<ChunkId> = vectors[0].vectors.iter().map(|vector| vector.0).collect();
    let half = [SpaceVectors { space, vectors: vec![vectors[0].vectors[0].clone()] }];
    stores.ingest.store_vectors(&fixture.me, fixture.collection, &[(fence, 0.5)], &half).await.unwrap();
    assert_eq!(fixture.get(added.id).await.progress, 0.5);
    assert_eq!(stores.ingest.embedded(&fixture.me, space, &ids).await.unwrap(), ids[..1]);
    // One is missing.
    refused(stores.ingest.publish(&fixture.me, &publication).await, ErrorKind::Unavailable);
    assert_eq!(fixture.get(added.id).await.status, DocumentStatus::Processing);
    assert_eq!(fixture.chunks(added.id).await, Vec::<String>::new());
    // Storing one again is nothing.
    stores.ingest.store_vectors(&fixture.me, fixture.collection, &[(fence, 1.0)], &vectors).await.unwrap();
    let mut embedded = stores.ingest.embedded(&fixture.me, space, &ids).await.unwrap();
    embedded.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(embedded, sorted);
    let leg = stores.index.find_vector(&fixture.me, &fixture.target(), &[space], &EAST, 10).await.unwrap();
    assert_eq!(leg.best, []);
    assert_eq!(stores.ingest.publish(&fixture.me, &publication).await.unwrap(), [added.id]);
    let leg = stores.index.find_vector(&fixture.me, &fixture.target(), &[space], &EAST, 10).await.unwrap();
    assert_eq!(leg.best.len(), 2);
}

pub async fn marked_progress_is_shown(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (first, second) = (fixture.add("a").await, fixture.add("b").await);
    let mut fences: Vec<_> = fixture
        .claim()
        .await
        .iter()
        .map(|claimed| (Fence { document: claimed.document.id, attempt: claimed.attempt }, 0.25))
        .collect();
    fences.push((Fence { document: id(), attempt: 1 }, 0.5));
    let mut marked = stores.ingest.mark_progress(&fixture.me, fixture.collection, &fences).await.unwrap();
    marked.sort();
    assert_eq!(marked, [first.id, second.id]);
    let shown = fixture.get(first.id).await;
    assert_eq!((shown.status, shown.progress), (DocumentStatus::Processing, 0.25));
    assert_eq!(stores.ingest.mark_progress(&fixture.me, fixture.collection, &[]).await.unwrap(), []);
    missing(stores.ingest.mark_progress(&fixture.me, id(), &fences).await);
}

pub async fn reading_is_shown(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let added = fixture.add("a").await;
    let fence = fixture.fence(added.id).await;
    assert!(stores.ingest.mark_reading(&fixture.me, fence, 0.25).await.unwrap());
    let shown = fixture.get(added.id).await;
    assert_eq!((shown.status, shown.progress), (DocumentStatus::Processing, 0.25));
    let former = Fence { attempt: fence.attempt + 1, ..fence };
    assert!(!stores.ingest.mark_reading(&fixture.me, former, 0.5).await.unwrap());
    assert_eq!(fixture.get(added.id).await, shown);
    let unknown = Fence { document: id(), attempt: 1 };
    missing(stores.ingest.mark_reading(&fixture.me, unknown, 0.5).await.map(drop));
}

pub async fn failed_document_keeps_what_was_findable(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let source = Document { source: Some("s".into()), ..document(fixture.collection, "a") };
    let ready = fixture.ready_this(&source, &["apple"]).await;
    fixture.add_this(&source).await;
    let fence = fixture.fence(ready.id).await;
    let vectors = fixture.publication(vec![fixture.published(fence, &["apple", "unpublished"])]).vectors;
    stores.ingest.store_vectors(&fixture.me, fixture.collection, &[(fence, 0.5)], &vectors).await.unwrap();
    stores.ingest.finish(&fixture.me, fence, &Finish::Failed(failure()), at(30)).await.unwrap();
    let failed = fixture.get(ready.id).await;
    assert_eq!(
        (failed.status, failed.error, failed.updated_at),
        (DocumentStatus::Failed, Some(failure()), at(30))
    );
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple"]);
    let space = fixture.space.unwrap();
    let ids = [chunk_id(ready.id, "apple"), chunk_id(ready.id, "unpublished")];
    assert_eq!(stores.ingest.embedded(&fixture.me, space, &ids).await.unwrap(), ids[..1]);
    let again = stores.ingest.finish(&fixture.me, fence, &Finish::Failed(failure()), at(31)).await;
    refused(again, ErrorKind::Conflict);
    fixture.is_tidy().await;
}

pub async fn others_publish_nothing(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let added = fixture.add("a").await;
    let fence = fixture.fence(added.id).await;
    let publication = fixture.publication(vec![fixture.published(fence, &["theirs"])]);
    let space = fixture.space.unwrap();
    let ids: Vec<ChunkId> = publication.vectors[0].vectors.iter().map(|vector| vector.0).collect();
    stores
        .ingest
        .store_vectors(&fixture.me, fixture.collection, &[(fence, 0.5)], &publication.vectors)
        .await
        .unwrap();
    let before = fixture.get(added.id).await;
    for scope in fixture.world.others() {
        missing(
            stores
                .ingest
                .store_vectors(&scope, fixture.collection, &[(fence, 0.1)], &publication.vectors)
                .await,
        );
        missing(stores.ingest.mark_progress(&scope, fixture.collection, &[(fence, 0.1)]).await);
        missing(stores.ingest.mark_reading(&scope, fence, 0.1).await.map(drop));
        missing(stores.ingest.finish(&scope, fence, &Finish::Failed(failure()), at(30)).await);
        // The collection is not there for them.
        match stores.ingest.publish(&scope, &publication).await {
            Ok(published) => assert_eq!(published, []),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
        let embedded = stores.ingest.embedded(&scope, space, &ids).await;
        assert!(embedded.as_ref().map_or_else(|e| e.kind() == ErrorKind::NotFound, Vec::is_empty));
    }
    assert_eq!(fixture.get(added.id).await, before);
    assert_eq!(fixture.chunks(added.id).await, Vec::<String>::new());
}

pub async fn vectors_do_not_go_into_a_foreign_space(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let theirs = super::knowledge_world::collection("theirs");
    let foreign = space(theirs.id, "local/a", SpaceStatus::Active);
    let theirs = crate::knowledge::Collection { space: Some(foreign.clone()), ..theirs };
    stores.collections.create(&fixture.world.other, &theirs).await.unwrap();
    let added = fixture.add("a").await;
    let fence = fixture.fence(added.id).await;
    let mut vectors = fixture.publication(vec![fixture.published(fence, &["x"])]).vectors;
    vectors[0].space = foreign.id;
    let stored =
        stores.ingest.store_vectors(&fixture.me, fixture.collection, &[(fence, 0.5)], &vectors).await;
    missing(stored);
    let ids = [vectors[0].vectors[0].0];
    let embedded = stores.ingest.embedded(&fixture.world.other, foreign.id, &ids).await.unwrap();
    assert_eq!(embedded, []);
    assert_eq!(fixture.get(added.id).await.progress, 0.0);
}
