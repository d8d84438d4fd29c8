//! Bringing the schema up to date.
//!
//! Several processes may start at once: on PostgreSQL one of them holds an
//! advisory lock, on SQLite the file's write lock, and the others find the work
//! done.

use std::borrow::Cow;

use aimate_core::{Error, Result};
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqlStr};

use crate::database::Database;
use crate::error::failure;

/// Our own: the database may be an application's, with migrations of its own.
const TABLE: &str = "aimate_migrations";

// `SQLITE` and `POSTGRES`: version, description and text of each migration.
include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

fn sqlite() -> Migrator {
    migrator(SQLITE)
}

fn postgres() -> Migrator {
    migrator(POSTGRES)
}

/// What `sqlx::migrate!` makes. That macro is not used because it builds both
/// drivers, with SQLite's C code, a second time for the compiler.
fn migrator(embedded: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = embedded.iter().map(|(version, description, sql)| {
        let (description, sql) = (Cow::Borrowed(*description), SqlStr::from_static(sql));
        Migration::new(*version, description, MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT };
    migrator.dangerous_set_table_name(TABLE);
    migrator
}

/// Applies what is missing; returns its names.
pub(crate) async fn run(database: &Database) -> Result<Vec<String>> {
    match database {
        Database::Sqlite(db) => match db.reopen_options() {
            Some(options) => run_sqlite(&mut options.connect().await.map_err(failure)?).await,
            None => Ok(Vec::new()),
        },
        Database::Postgres(db) => {
            let mut connection = db.pool.open().await.map_err(failure)?;
            let names = run_postgres(&mut connection).await?;
            let _ = connection.close().await;
            Ok(names)
        }
    }
}

/// The names of what is missing.
pub(crate) async fn pending(database: &Database) -> Result<Vec<String>> {
    match database {
        Database::Sqlite(db) => match db.reopen_options() {
            Some(options) => check_sqlite(&mut options.connect().await.map_err(failure)?).await,
            None => Ok(Vec::new()),
        },
        Database::Postgres(db) => check_postgres(&mut db.pool.open().await.map_err(failure)?).await,
    }
}

/// Applies what is missing, all in one transaction.
pub(crate) async fn run_sqlite(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    if check_sqlite(connection).await?.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    // Again, now that nobody else can be at it.
    let names = check_sqlite(&mut transaction).await?;
    sqlite().run_direct(None, &mut *transaction, false).await.map_err(failed)?;
    transaction.commit().await.map_err(failure)?;
    Ok(names)
}

/// Applies what is missing, each in its own transaction.
pub(crate) async fn run_postgres(connection: &mut PgConnection) -> Result<Vec<String>> {
    let names = check_postgres(connection).await?;
    if !names.is_empty() {
        check_vector(connection).await?;
        postgres().run_direct(None, &mut *connection, false).await.map_err(failed)?;
    }
    if names.first().is_some_and(|name| name.starts_with("0001")) {
        seed_statistics(connection).await;
    }
    Ok(names)
}

/// Whether the extension for vectors, if the database has it, is one that the
/// schema can be made with.
async fn check_vector(connection: &mut PgConnection) -> Result<()> {
    let row = sqlx::query(
        "SELECT e.extversion AS version, n.nspname::text AS schema, to_regtype('vector') IS NOT NULL AS is_seen, \
         to_regtype('halfvec') IS NOT NULL AS has_halves \
         FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
         WHERE e.extname = 'vector'",
    )
    .fetch_optional(connection)
    .await
    .map_err(failure)?;
    let Some(row) = row else { return Ok(()) };
    let (version, schema): (String, String) =
        (row.try_get("version").map_err(failure)?, row.try_get("schema").map_err(failure)?);
    match (row.try_get("is_seen").map_err(failure)?, row.try_get("has_halves").map_err(failure)?) {
        (true, true) => Ok(()),
        (true, false) => Err(Error::invalid(format!(
            "the database has pgvector {version}; aiMate needs 0.7 or newer: install it and run \
             `ALTER EXTENSION vector UPDATE`"
        ))),
        (false, _) => Err(Error::invalid(format!(
            "the database has the pgvector extension in the schema `{schema}`, which is not on the \
             `search_path` of this user; add it there"
        ))),
    }
}

/// What a server says that cannot make the extension.
fn without_vector(error: &sqlx::Error) -> Option<&'static str> {
    let sqlx::Error::Database(error) = error else { return None };
    if !error.message().contains("\"vector\"") && !error.message().contains("vector.control") {
        return None;
    }
    match error.code().as_deref() {
        // Feature not supported; undefined file, before PostgreSQL 16.
        Some("0A000" | "58P01") => Some(
            "the PostgreSQL server has no pgvector extension: install it (package \
             postgresql-NN-pgvector) or use SQLite",
        ),
        // Insufficient privilege.
        Some("42501") => Some(
            "this user may not add the pgvector extension to the database: let one who may run \
             `CREATE EXTENSION vector` in it",
        ),
        _ => None,
    }
}

/// Tells the planner of an empty database what to expect. Without it all works,
/// slower.
async fn seed_statistics(connection: &mut PgConnection) {
    let seeded = sqlx::raw_sql(include_str!("statistics.sql")).execute(&mut *connection).await;
    if let Err(error) = seeded {
        tracing::debug!(%error, "the planner's statistics were not seeded");
        // Of no use outside the transaction that failed.
        let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
    }
}

/// The names of what is missing, if the schema is one that this version knows.
pub(crate) async fn check_sqlite(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let exists = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1")
        .bind(TABLE)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failure)?;
    check(&sqlite(), connection, exists.is_some()).await
}

