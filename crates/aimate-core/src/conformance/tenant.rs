use super::world::{World, all, at, finish, id, missing, text_events};
use crate::tenant::TenantChange;
use crate::user::EnsuredUser;
use crate::{Role, Scope, Stores, TenantId, UserId};

/// A new tenant of the key `key`, by its one user.
async fn ensured(stores: &Stores, key: &str) -> Scope {
    let tenant = TenantId::of_key(key);
    let scope = Scope { tenant, user: UserId::of_key(tenant, "u"), role: Role::User };
    let ensured =
        EnsuredUser { tenant_key: key.into(), user_key: "u".into(), name: None, role: Some(Role::User) };
    stores.users.ensure(&scope, &ensured, at(1)).await.unwrap();
    scope
}

pub async fn first_user_makes_their_tenant(stores: &Stores) {
    let w = World::new(stores).await;
    let without_key = stores.tenants.get(w.me.tenant).await.unwrap();
    assert_eq!((without_key.key, without_key.name.as_str(), without_key.is_active), (None, "", true));
    let scope = ensured(stores, "acme").await;
    let acme = stores.tenants.get(scope.tenant).await.unwrap();
    assert_eq!((acme.id, acme.key.as_deref(), acme.name.as_str()), (scope.tenant, Some("acme"), "acme"));
    assert_eq!((acme.is_active, acme.created_at, acme.updated_at), (true, at(1), at(1)));
}

pub async fn tenants_are_listed_by_id(stores: &Stores) {
    World::new(stores).await;
    for key in ["a", "b", "c"] {
        ensured(stores, key).await;
    }
    let tenants = all(|page| stores.tenants.list(page)).await;
    assert_eq!(tenants.len(), 5);
    assert!(tenants.is_sorted_by_key(|tenant| tenant.id));
}

pub async fn update_changes_what_is_given(stores: &Stores) {
    let scope = ensured(stores, "acme").await;
    let change = TenantChange { name: Some("Acme Inc.".into()), is_active: None };
    let named = stores.tenants.update(scope.tenant, &change, at(2)).await.unwrap();
    assert_eq!((named.name.as_str(), named.is_active, named.updated_at), ("Acme Inc.", true, at(2)));
    let change = TenantChange { name: None, is_active: Some(false) };
    stores.tenants.update(scope.tenant, &change, at(3)).await.unwrap();
    let stored = stores.tenants.get(scope.tenant).await.unwrap();
    assert_eq!(
        (stored.name.as_str(), stored.is_active, stored.key.as_deref()),
        ("Acme Inc.", false, Some("acme"))
    );
    // Its users come and go, and it stays as it is.
    ensured(stores, "acme").await;
    assert_eq!(stores.tenants.get(scope.tenant).await.unwrap(), stored);
}

pub async fn absent_tenant_is_not_found(stores: &Stores) {
    let absent: TenantId = id();
    missing(stores.tenants.get(absent).await);
    missing(stores.tenants.update(absent, &TenantChange::default(), at(1)).await);
}

pub async fn users_of_a_disabled_tenant_are_to_stop(stores: &Stores) {
    let w = World::new(stores).await;
    let begin = w.begun().await;
    let change = TenantChange { name: None, is_active: Some(false) };
    stores.tenants.update(w.stranger.tenant, &change, at(1)).await.unwrap();
    assert!(stores.workers.beat(w.worker, at(1)).await.unwrap().is_empty());
    stores.tenants.update(w.me.tenant, &change, at(1)).await.unwrap();
    assert_eq!(stores.workers.beat(w.worker, at(1)).await.unwrap(), [begin.run.id]);
    for scope in [w.me, w.other, w.admin] {
        let standing = stores.users.standing(&scope).await.unwrap().unwrap();
        assert!(standing.is_active && !standing.tenant_is_active);
    }
    stores.runs.finish(&w.me, &finish(&begin, "x", text_events(1, &["x"]))).await.unwrap();
}
