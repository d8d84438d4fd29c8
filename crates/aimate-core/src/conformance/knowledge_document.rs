use super::knowledge_world::{Fixture, LONG, collection, document};
use super::world::{all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{
    Blob, Document, DocumentError, DocumentFilter, DocumentMove, DocumentStatus, StorageQuotas,
};
use crate::{DocumentId, PageRequest, Stores};

fn cancelled() -> DocumentError {
    DocumentError { code: "cancelled".into(), detail: "you said so".into() }
}

fn names(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.name.as_str()).collect()
}

pub async fn added_document_waits(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let mut new = document(fixture.collection, "Größe — 会議.pdf");
    new.source = Some("https://example.org/ä".into());
    new.metadata.insert("nested".into(), serde_json::json!({"a": [1, 2.5, "x", null, true]}));
    let (added, former) = fixture.uploaded(&fixture.me, &new, &StorageQuotas::default()).await.unwrap();
    assert_eq!((&added, former), (&new, None));
    assert_eq!(fixture.get(new.id).await, new);
    missing(stores.documents.get(&fixture.me, id()).await);
    // Two without a source are two.
    fixture.add("same").await;
    fixture.add("same").await;
    let everything = DocumentFilter::default();
    let listed = all(|page| stores.documents.list(&fixture.me, &everything, page)).await;
    assert_eq!(listed.len(), 3);
}

pub async fn document_of_a_foreign_collection_is_not_stored(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    for scope in fixture.world.others() {
        let theirs = document(fixture.collection, "theirs");
        missing(stores.documents.add(&scope, &theirs, &StorageQuotas::default()).await);
        missing(stores.documents.get(&scope, theirs.id).await);
        missing(stores.documents.get(&fixture.me, theirs.id).await);
    }
    missing(stores.documents.add(&fixture.me, &document(id(), "nowhere"), &StorageQuotas::default()).await);
    let taken = fixture.add("taken").await;
    let again = Document { source: Some("s".into()), ..taken };
    refused(fixture.uploaded(&fixture.me, &again, &StorageQuotas::default()).await, ErrorKind::Conflict);
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
    let (added, former) = fixture.uploaded(&fixture.me, &second, &StorageQuotas::default()).await.unwrap();
    let expected = Document {
        id: ready.id,
        title: ready.title.clone(),
        chunk_count: 1,
        warnings: ready.warnings.clone(),
        created_at: ready.created_at,
        ..second.clone()
    };
    assert_eq!(added, expected);
    assert_eq!(former, Some(Blob { tenant: fixture.me.tenant, id: first.blob_id }));
    assert_eq!(fixture.get(first.id).await, expected);
    missing(stores.documents.get(&fixture.me, second.id).await);
    // What was findable is so until the new version is.
    assert_eq!(fixture.chunks(first.id).await, ["apple"]);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple"]);
    // The same bytes again are another upload.
    let third = Document { blob_id: id(), ..second.clone() };
    let (_, former) = fixture.uploaded(&fixture.me, &third, &StorageQuotas::default()).await.unwrap();
    assert_eq!(former, Some(Blob { tenant: fixture.me.tenant, id: second.blob_id }));
    let fence = fixture.fence(first.id).await;
    fixture.publish(fence, &["banana"]).await;
    let now = fixture.get(first.id).await;
    assert_eq!((now.status, now.progress, now.error), (DocumentStatus::Ready, 1.0, None));
    fixture.is_tidy().await;
}

pub async fn source_is_of_one_collection(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let elsewhere = collection("elsewhere");
    stores.collections.create(&fixture.me, &elsewhere).await.unwrap();
    let source = Some("s".to_owned());
    let one = Document { source: source.clone(), ..document(fixture.collection, "one") };
    let two = Document { source, ..document(elsewhere.id, "two") };
    assert_eq!(fixture.add_this(&one).await.id, one.id);
    assert_eq!(fixture.add_this(&two).await.id, two.id);
}

pub async fn document_is_found_by_its_source(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let elsewhere = collection("elsewhere");
    stores.collections.create(&fixture.me, &elsewhere).await.unwrap();
    let long = format!("https://example.org/{}", "ä".repeat(3_900));
    let with = |source: &str| Document { source: Some(source.into()), ..document(fixture.collection, "a") };
    let (short, long) = (fixture.add_this(&with("s")).await, fixture.add_this(&with(&long)).await);
    let find = async |collection, source: &str| {
        stores.documents.get_by_source(&fixture.me, collection, source).await.unwrap()
    };
    assert_eq!(find(fixture.collection, "s").await, Some(short));
    assert_eq!(find(fixture.collection, long.source.as_deref().unwrap()).await, Some(long.clone()));
    // Not a prefix, not in another collection, not in none.
    assert_eq!(find(fixture.collection, "https://example.org/").await, None);
    assert_eq!(find(elsewhere.id, "s").await, None);
    assert_eq!(find(id(), "s").await, None);
}

