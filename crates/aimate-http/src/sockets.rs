//! Connections that became something else than HTTP: a server that ends waits for them as for
//! those that did not.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The connections of a router that are `WebSocket`s.
#[derive(Default)]
pub(crate) struct Sockets {
    tasks: TaskTracker,
    closing: CancellationToken,
    abort: CancellationToken,
}

impl Sockets {
    /// Serves one until it is done, or is to close at once.
    pub(crate) async fn serve(&self, socket: impl Future<Output = ()>) {
        let served = self.tasks.track_future(async {
            tokio::select! {
                () = socket => {}
                () = self.abort.cancelled() => {}
            }
        });
        served.await;
    }

    /// Waits until they are to close behind what is under way.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Has them close behind what is under way; waits until they have.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Closes them at once.
    pub(crate) fn abort(&self) {
        self.abort.cancel();
    }
}
