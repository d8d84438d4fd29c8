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
//! Each noun has a file with its statements, each of which is one literal in a
//! constant. Most are the same on both databases; where they differ, both texts
//! stand beside each other. The module `database` runs them.
//!
//! The features `sqlite` and `postgres` say which databases can be opened; at
//! least one is needed.
// Optimised builds lay out futures within futures, of which a search with a filter has many.
#![recursion_limit = "256"]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "the drivers share helpers, which one of them alone does not use up")
)]

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("aimate-store needs a database: turn on its feature `sqlite`, `postgres` or both");

mod api_token;
mod audit;
#[cfg(feature = "sqlite")]
mod backup;
mod budget;
mod connect;
mod connection;
mod conversation;
mod database;
mod deletion;
mod file;
mod group;
mod identity;
mod invite;
mod knowledge;
mod login;
mod message;
mod message_index;
mod metrics;
mod migrate;
mod migrations;
mod model;
mod page;
mod path;
mod price;
mod prompt;
mod rate_limit;
mod run;
mod secret;
mod session;
mod share;
mod tenant;
mod tool;
mod tool_output;
mod upload;
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

#[cfg(feature = "sqlite")]
pub use backup::{Backup, RestoreTarget, restore};
pub use knowledge::DiskBlobs;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Connections to keep with a PostgreSQL server, or those that read a SQLite
    /// file. Default: 16 and 4.
    pub pool_size: Option<u32>,
    /// How long a call waits for a free connection, for the server to take a new
    /// one, or for another process that writes the same file; work on a connection
    /// may take three times as long. Default: 10 s.
    pub timeout: Duration,
    /// Whether to bring the schema up to date while connecting. Default: true.
    /// Without it, a store whose schema is not up to date tells so
    /// ([`Store::pending`]) and does nothing else until [`Store::migrate`].
    pub migrate: bool,
    /// The folder that keeps the bytes of documents, for one set of tables. Default:
    /// `NAME.blobs` beside a SQLite file (`NAME.PREFIXblobs` with a prefix), a folder that goes with the store for SQLite in
    /// memory, `aimate-data/blobs` for PostgreSQL, in which
    /// each database, schema and prefix has a folder of its own. Processes that share a
    /// database share the folder too.
    pub blobs: Option<PathBuf>,
    /// Keeps the bytes of documents instead of a folder: object storage, say
    /// (`aimate-object-store`), or a store of the application. Default: none.
    pub blob_store: Option<Arc<dyn BlobStore>>,
    /// Bytes of memory that parts of the search index may keep. Default: 128 MiB.
    pub index_cache: usize,
    /// Bytes of the file `NAME-reserve` beside a SQLite file, which is made once nothing has been written for
    /// a second. Its room is for deletions on a disk that is full; what else is written then by this process is refused
    /// until the room can be kept again. A deletion that needs more fails all the same. Default: 16 MiB; 0: no such file.
    pub deletion_reserve: u64,
    /// Where the ids of index segments come from. Default: [`RandomIds`].
    pub ids: Arc<dyn Ids>,
    /// Of PostgreSQL: the schema that the tables are in, such as `ai`; made if it is
    /// not there and `migrate` says so. Default: the first of the `search_path`.
    pub schema: Option<String>,
    /// What the names of tables and indexes begin with, such as `ai_`, so that they
    /// stand beside an application's own. Default: nothing. Another prefix is
    /// another set of tables. In a SQLite file with a prefix, each write leaves the
    /// file to the application for as long as it took, at most 20 ms.
    pub table_prefix: Option<String>,
    /// Of PostgreSQL: whether each unit of work names the tenant whose rows it may see, as
    /// the policies of [`Store::secure_rows`] want it. A store without them is not opened
    /// then, nor one whose user stands above policies. It costs two or three round trips
    /// more for a unit that is one statement, and one for others. Default: false.
    pub row_level_security: bool,
    /// Of PostgreSQL behind a pooler that gives each transaction another session (PgBouncer's
    /// `pool_mode = transaction`): the address of the server itself, for migrations and for the
    /// one session by which others see at once that this process has died. Default: none;
    /// behind such a pooler, others then see it when the lease ends.
    pub direct_url: Option<String>,
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
            deletion_reserve: 16 << 20,
            ids: Arc::new(RandomIds),
            schema: None,
            table_prefix: None,
            row_level_security: false,
            direct_url: None,
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
            .field("deletion_reserve", &self.deletion_reserve)
            .field("schema", &self.schema)
            .field("table_prefix", &self.table_prefix)
            .field("row_level_security", &self.row_level_security)
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
    /// Of PostgreSQL: how statements are planned, as its `plan_cache_mode` has it: `auto` if the
    /// tables are spread over a cluster (Citus), else `force_generic_plan`.
    pub plan_mode: Option<&'static str>,
    /// Of PostgreSQL: whether a pooler is before it that gives each transaction another session.
    pub is_pooled: bool,
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
/// See [`connect`]; `Conflict` if a table or index of an application is in the way,
/// and `Invalid` for a schema or prefix that is no name.
pub async fn connect_with(url: &str, options: Options) -> Result<Store> {
    connect::open(url, &options).await.map(|sql| Store(Arc::new(sql)))
}

