use super::file::file;
use super::world::{World, all, at, finish, id, missing, refused, session, text_events, user};
use crate::error::ErrorKind;
use crate::knowledge::StorageQuotas;
use crate::scope::Role;
use crate::usage::UsageFilter;
use crate::user::{EnsuredUser, UserChange};
use crate::{PageRequest, Scope, Stores, TenantId, UserId};

pub async fn created_user_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let ada = user(Some("ada@example.org"), Role::Admin);
    stores.users.create(&w.me, &ada).await.unwrap();
    assert_eq!(stores.users.get(&w.me, ada.id).await.unwrap(), ada);
}

pub async fn taken_id_or_address_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let ada = user(Some("ada@example.org"), Role::User);
    stores.users.create(&w.me, &ada).await.unwrap();
    refused(stores.users.create(&w.me, &ada).await, ErrorKind::Conflict);
    let namesake = user(Some("ada@example.org"), Role::User);
    refused(stores.users.create(&w.me, &namesake).await, ErrorKind::Conflict);
    stores.users.create(&w.stranger, &namesake).await.unwrap();
    // No address is not an address that is taken.
    stores.users.create(&w.me, &user(None, Role::User)).await.unwrap();
}

pub async fn absent_user_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let absent: UserId = id();
    missing(stores.users.get(&w.me, absent).await);
    missing(stores.users.update(&w.me, absent, &UserChange::default(), at(1)).await);
    missing(stores.users.delete(&w.me, absent).await);
}

pub async fn other_tenant_sees_no_user(stores: &Stores) {
    let w = World::new(stores).await;
    let ada = user(None, Role::User);
    stores.users.create(&w.me, &ada).await.unwrap();
    missing(stores.users.get(&w.stranger, ada.id).await);
    missing(stores.users.update(&w.stranger, ada.id, &UserChange::default(), at(1)).await);
    missing(stores.users.delete(&w.stranger, ada.id).await);
    let seen = stores.users.list(&w.stranger, PageRequest::default()).await.unwrap();
    assert_eq!(seen.data.len(), 1);
}

pub async fn users_are_listed_oldest_first(stores: &Stores) {
    let w = World::new(stores).await;
    for _ in 0..2 {
        stores.users.create(&w.me, &user(None, Role::User)).await.unwrap();
    }
    let users = all(|page| stores.users.list(&w.me, page)).await;
    assert_eq!(users.len(), 5);
    assert!(users.is_sorted_by_key(|user| user.id));
    assert_eq!(users[0].id, w.me.user);
}

pub async fn update_changes_what_is_given(stores: &Stores) {
    let w = World::new(stores).await;
    let before = stores.users.get(&w.me, w.me.user).await.unwrap();
    let change = UserChange { name: Some("Grace".into()), is_active: Some(false), ..UserChange::default() };
    let after = stores.users.update(&w.me, w.me.user, &change, at(9)).await.unwrap();
    assert_eq!((after.name.as_str(), after.is_active, after.updated_at), ("Grace", false, at(9)));
    assert_eq!((after.role, &after.settings), (before.role, &before.settings));
    let change = UserChange { settings: Some(serde_json::Value::Null), ..UserChange::default() };
    stores.users.update(&w.me, w.me.user, &change, at(10)).await.unwrap();
    let after = stores.users.get(&w.me, w.me.user).await.unwrap();
    assert_eq!((after.settings, after.name.as_str()), (serde_json::Value::Null, "Grace"));
}

pub async fn deleted_user_takes_all_they_own(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace = w.workspace("w").await;
    let prompt = super::world::prompt(Some(workspace.id), "p");
    stores.prompts.create(&w.me, &prompt).await.unwrap();
    let mut inside = super::world::conversation("inside");
    inside.workspace_id = Some(workspace.id);
    stores.conversations.create(&w.me, &inside).await.unwrap();
    let begin = w.begun().await;
    stores.runs.finish(&w.me, &finish(&begin, "x", text_events(1, &["x"]))).await.unwrap();
    let connection = w.connection("c").await;
    let session = session();
    stores.sessions.create(&w.me, &session).await.unwrap();
    let file = file("a.txt");
    stores.files.begin_upload(&w.me, file.blob_id, w.worker).await.unwrap();
    stores.files.create(&w.me, &file, &StorageQuotas::default()).await.unwrap();

    stores.users.delete(&w.admin, w.me.user).await.unwrap();
    missing(stores.users.get(&w.admin, w.me.user).await);
    missing(stores.workspaces.get(&w.me, workspace.id).await);
    missing(stores.prompts.get(&w.me, prompt.id).await);
    missing(stores.conversations.get(&w.me, inside.id).await);
    missing(stores.conversations.get(&w.me, begin.run.conversation_id).await);
    missing(stores.runs.get(&w.me, begin.run.id).await);
    missing(stores.connections.get(&w.me, connection.id).await);
    missing(stores.sessions.get(&w.me, session.id).await);
    missing(stores.files.get(&w.me, file.id, at(0)).await);
    let loose = stores.queue.blobs_to_remove(w.worker, at(0), super::knowledge_world::LONG, 9).await.unwrap();
    assert_eq!(loose.iter().map(|blob| blob.id).collect::<Vec<_>>(), [file.blob_id]);
    // The tenant's accounts stay whole.
    let sums = stores.usage.summarize(&w.admin, &UsageFilter::default()).await.unwrap();
    assert_eq!(sums[0].calls, 1);
    stores.users.get(&w.stranger, w.me.user).await.unwrap();
}

