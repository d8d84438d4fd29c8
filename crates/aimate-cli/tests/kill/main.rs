//! `kill -9` in the middle of streaming answers, then a restart on the same
//! database: what was acknowledged is there once, what was being written is kept
//! as far as it was saved, and nothing is left unfinished.
//!
//! `AIMATE_KILL_TRIALS` sets how many kills (20), `AIMATE_KILL_SEED` repeats the
//! choices of a run. What each run finds is printed: see it with `--no-capture`.
#![allow(
    clippy::disallowed_methods,
    reason = "a test makes its own client, reads its settings and spawns its clients"
)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test; the lint's own exception does not reach the helpers of an integration test"
)]

mod check;
mod client;
mod documents;
mod ingest;
mod random;
mod responses;
mod server;
mod tools;
mod upstream;

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use tokio::time::sleep;

use check::{Findings, check, still_there};
use client::Client;
use random::Random;
use server::Server;
use upstream::Upstream;

const TRIALS: u64 = 20;
const CLIENTS: u64 = 6;
/// When after the start of the clients the server is killed, in milliseconds.
const KILL_AFTER: Range<u64> = 20..600;
/// The same in every fifth trial: long answers are met late, too.
const KILL_LATE: Range<u64> = 1_000..2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_loses_nothing_on_sqlite() {
    on_sqlite("turns", trials).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_loses_nothing_on_postgres() {
    on_postgres("turns", trials).await;
}

/// Runs a suite's trials, with the name of the store, its database and a folder, on SQLite.
pub(crate) async fn on_sqlite(suite: &str, trials: impl AsyncFn(&str, &str, &Folder)) {
    let folder = Folder::new(&format!("{suite}-sqlite"));
    let database = format!("sqlite:{}", folder.0.join("aimate.db").display());
    trials("sqlite", &database, &folder).await;
}

/// The same in a database of its own on the first test server, if there is one.
pub(crate) async fn on_postgres(suite: &str, trials: impl AsyncFn(&str, &str, &Folder)) {
    let Some(url) = postgres() else { return };
    let folder = Folder::new(&format!("{suite}-postgres"));
    let name = format!("aimate_kill_{suite}_{}", std::process::id());
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    run_sql(&url, format!("CREATE DATABASE {name}")).await;
    trials("postgres", &format!("{server}/{name}"), &folder).await;
    run_sql(&url, format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

/// The first test server, if there is one.
fn postgres() -> Option<String> {
    let urls = std::env::var("AIMATE_TEST_POSTGRES").unwrap_or_default();
    let url = urls.split(',').find(|url| !url.is_empty()).map(str::to_owned);
    if url.is_none() {
        eprintln!("AIMATE_TEST_POSTGRES is not set: nothing to kill on");
    }
    url
}

async fn run_sql(url: &str, statement: String) {
    let mut connection = PgConnection::connect(url).await.expect("PostgreSQL answers");
    // The name in it is this process's number.
    let statement = AssertSqlSafe(statement);
    connection.execute(statement).await.expect("the statement runs");
}

async fn trials(store: &str, database: &str, folder: &Folder) {
    let seed = setting("AIMATE_KILL_SEED").unwrap_or_else(random::seed);
    let trials = setting("AIMATE_KILL_TRIALS").unwrap_or(TRIALS);
    println!("{store}: {trials} kills, AIMATE_KILL_SEED={seed}");
    let mut random = Random::new(seed);
    let upstream = Upstream::start(seed).await;
    let mut clients: Vec<_> = (0..CLIENTS).map(|n| Client::new(n, random.fork())).collect();
    let (mut findings, mut told) = (Findings::default(), Vec::new());

    let mut server = Server::start(database, &folder.0, upstream.address).await;
    for trial in 0..trials {
        let mut running = JoinSet::new();
        for client in clients.drain(..) {
            running.spawn(client.talk(trial, server.address));
        }
        let wait = if trial % 5 == 4 { KILL_LATE } else { KILL_AFTER };
        sleep(Duration::from_millis(random.within(wait))).await;
        server.kill();
        let killed = upstream::now();
        let mut ledger = Vec::new();
        while let Some(client) = running.join_next().await {
            let (client, turns) = client.expect("a client does not panic");
            clients.push(client);
            ledger.extend(turns);
        }
        clients.sort_by_key(|client| client.number);

        server = Server::start(database, &folder.0, upstream.address).await;
        let found = check(&ledger, server.address, &upstream, killed).await;
        for violation in found.violations() {
            println!("{store}, AIMATE_KILL_SEED={seed}, trial {trial}: {violation}\n{}", server.log());
        }
        findings.add(found);
        told.extend(ledger);
    }
    findings.add(still_there(&told, server.address).await);
    println!("{store}: {findings}");
    assert_eq!(findings.violations(), [""; 0], "{store}, AIMATE_KILL_SEED={seed}");
    assert!(findings.interrupted > 0, "no kill met a running answer: the test tests nothing");
    assert!(findings.finished > 0, "no answer was finished: the test tests nothing");
}

pub(crate) fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// A folder of its own for each test; kept when the test fails.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("kill-{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
