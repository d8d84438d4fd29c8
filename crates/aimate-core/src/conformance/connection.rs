use super::world::{World, all, at, connection, id, missing, model, refused};
use crate::connection::{Connection, ConnectionStatus};
use crate::error::ErrorKind;
use crate::workspace::{NewWorkspaceMember, WorkspaceRole};
use crate::{PageRequest, Role, Scope, Stores, WorkspaceId};

async fn shared(w: &World<'_>, name: &str) -> Connection {
    let shared = Connection { is_shared: true, ..connection(name) };
    w.stores.connections.create(&w.admin, &shared).await.unwrap();
    shared
}

pub async fn created_connection_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let full = w.connection("full").await;
    assert_eq!(stores.connections.get(&w.me, full.id).await.unwrap(), full);
    let bare = Connection {
        provider: "builtin".into(),
        url: None,
        has_key: false,
        key_hint: None,
        sealed_key: None,
        is_enabled: false,
        ..connection("bare")
    };
    stores.connections.create(&w.me, &bare).await.unwrap();
    assert_eq!(stores.connections.get(&w.me, bare.id).await.unwrap(), bare);
}

pub async fn names_are_unique_by_owner(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = w.connection("local").await;
    refused(stores.connections.create(&w.me, &mine).await, ErrorKind::Conflict);
    refused(stores.connections.create(&w.me, &connection("local")).await, ErrorKind::Conflict);
    for scope in [w.other, w.stranger] {
        stores.connections.create(&scope, &connection("local")).await.unwrap();
    }
    shared(&w, "local").await;
    let again = Connection { is_shared: true, ..connection("local") };
    refused(stores.connections.create(&w.admin, &again).await, ErrorKind::Conflict);
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = w.connection("mine").await;
    let changed = Connection { name: "theirs".into(), ..mine.clone() };
    for scope in w.others() {
        missing(stores.connections.get(&scope, mine.id).await);
        missing(stores.connections.update(&scope, &mine, &changed).await);
        missing(stores.connections.delete(&scope, mine.id).await);
        assert!(stores.connections.list(&scope, PageRequest::default()).await.unwrap().data.is_empty());
    }
    assert_eq!(stores.connections.get(&w.me, mine.id).await.unwrap(), mine);
}

pub async fn shared_connection_is_seen_by_all(stores: &Stores) {
    let w = World::new(stores).await;
    let shared = shared(&w, "shared").await;
    for scope in [w.me, w.other, w.admin] {
        assert_eq!(stores.connections.get(&scope, shared.id).await.unwrap(), shared);
    }
    missing(stores.connections.get(&w.stranger, shared.id).await);
}

pub async fn shared_connection_is_changed_by_admins(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = Connection { is_shared: true, ..connection("mine") };
    refused(stores.connections.create(&w.me, &mine).await, ErrorKind::Forbidden);
    let shared = shared(&w, "shared").await;
    let changed = Connection { name: "changed".into(), updated_at: at(1), ..shared.clone() };
    missing(stores.connections.update(&w.me, &shared, &changed).await);
    missing(stores.connections.delete(&w.me, shared.id).await);
    stores.connections.update(&w.admin, &shared, &changed).await.unwrap();
    assert_eq!(stores.connections.get(&w.me, shared.id).await.unwrap(), changed);
    stores.connections.delete(&w.admin, shared.id).await.unwrap();
    missing(stores.connections.get(&w.admin, shared.id).await);
}

pub async fn connections_are_listed_by_name(stores: &Stores) {
    let w = World::new(stores).await;
    for name in ["b", "Z", "ä", "d"] {
        w.connection(name).await;
    }
    shared(&w, "c").await;
    shared(&w, "b").await;
    stores.connections.create(&w.other, &connection("a")).await.unwrap();
    let listed = all(|page| stores.connections.list(&w.me, page)).await;
    let names: Vec<&str> = listed.iter().map(|connection| connection.name.as_str()).collect();
    assert_eq!(names, ["Z", "b", "b", "c", "d", "ä"]);
    assert!(listed[1].id < listed[2].id);
}

