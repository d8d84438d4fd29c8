use super::knowledge_world::{EAST, Fixture, chunk_id, collection, document, space};
use super::world::{World, all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::knowledge::{
    Chunking, Collection, CollectionChange, CollectionConfig, DocumentError, DocumentFilter, Filter,
    SearchScope, SpaceStatus,
};
use crate::workspace::{NewWorkspaceMember, WorkspaceRole};
use crate::{CollectionId, IdRange, Order, PageRequest, Scope, Stores, UserId, WorkspaceId};

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
    let listed: Vec<_> = all(|page| stores.collections.list(&w.me, None, page)).await;
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
        assert_eq!(stores.collections.list(&scope, None, PageRequest::default()).await.unwrap().data, []);
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
        last_active_at: at(5),
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

/// A user's own collection "shelf" with "apple mine", and a shared one of the same name
/// with "apple ours", whose fixture is returned.
async fn shared(stores: &Stores) -> (Fixture<'_>, CollectionId) {
    let own = Fixture::with_space(stores).await;
    own.ready("mine", &["apple mine"]).await;
    let (owner, mine) = (own.me.shared(), own.collection);
    let mut shelf = Collection { is_shared: true, ..collection("shelf") };
    shelf.space = Some(space(shelf.id, "local/a", SpaceStatus::Active));
    stores.collections.create(&owner, &shelf).await.unwrap();
    let again = Collection { id: id(), space: None, ..shelf.clone() };
    refused(stores.collections.create(&owner, &again).await, ErrorKind::Conflict);
    let space = shelf.space.as_ref().map(|space| space.id);
    let fixture = Fixture { me: owner, collection: shelf.id, space, ..own };
    fixture.ready("ours", &["apple ours"]).await;
    (fixture, mine)
}

pub async fn shared_collection_is_read_by_all(stores: &Stores) {
    let (fixture, mine) = shared(stores).await;
    let (w, id, spaces) = (&fixture.world, fixture.collection, [fixture.space.unwrap()]);
    let filter = DocumentFilter { collection: Some(id), ..DocumentFilter::default() };
    let (c, d, page) = (&stores.collections, &stores.documents, PageRequest::default());
    for scope in [w.me, w.other, w.admin] {
        let found = c.get(&scope, id).await.unwrap();
        assert!(found.is_shared && found.document_count == 1, "{found:?}");
        assert!(c.config(&scope, id).await.unwrap().is_shared);
        assert!(c.list(&scope, None, page).await.unwrap().data.contains(&found));
        assert!(c.newest_configs(&scope).await.unwrap().iter().any(|config| config.id == id));
        assert_eq!(stores.spaces.list(&scope, id).await.unwrap()[0].id, spaces[0]);
        let listed = d.list(&scope, &filter, page).await.unwrap().data;
        let ours = d.get(&scope, listed[0].id).await.unwrap();
        assert_eq!((listed.len(), ours.name.as_str()), (1, "ours"));
        assert_eq!(d.get_many(&scope, &[ours.id]).await.unwrap(), listed);
        assert_eq!(d.chunks(&scope, ours.id, 0, 10).await.unwrap()[0].text, "apple ours");
        assert_eq!(fixture.found(&scope, &fixture.target(), "apple").await, ["apple ours"]);
        let chunk = [chunk_id(ours.id, "apple ours")];
        let near = stores.index.find_vector(&scope, &fixture.target(), &spaces, &EAST, 5).await.unwrap();
        assert_eq!(near.best[0].chunk, chunk[0]);
        assert_eq!(stores.index.cosines(&scope, &spaces, &EAST, &chunk).await.unwrap().len(), 1);
        assert_eq!(stores.index.vectors(&scope, &spaces, &chunk).await.unwrap().len(), 1);
        assert_eq!(stores.index.passages(&scope, &chunk).await.unwrap().len(), 1);
    }
    missing(c.get(&w.stranger, id).await);
    assert!(fixture.found(&w.stranger, &fixture.target(), "apple").await.is_empty());
    // By name, a user's own comes before it; both are listed and searched together.
    for (scope, expected) in [(w.me, mine), (w.other, id)] {
        assert_eq!(c.get_by_name(&scope, "shelf").await.unwrap().unwrap().id, expected);
        assert_eq!(c.configs(&scope, &["shelf".into()]).await.unwrap()[0].id, expected);
    }
    assert_eq!(all(|page| c.list(&w.me, None, page)).await.len(), 2);
    let any = DocumentFilter::default();
    assert_eq!(all(|page| d.list(&w.me, &any, page)).await.len(), 2);
    let both = SearchScope { collections: vec![mine, id], filter: None };
    assert_eq!(fixture.found(&w.me, &both, "apple").await.len(), 2);
    assert_eq!(fixture.found(&w.other, &both, "apple").await, ["apple ours"]);
}

pub async fn shared_collection_is_changed_by_its_owner_alone(stores: &Stores) {
    let (fixture, _) = shared(stores).await;
    let (w, id) = (&fixture.world, fixture.collection);
    let (c, d) = (&stores.collections, &stores.documents);
    let waiting = fixture.add("waiting").await;
    let reason = DocumentError { code: "cancelled".into(), detail: "x".into() };
    for scope in [w.me, w.other, w.admin, w.stranger] {
        missing(c.update(&scope, id, &CollectionChange::default(), at(1)).await);
        missing(c.delete(&scope, id).await);
        missing(d.begin_upload(&scope, id, super::world::id(), w.worker).await);
        missing(d.add(&scope, &document(id, "x"), &crate::knowledge::StorageQuotas::default()).await);
        missing(d.cancel(&scope, waiting.id, &reason, at(1)).await);
        assert!(d.delete(&scope, &[waiting.id]).await.unwrap().is_empty());
        missing(stores.spaces.deactivate(&scope, id).await);
    }
    let owner: Scope = fixture.me;
    d.cancel(&owner, waiting.id, &reason, at(1)).await.unwrap();
    // Whoever goes, it stays; and its owner is no person.
    for scope in [w.me, w.admin] {
        stores.users.delete(&scope, scope.user).await.unwrap();
    }
    assert_eq!(fixture.found(&w.other, &fixture.target(), "apple").await, ["apple ours"]);
    assert_eq!(stores.users.list(&w.other, PageRequest::default()).await.unwrap().data.len(), 1);
    missing(stores.users.get(&w.other, UserId::SHARED).await);
    missing(stores.users.delete(&w.other, UserId::SHARED).await);
    assert_eq!(stores.users.standing(&owner).await.unwrap(), None);
    c.delete(&owner, id).await.unwrap();
    missing(c.get(&w.other, id).await);
}

/// My collection "shelf" with "apple mine", in a workspace where the other user is a viewer.
async fn in_workspace(stores: &Stores) -> (Fixture<'_>, WorkspaceId) {
    let fixture = Fixture::with_space(stores).await;
    fixture.ready("mine", &["apple mine"]).await;
    let w = &fixture.world;
    let workspace = w.workspace("w").await.id;
    let change = CollectionChange { workspace_id: Some(Some(workspace)), ..CollectionChange::default() };
    stores.collections.update(&w.me, fixture.collection, &change, at(1)).await.unwrap();
    let viewer = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Viewer);
    stores.workspaces.put_member(&w.me, workspace, &viewer, at(1)).await.unwrap();
    (fixture, workspace)
}

