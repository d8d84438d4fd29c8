//! Every statement in the sources is one literal, and fits the schema.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, SqlSafeStr as _, SqliteConnection};
use support::levels;
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

/// Tables that are no tenant's, so that they stay on one node of a cluster.
const OF_NO_TENANT: [&str; 4] = [
    // Which migrations there are, and which processes live.
    "aimate_migrations",
    "workers",
    // By which a tenant is found, whoever signs in.
    "logins",
    "login_attempts",
];

/// A cluster keeps the rows of a tenant on one node: each key and each unique index begins
/// with it.
#[tokio::test]
async fn every_key_begins_with_the_tenant() {
    support::on_each_server_migrated(async |database| {
        let mut session = database.session().await;
        let keys = "SELECT c.relname::text AS name, a.attname::text AS first FROM pg_index x \
            JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0] \
            WHERE x.indisunique AND n.nspname = current_schema()";
        let mut by_tenant = BTreeSet::new();
        let mut others = BTreeSet::new();
        for row in sqlx::query(keys).fetch_all(&mut session).await.unwrap() {
            let (table, first): (String, String) = (row.get("name"), row.get("first"));
            if first == "tenant_id" { &mut by_tenant } else { &mut others }.insert(table);
        }
        assert!(by_tenant.len() > 20, "{by_tenant:?}");
        assert_eq!(others, OF_NO_TENANT.map(str::to_owned).into());
    })
    .await;
}

async fn tables_of_tenants() -> HashSet<String> {
    let folder = support::Folder::new();
    aimate_store::connect(&folder.url()).await.unwrap().close().await;
    let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
    let tables = "SELECT m.name FROM sqlite_master m WHERE m.type = 'table' \
        AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) c WHERE c.name = 'tenant_id')";
    let rows = sqlx::query(tables).fetch_all(&mut session).await.unwrap();
    let tables = rows.iter().map(|row| row.get::<String, _>("name"));
    let tables: HashSet<String> = tables.filter(|table| !OF_NO_TENANT.contains(&&**table)).collect();
    assert!(tables.len() > 20, "{tables:?}");
    tables
}

/// Workers are on one node of a cluster and the rows of tenants on all, where no statement has
/// both, and none locks rows of more than one tenant.
#[tokio::test]
async fn work_is_claimed_where_its_tenant_is() {
    let tables = tables_of_tenants().await;
    let mut wrong = BTreeSet::new();
    for text in sources::statements().on(On::Postgres) {
        let named = levels::tables_of(text);
        if named.contains("workers") && named.iter().any(|table| tables.contains(table)) {
            wrong.insert(format!("workers beside rows of tenants: {text}"));
        }
        // What calls cost is booked for several tenants at once.
        if text.contains("FOR UPDATE") && !levels::is_of_one_tenant(text) && !named.contains("called") {
            wrong.insert(format!("locks rows of several tenants: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", Vec::from_iter(wrong).join("\n"));
}

/// A cluster runs a statement on one node only if each query in it says which tenant's rows
/// it reads: it does not see that they are those of the row outside.
#[tokio::test]
async fn every_query_names_the_tenants_parameter() {
    let tables = tables_of_tenants().await;
    let mut wrong = BTreeSet::new();
    for text in sources::statements().on(On::Postgres) {
        wrong
            .extend(levels::faults(text, &tables).into_iter().map(|fault| format!("{fault}\n    in {text}")));
    }
    assert!(wrong.is_empty(), "{}", Vec::from_iter(wrong).join("\n"));
}

#[test]
fn query_that_takes_the_tenant_from_outside_is_refused() {
    let tables = HashSet::from(["runs".to_owned(), "users".to_owned()]);
    let good = "SELECT r.id, (SELECT u.name FROM users u WHERE u.tenant_id = $1 AND u.id = r.user_id) FROM runs r \
        WHERE r.tenant_id = $1 UNION ALL SELECT r.id, '(' FROM runs r JOIN users u ON u.tenant_id = r.tenant_id \
        WHERE r.tenant_id = $1";
    assert_eq!(levels::faults(good, &tables), [""; 0]);
    let of_all =
        "SELECT (SELECT u.name FROM users u WHERE u.tenant_id = r.tenant_id) FROM runs r WHERE r.id = $1";
    assert_eq!(levels::faults(of_all, &tables), [""; 0], "it binds no tenant");
    for bad in [
        "SELECT 1 FROM runs r WHERE r.tenant_id = $1 AND EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = r.tenant_id)",
        "SELECT 1 FROM runs r WHERE r.tenant_id = $1 AND r.user_id IN (SELECT id FROM users)",
        "SELECT 1 FROM runs WHERE tenant_id = $1 UNION SELECT 1 FROM users",
        "UPDATE runs SET model = 'm' WHERE tenant_id = $1 AND EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 \
            AND runs.tenant_id = u.tenant_id)",
    ] {
        assert!(!levels::faults(bad, &tables).is_empty(), "{bad}");
    }
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
