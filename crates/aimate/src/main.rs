//! The `aimate` command.

#![expect(clippy::disallowed_methods, reason = "the binary is the one place that reads the environment")]

mod cli;

use std::process::ExitCode;

/// Streams of small events allocate much and briefly; mimalloc gives the memory
/// back sooner than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
