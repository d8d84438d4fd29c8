//! Managing a user's prompts.

use super::Engine;
use crate::error::Result;
use crate::id::{PromptId, WorkspaceId};
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::prompt::{NewPrompt, Prompt, PromptChange};
use crate::scope::Scope;

/// The prompts of a scope; see [`Engine::prompts`].
#[derive(Clone, Debug)]
pub struct Prompts {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The prompts of `scope`'s user.
    pub fn prompts(&self, scope: &Scope) -> Prompts {
        Prompts { engine: self.clone(), scope: *scope }
    }
}

impl Prompts {
    /// Stores a new prompt.
    ///
    /// # Errors
    /// `Invalid`, naming the field; `NotFound` if the workspace is not the user's.
    pub async fn create(&self, new: NewPrompt) -> Result<Prompt> {
        self.engine.admit(&self.scope).await?;
        new.check()?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let prompt = Prompt {
            id: inner.sources.id(),
            workspace_id: new.workspace_id,
            title: new.title,
            content: limit::without_nul(&new.content).into_owned(),
            is_active: new.is_active,
            created_at: now,
            updated_at: now,
        };
        inner.stores.prompts.create(&self.scope, &prompt).await?;
        Ok(prompt)
    }

    /// One prompt.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: PromptId) -> Result<Prompt> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.prompts.get(&self.scope, id).await
    }

    /// The user's prompts, oldest first; of one workspace if given.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, workspace: Option<WorkspaceId>, page: PageRequest) -> Result<Page<Prompt>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.prompts.list(&self.scope, workspace, page).await
    }

    /// Changes a prompt.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`.
    pub async fn update(&self, id: PromptId, change: PromptChange) -> Result<Prompt> {
        self.engine.admit(&self.scope).await?;
        change.check()?;
        let inner = &self.engine.inner;
        inner.stores.prompts.update(&self.scope, id, &change, inner.sources.now()).await
    }

    /// Deletes a prompt.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, id: PromptId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.prompts.delete(&self.scope, id).await
    }
}
