//! Collections: named sets of documents that are searched together.

use std::time::Duration;

pub use aimate_text::split::Chunking;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Blob, EmbeddingModel, EmbeddingSpace};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{CollectionId, SpaceId, UserId, WorkspaceId};
use crate::limit;
use crate::page::{IdRange, Page, PageRequest, Slice};
use crate::scope::Scope;
use crate::workspace::{WorkspaceRole, check_owner};

/// The name of the collection that documents go into where nobody names one.
pub const DEFAULT_COLLECTION: &str = "documents";

/// A named set of documents of one user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// The name, 1 to 200 characters; no two collections of a user share one, nor two
    /// shared ones, nor two of a workspace. By name, a user's own comes before the shared
    /// one; those of workspaces are found by their id.
    pub name: String,
    /// The workspace whose members share it.
    #[serde(default)]
    pub workspace_id: Option<WorkspaceId>,
    /// What is in it.
    pub description: String,
    /// How its documents are cut into chunks.
    pub chunking: Chunking,
    /// The space that questions are compared in; `None` while it has text
    /// search alone.
    pub space: Option<EmbeddingSpace>,
    /// Free for the application.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
    /// The name that clients of OpenAI's API gave it, which may be empty or another one's
    /// too; `None` for the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Days without use after which it expires for clients of OpenAI's API: they attach nothing to
    /// it and find nothing in it then, until it is changed. For everybody else it stays what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_days: Option<u32>,
    /// When it was last used, to the minute: changed, or attached to or searched by a client of
    /// OpenAI's API; and, where it may expire and has not, added to or searched by its name or id by
    /// whomever.
    #[serde(default)]
    pub last_active_at: Timestamp,
    /// Whether all users of the tenant search and read it; only an admin changes it and
    /// what is in it then.
    #[serde(default)]
    pub is_shared: bool,
    /// How many documents it has.
    pub document_count: u64,
    /// How many chunks can be found in it.
    pub chunk_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Collection {
    /// The most days that [`Collection::expires_after_days`] may be.
    pub const MAX_DAYS: u32 = 365;

    /// When it expires, if nobody uses it before.
    pub fn expires_at(&self) -> Option<Timestamp> {
        expiry(self.expires_after_days, self.last_active_at)
    }

    /// Whether it has expired by `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|at| at <= now)
    }
}

/// What reading and searching need of a collection: nothing is counted for it.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionConfig {
    /// Its id.
    pub id: CollectionId,
    /// Whether all users of the tenant see it.
    pub is_shared: bool,
    /// Who made it, or stands for the tenant: in their scope it is changed, and the model
    /// of its vectors is found.
    pub owner: UserId,
    /// What the asking user may do in its workspace; `None` if it is in none.
    pub role: Option<WorkspaceRole>,
    /// How its documents are cut into chunks.
    pub chunking: Chunking,
    /// The active space and its model, if it has one.
    pub space: Option<(SpaceId, EmbeddingModel)>,
    /// Days without use after which it expires, if it does.
    pub expires_after_days: Option<u32>,
    /// When it was last used, to the minute.
    pub last_active_at: Timestamp,
}

impl CollectionConfig {
    /// Whether it has expired by `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        expiry(self.expires_after_days, self.last_active_at).is_some_and(|at| at <= now)
    }

    /// Whether a use at `now` is to be noted: it may expire, has not, and was not noted within the
    /// last minute.
    pub fn notes_use(&self, now: Timestamp) -> bool {
        let is_due = now.since(self.last_active_at) >= Duration::from_secs(60);
        self.expires_after_days.is_some() && is_due && !self.has_expired(now)
    }
}

/// When a collection expires that was last used at `last_active_at`.
fn expiry(after_days: Option<u32>, last_active_at: Timestamp) -> Option<Timestamp> {
    let day = Duration::from_secs(24 * 60 * 60);
    after_days.map(|days| last_active_at.plus(day * days))
}

/// Parameters for creating a collection.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewCollection {
    /// The name, 1 to 200 characters.
    pub name: String,
    /// What is in it, at most 10,000 characters.
    #[serde(default)]
    pub description: String,
    /// How its documents are cut into chunks.
    #[serde(default)]
    pub chunking: Chunking,
    /// The model that makes its vectors: `local`, `none` (text search alone) or
    /// `CONNECTION/MODEL`. Default: the engine's.
    #[serde(default)]
    pub embedder: Option<String>,
    /// Whether all users of the tenant search and read it, and only an admin changes it
    /// and what is in it; default false. Only an admin may ask for that. Its embedder is
    /// one that is shared, too.
    #[serde(default)]
    pub shared: bool,
    /// Days without use after which it expires, 1 to 365; default: never.
    #[serde(default)]
    pub expires_after_days: Option<u32>,
    /// The workspace whose members are to share it; the user is an editor there.
    #[serde(default)]
    pub workspace_id: Option<WorkspaceId>,
    /// Free for the application, at most 64 KiB as JSON.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Map<String, Value>,
}

impl NewCollection {
    /// One with this name and defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// With vectors of this model: `local`, `none` (text search alone) or
    /// `CONNECTION/MODEL`.
    #[must_use]
    pub fn embedder(mut self, name: impl Into<String>) -> Self {
        self.embedder = Some(name.into());
        self
    }

    /// With a description.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// For all users of the tenant.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// For the members of this workspace.
    #[must_use]
    pub fn workspace(mut self, id: WorkspaceId) -> Self {
        self.workspace_id = Some(id);
        self
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        limit::name("name", &self.name, limit::NAME)?;
        limit::text("description", &self.description, limit::DESCRIPTION)?;
        check_chunking(self.chunking)?;
        self.expires_after_days.map_or(Ok(()), check_days)?;
        check_owner(self.shared, self.workspace_id)?;
        limit::metadata("metadata", &self.metadata)
    }
}

