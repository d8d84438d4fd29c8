//! An acknowledged write is stored, whatever other callers did: they may stop
//! waiting at any moment.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use aimate_core::conformance::world::{self, World};
use aimate_core::run::BeginRun;
use aimate_core::{RandomIds, Stores};
use aimate_store::{Options, Store, connect_with};
use sqlx::Connection as _;
use support::relay::Relay;

fn fresh_turn(w: &World<'_>) -> BeginRun {
    let fresh = world::conversation("turn");
    BeginRun { create: Some(fresh.clone()), ..w.turn(fresh.id, None) }
}

/// Whether the turn is stored: all of it, or nothing.
async fn is_stored(w: &World<'_>, turn: &BeginRun) -> bool {
    let (c, id) = (&w.stores.conversations, turn.run.conversation_id);
    let parts = [
        c.get(&w.me, id).await.is_ok(),
        c.message(&w.me, id, turn.messages[0].id).await.is_ok(),
        c.message(&w.me, id, turn.answer.id).await.is_ok(),
        w.stores.runs.get(&w.me, turn.run.id).await.is_ok(),
    ];
    assert!(parts.iter().all(|part| *part == parts[0]), "half a turn is stored: {parts:?}");
    parts[0]
}

/// Guarantees M1: 100 callers give up 5 to 54 ms after they began, on a server
/// that answers after 20 ms, with one session for all.
#[tokio::test]
async fn given_up_calls_take_no_acknowledged_write_with_them() {
    support::on_each_server(async |schema| {
        let relay = Relay::to(schema.address(), Duration::from_millis(20)).await;
        let options = Options { pool_size: Some(1), ..Options::default() };
        let store = connect_with(&schema.url_through(relay.address), options).await.unwrap();
        let stores = store.stores();
        let w = World::new(&stores).await;
        let talk = w.conversation("talk").await;
        let leaf = w.thread(&talk, None, &["a", "b"]).await[1].id;

        let (mut given_up, mut turns) = (0, Vec::new());
        for trial in 0..100 {
            let wait = Duration::from_millis(5 + trial % 50);
            let done = if trial < 50 {
                // A transaction of several statements.
                let into = world::conversation("fork");
                let fork = stores.conversations.fork(&w.me, talk.id, leaf, &into, &RandomIds);
                tokio::time::timeout(wait, fork).await.is_ok()
            } else {
                turns.push(fresh_turn(&w));
                tokio::time::timeout(wait, stores.runs.begin(&w.me, &turns[turns.len() - 1])).await.is_ok()
            };
            given_up += usize::from(!done);
            w.conversation("acknowledged").await;
        }
        assert!(given_up >= 50, "only {given_up} gave up");
        for turn in &turns {
            is_stored(&w, turn).await;
        }
        let mut session = schema.session().await;
        let stored = "SELECT count(*) FROM conversations WHERE title = 'acknowledged'";
        let stored: i64 = sqlx::query_scalar(stored).fetch_one(&mut session).await.unwrap();
        assert_eq!(stored, 100);
        let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aimate' \
            AND state LIKE 'idle in transaction%' AND xact_start < now() - interval '1 second'";
        let open: i64 = sqlx::query_scalar(open).fetch_one(&mut session).await.unwrap();
        assert_eq!(open, 0);
        println!("{given_up} of 100 gave up; {stored} of 100 acknowledged writes are stored");
        store.close().await;
    })
    .await;
}

/// Polls `call` up to `times` times, a millisecond apart, then drops it.
async fn give_up_after(times: u32, call: impl Future) {
    let mut call = pin!(call);
    for _ in 0..times {
        if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Awaits at which calls are given up; none has as many.
const AWAITS: u32 = 12;

/// Gives calls up at each of their awaits in turn.
async fn at_every_await(store: Store) {
    let stores: Stores = store.stores();
    let w = World::new(&stores).await;
    let talk = w.conversation("talk").await;
    let leaf = w.thread(&talk, None, &["a", "b"]).await[1].id;
    let mut stored = 0;
    for times in 0..AWAITS {
        let turn = fresh_turn(&w);
        give_up_after(times, stores.runs.begin(&w.me, &turn)).await;
        let into = world::conversation("fork");
        give_up_after(times, stores.conversations.fork(&w.me, talk.id, leaf, &into, &RandomIds)).await;
        give_up_after(times, stores.conversations.window(&w.me, talk.id, None, 100, 10)).await;
        let workspace = w.workspace("w").await;
        give_up_after(times, stores.workspaces.delete(&w.me, workspace.id)).await;
        let acknowledged = w.conversation("acknowledged").await;

        let other = aimate_store::Store::clone(&store).stores();
        other.conversations.get(&w.me, acknowledged.id).await.unwrap();
        stored += u32::from(is_stored(&w, &turn).await);
    }
    // Some gave up before the store had the turn, and some after.
    assert!((1..AWAITS).contains(&stored), "{stored} stored");
    assert_eq!(store.in_use(), 0);
    store.close().await;
}

#[tokio::test]
async fn calls_given_up_at_every_await_on_sqlite() {
    let folder = support::Folder::new();
    at_every_await(aimate_store::connect(&folder.url()).await.unwrap()).await;
    let mut session = sqlx::SqliteConnection::connect(&folder.url()).await.unwrap();
    let stored = "SELECT count(*) FROM conversations WHERE title = 'acknowledged'";
    let stored: i64 = sqlx::query_scalar(stored).fetch_one(&mut session).await.unwrap();
    assert_eq!(stored, i64::from(AWAITS), "what was acknowledged is in the file");
    session.close().await.unwrap();
    at_every_await(aimate_store::connect("sqlite::memory:").await.unwrap()).await;
}

#[tokio::test]
async fn calls_given_up_at_every_await_on_postgres() {
    support::on_each_server(async |schema| at_every_await(support::connected(schema).await).await).await;
}
