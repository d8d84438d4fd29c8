//! Bringing the schema up to date.
//!
//! Several processes may start at once: on PostgreSQL one of them holds an
//! advisory lock, on SQLite the file's write lock, and the others find the work
//! done.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use aimate_core::{Error, Result};
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::database::{Database, Names, failure, made_by};
use crate::migrations::{Embedded, TABLE};

/// What `sqlx::migrate!` makes. That macro is not used because it builds both
/// drivers, with SQLite's C code, a second time for the compiler.
fn migrator(embedded: &[Embedded], names: &Names) -> Migrator {
    let migrations = embedded.iter().map(|(version, description, sql)| {
        let sql = names.literal(sql).map_or(SqlStr::from_static(sql), rewritten);
        Migration::new(*version, Cow::Borrowed(*description), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT };
    migrator.dangerous_set_table_name(names.of(TABLE));
    migrator
}

#[expect(clippy::disallowed_methods, reason = "an embedded text with other names, which were checked")]
fn rewritten(text: Arc<str>) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

/// What the missing migrations make, as it is called in the database.
fn to_be_made(embedded: &[Embedded], names: &Names, missing: &[String]) -> Vec<String> {
    let is_missing = |version: i64| missing.iter().any(|name| name.starts_with(&format!("{version:04}_")));
    let (missing, applied): (Vec<_>, Vec<_>) =
        embedded.iter().partition(|(version, ..)| is_missing(*version));
    // What an earlier one made, a later one may make anew.
    let ours: HashSet<_> = applied.into_iter().flat_map(|(_, _, sql)| made_by(sql)).collect();
    let made = missing.into_iter().flat_map(|(_, _, sql)| made_by(sql));
    made.filter(|name| !ours.contains(name)).map(|name| names.of(name)).collect()
}

/// What `name` says that somebody else has made.
fn in_the_way(name: &str) -> Error {
    Error::conflict(format!(
        "the database has a table or index `{name}` already, which is not aiMate's: give aiMate's a schema \
         (PostgreSQL) or a prefix of their own (`schema` and `table_prefix` of the store's options, \
         `DATABASE_SCHEMA` and `DATABASE_TABLE_PREFIX`)"
    ))
}

/// Applies what is missing; returns its names.
pub(crate) async fn run(database: &Database) -> Result<Vec<String>> {
    match database {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(db) => sqlite::migrate(db).await,
        #[cfg(feature = "postgres")]
        Database::Postgres(db) => postgres::migrate(db).await,
    }
}

/// Puts the policies of row-level security on all tables.
pub(crate) async fn secure_rows(database: &Database, role: &str) -> Result<usize> {
    match database {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(_) => Err(Error::unsupported(format!(
            "SQLite has no roles such as `{role}` and no row-level security; PostgreSQL has"
        ))),
        #[cfg(feature = "postgres")]
        Database::Postgres(db) => postgres::secure_rows(db, role).await,
    }
}

/// The names of what is missing.
pub(crate) async fn pending(database: &Database) -> Result<Vec<String>> {
    match database {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(db) => sqlite::pending(db).await,
        #[cfg(feature = "postgres")]
        Database::Postgres(db) => postgres::pending(db).await,
    }
}

/// The names of the migrations that a database lacks, which has our table if it
/// `exists`.
async fn missing(migrator: &Migrator, connection: &mut impl Migrate, exists: bool) -> Result<Vec<String>> {
    let applied = match exists {
        true => connection.list_applied_migrations(&migrator.table_name).await.map_err(failed)?,
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
