use super::login::account;
use super::world::{World, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::identity::Identity;
use crate::login::{Admission, NewAccount};
use crate::{Stores, TenantId};

fn identity(subject: &str) -> Identity {
    Identity::new("https://login.example.org", subject).unwrap()
}

pub async fn linked_identity_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let (tenant, me) = (w.me.tenant, w.me.user);
    let ada = identity("Ada");
    assert_eq!(stores.identities.find(tenant, &ada).await.unwrap(), None);
    stores.identities.link(tenant, me, &ada, at(0)).await.unwrap();
    stores.identities.link(tenant, me, &identity("ada"), at(0)).await.unwrap();
    assert_eq!(stores.identities.find(tenant, &ada).await.unwrap(), Some(me));
    // Another provider's Ada is somebody else, and another tenant knows nobody.
    let elsewhere = Identity::new("https://login.example.com", "Ada").unwrap();
    assert_eq!(stores.identities.find(tenant, &elsewhere).await.unwrap(), None);
    assert_eq!(stores.identities.find(w.stranger.tenant, &ada).await.unwrap(), None);
    assert_eq!(stores.identities.find(tenant, &identity("ADA")).await.unwrap(), None);
}

pub async fn identity_has_one_user(stores: &Stores) {
    let w = World::new(stores).await;
    let (tenant, me, ada) = (w.me.tenant, w.me.user, identity("ada"));
    stores.identities.link(tenant, me, &ada, at(0)).await.unwrap();
    for user in [me, w.other.user] {
        refused(stores.identities.link(tenant, user, &ada, at(1)).await, ErrorKind::Conflict);
    }
    assert_eq!(stores.identities.find(tenant, &ada).await.unwrap(), Some(me));
    missing(stores.identities.link(tenant, id(), &identity("eve"), at(0)).await);
    stores.identities.link(w.stranger.tenant, w.stranger.user, &ada, at(0)).await.unwrap();
}

pub async fn account_comes_with_its_identity(stores: &Stores) {
    let (tenant, ada): (TenantId, _) = (id(), identity("ada"));
    let of = |email: &str, identity: &Identity| NewAccount {
        identity: Some(identity.clone()),
        password_hash: None,
        ..account(tenant, email, Admission::Anyone)
    };
    let made = stores.logins.register(&of("ada@example.org", &ada)).await.unwrap();
    assert_eq!(stores.identities.find(tenant, &ada).await.unwrap(), Some(made.id));
    // All or nothing.
    refused(stores.logins.register(&of("eve@example.org", &ada)).await, ErrorKind::Conflict);
    assert!(stores.logins.find(&"eve@example.org".parse().unwrap()).await.unwrap().is_none());
    let taken = of("ada@example.org", &identity("other"));
    refused(stores.logins.register(&taken).await, ErrorKind::Conflict);
    assert_eq!(stores.identities.find(tenant, &identity("other")).await.unwrap(), None);
}

pub async fn identity_goes_with_its_user(stores: &Stores) {
    let w = World::new(stores).await;
    let ada = identity("ada");
    stores.identities.link(w.me.tenant, w.other.user, &ada, at(0)).await.unwrap();
    stores.users.delete(&w.admin, w.other.user).await.unwrap();
    assert_eq!(stores.identities.find(w.me.tenant, &ada).await.unwrap(), None);
}