pub async fn collection_of_a_workspace_is_read_by_its_members(stores: &Stores) {
    let (fixture, workspace) = in_workspace(stores).await;
    let (w, id, spaces) = (&fixture.world, fixture.collection, [fixture.space.unwrap()]);
    let filter = DocumentFilter { collection: Some(id), ..DocumentFilter::default() };
    let (c, d, page) = (&stores.collections, &stores.documents, PageRequest::default());
    let eq = Filter::Eq { field: "$name".into(), value: "mine".into() };
    let filtered = SearchScope { filter: Some(eq), ..fixture.target() };
    for (scope, role) in [(w.me, WorkspaceRole::Owner), (w.other, WorkspaceRole::Viewer)] {
        let found = c.get(&scope, id).await.unwrap();
        assert_eq!((found.workspace_id, found.document_count), (Some(workspace), 1));
        let config = c.config(&scope, id).await.unwrap();
        assert_eq!((config.owner, config.role), (w.me.user, Some(role)));
        assert_eq!(c.configs(&scope, &[id.to_string()]).await.unwrap(), [config]);
        assert_eq!(c.list(&scope, Some(workspace), page).await.unwrap().data, [found]);
        assert_eq!(stores.spaces.list(&scope, id).await.unwrap()[0].id, spaces[0]);
        let listed = d.list(&scope, &filter, page).await.unwrap().data;
        let mine = d.get(&scope, listed[0].id).await.unwrap();
        assert_eq!((listed.len(), mine.name.as_str()), (1, "mine"));
        assert_eq!(d.get_many(&scope, &[mine.id]).await.unwrap(), listed);
        assert_eq!(d.chunks(&scope, mine.id, 0, 10).await.unwrap()[0].text, "apple mine");
        assert_eq!(fixture.found(&scope, &fixture.target(), "apple").await, ["apple mine"]);
        assert_eq!(fixture.found(&scope, &filtered, "apple").await, ["apple mine"]);
        let chunk = [chunk_id(mine.id, "apple mine")];
        let near = stores.index.find_vector(&scope, &fixture.target(), &spaces, &EAST, 5).await.unwrap();
        assert_eq!(near.best[0].chunk, chunk[0]);
        assert_eq!(stores.index.cosines(&scope, &spaces, &EAST, &chunk).await.unwrap().len(), 1);
        assert_eq!(stores.index.vectors(&scope, &spaces, &chunk).await.unwrap().len(), 1);
        assert_eq!(stores.index.passages(&scope, &chunk).await.unwrap().len(), 1);
        // In a workspace it has no name that stands for it alone.
        assert_eq!(c.get_by_name(&scope, "shelf").await.unwrap(), None);
        missing(c.configs(&scope, &["shelf".into()]).await);
    }
    assert_eq!(all(|page| c.list(&w.me, None, page)).await.len(), 1);
    assert!(c.list(&w.other, None, page).await.unwrap().data.is_empty());
    stores.workspaces.remove_member(&w.me, workspace, w.other.user.into()).await.unwrap();
    let document = d.list(&w.me, &filter, page).await.unwrap().data.remove(0);
    let chunk = [chunk_id(document.id, "apple mine")];
    for scope in w.others() {
        missing(c.get(&scope, id).await);
        missing(c.config(&scope, id).await);
        missing(c.configs(&scope, &[id.to_string()]).await);
        missing(stores.spaces.list(&scope, id).await);
        missing(d.get(&scope, document.id).await);
        missing(d.chunks(&scope, document.id, 0, 10).await);
        assert!(d.get_many(&scope, &[document.id]).await.unwrap().is_empty());
        assert!(d.list(&scope, &filter, page).await.unwrap().data.is_empty());
        assert!(c.list(&scope, Some(workspace), page).await.unwrap().data.is_empty());
        for target in [&fixture.target(), &filtered] {
            assert!(fixture.found(&scope, target, "apple").await.is_empty());
        }
        let near = stores.index.find_vector(&scope, &fixture.target(), &spaces, &EAST, 5).await.unwrap();
        assert!(near.best.is_empty());
        assert!(stores.index.cosines(&scope, &spaces, &EAST, &chunk).await.unwrap().is_empty());
        assert!(stores.index.vectors(&scope, &spaces, &chunk).await.unwrap().is_empty());
        assert!(stores.index.passages(&scope, &chunk).await.unwrap().is_empty());
    }
}

