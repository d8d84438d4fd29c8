//! Work that would hold up the async threads.

use aimate_core::{Error, Result};

/// Runs `work`, which takes the processor for long, on a thread of its own.
pub(crate) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("the store's work broke off").with_source(error)),
    }
}
