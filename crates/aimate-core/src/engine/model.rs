//! The models a user can choose from.

use std::time::Duration;

use serde::Serialize;

use super::Engine;
use super::catalog::Catalog;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::id::ConnectionId;
use crate::model::{Capability, Model, Prices};
use crate::scope::Scope;

/// How old a model list may be before it is read again in the background.
const OLD: Duration = Duration::from_secs(600);

/// A model as it is offered to a user.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OfferedModel {
    /// `CONNECTION/MODEL`: what a turn's `model` takes.
    pub id: String,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The server's own id of it.
    pub model_id: String,
    /// The name to show.
    pub name: String,
    /// Tokens of its context window, where the server says.
    pub context_window: Option<u32>,
    /// What it can do, as far as the server says.
    pub capabilities: Vec<Capability>,
    /// Whether turns may use it.
    pub is_active: bool,
    /// What it costs, in US dollars per million tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// Since when reading its connection's list has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_since: Option<crate::Timestamp>,
}

impl OfferedModel {
    fn new(connection: &Connection, model: Model) -> Self {
        Self {
            id: format!("{}/{}", connection.name, model.model_id),
            connection_id: model.connection_id,
            model_id: model.model_id,
            name: model.name,
            context_window: model.context_window,
            capabilities: model.capabilities,
            is_active: model.is_active,
            prices: model.prices,
            stale_since: connection.stale_since,
        }
    }
}

/// The models of a scope; see [`Engine::models`].
#[derive(Clone, Debug)]
pub struct Models {
    engine: Engine,
    scope: Scope,
}

impl Engine {
    /// The models of what `scope` sees.
    pub fn models(&self, scope: &Scope) -> Models {
        Models { engine: self.clone(), scope: *scope }
    }
}

impl Models {
    /// All models of the enabled connections, by connection and model. Lists
    /// never read are read now, old ones in the background.
    ///
    /// # Errors
    /// What the store says; a server that cannot be reached is no error.
    pub async fn list(&self) -> Result<Vec<OfferedModel>> {
        self.engine.admit(&self.scope).await?;
        let (engine, scope) = (&self.engine, &self.scope);
        let mut catalog = engine.catalog(scope).await?;
        if catalog.enabled().any(|connection| connection.models_fetched_at.is_none()) {
            engine.refresh_unread(scope, &catalog).await;
            catalog = engine.catalog(scope).await?;
        }
        for connection in catalog.enabled() {
            engine.refresh_if_older(scope, connection, OLD);
        }
        Ok(offered(&catalog))
    }

    /// One offered model by its `CONNECTION/MODEL` id or bare name.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Invalid` if a bare name is several's.
    pub async fn get(&self, id: &str) -> Result<OfferedModel> {
        self.engine.admit(&self.scope).await?;
        let all = self.list().await?;
        let catalog = self.engine.catalog(&self.scope).await?;
        // The name as it stands in a list goes before one that may be shortened.
        let is_short_for = |model: &OfferedModel, listed: &str| {
            let connection = catalog.connection(model.connection_id);
            connection.is_some_and(|connection| catalog.profile(connection).is_name_of(id, listed))
        };
        let tests: [&dyn Fn(&OfferedModel) -> bool; 4] = [
            &|model| model.id == id,
            &|model| is_short_for(model, &model.id),
            &|model| model.model_id == id,
            &|model| is_short_for(model, &model.model_id),
        ];
        for test in tests {
            let mut found = all.iter().filter(|model| test(model));
            match (found.next(), found.next()) {
                (Some(model), None) => return Ok(model.clone()),
                (Some(_), Some(_)) => {
                    return Err(Error::invalid(format!(
                        "several connections have a model `{id}`; name it `CONNECTION/{id}`"
                    )));
                }
                _ => {}
            }
        }
        Err(Error::missing("model", format!("`{}`", crate::text::shorten(id, 200))))
    }

    /// Switches a model on or off for everybody who sees its connection.
    ///
    /// # Errors
    /// `Forbidden` for a shared connection's if the scope is no admin's, and for that of a
    /// workspace unless to its owners; `NotFound` if there is no such model; what the store says.
    pub async fn set_active(&self, id: &str, is_active: bool) -> Result<OfferedModel> {
        self.engine.admit(&self.scope).await?;
        let model = self.get(id).await?;
        let catalog = self.engine.catalog(&self.scope).await?;
        if let Some(connection) = catalog.connection(model.connection_id) {
            self.engine.may_change_connection(&self.scope, connection).await?;
        }
        let store = &self.engine.inner.stores.models;
        store.set_active(&self.scope, model.connection_id, &model.model_id, is_active).await?;
        self.engine.inner.catalogs.forget(self.scope.tenant);
        Ok(OfferedModel { is_active, ..model })
    }

    /// Reads the connection's list from its server now. A list that cannot be
    /// read, or is empty, leaves the last good one and marks it as stale.
    ///
    /// # Errors
    /// `NotFound` if there is no such connection; what the server or store says.
    pub async fn refresh(&self, connection: ConnectionId) -> Result<Vec<OfferedModel>> {
        self.engine.admit(&self.scope).await?;
        self.engine.refresh_models(&self.scope, connection).await?;
        let catalog = self.engine.catalog(&self.scope).await?;
        Ok(offered(&catalog).into_iter().filter(|model| model.connection_id == connection).collect())
    }
}

fn offered(catalog: &Catalog) -> Vec<OfferedModel> {
    let mut offered: Vec<_> = catalog
        .models
        .iter()
        .filter_map(|model| {
            let connection = catalog.connection(model.connection_id).filter(|c| c.is_enabled)?;
            // What is no model comes last: clients take the first one they see.
            let is_last = catalog.is_fallback(connection);
            Some((is_last, OfferedModel::new(connection, model.clone())))
        })
        .collect();
    offered.sort_by(|(a_last, a), (b_last, b)| (a_last, &a.id).cmp(&(b_last, &b.id)));
    offered.into_iter().map(|(_, model)| model).collect()
}
