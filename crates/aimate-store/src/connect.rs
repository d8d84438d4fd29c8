//! Opening the database that an address names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aimate_core::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::database::{Database, Row, Sql};
use crate::error::failure;
use crate::knowledge::{DiskBlobs, IndexCache};
use crate::pool::Pool;
use crate::postgres::Postgres;
use crate::sqlite::{Sqlite, writer_options};
use crate::{Info, Kind, Options, SqlStore, migrate};

/// The oldest PostgreSQL that is tested.
const OLDEST_POSTGRES: u32 = 16;

/// Opens the database at `url`.
pub(crate) async fn open(url: &str, options: &Options) -> Result<SqlStore> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return open_sqlite(path, options).await;
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return open_postgres(url, options).await;
    }
    // The address is not repeated: it may hold a password.
    Err(Error::invalid(
        "the database's address is not one of `sqlite:PATH`, `sqlite::memory:` and \
         `postgres://USER:PASSWORD@HOST/DATABASE`",
    ))
}

async fn open_sqlite(path: &str, options: &Options) -> Result<SqlStore> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.contains('?') {
        return Err(Error::invalid(
            "a SQLite address is `sqlite:` and the path of a file, without options; or `sqlite::memory:`",
        ));
    }
    let path = (path != ":memory:").then(|| PathBuf::from(path));
    if let Some(path) = &path {
        prepare_file(path).map_err(|error| not_opened(path, &error.to_string()).with_source(error))?;
    }
    let mut connection = open_writer(path.as_deref(), options.timeout).await?;
    // Nobody else can bring a database in memory up to date.
    if options.migrate || path.is_none() {
        migrate::run_sqlite(&mut connection).await?;
    } else {
        migrate::check_sqlite(&mut connection).await?;
    }
    let folder = || match (&options.blobs, &path) {
        (Some(folder), _) => DiskBlobs::new(folder),
        (None, Some(path)) => DiskBlobs::new(beside(path, ".blobs")),
        (None, None) => DiskBlobs::temporary(),
    };
    let blobs = options.blob_store.clone().unwrap_or_else(|| Arc::new(folder()));
    let address = path.as_ref().map_or(":memory:".to_owned(), |path| path.display().to_string());
    let readers = options.pool_size.unwrap_or(4);
    let database = Database::Sqlite(Sqlite::new(connection, path, readers, options.timeout));
    let index = IndexCache::new(options.index_cache);
    Ok(SqlStore { database, address, blobs, index, ids: Arc::clone(&options.ids) })
}

/// The path whose name goes on with `ending`: no two databases share it.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes the folder and, readable by its owner alone, the file: it will hold
/// conversations and sealed keys.
fn prepare_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

