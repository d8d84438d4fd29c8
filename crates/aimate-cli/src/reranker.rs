//! What reads the best hits of a search once more: an endpoint that is set, or a model in
//! the data folder.

use std::path::Path;
use std::sync::Arc;

use aimate::knowledge::Reranker;
use aimate::providers::local::{LocalReranker, ModelPurpose};
use aimate::providers::{HttpReranker, RerankShape, Transport};
use aimate::{Error, Result, Secret};

use crate::embedder::shelf;
use crate::env_file::key_for;

/// The reranker, if there is one; settings win.
///
/// # Errors
/// `NotFound` if the chosen model is gone, `Invalid` if it cannot be run.
pub(crate) async fn configured(transport: &Transport, data_dir: &Path) -> Result<Option<Arc<dyn Reranker>>> {
    if let Ok(url) = std::env::var("AIMATE_RERANKER_URL") {
        return Ok(Some(Arc::new(reranker(transport, &url))));
    }
    let Some(model) = shelf(data_dir).used(ModelPurpose::Reranking)? else { return Ok(None) };
    let loading = tokio::task::spawn_blocking(move || {
        LocalReranker::open(&model.folder).map_err(|error| {
            let message = format!("{error}; `aimate model remove {}` and add it again", model.name);
            Error::new(error.kind(), message).with_source(error)
        })
    });
    let loaded = loading
        .await
        .map_err(|error| Error::internal("loading the reranker failed").with_source(error))??;
    Ok(Some(Arc::new(loaded)))
}

/// What reranks, in words; nothing if nothing does.
pub(crate) fn told(data_dir: &Path) -> Option<String> {
    if std::env::var_os("AIMATE_RERANKER_URL").is_some() {
        return Some("reranked by AIMATE_RERANKER_URL".to_owned());
    }
    let used = shelf(data_dir).used(ModelPurpose::Reranking).ok().flatten()?;
    Some(format!("reranked by {}", used.name))
}

/// The reranker at `url`: one that is asked for a model by name has Cohere's
/// shape, one without has that of text-embeddings-inference.
fn reranker(transport: &Transport, url: &str) -> HttpReranker {
    let model = std::env::var("AIMATE_RERANKER_MODEL").unwrap_or_default();
    let key = key_for("AIMATE_RERANKER_KEY", "AIMATE_RERANKER_URL").map(Secret::new);
    let shape = if model.is_empty() { RerankShape::Tei } else { RerankShape::Cohere };
    let reranker = HttpReranker::new(transport.clone(), shape, url).model(model);
    match key {
        Some(key) => reranker.api_key(key),
        None => reranker,
    }
}