/// The names of what is missing, if the schema is one that this version knows.
pub(crate) async fn check_postgres(connection: &mut PgConnection) -> Result<Vec<String>> {
    let exists = sqlx::query("SELECT 1 WHERE to_regclass($1) IS NOT NULL")
        .bind(TABLE)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failure)?;
    check(&postgres(), connection, exists.is_some()).await
}

async fn check(migrator: &Migrator, connection: &mut impl Migrate, exists: bool) -> Result<Vec<String>> {
    let applied = match exists {
        true => connection.list_applied_migrations(TABLE).await.map_err(failed)?,
        false => Vec::new(),
    };
    compare(migrator, &applied)
}

fn compare(migrator: &Migrator, applied: &[AppliedMigration]) -> Result<Vec<String>> {
    for done in applied {
        match migrator.iter().find(|known| known.version == done.version) {
            None => return Err(newer(done.version)),
            Some(known) if known.checksum != done.checksum => return Err(changed(known)),
            Some(_) => {}
        }
    }
    let is_missing = |known: &&Migration| applied.iter().all(|done| done.version != known.version);
    Ok(migrator.iter().filter(is_missing).map(name).collect())
}

fn name(migration: &Migration) -> String {
    format!("{:04}_{}", migration.version, migration.description.replace(' ', "_"))
}

fn newer(version: i64) -> Error {
    Error::conflict(format!(
        "the database has migration {version}, which this version ({}) does not know: a newer aiMate wrote \
         it; use that or a newer one",
        env!("CARGO_PKG_VERSION")
    ))
}

fn changed(migration: &Migration) -> Error {
    Error::conflict(format!(
        "migration {} of the database differs from the one this version ({}) knows: it was made by a changed \
         or unreleased build; use that build, or another database",
        name(migration),
        env!("CARGO_PKG_VERSION")
    ))
}

fn failed(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) => failure(error),
        MigrateError::VersionMissing(version) => newer(version),
        MigrateError::ExecuteMigration(error, version) => match without_vector(&error) {
            Some(message) => Error::invalid(message).with_source(error),
            None => {
                Error::internal(format!("migration {version} failed; the database is as it was before it"))
                    .with_source(error)
            }
        },
        error => Error::internal("the schema could not be brought up to date").with_source(error),
    }
}
