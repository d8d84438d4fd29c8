use super::knowledge_world::{Fixture, collection, document, hash, space};
use super::world::{World, all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{
    Blob, Chunking, Collection, CollectionChange, Document, DocumentError, DocumentFilter, DocumentStatus,
    SpaceStatus,
};
use crate::{DocumentId, PageRequest, Stores};

fn cancelled() -> DocumentError {
    DocumentError { code: "cancelled".into(), detail: "you said so".into() }
}

fn names(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.name.as_str()).collect()
}

pub async fn created_collection_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let plain = collection("Réunion — 会議");
    let mut embedded = collection("embedded");
    embedded.space = Some(space(embedded.id, "local/a", SpaceStatus::Active));
    for collection in [&plain, &embedded] {
        stores.knowledge.create_collection(&w.me, collection).await.unwrap();
        assert_eq!(stores.knowledge.collection(&w.me, collection.id).await.unwrap(), *collection);
        let named = stores.knowledge.collection_named(&w.me, &collection.name).await.unwrap();
        assert_eq!(named.as_ref(), Some(collection));
    }
    assert_eq!(stores.knowledge.collection_named(&w.me, "absent").await.unwrap(), None);
    missing(stores.knowledge.collection(&w.me, id()).await);
}

pub async fn taken_name_or_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let first = collection("taken");
    stores.knowledge.create_collection(&w.me, &first).await.unwrap();
    let mut again = collection("taken");
    again.space = Some(space(again.id, "local/a", SpaceStatus::Active));
    refused(stores.knowledge.create_collection(&w.me, &again).await, ErrorKind::Conflict);
    let same_id = Collection { name: "other".into(), ..first.clone() };
    refused(stores.knowledge.create_collection(&w.me, &same_id).await, ErrorKind::Conflict);
    // A name is one user's.
    stores.knowledge.create_collection(&w.other, &collection("taken")).await.unwrap();
    assert_eq!(stores.knowledge.collection(&w.me, first.id).await.unwrap(), first);
    missing(stores.knowledge.collection(&w.me, again.id).await);
}

pub async fn collections_are_listed_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for name in ["a", "b", "c"] {
        stores.knowledge.create_collection(&w.me, &collection(name)).await.unwrap();
    }
    let listed: Vec<_> = all(|page| stores.knowledge.collections(&w.me, page)).await;
    assert_eq!(listed.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
}

pub async fn heads_of_collections_are_as_asked(stores: &Stores) {
    let w = World::new(stores).await;
    let knowledge = &stores.knowledge;
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        let mut collection = collection(name);
        collection.chunking.size = 500;
        collection.space = (name == "b").then(|| space(collection.id, "local/a", SpaceStatus::Active));
        knowledge.create_collection(&w.me, &collection).await.unwrap();
        made.push(collection);
    }
    let heads = knowledge.collection_configs(&w.me, &["b".into(), made[0].id.to_string()]).await.unwrap();
    assert_eq!(heads.iter().map(|head| head.id).collect::<Vec<_>>(), [made[1].id, made[0].id]);
    let space = made[1].space.clone().map(|space| (space.id, space.model));
    assert_eq!((heads[0].chunking, &heads[0].space), (made[1].chunking, &space));
    assert_eq!(heads[1].space, None);
    let all = knowledge.collection_configs(&w.me, &[]).await.unwrap();
    assert_eq!(all.iter().map(|head| head.id).collect::<Vec<_>>(), [made[2].id, made[1].id, made[0].id]);
    missing(knowledge.collection_configs(&w.me, &["a".into(), "absent".into()]).await);
    missing(knowledge.collection_configs(&w.me, &[id::<crate::CollectionId>().to_string()]).await);
    for scope in w.others() {
        assert_eq!(knowledge.collection_configs(&scope, &[]).await.unwrap(), []);
        missing(knowledge.collection_configs(&scope, &["a".into()]).await);
        missing(knowledge.collection_configs(&scope, &[made[0].id.to_string()]).await);
    }
}