async fn open_writer(path: Option<&Path>, timeout: Duration) -> Result<SqliteConnection> {
    let options = writer_options(path, timeout);
    let give_up = Instant::now() + timeout;
    loop {
        let error = match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        // Going over to WAL needs the file alone and does not wait for it, so
        // that processes that start at the same moment get in each other's way.
        let is_busy = matches!(&error, sqlx::Error::Database(error) if error.code().as_deref() == Some("5"));
        if !is_busy || Instant::now() > give_up {
            let path = path.unwrap_or(Path::new(":memory:"));
            return Err(not_opened(path, &error.to_string()).with_source(error));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn not_opened(path: &Path, why: &str) -> Error {
    Error::unavailable(format!(
        "the database file {} cannot be opened for writing: {why}; give the path of a file that this user \
         may write, in a folder that they may write",
        path.display()
    ))
}

async fn open_postgres(url: &str, options: &Options) -> Result<SqlStore> {
    let connect: PgConnectOptions = url.parse().map_err(|error| {
        Error::invalid("the database's address is not of the form `postgres://USER:PASSWORD@HOST/DATABASE`")
            .with_source(without_url(&error))
    })?;
    let connect = connect.application_name("aimate").statement_cache_capacity(256);
    let database = connect.get_database().unwrap_or_else(|| connect.get_username()).to_owned();
    let address = format!("{}:{}/{database}", connect.get_host(), connect.get_port());
    let pool = Pool::new(connect, options.pool_size.unwrap_or(16), options.timeout);
    let mut connection = pool.open().await.map_err(|error| not_reached(&address, error))?;
    check_version(&connection, &address)?;
    if options.migrate {
        migrate::run_postgres(&mut connection).await?;
    } else {
        migrate::check_postgres(&mut connection).await?;
    }
    // Not for the pool: a migration that broke off may have left its lock.
    let _ = connection.close().await;
    let database = Database::Postgres(Postgres::new(pool, 3 * options.timeout));
    // One folder serves several databases: each has its own part of it.
    let part = address.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    let folder = options.blobs.clone().unwrap_or_else(|| "aimate-data/blobs".into()).join(part);
    let blobs = options.blob_store.clone().unwrap_or_else(|| Arc::new(DiskBlobs::new(folder)));
    let index = IndexCache::new(options.index_cache);
    let ids = Arc::clone(&options.ids);
    Ok(SqlStore { database, address, blobs, index, ids })
}

/// A parser's error could repeat what it parsed; its kind is enough.
fn without_url(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Configuration(_) => "the address could not be parsed",
        _ => "the address could not be used",
    }
}

fn not_reached(address: &str, error: sqlx::Error) -> Error {
    let code = match &error {
        sqlx::Error::Database(error) => error.code().map(|code| code.into_owned()),
        _ => None,
    };
    match code.as_deref() {
        Some("28P01" | "28000") => Error::invalid(format!(
            "the PostgreSQL server at {address} refuses the user or the password of the address"
        )),
        Some("3D000") => Error::invalid(format!(
            "the PostgreSQL server has no database {address}; create it first (`createdb`)"
        )),
        _ => Error::unavailable(format!("the PostgreSQL server at {address} cannot be reached")),
    }
    .with_source(error)
}

fn check_version(connection: &PgConnection, address: &str) -> Result<()> {
    match connection.server_version_num().map(|number| number / 10_000) {
        Some(major) if major < OLDEST_POSTGRES => Err(Error::invalid(format!(
            "the server at {address} is PostgreSQL {major}; aiMate needs {OLDEST_POSTGRES} or newer"
        ))),
        _ => Ok(()),
    }
}

/// What `doctor` tells of a database.
pub(crate) async fn info(store: &SqlStore) -> Result<Info> {
    let (kind, version, pgvector, warnings) = match &store.database {
        Database::Sqlite(db) => {
            let row = store.database.read_first(SQLITE_VERSION.unbound()).await?;
            let version = row.map(|row| row.get("version")).transpose()?.unwrap_or_default();
            let memory = db
                .path()
                .is_none()
                .then(|| "the database is in memory: everything is gone when the process ends".to_owned());
            (Kind::Sqlite, version, None, memory.into_iter().collect())
        }
        Database::Postgres(_) => {
            let row = store.database.read_first(SETTINGS.unbound()).await?;
            let row = row.ok_or_else(|| failure(sqlx::Error::RowNotFound))?;
            (Kind::Postgres, row.get("version")?, row.maybe("pgvector")?, postgres_warnings(&row)?)
        }
    };
    Ok(Info { kind, version, pgvector, address: store.address.clone(), warnings })
}

const SQLITE_VERSION: Sql = Sql::Sqlite("SELECT sqlite_version() AS version");
const SETTINGS: Sql = Sql::Postgres(
    "SELECT current_setting('server_version') AS version, \
     (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector') AS pgvector, \
     current_setting('fsync') AS fsync, \
     current_setting('full_page_writes') AS full_page_writes, \
     current_setting('synchronous_commit') AS synchronous_commit",
);

fn postgres_warnings(row: &Row) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (setting, risk) in [
        ("fsync", "a power loss can destroy the database"),
        ("full_page_writes", "a power loss can destroy the database"),
        ("synchronous_commit", "a power loss can take back what was acknowledged"),
    ] {
        if row.get::<String>(setting)? == "off" {
            warnings.push(format!("the server runs with `{setting} = off`: {risk}"));
        }
    }
    Ok(warnings)
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

    #[tokio::test]
    async fn unreachable_server_is_unavailable() {
        let url = "postgres://u:hunter2@127.0.0.1:1/d";
        let error = open(url, &Options::default()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert!(error.message().contains("127.0.0.1:1/d"), "{error}");
    }
}
