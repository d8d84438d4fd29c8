//! Within an application's database: beside tables of the same names, in a schema
//! or under a prefix, and on the connections of its pool.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use aimate_core::conformance::world::World;
use aimate_core::{ErrorKind, PageRequest, Stores};
use aimate_store::{Options, Store, connect, connect_with, from_pool};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, SqliteConnection};

/// What an application may have.
const THEIRS: &str = "CREATE TABLE users (name text); CREATE TABLE messages (id integer PRIMARY KEY, body text); \
    CREATE TABLE files (path text); INSERT INTO users VALUES ('Ann')";

fn prefixed(prefix: &str) -> Options {
    Options { table_prefix: Some(prefix.to_owned()), ..Options::default() }
}

mod prefix_on_sqlite {
    use super::*;

    async fn beside_an_application(case: impl AsyncFn(&Stores)) {
        let folder = support::Folder::new();
        connect(&folder.url()).await.unwrap().close().await;
        std::fs::remove_file(folder.file()).unwrap();
        let mut theirs = SqliteConnection::connect(&format!("{}?mode=rwc", folder.url())).await.unwrap();
        theirs.execute(THEIRS).await.unwrap();
        let store = connect_with(&folder.url(), prefixed("ai_")).await.unwrap();
        case(&store.stores()).await;
        store.close().await;
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut theirs).await.unwrap();
        assert_eq!(left, 1);
    }

    aimate_core::conformance_tests!(beside_an_application);
}

/// An application's pool of two connections, and aiMate's store on it: in a schema
/// and under a prefix.
async fn on_their_pool(schema: &support::Schema) -> (PgPool, Store, String) {
    let pool = PgPoolOptions::new().max_connections(2).connect(&schema.url()).await.unwrap();
    let own = format!("{}_ai", schema.name());
    let blobs = Some(schema.blobs().to_owned());
    let options = Options { schema: Some(own.clone()), pool_size: Some(2), blobs, ..prefixed("ai_") };
    let store = from_pool(pool.clone(), options).await.unwrap();
    (pool, store, own)
}

