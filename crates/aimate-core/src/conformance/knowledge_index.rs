use super::knowledge_world::{EAST, Shelf, chunk_id, chunks, document, space};
use super::world::{at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{
    Document, DocumentError, DocumentStatus, Fence, Finish, SpaceStatus, SpaceVectors, Target,
};
use crate::{ChunkId, Stores};

fn failure() -> DocumentError {
    DocumentError { code: "damaged".into(), detail: "it cannot be read".into() }
}

pub async fn published_document_is_ready(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let added = shelf.add("a").await;
    let fence = shelf.fence(added.id).await;
    assert_eq!(shelf.found(&shelf.me, &shelf.target(), "apple").await, Vec::<String>::new());
    shelf.publish(fence, &["red apple", "green apple", "pear"]).await;
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
    assert_eq!(shelf.get(added.id).await, expected);
    let mut found = shelf.found(&shelf.me, &shelf.target(), "apple").await;
    found.sort();
    assert_eq!(found, ["green apple", "red apple"]);
    // It is over: the same again is left out.
    let again = shelf.publication(vec![shelf.published(fence, &["again"])]);
    assert_eq!(stores.knowledge.publish(&shelf.me, &again).await.unwrap(), []);
    shelf.is_tidy().await;
}

pub async fn passages_tell_their_document(stores: &Stores) {
    let shelf = Shelf::new(stores).await;
    let ready = shelf.ready("a.md", &["one", "two"]).await;
    let ids = [chunk_id(ready.id, "two"), id(), chunk_id(ready.id, "one")];
    let mut passages = stores.knowledge.passages(&shelf.me, &ids).await.unwrap();
    passages.sort_by_key(|passage| passage.chunk.index);
    let expected: Vec<_> = chunks(ready.id, &["one", "two"]).into_iter().map(|new| new.chunk).collect();
    assert_eq!(passages.iter().map(|p| p.chunk.clone()).collect::<Vec<_>>(), expected);
    assert!(passages.iter().all(|passage| {
        (passage.collection, passage.title.as_str(), passage.name.as_str())
            == (shelf.collection, "title", "a.md")
    }));
    for scope in shelf.world.others() {
        assert_eq!(stores.knowledge.passages(&scope, &ids).await.unwrap(), []);
    }
    assert_eq!(stores.knowledge.passages(&shelf.me, &[]).await.unwrap(), []);
}

pub async fn new_version_replaces_the_former(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let source = Document { source: Some("s".into()), ..document(shelf.collection, "a") };
    shelf.ready_this(&source, &["old apple", "same", "dropped"]).await;
    let other = shelf.ready("other", &["other apple"]).await;
    shelf.ready_this(&source, &["new apple", "same"]).await;
    assert_eq!(shelf.chunks(source.id).await, ["new apple", "same"]);
    let mut found = shelf.found(&shelf.me, &shelf.target(), "apple").await;
    found.sort();
    assert_eq!(found, ["new apple", "other apple"]);
    assert_eq!(shelf.found(&shelf.me, &shelf.target(), "dropped").await, Vec::<String>::new());
    assert_eq!(shelf.chunks(other.id).await, ["other apple"]);
    // What is not there any more has no vector either.
    let gone = [chunk_id(source.id, "dropped"), chunk_id(source.id, "same")];
    let space = shelf.space.unwrap();
    assert_eq!(stores.knowledge.embedded(&shelf.me, space, &gone).await.unwrap(), [gone[1]]);
    assert_eq!(shelf.get(source.id).await.chunk_count, 2);
    // And it may become empty.
    shelf.ready_this(&source, &[]).await;
    assert_eq!(shelf.chunks(source.id).await, Vec::<String>::new());
    assert_eq!(shelf.found(&shelf.me, &shelf.target(), "apple").await, ["other apple"]);
    shelf.is_tidy().await;
}

pub async fn stale_work_is_left_out(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let source = Document { source: Some("s".into()), ..document(shelf.collection, "a") };
    let first = shelf.add_this(&source).await;
    let stale = shelf.fence(first.id).await;
    shelf.add_this(&source).await;
    let current = shelf.add("b").await;
    let current = shelf.fence(current.id).await;
    let both = shelf.publication(vec![
        shelf.published(stale, &["stale apple"]),
        shelf.published(current, &["fresh apple"]),
    ]);
    assert_eq!(stores.knowledge.publish(&shelf.me, &both).await.unwrap(), [current.document]);
    assert_eq!(shelf.found(&shelf.me, &shelf.target(), "apple").await, ["fresh apple"]);
    assert_eq!(shelf.get(first.id).await.status, DocumentStatus::Processing);
    let vectors = shelf.publication(vec![shelf.published(stale, &["x"])]).vectors;
    let stored = stores.knowledge.store_vectors(&shelf.me, shelf.collection, &[(stale, 0.5)], &vectors).await;
    assert_eq!(stored.unwrap(), []);
    let finished = stores.knowledge.finish(&shelf.me, stale, &Finish::Failed(failure()), at(30)).await;
    refused(finished, ErrorKind::Conflict);
    assert_eq!(shelf.get(first.id).await.progress, 0.0);
    shelf.is_tidy().await;
}

pub async fn several_documents_are_published_together(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let mut fences = Vec::new();
    for n in 0..20 {
        shelf.add(&n.to_string()).await;
    }
    for claimed in shelf.claim().await {
        fences.push(Fence { document: claimed.document.id, attempt: claimed.attempt });
    }
    let texts: Vec<String> = (0..20).map(|n| format!("apple number{n}")).collect();
    let published =
        fences.iter().zip(&texts).map(|(fence, text)| shelf.published(*fence, &[text.as_str()])).collect();
    let mut done = stores.knowledge.publish(&shelf.me, &shelf.publication(published)).await.unwrap();
    done.sort();
    assert_eq!(done, fences.iter().map(|fence| fence.document).collect::<Vec<_>>());
    assert_eq!(shelf.found(&shelf.me, &shelf.target(), "apple").await.len(), 20);
    assert_eq!(shelf.found(&shelf.me, &shelf.target(), "number7").await, ["apple number7"]);
    shelf.is_tidy().await;
}

pub async fn stored_vectors_wait_for_publication(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let added = shelf.add("a").await;
    let fence = shelf.fence(added.id).await;
    let mut publication = shelf.publication(vec![shelf.published(fence, &["one", "two"])]);
    let vectors = std::mem::take(&mut publication.vectors);
    let space = shelf.space.unwrap();
    let ids: Vec<ChunkId> = vectors[0].vectors.iter().map(|vector| vector.0).collect();
    let half = [SpaceVectors { space, vectors: vec![vectors[0].vectors[0].clone()] }];
    stores.knowledge.store_vectors(&shelf.me, shelf.collection, &[(fence, 0.5)], &half).await.unwrap();
    assert_eq!(shelf.get(added.id).await.progress, 0.5);
    assert_eq!(stores.knowledge.embedded(&shelf.me, space, &ids).await.unwrap(), ids[..1]);
    // One is missing.
    refused(stores.knowledge.publish(&shelf.me, &publication).await, ErrorKind::Unavailable);
    assert_eq!(shelf.get(added.id).await.status, DocumentStatus::Processing);
    assert_eq!(shelf.chunks(added.id).await, Vec::<String>::new());
    // Storing one again is nothing.
    stores.knowledge.store_vectors(&shelf.me, shelf.collection, &[(fence, 1.0)], &vectors).await.unwrap();
    let mut embedded = stores.knowledge.embedded(&shelf.me, space, &ids).await.unwrap();
    embedded.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(embedded, sorted);
    let leg = stores.knowledge.find_vector(&shelf.me, &shelf.target(), &[space], &EAST, 10).await.unwrap();
    assert_eq!(leg.best, []);
    assert_eq!(stores.knowledge.publish(&shelf.me, &publication).await.unwrap(), [added.id]);
    let leg = stores.knowledge.find_vector(&shelf.me, &shelf.target(), &[space], &EAST, 10).await.unwrap();
    assert_eq!(leg.best.len(), 2);
}

pub async fn failed_document_keeps_what_was_findable(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let source = Document { source: Some("s".into()), ..document(shelf.collection, "a") };
    let ready = shelf.ready_this(&source, &["apple"]).await;
    shelf.add_this(&source).await;
    let fence = shelf.fence(ready.id).await;
    let vectors = shelf.publication(vec![shelf.published(fence, &["apple", "unpublished"])]).vectors;
    stores.knowledge.store_vectors(&shelf.me, shelf.collection, &[(fence, 0.5)], &vectors).await.unwrap();
    stores.knowledge.finish(&shelf.me, fence, &Finish::Failed(failure()), at(30)).await.unwrap();
    let failed = shelf.get(ready.id).await;
    assert_eq!(
        (failed.status, failed.error, failed.updated_at),
        (DocumentStatus::Failed, Some(failure()), at(30))
    );
    assert_eq!(shelf.found(&shelf.me, &shelf.target(), "apple").await, ["apple"]);
    let space = shelf.space.unwrap();
    let ids = [chunk_id(ready.id, "apple"), chunk_id(ready.id, "unpublished")];
    assert_eq!(stores.knowledge.embedded(&shelf.me, space, &ids).await.unwrap(), ids[..1]);
    let again = stores.knowledge.finish(&shelf.me, fence, &Finish::Failed(failure()), at(31)).await;
    refused(again, ErrorKind::Conflict);
    shelf.is_tidy().await;
}

pub async fn others_publish_nothing(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let added = shelf.add("a").await;
    let fence = shelf.fence(added.id).await;
    let publication = shelf.publication(vec![shelf.published(fence, &["theirs"])]);
    let knowledge = &stores.knowledge;
    let space = shelf.space.unwrap();
    let ids: Vec<ChunkId> = publication.vectors[0].vectors.iter().map(|vector| vector.0).collect();
    knowledge
        .store_vectors(&shelf.me, shelf.collection, &[(fence, 0.5)], &publication.vectors)
        .await
        .unwrap();
    let before = shelf.get(added.id).await;
    for scope in shelf.world.others() {
        missing(
            knowledge.store_vectors(&scope, shelf.collection, &[(fence, 0.1)], &publication.vectors).await,
        );
        missing(knowledge.finish(&scope, fence, &Finish::Failed(failure()), at(30)).await);
        // The collection is not there for them.
        match knowledge.publish(&scope, &publication).await {
            Ok(published) => assert_eq!(published, []),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
        let embedded = knowledge.embedded(&scope, space, &ids).await;
        assert!(embedded.as_ref().map_or_else(|e| e.kind() == ErrorKind::NotFound, Vec::is_empty));
        let merged = knowledge.merge_index(&scope, shelf.collection).await;
        assert!(merged.map_or_else(|error| error.kind() == ErrorKind::NotFound, |merged| !merged));
    }
    assert_eq!(shelf.get(added.id).await, before);
    assert_eq!(shelf.chunks(added.id).await, Vec::<String>::new());
}

pub async fn vectors_do_not_go_into_a_foreign_space(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let theirs = super::knowledge_world::collection("theirs");
    let foreign = space(theirs.id, "local/a", SpaceStatus::Active);
    let theirs = crate::knowledge::Collection { space: Some(foreign.clone()), ..theirs };
    stores.knowledge.create_collection(&shelf.world.other, &theirs).await.unwrap();
    let added = shelf.add("a").await;
    let fence = shelf.fence(added.id).await;
    let mut vectors = shelf.publication(vec![shelf.published(fence, &["x"])]).vectors;
    vectors[0].space = foreign.id;
    let stored = stores.knowledge.store_vectors(&shelf.me, shelf.collection, &[(fence, 0.5)], &vectors).await;
    missing(stored);
    let ids = [vectors[0].vectors[0].0];
    let embedded = stores.knowledge.embedded(&shelf.world.other, foreign.id, &ids).await.unwrap();
    assert_eq!(embedded, []);
    assert_eq!(shelf.get(added.id).await.progress, 0.0);
}

pub async fn merging_changes_no_answer(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    for n in 0..12 {
        shelf.ready(&n.to_string(), &[&format!("apple number{n}"), "pear"]).await;
    }
    let gone = shelf.ready("gone", &["apple gone"]).await;
    stores.knowledge.delete_documents(&shelf.me, &[gone.id]).await.unwrap();
    let terms = aimate_text::terms::query_terms("apple number3 pear");
    let text = async || stores.knowledge.find_text(&shelf.me, &shelf.target(), &terms, 50).await.unwrap();
    let space = [shelf.space.unwrap()];
    let vector =
        async || stores.knowledge.find_vector(&shelf.me, &shelf.target(), &space, &EAST, 50).await.unwrap();
    let (text_before, vector_before) = (text().await, vector().await);
    assert_eq!((text_before.best.len(), vector_before.best.len()), (24, 24));
    for _ in 0..20 {
        if !stores.knowledge.merge_index(&shelf.me, shelf.collection).await.unwrap() {
            break;
        }
    }
    assert!(!stores.knowledge.merge_index(&shelf.me, shelf.collection).await.unwrap());
    assert_eq!((text().await, vector().await), (text_before, vector_before));
    let nothing = Target { collections: vec![id()], filter: None };
    assert_eq!(shelf.found(&shelf.me, &nothing, "apple").await, Vec::<String>::new());
    shelf.is_tidy().await;
}
