//! Retrieval: from a question to cited passages.
//!
//! [`KnowledgeSearch::search`] runs two retrievers beside each other, one by words
//! (BM25) and one by meaning (vectors), and `fuse` makes one ranking of the
//! two. `sources` brings in passages of the application's own; `passages` chooses
//! what the model of a turn is shown; `citations` writes it into the prompt and
//! resolves the marks of the answer.

pub(crate) mod citations;
mod fuse;
mod passages;
mod rerank;
mod search;
mod sources;

pub(crate) use sources::{NamedRetriever, PassageSources};

use async_trait::async_trait;

use crate::Stores;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::knowledge::{EmbeddingModel, Reranker};
use crate::scope::Scope;

/// Searches the collections of one user.
pub(crate) struct KnowledgeSearch<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) stores: &'a Stores,
    pub(crate) embedder: &'a dyn QueryEmbedder,
    pub(crate) reranker: Option<&'a dyn Reranker>,
    pub(crate) now: Timestamp,
}

/// Embeds questions with the model of a collection, wherever that model runs.
#[async_trait]
pub(crate) trait QueryEmbedder: Send + Sync {
    /// Whether `model` reads the script of `query`: if not, its vector of it says
    /// nothing.
    fn reads(&self, scope: &Scope, model: &EmbeddingModel, query: &str) -> bool;
    /// Returns the vector of `query`: of length 1, comparable with the vectors
    /// of `model`.
    async fn embed_query(&self, scope: &Scope, model: &EmbeddingModel, query: &str) -> Result<Vec<f32>>;
}