#[expect(clippy::disallowed_methods, reason = "the name is made of hexadecimal digits")]
async fn drop_schema(schema: &support::Schema, name: &str) {
    let mut session = schema.session().await;
    session.execute(sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE")))).await.unwrap();
}

mod pool_and_schema_on_postgres {
    use super::*;

    async fn on_a_pool(case: impl AsyncFn(&Stores)) {
        support::on_first_server(async |schema| {
            let (pool, store, own) = on_their_pool(schema).await;
            case(&store.stores()).await;
            store.close().await;
            pool.close().await;
            drop_schema(schema, &own).await;
        })
        .await;
    }

    aimate_core::conformance_tests!(on_a_pool);
}

#[tokio::test]
async fn connections_go_back_to_their_pool_as_they_were() {
    support::on_each_server(async |schema| {
        schema.session().await.execute(THEIRS).await.unwrap();
        let (pool, store, own) = on_their_pool(schema).await;
        let stores = store.stores();
        let w = World::new(&stores).await;
        let talk = w.conversation("talk").await;
        let turns: Vec<_> = (0..16).map(|_| w.turn(talk.id, None)).collect();
        let begun =
            futures_util::future::join_all(turns.iter().map(|turn| stores.runs.begin(&w.me, turn))).await;
        assert!(begun.iter().all(Result::is_ok), "{begun:?}");
        for _ in 0..4 {
            let mut theirs = pool.acquire().await.unwrap();
            for (setting, expected) in
                [("plan_cache_mode", "auto"), ("transaction_isolation", "read committed")]
            {
                let value: String = sqlx::query_scalar("SELECT current_setting($1)")
                    .bind(setting)
                    .fetch_one(&mut *theirs)
                    .await
                    .unwrap();
                assert_eq!(value, expected, "{setting}");
            }
            let names: Vec<String> =
                sqlx::query_scalar("SELECT name FROM users").fetch_all(&mut *theirs).await.unwrap();
            assert_eq!(names, ["Ann"]);
        }
        // Two of the pool; the one beside it is the worker's.
        assert!(pool.size() <= 2);
        store.close().await;
        pool.close().await;
        drop_schema(schema, &own).await;
    })
    .await;
}

#[tokio::test]
async fn table_in_the_way_is_named() {
    let folder = support::Folder::new();
    let mut theirs = SqliteConnection::connect(&format!("{}?mode=rwc", folder.url())).await.unwrap();
    theirs.execute(THEIRS).await.unwrap();
    let refused = |error: aimate_core::Error| {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
        let is_named = ["`users`", "`messages`", "`files`"].iter().any(|name| error.message().contains(name));
        assert!(is_named && error.message().contains("table_prefix"), "{error}");
    };
    refused(connect(&folder.url()).await.err().unwrap());
    // Nothing was begun.
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
        .fetch_one(&mut theirs)
        .await
        .unwrap();
    assert_eq!(tables, 3);
    support::on_each_server(async |schema| {
        schema.session().await.execute(THEIRS).await.unwrap();
        refused(connect(&schema.url()).await.err().unwrap());
        let own = format!("{}_ai", schema.name());
        let options = Options { schema: Some(own.clone()), ..Options::default() };
        connect_with(&schema.url(), options).await.unwrap().close().await;
        drop_schema(schema, &own).await;
    })
    .await;
}

#[tokio::test]
async fn two_prefixes_are_two_stores() {
    let folder = support::Folder::new();
    let one = connect_with(&folder.url(), prefixed("one_")).await.unwrap();
    let two = connect_with(&folder.url(), prefixed("two_")).await.unwrap();
    let (ones, twos) = (one.stores(), two.stores());
    let w = World::new(&ones).await;
    w.conversation("talk").await;
    let users =
        |stores: Stores, me| async move { stores.users.list(&me, PageRequest::first(10)).await.unwrap() };
    assert_ne!(users(ones.clone(), w.me).await.data, []);
    assert_eq!(users(twos, w.me).await.data, []);
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let folder = support::Folder::new();
    for prefix in ["ai\"", "x'; DROP TABLE users; --", "1", "ä_"] {
        let error = connect_with(&folder.url(), prefixed(prefix)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    }
    let options = Options { schema: Some("ai".to_owned()), ..Options::default() };
    let error = connect_with(&folder.url(), options).await.err().unwrap();
    assert!(error.message().contains("table_prefix"), "{error}");
    support::on_each_server(async |schema| {
        for name in ["a b", "\"ai\"", "pg_ai", ""] {
            let options = Options { schema: Some(name.to_owned()), ..Options::default() };
            let error = connect_with(&schema.url(), options).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn schema_that_may_not_be_used_is_named() {
    support::on_each_server(async |schema| {
        let database = support::OwnDatabase::of(schema).await;
        let mut admin = PgConnection::connect(&database.url_of_admin()).await.unwrap();
        admin.execute("CREATE SCHEMA theirs").await.unwrap();
        admin.execute(REVOKE).await.unwrap();
        admin.close().await.unwrap();
        for (name, advice) in
            [("theirs", "GRANT USAGE, CREATE ON SCHEMA theirs"), ("ours", "CREATE SCHEMA ours AUTHORIZATION")]
        {
            let options = Options { schema: Some(name.to_owned()), ..Options::default() };
            let error = connect_with(&database.url(), options).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
            assert!(error.message().contains(advice), "{error}");
        }
        database.drop().await;
    })
    .await;
}

/// Takes from the database's owner the right to make schemas in it.
const REVOKE: &str = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), current_user); \
    EXECUTE format('REVOKE CREATE ON DATABASE %I FROM %I', current_database(), current_database()); END $$";

#[tokio::test]
async fn store_that_is_not_migrated_says_so() {
    let folder = support::Folder::new();
    let options = Options { migrate: false, ..prefixed("ai_") };
    let store = connect_with(&folder.url(), options).await.unwrap();
    let stores = store.stores();
    let told = |error: aimate_core::Error| {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(
            error.message().contains("0001_user") && error.message().contains("migrations first"),
            "{error}"
        );
    };
    told(stores.workers.ping().await.err().unwrap());
    told(stores.users.get(&some_scope(), some_scope().user).await.err().unwrap());
    assert_ne!(store.migrate().await.unwrap(), [""; 0]);
    stores.workers.ping().await.unwrap();
    store.close().await;
    support::on_each_server(async |schema| {
        let options = Options { migrate: false, ..Options::default() };
        let store = connect_with(&schema.url(), options).await.unwrap();
        let stores = store.stores();
        told(stores.workers.ping().await.err().unwrap());
        told(stores.users.get(&some_scope(), some_scope().user).await.err().unwrap());
        // Another process does it.
        connect(&schema.url()).await.unwrap().close().await;
        assert_eq!(store.pending().await.unwrap(), [""; 0]);
        stores.workers.ping().await.unwrap();
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn schema_that_is_not_there_yet_is_not_taken_for_another() {
    support::on_each_server(async |schema| {
        // The next one on the search path has a store of its own.
        connect(&schema.url()).await.unwrap().close().await;
        let own = format!("{}_ai", schema.name());
        let waiting = || Options { schema: Some(own.clone()), migrate: false, ..Options::default() };
        let store = connect_with(&schema.url(), waiting()).await.unwrap();
        assert_ne!(store.pending().await.unwrap(), [""; 0]);
        assert_eq!(store.stores().workers.ping().await.err().unwrap().kind(), ErrorKind::Unavailable);
        assert_ne!(store.migrate().await.unwrap(), [""; 0]);
        store.stores().workers.ping().await.unwrap();
        store.close().await;
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'users'";
        let made: i64 =
            sqlx::query_scalar(tables).bind(&own).fetch_one(&mut schema.session().await).await.unwrap();
        assert_eq!(made, 1);
        drop_schema(schema, &own).await;
    })
    .await;
}

#[tokio::test]
async fn migration_that_broke_off_goes_on() {
    support::on_each_server(async |schema| {
        connect(&schema.url()).await.unwrap().close().await;
        // As if it had been killed before the migration that makes an index anew.
        let mut session = schema.session().await;
        session.execute("DELETE FROM aimate_migrations WHERE version = 12").await.unwrap();
        session.execute(AS_BEFORE_12).await.unwrap();
        let made = connect(&schema.url()).await;
        assert!(made.is_ok(), "{:?}", made.err());
        made.unwrap().close().await;
    })
    .await;
}

/// Undoes what the migration 0012 has made.
const AS_BEFORE_12: &str = "DROP INDEX segment_codes_space_id; \
    CREATE INDEX segment_codes_space_id ON segment_codes (tenant_id, space_id)";

fn some_scope() -> aimate_core::Scope {
    use aimate_core::{Role, TenantId, UserId};
    let id = "00000000-0000-7000-8000-000000000001".parse().unwrap();
    aimate_core::Scope { tenant: TenantId(id), user: UserId(id), role: Role::Admin }
}