pub async fn documents_are_found_by_their_ids(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let (one, two) = (fixture.ready("one", &["apple"]).await, fixture.add("two").await);
    let mut found = stores.documents.get_many(&fixture.me, &[two.id, id(), one.id, two.id]).await.unwrap();
    found.sort_by_key(|document| document.id);
    assert_eq!(found, [one, two]);
    assert_eq!(stores.documents.get_many(&fixture.me, &[]).await.unwrap(), []);
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
    stores.collections.create(&fixture.me, &elsewhere).await.unwrap();
    fixture.ready("ready", &["x"]).await;
    for source in ["docs/a", "docs/b", "Docs/c", "docs%"] {
        let new = Document { source: Some(source.into()), ..document(fixture.collection, source) };
        fixture.add_this(&new).await;
    }
    fixture.add_this(&document(elsewhere.id, "elsewhere")).await;
    let list = async |filter: DocumentFilter| {
        let listed: Vec<_> = all(|page| stores.documents.list(&fixture.me, &filter, page)).await;
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
    let source = Document { source: Some("mine".into()), ..document(fixture.collection, "mine") };
    let mine = fixture.ready_this(&source, &["apple"]).await;
    let waiting = fixture.add("waits").await;
    for scope in fixture.world.others() {
        missing(stores.documents.get(&scope, mine.id).await);
        assert_eq!(stores.documents.get_many(&scope, &[mine.id, waiting.id]).await.unwrap(), []);
        assert_eq!(stores.documents.get_by_source(&scope, fixture.collection, "mine").await.unwrap(), None);
        let filter = DocumentFilter { collection: Some(fixture.collection), ..DocumentFilter::default() };
        let page = PageRequest::default();
        assert_eq!(stores.documents.list(&scope, &filter, page).await.unwrap().data, []);
        assert_eq!(stores.documents.list(&scope, &DocumentFilter::default(), page).await.unwrap().data, []);
        let moves = [DocumentMove { id: mine.id, name: "theirs".into(), source: "theirs".into() }];
        missing(stores.documents.rename(&scope, &moves, at(5)).await);
        assert_eq!(stores.documents.delete(&scope, &[mine.id]).await.unwrap(), []);
        missing(stores.documents.cancel(&scope, waiting.id, &cancelled(), at(5)).await);
        missing(stores.ingest.retry(&scope, waiting.id, at(5)).await);
        missing(stores.documents.chunks(&scope, mine.id, 0, 10).await);
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
    let to = |id: DocumentId, name: &str| DocumentMove { id, name: name.into(), source: name.into() };
    // They take each other's place.
    stores.documents.rename(&fixture.me, &[to(one.id, "two"), to(two.id, "one")], at(7)).await.unwrap();
    let moved = fixture.get(one.id).await;
    let expected =
        Document { name: "two".into(), source: Some("two".into()), updated_at: at(7), ..one.clone() };
    assert_eq!(moved, expected);
    assert_eq!(fixture.get(two.id).await.source.as_deref(), Some("one"));
    assert_eq!(fixture.chunks(one.id).await, ["apple"]);
    // The source is now this one's.
    assert_eq!(fixture.add_this(&with("two")).await.id, one.id);
    let result = stores.documents.rename(&fixture.me, &[to(one.id, "new"), to(id(), "absent")], at(8)).await;
    missing(result);
    let result = stores.documents.rename(&fixture.me, &[to(one.id, "three")], at(8)).await;
    refused(result, ErrorKind::Conflict);
    assert_eq!(fixture.get(one.id).await.source.as_deref(), Some("two"));
    assert_eq!(fixture.get(three.id).await, three);
    stores.documents.rename(&fixture.me, &[], at(8)).await.unwrap();
}

pub async fn deleted_documents_are_gone(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let gone = fixture.ready("gone", &["apple pie", "apple juice"]).await;
    let waits = fixture.add("waits").await;
    let fence = fixture.fence(waits.id).await;
    let kept = fixture.ready("kept", &["apple tree"]).await;
    let ids = [gone.id, waits.id, id()];
    let mut blobs = stores.documents.delete(&fixture.me, &ids).await.unwrap();
    blobs.sort();
    let mut expected = [gone.blob_id, waits.blob_id].map(|id| Blob { tenant: fixture.me.tenant, id });
    expected.sort();
    assert_eq!(blobs, expected);
    missing(stores.documents.get(&fixture.me, gone.id).await);
    missing(stores.documents.chunks(&fixture.me, gone.id, 0, 10).await);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple tree"]);
    assert_eq!(stores.documents.delete(&fixture.me, &ids).await.unwrap(), []);
    // Work on what is gone ends nowhere.
    let late = fixture.publication(vec![fixture.published(fence, &["late"])]);
    assert_eq!(stores.ingest.publish(&fixture.me, &late).await.unwrap(), []);
    let collection = stores.collections.get(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!((collection.document_count, collection.chunk_count), (1, 1));
    assert_eq!(fixture.chunks(kept.id).await, ["apple tree"]);
    fixture.is_tidy().await;
}

pub async fn cancelled_document_has_failed(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let source = Document { source: Some("s".into()), ..document(fixture.collection, "a") };
    let ready = fixture.ready_this(&source, &["apple"]).await;
    let cancel = async |id| stores.documents.cancel(&fixture.me, id, &cancelled(), at(9)).await.unwrap();
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
    assert_eq!(stores.ingest.publish(&fixture.me, &late).await.unwrap(), []);
    assert_eq!(fixture.chunks(waiting.id).await, ["apple"]);
    missing(stores.documents.cancel(&fixture.me, id(), &cancelled(), at(9)).await);
    fixture.is_tidy().await;
}

pub async fn failed_document_is_tried_again(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let retry = async |id| stores.ingest.retry(&fixture.me, id, at(11)).await.unwrap();
    let ready = fixture.ready("a", &["apple"]).await;
    // What has not failed stays as it is.
    assert_eq!(retry(ready.id).await, ready);
    let waiting = fixture.add("b").await;
    assert_eq!(retry(waiting.id).await, waiting);
    let fence = fixture.fence(waiting.id).await;
    stores.documents.cancel(&fixture.me, waiting.id, &cancelled(), at(9)).await.unwrap();
    let expected = Document { updated_at: at(11), ..waiting.clone() };
    assert_eq!(retry(waiting.id).await, expected);
    assert_eq!(fixture.get(waiting.id).await, expected);
    // Who worked on it before is fenced off.
    let late = fixture.publication(vec![fixture.published(fence, &["late"])]);
    assert_eq!(stores.ingest.publish(&fixture.me, &late).await.unwrap(), []);
    let fence = fixture.fence(waiting.id).await;
    let again = fixture.publication(vec![fixture.published(fence, &["again"])]);
    stores.ingest.publish(&fixture.me, &again).await.unwrap();
    assert_eq!(fixture.chunks(waiting.id).await, ["again"]);
    missing(stores.ingest.retry(&fixture.me, id(), at(11)).await);
    fixture.is_tidy().await;
}

pub async fn chunks_come_in_order(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let ready = fixture.ready("a", &["zero", "eins — 一", "zero", "three"]).await;
    let list = async |from, limit| stores.documents.chunks(&fixture.me, ready.id, from, limit).await.unwrap();
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
    missing(stores.documents.chunks(&fixture.me, id(), 0, 10).await);
}

pub async fn upload_becomes_a_document(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let new = document(fixture.collection, "a");
    let (documents, worker) = (&stores.documents, fixture.world.worker);
    documents.begin_upload(&fixture.me, fixture.collection, new.blob_id, worker).await.unwrap();
    let (added, _) = documents.add(&fixture.me, &new, &StorageQuotas::default()).await.unwrap();
    assert_eq!(added.blob_id, new.blob_id);
    // It is the document's now, whatever becomes of the upload and its worker.
    documents.give_up_upload(&fixture.me, new.blob_id).await.unwrap();
    stores.workers.leave(worker).await.unwrap();
    let others = stores.queue.blobs_to_remove(id(), at(10), LONG, 10).await.unwrap();
    assert_eq!(others, []);
    missing(documents.begin_upload(&fixture.me, id(), id(), worker).await);
    for scope in fixture.world.others() {
        missing(stores.documents.begin_upload(&scope, fixture.collection, id(), worker).await);
    }
}

pub async fn upload_that_was_given_up_becomes_none(stores: &Stores) {
    let fixture = Fixture::new(stores).await;
    let new = document(fixture.collection, "a");
    let (documents, worker) = (&stores.documents, fixture.world.worker);
    documents.begin_upload(&fixture.me, fixture.collection, new.blob_id, worker).await.unwrap();
    for scope in fixture.world.others() {
        if scope.tenant != fixture.me.tenant {
            stores.documents.give_up_upload(&scope, new.blob_id).await.unwrap();
        }
    }
    assert_eq!(stores.queue.blobs_to_remove(worker, at(10), LONG, 10).await.unwrap(), []);
    documents.give_up_upload(&fixture.me, new.blob_id).await.unwrap();
    documents.give_up_upload(&fixture.me, id()).await.unwrap();
    let blob = Blob { tenant: fixture.me.tenant, id: new.blob_id };
    assert_eq!(stores.queue.blobs_to_remove(worker, at(10), LONG, 10).await.unwrap(), [blob]);
    refused(documents.add(&fixture.me, &new, &StorageQuotas::default()).await, ErrorKind::Unavailable);
    missing(documents.get(&fixture.me, new.id).await);
    // Nor when they were removed and nobody knows of them any more.
    stores.queue.forget_removed(&[blob]).await.unwrap();
    refused(documents.add(&fixture.me, &new, &StorageQuotas::default()).await, ErrorKind::Unavailable);
    missing(documents.get(&fixture.me, new.id).await);
}
