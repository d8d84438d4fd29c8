use super::knowledge_world::{Fixture, collection, space};
use super::world::{World, all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{Chunking, Collection, CollectionChange, CollectionConfig, SpaceStatus};
use crate::{CollectionId, PageRequest, Stores};

pub async fn created_collection_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let plain = collection("Réunion — 会議");
    let mut embedded = collection("embedded");
    embedded.space = Some(space(embedded.id, "local/a", SpaceStatus::Active));
    for collection in [&plain, &embedded] {
        stores.collections.create(&w.me, collection).await.unwrap();
        assert_eq!(stores.collections.get(&w.me, collection.id).await.unwrap(), *collection);
        let named = stores.collections.get_by_name(&w.me, &collection.name).await.unwrap();
        assert_eq!(named.as_ref(), Some(collection));
    }
    assert_eq!(stores.collections.get_by_name(&w.me, "absent").await.unwrap(), None);
    missing(stores.collections.get(&w.me, id()).await);
}

pub async fn taken_name_or_id_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let first = collection("taken");
    stores.collections.create(&w.me, &first).await.unwrap();
    let mut again = collection("taken");
    again.space = Some(space(again.id, "local/a", SpaceStatus::Active));
    refused(stores.collections.create(&w.me, &again).await, ErrorKind::Conflict);
    let same_id = Collection { name: "other".into(), ..first.clone() };
    refused(stores.collections.create(&w.me, &same_id).await, ErrorKind::Conflict);
    // A name is one user's.
    stores.collections.create(&w.other, &collection("taken")).await.unwrap();
    assert_eq!(stores.collections.get(&w.me, first.id).await.unwrap(), first);
    missing(stores.collections.get(&w.me, again.id).await);
}

pub async fn collections_are_listed_newest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for name in ["a", "b", "c"] {
        stores.collections.create(&w.me, &collection(name)).await.unwrap();
    }
    let listed: Vec<_> = all(|page| stores.collections.list(&w.me, page)).await;
    assert_eq!(listed.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
}

pub async fn configs_come_in_the_order_they_are_named(stores: &Stores) {
    let w = World::new(stores).await;
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        let mut collection = collection(name);
        collection.chunking.size = 500;
        collection.space = (name == "b").then(|| space(collection.id, "local/a", SpaceStatus::Active));
        stores.collections.create(&w.me, &collection).await.unwrap();
        made.push(collection);
    }
    let ids = |configs: &[CollectionConfig]| configs.iter().map(|config| config.id).collect::<Vec<_>>();
    let wanted = ["b".to_owned(), made[0].id.to_string(), "b".to_owned()];
    let configs = stores.collections.configs(&w.me, &wanted).await.unwrap();
    assert_eq!(ids(&configs), [made[1].id, made[0].id, made[1].id]);
    let space = made[1].space.clone().map(|space| (space.id, space.model));
    assert_eq!((configs[0].chunking, &configs[0].space), (made[1].chunking, &space));
    assert_eq!(configs[1].space, None);
    assert_eq!(stores.collections.config(&w.me, made[1].id).await.unwrap(), configs[0]);
    assert_eq!(stores.collections.configs(&w.me, &[]).await.unwrap(), []);
    let newest = stores.collections.newest_configs(&w.me).await.unwrap();
    assert_eq!(ids(&newest), [made[2].id, made[1].id, made[0].id]);
    let error = stores.collections.configs(&w.me, &["a".into(), "absent".into()]).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.message().contains("absent"), "{error}");
    missing(stores.collections.configs(&w.me, &[id::<CollectionId>().to_string()]).await);
    missing(stores.collections.config(&w.me, id()).await);
    for scope in w.others() {
        assert_eq!(stores.collections.newest_configs(&scope).await.unwrap(), []);
        missing(stores.collections.config(&scope, made[0].id).await);
        missing(stores.collections.configs(&scope, &["a".into()]).await);
        missing(stores.collections.configs(&scope, &[made[0].id.to_string()]).await);
    }
}

pub async fn others_see_no_collection(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let change = CollectionChange { name: Some("theirs".into()), ..CollectionChange::default() };
    let before = stores.collections.get(&fixture.me, fixture.collection).await.unwrap();
    for scope in fixture.world.others() {
        missing(stores.collections.get(&scope, fixture.collection).await);
        assert_eq!(stores.collections.get_by_name(&scope, "shelf").await.unwrap(), None);
        assert_eq!(stores.collections.list(&scope, PageRequest::default()).await.unwrap().data, []);
        missing(stores.collections.update(&scope, fixture.collection, &change, at(1)).await);
        missing(stores.collections.delete(&scope, fixture.collection).await);
    }
    assert_eq!(stores.collections.get(&fixture.me, fixture.collection).await.unwrap(), before);
}

pub async fn update_changes_what_is_given(stores: &Stores) {
    let w = World::new(stores).await;
    let before = collection("before");
    stores.collections.create(&w.me, &before).await.unwrap();
    stores.collections.create(&w.me, &collection("taken")).await.unwrap();
    let change = CollectionChange {
        name: Some("after".into()),
        chunking: Some(Chunking { size: 800, overlap: 0 }),
        ..CollectionChange::default()
    };
    let after = stores.collections.update(&w.me, before.id, &change, at(5)).await.unwrap();
    let expected = Collection {
        name: "after".into(),
        chunking: Chunking { size: 800, overlap: 0 },
        updated_at: at(5),
        ..before.clone()
    };
    assert_eq!(after, expected);
    assert_eq!(stores.collections.get(&w.me, before.id).await.unwrap(), after);
    let taken = CollectionChange { name: Some("taken".into()), ..CollectionChange::default() };
    let result = stores.collections.update(&w.me, before.id, &taken, at(6)).await;
    refused(result, ErrorKind::Conflict);
    missing(stores.collections.update(&w.me, id(), &change, at(6)).await);
}

pub async fn collection_counts_what_is_in_it(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    fixture.ready("a", &["one", "two"]).await;
    fixture.ready("b", &["three"]).await;
    fixture.add("waits").await;
    let collection = stores.collections.get(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!((collection.document_count, collection.chunk_count), (3, 3));
    assert_eq!(collection.space.map(|space| space.chunk_count), Some(3));
}

pub async fn deleted_collection_takes_all_that_is_in_it(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let ready = fixture.ready("a", &["apple"]).await;
    let waiting = fixture.add("b").await;
    let blobs = stores.collections.delete(&fixture.me, fixture.collection).await.unwrap();
    let mut ids: Vec<_> = blobs.iter().map(|blob| blob.id).collect();
    ids.sort();
    let mut expected = [ready.blob_id, waiting.blob_id];
    expected.sort();
    assert_eq!(ids, expected);
    assert!(blobs.iter().all(|blob| blob.tenant == fixture.me.tenant));
    missing(stores.collections.get(&fixture.me, fixture.collection).await);
    missing(stores.collections.delete(&fixture.me, fixture.collection).await);
    missing(stores.documents.get(&fixture.me, ready.id).await);
    missing(stores.spaces.list(&fixture.me, fixture.collection).await);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, Vec::<String>::new());
    fixture.is_tidy().await;
}
