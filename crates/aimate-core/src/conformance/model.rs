use super::world::{World, at, connection, id, missing, model};
use crate::Stores;
use crate::connection::{Connection, ConnectionStatus};
use crate::model::{Capability, Model, Prices};

pub async fn replaced_list_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let (one, two) = (w.connection("one").await, w.connection("two").await);
    let full = Model {
        capabilities: vec![Capability::Chat, Capability::JsonSchema],
        prices: Some(Prices { input: 0.15, output: 0.6, cached: None }),
        ..model(&one, "vendor/b:free")
    };
    let bare = Model { context_window: None, capabilities: vec![], is_active: false, ..model(&one, "B") };
    let twice = [full.clone(), bare.clone(), full.clone()];
    stores.models.replace(&w.me, one.id, &twice, at(1)).await.unwrap();
    stores.models.replace(&w.me, two.id, &[model(&two, "a")], at(1)).await.unwrap();
    assert_eq!(stores.models.list(&w.me).await.unwrap(), [bare, full, model(&two, "a")]);
}

pub async fn switched_off_model_stays_off(stores: &Stores) {
    let w = World::new(stores).await;
    let c = w.connection("c").await;
    let listed = [model(&c, "a"), model(&c, "b")];
    stores.models.replace(&w.me, c.id, &listed, at(1)).await.unwrap();
    let off = stores.models.set_active(&w.me, c.id, "a", false).await.unwrap();
    assert_eq!(off, Model { is_active: false, ..model(&c, "a") });

    let renamed = Model { name: "new name".into(), ..model(&c, "a") };
    stores.models.replace(&w.me, c.id, &[renamed.clone(), model(&c, "b")], at(2)).await.unwrap();
    let expected = [Model { is_active: false, ..renamed }, model(&c, "b")];
    assert_eq!(stores.models.list(&w.me).await.unwrap(), expected);
    assert!(stores.models.set_active(&w.me, c.id, "a", true).await.unwrap().is_active);
}

pub async fn models_that_are_gone_go(stores: &Stores) {
    let w = World::new(stores).await;
    let c = w.connection("c").await;
    let many: Vec<Model> = (0..1500).map(|n| model(&c, &format!("m{n:04}"))).collect();
    stores.models.replace(&w.me, c.id, &many, at(1)).await.unwrap();
    assert_eq!(stores.models.list(&w.me).await.unwrap().len(), 1500);
    stores.models.replace(&w.me, c.id, &many[1..2], at(2)).await.unwrap();
    assert_eq!(stores.models.list(&w.me).await.unwrap(), many[1..2]);
    stores.models.replace(&w.me, c.id, &[], at(3)).await.unwrap();
    assert_eq!(stores.models.list(&w.me).await.unwrap(), []);
}

pub async fn replacing_marks_the_connection(stores: &Stores) {
    let w = World::new(stores).await;
    let before =
        Connection { status: ConnectionStatus::Unreachable, stale_since: Some(at(1)), ..connection("c") };
    stores.connections.create(&w.me, &before).await.unwrap();
    stores.models.replace(&w.me, before.id, &[], at(9)).await.unwrap();
    let after = stores.connections.get(&w.me, before.id).await.unwrap();
    assert_eq!(after.models_fetched_at, Some(at(9)));
    assert_eq!((after.stale_since, after.status), (None, ConnectionStatus::Ok));
}

pub async fn models_of_others_are_hidden(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = w.connection("mine").await;
    stores.models.replace(&w.me, mine.id, &[model(&mine, "m")], at(1)).await.unwrap();
    for scope in w.others() {
        assert_eq!(stores.models.list(&scope).await.unwrap(), []);
        missing(stores.models.replace(&scope, mine.id, &[], at(9)).await);
        missing(stores.models.set_active(&scope, mine.id, "m", false).await);
    }
    assert_eq!(stores.models.list(&w.me).await.unwrap(), [model(&mine, "m")]);
    assert_eq!(stores.connections.get(&w.me, mine.id).await.unwrap().models_fetched_at, Some(at(1)));

    let shared = Connection { is_shared: true, ..connection("shared") };
    stores.connections.create(&w.admin, &shared).await.unwrap();
    stores.models.replace(&w.admin, shared.id, &[model(&shared, "s")], at(1)).await.unwrap();
    assert_eq!(stores.models.list(&w.other).await.unwrap(), [model(&shared, "s")]);
    assert_eq!(stores.models.list(&w.stranger).await.unwrap(), []);
    // Who may not manage what is shared switches nothing off for the others.
    missing(stores.models.set_active(&w.other, shared.id, "s", false).await);
    assert_eq!(stores.models.list(&w.me).await.unwrap().last().unwrap(), &model(&shared, "s"));
    stores.models.set_active(&w.admin, shared.id, "s", false).await.unwrap();
}

pub async fn absent_model_is_not_found(stores: &Stores) {
    let w = World::new(stores).await;
    let c = w.connection("c").await;
    missing(stores.models.set_active(&w.me, c.id, "none", true).await);
    missing(stores.models.set_active(&w.me, id(), "none", true).await);
    missing(stores.models.replace(&w.me, id(), &[], at(1)).await);
}
