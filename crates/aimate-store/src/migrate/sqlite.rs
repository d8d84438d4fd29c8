//! Bringing a SQLite file up to date.

use aimate_core::Result;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use super::{failed, in_the_way, migrator, missing, to_be_made};
use crate::database::sqlite::Sqlite;
use crate::database::{Names, failure};
use crate::migrations::{SQLITE, TABLE};

fn migrations(names: &Names) -> Migrator {
    migrator(SQLITE, names)
}

/// Applies what is missing; returns its names.
pub(super) async fn migrate(db: &Sqlite) -> Result<Vec<String>> {
    match db.reopen_options() {
        Some(options) => {
            let names = run(&mut options.connect().await.map_err(failure)?, &db.names).await?;
            db.gate.set_missing(&[]);
            Ok(names)
        }
        None => Ok(Vec::new()),
    }
}

/// The names of what is missing.
pub(super) async fn pending(db: &Sqlite) -> Result<Vec<String>> {
    match db.reopen_options() {
        Some(options) => {
            let missing = check(&mut options.connect().await.map_err(failure)?, &db.names).await?;
            db.gate.set_missing(&missing);
            Ok(missing)
        }
        None => Ok(Vec::new()),
    }
}

/// Applies what is missing, all in one transaction.
pub(crate) async fn run(connection: &mut SqliteConnection, names: &Names) -> Result<Vec<String>> {
    if check(connection, names).await?.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    // Again, now that nobody else can be at it.
    let missing = check(&mut transaction, names).await?;
    for name in to_be_made(SQLITE, names, &missing) {
        let query = sqlx::query("SELECT 1 FROM sqlite_master WHERE name = $1").bind(&name);
        if query.fetch_optional(&mut *transaction).await.map_err(failure)?.is_some() {
            return Err(in_the_way(&name));
        }
    }
    migrations(names).run_direct(None, &mut *transaction, false).await.map_err(failed)?;
    transaction.commit().await.map_err(failure)?;
    Ok(missing)
}

/// The names of what is missing, if the schema is one that this version knows.
pub(crate) async fn check(connection: &mut SqliteConnection, names: &Names) -> Result<Vec<String>> {
    let exists = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1")
        .bind(names.of(TABLE))
        .fetch_optional(&mut *connection)
        .await
        .map_err(failure)?;
    missing(&migrations(names), connection, exists.is_some()).await
}
