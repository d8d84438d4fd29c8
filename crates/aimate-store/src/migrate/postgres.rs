//! Bringing a schema of a PostgreSQL server up to date.

use aimate_core::{Error, ErrorKind, Result};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Postgres as Postgresql, Row as _, Transaction};

use super::{failed, in_the_way, migrator, missing, to_be_made};
use crate::database::postgres::{Postgres, search_path};
use crate::database::row_security;
use crate::database::{Names, failure};
use crate::migrations::{POSTGRES, TABLE};

fn migrations(names: &Names) -> Migrator {
    migrator(POSTGRES, names)
}

/// Applies what is missing; returns its names.
pub(super) async fn migrate(db: &Postgres) -> Result<Vec<String>> {
    let mut connection = db.open().await.map_err(failure)?;
    if let Some(schema) = &db.schema {
        prepare_schema(&mut connection, schema, true).await?;
    }
    let missing = run(&mut connection, &db.names, db.schema.as_deref(), db.direct.is_none()).await?;
    match open_gate(db, &[]).await {
        // Whoever makes the tables puts the policies on them next: see `secure_rows`.
        Err(error) if error.kind() == ErrorKind::Invalid => {
            tracing::warn!(%error, "the tables were made, and are not used without row-level security");
        }
        opened => opened?,
    }
    let _ = connection.close().await;
    Ok(missing)
}

/// What the gate says is missing where row-level security is wanted and does not hold.
const POLICIES: &str = "row-level security (`aimate migrate --row-level-security-for ROLE`)";

/// Opens the gate if no migration is missing, nor the policies if they are wanted.
async fn open_gate(db: &Postgres, missing: &[String]) -> Result<()> {
    if db.is_row_secure && missing.is_empty() {
        // Of those who read and write, who may be somebody else than who migrates.
        let mut one = db.pool.open().await.map_err(failure)?;
        let checked = row_security::check(&mut one, &db.names, db.schema.as_deref()).await;
        let _ = one.close().await;
        if let Err(error) = checked {
            if error.kind() == ErrorKind::Invalid {
                db.gate.set_missing(&[POLICIES.to_owned()]);
            }
            return Err(error);
        }
    }
    db.gate.set_missing(missing);
    Ok(())
}

/// Puts the policies of row-level security on all tables.
pub(super) async fn secure_rows(db: &Postgres, role: &str) -> Result<usize> {
    let mut connection = db.open().await.map_err(failure)?;
    let secured = row_security::secure(&mut connection, &db.names, db.schema.as_deref(), role).await;
    if secured.is_ok() && db.is_row_secure {
        let missing = check(&mut connection, &db.names, db.schema.as_deref(), db.direct.is_none()).await?;
        if let Err(error) = open_gate(db, &missing).await {
            // No policy holds for a superuser: another role's store is to use the tables.
            tracing::debug!(%error, "this user is not one to use the tables");
        }
    }
    let _ = connection.close().await;
    secured
}

/// The names of what is missing.
pub(super) async fn pending(db: &Postgres) -> Result<Vec<String>> {
    let mut connection = db.open().await.map_err(failure)?;
    let missing = check(&mut connection, &db.names, db.schema.as_deref(), db.direct.is_none()).await?;
    open_gate(db, &missing).await?;
    Ok(missing)
}

/// The lock of migrations that run in one transaction.
const LOCK: i64 = 0x61694d_61746500;

/// Applies what is missing: each migration in its own transaction, or behind a pooler
/// (`is_pooled`), where no session can be locked, all in one.
pub(crate) async fn run(
    connection: &mut PgConnection,
    names: &Names,
    schema: Option<&str>,
    is_pooled: bool,
) -> Result<Vec<String>> {
    let mut missing = check(connection, names, schema, is_pooled).await?;
    if !missing.is_empty() && is_pooled {
        let mut transaction = on_one_session(connection, schema).await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
        lock.execute(&mut *transaction).await.map_err(failure)?;
        // Another process may have been at it.
        missing = missing_in(&mut transaction, names, schema).await?;
        apply(&mut transaction, names, schema, &mut missing, true).await?;
        transaction.commit().await.map_err(failure)?;
    } else {
        apply(connection, names, schema, &mut missing, false).await?;
    }
    if missing.first().is_some_and(|name| name.starts_with("0001")) {
        seed_statistics(connection, names, schema).await;
    }
    Ok(missing)
}

async fn apply(
    connection: &mut PgConnection,
    names: &Names,
    schema: Option<&str>,
    missing: &mut Vec<String>,
    is_locked: bool,
) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    row_security::see_all(connection, is_locked).await?;
    check_vector(connection).await?;
    if let Some(name) = made_before(connection, to_be_made(POSTGRES, names, missing), schema).await? {
        // Another process may have been at it since.
        *missing = missing_in(connection, names, schema).await?;
        if to_be_made(POSTGRES, names, missing).contains(&name) {
            return Err(in_the_way(&name));
        }
    }
    let mut migrations = migrations(names);
    migrations.set_locking(!is_locked);
    migrations.run_direct(None, connection, false).await.map_err(failed)
}

