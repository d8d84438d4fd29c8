//! Opening the database that an address names.

#[cfg(feature = "postgres")]
mod look;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use aimate_core::{Error, Result};

use crate::database::Database;
use crate::{Info, Options, SqlStore};

/// Opens the database at `url`.
pub(crate) async fn open(url: &str, options: &Options) -> Result<SqlStore> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        #[cfg(feature = "sqlite")]
        return sqlite::open(path, options).await;
        #[cfg(not(feature = "sqlite"))]
        return Err(not_built_in("SQLite", path, options));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        #[cfg(feature = "postgres")]
        return postgres::open(url, options).await;
        #[cfg(not(feature = "postgres"))]
        return Err(not_built_in("PostgreSQL", url, options));
    }
    // The address is not repeated: it may hold a password.
    Err(Error::invalid(
        "the database's address is not one of `sqlite:PATH`, `sqlite::memory:` and \
         `postgres://USER:PASSWORD@HOST/DATABASE`",
    ))
}

/// Opens the PostgreSQL database of an application's pool.
#[cfg(feature = "postgres")]
pub(crate) use postgres::from_pool;

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn not_built_in(database: &str, _: &str, _: &Options) -> Error {
    Error::invalid(format!("this build cannot open {database} databases; use one with that feature"))
}

/// What `doctor` tells of a database.
pub(crate) async fn info(store: &SqlStore) -> Result<Info> {
    match &store.database {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(db) => sqlite::info(store, db).await,
        #[cfg(feature = "postgres")]
        Database::Postgres(db) => postgres::info(store, db).await,
    }
}

/// What is wrong with the database's file.
pub(crate) async fn damage(store: &SqlStore) -> Result<Vec<String>> {
    match &store.database {
        #[cfg(feature = "sqlite")]
        Database::Sqlite(_) => sqlite::damage(store).await,
        #[cfg(feature = "postgres")]
        Database::Postgres(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use aimate_core::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn other_addresses_are_invalid_and_not_repeated() {
        for url in
            ["mysql://u:hunter2@h/d", "", "sqlite:", "sqlite:a.db?mode=ro", "postgres://u:hunter2@h:port/d"]
        {
            let error = open(url, &Options::default()).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[cfg(feature = "postgres")]
    #[tokio::test]
    async fn unreachable_server_is_unavailable() {
        let url = "postgres://u:hunter2@127.0.0.1:1/d";
        let error = open(url, &Options::default()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert!(error.message().contains("127.0.0.1:1/d"), "{error}");
    }
}
