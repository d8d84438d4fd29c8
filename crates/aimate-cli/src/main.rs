//! The binary `aimate`.

use std::process::ExitCode;

/// Streams of small events allocate much and briefly: mimalloc serves them in
/// two thirds of the system allocator's time. Without huge pages, because those
/// cost each open stream 20 KiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    aimate_cli::run(std::env::args_os(), None).into()
}