pub async fn collection_is_made_in_a_workspace_by_editors(stores: &Stores) {
    let (fixture, workspace) = in_workspace(stores).await;
    let (w, c) = (&fixture.world, &stores.collections);
    let inside = |name: &str| Collection { workspace_id: Some(workspace), ..collection(name) };
    refused(c.create(&w.other, &inside("theirs")).await, ErrorKind::Forbidden);
    missing(c.create(&w.admin, &inside("theirs")).await);
    let own = collection("own");
    c.create(&w.other, &own).await.unwrap();
    let put = CollectionChange { workspace_id: Some(Some(workspace)), ..CollectionChange::default() };
    refused(c.update(&w.other, own.id, &put, at(2)).await, ErrorKind::Forbidden);
    let editor = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Editor);
    stores.workspaces.put_member(&w.me, workspace, &editor, at(2)).await.unwrap();
    c.create(&w.other, &inside("theirs")).await.unwrap();
    // Names are of the workspace, whoever made them.
    refused(c.create(&w.me, &inside("theirs")).await, ErrorKind::Conflict);
    assert_eq!(c.update(&w.other, own.id, &put, at(3)).await.unwrap().workspace_id, Some(workspace));
    assert_eq!(c.list(&w.me, Some(workspace), PageRequest::default()).await.unwrap().data.len(), 3);
}

