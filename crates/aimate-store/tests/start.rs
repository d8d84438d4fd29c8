//! Opening databases: several processes at once, newer and changed schemas,
//! paths that are not there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use aimate_core::conformance::world::World;
use aimate_core::{Error, ErrorKind};
use aimate_store::{Kind, Options, connect, connect_with};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

/// Connects eight times at once, each on a thread of its own as processes would.
async fn eight_times(url: &str) {
    let connecting = (0..8).map(|_| {
        let url = url.to_owned();
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let store = connect(&url).await?;
                store.stores().workers.ping().await?;
                assert_eq!(store.pending().await?, [""; 0]);
                store.close().await;
                Ok::<_, Error>(())
            })
        })
    });
    for connected in join_all(connecting).await {
        connected.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_start_at_once_on_one_file() {
    for _ in 0..5 {
        let folder = support::Folder::new();
        eight_times(&folder.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_start_at_once_on_one_server() {
    support::on_each_server(async |schema| eight_times(&schema.url()).await).await;
}

fn refused(result: aimate_core::Result<aimate_store::Store>, part: &str) {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains(part), "{error}");
}

const NEWER: &str = "INSERT INTO aimate_migrations (version, description, success, checksum, execution_time) \
    SELECT 9000, 'newer', true, checksum, 0 FROM aimate_migrations WHERE version = 1";
const CHANGED: &str = "UPDATE aimate_migrations SET checksum = (SELECT checksum FROM aimate_migrations \
    WHERE version = 1) WHERE version = 5";

#[tokio::test]
async fn newer_and_changed_schemas_are_refused_on_sqlite() {
    for (statement, part) in [(NEWER, "migration 9000"), (CHANGED, "0005_conversation")] {
        let folder = support::Folder::new();
        connect(&folder.url()).await.unwrap().close().await;
        let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
        sqlx::query(statement).execute(&mut session).await.unwrap();
        refused(connect(&folder.url()).await, part);
        let options = Options { migrate: false, ..Options::default() };
        refused(connect_with(&folder.url(), options).await, part);
    }
}

#[tokio::test]
async fn newer_and_changed_schemas_are_refused_on_postgres() {
    support::on_each_server(async |schema| {
        for (statement, part) in [(CHANGED, "0005_conversation"), (NEWER, "migration 9000")] {
            connect(&schema.url()).await.unwrap().close().await;
            let mut session = schema.session().await;
            sqlx::query(statement).execute(&mut session).await.unwrap();
            refused(connect(&schema.url()).await, part);
            restart(&mut session).await;
        }
    })
    .await;
}

#[expect(clippy::disallowed_methods, reason = "the name is the session's own")]
async fn restart(session: &mut PgConnection) {
    let schema: String =
        sqlx::query_scalar("SELECT current_schema()").fetch_one(&mut *session).await.unwrap();
    let again = format!("DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}");
    sqlx::raw_sql(AssertSqlSafe(again)).execute(session).await.unwrap();
}

#[tokio::test]
async fn migrations_wait_where_that_is_asked_for() {
    let folder = support::Folder::new();
    let options = Options { migrate: false, ..Options::default() };
    let store = connect_with(&folder.url(), options).await.unwrap();
    let pending = store.pending().await.unwrap();
    assert_eq!(pending[0], "0001_user");
    assert_eq!(store.migrate().await.unwrap(), pending);
    assert_eq!(store.migrate().await.unwrap(), [""; 0]);
    let info = store.info().await.unwrap();
    assert_eq!(info.pgvector, None);
    assert_eq!((info.kind, store.kind()), (Kind::Sqlite, Kind::Sqlite));
    assert!(info.version.starts_with("3."));
    store.close().await;
}

#[tokio::test]
async fn folder_is_made_and_file_is_private() {
    let folder = support::Folder::new();
    let path = folder.file().with_file_name("a/b/c.db");
    connect(&format!("sqlite:{}", path.display())).await.unwrap().close().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let below_a_file = format!("sqlite:{}/x.db", path.display());
    let error = connect(&below_a_file).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("x.db"), "{error}");
    std::fs::write(&path, "not a database at all, but long enough to look at").unwrap();
    assert!(connect(&format!("sqlite:{}", path.display())).await.is_err());
}

#[tokio::test]
async fn wrong_database_and_warnings_are_told() {
    for server in support::servers() {
        let (head, _) = server.rsplit_once('/').unwrap();
        let error = connect(&format!("{head}/not_there")).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("not_there"), "{error}");
    }
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        let info = store.info().await.unwrap();
        assert!(info.pgvector.as_ref().is_some_and(|version| version.starts_with("0.")));
        assert_eq!(info.kind, Kind::Postgres);
        assert_eq!((info.is_pooled, info.plan_mode), (false, Some("force_generic_plan")));
        println!("{info:?}");
        store.close().await;
        let late = store.stores().workers.ping().await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Unavailable);
    })
    .await;
}

