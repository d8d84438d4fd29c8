//! Embedders: what turns texts into vectors, and rerankers: what reads a
//! question and a passage together.

use aimate_text::tokens::estimate;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Scripts;
use crate::error::Result;

/// A model that makes vectors, exactly enough to tell whether two vectors can
/// be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmbeddingModel {
    /// `local/NAME` for a model in this process, `CONNECTION/MODEL` for one of
    /// a model server.
    pub name: String,
    /// Numbers in a vector.
    pub dimensions: u32,
    /// What changes when the same name makes other vectors, such as a hash of
    /// the weights; empty where the server does not tell.
    #[serde(default)]
    pub version: String,
}

/// What a text is embedded for; some models want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedPurpose {
    /// A passage that is to be found.
    Passage,
    /// A question that looks for passages.
    Query,
}

/// Makes vectors out of texts.
///
/// Calls run beside each other; an implementation that computes in this process
/// bounds how many do, and works off the async threads.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The model, always the same for one embedder.
    fn model(&self) -> &EmbeddingModel;
    /// Tokens of a text at most; what is longer is cut by the model. Default: 512.
    fn max_tokens(&self) -> usize {
        512
    }
    /// Tokens of `text` as the model counts them. Default: an estimate, a quarter for
    /// each ASCII character and one for each other.
    fn count_tokens(&self, text: &str) -> usize {
        estimate(text) as usize
    }
    /// The scripts that the model reads. Default: all. What is mostly in others is
    /// searched for by words alone, and cut into chunks without asking this model.
    fn scripts(&self) -> Scripts {
        Scripts::All
    }
    /// One vector for each text, in their order, each of
    /// [`EmbeddingModel::dimensions`] finite numbers. The caller normalises.
    async fn embed(&self, texts: &[String], purpose: EmbedPurpose) -> Result<Vec<Vec<f32>>>;
}

/// Orders passages by how well they answer a question, reading both together.
#[async_trait]
pub trait Reranker: Send + Sync {
    /// Its name, for `explain`. Default: `reranker`.
    fn name(&self) -> &str {
        "reranker"
    }
    /// One score for each passage, in their order; a higher one is better.
    async fn rerank(&self, query: &str, passages: &[String]) -> Result<Vec<f32>>;
}