/// What to change about a collection; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CollectionChange {
    /// The name, 1 to 200 characters.
    pub name: Option<String>,
    /// What is in it.
    pub description: Option<String>,
    /// How documents that come from now on are cut; those that are there stay
    /// as they are until they change.
    pub chunking: Option<Chunking>,
    /// Another model for the vectors: its space is built beside the active one,
    /// which answers until the new one is whole. A model that the collection
    /// had before is active again at once.
    pub embedder: Option<String>,
    /// The workspace, into which who made it puts it; `null` takes it out again.
    #[serde(deserialize_with = "crate::text::present")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<WorkspaceId>))]
    pub workspace_id: Option<Option<WorkspaceId>>,
    /// The name for clients of OpenAI's API, at most 256 characters. One that gives `name`
    /// alone takes it away, so that both show the same.
    pub label: Option<String>,
    /// Days without use after which it expires, 1 to 365; `null`: never.
    #[serde(deserialize_with = "crate::text::present")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub expires_after_days: Option<Option<u32>>,
    /// All metadata, replaced as a whole.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<Map<String, Value>>,
}

impl CollectionChange {
    /// Checks the limits of every field that is given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.name.as_ref().map_or(Ok(()), |name| limit::name("name", name, limit::NAME))?;
        self.description
            .as_ref()
            .map_or(Ok(()), |text| limit::text("description", text, limit::DESCRIPTION))?;
        self.chunking.map_or(Ok(()), check_chunking)?;
        self.label.as_ref().map_or(Ok(()), |label| limit::text("label", label, limit::LABEL))?;
        self.expires_after_days.flatten().map_or(Ok(()), check_days)?;
        self.metadata.as_ref().map_or(Ok(()), |map| limit::metadata("metadata", map))
    }
}

fn check_chunking(chunking: Chunking) -> Result<()> {
    chunking.check().map_err(|error| Error::field(format!("chunking.{}", error.field), error.message))
}

fn check_days(days: u32) -> Result<()> {
    if !(1..=Collection::MAX_DAYS).contains(&days) {
        let most = Collection::MAX_DAYS;
        return Err(Error::field("expires_after_days", format!("is {days}; it must be 1 to {most}")));
    }
    Ok(())
}

/// Stores collections. Every method sees those of the scope's user; a foreign
/// or unknown id is `NotFound`.
///
/// What only reads sees what the tenant shares as well, collections of
/// [`UserId::SHARED`], and those of the workspaces that the user is in. What changes one
/// is called in the scope of its owner ([`CollectionConfig::owner`]) by who has asked
/// whether the user may. So it is with their documents, spaces and chunks.
#[async_trait]
pub trait CollectionStore: Send + Sync {
    /// Stores a new collection together with its active space, if it has one.
    /// `Conflict` if the user or its workspace has one of this name, or the id is taken;
    /// `NotFound` if the user is not in its workspace, `Forbidden` to a viewer there.
    async fn create(&self, scope: &Scope, collection: &Collection) -> Result<()>;
    /// The collection with this id.
    async fn get(&self, scope: &Scope, id: CollectionId) -> Result<Collection>;
    /// The collection of this name, the user's own before a shared one; `None` if
    /// there is none.
    async fn get_by_name(&self, scope: &Scope, name: &str) -> Result<Option<Collection>>;
    /// The configuration of the collection with this id.
    async fn config(&self, scope: &Scope, id: CollectionId) -> Result<CollectionConfig>;
    /// The configurations of several collections in one query, in the order of
    /// `ids_or_names`. What parses as an id is one, all else is a name.
    /// `NotFound`, saying which, if one is not there.
    async fn configs(&self, scope: &Scope, ids_or_names: &[String]) -> Result<Vec<CollectionConfig>>;
    /// The configurations of the [`PageRequest::MAX_LIMIT`] newest collections that the
    /// user sees, newest first.
    async fn newest_configs(&self, scope: &Scope) -> Result<Vec<CollectionConfig>>;
    /// The collections that the user made and the shared ones, newest first; or all of
    /// `workspace`, whoever made them.
    async fn list(
        &self,
        scope: &Scope,
        workspace: Option<WorkspaceId>,
        page: PageRequest,
    ) -> Result<Page<Collection>>;
    /// The collections that the user made and the shared ones, by id.
    async fn range(&self, scope: &Scope, range: IdRange) -> Result<Slice<Collection>>;
    /// Says that somebody used the collection, whoever of those who may read it: it was
    /// active at `now`, to the minute.
    async fn touch(&self, scope: &Scope, id: CollectionId, now: Timestamp) -> Result<()>;
    /// Applies all of `change` except the embedder, sets `updated_at` and
    /// `last_active_at` to `now`
    /// and returns the collection as it is then. `Conflict` if another
    /// collection has the new name; `NotFound` if the scope's user, whose it is, may not
    /// add to the workspace that it is put into.
    async fn update(
        &self,
        scope: &Scope,
        id: CollectionId,
        change: &CollectionChange,
        now: Timestamp,
    ) -> Result<Collection>;
    /// Deletes the collection with all its documents, chunks, vectors and index,
    /// and puts the documents' bytes on the list of what is to be removed
    /// ([`IngestQueue::blobs_to_remove`](super::IngestQueue::blobs_to_remove)), in
    /// one commit. Returns those bytes.
    async fn delete(&self, scope: &Scope, id: CollectionId) -> Result<Vec<Blob>>;
}