/// Opens the PostgreSQL database of an application's pool and brings the schema up
/// to date. [`Options::schema`] or [`Options::table_prefix`] keep aiMate's tables
/// apart from the application's.
///
/// aiMate's work runs on the pool's connections, at most [`Options::pool_size`] at
/// once, and leaves their settings as they were: each unit is a transaction with
/// settings of its own. That costs two round trips more than on connections of a
/// store that was opened by its address, and those that the pool itself makes when it
/// gives a connection out and takes it back. One connection beside the pool shows that
/// this process lives. A pool without a cache of statements counts as one behind a pooler
/// ([`Options::direct_url`]).
///
/// # Errors
/// See [`connect_with`].
#[cfg(feature = "postgres")]
pub async fn from_pool(pool: sqlx::PgPool, options: Options) -> Result<Store> {
    connect::from_pool(pool, &options).await.map(|sql| Store(Arc::new(sql)))
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
    /// Held by whoever appends to an audit log.
    audit_turn: tokio::sync::Mutex<()>,
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
    /// See [`connect`]; `Invalid` if it lacks none, but not all policies are there that
    /// [`Options::row_level_security`] asks for.
    pub async fn pending(&self) -> Result<Vec<String>> {
        migrate::pending(&self.0.database).await
    }

    /// Has PostgreSQL keep tenants apart by policies on every table that has a tenant, for
    /// everybody, the tables' owner too, and lets `role` work on the tables within them:
    /// the role that a server with [`Options::row_level_security`] runs as, no superuser
    /// and not the owner. May be done again, and must be after an update with migrations.
    /// Returns the number of tables with policies.
    ///
    /// # Errors
    /// `Invalid` for a role that is not there or stands above policies, or if this user is
    /// not the tables' owner; `Unsupported` on SQLite.
    pub async fn secure_rows(&self, role: &str) -> Result<usize> {
        migrate::secure_rows(&self.0.database, role).await
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

    /// Reads the whole database's file and returns what is wrong with it, a
    /// sentence each: pages that a disk or somebody else has damaged. Empty if all
    /// is well, and for PostgreSQL, which checks its files itself.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub async fn damage(&self) -> Result<Vec<String>> {
        connect::damage(&self.0).await
    }

    /// Whether an encryption key has sealed anything of any tenant: an API key of a connection,
    /// what a tool server is authorized with. Without that key, it cannot be opened.
    ///
    /// # Errors
    /// `Unavailable` if the database does not answer.
    pub async fn has_sealed_keys(&self) -> Result<bool> {
        secret::is_anything_sealed(&self.0).await
    }

    /// Connections in use at this moment: none while a model is awaited.
    pub fn in_use(&self) -> usize {
        self.0.database.in_use()
    }

    /// Lets running work end, then closes every connection. Calls after it
    /// fail with `Unavailable`.
    pub async fn close(&self) {
        self.0.database.close().await;
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
