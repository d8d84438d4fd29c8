//! Changing a collection's model: the new space is built beside the old one.

use std::time::Duration;

use super::super::Engine;
use super::ingest::{BATCH, EmbeddingBatcher, PendingChunk, retry_delay};
use crate::error::{Error, ErrorKind, Result};
use crate::id::CollectionId;
use crate::knowledge::{EmbeddingSpace, SpaceStatus};
use crate::scope::Scope;

/// How often somebody looks for a space that another process left unbuilt.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

impl Engine {
    /// Gives a collection another model. One it had before is active again at
    /// once if no chunk came since; else what is missing is built first.
    pub(super) async fn change_model(&self, scope: &Scope, id: CollectionId, name: &str) -> Result<()> {
        let stores = &self.inner.stores;
        let Some(model) = self.embedding_model(scope, name).await? else {
            return stores.spaces.deactivate(scope, id).await;
        };
        let spaces = stores.spaces.list(scope, id).await?;
        let same = spaces.iter().find(|space| space.model == model);
        if same.is_some_and(|space| matches!(space.status, SpaceStatus::Active | SpaceStatus::Building)) {
            return Ok(());
        }
        if let Some(space) = same.filter(|space| space.status == SpaceStatus::Retired)
            && stores.spaces.activate(scope, space.id).await?
        {
            return Ok(());
        }
        let kept = same.map(|space| space.id);
        self.clear_spaces(scope, &spaces, kept).await?;
        let space = match same {
            Some(space) => EmbeddingSpace { status: SpaceStatus::Building, error: None, ..space.clone() },
            None => EmbeddingSpace {
                id: self.inner.sources.id(),
                collection_id: id,
                model,
                status: SpaceStatus::Building,
                chunk_count: 0,
                error: None,
                created_at: self.inner.sources.now(),
            },
        };
        stores.spaces.create(scope, &space).await?;
        self.inner.knowledge.space_made.notify_one();
        Ok(())
    }

    /// Deletes spaces that nobody goes back to: failed ones, one that was being
    /// built, all retired ones but the newest.
    async fn clear_spaces(
        &self,
        scope: &Scope,
        spaces: &[EmbeddingSpace],
        kept: Option<crate::SpaceId>,
    ) -> Result<()> {
        let mut retired = 0;
        for space in spaces.iter().filter(|space| Some(space.id) != kept) {
            let useless = match space.status {
                SpaceStatus::Active => false,
                SpaceStatus::Building | SpaceStatus::Failed => true,
                SpaceStatus::Retired => {
                    retired += 1;
                    retired > 1
                }
            };
            if useless {
                self.inner.stores.spaces.delete(scope, space.id).await?;
            }
        }
        Ok(())
    }

    /// Builds spaces as they are made.
    pub(super) async fn build_spaces(&self) {
        let inner = &self.inner;
        loop {
            match inner.stores.queue.claim_space(inner.worker, inner.sources.now(), inner.lease).await {
                Ok(Some((scope, space))) => {
                    self.build_space(&scope, &space).await;
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "looking for spaces to build failed; trying again"),
            }
            tokio::select! {
                () = inner.knowledge.space_made.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }

    async fn build_space(&self, scope: &Scope, space: &EmbeddingSpace) {
        // Those that failed since the last that did not.
        let mut tries = 0;
        loop {
            let error = match self.fill_space(scope, space).await {
                Ok(true) => return,
                Ok(false) => {
                    tries = 0;
                    continue;
                }
                // It was deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => return,
                Err(error) => error,
            };
            tries += 1;
            let Some(wait) = retry_delay(&error, tries) else {
                return self.fail_space(scope, space, &error).await;
            };
            tracing::warn!(%error, space = %space.id, ?wait, "building an embedding space waits");
            tokio::time::sleep(wait).await;
        }
    }

    async fn fail_space(&self, scope: &Scope, space: &EmbeddingSpace, error: &Error) {
        tracing::warn!(%error, space = %space.id, "an embedding space cannot be built");
        let fail = || self.inner.stores.spaces.fail(scope, space.id, error.message());
        if let Err(error) = self.until_stored("storing that an embedding space failed", fail).await {
            tracing::warn!(%error, space = %space.id, "that an embedding space failed could not be stored");
        }
    }

    /// Embeds and stores one batch more; true once the space is active.
    async fn fill_space(&self, scope: &Scope, space: &EmbeddingSpace) -> Result<bool> {
        let stores = &self.inner.stores;
        let missing = stores.spaces.missing_vectors(scope, space.id, BATCH).await?;
        if missing.is_empty() {
            return stores.spaces.activate(scope, space.id).await;
        }
        let pending = missing.iter().map(|passage| PendingChunk::new(&passage.chunk, &passage.title));
        let mut batcher = EmbeddingBatcher::new(space.id, self.embedder(scope, &space.model)?, pending);
        while let Some(vectors) = batcher.next().await? {
            stores.spaces.fill(scope, &vectors).await?;
        }
        Ok(false)
    }
}
