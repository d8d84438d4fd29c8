//! Bringing a schema of a PostgreSQL server up to date.

use aimate_core::{Error, Result};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::{failed, in_the_way, migrator, missing, to_be_made};
use crate::database::postgres::Postgres;
use crate::database::{Names, failure};
use crate::migrations::{POSTGRES, TABLE};

fn migrations(names: &Names) -> Migrator {
    migrator(POSTGRES, names)
}

/// Applies what is missing; returns its names.
pub(super) async fn migrate(db: &Postgres) -> Result<Vec<String>> {
    let mut connection = db.pool.open().await.map_err(failure)?;
    let missing = run(&mut connection, &db.names).await?;
    let _ = connection.close().await;
    db.gate.set_missing(&[]);
    Ok(missing)
}

/// The names of what is missing.
pub(super) async fn pending(db: &Postgres) -> Result<Vec<String>> {
    let missing = check(&mut db.pool.open().await.map_err(failure)?, &db.names).await?;
    db.gate.set_missing(&missing);
    Ok(missing)
}

/// Applies what is missing, each in its own transaction.
pub(crate) async fn run(connection: &mut PgConnection, names: &Names) -> Result<Vec<String>> {
    let mut missing = check(connection, names).await?;
    if !missing.is_empty() {
        check_vector(connection).await?;
        if let Some(name) = made_before(connection, to_be_made(POSTGRES, names, &missing)).await? {
            // Another process may have been at it since.
            missing = check(connection, names).await?;
            if to_be_made(POSTGRES, names, &missing).contains(&name) {
                return Err(in_the_way(&name));
            }
        }
        migrations(names).run_direct(None, &mut *connection, false).await.map_err(failed)?;
    }
    if missing.first().is_some_and(|name| name.starts_with("0001")) {
        seed_statistics(connection, names).await;
    }
    Ok(missing)
}

/// The first of `names` that the schema has already.
async fn made_before(connection: &mut PgConnection, names: Vec<String>) -> Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND c.relname = ANY($1) ORDER BY 1 LIMIT 1",
    )
    .bind(names)
    .fetch_optional(connection)
    .await
    .map_err(failure)
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
    .fetch_optional(&mut *connection)
    .await
    .map_err(failure)?;
    let Some(row) = row else {
        // Not in a schema of our own, where other schemas would not find it. Where it
        // cannot be made, the migration says so.
        let made =
            sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public").execute(connection).await;
        if let Err(error) = made {
            tracing::debug!(%error, "the extension was not made in the schema `public`");
        }
        return Ok(());
    };
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

/// Tells the planner of an empty database what to expect. Without it all works,
/// slower.
#[expect(clippy::disallowed_methods, reason = "the store's own text, with other names")]
async fn seed_statistics(connection: &mut PgConnection, names: &Names) {
    let statistics = AssertSqlSafe(names.rewrite(include_str!("../statistics.sql")));
    let seeded = sqlx::raw_sql(statistics).execute(&mut *connection).await;
    if let Err(error) = seeded {
        tracing::debug!(%error, "the planner's statistics were not seeded");
        // Of no use outside the transaction that failed.
        let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
    }
}

/// The names of what is missing, if the schema is one that this version knows.
pub(crate) async fn check(connection: &mut PgConnection, names: &Names) -> Result<Vec<String>> {
    // Of this schema: one further down the path is another store's.
    let exists = sqlx::query(
        "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() AND c.relname = $1",
    )
    .bind(names.of(TABLE))
    .fetch_optional(&mut *connection)
    .await
    .map_err(failure)?;
    missing(&migrations(names), connection, exists.is_some()).await
}
