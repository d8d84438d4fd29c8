//! Groups: users of a tenant who are let into workspaces together.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{GroupId, UserId};
use crate::limit;
use crate::page::{Page, PageRequest};
use crate::scope::Scope;
use crate::setters::setters;

/// Users of a tenant under one name, such as a department.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// The name, 1 to 200 characters; no other group of the tenant has it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How many users are in it.
    pub member_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its name or description last changed.
    pub updated_at: Timestamp,
}

/// Parameters for creating a group.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// The name, 1 to 200 characters.
    pub name: String,
    /// What it is for, at most 10,000 characters.
    #[serde(default)]
    pub description: String,
}

impl NewGroup {
    /// A group of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), description: String::new() }
    }

    setters! {
        /// With this description.
        plain description: String;
    }

    /// Checks the limits of every field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        limit::name("name", &self.name, limit::NAME)?;
        limit::text("description", &self.description, limit::DESCRIPTION)
    }
}

/// What to change about a group; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GroupChange {
    /// The name, 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

impl GroupChange {
    /// A change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// To this name.
        optional name: String;
        /// To this description.
        optional description: String;
    }

    /// Checks the limits of every field that is given.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        self.name.as_ref().map_or(Ok(()), |name| limit::name("name", name, limit::NAME))?;
        self.description.as_ref().map_or(Ok(()), |text| limit::text("description", text, limit::DESCRIPTION))
    }
}

/// A user in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GroupMember {
    /// Who.
    pub user_id: UserId,
    /// What they are called.
    pub name: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// Where groups are kept. An admin sees and changes all of the tenant; others see those
/// that they are in, and what they would change is `Forbidden`. What changes who is in a
/// group changes in the same commit what they may do in its workspaces, and asks the
/// answers to stop that they may not ask for any more.
#[async_trait]
pub trait GroupStore: Send + Sync {
    /// Stores a new group. `Conflict` if the id or the name is taken.
    async fn create(&self, scope: &Scope, group: &Group) -> Result<()>;
    /// The group with this id.
    async fn get(&self, scope: &Scope, id: GroupId) -> Result<Group>;
    /// The groups that the user sees, newest first.
    async fn list(&self, scope: &Scope, page: PageRequest) -> Result<Page<Group>>;
    /// Applies `change` and sets `updated_at` to `now`. `Conflict` if the name is taken.
    async fn update(&self, scope: &Scope, id: GroupId, change: &GroupChange, now: Timestamp)
    -> Result<Group>;
    /// Deletes the group and takes it out of its workspaces.
    async fn delete(&self, scope: &Scope, id: GroupId) -> Result<()>;
    /// Who is in the group, by their id.
    async fn members(&self, scope: &Scope, id: GroupId, page: PageRequest) -> Result<Page<GroupMember>>;
    /// Puts a user into the group; one who is in it stays in it. `NotFound` if there is no
    /// such user in the tenant.
    async fn add_member(&self, scope: &Scope, id: GroupId, user: UserId, now: Timestamp) -> Result<()>;
    /// Takes a user out of the group. `NotFound` if they are not in it.
    async fn remove_member(&self, scope: &Scope, id: GroupId, user: UserId) -> Result<()>;
}
