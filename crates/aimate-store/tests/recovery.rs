//! Lost connections, dead processes, and sessions while nobody needs them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::time::Duration;

use aimate_core::conformance::world::{self, World, at, id};
use aimate_core::run::AbandonedRun;
use aimate_core::{Engine, ErrorKind, Stores, WorkerId};
use aimate_store::{Options, connect, connect_with};
use futures_util::future::{join, join_all};
use support::relay::Relay;
use support::statements;

#[tokio::test]
async fn broken_sessions_are_replaced() {
    statements::listen();
    support::on_each_server(async |schema| {
        let relay = Relay::to(schema.address(), Duration::ZERO).await;
        let store = connect(&schema.url_through(relay.address)).await.unwrap();
        let stores = store.stores();
        let w = World::new(&stores).await;
        let talk = w.conversation("talk").await;
        for _ in 0..5 {
            // Several sessions, all of which break.
            join_all((0..4).map(|_| stores.conversations.get(&w.me, talk.id))).await;
            relay.cut();
            // A read is tried again; the worker gets its lock back.
            stores.conversations.get(&w.me, talk.id).await.unwrap();
            stores.workers.beat(w.worker, at(1)).await.unwrap();
            relay.cut();
            let refused = stores.conversations.create(&w.me, &world::conversation("lost")).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
            w.conversation("again").await;
        }
        // Others who have seen that its lock is free give the worker the time to
        // take it again.
        let other = joined(&stores).await;
        w.begun().await;
        statements::take();
        let beats = async {
            support::until(async || statements::has_run("pg_postmaster_start_time")).await;
            stores.workers.beat(w.worker, at(2)).await.unwrap();
        };
        assert_eq!(join(taken(&stores, other), beats).await.0, []);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn server_that_is_down_is_not_ready() {
    support::on_each_server(async |schema| {
        let relay = Relay::to(schema.address(), Duration::ZERO).await;
        let store = connect(&schema.url_through(relay.address)).await.unwrap();
        let engine = Engine::builder().store(store.clone()).build().await.unwrap();
        engine.ready().await.unwrap();
        relay.is_down(true);
        support::until(async || engine.ready().await.is_err()).await;
        assert_eq!(engine.ready().await.unwrap_err().kind(), ErrorKind::Unavailable);
        relay.is_down(false);
        support::until(async || engine.ready().await.is_ok()).await;
        engine.drain(Duration::ZERO).await;
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn no_session_is_kept_between_calls() {
    let folder = support::Folder::new();
    let mut stores = vec![connect(&folder.url()).await.unwrap()];
    for server in support::servers() {
        let schema = support::Schema::new(&server).await;
        let options = Options { pool_size: Some(2), ..Options::default() };
        stores.push(connect_with(&schema.url(), options).await.unwrap());
    }
    for store in stores {
        let ports = store.stores();
        let w = World::new(&ports).await;
        let turn = w.begun().await;
        ports.conversations.window(&w.me, turn.run.conversation_id, None, 100, 10).await.unwrap();
        assert_eq!(store.in_use(), 0);
        // Here the model is awaited, by more callers than there are sessions.
        let calls = (0..50).map(|_| ports.conversations.get(&w.me, turn.run.conversation_id));
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(store.in_use(), 0);
        store.close().await;
    }
}

async fn joined(stores: &Stores) -> WorkerId {
    let worker = id();
    stores.workers.join(worker, at(0)).await.unwrap();
    worker
}

/// What a worker gets at once, without waiting for any lease.
async fn taken(stores: &Stores, worker: WorkerId) -> Vec<AbandonedRun> {
    stores.workers.take_abandoned(worker, at(0), Duration::from_secs(1_000_000_000), 10).await.unwrap()
}

/// The process that has the store ends without a word; another one starts.
async fn dies_and_starts_again(url: &str) {
    let store = connect(url).await.unwrap();
    let survivor = connect(url).await.unwrap();
    let turn = {
        let ports = store.stores();
        World::new(&ports).await.begun().await
    };
    let lives = survivor.stores();
    let heir = joined(&lives).await;
    assert_eq!(taken(&lives, heir).await, [], "its worker lives");
    drop(store);

    let mut runs = Vec::new();
    support::until(async || {
        runs = taken(&lives, heir).await;
        !runs.is_empty()
    })
    .await;
    assert_eq!(runs[0].run.id, turn.run.id);
    survivor.close().await;
}

#[tokio::test]
async fn runs_of_a_dead_process_are_taken_at_once_on_sqlite() {
    let folder = support::Folder::new();
    dies_and_starts_again(&folder.url()).await;
    let locks = folder.file().with_file_name("aimate.db-workers");
    assert_eq!(std::fs::read_dir(locks).unwrap().count(), 1, "the dead worker's lock file is removed");
}

#[tokio::test]
async fn runs_of_a_dead_process_are_taken_at_once_on_postgres() {
    support::on_each_server(async |schema| dies_and_starts_again(&schema.url()).await).await;
}

#[tokio::test]
async fn worker_whose_clock_is_a_minute_behind_loses_no_run() {
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        let stores = store.stores();
        let w = World::new(&stores).await;
        w.begun().await;
        let now = aimate_core::Clock::now(&aimate_core::SystemClock);
        let behind = now.minus(Duration::from_secs(60));
        stores.workers.beat(w.worker, behind).await.unwrap();
        let heir = id();
        stores.workers.join(heir, now).await.unwrap();
        let lease = Duration::from_secs(30);
        assert_eq!(stores.workers.take_abandoned(heir, now, lease, 10).await.unwrap(), []);
        store.close().await;
    })
    .await;
}

/// Runs of several tenants, whose workers have left: workers that look at the same moment have
/// each of them once, and none is left.
async fn each_abandoned_run_goes_to_one_worker(stores: &Stores) {
    let mut runs = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let w = World::new(stores).await;
        for _ in 0..4 {
            runs.insert(w.begun().await.run.id);
        }
        stores.workers.leave(w.worker).await.unwrap();
    }
    let heirs = join_all((0..4).map(|_| joined(stores))).await;
    let mut had = Vec::new();
    loop {
        let lease = Duration::from_secs(1_000_000_000);
        let takes = heirs.iter().map(|heir| stores.workers.take_abandoned(*heir, at(0), lease, 3));
        let taken: Vec<_> = join_all(takes).await.into_iter().map(Result::unwrap).collect();
        assert!(taken.iter().all(|of_one| of_one.len() <= 3));
        let before = had.len();
        had.extend(taken.into_iter().flatten().map(|abandoned| abandoned.run.id));
        if had.len() == before {
            break;
        }
    }
    assert_eq!((had.len(), had.into_iter().collect()), (20, runs));
}

#[tokio::test]
async fn abandoned_runs_of_many_tenants_go_to_one_worker_each() {
    let folder = support::Folder::new();
    let store = connect(&folder.url()).await.unwrap();
    each_abandoned_run_goes_to_one_worker(&store.stores()).await;
    store.close().await;
    support::on_each_server_migrated(async |database| {
        let store = support::connected(database).await;
        each_abandoned_run_goes_to_one_worker(&store.stores()).await;
        store.close().await;
    })
    .await;
}
