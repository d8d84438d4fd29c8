use super::world::{World, all, at, id, missing, refused};
use crate::error::ErrorKind;
use crate::model::Prices;
use crate::page::PageRequest;
use crate::price::ModelPrice;
use crate::{Scope, Stores};

fn price(model: &str, input: f64, valid_from: i64) -> ModelPrice {
    ModelPrice {
        id: id(),
        model: model.into(),
        prices: Prices { input, output: 0.1, cached: (input > 1.0).then_some(0.3) },
        valid_from: at(valid_from),
        created_at: at(0),
    }
}

async fn created(w: &World<'_>, price: ModelPrice) -> ModelPrice {
    w.stores.prices.create(&w.admin, &price).await.unwrap();
    price
}

pub async fn created_price_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let mut made = Vec::new();
    for n in 0..3 {
        made.push(created(&w, price("lab/*", 0.1 + f64::from(n), i64::from(-n))).await);
    }
    assert_eq!(all(|page| stores.prices.list(&w.me, page)).await, made);
}

pub async fn taken_moment_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let first = created(&w, price("lab/m", 1.0, 0)).await;
    refused(stores.prices.create(&w.admin, &price("lab/m", 2.0, 0)).await, ErrorKind::Conflict);
    refused(stores.prices.create(&w.admin, &first).await, ErrorKind::Conflict);
    stores.prices.create(&w.stranger, &first).await.unwrap();
    missing(stores.prices.create(&Scope { tenant: id(), ..w.admin }, &first).await);
}

pub async fn current_prices_are_those_of_now_and_later(stores: &Stores) {
    let w = World::new(stores).await;
    created(&w, price("lab/m", 1.0, 0)).await;
    let second = created(&w, price("lab/m", 2.0, 10)).await;
    let third = created(&w, price("lab/m", 3.0, 20)).await;
    let other = created(&w, price("lab/n", 4.0, 5)).await;
    let at_once = async |seconds| {
        let mut found = stores.prices.current(&w.me, at(seconds)).await.unwrap();
        found.sort_by_key(|price| price.id);
        found
    };
    assert_eq!(at_once(0).await.len(), 4);
    assert_eq!(at_once(10).await, [second, third.clone(), other.clone()]);
    assert_eq!(at_once(20).await, [third, other]);
}

pub async fn deleted_price_is_gone(stores: &Stores) {
    let w = World::new(stores).await;
    let price = created(&w, price("lab/m", 1.0, 0)).await;
    stores.prices.delete(&w.admin, price.id).await.unwrap();
    missing(stores.prices.delete(&w.admin, price.id).await);
    assert!(stores.prices.current(&w.me, at(1)).await.unwrap().is_empty());
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let ours = created(&w, price("lab/m", 1.0, 0)).await;
    for scope in [w.stranger] {
        missing(stores.prices.delete(&scope, ours.id).await);
        assert!(stores.prices.list(&scope, PageRequest::default()).await.unwrap().data.is_empty());
        assert!(stores.prices.current(&scope, at(1)).await.unwrap().is_empty());
        stores.prices.create(&scope, &ModelPrice { id: id(), ..ours.clone() }).await.unwrap();
    }
    assert_eq!(stores.prices.list(&w.other, PageRequest::default()).await.unwrap().data, [ours]);
}
