//! aiMate's storage: the ports of `aimate-core` on SQLite and PostgreSQL, out of
//! one body of SQL.
//!
//! ```no_run
//! # async fn example() -> aimate_core::Result<()> {
//! let store = aimate_store::connect("sqlite:aimate.db").await?;
//! let stores = store.stores();
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use aimate_core::{Result, Stores};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sessions to keep with a PostgreSQL server, or connections that read a
    /// SQLite file. Default: 16 and 4.
    pub pool_size: Option<u32>,
    /// How long a call waits for a free connection, for the server, or for
    /// another process that writes the same file.
    pub timeout: Duration,
    /// Whether to bring the schema up to date while connecting.
    pub migrate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { pool_size: None, timeout: Duration::from_secs(10), migrate: true }
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
    /// Where it is: a path, or `HOST:PORT/DATABASE`; never a password.
    pub address: String,
    /// What its settings put at risk, one sentence each.
    pub warnings: Vec<String>,
}

/// An open database. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    kind: Kind,
}

/// Opens the database at `url` and brings its schema up to date.
///
/// `sqlite:PATH` (created if absent), `sqlite::memory:`,
/// `postgres://USER:PASSWORD@HOST/DATABASE`.
///
/// # Errors
/// `Invalid` for an address of another form or a server that is too old,
/// `Unavailable` if the database cannot be reached, `Conflict` if its schema is
/// newer than this version or was changed.
pub async fn connect(url: &str) -> Result<Store> {
    connect_with(url, Options::default()).await
}

/// [`connect`], with options.
///
/// # Errors
/// See [`connect`].
pub async fn connect_with(_url: &str, _options: Options) -> Result<Store> {
    Err(aimate_core::Error::unsupported("the store is being built"))
}

#[allow(clippy::unimplemented, clippy::unused_async, reason = "being built")]
impl Store {
    /// The ports, each on this database.
    pub fn stores(&self) -> Stores {
        unimplemented!()
    }

    /// Brings the schema up to date; returns the names of the migrations that
    /// were missing.
    ///
    /// # Errors
    /// See [`connect`].
    pub async fn migrate(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The names of the migrations that the database lacks.
    ///
    /// # Errors
    /// See [`connect`].
    pub async fn pending(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Which database it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What `doctor` tells of it.
    ///
    /// # Errors
    /// `Unavailable` if it does not answer.
    pub async fn info(&self) -> Result<Info> {
        Err(aimate_core::Error::unsupported("the store is being built"))
    }

    /// Connections in use at this moment.
    pub fn in_use(&self) -> usize {
        0
    }

    /// Lets running work end, then closes every connection.
    pub async fn close(&self) {}
}

impl From<Store> for Stores {
    fn from(store: Store) -> Self {
        store.stores()
    }
}
