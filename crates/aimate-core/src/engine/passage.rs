//! A turn's passages: found for its question and kept with it.

use aimate_text::tokens::Tokenizer;
use serde_json::{Value, json};

use super::Engine;
use super::chat::UNKNOWN_WINDOW;
use super::knowledge::question;
use super::resolve::ResolvedModel;
use crate::chat::Turn;
use crate::chat::context::{Budget, passage_tokens, with_passages};
use crate::error::Result;
use crate::message::{Message, MessageRole, Part, text_of};
use crate::provider::ChatRequest;
use crate::scope::Scope;

/// How a turn's passages were found.
#[derive(Default)]
pub(super) struct Finding {
    account: Option<Value>,
    pub(super) warnings: Vec<String>,
}

impl Finding {
    /// Adds the account of the finding to a run's manifest.
    pub(super) fn describe(self, manifest: &mut Value) -> Vec<String> {
        if let (Some(account), Some(manifest)) = (self.account, manifest.as_object_mut()) {
            manifest.insert("knowledge".to_owned(), account);
        }
        self.warnings
    }
}

impl Engine {
    /// The collections that a turn's passages come from: those it names; for a
    /// model that has nothing else to answer from, all.
    pub(super) fn wanted_knowledge(turn: &Turn, target: &ResolvedModel) -> Option<Vec<String>> {
        match &turn.knowledge {
            Some(named) => (!named.is_empty()).then(|| named.clone()),
            None => target.is_fallback().then(Vec::new),
        }
    }

    /// Puts passages for the last user message of a prompt before it.
    pub(super) async fn show_passages(
        &self,
        scope: &Scope,
        collections: &[String],
        request: &mut ChatRequest,
    ) -> Result<()> {
        let Some(last) = request.messages.iter_mut().rev().find(|message| message.role == MessageRole::User)
        else {
            return Ok(());
        };
        let query = text_of(&last.content);
        if query.trim().is_empty() {
            return Ok(());
        }
        let window = request.context_window.unwrap_or(UNKNOWN_WINDOW);
        let budget = Budget::new(window, request.sampling.max_tokens).prompt();
        let found = self.retrieve(scope, collections, query, Tokenizer::Estimate, budget).await?;
        request.passages.clone_from(&found.citations);
        let parts = last.content.drain(..).chain(found.citations.into_iter().map(Part::Citation));
        last.content = with_passages(&parts.collect::<Vec<_>>());
        Ok(())
    }

    /// Finds passages for the last of the new messages and puts them into it.
    pub(super) async fn find_passages(
        &self,
        scope: &Scope,
        path: &[Message],
        new: &mut [Message],
        wanted: Option<Vec<String>>,
        tokenizer: Tokenizer,
        budget: Budget,
    ) -> Result<Finding> {
        let (Some(wanted), Some((last, before))) = (wanted, new.split_last_mut()) else {
            return Ok(Finding::default());
        };
        if last.role != MessageRole::User {
            return Ok(Finding::default());
        }
        let asked: Vec<_> = path.iter().chain(before.iter()).chain([&*last]).cloned().collect();
        let Some(query) = question(&asked) else { return Ok(Finding::default()) };
        let found = self.retrieve(scope, &wanted, query, tokenizer, budget.prompt()).await?;
        let tokens = passage_tokens(tokenizer, &found.citations);
        let account = json!({
            "query": found.query, "passages": found.citations.len(), "tokens": tokens,
            "left_out": found.left_out, "warnings": found.warnings,
        });
        last.content.extend(found.citations.into_iter().map(Part::Citation));
        last.path_stats = last.path_stats.with_tokens(last.path_stats.tokens.saturating_add(tokens));
        Ok(Finding { account: Some(account), warnings: found.warnings })
    }
}