/// A transaction, which keeps to one session of the server behind a pooler too, and finds the
/// schema's tables first.
#[expect(clippy::disallowed_methods, reason = "the schema's name was checked")]
async fn on_one_session<'c>(
    connection: &'c mut PgConnection,
    schema: Option<&str>,
) -> Result<Transaction<'c, Postgresql>> {
    let begun = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await;
    let mut transaction = begun.map_err(failure)?;
    if let Some(schema) = schema {
        let path = sqlx::raw_sql(AssertSqlSafe(search_path(schema, true)));
        path.execute(&mut *transaction).await.map_err(failure)?;
    }
    Ok(transaction)
}

/// The first of `names` that the schema has already.
async fn made_before(
    connection: &mut PgConnection,
    names: Vec<String>,
    schema: Option<&str>,
) -> Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = COALESCE($2, current_schema()) AND c.relname = ANY($1) ORDER BY 1 LIMIT 1",
    )
    .bind(names)
    .bind(schema)
    .fetch_optional(connection)
    .await
    .map_err(failure)
}

/// Makes the schema if it is not there and may be made.
#[expect(clippy::disallowed_methods, reason = "the schema's name was checked")]
pub(crate) async fn prepare_schema(
    connection: &mut PgConnection,
    schema: &str,
    may_make: bool,
) -> Result<()> {
    let exists = "SELECT has_schema_privilege(oid, 'USAGE') AND (NOT $2 OR has_schema_privilege(oid, 'CREATE')) \
        FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let query = sqlx::query_scalar(exists).bind(schema).bind(may_make);
    let is_ours: Option<bool> = query.fetch_optional(&mut *connection).await.map_err(failure)?;
    match is_ours {
        Some(true) => Ok(()),
        Some(false) => Err(Error::invalid(format!(
            "this user may not make tables in the schema `{schema}`: let its owner run \
             `GRANT USAGE, CREATE ON SCHEMA {schema} TO` this user"
        ))),
        // Then it has no tables either, and all migrations are missing.
        None if !may_make => Ok(()),
        None => {
            // `IF NOT EXISTS`: another process may be at it.
            let make = AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
            match sqlx::raw_sql(make).execute(connection).await {
                Ok(_) => Ok(()),
                Err(error) => match error.as_database_error().and_then(|error| error.code()).as_deref() {
                    Some("42501") => Err(Error::invalid(format!(
                        "this user may not make the schema `{schema}`: let one who may run \
                         `CREATE SCHEMA {schema} AUTHORIZATION` this user"
                    ))
                    .with_source(error)),
                    // Made at the same moment.
                    Some("23505" | "42P06") => Ok(()),
                    _ => Err(failure(error)),
                },
            }
        }
    }
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
        let made = make_vector(connection).await;
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

/// In a transaction of its own, or a part of one: a failure ends nothing else.
async fn make_vector(connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut part = connection.begin().await?;
    sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public").execute(&mut *part).await?;
    part.commit().await
}

/// Tells the planner of an empty database what to expect. Without it all works,
/// slower.
#[expect(clippy::disallowed_methods, reason = "the store's own text, with other names")]
async fn seed_statistics(connection: &mut PgConnection, names: &Names, schema: Option<&str>) {
    let mut statistics = names.rewrite(include_str!("../statistics.sql"));
    if let Some(schema) = schema {
        let begin = format!("BEGIN; {};", search_path(schema, true));
        statistics = statistics.replacen("BEGIN;", &begin, 1);
    }
    // In one message, so that a pooler sends all of it to one session.
    let seeded = sqlx::raw_sql(AssertSqlSafe(statistics)).execute(&mut *connection).await;
    if let Err(error) = seeded {
        tracing::debug!(%error, "the planner's statistics were not seeded");
        // Of no use outside the transaction that failed.
        let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
    }
}

/// The names of what is missing, if the schema is one that this version knows.
pub(crate) async fn check(
    connection: &mut PgConnection,
    names: &Names,
    schema: Option<&str>,
    is_pooled: bool,
) -> Result<Vec<String>> {
    if !is_pooled {
        return missing_in(connection, names, schema).await;
    }
    let mut transaction = on_one_session(connection, schema).await?;
    let missing = missing_in(&mut transaction, names, schema).await?;
    transaction.commit().await.map_err(failure)?;
    Ok(missing)
}

async fn missing_in(
    connection: &mut PgConnection,
    names: &Names,
    schema: Option<&str>,
) -> Result<Vec<String>> {
    // Of this schema: one further down the path is another store's.
    let exists = sqlx::query(
        "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = COALESCE($2, current_schema()) AND c.relname = $1",
    )
    .bind(names.of(TABLE))
    .bind(schema)
    .fetch_optional(&mut *connection)
    .await
    .map_err(failure)?;
    missing(&migrations(names), connection, exists.is_some()).await
}
