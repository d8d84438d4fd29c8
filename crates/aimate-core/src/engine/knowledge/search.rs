//! Searching through the engine: what [`Retriever`] needs of it.

use async_trait::async_trait;

use super::super::Engine;
use super::super::resolve::ResolvedModel;
use super::Knowledge;
use super::embedder::embed_checked;
use crate::chat::Turn;
use crate::error::{Error, Result};
use crate::knowledge::{EmbedPurpose, EmbeddingModel, SearchRequest, SearchResponse};
use crate::retrieval::{QueryEmbedder, Retriever};
use crate::scope::Scope;

impl Knowledge {
    /// Finds the passages that answer a question best.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` if a named collection is not
    /// there; `Unsupported` for mode `vector` where no collection has vectors;
    /// what an embedder or reranker says, but for mode `hybrid`, which goes on
    /// with what it has and says so in `warnings`.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse> {
        self.engine.retriever(&self.scope).search(request).await
    }
}

impl Engine {
    /// The retriever over the collections of `scope`'s user.
    pub(in super::super) fn retriever<'a>(&'a self, scope: &'a Scope) -> Retriever<'a> {
        let inner = &self.inner;
        Retriever {
            scope,
            stores: &inner.stores,
            embedder: self,
            reranker: inner.knowledge.reranker.as_deref(),
        }
    }

    /// The collections that a turn's passages come from: those it names; all of
    /// the user's for a model that has nothing else to answer from.
    pub(in super::super) fn collections_for(turn: &Turn, model: &ResolvedModel) -> Option<Vec<String>> {
        match &turn.knowledge {
            Some(named) => (!named.is_empty()).then(|| named.clone()),
            None => model.is_fallback().then(Vec::new),
        }
    }
}

#[async_trait]
impl QueryEmbedder for Engine {
    fn reads(&self, scope: &Scope, model: &EmbeddingModel, query: &str) -> bool {
        // A model that is not loaded says so when it is to embed.
        self.embedder(scope, model).map_or(true, |embedder| self.scripts(embedder.as_ref()).read(query))
    }

    async fn embed_query(&self, scope: &Scope, model: &EmbeddingModel, query: &str) -> Result<Vec<f32>> {
        let embedder = self.embedder(scope, model)?;
        let mut vectors = embed_checked(embedder.as_ref(), &[query.to_owned()], EmbedPurpose::Query).await?;
        vectors.pop().ok_or_else(|| Error::upstream(format!("`{}` made no vector", model.name)))
    }
}
