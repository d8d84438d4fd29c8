//! aiMate's storage: the ports of `aimate-core` on SQLite and PostgreSQL, out of
//! one body of SQL.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> aimate_core::Result<()> {
//! let store = aimate_store::connect("sqlite::memory:").await?;
//! let stores = store.stores();
//! stores.workers.ping().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each noun has a file with its statements. They are written once; `on!`
//! expands the code around them for each driver. Statements that really differ
//! stand in named pairs.

/// Runs `$body` with `$db` being the database's driver, whichever it is: the
/// same text and values, in each driver's types.
macro_rules! on {
    ($store:expr, |$db:ident| $body:expr) => {
        match &$store.database {
            $crate::Database::Sqlite($db) => $body,
            $crate::Database::Postgres($db) => $body,
        }
    };
}

mod connect;
mod connection;
mod conversation;
#[allow(dead_code, unused_imports, reason = "nouns that are still to be converted use it")]
mod database;
#[allow(dead_code, unused_imports, reason = "what no noun uses any more goes next")]
mod error;
mod file;
mod knowledge;
mod message;
mod migrate;
mod model;
mod page;
mod path;
mod pool;
#[allow(dead_code, unused_imports, reason = "what no noun uses any more goes next")]
mod postgres;
mod prompt;
mod row;
mod run;
mod session;
#[allow(dead_code, unused_imports, reason = "what no noun uses any more goes next")]
mod sqlite;
#[allow(dead_code, unused_imports, reason = "what no noun uses any more goes next")]
mod statement;
mod task;
mod usage;
mod user;
mod value;
mod worker;
mod workspace;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::knowledge::BlobStore;
use aimate_core::{Ids, RandomIds, Result, Stores};

use database::Database;

pub use knowledge::DiskBlobs;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Sessions to keep with a PostgreSQL server, or connections that read a
    /// SQLite file. Default: 16 and 4.
    pub pool_size: Option<u32>,
    /// How long a call waits for a free session, for the server to take a new
    /// one, or for another process that writes the same file; work on a session
    /// may take three times as long. Default: 10 s.
    pub timeout: Duration,
    /// Whether to bring the schema up to date while connecting. Default: true.
    pub migrate: bool,
    /// The folder that keeps the bytes of documents. Default: `NAME.blobs`
    /// beside a SQLite file, a folder that goes with the store for SQLite in
    /// memory, `aimate-data/blobs` for PostgreSQL, in which
    /// each database has a folder of its own. Processes that share a
    /// database share the folder too.
    pub blobs: Option<PathBuf>,
    /// Keeps the bytes of documents instead of a folder: object storage, say
    /// (`aimate-object-store`), or a store of the application. Default: none.
    pub blob_store: Option<Arc<dyn BlobStore>>,
    /// Bytes of memory that parts of the search index may keep. Default: 128 MiB.
    pub index_cache: usize,
    /// Where the ids of index segments come from. Default: [`RandomIds`].
    pub ids: Arc<dyn Ids>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pool_size: None,
            timeout: Duration::from_secs(10),
            migrate: true,
            blobs: None,
            blob_store: None,
            index_cache: 128 << 20,
            ids: Arc::new(RandomIds),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("pool_size", &self.pool_size)
            .field("timeout", &self.timeout)
            .field("migrate", &self.migrate)
            .field("blobs", &self.blobs)
            .field("index_cache", &self.index_cache)
            .finish_non_exhaustive()
    }
}

/// Which database a store is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite, in a file or in memory.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// What `doctor` tells of a database.
#[derive(Clone, Debug)]
pub struct Info {
    /// Which database it is.
    pub kind: Kind,
    /// Its version, such as `18.4`.
    pub version: String,
    /// Of PostgreSQL: the version of pgvector, once the schema is there.
    pub pgvector: Option<String>,
    /// Where it is: a path, or `HOST:PORT/DATABASE`; never a password.
    pub address: String,
    /// What its settings put at risk, one sentence each.
    pub warnings: Vec<String>,
}

/// Opens the database at `url` and brings its schema up to date.
///
/// `sqlite:PATH` (created if absent), `sqlite::memory:`, or
/// `postgres://USER:PASSWORD@HOST/DATABASE`.
///
/// # Errors
/// `Invalid` for an address of another form, a refused password or a server
/// that is too old, `Unavailable` if the database cannot be reached, `Conflict`
/// if its schema is newer than this version or was changed by somebody.
pub async fn connect(url: &str) -> Result<Store> {
    connect_with(url, Options::default()).await
}

/// [`connect`], with options.
///
/// # Errors
/// See [`connect`].
pub async fn connect_with(url: &str, options: Options) -> Result<Store> {
    connect::open(url, &options).await.map(|sql| Store(Arc::new(sql)))
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<SqlStore>);

/// The one implementation of every port.
struct SqlStore {
    database: Database,
    address: String,
    blobs: Arc<dyn BlobStore>,
    index: knowledge::IndexCache,
    ids: Arc<dyn Ids>,
}

impl SqlStore {
    fn kind(&self) -> Kind {
        self.database.kind()
    }
}

impl Store {
    /// The ports, each on this database.
    pub fn stores(&self) -> Stores {
        Stores::new(self.0.clone(), self.0.blobs.clone())
    }

    /// Brings the schema up to date; returns the names of the migrations that
    /// were missing.
    ///
    /// # Errors
    /// See [`connect`].
    pub async fn migrate(&self) -> Result<Vec<String>> {
        migrate::run(&self.0.database).await
    }

    /// The names of the migrations that the database lacks.
    ///
    /// # Errors
    /// See [`connect`].
    pub async fn pending(&self) -> Result<Vec<String>> {
        migrate::pending(&self.0.database).await
    }

    /// Which database it is.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// What `doctor` tells of it.
    ///
    /// # Errors
    /// `Unavailable` if it does not answer.
    pub async fn info(&self) -> Result<Info> {
        connect::info(&self.0).await
    }

    /// Sessions in use at this moment: none while a model is awaited.
    pub fn in_use(&self) -> usize {
        match &self.0.database {
            Database::Sqlite(db) => db.in_use(),
            Database::Postgres(db) => db.pool.in_use(),
        }
    }

    /// Lets running work end, then closes every connection. Calls after it
    /// fail with `Unavailable`.
    pub async fn close(&self) {
        on!(self.0, |db| db.close().await);
    }
}

impl From<Store> for Stores {
    fn from(store: Store) -> Self {
        store.stores()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("kind", &self.kind()).field("address", &self.0.address).finish()
    }
}
