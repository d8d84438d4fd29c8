//! The providers that an engine was built with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::connection::NewConnection;
use crate::error::{Error, Result};
use crate::provider::{ChatProvider, ProviderId, ProviderProfile};

/// A provider and what it said of itself when the engine was built.
pub(super) struct RegisteredProvider {
    pub(super) provider: Arc<dyn ChatProvider>,
    pub(super) profile: ProviderProfile,
}

/// The registered providers by their names.
pub(super) struct Providers {
    registered: BTreeMap<ProviderId, RegisteredProvider>,
    /// Stands for a provider that a stored connection names and this engine does
    /// not have.
    unknown: ProviderProfile,
}

impl Providers {
    pub(super) fn new(providers: HashMap<ProviderId, Arc<dyn ChatProvider>>) -> Result<Self> {
        let mut registered = BTreeMap::new();
        for (id, provider) in providers {
            id.check()?;
            let profile = provider.profile();
            registered.insert(id, RegisteredProvider { provider, profile });
        }
        Ok(Self { registered, unknown: ProviderProfile::default() })
    }

    /// The provider of this name.
    ///
    /// # Errors
    /// `Unsupported`, naming those that are registered.
    pub(super) fn get(&self, id: &ProviderId) -> Result<&RegisteredProvider> {
        self.registered.get(id).ok_or_else(|| Error::unsupported(self.not_registered(id)))
    }

    /// The profile of the provider that a connection names; one of all defaults
    /// if it is not registered.
    pub(super) fn profile(&self, id: &ProviderId) -> &ProviderProfile {
        self.registered.get(id).map_or(&self.unknown, |registered| &registered.profile)
    }

    /// A new connection, checked and completed as its provider wants it.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub(super) fn validated(&self, new: NewConnection) -> Result<NewConnection> {
        match self.registered.get(&new.provider) {
            Some(registered) => new.validated(&registered.profile),
            None => Err(Error::field("provider", self.not_registered(&new.provider))),
        }
    }

    fn not_registered(&self, id: &ProviderId) -> String {
        let names: Vec<_> = self.registered.keys().map(|id| format!("`{id}`")).collect();
        if names.is_empty() {
            return format!("no provider `{id}` is registered, nor any other");
        }
        format!("no provider `{id}` is registered; registered are {}", names.join(", "))
    }
}
