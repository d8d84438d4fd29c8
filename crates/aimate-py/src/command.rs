//! The command `aimate`, which comes with the package.

use std::process::ExitCode;

use pyo3::prelude::*;

/// Runs the command with these arguments, the program's name first, and returns its exit
/// code. `worker` is what reads documents.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, arguments: Vec<String>, worker: Vec<String>) -> u8 {
    py.detach(|| {
        let worker = worker.into_iter().map(Into::into).collect();
        aimate_cli::run(arguments.into_iter().map(Into::into), Some(worker))
    })
}

/// Reads one document for another process, as `aimate extract-worker` does.
#[pyfunction]
pub(crate) fn extract_worker(py: Python<'_>) -> bool {
    py.detach(|| aimate::text::extract::worker_main() == ExitCode::SUCCESS)
}