pub async fn others_see_no_collection(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let knowledge = &stores.knowledge;
    let change = CollectionChange { name: Some("theirs".into()), ..CollectionChange::default() };
    let before = knowledge.collection(&fixture.me, fixture.collection).await.unwrap();
    for scope in fixture.world.others() {
        missing(knowledge.collection(&scope, fixture.collection).await);
        assert_eq!(knowledge.collection_named(&scope, "shelf").await.unwrap(), None);
        assert_eq!(knowledge.collections(&scope, PageRequest::default()).await.unwrap().data, []);
        missing(knowledge.update_collection(&scope, fixture.collection, &change, at(1)).await);
        missing(knowledge.delete_collection(&scope, fixture.collection).await);
    }
    assert_eq!(knowledge.collection(&fixture.me, fixture.collection).await.unwrap(), before);
}

pub async fn update_changes_what_is_given(stores: &Stores) {
    let w = World::new(stores).await;
    let before = collection("before");
    stores.knowledge.create_collection(&w.me, &before).await.unwrap();
    stores.knowledge.create_collection(&w.me, &collection("taken")).await.unwrap();
    let change = CollectionChange {
        name: Some("after".into()),
        chunking: Some(Chunking { size: 800, overlap: 0 }),
        ..CollectionChange::default()
    };
    let after = stores.knowledge.update_collection(&w.me, before.id, &change, at(5)).await.unwrap();
    let expected = Collection {
        name: "after".into(),
        chunking: Chunking { size: 800, overlap: 0 },
        updated_at: at(5),
        ..before.clone()
    };
    assert_eq!(after, expected);
    assert_eq!(stores.knowledge.collection(&w.me, before.id).await.unwrap(), after);
    let taken = CollectionChange { name: Some("taken".into()), ..CollectionChange::default() };
    let result = stores.knowledge.update_collection(&w.me, before.id, &taken, at(6)).await;
    refused(result, ErrorKind::Conflict);
    missing(stores.knowledge.update_collection(&w.me, id(), &change, at(6)).await);
}

pub async fn collection_counts_what_is_in_it(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    fixture.ready("a", &["one", "two"]).await;
    fixture.ready("b", &["three"]).await;
    fixture.add("waits").await;
    let collection = stores.knowledge.collection(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!((collection.document_count, collection.chunk_count), (3, 3));
    assert_eq!(collection.space.map(|space| space.chunk_count), Some(3));
}

pub async fn deleted_collection_takes_all_that_is_in_it(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let ready = fixture.ready("a", &["apple"]).await;
    let waiting = fixture.add("b").await;
    let blobs = stores.knowledge.delete_collection(&fixture.me, fixture.collection).await.unwrap();
    let mut hashes: Vec<_> = blobs.iter().map(|blob| (blob.document, blob.hash.clone())).collect();
    hashes.sort();
    assert_eq!(hashes, [(ready.id, hash("a")), (waiting.id, hash("b"))]);
    assert!(blobs.iter().all(|blob| blob.tenant == fixture.me.tenant));
    missing(stores.knowledge.collection(&fixture.me, fixture.collection).await);
    missing(stores.knowledge.delete_collection(&fixture.me, fixture.collection).await);
    missing(stores.knowledge.document(&fixture.me, ready.id).await);
    missing(stores.knowledge.spaces(&fixture.me, fixture.collection).await);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, Vec::<String>::new());
    fixture.is_tidy().await;
}

pub async fn added_document_waits(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let mut new = document(fixture.collection, "Größe — 会議.pdf");
    new.source = Some("https://example.org/ä".into());
    new.metadata.insert("nested".into(), serde_json::json!({"a": [1, 2.5, "x", null, true]}));
    let (added, former) = stores.knowledge.add_document(&fixture.me, &new).await.unwrap();
    assert_eq!((&added, former), (&new, None));
    assert_eq!(fixture.get(new.id).await, new);
    missing(stores.knowledge.document(&fixture.me, id()).await);
    // Two without a source are two.
    fixture.add("same").await;
    fixture.add("same").await;
    let everything = DocumentFilter::default();
    let listed = all(|page| stores.knowledge.documents(&fixture.me, &everything, page)).await;
    assert_eq!(listed.len(), 3);
}