pub async fn collection_stays_in_the_workspace_of_who_leaves(stores: &Stores) {
    let (fixture, workspace) = in_workspace(stores).await;
    let (w, c, id) = (&fixture.world, &stores.collections, fixture.collection);
    let waiting = fixture.add("waiting").await;
    let own = Collection { ..collection("shelf") };
    c.create(&w.other, &own).await.unwrap();
    let owner = NewWorkspaceMember::user(w.other.user, WorkspaceRole::Owner);
    stores.workspaces.put_member(&w.me, workspace, &owner, at(2)).await.unwrap();
    stores.workspaces.remove_member(&w.me, workspace, w.me.user.into()).await.unwrap();
    missing(c.get(&w.me, id).await);
    assert_eq!(c.config(&w.other, id).await.unwrap().owner, w.other.user);
    // With its documents, which the new owner may stop from being read.
    let reason = DocumentError { code: "cancelled".into(), detail: "x".into() };
    missing(stores.documents.cancel(&w.me, waiting.id, &reason, at(3)).await);
    stores.documents.cancel(&w.other, waiting.id, &reason, at(3)).await.unwrap();
    // Without the workspace it is theirs alone, beside the one of its name.
    stores.workspaces.delete(&w.other, workspace).await.unwrap();
    let back = c.get(&w.other, id).await.unwrap();
    assert_eq!((back.workspace_id, back.name.starts_with("shelf (")), (None, true));
    assert_eq!(c.get_by_name(&w.other, "shelf").await.unwrap().unwrap().id, own.id);
    assert_eq!(fixture.found(&w.other, &fixture.target(), "apple").await, ["apple mine"]);
}

pub async fn label_and_expiry_are_changed(stores: &Stores) {
    let w = World::new(stores).await;
    let new = Collection { label: Some(String::new()), expires_after_days: Some(7), ..collection("a") };
    stores.collections.create(&w.me, &new).await.unwrap();
    assert_eq!(stores.collections.get(&w.me, new.id).await.unwrap(), new);
    let change = CollectionChange {
        name: Some("b".into()),
        label: Some("B".into()),
        expires_after_days: Some(None),
        ..CollectionChange::default()
    };
    let changed = stores.collections.update(&w.me, new.id, &change, at(3)).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.label.as_deref()), ("b", Some("B")));
    assert_eq!((changed.expires_after_days, changed.last_active_at), (None, at(3)));
    // A name alone is shown on both sides.
    let named = CollectionChange { name: Some("c".into()), ..CollectionChange::default() };
    assert_eq!(stores.collections.update(&w.me, new.id, &named, at(4)).await.unwrap().label, None);
}

pub async fn collections_are_listed_both_ways(stores: &Stores) {
    let w = World::new(stores).await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let new = collection(name);
        stores.collections.create(&w.me, &new).await.unwrap();
        ids.push(new.id.0);
    }
    let shared = Collection { is_shared: true, ..collection("s") };
    stores.collections.create(&w.me.shared(), &shared).await.unwrap();
    let names = async |scope: &Scope, range| {
        let slice = stores.collections.range(scope, range).await.unwrap();
        let names = slice.data.iter().map(|found| found.name.clone()).collect::<String>();
        (names, slice.has_more)
    };
    let range = |limit, order, after, before| IdRange { limit, order, after, before };
    let all = |names: &str| (names.to_owned(), false);
    assert_eq!(names(&w.me, range(9, Order::Asc, None, None)).await, all("abcs"));
    assert_eq!(names(&w.me, range(2, Order::Desc, None, None)).await, ("sc".into(), true));
    assert_eq!(names(&w.me, range(2, Order::Desc, Some(ids[2]), None)).await, all("ba"));
    assert_eq!(names(&w.me, range(1, Order::Asc, None, Some(ids[2]))).await, ("b".into(), true));
    assert_eq!(names(&w.other, range(9, Order::Asc, None, None)).await, all("s"));
    for scope in [&w.stranger] {
        assert_eq!(stores.collections.range(scope, range(9, Order::Asc, None, None)).await.unwrap().data, []);
    }
}

pub async fn used_collection_is_active(stores: &Stores) {
    let w = World::new(stores).await;
    let new = collection("a");
    stores.collections.create(&w.me, &new).await.unwrap();
    let active = async || stores.collections.get(&w.me, new.id).await.unwrap().last_active_at;
    stores.collections.touch(&w.me, new.id, at(59)).await.unwrap();
    assert_eq!(active().await, at(0));
    stores.collections.touch(&w.me, new.id, at(60)).await.unwrap();
    assert_eq!(active().await, at(60));
    for scope in w.others() {
        missing(stores.collections.touch(&scope, new.id, at(500)).await);
    }
    missing(stores.collections.touch(&w.me, id(), at(500)).await);
    assert_eq!(active().await, at(60));
}
