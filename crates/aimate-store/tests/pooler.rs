//! Behind a pooler that gives each transaction another session of the server: PgBouncer 1.21 or
//! newer with `pool_mode = transaction`, at `AIMATE_TEST_POOLER`, before the first server of
//! `AIMATE_TEST_POSTGRES`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::time::Duration;

use aimate_core::conformance::world::{World, at, id};
use aimate_core::run::AbandonedRun;
use aimate_core::{Error, ErrorKind, Stores, WorkerId};
use aimate_store::{Options, Store, connect_with};
use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};
use support::{behind_a_pooler, statements};

fn options(database: &support::Schema) -> Options {
    Options { blobs: Some(database.blobs().to_owned()), ..Options::default() }
}

/// The pooler has twenty sessions of the server, and each start makes or finds the tables.
#[tokio::test(flavor = "multi_thread")]
async fn hundred_start_at_once() {
    behind_a_pooler(async |database, url| {
        let starting = (0..100).map(async |_| {
            let of_schema = Options { schema: Some("all_at_once".into()), ..options(database) };
            let store = connect_with(&url, of_schema).await?;
            store.stores().workers.ping().await?;
            store.stores().workers.join(id(), at(0)).await?;
            assert_eq!(store.pending().await?, [""; 0]);
            store.close().await;
            Ok::<_, Error>(())
        });
        for started in join_all(starting).await {
            started.unwrap();
        }
        let mut session = database.session().await;
        let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let left: i64 = sqlx::query_scalar(locks).fetch_one(&mut session).await.unwrap();
        assert_eq!(left, 0, "a lock stays with a session of the pooler's");
    })
    .await;
}

const SETTINGS: &str = "SELECT ARRAY[current_setting('plan_cache_mode'), current_setting('transaction_isolation'), \
    current_setting('search_path')]";

/// The settings of every session that the pooler has of the server.
async fn settings_of_others(url: &str) -> Vec<Vec<String>> {
    let mut sessions: Vec<PgConnection> = Vec::new();
    for _ in 0..8 {
        let mut session = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut session).await.unwrap();
        sessions.push(session);
    }
    let mut settings = Vec::new();
    for session in &mut sessions {
        settings.push(sqlx::query_scalar(SETTINGS).fetch_one(&mut *session).await.unwrap());
        sqlx::raw_sql("ROLLBACK").execute(session).await.unwrap();
    }
    settings
}

#[tokio::test]
async fn nothing_is_told_to_sessions_that_others_get() {
    behind_a_pooler(async |database, url| {
        let before = settings_of_others(&url).await;
        let of_schema = Options { schema: Some("ours".into()), ..options(database) };
        let store = connect_with(&url, of_schema).await.unwrap();
        let stores = store.stores();
        let w = World::new(&stores).await;
        join_all((0..8).map(|_| w.begun())).await;
        assert_eq!(settings_of_others(&url).await, before);
        let info = store.info().await.unwrap();
        assert!(info.is_pooled);
        assert!(info.warnings.iter().any(|warning| warning.contains("DATABASE_DIRECT_URL")), "{info:?}");
        store.close().await;
    })
    .await;
}

/// Where the server's own settings are right, a unit need not begin with them.
#[tokio::test]
async fn settings_of_the_role_save_two_round_trips() {
    statements::listen();
    behind_a_pooler(async |database, url| {
        let mut session = database.session().await;
        for (is_set, begins) in [(false, true), (true, false)] {
            if is_set {
                let set = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', \
                    current_database()); END $$";
                sqlx::raw_sql(set).execute(&mut session).await.unwrap();
                // Those that the pooler has already keep what they were opened with.
                let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
                sqlx::query(others).execute(&mut session).await.unwrap();
            }
            let store = connect_with(&url, options(database)).await.unwrap();
            let stores = store.stores();
            let w = World::new(&stores).await;
            statements::take();
            stores.users.get(&w.me, w.me.user).await.unwrap();
            assert_eq!(statements::has_run("SET LOCAL plan_cache_mode"), begins);
            store.close().await;
        }
    })
    .await;
}

async fn joined(stores: &Stores) -> WorkerId {
    let worker = id();
    stores.workers.join(worker, at(0)).await.unwrap();
    worker
}

async fn taken(stores: &Stores, worker: WorkerId, lease: Duration) -> Vec<AbandonedRun> {
    stores.workers.take_abandoned(worker, at(0), lease, 10).await.unwrap()
}

const LONG: Duration = Duration::from_secs(1_000_000);

/// A process that dies with a run, and one that lives on.
async fn one_of_two_dies(url: &str, options: Options) -> (Store, WorkerId) {
    let store = connect_with(url, options.clone()).await.unwrap();
    let survivor = connect_with(url, options).await.unwrap();
    World::new(&store.stores()).await.begun().await;
    let heir = joined(&survivor.stores()).await;
    assert_eq!(taken(&survivor.stores(), heir, LONG).await, [], "its worker lives");
    drop(store);
    (survivor, heir)
}

#[tokio::test]
async fn crash_shows_at_once_by_a_session_of_the_server_itself() {
    behind_a_pooler(async |database, url| {
        let direct = Options { direct_url: Some(database.url()), ..options(database) };
        let (survivor, heir) = one_of_two_dies(&url, direct).await;
        let info = survivor.info().await.unwrap();
        assert!(
            info.is_pooled && info.warnings.iter().all(|warning| !warning.contains("pooler")),
            "{info:?}"
        );
        let stores = survivor.stores();
        support::until(async || !taken(&stores, heir, LONG).await.is_empty()).await;
        survivor.close().await;
    })
    .await;
}

#[tokio::test]
async fn crash_shows_when_the_lease_ends_without_one() {
    behind_a_pooler(async |database, url| {
        let (survivor, heir) = one_of_two_dies(&url, options(database)).await;
        let stores = survivor.stores();
        assert_eq!(taken(&stores, heir, LONG).await, [], "nothing but the lease shows it");
        support::until(async || !taken(&stores, heir, Duration::from_millis(1)).await.is_empty()).await;
        survivor.close().await;
    })
    .await;
}

#[tokio::test]
async fn pooler_is_not_the_server_itself() {
    behind_a_pooler(async |database, url| {
        let pooled = Options { direct_url: Some(url.clone()), ..options(database) };
        let error = connect_with(&url, pooled).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("DATABASE_DIRECT_URL"), "{error}");
    })
    .await;
}