pub async fn document_of_a_foreign_collection_is_not_stored(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    for scope in fixture.world.others() {
        let theirs = document(fixture.collection, "theirs");
        missing(stores.knowledge.add_document(&scope, &theirs).await);
        missing(stores.knowledge.document(&scope, theirs.id).await);
        missing(stores.knowledge.document(&fixture.me, theirs.id).await);
    }
    missing(stores.knowledge.add_document(&fixture.me, &document(id(), "nowhere")).await);
    let taken = fixture.add("taken").await;
    let again = Document { source: Some("s".into()), ..taken };
    refused(stores.knowledge.add_document(&fixture.me, &again).await, ErrorKind::Conflict);
}

pub async fn same_source_is_the_same_document(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let source = Some(format!("https://example.org/{}", "ä".repeat(3_900)));
    let first = Document { source: source.clone(), ..document(fixture.collection, "first") };
    let ready = fixture.ready_this(&first, &["apple"]).await;
    let mut second = Document {
        source: source.clone(),
        media_type: "application/pdf".into(),
        size: 77,
        updated_at: at(50),
        ..document(fixture.collection, "second")
    };
    second.metadata.insert("k".into(), "v".into());
    let (added, former) = stores.knowledge.add_document(&fixture.me, &second).await.unwrap();
    let expected = Document {
        id: ready.id,
        title: ready.title.clone(),
        chunk_count: 1,
        warnings: ready.warnings.clone(),
        created_at: ready.created_at,
        ..second.clone()
    };
    assert_eq!(added, expected);
    assert_eq!(
        former,
        Some(Blob { tenant: fixture.me.tenant, document: first.id, hash: first.content_hash.clone() })
    );
    assert_eq!(fixture.get(first.id).await, expected);
    missing(stores.knowledge.document(&fixture.me, second.id).await);
    // What was findable is so until the new version is.
    assert_eq!(fixture.chunks(first.id).await, ["apple"]);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple"]);
    // The same bytes again need no other blob.
    let (_, former) = stores.knowledge.add_document(&fixture.me, &second).await.unwrap();
    assert_eq!(former, None);
    let fence = fixture.fence(first.id).await;
    fixture.publish(fence, &["banana"]).await;
    let now = fixture.get(first.id).await;
    assert_eq!((now.status, now.progress, now.error), (DocumentStatus::Ready, 1.0, None));
    fixture.is_tidy().await;
}

pub async fn source_is_of_one_collection(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let elsewhere = collection("elsewhere");
    stores.knowledge.create_collection(&fixture.me, &elsewhere).await.unwrap();
    let source = Some("s".to_owned());
    let one = Document { source: source.clone(), ..document(fixture.collection, "one") };
    let two = Document { source, ..document(elsewhere.id, "two") };
    assert_eq!(fixture.add_this(&one).await.id, one.id);
    assert_eq!(fixture.add_this(&two).await.id, two.id);
}

pub async fn nul_in_a_document_is_removed(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let mut new = document(fixture.collection, "a\0b");
    new.source = Some("s\0".into());
    new.metadata.insert("k".into(), "v\0w".into());
    let added = fixture.add_this(&new).await;
    assert_eq!((added.name.as_str(), added.source.as_deref()), ("ab", Some("s")));
    assert_eq!(added.metadata["k"], "vw");
}

