//! Bringing a SQLite file up to date.

use aimate_core::Result;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use super::{SQLITE, TABLE, failed, migrator, missing};
use crate::database::failure;
use crate::database::sqlite::Sqlite;

fn migrations() -> Migrator {
    migrator(SQLITE)
}

/// Applies what is missing; returns its names.
pub(super) async fn migrate(db: &Sqlite) -> Result<Vec<String>> {
    match db.reopen_options() {
        Some(options) => run(&mut options.connect().await.map_err(failure)?).await,
        None => Ok(Vec::new()),
    }
}

/// The names of what is missing.
pub(super) async fn pending(db: &Sqlite) -> Result<Vec<String>> {
    match db.reopen_options() {
        Some(options) => check(&mut options.connect().await.map_err(failure)?).await,
        None => Ok(Vec::new()),
    }
}

/// Applies what is missing, all in one transaction.
pub(crate) async fn run(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    if check(connection).await?.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    // Again, now that nobody else can be at it.
    let names = check(&mut transaction).await?;
    migrations().run_direct(None, &mut *transaction, false).await.map_err(failed)?;
    transaction.commit().await.map_err(failure)?;
    Ok(names)
}

/// The names of what is missing, if the schema is one that this version knows.
pub(crate) async fn check(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let exists = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1")
        .bind(TABLE)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failure)?;
    missing(&migrations(), connection, exists.is_some()).await
}
