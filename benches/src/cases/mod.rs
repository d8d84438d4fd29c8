//! The cases. Each starts the servers it measures, fills them through HTTP, and
//! adds its table and its goals to the report.

mod conversation;
mod gateway;
mod stream;
mod trips;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::postgres::create_database;
use crate::report::Report;
use crate::server::{Folder, Process};
use crate::{Result, Suite};

/// A case, by the name that `--only` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// Chat completions against the model server itself and the pass-through
    Gateway,
    /// Round trips to PostgreSQL before the model is asked
    Trips,
    /// Opening a long conversation
    Open,
    /// Listing many conversations
    List,
    /// Many slow streams at once: losses, delay, memory
    Streams,
}

/// What the cases share.
struct Bench {
    quick: bool,
    seconds: u64,
    aimate: Option<PathBuf>,
    postgres: Option<String>,
    folder: Folder,
    upstream: Process,
}

/// Runs the chosen cases; false if something that must be reached was not.
pub(crate) async fn run(suite: &Suite) -> Result<bool> {
    let folder = Folder::new()?;
    let bench = Bench {
        quick: suite.quick,
        seconds: if suite.quick { 1 } else { suite.seconds.max(1) },
        aimate: std::env::var_os("AIMATE_BIN").map(PathBuf::from),
        postgres: std::env::var("AIMATE_BENCH_POSTGRES").ok(),
        upstream: Process::upstream(&folder).await?,
        folder,
    };
    let mut report = Report::default();
    for case in Case::value_variants() {
        if suite.only.is_empty() || suite.only.contains(case) {
            // The other cases may still tell something.
            if let Err(error) = bench.run(*case, &mut report).await {
                report.failed(&format!("{case:?}"), &*error);
            }
        }
    }
    println!("\n{}", report.goals());
    if let Some(file) = &suite.write {
        report.write(file)?;
    }
    Ok(report.is_reached())
}

impl Bench {
    async fn run(&self, case: Case, report: &mut Report) -> Result {
        if self.aimate.is_none() && case != Case::Gateway && case != Case::Streams {
            eprintln!("AIMATE_BIN is not set: {case:?} is left out");
            return Ok(());
        }
        match case {
            Case::Gateway => gateway::run(self, report).await,
            Case::Trips => trips::run(self, report).await,
            Case::Open => conversation::open(self, report).await,
            Case::List => conversation::list(self, report).await,
            Case::Streams => stream::run(self, report).await,
        }
    }

    /// The stores there are, by name.
    fn stores(&self) -> Vec<Store> {
        let postgres = self.postgres.is_some().then_some(Store::Postgres);
        let stores = [Some(Store::Sqlite), postgres].into_iter().flatten();
        stores.filter(|_| self.aimate.is_some()).collect()
    }

    /// aimate on a new database of a store.
    async fn aimate(&self, store: Store, case: &str) -> Result<Process> {
        let name = format!("{case}-{}", store.name());
        let database = self.database(store, &name).await?;
        self.aimate_on(&database, &name).await
    }

    async fn aimate_on(&self, database: &str, name: &str) -> Result<Process> {
        let binary: &Path = self.aimate.as_deref().ok_or("AIMATE_BIN is not set")?;
        Process::aimate(binary, name, database, &self.folder, self.upstream.address).await
    }

    async fn database(&self, store: Store, name: &str) -> Result<String> {
        match (store, &self.postgres) {
            (Store::Postgres, Some(server)) => {
                let name = format!("bench_{}_{name}", std::process::id());
                create_database(server, &name).await
            }
            _ => Ok(self.folder.sqlite(name)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A chat completion as any client of OpenAI's API would send it.
fn completion(model: &str, stream: bool) -> Value {
    let mut body = json!({"model": model, "messages": [
        {"role": "system", "content": "You are a helpful assistant. Answer briefly and to the point."},
        {"role": "user", "content": "When is the boiler serviced, and who has the key to the cellar?"},
    ]});
    if stream {
        body["stream"] = Value::Bool(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}
