//! Managing a user's prompts.

use super::Engine;
use super::access::{owner, shared_owner};
use crate::error::{Error, ErrorKind, Result};
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
    /// `Invalid`, naming the field; `NotFound` if the workspace is not the user's;
    /// `Forbidden` if it is to be shared and the scope is no admin's.
    pub async fn create(&self, new: NewPrompt) -> Result<Prompt> {
        self.engine.admit(&self.scope).await?;
        new.check()?;
        let inner = &self.engine.inner;
        let now = inner.sources.now();
        let owner = owner(&self.scope, new.shared, "a prompt")?;
        let prompt = Prompt {
            id: inner.sources.id(),
            workspace_id: new.workspace_id,
            title: new.title,
            content: limit::without_nul(&new.content).into_owned(),
            is_active: new.is_active,
            is_shared: new.shared,
            created_at: now,
            updated_at: now,
        };
        inner.stores.prompts.create(&owner, &prompt).await?;
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

    /// The user's prompts and the shared ones, oldest first; of one workspace if given.
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
    /// `Invalid`, `NotFound`; `Forbidden` if it is shared and the scope is no admin's.
    pub async fn update(&self, id: PromptId, change: PromptChange) -> Result<Prompt> {
        self.engine.admit(&self.scope).await?;
        change.check()?;
        let inner = &self.engine.inner;
        let (store, now) = (&inner.stores.prompts, inner.sources.now());
        match store.update(&self.scope, id, &change, now).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let owner = self.shared_owner(id, error).await?;
                store.update(&owner, id, &change, now).await
            }
            updated => updated,
        }
    }

    /// Deletes a prompt.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` if it is shared and the scope is no admin's.
    pub async fn delete(&self, id: PromptId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let store = &self.engine.inner.stores.prompts;
        match store.delete(&self.scope, id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let owner = self.shared_owner(id, error).await?;
                store.delete(&owner, id).await
            }
            deleted => deleted,
        }
    }

    /// The scope that owns a prompt which is not the user's own.
    async fn shared_owner(&self, id: PromptId, missing: Error) -> Result<Scope> {
        let found = self.engine.inner.stores.prompts.get(&self.scope.shared(), id).await;
        shared_owner(&self.scope, "prompt", missing, found.map(drop))
    }
}
