//! The embedder of a space, wherever its model runs.

use std::sync::Arc;

use aimate_text::tokens::Tokenizer;
use async_trait::async_trait;
use tokio::time::timeout;

use super::super::{EmbeddingRequest, EmbeddingResponse, Engine};
use crate::caught::caught;
use crate::chat::model_call::{EMBED_PATIENCE, no_vectors};
use crate::error::{Error, ErrorReason, Result};
use crate::knowledge::{EmbedPurpose, Embedder, EmbeddingModel, Scripts};
use crate::scope::Scope;

/// Tokens that a text may have for a model whose server does not tell.
const UNKNOWN_TOKENS: usize = 512;
/// Numbers of a vector at most.
const MAX_DIMENSIONS: usize = 8_192;

impl Engine {
    /// The model that `name` means, with the length of its vectors; `None` for
    /// `none`.
    pub(super) async fn embedding_model(&self, scope: &Scope, name: &str) -> Result<Option<EmbeddingModel>> {
        if name == "none" {
            return Ok(None);
        }
        if let Some(embedder) = self.own_embedder(name) {
            return Ok(Some(embedder.model().clone()));
        }
        if name == "local" || name.starts_with("local/") {
            return Err(Error::not_found(format!(
                "no local embedder `{name}` is loaded; load one, or use `none` or `CONNECTION/MODEL`"
            ))
            .with_reason(ErrorReason::EmbedderNotLoaded));
        }
        let request = EmbeddingRequest::new(["How long is a vector?"]).model(name);
        let EmbeddingResponse { model: name, vectors, .. } = self.embed_admitted(scope, request).await?;
        let dimensions = vectors.first().map_or(0, Vec::len);
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(Error::upstream(format!(
                "`{name}` makes vectors of {dimensions} numbers; aiMate takes 1 to {MAX_DIMENSIONS}"
            )));
        }
        let dimensions = u32::try_from(dimensions).unwrap_or(u32::MAX);
        Ok(Some(EmbeddingModel { name, dimensions, version: String::new() }))
    }

    /// The embedder whose vectors compare with those of `model`.
    pub(super) fn embedder(&self, scope: &Scope, model: &EmbeddingModel) -> Result<Arc<dyn Embedder>> {
        if model.name.starts_with("local/") {
            let own = self.inner.knowledge.embedders.iter().find(|embedder| embedder.model() == model);
            return own.cloned().ok_or_else(|| {
                Error::unsupported(format!(
                    "the model `{}` (version {}) is not loaded; load it, or give the collection another \
                     embedder",
                    model.name, model.version
                ))
                .with_reason(ErrorReason::EmbedderNotLoaded)
            });
        }
        if let Some(own) = self.inner.knowledge.embedders.iter().find(|embedder| embedder.model() == model) {
            return Ok(own.clone());
        }
        Ok(Arc::new(Remote { engine: self.clone(), scope: *scope, model: model.clone() }))
    }

    /// The scripts that an embedder reads.
    pub(super) fn scripts(&self, embedder: &dyn Embedder) -> Scripts {
        let said = self.inner.knowledge.embedder_scripts.get(&embedder.model().name);
        said.cloned().unwrap_or_else(|| embedder.scripts())
    }

    fn own_embedder(&self, name: &str) -> Option<&Arc<dyn Embedder>> {
        let mut all = self.inner.knowledge.embedders.iter();
        if name == "local" { all.next() } else { all.find(|embedder| embedder.model().name == name) }
    }
}

/// A model of a connection.
struct Remote {
    engine: Engine,
    scope: Scope,
    model: EmbeddingModel,
}

#[async_trait]
impl Embedder for Remote {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn max_tokens(&self) -> usize {
        UNKNOWN_TOKENS
    }

    fn count_tokens(&self, text: &str) -> usize {
        Tokenizer::for_model(&self.model.name).count(text) as usize
    }

    async fn embed(&self, texts: &[String], _: EmbedPurpose) -> Result<Vec<Vec<f32>>> {
        let request = EmbeddingRequest::new(texts).model(&self.model.name);
        Ok(self.engine.embed_admitted(&self.scope, request).await?.vectors)
    }
}

/// Vectors of length 1 for `texts`, checked: one for each, of the model's
/// dimensions, all numbers finite, none all zero.
pub(super) async fn embed_checked(
    embedder: &dyn Embedder,
    texts: &[String],
    purpose: EmbedPurpose,
) -> Result<Vec<Vec<f32>>> {
    let EmbeddingModel { name, dimensions, .. } = embedder.model();
    let embedding = async { embedder.embed(texts, purpose).await };
    let mut vectors = match timeout(EMBED_PATIENCE, caught(embedding)).await {
        Ok(Ok(vectors)) => vectors?,
        Ok(Err(panic)) => {
            return Err(Error::upstream(format!("`{name}` broke down: it panicked")).with_source(panic));
        }
        Err(_) => return Err(no_vectors(name)),
    };
    if vectors.len() != texts.len() {
        let (want, got) = (texts.len(), vectors.len());
        return Err(Error::upstream(format!("`{name}` made {got} vectors for {want} texts")));
    }
    for vector in &mut vectors {
        if vector.len() != *dimensions as usize {
            return Err(Error::upstream(format!(
                "`{name}` made a vector of {} numbers where its space has {dimensions}: the model behind this \
                 name has changed; give the collection's embedder anew",
                vector.len()
            )));
        }
        normalise(vector).map_err(|why| {
            Error::upstream(format!("`{name}` made a vector that {why}; it cannot be used"))
        })?;
    }
    Ok(vectors)
}

/// Scales `vector` to length 1.
fn normalise(vector: &mut [f32]) -> Result<(), &'static str> {
    let square: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    if !square.is_finite() {
        return Err("holds a number that is not finite");
    }
    if square < 1e-24 {
        return Err("is all zeros");
    }
    let scale = 1.0 / square.sqrt();
    for x in vector {
        #[allow(clippy::cast_possible_truncation, reason = "a component of a vector of length 1")]
        let scaled = (f64::from(*x) * scale) as f32;
        *x = scaled;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_vectors_are_refused() {
        let mut good = [3.0, 4.0];
        normalise(&mut good).unwrap();
        assert_eq!(good, [0.6, 0.8]);
        assert!(normalise(&mut [f32::NAN, 1.0]).is_err());
        assert!(normalise(&mut [f32::INFINITY, 1.0]).is_err());
        assert!(normalise(&mut [0.0, 0.0]).is_err());
    }
}
