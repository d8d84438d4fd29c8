//! Backups of a SQLite database with the bytes of its documents, in one file that
//! is a SQLite database itself.
//!
//! The file is the database of one moment, copied by `VACUUM INTO` while others go
//! on writing, and two tables more: `backup_bytes` with the bytes of every document
//! of that moment, in pieces, and `backup_manifest` with what the file is. Whoever
//! opens it, by `aimate` or another program, sees everything. While it is written,
//! no process removes bytes of documents.

mod bytes;
mod restore;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aimate_core::knowledge::BlobStore;
use aimate_core::{Error, Result, SystemClock, Timestamp, WorkerId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqlSafeStr as _, SqlStr, query, query_scalar,
};

use crate::database::{Database, Names, Sql, failure};
use crate::{SqlStore, Store};

pub use restore::{RestoreTarget, restore};

/// The version of the file's shape.
const FORMAT: &str = "1";
/// What the manifest calls the prefix of the tables' names.
const TABLE_PREFIX: &str = "table_prefix";
/// How often a backup says that it is still being made.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// Makes a worker of the backup, while which lives no bytes are removed.
const KEEP: Sql = Sql::Sqlite(
    "INSERT INTO workers (id, beat_at, keeps_blobs) VALUES ($1, $2, 1) \
     ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at",
);
const LET_GO: Sql = Sql::Sqlite("DELETE FROM workers WHERE id = $1");

/// What is in a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// Documents.
    pub documents: u64,
    /// Bytes of theirs.
    pub bytes: u64,
    /// Whether the encryption keys are in it.
    pub has_keys: bool,
    /// Documents whose bytes are not in it, because they were gone or altered
    /// already: their names.
    pub without_bytes: Vec<String>,
}

impl Store {
    /// Writes everything that is stored at this moment into one new `file`, with
    /// the bytes of all documents and, if they are given, the encryption `keys`
    /// (the text of the key file; without it, the keys of connections cannot be
    /// opened after [`restore`]). Others may go on using the store. The file is
    /// read through before it gets its name.
    ///
    /// # Errors
    /// `Conflict` if there is such a file; `Unsupported` for PostgreSQL, which
    /// `pg_dump` backs up, and for a database in memory; `Unavailable` if
    /// something cannot be read or written. No file is left then.
    pub async fn backup(&self, file: &Path, keys: Option<&str>) -> Result<Backup> {
        let Database::Sqlite(db) = &self.0.database else {
            return Err(Error::unsupported(
                "a PostgreSQL database is backed up by `pg_dump`, and the folder of documents by copying it \
                 after that",
            ));
        };
        let Some(path) = db.path() else {
            return Err(Error::unsupported("a database in memory cannot be backed up; give it a file"));
        };
        db.check_file()?;
        if file.symlink_metadata().is_ok() {
            return Err(Error::conflict(format!(
                "{} is there already; a backup overwrites nothing: give another name",
                file.display()
            )));
        }
        let keeping = Keeping::begin(&self.0).await?;
        let part = beside(file, ".part");
        let written = tokio::select! {
            written = write(path, &db.names, &part, self.0.blobs.as_ref(), keys) => written,
            error = keeping.go_on(&self.0) => Err(error),
        };
        keeping.end(&self.0).await;
        let written = match written {
            Ok(written) => read_through(&part).await.map(|_| written),
            Err(error) => Err(error),
        };
        let named = written.and_then(|written| give_name(&part, file).map(|()| written));
        if named.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        named
    }
}

/// Keeps every process from removing bytes.
struct Keeping(WorkerId);

impl Keeping {
    async fn begin(store: &SqlStore) -> Result<Self> {
        let keeping = Self(store.ids.next().into());
        #[cfg(feature = "sqlite")]
        if let Database::Sqlite(db) = &store.database {
            db.lock_worker(keeping.0).await;
        }
        keeping.beat(store).await?;
        Ok(keeping)
    }

    async fn beat(&self, store: &SqlStore) -> Result<()> {
        store.database.execute(KEEP.bind(self.0).bind(now())).await?;
        Ok(())
    }

    /// Until a beat fails.
    async fn go_on(&self, store: &SqlStore) -> Error {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            if let Err(error) = self.beat(store).await {
                return error;
            }
        }
    }

    async fn end(self, store: &SqlStore) {
        if let Err(error) = store.database.execute(LET_GO.bind(self.0)).await {
            tracing::warn!(
                ?error,
                "that a backup has ended could not be stored; it counts as over in a minute"
            );
        }
        if let Database::Sqlite(db) = &store.database {
            db.unlock_worker(self.0).await;
        }
    }
}

fn now() -> Timestamp {
    aimate_core::Clock::now(&SystemClock)
}

/// `path` whose name goes on with `ending`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// How a file that nobody else has open is opened: what becomes of it in a power
/// cut does not matter until it has its name.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
}

