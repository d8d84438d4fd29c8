//! Searching through the engine: what [`KnowledgeSearch`] needs of it.

use async_trait::async_trait;

use super::super::Engine;
use super::super::resolve::ResolvedModel;
use super::Knowledge;
use super::embedder::embed_checked;
use crate::chat::Turn;
use crate::error::{Error, Result};
use crate::knowledge::{EmbedPurpose, EmbeddingModel, SearchRequest, SearchResponse, SourcePassage};
use crate::retrieval::{KnowledgeSearch, NamedRetriever, PassageSources, QueryEmbedder};
use crate::scope::Scope;
use crate::text::shorten;

impl Knowledge {
    /// Finds the passages that answer a question best.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` if a named collection is not
    /// there; `Unsupported` for mode `vector` where no collection has vectors;
    /// what an embedder or reranker says, but for mode `hybrid`, which goes on
    /// with what it has and says so in `warnings`.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse> {
        self.engine.admit(&self.scope).await?;
        self.engine.knowledge_search(&self.scope).search(request).await
    }
}

impl Engine {
    /// The search over the collections of `scope`'s user.
    pub(in super::super) fn knowledge_search<'a>(&'a self, scope: &'a Scope) -> KnowledgeSearch<'a> {
        let inner = &self.inner;
        KnowledgeSearch {
            scope,
            stores: &inner.stores,
            embedder: self,
            reranker: inner.knowledge.reranker.as_deref(),
            now: inner.sources.now(),
        }
    }

    /// Where a turn's passages come from: the collections that it names, or all of the
    /// user's for a model that has nothing else to answer from; the searches that it
    /// names; and those that came with it, which are taken out of it.
    ///
    /// # Errors
    /// `NotFound` for a search that is not registered.
    pub(in super::super) fn passage_sources(
        &self,
        turn: &mut Turn,
        model: &ResolvedModel,
    ) -> Result<PassageSources> {
        let collections = match &turn.knowledge {
            Some(named) => (!named.is_empty()).then(|| named.clone()),
            None => model.is_fallback().then(Vec::new),
        };
        let given = std::mem::take(&mut turn.passages);
        self.sources_of(collections, &turn.retrievers, given)
    }

    /// The same for a call that is not stored.
    pub(in super::super) fn sources_of(
        &self,
        collections: Option<Vec<String>>,
        retrievers: &[String],
        given: Vec<SourcePassage>,
    ) -> Result<PassageSources> {
        let services = &self.inner.knowledge;
        let mut named: Vec<NamedRetriever> = Vec::new();
        for name in retrievers {
            if named.iter().any(|known| known.name == *name) {
                continue;
            }
            let retriever = services.retrievers.get(name).cloned();
            let retriever = retriever.ok_or_else(|| no_such_retriever(name, services.retrievers.keys()))?;
            named.push(NamedRetriever { name: name.clone(), retriever });
        }
        Ok(PassageSources { collections, given, retrievers: named, timeout: services.retriever_timeout })
    }
}

fn no_such_retriever<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> Error {
    let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    let registered = if known.is_empty() { "none is".to_owned() } else { known.join(", ") };
    Error::not_found(format!("there is no retriever `{}`; registered: {registered}", shorten(name, 64)))
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