fn ensured(name: Option<&str>, role: Option<Role>) -> EnsuredUser {
    let name = name.map(Into::into);
    EnsuredUser { tenant_key: "acme".into(), user_key: "u-17".into(), name, role }
}

fn of_keys() -> Scope {
    let tenant = TenantId::of_key("acme");
    Scope { tenant, user: UserId::of_key(tenant, "u-17"), role: Role::User }
}

pub async fn ensured_user_is_there(stores: &Stores) {
    let w = World::new(stores).await;
    let scope = of_keys();
    assert_eq!(stores.users.standing(&scope).await.unwrap(), None);
    let standing = stores.users.ensure(&scope, &ensured(None, None), at(1)).await.unwrap();
    assert_eq!((standing.name.as_str(), standing.role), ("u-17", Role::User));
    assert!(standing.is_active && standing.tenant_is_active && !standing.is_being_deleted);
    assert_eq!(stores.users.standing(&scope).await.unwrap(), Some(standing));
    let stored = stores.users.get(&scope, scope.user).await.unwrap();
    assert_eq!((stored.id, stored.key.as_deref(), stored.email), (scope.user, Some("u-17"), None));
    assert_eq!((stored.created_at, stored.settings), (at(1), serde_json::json!({})));
    // The same user id in another tenant is somebody else.
    let elsewhere = Scope { user: scope.user, ..w.stranger };
    assert_eq!(stores.users.standing(&elsewhere).await.unwrap(), None);
    stores.users.ensure(&w.stranger, &ensured(Some("Eve"), None), at(2)).await.unwrap();
    assert_eq!(stores.users.get(&w.me, w.me.user).await.unwrap().name, "Ada");
    assert_eq!(stores.users.standing(&w.stranger).await.unwrap().unwrap().name, "Eve");
}

pub async fn ensuring_again_changes_what_is_given(stores: &Stores) {
    let scope = of_keys();
    let admin = Some(Role::Admin);
    for (name, role, expected) in [
        (Some("Ann"), admin, ("Ann", Role::Admin)),
        (None, None, ("Ann", Role::Admin)),
        (Some("Anne"), None, ("Anne", Role::Admin)),
        (None, Some(Role::User), ("Anne", Role::User)),
    ] {
        let standing = stores.users.ensure(&scope, &ensured(name, role), at(2)).await.unwrap();
        assert_eq!((standing.name.as_str(), standing.role), expected);
        assert_eq!(stores.users.standing(&scope).await.unwrap(), Some(standing));
    }
    // Whether one may act is no matter of being ensured.
    let change = UserChange { is_active: Some(false), ..UserChange::default() };
    stores.users.update(&scope, scope.user, &change, at(3)).await.unwrap();
    assert!(!stores.users.ensure(&scope, &ensured(None, admin), at(4)).await.unwrap().is_active);
}

pub async fn parallel_calls_ensure_one_user(stores: &Stores) {
    let scope = of_keys();
    let ensured = ensured(Some("Ann"), None);
    let calls = (0..20).map(|n| stores.users.ensure(&scope, &ensured, at(n)));
    for standing in futures_util::future::join_all(calls).await {
        assert_eq!(standing.unwrap().name, "Ann");
    }
    assert_eq!(all(|page| stores.users.list(&scope, page)).await.len(), 1);
}

pub async fn standing_tells_who_may_act(stores: &Stores) {
    let w = World::new(stores).await;
    let standing = stores.users.standing(&w.admin).await.unwrap().unwrap();
    assert_eq!((standing.name.as_str(), standing.role, standing.is_active), ("Ada", Role::Admin, true));
    let change = UserChange { is_active: Some(false), ..UserChange::default() };
    stores.users.update(&w.me, w.me.user, &change, at(1)).await.unwrap();
    assert!(!stores.users.standing(&w.me).await.unwrap().unwrap().is_active);
    for scope in w.others() {
        assert!(stores.users.standing(&scope).await.unwrap().unwrap().is_active);
    }
    stores.users.delete(&w.me, w.me.user).await.unwrap();
    assert_eq!(stores.users.standing(&w.me).await.unwrap(), None);
}

pub async fn disabled_user_is_to_stop(stores: &Stores) {
    let w = World::new(stores).await;
    let begin = w.begun().await;
    let change = UserChange { is_active: Some(false), ..UserChange::default() };
    stores.users.update(&w.me, w.other.user, &change, at(1)).await.unwrap();
    assert!(stores.workers.beat(w.worker, at(1)).await.unwrap().is_empty());
    stores.users.update(&w.me, w.me.user, &change, at(1)).await.unwrap();
    assert_eq!(stores.workers.beat(w.worker, at(1)).await.unwrap(), [begin.run.id]);
}
