//! The benchmark suite of aiMate: a model server whose answers can be checked, a
//! bare pass-through as the limit of what a gateway in Rust can do, a load that
//! costs little, and the cases. `benches/README.md` says what each case means.
//!
//! `cargo xtask bench` builds and starts it.
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark starts processes, reads its environment and the clock, and makes its own client"
)]
#![allow(clippy::indexing_slicing, reason = "JSON alone is indexed, and gives null for what is not there")]

mod cases;
mod client;
mod load;
mod passthrough;
mod postgres;
mod report;
mod server;
mod upstream;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// aimate's own, so that the limit is not slower for its allocator alone.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a case or a server gives back.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(about = "The benchmark suite of aiMate; `cargo xtask bench` starts it")]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    suite: Suite,
}

/// The servers that the suite starts as processes of their own.
#[derive(Subcommand)]
enum Part {
    /// The model server alone, on loopback
    Upstream {
        #[arg(long)]
        port: u16,
    },
    /// The bare pass-through alone, on loopback
    Passthrough {
        #[arg(long)]
        port: u16,
        /// Port of the model server
        #[arg(long)]
        upstream: u16,
    },
    /// Work on knowledge in a process of its own
    Knowledge(cases::knowledge::child::Arguments),
}

#[derive(clap::Args)]
struct Suite {
    /// Short loads and small data: does everything work?
    #[arg(long)]
    quick: bool,
    /// This case alone; may be repeated
    #[arg(long, value_name = "CASE")]
    only: Vec<cases::Case>,
    /// Seconds that each load of the cases `gateway` and `busy` is measured, and each kind of search
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    #[command(flatten)]
    sizes: cases::knowledge::Sizes,
    /// Put the tables into this file, between its two `measured` markers
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "only"])]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { part, suite } = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome = runtime.block_on(async {
        match part {
            Some(Part::Upstream { port }) => upstream::serve(loopback(port)).await.map(|()| true),
            Some(Part::Passthrough { port, upstream }) => {
                passthrough::serve(loopback(port), loopback(upstream)).await.map(|()| true)
            }
            Some(Part::Knowledge(arguments)) => cases::knowledge::child::run(arguments).await.map(|()| true),
            None => cases::run(&suite).await,
        }
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        // Measured, and short of what must be reached.
        Ok(false) => ExitCode::from(3),
        Err(error) => fail(&*error),
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("aimate-bench: {error}");
    ExitCode::FAILURE
}
