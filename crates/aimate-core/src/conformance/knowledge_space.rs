use super::knowledge_world::{EAST, Fixture, LONG, NORTH, chunk_id, collection, space};
use super::world::{at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{CollectionChange, EmbeddingSpace, SpaceStatus, SpaceVectors};
use crate::{SpaceId, Stores};

async fn building(fixture: &Fixture<'_>) -> EmbeddingSpace {
    let new = space(fixture.collection, "local/b", SpaceStatus::Building);
    fixture.stores.spaces.create(&fixture.me, &new).await.unwrap();
    new
}

async fn spaces(fixture: &Fixture<'_>) -> Vec<(SpaceId, SpaceStatus)> {
    let spaces = fixture.stores.spaces.list(&fixture.me, fixture.collection).await.unwrap();
    spaces.into_iter().map(|space| (space.id, space.status)).collect()
}

/// Vectors for all that lacks one, `limit` at a time.
async fn fill(fixture: &Fixture<'_>, space: SpaceId, vector: [f32; 4], limit: u32) -> usize {
    let mut filled = 0;
    loop {
        let missing = fixture.stores.spaces.missing_vectors(&fixture.me, space, limit).await.unwrap();
        assert!(missing.len() <= limit as usize);
        if missing.is_empty() {
            return filled;
        }
        filled += missing.len();
        let vectors = missing
            .into_iter()
            .map(|passage| (passage.chunk.id, passage.chunk.document_id, vector.to_vec()))
            .collect();
        fixture.stores.spaces.fill(&fixture.me, &SpaceVectors { space, vectors }).await.unwrap();
    }
}

async fn active(fixture: &Fixture<'_>) -> Option<EmbeddingSpace> {
    fixture.stores.collections.get(&fixture.me, fixture.collection).await.unwrap().space
}

pub async fn created_space_is_found(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let new = building(&fixture).await;
    let listed = stores.spaces.list(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!(listed[0], new);
    assert_eq!((listed.len(), listed[1].id), (2, fixture.space.unwrap()));
    refused(stores.spaces.create(&fixture.me, &new).await, ErrorKind::Conflict);
    let nowhere = space(id(), "local/b", SpaceStatus::Building);
    missing(stores.spaces.create(&fixture.me, &nowhere).await);
    missing(stores.spaces.list(&fixture.me, id()).await);
}

pub async fn space_is_built_beside_the_active_one(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    fixture.ready("a", &["one", "two", "three"]).await;
    fixture.ready("b", &["four"]).await;
    let (old, new) = (fixture.space.unwrap(), building(&fixture).await.id);
    // Not whole yet.
    assert!(!stores.spaces.activate(&fixture.me, new).await.unwrap());
    assert_eq!(active(&fixture).await.map(|space| space.id), Some(old));
    assert_eq!(fill(&fixture, new, NORTH, 3).await, 4);
    let listed = stores.spaces.list(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!((listed[0].id, listed[0].chunk_count), (new, 4));
    // One more comes meanwhile.
    fixture.ready("c", &["five"]).await;
    assert!(!stores.spaces.activate(&fixture.me, new).await.unwrap());
    assert_eq!(fill(&fixture, new, NORTH, 3).await, 1);
    assert!(stores.spaces.activate(&fixture.me, new).await.unwrap());
    assert_eq!(spaces(&fixture).await, [(new, SpaceStatus::Active), (old, SpaceStatus::Retired)]);
    let now = active(&fixture).await.unwrap();
    assert_eq!((now.id, now.chunk_count), (new, 5));
    let best = async |query: &[f32]| {
        let found = stores.index.find_vector(&fixture.me, &fixture.target(), &[new], query, 10).await;
        found.unwrap().best.iter().map(|best| best.score).collect::<Vec<_>>()
    };
    assert_eq!(best(&NORTH).await, [1.0; 5]);
    fixture.is_tidy().await;
}

pub async fn retired_space_is_active_again_at_once(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    fixture.ready("a", &["one"]).await;
    let (old, new) = (fixture.space.unwrap(), building(&fixture).await.id);
    fill(&fixture, new, NORTH, 10).await;
    assert!(stores.spaces.activate(&fixture.me, new).await.unwrap());
    assert!(stores.spaces.activate(&fixture.me, old).await.unwrap());
    assert_eq!(spaces(&fixture).await, [(new, SpaceStatus::Retired), (old, SpaceStatus::Active)]);
    let found = stores.index.find_vector(&fixture.me, &fixture.target(), &[old], &EAST, 10).await.unwrap();
    assert_eq!(found.best.len(), 1);
    // Active already.
    assert!(stores.spaces.activate(&fixture.me, old).await.unwrap());
    assert_eq!(spaces(&fixture).await, [(new, SpaceStatus::Retired), (old, SpaceStatus::Active)]);
    // A space that lacks what came since is not whole.
    fixture.ready("b", &["two"]).await;
    assert!(!stores.spaces.activate(&fixture.me, new).await.unwrap());
    assert_eq!(active(&fixture).await.map(|space| space.id), Some(old));
    fixture.is_tidy().await;
}

pub async fn incomplete_or_failed_space_is_built_again(stores: &Stores) {
    let mut fixture = Fixture::with_space(stores).await;
    fixture.ready("a", &["one"]).await;
    let (old, new) = (fixture.space.unwrap(), building(&fixture).await);
    let worker = fixture.world.worker;
    let claim =
        async || stores.queue.claim_space(worker, at(10), LONG).await.unwrap().map(|(_, space)| space.id);
    assert_eq!(claim().await, Some(new.id));
    stores.spaces.fail(&fixture.me, new.id, "no model").await.unwrap();
    stores.spaces.create(&fixture.me, &new).await.unwrap();
    assert_eq!(stores.spaces.list(&fixture.me, fixture.collection).await.unwrap()[0], new);
    assert_eq!(claim().await, Some(new.id));
    fill(&fixture, new.id, NORTH, 10).await;
    assert!(stores.spaces.activate(&fixture.me, new.id).await.unwrap());
    // The one that it took the place of misses what comes now.
    fixture.space = Some(new.id);
    fixture.ready("b", &["two"]).await;
    let retired = EmbeddingSpace { id: old, ..space(fixture.collection, "local/a", SpaceStatus::Building) };
    stores.spaces.create(&fixture.me, &retired).await.unwrap();
    assert_eq!(claim().await, Some(old));
    assert_eq!(fill(&fixture, old, EAST, 10).await, 1);
    assert!(stores.spaces.activate(&fixture.me, old).await.unwrap());
    // One that is in use is not.
    refused(stores.spaces.create(&fixture.me, &retired).await, ErrorKind::Conflict);
    for scope in fixture.world.others() {
        missing(stores.spaces.create(&scope, &new).await);
    }
    assert_eq!(spaces(&fixture).await, [(new.id, SpaceStatus::Retired), (old, SpaceStatus::Active)]);
    fixture.is_tidy().await;
}

pub async fn without_a_space_words_are_found(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    fixture.ready("a", &["apple"]).await;
    stores.spaces.deactivate(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!(spaces(&fixture).await, [(fixture.space.unwrap(), SpaceStatus::Retired)]);
    assert_eq!(active(&fixture).await, None);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple"]);
    stores.spaces.deactivate(&fixture.me, fixture.collection).await.unwrap();
    missing(stores.spaces.deactivate(&fixture.me, id()).await);
    assert!(stores.spaces.activate(&fixture.me, fixture.space.unwrap()).await.unwrap());
    let change = CollectionChange { description: Some("d".into()), ..CollectionChange::default() };
    let updated = stores.collections.update(&fixture.me, fixture.collection, &change, at(2)).await.unwrap();
    assert_eq!(updated.space.map(|space| space.id), fixture.space);
}

pub async fn failed_space_says_why(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let new = building(&fixture).await;
    stores.spaces.fail(&fixture.me, new.id, "no model").await.unwrap();
    let listed = stores.spaces.list(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!((listed[0].status, listed[0].error.as_deref()), (SpaceStatus::Failed, Some("no model")));
    missing(stores.spaces.fail(&fixture.me, id(), "x").await);
}

pub async fn deleted_space_takes_its_vectors(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let ready = fixture.ready("a", &["one"]).await;
    let (old, new) = (fixture.space.unwrap(), building(&fixture).await.id);
    fill(&fixture, new, NORTH, 10).await;
    refused(stores.spaces.delete(&fixture.me, old).await, ErrorKind::Conflict);
    stores.spaces.delete(&fixture.me, new).await.unwrap();
    assert_eq!(spaces(&fixture).await, [(old, SpaceStatus::Active)]);
    missing(stores.spaces.delete(&fixture.me, new).await);
    let chunks = [chunk_id(ready.id, "one")];
    assert_eq!(stores.index.vectors(&fixture.me, &[old], &chunks).await.unwrap().len(), 1);
    fixture.is_tidy().await;
}

pub async fn others_change_no_space(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let ready = fixture.ready("a", &["one"]).await;
    let new = building(&fixture).await;
    let vectors =
        |space| SpaceVectors { space, vectors: vec![(chunk_id(ready.id, "one"), ready.id, NORTH.to_vec())] };
    let before = stores.spaces.list(&fixture.me, fixture.collection).await.unwrap();
    for scope in fixture.world.others() {
        missing(stores.spaces.list(&scope, fixture.collection).await);
        missing(stores.spaces.create(&scope, &space(fixture.collection, "x", SpaceStatus::Building)).await);
        missing(stores.spaces.missing_vectors(&scope, new.id, 10).await);
        missing(stores.spaces.fill(&scope, &vectors(new.id)).await);
        missing(stores.spaces.activate(&scope, new.id).await);
        missing(stores.spaces.deactivate(&scope, fixture.collection).await);
        missing(stores.spaces.fail(&scope, new.id, "theirs").await);
        missing(stores.spaces.delete(&scope, new.id).await);
    }
    assert_eq!(stores.spaces.list(&fixture.me, fixture.collection).await.unwrap(), before);
    // A chunk of somebody else's does not come into one's own space.
    let theirs = collection("theirs");
    stores.collections.create(&fixture.world.other, &theirs).await.unwrap();
    let own = space(theirs.id, "local/b", SpaceStatus::Building);
    stores.spaces.create(&fixture.world.other, &own).await.unwrap();
    let _ = stores.spaces.fill(&fixture.world.other, &vectors(own.id)).await;
    let chunks = [chunk_id(ready.id, "one")];
    assert_eq!(stores.ingest.embedded(&fixture.world.other, own.id, &chunks).await.unwrap(), []);
}
