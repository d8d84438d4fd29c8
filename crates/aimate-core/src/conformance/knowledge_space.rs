use super::knowledge_world::{EAST, Fixture, NORTH, chunk_id, collection, space};
use super::world::{at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{CollectionChange, EmbeddingSpace, SpaceStatus, SpaceVectors};
use crate::{SpaceId, Stores};

async fn building(fixture: &Fixture<'_>) -> EmbeddingSpace {
    let new = space(fixture.collection, "local/b", SpaceStatus::Building);
    fixture.stores.knowledge.create_space(&fixture.me, &new).await.unwrap();
    new
}

async fn spaces(fixture: &Fixture<'_>) -> Vec<(SpaceId, SpaceStatus)> {
    let spaces = fixture.stores.knowledge.spaces(&fixture.me, fixture.collection).await.unwrap();
    spaces.into_iter().map(|space| (space.id, space.status)).collect()
}

/// Vectors for all that lacks one, `limit` at a time.
async fn fill(fixture: &Fixture<'_>, space: SpaceId, vector: [f32; 4], limit: u32) -> usize {
    let mut filled = 0;
    loop {
        let missing = fixture.stores.knowledge.missing_vectors(&fixture.me, space, limit).await.unwrap();
        assert!(missing.len() <= limit as usize);
        if missing.is_empty() {
            return filled;
        }
        filled += missing.len();
        let vectors = missing
            .into_iter()
            .map(|passage| (passage.chunk.id, passage.chunk.document_id, vector.to_vec()))
            .collect();
        fixture.stores.knowledge.fill_space(&fixture.me, &SpaceVectors { space, vectors }).await.unwrap();
    }
}

async fn active(fixture: &Fixture<'_>) -> Option<EmbeddingSpace> {
    fixture.stores.knowledge.collection(&fixture.me, fixture.collection).await.unwrap().space
}

pub async fn created_space_is_found(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let new = building(&fixture).await;
    let listed = stores.knowledge.spaces(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!(listed[0], new);
    assert_eq!((listed.len(), listed[1].id), (2, fixture.space.unwrap()));
    refused(stores.knowledge.create_space(&fixture.me, &new).await, ErrorKind::Conflict);
    let nowhere = space(id(), "local/b", SpaceStatus::Building);
    missing(stores.knowledge.create_space(&fixture.me, &nowhere).await);
    missing(stores.knowledge.spaces(&fixture.me, id()).await);
}

pub async fn space_is_built_beside_the_active_one(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    fixture.ready("a", &["one", "two", "three"]).await;
    fixture.ready("b", &["four"]).await;
    let (old, new) = (fixture.space.unwrap(), building(&fixture).await.id);
    // Not whole yet.
    assert!(!stores.knowledge.activate_space(&fixture.me, new).await.unwrap());
    assert_eq!(active(&fixture).await.map(|space| space.id), Some(old));
    assert_eq!(fill(&fixture, new, NORTH, 3).await, 4);
    let listed = stores.knowledge.spaces(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!((listed[0].id, listed[0].chunk_count), (new, 4));
    // One more comes meanwhile.
    fixture.ready("c", &["five"]).await;
    assert!(!stores.knowledge.activate_space(&fixture.me, new).await.unwrap());
    assert_eq!(fill(&fixture, new, NORTH, 3).await, 1);
    assert!(stores.knowledge.activate_space(&fixture.me, new).await.unwrap());
    assert_eq!(spaces(&fixture).await, [(new, SpaceStatus::Active), (old, SpaceStatus::Retired)]);
    let now = active(&fixture).await.unwrap();
    assert_eq!((now.id, now.chunk_count), (new, 5));
    let best = async |query: &[f32]| {
        let found = stores.knowledge.find_vector(&fixture.me, &fixture.target(), &[new], query, 10).await;
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
    assert!(stores.knowledge.activate_space(&fixture.me, new).await.unwrap());
    assert!(stores.knowledge.activate_space(&fixture.me, old).await.unwrap());
    assert_eq!(spaces(&fixture).await, [(new, SpaceStatus::Retired), (old, SpaceStatus::Active)]);
    let found =
        stores.knowledge.find_vector(&fixture.me, &fixture.target(), &[old], &EAST, 10).await.unwrap();
    assert_eq!(found.best.len(), 1);
    // Active already.
    assert!(stores.knowledge.activate_space(&fixture.me, old).await.unwrap());
    assert_eq!(spaces(&fixture).await, [(new, SpaceStatus::Retired), (old, SpaceStatus::Active)]);
    // A space that lacks what came since is not whole.
    fixture.ready("b", &["two"]).await;
    assert!(!stores.knowledge.activate_space(&fixture.me, new).await.unwrap());
    assert_eq!(active(&fixture).await.map(|space| space.id), Some(old));
    fixture.is_tidy().await;
}

pub async fn without_a_space_words_are_found(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    fixture.ready("a", &["apple"]).await;
    stores.knowledge.deactivate_space(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!(spaces(&fixture).await, [(fixture.space.unwrap(), SpaceStatus::Retired)]);
    assert_eq!(active(&fixture).await, None);
    assert_eq!(fixture.found(&fixture.me, &fixture.target(), "apple").await, ["apple"]);
    stores.knowledge.deactivate_space(&fixture.me, fixture.collection).await.unwrap();
    missing(stores.knowledge.deactivate_space(&fixture.me, id()).await);
    assert!(stores.knowledge.activate_space(&fixture.me, fixture.space.unwrap()).await.unwrap());
    let change = CollectionChange { description: Some("d".into()), ..CollectionChange::default() };
    let updated =
        stores.knowledge.update_collection(&fixture.me, fixture.collection, &change, at(2)).await.unwrap();
    assert_eq!(updated.space.map(|space| space.id), fixture.space);
}

pub async fn failed_space_says_why(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let new = building(&fixture).await;
    stores.knowledge.fail_space(&fixture.me, new.id, "no model").await.unwrap();
    let listed = stores.knowledge.spaces(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!((listed[0].status, listed[0].error.as_deref()), (SpaceStatus::Failed, Some("no model")));
    missing(stores.knowledge.fail_space(&fixture.me, id(), "x").await);
}

pub async fn deleted_space_takes_its_vectors(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let ready = fixture.ready("a", &["one"]).await;
    let (old, new) = (fixture.space.unwrap(), building(&fixture).await.id);
    fill(&fixture, new, NORTH, 10).await;
    refused(stores.knowledge.delete_space(&fixture.me, old).await, ErrorKind::Conflict);
    stores.knowledge.delete_space(&fixture.me, new).await.unwrap();
    assert_eq!(spaces(&fixture).await, [(old, SpaceStatus::Active)]);
    missing(stores.knowledge.delete_space(&fixture.me, new).await);
    let chunks = [chunk_id(ready.id, "one")];
    assert_eq!(stores.knowledge.vectors(&fixture.me, &[old], &chunks).await.unwrap().len(), 1);
    fixture.is_tidy().await;
}

pub async fn others_change_no_space(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let ready = fixture.ready("a", &["one"]).await;
    let new = building(&fixture).await;
    let knowledge = &stores.knowledge;
    let vectors =
        |space| SpaceVectors { space, vectors: vec![(chunk_id(ready.id, "one"), ready.id, NORTH.to_vec())] };
    let before = knowledge.spaces(&fixture.me, fixture.collection).await.unwrap();
    for scope in fixture.world.others() {
        missing(knowledge.spaces(&scope, fixture.collection).await);
        missing(knowledge.create_space(&scope, &space(fixture.collection, "x", SpaceStatus::Building)).await);
        missing(knowledge.missing_vectors(&scope, new.id, 10).await);
        missing(knowledge.fill_space(&scope, &vectors(new.id)).await);
        missing(knowledge.activate_space(&scope, new.id).await);
        missing(knowledge.deactivate_space(&scope, fixture.collection).await);
        missing(knowledge.fail_space(&scope, new.id, "theirs").await);
        missing(knowledge.delete_space(&scope, new.id).await);
    }
    assert_eq!(knowledge.spaces(&fixture.me, fixture.collection).await.unwrap(), before);
    // A chunk of somebody else's does not come into one's own space.
    let theirs = collection("theirs");
    knowledge.create_collection(&fixture.world.other, &theirs).await.unwrap();
    let own = space(theirs.id, "local/b", SpaceStatus::Building);
    knowledge.create_space(&fixture.world.other, &own).await.unwrap();
    let _ = knowledge.fill_space(&fixture.world.other, &vectors(own.id)).await;
    let chunks = [chunk_id(ready.id, "one")];
    assert_eq!(knowledge.embedded(&fixture.world.other, own.id, &chunks).await.unwrap(), []);
}