pub async fn update_replaces_it(stores: &Stores) {
    let w = World::new(stores).await;
    let before = w.connection("before").await;
    let after = Connection {
        name: "after".into(),
        provider: "my-server".into(),
        url: None,
        has_key: false,
        key_hint: None,
        sealed_key: None,
        status: ConnectionStatus::Unreachable,
        models_fetched_at: Some(at(3)),
        stale_since: Some(at(4)),
        updated_at: at(5),
        ..before.clone()
    };
    stores.connections.update(&w.me, &before, &after).await.unwrap();
    assert_eq!(stores.connections.get(&w.me, before.id).await.unwrap(), after);
}

pub async fn update_of_a_changed_connection_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let (before, other) = (w.connection("before").await, w.connection("other").await);
    let first = Connection { is_enabled: false, updated_at: at(5), ..before.clone() };
    stores.connections.update(&w.me, &before, &first).await.unwrap();
    let second = Connection { url: None, updated_at: at(6), ..before.clone() };
    refused(stores.connections.update(&w.me, &before, &second).await, ErrorKind::Conflict);
    let taken = Connection { name: other.name, ..first.clone() };
    refused(stores.connections.update(&w.me, &first, &taken).await, ErrorKind::Conflict);
    assert_eq!(stores.connections.get(&w.me, before.id).await.unwrap(), first);
}

pub async fn absent_connection_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let absent = connection("absent");
    missing(stores.connections.get(&w.me, absent.id).await);
    missing(stores.connections.update(&w.me, &absent, &absent).await);
    missing(stores.connections.delete(&w.me, absent.id).await);
    let after = crate::Cursor { at: crate::Timestamp(0), id: id() };
    let page = PageRequest { after: Some(after), ..PageRequest::default() };
    refused(stores.connections.list(&w.me, page).await, ErrorKind::Invalid);
}

pub async fn deleted_connection_takes_its_models(stores: &Stores) {
    let w = World::new(stores).await;
    let (gone, kept) = (w.connection("gone").await, w.connection("kept").await);
    for connection in [&gone, &kept] {
        stores.models.replace(&w.me, connection.id, &[model(connection, "m")], at(1)).await.unwrap();
    }
    stores.connections.delete(&w.me, gone.id).await.unwrap();
    missing(stores.connections.get(&w.me, gone.id).await);
    missing(stores.connections.delete(&w.me, gone.id).await);
    assert_eq!(stores.models.list(&w.me).await.unwrap(), [model(&kept, "m")]);
}

/// A connection of my workspace, where the other user has this role.
async fn in_workspace<'s>(stores: &'s Stores, role: WorkspaceRole) -> (World<'s>, WorkspaceId, Connection) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await.id;
    let member = NewWorkspaceMember::user(w.other.user, role);
    stores.workspaces.put_member(&w.me, workspace, &member, at(1)).await.unwrap();
    let ours = Connection { workspace_id: Some(workspace), ..connection("ours") };
    stores.connections.create(&w.me, &ours).await.unwrap();
    (w, workspace, ours)
}

