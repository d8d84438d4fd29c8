//! Every statement in the sources is one literal, and fits the schema.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqlSafeStr as _, SqliteConnection};
use support::sources::{self, On};

#[test]
fn every_statement_is_one_literal() {
    let sources = sources::statements();
    // Repeats the row of a literal as often as there are rows.
    let repeats = Path::new("knowledge/sqlite_batch.rs");
    let made: Vec<_> = sources.made.iter().filter(|file| *file != repeats).collect();
    assert!(made.is_empty(), "{made:?}");
    assert!(sources.statements.len() > 100, "{}", sources.statements.len());
}

/// The builds of pgvector's indexes are what CVE-2026-3172 is about.
#[test]
fn sec_t40_no_index_of_pgvector_is_built() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    let migrations = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let migrations = migrations.map(|path| std::fs::read_to_string(path).unwrap());
    let texts: Vec<String> =
        sources::statements().on(On::Postgres).map(str::to_owned).chain(migrations).collect();
    assert!(texts.len() > 100, "{}", texts.len());
    for text in texts.iter().map(|text| text.to_ascii_lowercase()) {
        assert!(!text.contains("hnsw") && !text.contains("ivfflat"), "{text}");
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the texts are the store's own")]
async fn every_statement_fits_the_schema_on_sqlite() {
    let folder = support::Folder::new();
    aimate_store::connect(&folder.url()).await.unwrap().close().await;
    let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
    let mut wrong = Vec::new();
    for text in sources::statements().on(On::Sqlite) {
        let prepared = (&mut session).prepare(AssertSqlSafe(text.to_owned()).into_sql_str()).await;
        wrong.extend(prepared.err().map(|error| format!("{error}\n    in {text}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the texts are the store's own")]
async fn every_statement_fits_the_schema_on_postgres() {
    support::on_each_server(async |schema| {
        support::connected(schema).await.close().await;
        let mut session = schema.session().await;
        let sources = sources::statements();
        let copies = sources.on(On::Copy).map(read_instead);
        let mut wrong = Vec::new();
        for text in sources.on(On::Postgres).map(str::to_owned).chain(copies) {
            let prepared = (&mut session).prepare(AssertSqlSafe(text.clone()).into_sql_str()).await;
            wrong.extend(prepared.err().map(|error| format!("{error}\n    in {text}")));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}

/// `COPY` cannot be prepared; reading the same columns can.
fn read_instead(copy: &str) -> String {
    let (table, rest) = copy.strip_prefix("COPY ").unwrap().split_once('(').unwrap();
    let (columns, _) = rest.split_once(')').unwrap();
    format!("SELECT {columns} FROM {table}")
}
