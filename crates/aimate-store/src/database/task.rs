//! Where the store's own tasks run.

use std::future::Future;

use aimate_core::Error;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The store's tasks.
///
/// Work on a connection runs in one, to its end, whoever waits for it: a request
/// that is dropped in the middle would leave the connection in the middle too,
/// and the next caller's acknowledged write would go with it (sqlx #4385, #4393).
#[derive(Clone, Default)]
pub(crate) struct Tasks(TaskTracker);

impl Tasks {
    /// Runs `work` to its end, even if the caller stops waiting.
    pub(crate) async fn run<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match self.0.spawn(work.in_current_span()).await {
            Ok(result) => result,
            Err(error) => Err(Error::internal("the store's work broke off").with_source(error).into()),
        }
    }

    /// Starts `work`, for which nobody waits but [`Tasks::close`].
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }

    /// Waits for all tasks to end.
    pub(crate) async fn close(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