pub async fn connection_of_a_workspace_is_used_by_its_editors(stores: &Stores) {
    let (w, workspace, ours) = in_workspace(stores, WorkspaceRole::Editor).await;
    let (c, page) = (&stores.connections, PageRequest::default());
    for name in ["a", "z"] {
        c.create(&w.other, &connection(name)).await.unwrap();
    }
    assert_eq!(c.get(&w.other, ours.id).await.unwrap(), ours);
    let names: Vec<_> = all(|page| c.list(&w.other, page)).await.into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["a", "ours", "z"]);
    assert_eq!(c.list(&w.me, page).await.unwrap().data, std::slice::from_ref(&ours));
    // What its server lists is noted to whoever asks it.
    stores.models.replace(&w.other, ours.id, &[model(&ours, "m")], at(2)).await.unwrap();
    assert_eq!(stores.models.list(&w.other).await.unwrap(), [model(&ours, "m")]);
    assert_eq!(stores.models.list(&w.me).await.unwrap(), [model(&ours, "m")]);
    let denied = ErrorKind::Forbidden;
    let read = c.get(&w.other, ours.id).await.unwrap();
    let changed = Connection { url: Some("https://evil.example".into()), updated_at: at(3), ..read.clone() };
    refused(c.update(&w.other, &read, &changed).await, denied);
    refused(c.delete(&w.other, ours.id).await, denied);
    missing(stores.models.set_active(&w.other, ours.id, "m", false).await);
    let theirs = Connection { workspace_id: Some(workspace), ..connection("theirs") };
    refused(c.create(&w.other, &theirs).await, denied);
    // The engine alone acts as an admin for an editor: to note how the server answered.
    let noting = Scope { role: Role::Admin, ..w.other };
    let noted = Connection { status: ConnectionStatus::Unreachable, updated_at: at(3), ..read.clone() };
    c.update(&noting, &read, &noted).await.unwrap();
    for outsider in [w.admin, w.stranger] {
        missing(c.get(&outsider, ours.id).await);
        missing(c.update(&outsider, &noted, &changed).await);
        missing(c.delete(&outsider, ours.id).await);
        missing(c.create(&outsider, &theirs).await);
        missing(stores.models.replace(&outsider, ours.id, &[], at(2)).await);
        assert!(stores.models.list(&outsider).await.unwrap().is_empty());
        assert!(c.list(&outsider, page).await.unwrap().data.is_empty());
    }
    stores.workspaces.remove_member(&w.me, workspace, w.other.user.into()).await.unwrap();
    missing(c.get(&w.other, ours.id).await);
    assert_eq!(c.list(&w.other, page).await.unwrap().data.len(), 2);
    assert!(stores.models.list(&w.other).await.unwrap().is_empty());
}

pub async fn connection_of_a_workspace_is_managed_by_its_owners(stores: &Stores) {
    let (w, workspace, ours) = in_workspace(stores, WorkspaceRole::Owner).await;
    let c = &stores.connections;
    let again = Connection { workspace_id: Some(workspace), ..connection("ours") };
    refused(c.create(&w.other, &again).await, ErrorKind::Conflict);
    // A name is taken among those of one owner.
    c.create(&w.other, &connection("ours")).await.unwrap();
    let changed = Connection { is_enabled: false, updated_at: at(2), ..ours.clone() };
    c.update(&w.other, &ours, &changed).await.unwrap();
    assert_eq!(c.get(&w.me, ours.id).await.unwrap(), changed);
    stores.models.replace(&w.me, ours.id, &[model(&ours, "m")], at(2)).await.unwrap();
    stores.models.set_active(&w.other, ours.id, "m", false).await.unwrap();
    // It stays when who made it goes, and goes with the workspace.
    stores.workspaces.remove_member(&w.other, workspace, w.me.user.into()).await.unwrap();
    missing(c.get(&w.me, ours.id).await);
    stores.users.delete(&w.admin, w.me.user).await.unwrap();
    c.get(&w.other, ours.id).await.unwrap();
    stores.workspaces.delete(&w.other, workspace).await.unwrap();
    missing(c.get(&w.other, ours.id).await);
}

pub async fn viewers_use_no_connection_of_the_workspace(stores: &Stores) {
    let (w, _, ours) = in_workspace(stores, WorkspaceRole::Viewer).await;
    let c = &stores.connections;
    missing(c.get(&w.other, ours.id).await);
    missing(c.update(&w.other, &ours, &ours).await);
    missing(c.delete(&w.other, ours.id).await);
    missing(stores.models.replace(&w.other, ours.id, &[], at(2)).await);
    assert!(c.list(&w.other, PageRequest::default()).await.unwrap().data.is_empty());
    assert!(stores.models.list(&w.other).await.unwrap().is_empty());
}