pub async fn documents_are_listed_newest_first(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let elsewhere = collection("elsewhere");
    stores.knowledge.create_collection(&fixture.me, &elsewhere).await.unwrap();
    fixture.ready("ready", &["x"]).await;
    for source in ["docs/a", "docs/b", "Docs/c", "docs%"] {
        let new = Document { source: Some(source.into()), ..document(fixture.collection, source) };
        fixture.add_this(&new).await;
    }
    fixture.add_this(&document(elsewhere.id, "elsewhere")).await;
    let list = async |filter: DocumentFilter| {
        let listed: Vec<_> = all(|page| stores.knowledge.documents(&fixture.me, &filter, page)).await;
        names(&listed).into_iter().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let all = DocumentFilter::default();
    let here = Some(fixture.collection);
    assert_eq!(list(all.clone()).await, "elsewhere docs% Docs/c docs/b docs/a ready");
    let in_it = DocumentFilter { collection: here, ..all.clone() };
    assert_eq!(list(in_it.clone()).await, "docs% Docs/c docs/b docs/a ready");
    let prefix = DocumentFilter { source_prefix: Some("docs/".into()), ..in_it.clone() };
    assert_eq!(list(prefix).await, "docs/b docs/a");
    let percent = DocumentFilter { source_prefix: Some("docs%".into()), ..all.clone() };
    assert_eq!(list(percent).await, "docs%");
    let ready = DocumentFilter { status: Some(DocumentStatus::Ready), ..in_it };
    assert_eq!(list(ready).await, "ready");
    let foreign = DocumentFilter { collection: Some(id()), ..all };
    assert_eq!(list(foreign).await, "");
}

pub async fn others_see_no_document(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let mine = fixture.ready("mine", &["apple"]).await;
    let waiting = fixture.add("waits").await;
    let knowledge = &stores.knowledge;
    for scope in fixture.world.others() {
        missing(knowledge.document(&scope, mine.id).await);
        let filter = DocumentFilter { collection: Some(fixture.collection), ..DocumentFilter::default() };
        let page = PageRequest::default();
        assert_eq!(knowledge.documents(&scope, &filter, page).await.unwrap().data, []);
        assert_eq!(knowledge.documents(&scope, &DocumentFilter::default(), page).await.unwrap().data, []);
        let moves = [(mine.id, "theirs".to_owned(), "theirs".to_owned())];
        missing(knowledge.move_documents(&scope, &moves, at(5)).await);
        assert_eq!(knowledge.delete_documents(&scope, &[mine.id]).await.unwrap(), []);
        missing(knowledge.cancel_document(&scope, waiting.id, &cancelled(), at(5)).await);
        missing(knowledge.chunks(&scope, mine.id, 0, 10).await);
    }
    assert_eq!(fixture.get(mine.id).await, mine);
    assert_eq!(fixture.get(waiting.id).await, waiting);
}

pub async fn moved_documents_keep_their_text(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let with = |name: &str| Document { source: Some(name.into()), ..document(fixture.collection, name) };
    let one = fixture.ready_this(&with("one"), &["apple"]).await;
    let two = fixture.add_this(&with("two")).await;
    let three = fixture.add_this(&with("three")).await;
    let to = |id: DocumentId, name: &str| (id, name.to_owned(), name.to_owned());
    let knowledge = &stores.knowledge;
    // They take each other's place.
    knowledge.move_documents(&fixture.me, &[to(one.id, "two"), to(two.id, "one")], at(7)).await.unwrap();
    let moved = fixture.get(one.id).await;
    let expected =
        Document { name: "two".into(), source: Some("two".into()), updated_at: at(7), ..one.clone() };
    assert_eq!(moved, expected);
    assert_eq!(fixture.get(two.id).await.source.as_deref(), Some("one"));
    assert_eq!(fixture.chunks(one.id).await, ["apple"]);
    // The source is now this one's.
    assert_eq!(fixture.add_this(&with("two")).await.id, one.id);
    let result = knowledge.move_documents(&fixture.me, &[to(one.id, "new"), to(id(), "absent")], at(8)).await;
    missing(result);
    let result = knowledge.move_documents(&fixture.me, &[to(one.id, "three")], at(8)).await;
    refused(result, ErrorKind::Conflict);
    assert_eq!(fixture.get(one.id).await.source.as_deref(), Some("two"));
    assert_eq!(fixture.get(three.id).await, three);
    knowledge.move_documents(&fixture.me, &[], at(8)).await.unwrap();
}

pub async fn deleted_documents_are_gone(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let gone = fixture.ready("gone", &["apple pie", "apple juice"]).await;
    let waits = fixture.add("waits").await;
    let fence = fixture.fence(waits.id).await;
    let kept = fixture.ready("kept", &["apple tree"]).await;
    let ids = [gone.id, waits.id, id()];
    let mut blobs = stores.knowledge.delete_documents(&fixture.me, &ids).await.unwrap();
    blobs.sort();
    let blob =
        |of: &Document| Blob { tenant: fixture.me.tenant, document: of.id, hash: of.content_hash.clone() };
    assert_eq!(blobs, [blob(&gone), blob(&waits)]);
    missing(stores.knowledge.document(&fixture.me, gone.id).await);
    missing(stores.knowledge.chunks(&fixture.me, gone.id, 0, 10).await);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple tree"]);
    assert_eq!(stores.knowledge.delete_documents(&fixture.me, &ids).await.unwrap(), []);
    // Work on what is gone ends nowhere.
    let late = fixture.publication(vec![fixture.published(fence, &["late"])]);
    assert_eq!(stores.knowledge.publish(&fixture.me, &late).await.unwrap(), []);
    let collection = stores.knowledge.collection(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!((collection.document_count, collection.chunk_count), (1, 1));
    assert_eq!(fixture.chunks(kept.id).await, ["apple tree"]);
    fixture.is_tidy().await;
}

pub async fn cancelled_document_has_failed(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let source = Document { source: Some("s".into()), ..document(fixture.collection, "a") };
    let ready = fixture.ready_this(&source, &["apple"]).await;
    let cancel =
        async |id| stores.knowledge.cancel_document(&fixture.me, id, &cancelled(), at(9)).await.unwrap();
    // What is over stays as it is.
    assert_eq!(cancel(ready.id).await, ready);
    let waiting = fixture.add_this(&source).await;
    let ended = cancel(waiting.id).await;
    let expected = Document {
        status: DocumentStatus::Failed,
        error: Some(cancelled()),
        updated_at: at(9),
        ..waiting.clone()
    };
    assert_eq!(ended, expected);
    assert_eq!(fixture.get(waiting.id).await, expected);
    assert_eq!(fixture.claim().await, []);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple"]);
    // A worker that reads it is fenced off.
    fixture.add_this(&source).await;
    let fence = fixture.fence(waiting.id).await;
    assert_eq!(cancel(waiting.id).await.status, DocumentStatus::Failed);
    let late = fixture.publication(vec![fixture.published(fence, &["late"])]);
    assert_eq!(stores.knowledge.publish(&fixture.me, &late).await.unwrap(), []);
    assert_eq!(fixture.chunks(waiting.id).await, ["apple"]);
    missing(stores.knowledge.cancel_document(&fixture.me, id(), &cancelled(), at(9)).await);
    fixture.is_tidy().await;
}

pub async fn chunks_come_in_order(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let ready = fixture.ready("a", &["zero", "eins — 一", "zero", "three"]).await;
    let list = async |from, limit| stores.knowledge.chunks(&fixture.me, ready.id, from, limit).await.unwrap();
    let expected: Vec<_> = super::knowledge_world::chunks(ready.id, &["zero", "eins — 一", "zero", "three"])
        .into_iter()
        .map(|new| new.chunk)
        .collect();
    assert_eq!(list(0, 10).await, expected);
    assert_eq!(list(1, 2).await, expected[1..3]);
    assert_eq!(list(4, 2).await, []);
    assert_eq!(list(0, 0).await, []);
    let waiting = fixture.add("waits").await;
    assert_eq!(fixture.chunks(waiting.id).await, Vec::<String>::new());
    missing(stores.knowledge.chunks(&fixture.me, id(), 0, 10).await);
}
