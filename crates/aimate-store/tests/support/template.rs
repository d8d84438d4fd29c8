//! A database with the tables in it, from which tests copy theirs.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Only one process makes it, and the others wait.
const LOCK: i64 = 0x61_69_4d_61_74_65;

/// The name of the database on a server; the first one who asks makes it. Another schema has
/// another one, so that a server may serve many builds.
pub(super) async fn of(server: &str) -> String {
    let name = format!("aimate_template_{:016x}", migrations());
    let mut session = PgConnection::connect(server).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut session).await.unwrap();
    let there = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1").bind(&name);
    if there.fetch_optional(&mut session).await.unwrap().is_none() {
        let unready = format!("{name}_unready");
        run(&mut session, format!("DROP DATABASE IF EXISTS {unready} WITH (FORCE)")).await;
        run(&mut session, format!("CREATE DATABASE {unready}")).await;
        aimate_store::connect(&database_url(server, &unready)).await.unwrap().close().await;
        run(&mut session, format!("ALTER DATABASE {unready} RENAME TO {name}")).await;
    }
    // Closing the session gives the lock back.
    session.close().await.unwrap();
    name
}

/// A database of a server.
pub(super) fn database_url(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').map_or((server, None), |(url, rest)| (url, Some(rest)));
    let (address, _) = address.rsplit_once('/').unwrap();
    options.map_or_else(|| format!("{address}/{name}"), |options| format!("{address}/{name}?{options}"))
}

/// What tells one schema from another.
fn migrations() -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut hash = DefaultHasher::new();
    for file in files {
        (file.file_name(), std::fs::read(&file).unwrap()).hash(&mut hash);
    }
    hash.finish()
}

#[expect(clippy::disallowed_methods, reason = "the names are made above, of hexadecimal digits")]
async fn run(session: &mut PgConnection, statement: String) {
    sqlx::query(AssertSqlSafe(statement)).execute(session).await.unwrap();
}
