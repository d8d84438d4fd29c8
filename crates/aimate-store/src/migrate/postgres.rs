//! Bringing a schema of a PostgreSQL server up to date.

use aimate_core::{Error, Result};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use super::{POSTGRES, TABLE, failed, migrator, missing};
use crate::database::failure;
use crate::database::postgres::Postgres;

fn migrations() -> Migrator {
    migrator(POSTGRES)
}

/// Applies what is missing; returns its names.
pub(super) async fn migrate(db: &Postgres) -> Result<Vec<String>> {
    let mut connection = db.pool.open().await.map_err(failure)?;
    let names = run(&mut connection).await?;
    let _ = connection.close().await;
    Ok(names)
}

/// The names of what is missing.
pub(super) async fn pending(db: &Postgres) -> Result<Vec<String>> {
    check(&mut db.pool.open().await.map_err(failure)?).await
}

/// Applies what is missing, each in its own transaction.
pub(crate) async fn run(connection: &mut PgConnection) -> Result<Vec<String>> {
    let names = check(connection).await?;
    if !names.is_empty() {
        check_vector(connection).await?;
        migrations().run_direct(None, &mut *connection, false).await.map_err(failed)?;
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

/// Tells the planner of an empty database what to expect. Without it all works,
/// slower.
async fn seed_statistics(connection: &mut PgConnection) {
    let seeded = sqlx::raw_sql(include_str!("../statistics.sql")).execute(&mut *connection).await;
    if let Err(error) = seeded {
        tracing::debug!(%error, "the planner's statistics were not seeded");
        // Of no use outside the transaction that failed.
        let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
    }
}

/// The names of what is missing, if the schema is one that this version knows.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<Vec<String>> {
    let exists = sqlx::query("SELECT 1 WHERE to_regclass($1) IS NOT NULL")
        .bind(TABLE)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failure)?;
    missing(&migrations(), connection, exists.is_some()).await
}
