//! Databases for tests: a folder that goes away, and schemas on the servers
//! that `AIMATE_TEST_POSTGRES` names.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests; each uses its own part"
)]

pub(crate) mod knowledge;
pub(crate) mod ledger;
pub(crate) mod levels;
pub(crate) mod relay;
pub(crate) mod sources;
pub(crate) mod statements;
mod template;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aimate_core::{Ids as _, RandomIds};
use aimate_store::{Options, Store};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A folder that goes away with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("aimate-test-{}", RandomIds.next().simple()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("aimate.db")
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The servers to test on; none where the variable is not set.
#[expect(clippy::disallowed_methods, reason = "tests are told of servers by the environment")]
pub(crate) fn servers() -> Vec<String> {
    let servers = std::env::var("AIMATE_TEST_POSTGRES").unwrap_or_default();
    if servers.is_empty() {
        println!("skipped: AIMATE_TEST_POSTGRES names no PostgreSQL server");
    }
    servers.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect()
}

/// An empty schema of a server, as a database of its own; but for extensions,
/// which are of the whole database and in `public`. Or a database with the tables in it.
pub(crate) struct Schema {
    server: String,
    name: String,
    is_database: bool,
    blobs: Folder,
}

impl Schema {
    pub(crate) async fn new(server: &str) -> Self {
        let schema = Self::named(server, false);
        schema.run(format!("CREATE SCHEMA {}", schema.name)).await;
        schema
    }

    /// A database with the tables in it: a copy, which costs a tenth of making them.
    pub(crate) async fn migrated(server: &str) -> Self {
        let template = template::of(server).await;
        let database = Self::named(server, true);
        database.run(format!("CREATE DATABASE {} TEMPLATE {template}", database.name)).await;
        database
    }

    fn named(server: &str, is_database: bool) -> Self {
        let name = format!("t{}", RandomIds.next().simple());
        Self { server: server.to_owned(), name, is_database, blobs: Folder::new() }
    }

    pub(crate) fn url(&self) -> String {
        if self.is_database {
            return template::database_url(&self.server, &self.name);
        }
        let join = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{join}options=-csearch_path%3D{},public", self.server, self.name)
    }

    /// The same schema through `address` instead of the server's own.
    pub(crate) fn url_through(&self, address: SocketAddr) -> String {
        let url = self.url();
        let (head, rest) = url.split_once('@').unwrap();
        let (_, tail) = rest.split_once('/').unwrap();
        format!("{head}@{address}/{tail}")
    }

    /// A folder for the bytes of its documents.
    pub(crate) fn blobs(&self) -> &Path {
        &self.blobs.0
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The server's `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.server.split_once('@').unwrap().1.split('/').next().unwrap()
    }

    /// A session in the schema, beside the store.
    pub(crate) async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    pub(crate) async fn drop(self) {
        let drop = match self.is_database {
            true => format!("DROP DATABASE {} WITH (FORCE)", self.name),
            false => format!("DROP SCHEMA {} CASCADE", self.name),
        };
        self.run(drop).await;
    }

    #[expect(clippy::disallowed_methods, reason = "the name is made above, of hexadecimal digits")]
    async fn run(&self, statement: String) {
        let mut session = PgConnection::connect(&self.server).await.unwrap();
        sqlx::query(AssertSqlSafe(statement)).execute(&mut session).await.unwrap();
        session.close().await.unwrap();
    }
}

/// A new database of a server, of a user who may do nothing elsewhere.
pub(crate) struct OwnDatabase<'s>(&'s Schema);

impl<'s> OwnDatabase<'s> {
    pub(crate) async fn of(schema: &'s Schema) -> Self {
        schema.run(format!("CREATE ROLE {} LOGIN", schema.name)).await;
        schema.run(format!("CREATE DATABASE {0} OWNER {0}", schema.name)).await;
        Self(schema)
    }

    /// With this encoding and isolation.
    pub(crate) async fn unusual(schema: &'s Schema, encoding: &str, isolation: &str) -> Self {
        schema.run(format!("CREATE ROLE {} LOGIN SUPERUSER", schema.name)).await;
        schema
            .run(format!(
                "CREATE DATABASE {0} OWNER {0} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
                schema.name
            ))
            .await;
        schema
            .run(format!("ALTER DATABASE {} SET default_transaction_isolation = '{isolation}'", schema.name))
            .await;
        Self(schema)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://{0}@{1}/{0}", self.0.name, self.0.address())
    }

    /// For the server's administrator.
    pub(crate) fn url_of_admin(&self) -> String {
        format!("{}/{}", self.0.server.rsplit_once('/').unwrap().0, self.0.name)
    }

    pub(crate) async fn drop(self) {
        self.0.run(format!("DROP DATABASE {} WITH (FORCE)", self.0.name)).await;
        self.0.run(format!("DROP ROLE {}", self.0.name)).await;
    }
}

/// Runs `test` on a new schema of each server.
pub(crate) async fn on_each_server(test: impl AsyncFn(&Schema)) {
    on_servers(servers(), test).await;
}

/// Runs `test` on a new database of each server, with the tables in it.
pub(crate) async fn on_each_server_migrated(test: impl AsyncFn(&Schema)) {
    for server in servers() {
        run_in(Schema::migrated(&server).await, &test).await;
    }
}

/// Runs `test` on a new schema of the first server, where another one would show
/// the same.
pub(crate) async fn on_first_server(test: impl AsyncFn(&Schema)) {
    on_servers(servers().into_iter().take(1), test).await;
}

/// The address of the PgBouncer before the first server, if there is one.
#[expect(clippy::disallowed_methods, reason = "tests are told of servers by the environment")]
pub(crate) fn pooler() -> Option<SocketAddr> {
    let url = std::env::var("AIMATE_TEST_POOLER").ok().filter(|url| !url.is_empty())?;
    Some(url.split_once('@').unwrap().1.split('/').next().unwrap().parse().unwrap())
}

/// Runs `test` on a new database of the first server, with the tables in it and its address
/// through the pooler; not where there is none.
pub(crate) async fn behind_a_pooler(test: impl AsyncFn(&Schema, String)) {
    let Some(address) = pooler() else {
        println!("skipped: AIMATE_TEST_POOLER names no PgBouncer");
        return;
    };
    let server = servers().into_iter().next().unwrap();
    let through = async |database: &Schema| test(database, database.url_through(address)).await;
    run_in(Schema::migrated(&server).await, &through).await;
}

async fn on_servers(servers: impl IntoIterator<Item = String>, test: impl AsyncFn(&Schema)) {
    for server in servers {
        run_in(Schema::new(&server).await, &test).await;
    }
}

async fn run_in(schema: Schema, test: &impl AsyncFn(&Schema)) {
    println!("on {}", schema.address());
    test(&schema).await;
    ledger::is_balanced_on_postgres(&mut schema.session().await).await;
    schema.drop().await;
}

/// A store in `schema`.
pub(crate) async fn connected(schema: &Schema) -> Store {
    let options = Options { blobs: Some(schema.blobs.0.clone()), ..Options::default() };
    aimate_store::connect_with(&schema.url(), options).await.unwrap()
}

/// Waits for something to happen, ten seconds at most.
pub(crate) async fn until(mut happened: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen within ten seconds");
}
