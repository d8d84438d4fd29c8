//! The `aimate` command.

#![expect(clippy::disallowed_methods, reason = "the binary is the one place that reads the environment")]

mod cli;

use std::process::ExitCode;

/// Streams of small events allocate much and briefly: mimalloc serves them in
/// two thirds of the system allocator's time. Without huge pages, because those
/// cost each open stream 20 KiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
