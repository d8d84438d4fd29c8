//! What reads the best hits of a search once more: an endpoint that is set, or a model in
//! the data folder.

use std::path::Path;
use std::sync::Arc;

use aimate::knowledge::Reranker;
use aimate::providers::local::{LocalReranker, ModelPurpose};
use aimate::providers::{HttpReranker, RerankShape, Transport};
use aimate::{Error, Result, Secret};

use crate::embedder::{damaged, used};
use crate::env_file::key_for;
use crate::find::variable;

/// The setting of the address of one.
const URL: &str = "AIMATE_RERANKER_URL";

/// The reranker, if there is one. One that cannot be loaded is told in the log, and searches
/// go on without it: it only orders what they find.
pub(crate) async fn configured(transport: &Transport, data_dir: &Path) -> Option<Arc<dyn Reranker>> {
    load(transport, data_dir).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the reranker is not loaded; searches go on without it");
        None
    })
}

/// Loads the reranker, if there is one; settings win.
///
/// # Errors
/// `NotFound` if the chosen model is gone, `Invalid` if it cannot be run.
pub(crate) async fn load(transport: &Transport, data_dir: &Path) -> Result<Option<Arc<dyn Reranker>>> {
    if let Some(url) = variable(URL) {
        return Ok(Some(Arc::new(reranker(transport, &url))));
    }
    let Some(model) = used(data_dir, ModelPurpose::Reranking)? else { return Ok(None) };
    let loading = tokio::task::spawn_blocking(move || {
        LocalReranker::open(&model.folder).map_err(|error| damaged(&model, error))
    });
    let loaded = loading
        .await
        .map_err(|error| Error::internal("loading the reranker failed").with_source(error))??;
    Ok(Some(Arc::new(loaded)))
}

/// What reranks, in words; nothing if nothing does.
pub(crate) fn told(data_dir: &Path) -> Option<String> {
    if variable(URL).is_some() {
        return Some(format!("reranked by {URL}"));
    }
    let used = used(data_dir, ModelPurpose::Reranking).ok().flatten()?;
    Some(format!("reranked by {}", used.name))
}

/// The reranker at `url`: one that is asked for a model by name has Cohere's
/// shape, one without has that of text-embeddings-inference.
fn reranker(transport: &Transport, url: &str) -> HttpReranker {
    let model = std::env::var("AIMATE_RERANKER_MODEL").unwrap_or_default();
    let key = key_for("AIMATE_RERANKER_KEY", URL).map(Secret::new);
    let shape = if model.is_empty() { RerankShape::Tei } else { RerankShape::Cohere };
    let reranker = HttpReranker::new(transport.clone(), shape, url).model(model);
    match key {
        Some(key) => reranker.api_key(key),
        None => reranker,
    }
}
