//! From the name of a model to the connection that is asked.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::catalog::Catalog;
use crate::clock::Timestamp;
use crate::connection::{Connection, ConnectionStatus};
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::model::{Capability, Model};
use crate::price::{Pricing, price_of};
use crate::provider::ProviderId;
use crate::scope::Scope;
use crate::text::{shorten, similarity};

/// How old a list may be when a model is asked for that it does not have.
const UNLISTED_AGE: Duration = Duration::from_secs(60);
/// Names that are proposed in place of one that is not known.
const MAX_PROPOSALS: usize = 3;
/// How alike a proposed name is at least, from 0 to 1.
const MIN_SIMILARITY: f64 = 0.3;

/// A model that a call goes to.
#[derive(Clone)]
pub(super) struct ResolvedModel {
    pub(super) connection: Arc<Connection>,
    /// What the connection's list says of it, if it has it.
    pub(super) model: Option<Model>,
    /// The server's own id of it.
    pub(super) model_id: String,
    catalog: Arc<Catalog>,
}

impl ResolvedModel {
    /// `CONNECTION/MODEL`.
    pub(super) fn label(&self) -> String {
        format!("{}/{}", self.connection.name, self.model_id)
    }

    /// What it costs at `now`.
    pub(super) fn pricing(&self, now: Timestamp) -> Pricing {
        Pricing {
            set: price_of(&self.catalog.prices, &self.label(), now),
            listed: self.model.as_ref().and_then(|model| model.prices),
        }
    }

    /// Whether the tenant had any budget a moment ago.
    pub(super) fn has_budgets(&self) -> bool {
        self.catalog.has_budgets
    }

    /// Whether it is told of tools in the prompt.
    pub(super) fn has_tools_by_prompt(&self) -> bool {
        let listed = &self.connection.settings.tools_by_prompt;
        listed.iter().any(|name| name == "*" || *name == self.model_id)
    }

    /// Whether it sees pictures, as its server lists it.
    pub(super) fn sees_pictures(&self) -> bool {
        self.model.as_ref().is_some_and(|model| model.capabilities.contains(&Capability::Vision))
    }

    /// Whether it only stands in where there is no model.
    pub(super) fn is_fallback(&self) -> bool {
        self.catalog.is_fallback(&self.connection)
    }

    /// Tokens of its context window: as the connection is set, else what its
    /// server lists, else what is known of its kind.
    pub(super) fn window(&self) -> Option<u32> {
        let listed = self.model.as_ref().and_then(|model| model.context_window);
        let known = aimate_text::tokens::known_window(&self.model_id);
        let set = self.connection.settings.context_window;
        let window = set.or_else(|| self.catalog.profile(&self.connection).window(listed, known));
        window.map(|window| window.max(256))
    }

    /// A server's refusal of a model that its list does not have, with the
    /// nearest names that it has. Any other error stays as it is.
    pub(super) fn explain(&self, error: Error) -> Error {
        let is_unknown =
            error.kind() == ErrorKind::NotFound || error.reason() == Some(ErrorReason::UnknownModel);
        if self.model.is_some() || !is_unknown {
            return error;
        }
        match proposals(self.catalog.nearest(Some(&self.connection), &self.model_id)) {
            Some(advice) => error.with_advice(&advice),
            None => error,
        }
    }
}

/// Why no model was found.
enum Miss {
    /// These may list it since their lists were read.
    Unlisted(Vec<Arc<Connection>>, Error),
    Final(Error),
}

impl Miss {
    fn error(self) -> Error {
        match self {
            Self::Unlisted(_, error) | Self::Final(error) => error,
        }
    }
}

impl Catalog {
    fn has_models(&self, connection: &Connection) -> bool {
        self.models_of(connection).next().is_some()
    }

    /// The listed model that `name` means in a connection; the very name goes
    /// before one that may be shortened to it.
    fn listed(&self, connection: &Connection, name: &str) -> Option<&Model> {
        let profile = self.profile(connection);
        let mut shortened =
            self.models_of(connection).filter(|model| profile.is_name_of(name, &model.model_id));
        self.models_of(connection).find(|model| model.model_id == name).or_else(|| shortened.next())
    }

    fn resolved(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        model: Option<&Model>,
        name: &str,
    ) -> ResolvedModel {
        ResolvedModel {
            connection: connection.clone(),
            model_id: model.map_or(name, |model| &model.model_id).to_owned(),
            model: model.cloned(),
            catalog: self.clone(),
        }
    }

    /// The model that `name` means. `may_guess` for one that no list has: the lists
    /// were read again.
    fn find(self: &Arc<Self>, name: &str, may_guess: bool) -> Result<ResolvedModel, Miss> {
        let named = name.split_once('/').and_then(|(connection, model)| {
            Some((self.connections.iter().find(|known| known.name == connection)?, model))
        });
        match named {
            Some((connection, model)) => self.find_in(connection, model),
            None => self.find_bare(name, may_guess),
        }
    }

