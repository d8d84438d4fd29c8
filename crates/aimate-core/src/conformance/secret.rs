use super::world::{World, at, connection, sealed};
use crate::Stores;
use crate::connection::Connection;
use crate::sealing::{KeyUse, Resealed, Sealed, SecretKind, StoredSecret};

const KEY: SecretKind = SecretKind::ConnectionKey;

/// A connection of `me` whose key is sealed with this one.
async fn sealed_with(w: &World<'_>, name: &str, key_id: u32) -> Connection {
    let made = Connection { sealed_key: Some(sealed(key_id)), ..connection(name) };
    w.stores.connections.create(&w.me, &made).await.unwrap();
    made
}

/// A secret sealed anew with another key.
fn renewed(stored: &StoredSecret, key_id: u32) -> Resealed {
    Resealed { stored: stored.clone(), sealed: Sealed { key_id, bytes: vec![2; 40] } }
}

async fn only(stores: &Stores, key_id: u32) -> StoredSecret {
    let [one] = stores.secrets.sealed_with(KEY, key_id, None, 10).await.unwrap().try_into().unwrap();
    one
}

pub async fn secrets_are_counted_by_key(stores: &Stores) {
    let w = World::new(stores).await;
    assert_eq!(stores.secrets.count_by_key().await.unwrap(), []);
    for (name, key_id) in [("a", 7), ("b", u32::MAX), ("c", 7)] {
        sealed_with(&w, name, key_id).await;
    }
    stores.connections.create(&w.stranger, &connection("d")).await.unwrap();
    let none = Connection { sealed_key: None, has_key: false, ..connection("e") };
    stores.connections.create(&w.me, &none).await.unwrap();
    let counted = stores.secrets.count_by_key().await.unwrap();
    let of = |key_id, secrets| KeyUse { key_id, secrets };
    assert_eq!(counted, [of(1, 1), of(7, 2), of(u32::MAX, 1)]);
}

pub async fn secrets_are_listed_by_key_and_page(stores: &Stores) {
    let w = World::new(stores).await;
    let mut expected = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        expected.push((
            w.me.tenant,
            sealed_with(&w, name, 2).await.id.uuid(),
            w.me.user.uuid(),
            name.to_owned(),
        ));
    }
    let shared = Connection { is_shared: true, sealed_key: Some(sealed(2)), ..connection("shared") };
    stores.connections.create(&w.admin, &shared).await.unwrap();
    expected.push((w.me.tenant, shared.id.uuid(), w.me.tenant.uuid(), "shared".to_owned()));
    let foreign = Connection { sealed_key: Some(sealed(2)), ..connection("foreign") };
    stores.connections.create(&w.stranger, &foreign).await.unwrap();
    expected.push((w.stranger.tenant, foreign.id.uuid(), w.stranger.user.uuid(), "foreign".to_owned()));
    sealed_with(&w, "other", 3).await;
    expected.sort_by_key(|(tenant, row, ..)| (*tenant, *row));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let some = stores.secrets.sealed_with(KEY, 2, after, 3).await.unwrap();
        assert!(some.len() <= 3);
        let Some(last) = some.last() else { break };
        after = Some((last.tenant, last.row));
        found.extend(some);
    }
    let listed: Vec<_> = found.iter().map(|of| (of.tenant, of.row, of.owner, of.name.clone())).collect();
    assert_eq!(listed, expected);
    assert!(found.iter().all(|of| of.sealed == sealed(2) && of.url == shared.url && of.kind == KEY));
}

pub async fn resealed_secret_is_stored(stores: &Stores) {
    let w = World::new(stores).await;
    let before = sealed_with(&w, "a", 1).await;
    let other = sealed_with(&w, "b", 3).await;
    let next = renewed(&only(stores, 1).await, 2);
    assert_eq!(stores.secrets.reseal(std::slice::from_ref(&next)).await.unwrap(), 1);
    let after = stores.connections.get(&w.me, before.id).await.unwrap();
    assert_eq!(after, Connection { sealed_key: Some(next.sealed), ..before });
    assert_eq!(stores.connections.get(&w.me, other.id).await.unwrap(), other);
    assert_eq!(stores.secrets.reseal(&[]).await.unwrap(), 0);
}

pub async fn secret_that_changed_is_not_resealed(stores: &Stores) {
    let w = World::new(stores).await;
    let (changed, gone) = (sealed_with(&w, "a", 1).await, sealed_with(&w, "b", 4).await);
    let kept = sealed_with(&w, "c", 5).await;
    let mut late = Vec::new();
    for key_id in [1, 4, 5] {
        late.push(renewed(&only(stores, key_id).await, 2));
    }
    let anew = Sealed { key_id: 3, bytes: vec![9; 30] };
    let next = Connection { sealed_key: Some(anew), updated_at: at(1), ..changed.clone() };
    stores.connections.update(&w.me, &changed, &next).await.unwrap();
    stores.connections.delete(&w.me, gone.id).await.unwrap();
    assert_eq!(stores.secrets.reseal(&late).await.unwrap(), 1);
    assert_eq!(stores.connections.get(&w.me, changed.id).await.unwrap(), next);
    let resealed = stores.connections.get(&w.me, kept.id).await.unwrap().sealed_key;
    assert_eq!(resealed.unwrap().key_id, 2);
}

pub async fn update_keeps_a_resealed_secret(stores: &Stores) {
    let w = World::new(stores).await;
    let read = sealed_with(&w, "a", 1).await;
    let resealed = renewed(&only(stores, 1).await, 2);
    stores.secrets.reseal(std::slice::from_ref(&resealed)).await.unwrap();
    // Read before, written after: the old envelope must not come back.
    let renamed = Connection { name: "b".into(), updated_at: at(1), ..read.clone() };
    stores.connections.update(&w.me, &read, &renamed).await.unwrap();
    let stored = stores.connections.get(&w.me, read.id).await.unwrap();
    assert_eq!(stored, Connection { sealed_key: Some(resealed.sealed), ..renamed });
    let removed = Connection { sealed_key: None, has_key: false, key_hint: None, ..stored.clone() };
    stores.connections.update(&w.me, &stored, &removed).await.unwrap();
    assert_eq!(stores.secrets.count_by_key().await.unwrap(), []);
}
