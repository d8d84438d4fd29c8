//! Knowledge: what goes in, what is found, and what both cost. The engine runs
//! in this process or in a child of it; the baselines are SQL by hand and the
//! vector stores of other frameworks on the same server.

mod busy;
mod by_hand;
pub(crate) mod child;
mod data;
mod extract;
mod files;
mod frameworks;
mod fts;
mod half;
mod ingest;
mod measure;
mod random;
mod search;
mod shelf;
mod sync;
mod words;

pub(super) use busy::run as busy;
pub(super) use extract::run as extract;
pub(super) use ingest::run as ingest;
pub(super) use search::run as search;
pub(super) use sync::run as sync;

/// How much the cases about knowledge work with; `--quick` makes all of it small.
#[derive(clap::Args, Clone)]
pub(crate) struct Sizes {
    /// Chunks of the case `ingest`
    #[arg(long, default_value_t = 50_000)]
    chunks: usize,
    /// Chunks of the case `search`, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
    sizes: Vec<usize>,
    /// One million chunks too in the case `search`: half an hour more
    #[arg(long)]
    large: bool,
    /// Megabytes of the folder of the case `sync`
    #[arg(long, default_value_t = 200)]
    folder: usize,
    /// Without the vector stores of LangChain and `LlamaIndex`
    #[arg(long)]
    no_frameworks: bool,
}

impl Sizes {
    /// The sizes of `--quick`: does everything work?
    fn quick(&self) -> Self {
        Self { chunks: 2_000, sizes: vec![2_000], large: false, folder: 10, ..self.clone() }
    }

    pub(super) fn of(suite: &crate::Suite) -> Self {
        let mut sizes = if suite.quick { suite.sizes.quick() } else { suite.sizes.clone() };
        if sizes.large {
            sizes.sizes.push(1_000_000);
        }
        sizes
    }
}