    /// The model of a named connection. What its list does not have is passed on
    /// as well (an alias, a fine-tune, a deployment): the server decides.
    fn find_in(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        model_id: &str,
    ) -> Result<ResolvedModel, Miss> {
        let name = &connection.name;
        if !connection.is_enabled {
            return Err(Miss::Final(no_model(format!(
                "the connection `{name}` is disabled; enable it first"
            ))));
        }
        if model_id.trim().is_empty() {
            return Err(Miss::Final(no_model(format!(
                "`{name}/` names no model; a model is named as `CONNECTION/MODEL`"
            ))));
        }
        match self.listed(connection, model_id) {
            Some(model) if !model.is_active => Err(Miss::Final(no_model(format!(
                "the model `{name}/{}` is disabled; enable it first",
                model.model_id
            )))),
            listed => Ok(self.resolved(connection, listed, model_id)),
        }
    }

    fn find_bare(self: &Arc<Self>, name: &str, may_guess: bool) -> Result<ResolvedModel, Miss> {
        let having = |is_it: &dyn Fn(&Connection) -> bool| -> Vec<_> {
            self.enabled().filter(|connection| is_it(connection)).collect()
        };
        let mut found = having(&|c| self.models_of(c).any(|model| model.model_id == name));
        if found.is_empty() {
            found = having(&|c| self.listed(c, name).is_some());
        }
        match found.as_slice() {
            [connection] => self.find_in(connection, name),
            [] => match having(&|c| !self.is_fallback(c) && !self.has_models(c)).as_slice() {
                // A server without a model list may have any model; but one that is
                // down is not asked before the others.
                [only]
                    if having(&|c| !self.is_fallback(c)).len() == 1
                        || (may_guess && only.status != ConnectionStatus::Unreachable) =>
                {
                    self.find_in(only, name)
                }
                _ => Err(self.no_such_model(name)),
            },
            several => Err(Miss::Final(Error::invalid(format!(
                "several connections have a model `{name}`; say which: {}",
                several.iter().map(|c| format!("`{}/{name}`", c.name)).collect::<Vec<_>>().join(", ")
            )))),
        }
    }

    fn no_such_model(&self, name: &str) -> Miss {
        let error = no_model(format!(
            "there is no model `{}`; models are named as `CONNECTION/MODEL`",
            shorten(name, 200)
        ));
        let error = match proposals(self.nearest(None, name)) {
            Some(advice) => error.with_advice(&advice),
            None => error,
        };
        let servers: Vec<_> = self.enabled().filter(|c| !self.is_fallback(c)).cloned().collect();
        if servers.is_empty() { Miss::Final(error) } else { Miss::Unlisted(servers, error) }
    }

    /// The listed names that are most like `name`, best first; of one connection
    /// or of all.
    fn nearest(&self, connection: Option<&Connection>, name: &str) -> Vec<String> {
        let among = self.enabled().filter(|one| connection.is_none_or(|only| only.id == one.id));
        let active = among.flat_map(|connection| {
            let models = self.models_of(connection).filter(|model| model.is_active);
            models.map(move |model| (&model.model_id, format!("{}/{}", connection.name, model.model_id)))
        });
        let name = name.to_lowercase();
        // A name with the connection in it would be alike to all of that connection.
        let has_connection = connection.is_none() && name.contains('/');
        let mut scored: Vec<_> = active
            .map(|(model_id, label)| {
                let listed = if has_connection { &label } else { model_id };
                (similarity(&name, &listed.to_lowercase()), label)
            })
            .filter(|(score, _)| *score >= MIN_SIMILARITY)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        scored.into_iter().take(MAX_PROPOSALS).map(|(_, label)| label).collect()
    }

    /// The model of a turn that names none: the first active one that can chat,
    /// of the preferred provider first, of a fallback last.
    fn default_model(self: &Arc<Self>, preferred: Option<&ProviderId>) -> Result<ResolvedModel> {
        let chats = |model: &&Model| {
            model.is_active
                && (model.capabilities.is_empty() || model.capabilities.contains(&Capability::Chat))
        };
        let mut connections: Vec<_> = self.enabled().collect();
        connections.sort_by_key(|c| {
            (Reverse(Some(&c.provider) == preferred), self.is_fallback(c), c.created_at, c.id)
        });
        connections
            .into_iter()
            .find_map(|connection| {
                let model = self.models_of(connection).find(chats)?;
                Some(self.resolved(connection, Some(model), &model.model_id))
            })
            .ok_or_else(|| self.no_model())
    }

