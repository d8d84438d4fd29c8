use super::knowledge_world::{EAST, NORTH, Shelf, chunk_id, collection, space};
use super::world::{at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{CollectionChange, Space, SpaceStatus, SpaceVectors};
use crate::{SpaceId, Stores};

async fn building(shelf: &Shelf<'_>) -> Space {
    let new = space(shelf.collection, "local/b", SpaceStatus::Building);
    shelf.stores.knowledge.create_space(&shelf.me, &new).await.unwrap();
    new
}

async fn spaces(shelf: &Shelf<'_>) -> Vec<(SpaceId, SpaceStatus)> {
    let spaces = shelf.stores.knowledge.spaces(&shelf.me, shelf.collection).await.unwrap();
    spaces.into_iter().map(|space| (space.id, space.status)).collect()
}

/// Vectors for all that lacks one, `limit` at a time.
async fn fill(shelf: &Shelf<'_>, space: SpaceId, vector: [f32; 4], limit: u32) -> usize {
    let mut filled = 0;
    loop {
        let missing = shelf.stores.knowledge.missing_vectors(&shelf.me, space, limit).await.unwrap();
        assert!(missing.len() <= limit as usize);
        if missing.is_empty() {
            return filled;
        }
        filled += missing.len();
        let vectors = missing
            .into_iter()
            .map(|passage| (passage.chunk.id, passage.chunk.document_id, vector.to_vec()))
            .collect();
        shelf.stores.knowledge.fill_space(&shelf.me, &SpaceVectors { space, vectors }).await.unwrap();
    }
}

async fn active(shelf: &Shelf<'_>) -> Option<Space> {
    shelf.stores.knowledge.collection(&shelf.me, shelf.collection).await.unwrap().space
}

pub async fn created_space_is_found(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let new = building(&shelf).await;
    let listed = stores.knowledge.spaces(&shelf.me, shelf.collection).await.unwrap();
    assert_eq!(listed[0], new);
    assert_eq!((listed.len(), listed[1].id), (2, shelf.space.unwrap()));
    refused(stores.knowledge.create_space(&shelf.me, &new).await, ErrorKind::Conflict);
    let nowhere = space(id(), "local/b", SpaceStatus::Building);
    missing(stores.knowledge.create_space(&shelf.me, &nowhere).await);
    missing(stores.knowledge.spaces(&shelf.me, id()).await);
}

pub async fn space_is_built_beside_the_active_one(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    shelf.ready("a", &["one", "two", "three"]).await;
    shelf.ready("b", &["four"]).await;
    let (old, new) = (shelf.space.unwrap(), building(&shelf).await.id);
    // Not whole yet.
    assert!(!stores.knowledge.activate_space(&shelf.me, new).await.unwrap());
    assert_eq!(active(&shelf).await.map(|space| space.id), Some(old));
    assert_eq!(fill(&shelf, new, NORTH, 3).await, 4);
    let listed = stores.knowledge.spaces(&shelf.me, shelf.collection).await.unwrap();
    assert_eq!((listed[0].id, listed[0].chunk_count), (new, 4));
    // One more comes meanwhile.
    shelf.ready("c", &["five"]).await;
    assert!(!stores.knowledge.activate_space(&shelf.me, new).await.unwrap());
    assert_eq!(fill(&shelf, new, NORTH, 3).await, 1);
    assert!(stores.knowledge.activate_space(&shelf.me, new).await.unwrap());
    assert_eq!(spaces(&shelf).await, [(new, SpaceStatus::Active), (old, SpaceStatus::Retired)]);
    let now = active(&shelf).await.unwrap();
    assert_eq!((now.id, now.chunk_count), (new, 5));
    let best = async |query: &[f32]| {
        let found = stores.knowledge.find_vector(&shelf.me, &shelf.target(), &[new], query, 10).await;
        found.unwrap().best.iter().map(|best| best.score).collect::<Vec<_>>()
    };
    assert_eq!(best(&NORTH).await, [1.0; 5]);
    shelf.is_tidy().await;
}

pub async fn retired_space_is_active_again_at_once(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    shelf.ready("a", &["one"]).await;
    let (old, new) = (shelf.space.unwrap(), building(&shelf).await.id);
    fill(&shelf, new, NORTH, 10).await;
    assert!(stores.knowledge.activate_space(&shelf.me, new).await.unwrap());
    assert!(stores.knowledge.activate_space(&shelf.me, old).await.unwrap());
    assert_eq!(spaces(&shelf).await, [(new, SpaceStatus::Retired), (old, SpaceStatus::Active)]);
    let found = stores.knowledge.find_vector(&shelf.me, &shelf.target(), &[old], &EAST, 10).await.unwrap();
    assert_eq!(found.best.len(), 1);
    // Active already.
    assert!(stores.knowledge.activate_space(&shelf.me, old).await.unwrap());
    assert_eq!(spaces(&shelf).await, [(new, SpaceStatus::Retired), (old, SpaceStatus::Active)]);
    // A space that lacks what came since is not whole.
    shelf.ready("b", &["two"]).await;
    assert!(!stores.knowledge.activate_space(&shelf.me, new).await.unwrap());
    assert_eq!(active(&shelf).await.map(|space| space.id), Some(old));
    shelf.is_tidy().await;
}

pub async fn without_a_space_words_are_found(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    shelf.ready("a", &["apple"]).await;
    stores.knowledge.deactivate_space(&shelf.me, shelf.collection).await.unwrap();
    assert_eq!(spaces(&shelf).await, [(shelf.space.unwrap(), SpaceStatus::Retired)]);
    assert_eq!(active(&shelf).await, None);
    assert_eq!(shelf.found(&shelf.me, &shelf.target(), "apple").await, ["apple"]);
    stores.knowledge.deactivate_space(&shelf.me, shelf.collection).await.unwrap();
    missing(stores.knowledge.deactivate_space(&shelf.me, id()).await);
    assert!(stores.knowledge.activate_space(&shelf.me, shelf.space.unwrap()).await.unwrap());
    let change = CollectionChange { description: Some("d".into()), ..CollectionChange::default() };
    let updated =
        stores.knowledge.update_collection(&shelf.me, shelf.collection, &change, at(2)).await.unwrap();
    assert_eq!(updated.space.map(|space| space.id), shelf.space);
}

pub async fn failed_space_says_why(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let new = building(&shelf).await;
    stores.knowledge.fail_space(&shelf.me, new.id, "no model").await.unwrap();
    let listed = stores.knowledge.spaces(&shelf.me, shelf.collection).await.unwrap();
    assert_eq!((listed[0].status, listed[0].error.as_deref()), (SpaceStatus::Failed, Some("no model")));
    missing(stores.knowledge.fail_space(&shelf.me, id(), "x").await);
}

pub async fn deleted_space_takes_its_vectors(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let ready = shelf.ready("a", &["one"]).await;
    let (old, new) = (shelf.space.unwrap(), building(&shelf).await.id);
    fill(&shelf, new, NORTH, 10).await;
    refused(stores.knowledge.delete_space(&shelf.me, old).await, ErrorKind::Conflict);
    stores.knowledge.delete_space(&shelf.me, new).await.unwrap();
    assert_eq!(spaces(&shelf).await, [(old, SpaceStatus::Active)]);
    missing(stores.knowledge.delete_space(&shelf.me, new).await);
    let chunks = [chunk_id(ready.id, "one")];
    assert_eq!(stores.knowledge.vectors(&shelf.me, &[old], &chunks).await.unwrap().len(), 1);
    shelf.is_tidy().await;
}

pub async fn others_change_no_space(stores: &Stores) {
    let shelf = Shelf::with_space(stores).await;
    let ready = shelf.ready("a", &["one"]).await;
    let new = building(&shelf).await;
    let knowledge = &stores.knowledge;
    let vectors =
        |space| SpaceVectors { space, vectors: vec![(chunk_id(ready.id, "one"), ready.id, NORTH.to_vec())] };
    let before = knowledge.spaces(&shelf.me, shelf.collection).await.unwrap();
    for scope in shelf.world.others() {
        missing(knowledge.spaces(&scope, shelf.collection).await);
        missing(knowledge.create_space(&scope, &space(shelf.collection, "x", SpaceStatus::Building)).await);
        missing(knowledge.missing_vectors(&scope, new.id, 10).await);
        missing(knowledge.fill_space(&scope, &vectors(new.id)).await);
        missing(knowledge.activate_space(&scope, new.id).await);
        missing(knowledge.deactivate_space(&scope, shelf.collection).await);
        missing(knowledge.fail_space(&scope, new.id, "theirs").await);
        missing(knowledge.delete_space(&scope, new.id).await);
    }
    assert_eq!(knowledge.spaces(&shelf.me, shelf.collection).await.unwrap(), before);
    // A chunk of somebody else's does not come into one's own space.
    let theirs = collection("theirs");
    knowledge.create_collection(&shelf.world.other, &theirs).await.unwrap();
    let own = space(theirs.id, "local/b", SpaceStatus::Building);
    knowledge.create_space(&shelf.world.other, &own).await.unwrap();
    let _ = knowledge.fill_space(&shelf.world.other, &vectors(own.id)).await;
    let chunks = [chunk_id(ready.id, "one")];
    assert_eq!(knowledge.embedded(&shelf.world.other, own.id, &chunks).await.unwrap(), []);
}
