//! How fast the store is, for benches/README.md: `cargo test --release -p
//! aimate-store --test throughput -- --ignored --nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "these are tests"
)]

mod support;

use std::time::{Duration, Instant};

use aimate_core::conformance::world::{self, World};
use aimate_core::message::Message;
use aimate_core::{PageRequest, Stores};
use aimate_store::connect;
use futures_util::future::join_all;

/// Seconds of CPU that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

async fn timed<F: Future<Output = ()>>(name: &str, times: usize, at_once: usize, call: impl Fn(usize) -> F) {
    let (start, used) = (Instant::now(), cpu());
    let mut latencies: Vec<Duration> = join_all((0..at_once).map(async |lane| {
        let mut latencies = Vec::new();
        for n in 0..times / at_once {
            let begun = Instant::now();
            call(n * at_once + lane).await;
            latencies.push(begun.elapsed());
        }
        latencies
    }))
    .await
    .concat();
    latencies.sort();
    println!(
        "{name:40} x{at_once:<3} {:8.0}/s  p50 {:7.0} µs  p99 {:7.0} µs  cpu {:6.0} µs",
        times as f64 / start.elapsed().as_secs_f64(),
        latencies[latencies.len() / 2].as_secs_f64() * 1e6,
        latencies[latencies.len() * 99 / 100].as_secs_f64() * 1e6,
        (cpu() - used) / times as f64 * 1e6,
    );
}

async fn turn(w: &World<'_>, under: &Message) {
    let stores = w.stores;
    let window =
        stores.conversations.window(&w.me, under.conversation_id, Some(under.id), 8000, 100).await.unwrap();
    let turn = w.turn(under.conversation_id, window.messages.last());
    stores.runs.begin(&w.me, &turn).await.unwrap();
    stores
        .runs
        .finish(&w.me, &world::finish(&turn, "An answer.", world::text_events(1, &["An answer."])))
        .await
        .unwrap();
}

async fn measure(stores: &Stores) {
    let w = World::new(stores).await;
    let mut leaves = Vec::new();
    for n in 0..256 {
        let talk = w.conversation(&n.to_string()).await;
        leaves.push(w.thread(&talk, None, &["a", "b"]).await.remove(1));
    }
    let leaf = &leaves[0];
    timed("window of 2", 500, 1, async |_| {
        stores.conversations.window(&w.me, leaf.conversation_id, None, 8000, 100).await.unwrap();
    })
    .await;
    timed("begin", 500, 1, async |_| {
        let turn = w.turn(leaf.conversation_id, Some(leaf));
        stores.runs.begin(&w.me, &turn).await.unwrap();
    })
    .await;
    for at_once in [1, 16, 256] {
        timed("turn: window, begin, finish", 1280, at_once, async |n| turn(&w, &leaves[n % at_once]).await)
            .await;
    }

    for count in [10, 100, 10_000] {
        let talk = w.conversation("long").await;
        let mut last: Option<Message> = None;
        for _ in 0..(count / 500).max(1) {
            let texts = vec!["some text of a message"; count.min(500)];
            last = w.thread(&talk, last.as_ref(), &texts).await.pop();
        }
        timed(&format!("first page of {count}"), 200, 1, async |_| {
            let page = PageRequest::first(50);
            stores.conversations.messages(&w.me, talk.id, None, page).await.unwrap();
        })
        .await;
        timed(&format!("window of 8,000 tokens in {count}"), 100, 1, async |_| {
            stores.conversations.window(&w.me, talk.id, None, 8000, 1000).await.unwrap();
        })
        .await;
        timed(&format!("deletion of {count}"), 1, 1, async |_| {
            stores.conversations.delete(&w.me, talk.id).await.unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn throughput() {
    let folder = support::Folder::new();
    let store = connect(&folder.url()).await.unwrap();
    println!("SQLite");
    measure(&store.stores()).await;
    store.close().await;
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        measure(&store.stores()).await;
        store.close().await;
    })
    .await;
}