    /// Why no model answers, and what would help.
    fn no_model(&self) -> Error {
        const ADD: &str = "add a connection to a model server";
        let servers: Vec<_> = self.enabled().filter(|c| !self.is_fallback(c)).collect();
        if servers.is_empty() {
            return no_model(format!("no model server is connected; {ADD}"));
        }
        if servers.iter().any(|connection| self.has_models(connection)) {
            return no_model("no listed model that chats is enabled; enable one, or name a model");
        }
        let named = |status: ConnectionStatus, why: &str| {
            let of = servers.iter().filter(|connection| connection.status == status);
            let names: Vec<_> = of.map(|connection| format!("`{}`", connection.name)).collect();
            (!names.is_empty()).then(|| format!("{} {why}", names.join(", ")))
        };
        let why: Vec<_> = [
            named(ConnectionStatus::Unreachable, "cannot be reached or lists no models"),
            named(ConnectionStatus::NeedsKey, "refuses the key or has none"),
            named(ConnectionStatus::Unknown, "has not answered yet"),
            named(ConnectionStatus::Ok, "lists no models"),
        ]
        .into_iter()
        .flatten()
        .collect();
        Error::unavailable(format!("no model server answers: {}; start it, or {ADD}", why.join("; ")))
    }
}

/// That a name is no model's, so that whoever looked up more knows what was not found.
fn no_model(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::not_found(message).with_reason(ErrorReason::UnknownModel)
}

/// "the nearest names are …"; `None` without any.
fn proposals(names: Vec<String>) -> Option<String> {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("the nearest listed are {}", names.join(", ")))
}

impl Catalog {
    /// What the model of a stored label costs at `now`, as far as it is known.
    fn pricing(&self, label: &str, now: Timestamp) -> Pricing {
        let listed = label.split_once('/').and_then(|(name, model_id)| {
            let connection = self.connections.iter().find(|connection| connection.name == name)?;
            self.models_of(connection).find(|model| model.model_id == model_id)?.prices
        });
        Pricing { set: price_of(&self.prices, label, now), listed }
    }
}

impl Engine {
    /// What the model of a stored label costs at `now`; nothing is known where it cannot
    /// be looked up.
    pub(super) async fn pricing_of(&self, scope: &Scope, label: &str, now: Timestamp) -> Pricing {
        self.catalog(scope).await.map(|catalog| catalog.pricing(label, now)).unwrap_or_default()
    }

    /// The model of a stored label, `CONNECTION/MODEL`, in the very connection that
    /// it names.
    ///
    /// # Errors
    /// `Invalid` on `model` if that connection is not there any more or disabled: the
    /// caller has to name another one.
    pub(super) async fn resolve_in_connection(&self, scope: &Scope, label: &str) -> Result<ResolvedModel> {
        let name = label.split_once('/').map_or(label, |(name, _)| name);
        let catalog = self.catalog(scope).await?;
        let connection = catalog.connections.iter().find(|known| known.name == name);
        let gone = match connection {
            None => "is not there any more",
            Some(connection) if !connection.is_enabled => "is disabled",
            Some(_) => return self.resolve_model(scope, Some(label)).await,
        };
        Err(Error::field(
            "model",
            format!(
                "is missing: connection `{}`, which answered before, {gone}, and a conversation goes to no other \
                 connection by itself; name the model that answers from now on",
                shorten(name, 200)
            ),
        ))
    }

    /// The model that `name` means in this scope, or the default one.
    pub(super) async fn resolve_model(&self, scope: &Scope, name: Option<&str>) -> Result<ResolvedModel> {
        let catalog = self.catalog(scope).await?;
        let Some(name) = name else { return self.default_model(scope, &catalog).await };
        match catalog.find(name, false) {
            Ok(found) if found.model.is_some() => Ok(found),
            Ok(found) if catalog.has_models(&found.connection) => {
                self.refresh_if_older(scope, &found.connection, UNLISTED_AGE);
                Ok(found)
            }
            // A server without a list is asked for one now and then, but only
            // the first call waits.
            Ok(found) => {
                self.refresh_once(scope, &found.connection).await;
                self.catalog(scope).await?.find(name, true).map_err(Miss::error)
            }
            Err(Miss::Final(error)) => Err(error),
            Err(Miss::Unlisted(connections, error)) => {
                let readings =
                    connections.iter().map(|connection| self.refresh_soon(scope, connection).wait());
                futures_util::future::join_all(readings).await;
                self.catalog(scope).await?.find(name, true).map_err(|_| error)
            }
        }
    }

    async fn default_model(&self, scope: &Scope, catalog: &Arc<Catalog>) -> Result<ResolvedModel> {
        let preferred = self.inner.preferred.as_ref();
        match catalog.default_model(preferred) {
            Ok(found) if !found.is_fallback() || preferred == Some(&found.connection.provider) => Ok(found),
            // A server whose list was never read may have a real model.
            other => {
                self.refresh_unread(scope, catalog).await;
                // What is known by now says better why there is none.
                self.catalog(scope).await?.default_model(preferred).or_else(|error| other.map_err(|_| error))
            }
        }
    }
}
