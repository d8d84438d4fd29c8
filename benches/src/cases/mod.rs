//! The cases. Each starts the servers it measures, fills them through HTTP, and
//! adds its table and its goals to the report.

mod conversation;
mod gateway;
pub(crate) mod knowledge;
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
    /// The cases about knowledge, which are those that follow
    Knowledge,
    /// Documents into collections
    Ingest,
    /// Reading files
    Extract,
    /// Searching, against SQL by hand and other frameworks
    Search,
    /// Chat while documents are taken in
    Busy,
    /// The memory of taking in a large folder
    Sync,
}

impl Case {
    fn is_knowledge(self) -> bool {
        matches!(self, Self::Ingest | Self::Extract | Self::Search | Self::Busy | Self::Sync)
    }

    /// Whether it needs the program `aimate`.
    fn needs_aimate(self) -> bool {
        matches!(self, Self::Trips | Self::Open | Self::List | Self::Busy)
    }

    fn is_chosen(self, only: &[Self]) -> bool {
        only.is_empty() || only.contains(&self) || (self.is_knowledge() && only.contains(&Self::Knowledge))
    }
}

/// What the cases share.
struct Bench {
    quick: bool,
    seconds: u64,
    sizes: knowledge::Sizes,
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
        sizes: knowledge::Sizes::of(suite),
        aimate: std::env::var_os("AIMATE_BIN").map(PathBuf::from),
        postgres: std::env::var("AIMATE_BENCH_POSTGRES").ok(),
        upstream: Process::upstream(&folder).await?,
        folder,
    };
    let mut report = Report::default();
    for case in Case::value_variants() {
        if case.is_chosen(&suite.only) {
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
        if self.aimate.is_none() && case.needs_aimate() {
            eprintln!("AIMATE_BIN is not set: {case:?} is left out");
            return Ok(());
        }
        match case {
            Case::Gateway => gateway::run(self, report).await,
            Case::Trips => trips::run(self, report).await,
            Case::Open => conversation::open(self, report).await,
            Case::List => conversation::list(self, report).await,
            Case::Streams => stream::run(self, report).await,
            Case::Knowledge => Ok(()),
            Case::Ingest => knowledge::ingest(self, report).await,
            Case::Extract => knowledge::extract(self, report).await,
            Case::Search => knowledge::search(self, report).await,
            Case::Busy => knowledge::busy(self, report).await,
            Case::Sync => knowledge::sync(self, report).await,
        }
    }

    /// The stores there are, if there is an aimate to use them.
    fn stores(&self) -> Vec<Store> {
        self.databases().into_iter().filter(|_| self.aimate.is_some()).collect()
    }

    /// The stores there are.
    fn databases(&self) -> Vec<Store> {
        let postgres = self.postgres.is_some().then_some(Store::Postgres);
        [Some(Store::Sqlite), postgres].into_iter().flatten().collect()
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