#[tokio::test]
async fn missing_vector_extension_says_what_to_do() {
    support::on_each_server(async |schema| {
        let url = schema.url().replace(",public", "");
        let error = connect(&url).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.message().contains("schema `public`") && error.message().contains("search_path"),
            "{error}"
        );

        // In a database of its own, whose owner may not add the extension.
        let database = support::OwnDatabase::of(schema).await;
        let error = connect(&database.url()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("CREATE EXTENSION vector"), "{error}");
        database.drop().await;
    })
    .await;
}

#[tokio::test]
async fn database_that_cannot_hold_all_text_is_refused() {
    support::on_each_server(async |schema| {
        let database = support::OwnDatabase::unusual(schema, "LATIN1", "read committed").await;
        let error = connect(&database.url()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("LATIN1") && error.message().contains("UTF8"), "{error}");
        database.drop().await;
    })
    .await;
}

#[tokio::test]
async fn stricter_isolation_of_the_server_refuses_nobody() {
    support::on_each_server(async |schema| {
        let database = support::OwnDatabase::unusual(schema, "UTF8", "serializable").await;
        let store = connect(&database.url()).await.unwrap();
        let stores = store.stores();
        let w = World::new(&stores).await;
        let talk = w.conversation("talk").await;
        let turns: Vec<_> = (0..16).map(|_| w.turn(talk.id, None)).collect();
        let begun = join_all(turns.iter().map(|turn| stores.runs.begin(&w.me, turn))).await;
        assert!(begun.iter().all(Result::is_ok), "{begun:?}");
        store.close().await;
        database.drop().await;
    })
    .await;
}

#[tokio::test]
async fn direct_address_of_another_database_is_refused() {
    support::on_each_server(async |schema| {
        let database = support::OwnDatabase::of(schema).await;
        for (direct, part) in [
            (database.url(), "another one"),
            ("postgres://u:hunter2@127.0.0.1:1/d".to_owned(), "127.0.0.1:1/d"),
            ("sqlite:a.db".to_owned(), "DATABASE_DIRECT_URL"),
        ] {
            let options = Options { direct_url: Some(direct), ..Options::default() };
            let error = connect_with(&schema.url(), options).await.err().unwrap();
            assert!(error.message().contains(part), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let options = Options { direct_url: Some(schema.url()), ..Options::default() };
        connect_with(&schema.url(), options).await.unwrap().close().await;
        database.drop().await;
    })
    .await;
}

/// What Citus has in its catalog, for tables that it has spread.
const SPREAD: &str = "SET allow_system_table_mods = on; \
    INSERT INTO pg_extension SELECT 99999, 'citus', extowner, extnamespace, false, '14.0', NULL, NULL \
        FROM pg_extension WHERE extname = 'plpgsql'; \
    CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod \"char\"); \
    GRANT SELECT ON pg_catalog.pg_dist_partition TO PUBLIC";

#[tokio::test]
async fn statements_on_a_cluster_are_planned_by_their_values() {
    support::on_each_server_migrated(async |database| {
        let mode = async || {
            let store = support::connected(database).await;
            let mode = store.info().await.unwrap().plan_mode.unwrap();
            store.close().await;
            mode
        };
        let mut session = database.session().await;
        sqlx::raw_sql(SPREAD).execute(&mut session).await.unwrap();
        assert_eq!(mode().await, "force_generic_plan", "no table is spread yet");
        sqlx::raw_sql("INSERT INTO pg_dist_partition VALUES ('users', 'h')")
            .execute(&mut session)
            .await
            .unwrap();
        assert_eq!(mode().await, "auto");
    })
    .await;
}
