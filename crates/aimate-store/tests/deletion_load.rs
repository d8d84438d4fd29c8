//! A large deletion keeps nobody else waiting.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::time::{Duration, Instant};

use aimate_core::conformance::world::{self, World, at};
use aimate_core::deletion::{DeletionStep, DeletionTarget};
use aimate_core::message::Message;
use aimate_core::{PageRequest, Stores};

/// Messages of the one conversation that goes.
const MESSAGES: usize = 10_000;
/// What no write of somebody else takes, however busy the machine is. A deletion in
/// one commit takes several times as long.
const LONG: Duration = Duration::from_secs(2);

async fn fill(w: &World<'_>) {
    let talk = w.conversation("talk").await;
    let mut last: Option<Message> = None;
    for _ in 0..MESSAGES / 500 {
        last = w.thread(&talk, last.as_ref(), &["some words of a message"; 500]).await.pop();
    }
}

async fn others_go_on(stores: &Stores) {
    let (gone, other) = (World::new(stores).await, World::new(stores).await);
    fill(&gone).await;
    let target = DeletionTarget { tenant: gone.me.tenant, user: None };
    stores.deletions.begin(&target, gone.worker, at(0)).await.unwrap();
    let deleting = async {
        let mut steps = Vec::new();
        loop {
            let begun = Instant::now();
            let step = stores.deletions.step(&target, at(1_000)).await.unwrap();
            steps.push(begun.elapsed());
            if step == DeletionStep::Empty {
                return steps;
            }
        }
    };
    let mut waits = Vec::new();
    tokio::pin!(deleting);
    let mut steps = loop {
        let begun = Instant::now();
        let talking = async {
            let talk = world::conversation("talk");
            stores.conversations.create(&other.me, &talk).await.unwrap();
            stores.conversations.list(&other.me, &Default::default(), PageRequest::first(10)).await.unwrap();
        };
        tokio::pin!(talking);
        let ended = tokio::select! {
            biased;
            () = &mut talking => None,
            steps = &mut deleting => Some(steps),
        };
        if let Some(steps) = ended {
            break steps;
        }
        waits.push(begun.elapsed());
    };
    let counts = stores.deletions.find(&target).await.unwrap().unwrap().counts;
    assert_eq!((counts.messages, counts.conversations, counts.users), (MESSAGES as u64, 1, 3));
    for (name, times) in [("steps", &mut steps), ("writes of others", &mut waits)] {
        times.sort_unstable();
        let of = |share: usize| times[(times.len() - 1) * share / 100];
        println!("{} {name}: p50 {:?}, p99 {:?}, most {:?}", times.len(), of(50), of(99), of(100));
    }
    assert!(steps.len() > MESSAGES / 500, "steps of more than 500 messages: {}", steps.len());
    assert!(waits.iter().all(|wait| *wait < LONG), "{:?}", waits.last());
}

#[tokio::test]
async fn others_go_on_while_much_is_deleted_on_sqlite() {
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    others_go_on(&store.stores()).await;
}

#[tokio::test]
async fn others_go_on_while_much_is_deleted_on_postgres() {
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        others_go_on(&store.stores()).await;
        store.close().await;
    })
    .await;
}
