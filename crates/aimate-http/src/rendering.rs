//! Rendering beside the requests: how much of it is done at once.

use std::sync::Arc;

use aimate_core::{Error, Result};
use aimate_markdown::Renderer;
use tokio::sync::Semaphore;

/// Bytes of text that are rendered at once where the request is handled; more are rendered
/// beside it, so that others do not wait.
const QUICK: usize = 4 * 1024;
/// Long texts that are rendered at once.
const MAX_AT_ONCE: usize = 4;

/// Renders Markdown, a few long texts at once.
pub(crate) struct Rendering {
    renderer: Renderer,
    room: Arc<Semaphore>,
}

impl Default for Rendering {
    fn default() -> Self {
        Self { renderer: Renderer::default(), room: Arc::new(Semaphore::new(MAX_AT_ONCE)) }
    }
}

impl Rendering {
    /// Does what needs a renderer, for texts of so many bytes. Who is beyond those at once waits,
    /// as one of the requests in work, whose number is bounded.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Renderer) -> T + Send + 'static,
    ) -> Result<T> {
        if bytes <= QUICK {
            return Ok(work(&self.renderer));
        }
        let broken = |error| Error::internal("the Markdown could not be rendered").with_source(error);
        // Invariant: the semaphore is never closed.
        let place =
            self.room.clone().acquire_owned().await.map_err(|_| Error::internal("no room to render"))?;
        let renderer = self.renderer.clone();
        let working = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&renderer)
        });
        working.await.map_err(broken)
    }
}