async fn write(
    database: &Path,
    names: &Names,
    part: &Path,
    blobs: &dyn BlobStore,
    keys: Option<&str>,
) -> Result<Backup> {
    // Empty, and its owner's alone, before anything is in it.
    make_private(part).map_err(|error| not_written(part, error))?;
    let mut live = SqliteConnectOptions::new().filename(database).connect().await.map_err(failure)?;
    let target = part.to_str().ok_or_else(|| Error::invalid("the backup's path is not UTF-8"))?;
    query("VACUUM INTO $1").bind(target).execute(&mut live).await.map_err(failure)?;
    live.close().await.map_err(failure)?;

    let mut copy = options(part).connect().await.map_err(failure)?;
    for statement in [
        // Processes of another time.
        query(renamed(names, "DELETE FROM workers")),
        query(renamed(names, "DELETE FROM loose_blobs")),
        query("CREATE TABLE backup_manifest (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT"),
        query(
            "CREATE TABLE backup_bytes (tenant_id BLOB NOT NULL, id BLOB NOT NULL, piece INTEGER NOT NULL, \
             bytes BLOB NOT NULL, PRIMARY KEY (tenant_id, id, piece)) STRICT",
        ),
    ] {
        statement.execute(&mut copy).await.map_err(failure)?;
    }
    let mut backup = bytes::copy(&mut copy, names, blobs).await?;
    backup.has_keys = keys.is_some();
    let made = now().0.to_string();
    let manifest = [
        ("format", FORMAT),
        ("version", env!("CARGO_PKG_VERSION")),
        ("made_at", &made),
        (TABLE_PREFIX, names.prefix()),
    ];
    for (name, value) in manifest.into_iter().chain(keys.map(|keys| ("keys", keys))) {
        let insert = query("INSERT INTO backup_manifest (name, value) VALUES ($1, $2)");
        insert.bind(name).bind(value).execute(&mut copy).await.map_err(failure)?;
    }
    copy.close().await.map_err(failure)?;
    Ok(backup)
}

/// `text` for a file whose tables have these names.
#[expect(clippy::disallowed_methods, reason = "the store's own text, with other names")]
fn renamed(names: &Names, text: &'static str) -> SqlStr {
    AssertSqlSafe(names.rewrite(text)).into_sql_str()
}

/// What the tables of a backup are called.
async fn names_in(backup: &mut SqliteConnection) -> Result<Names> {
    let prefix = query_scalar("SELECT value FROM backup_manifest WHERE name = $1").bind(TABLE_PREFIX);
    let prefix: Option<String> = prefix.fetch_optional(backup).await.map_err(failure)?;
    Names::new(prefix.as_deref())
}

fn make_private(part: &Path) -> std::io::Result<()> {
    // What a backup that broke off has left.
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(part).map(drop)
}

fn give_name(part: &Path, file: &Path) -> Result<()> {
    let name = || {
        std::fs::File::open(part)?.sync_all()?;
        std::fs::rename(part, file)?;
        sync_folder(file)
    };
    name().map_err(|error| not_written(file, error))
}

/// Makes the name of a file safe on the disk, where the system can.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn not_written(path: &Path, error: std::io::Error) -> Error {
    Error::unavailable(format!("{} cannot be written: {}", path.display(), error.kind())).with_source(error)
}

/// Reads a whole backup: that it is one, that the database is sound, and that the
/// bytes are those of its documents. Returns its keys.
async fn read_through(file: &Path) -> Result<Option<String>> {
    let mut connection = open_backup(file).await?;
    let check: String =
        query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await.map_err(failure)?;
    if check != "ok" {
        return Err(Error::invalid(format!("the backup {} is damaged: {check}", file.display())));
    }
    bytes::check(&mut connection, file).await?;
    let keys = query_scalar("SELECT value FROM backup_manifest WHERE name = 'keys'");
    let keys = keys.fetch_optional(&mut connection).await.map_err(failure)?;
    connection.close().await.map_err(failure)?;
    Ok(keys)
}

/// Whether a database is there, but not all of it: SQLite says of pages beyond the
/// file's end that they are corrupt (11) or cannot be read (10).
fn is_cut(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 10 | 11))
}

async fn open_backup(file: &Path) -> Result<SqliteConnection> {
    let none = |error: sqlx::Error| {
        let (file, is_cut) = (file.display(), is_cut(&error));
        let what = if is_cut { "damaged" } else { "no backup that `aimate backup` has made" };
        Error::invalid(format!("{file} is {what}")).with_source(error)
    };
    if !file.is_file() {
        return Err(Error::not_found(format!("there is no file {}", file.display())));
    }
    let mut connection =
        SqliteConnectOptions::new().filename(file).read_only(true).connect().await.map_err(none)?;
    let format = query_scalar("SELECT value FROM backup_manifest WHERE name = 'format'");
    let format: Option<String> = format.fetch_optional(&mut connection).await.map_err(none)?;
    match format.as_deref() {
        Some(FORMAT) => Ok(connection),
        _ => Err(Error::invalid(format!(
            "{} was made by a newer aiMate; restore it with that",
            file.display()
        ))),
    }
}
