//! Prompts: stored system prompts, which define how a workspace's answers
//! behave.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{PromptId, WorkspaceId};
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::setters::setters;

/// A stored system prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Prompt {
    /// Its id.
    pub id: PromptId,
    /// The workspace it applies to; `None` keeps it in the user's library,
    /// where it applies to nothing by itself.
    pub workspace_id: Option<WorkspaceId>,
    /// The title, 1 to 200 characters.
    pub title: String,
    /// The text, at most 100,000 characters.
    pub content: String,
    /// Whether it is sent with each turn of its workspace.
    pub is_active: bool,
    /// Whether all users of the tenant see it; only an admin changes it then.
    #[serde(default)]
    pub is_shared: bool,
    /// When it was made; a workspace's prompts are sent in this order.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Parameters for creating a prompt.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPrompt {
    /// The workspace it applies to; absent for the user's library.
    #[serde(default)]
    pub workspace_id: Option<WorkspaceId>,
    /// The title, 1 to 200 characters.
    pub title: String,
    /// The text, 1 to 100,000 characters.
    pub content: String,
    /// Whether it is sent with each turn of its workspace; default true.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// Whether all users of the tenant see it in their libraries, and only an admin
    /// changes it; default false. Only an admin may ask for that; a workspace has no
    /// shared ones.
    #[serde(default)]
    pub shared: bool,
}

fn yes() -> bool {
    true
}

impl NewPrompt {
    /// An active prompt of the user's library.
    pub fn new(title: impl Into<String>, content: impl Into<String>) -> Self {
        let (title, content) = (title.into(), content.into());
        Self { workspace_id: None, title, content, is_active: true, shared: false }
    }

    /// For all users of the tenant.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    setters! {
        /// Of this workspace.
        optional workspace_id: WorkspaceId;
        /// That opens prompts, or does not.
        plain is_active: bool;
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        limit::name("title", &self.title, limit::NAME)?;
        if self.shared && self.workspace_id.is_some() {
            return Err(Error::field("shared", "is for prompts of the library; a workspace is of one user"));
        }
        limit::name("content", &self.content, limit::PROMPT)
    }
}

/// What to change about a prompt; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PromptChange {
    /// The title, 1 to 200 characters.
    pub title: Option<String>,
    /// The text, 1 to 100,000 characters.
    pub content: Option<String>,
    /// Whether it is sent with each turn of its workspace.
    pub is_active: Option<bool>,
}

impl PromptChange {
    /// A change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// To this title.
        optional title: String;
        /// To this content.
        optional content: String;
        /// To one that opens prompts, or does not.
        optional is_active: bool;
    }

    /// Checks the limits of every field that is given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.title.as_ref().map_or(Ok(()), |title| limit::name("title", title, limit::NAME))?;
        self.content.as_ref().map_or(Ok(()), |text| limit::name("content", text, limit::PROMPT))
    }
}

/// Where prompts are kept. Every method sees those of the scope's user and those of the
/// workspaces they are a member of, which editors change: to a viewer that is
/// `Forbidden`. `get` and `list` see what the tenant shares as well: prompts of
/// [`UserId::SHARED`], which are made and changed in [`Scope::shared`].
///
/// [`UserId::SHARED`]: crate::UserId::SHARED
#[async_trait]
pub trait PromptStore: Send + Sync {
    /// Stores a new prompt. `Conflict` if the id is taken; `NotFound` if the user is not in
    /// its workspace.
    async fn create(&self, scope: &Scope, prompt: &Prompt) -> Result<()>;
    /// The prompt with this id; `NotFound` if the user has none.
    async fn get(&self, scope: &Scope, id: PromptId) -> Result<Prompt>;
    /// The prompts that the user made and the shared ones, oldest first; or all of
    /// `workspace`, whoever made them.
    async fn list(
        &self,
        scope: &Scope,
        workspace: Option<WorkspaceId>,
        page: PageRequest,
    ) -> Result<Page<Prompt>>;
    /// Applies `change` and sets `updated_at` to `now`; `NotFound` if absent.
    async fn update(
        &self,
        scope: &Scope,
        id: PromptId,
        change: &PromptChange,
        now: Timestamp,
    ) -> Result<Prompt>;
    /// Deletes the prompt; `NotFound` if absent.
    async fn delete(&self, scope: &Scope, id: PromptId) -> Result<()>;
}
