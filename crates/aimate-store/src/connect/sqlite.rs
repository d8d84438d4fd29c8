//! Opening a SQLite file, or a database in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aimate_core::{Error, Result};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnection;

use crate::database::sqlite::{Sqlite, reserve_of, writer_options};
use crate::database::{Database, Names, Sql, each, is_disk_full};
use crate::knowledge::{DiskBlobs, IndexCache};
use crate::{Info, Kind, Options, SqlStore, migrate};

const SQLITE_VERSION: Sql = Sql::Sqlite("SELECT sqlite_version() AS version");

/// The first ten things that are wrong; `ok` if nothing is.
const CHECK: Sql = Sql::Sqlite("PRAGMA integrity_check(10)");

/// Opens the database at `path`.
pub(super) async fn open(path: &str, options: &Options) -> Result<SqlStore> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.contains('?') {
        return Err(Error::invalid(
            "a SQLite address is `sqlite:` and the path of a file, without options; or `sqlite::memory:`",
        ));
    }
    if options.schema.is_some() {
        return Err(Error::field("schema", "is for PostgreSQL; a SQLite file takes a `table_prefix`"));
    }
    let names = Names::new(options.table_prefix.as_deref())?;
    let path = (path != ":memory:").then(|| PathBuf::from(path));
    if let Some(path) = &path {
        prepare_file(path).map_err(|error| not_opened(path, &error.to_string()).with_source(error))?;
    }
    let mut connection = open_writer(path.as_deref(), options.timeout).await?;
    // Nobody else can bring a database in memory up to date.
    let missing = if options.migrate || path.is_none() {
        migrate::sqlite::run(&mut connection, &names).await?;
        Vec::new()
    } else {
        migrate::sqlite::check(&mut connection, &names).await?
    };
    let folder = || match (&options.blobs, &path) {
        (Some(folder), _) => DiskBlobs::new(folder),
        (None, Some(path)) => DiskBlobs::new(beside(path, &format!(".{}blobs", names.prefix()))),
        (None, None) => DiskBlobs::temporary(),
    };
    let blobs = options.blob_store.clone().unwrap_or_else(|| Arc::new(folder()));
    let address = path.as_ref().map_or(":memory:".to_owned(), |path| path.display().to_string());
    let readers = options.pool_size.unwrap_or(4);
    let database = Sqlite::new(connection, path, readers, options.timeout, names, options.deletion_reserve);
    database.gate.set_missing(&missing);
    let database = Database::Sqlite(database);
    let index = IndexCache::new(options.index_cache);
    Ok(SqlStore {
        database,
        address,
        blobs,
        index,
        ids: Arc::clone(&options.ids),
        audit_turn: Default::default(),
    })
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
        // Deletions need a process that runs.
        if is_disk_full(&error)
            && let Some(path) = path
            && std::fs::remove_file(reserve_of(path)).is_ok()
        {
            continue;
        }
        // Going over to WAL needs the file alone and does not wait for it, so
        // that processes that start at the same moment get in each other's way.
        let is_busy = matches!(&error, sqlx::Error::Database(error) if error.code().as_deref() == Some("5"));
        if !is_busy || Instant::now() > give_up {
            let path = path.unwrap_or(Path::new(":memory:"));
            if matches!(&error, sqlx::Error::Database(error) if matches!(error.code().as_deref(), Some("11" | "26")))
            {
                return Err(Error::unavailable(format!(
                    "the file {} is damaged, or no database: bring back a backup (`aimate restore`)",
                    path.display()
                ))
                .with_source(error));
            }
            return Err(not_opened(path, &error.to_string()).with_source(error));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What is wrong with the database's file.
pub(super) async fn damage(store: &SqlStore) -> Result<Vec<String>> {
    let rows = store.database.look(CHECK.unbound()).await?;
    let found: Vec<String> = each(&rows, |row| row.get("integrity_check"))?;
    Ok(found.into_iter().filter(|found| found != "ok").collect())
}

fn not_opened(path: &Path, why: &str) -> Error {
    Error::unavailable(format!(
        "the database file {} cannot be opened for writing: {why}; give the path of a file that this user \
         may write, in a folder that they may write",
        path.display()
    ))
}

/// What `doctor` tells of it.
pub(super) async fn info(store: &SqlStore, db: &Sqlite) -> Result<Info> {
    let rows = store.database.look(SQLITE_VERSION.unbound()).await?;
    let version = rows.first().map(|row| row.get("version")).transpose()?.unwrap_or_default();
    let memory = "the database is in memory: everything is gone when the process ends";
    let warnings = db.path().is_none().then(|| memory.to_owned()).into_iter().collect();
    Ok(Info {
        kind: Kind::Sqlite,
        version,
        pgvector: None,
        plan_mode: None,
        is_pooled: false,
        address: store.address.clone(),
        warnings,
    })
}
