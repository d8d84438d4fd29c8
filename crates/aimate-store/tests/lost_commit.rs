//! A write that PostgreSQL commits but cannot confirm: the caller learns that its
//! outcome is unknown, and trying again stores nothing twice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::time::Duration;

use aimate_core::conformance::world::{self, World};
use aimate_core::run::{BeginRun, Begun};
use aimate_core::{Error, ErrorKind, Stores};
use aimate_store::{Options, connect_with};
use sqlx::PgConnection;
use support::relay::Relay;

/// One session, whose statements are prepared: what is lost is the answer to
/// the write itself.
async fn stores(schema: &support::Schema, relay: &Relay) -> Stores {
    let options = Options { pool_size: Some(1), ..Options::default() };
    connect_with(&schema.url_through(relay.address), options).await.unwrap().stores()
}

fn is_told_as_unknown(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("may or may not be stored"), "{error}");
}

/// Waits until a row is committed, as another session sees it.
async fn is_committed(session: &mut PgConnection, count: &'static str, id: uuid::Uuid) {
    for _ in 0..5_000 {
        let rows: i64 = sqlx::query_scalar(count).bind(id).fetch_one(&mut *session).await.unwrap();
        if rows == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the write did not reach the server");
}

fn turn(w: &World<'_>, client_id: &str) -> BeginRun {
    let fresh = world::conversation("turn");
    let mut turn = BeginRun { create: Some(fresh.clone()), ..w.turn(fresh.id, None) };
    turn.run.client_id = Some(client_id.to_owned());
    turn
}

#[tokio::test]
async fn turn_is_stored_once_though_its_commit_was_not_confirmed() {
    support::on_each_server(async |schema| {
        let relay = Relay::to(schema.address(), Duration::ZERO).await;
        let stores = stores(schema, &relay).await;
        let w = World::new(&stores).await;
        stores.runs.begin(&w.me, &turn(&w, "first")).await.unwrap();

        let turn = turn(&w, "lost");
        let mut session = schema.session().await;
        relay.loses_answers(true);
        let begin = stores.runs.begin(&w.me, &turn);
        let cut = async {
            is_committed(&mut session, "SELECT count(*) FROM runs WHERE id = $1", turn.run.id.0).await;
            relay.cut();
        };
        let (result, ()) = tokio::join!(begin, cut);
        // Not before: the row is seen by others a moment before the answer is sent.
        relay.loses_answers(false);
        is_told_as_unknown(&result.unwrap_err());

        let Begun::Existing(run) = stores.runs.begin(&w.me, &turn).await.unwrap() else {
            panic!("the turn is begun twice");
        };
        assert_eq!(run.id, turn.run.id);
        let runs = "SELECT count(*) FROM runs WHERE conversation_id = $1";
        let messages = "SELECT count(*) FROM messages WHERE conversation_id = $1";
        for (count, expected) in [(runs, 1), (messages, 2)] {
            let rows: i64 = sqlx::query_scalar(count)
                .bind(turn.run.conversation_id.0)
                .fetch_one(&mut session)
                .await
                .unwrap();
            assert_eq!(rows, expected, "{count}");
        }
    })
    .await;
}

#[tokio::test]
async fn write_that_did_not_reach_the_server_is_stored_by_another_try() {
    support::on_each_server(async |schema| {
        let relay = Relay::to(schema.address(), Duration::ZERO).await;
        let stores = stores(schema, &relay).await;
        let w = World::new(&stores).await;
        let turn = turn(&w, "again");
        relay.cut();
        is_told_as_unknown(&stores.runs.begin(&w.me, &turn).await.unwrap_err());
        assert!(matches!(stores.runs.begin(&w.me, &turn).await.unwrap(), Begun::New));
    })
    .await;
}
