//! Reading runs, attaching to them, cancelling them.

use serde_json::Value;

use super::{Answer, Engine};
use crate::error::Result;
use crate::id::RunId;
use crate::run::{Run, RunStatus};
use crate::scope::Scope;

/// The runs of a scope; see [`Engine::runs`].
#[derive(Clone, Debug)]
pub struct Runs {
    pub(super) engine: Engine,
    pub(super) scope: Scope,
}

impl Engine {
    /// The runs of `scope`'s user.
    pub fn runs(&self, scope: &Scope) -> Runs {
        Runs { engine: self.clone(), scope: *scope }
    }
}

impl Runs {
    /// One run, with the manifest of what its model was shown.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: RunId) -> Result<Run> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.runs.get(&self.scope, id).await
    }

    /// One run, with what its turn asked to be kept ([`Turn::request`](crate::chat::Turn::request)).
    ///
    /// # Errors
    /// `NotFound`, also if it keeps nothing.
    pub async fn with_request(&self, id: RunId) -> Result<(Run, Value)> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.run_requests.get(&self.scope, id).await
    }

    /// The run of the turn that was sent with this [`client_id`](crate::chat::Turn::client_id); `None`
    /// if there is none.
    ///
    /// # Errors
    /// What the store says.
    pub async fn of_client(&self, client_id: &str) -> Result<Option<Run>> {
        self.engine.admit(&self.scope).await?;
        self.engine.inner.stores.runs.of_client(&self.scope, client_id).await
    }

    /// Listens to a run from after the event with sequence number `after`: 0
    /// for the beginning. What was missed comes first, then what comes.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn attach(&self, id: RunId, after: u64) -> Result<Answer> {
        self.engine.admit(&self.scope).await?;
        let run = self.get(id).await?;
        let live = self.engine.inner.channel(&self.scope, id);
        Ok(Answer::new(self.engine.clone(), self.scope, &run, after, live))
    }

    /// Cancels a run, in whatever process it is: the call of the model ends at
    /// once, the partial answer is kept. A run that is over stays as it is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn cancel(&self, id: RunId) -> Result<Run> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        match inner.channel(&self.scope, id) {
            Some(channel) => channel.cancel.cancel(),
            None => {
                let status = inner.stores.runs.request_cancel(&self.scope, id).await?;
                if status == RunStatus::Waiting {
                    // Nobody writes it who could stop.
                    let run = self.get(id).await?;
                    if run.status == RunStatus::Waiting {
                        self.engine.cancel_waiting(&self.scope, id).await?;
                    }
                }
            }
        }
        self.get(id).await
    }

    /// Deletes what the run's turn asked to be kept
    /// ([`Turn::request`](crate::chat::Turn::request)). Where its conversation is hidden and no
    /// run of it has such a request any more, the conversation is deleted with its messages
    /// and runs, and its running answers are stopped.
    ///
    /// # Errors
    /// `NotFound`, also if it was forgotten before.
    pub async fn forget(&self, id: RunId) -> Result<()> {
        self.engine.admit(&self.scope).await?;
        let inner = &self.engine.inner;
        if let Some(deleted) = inner.stores.run_requests.forget(&self.scope, id).await? {
            inner.cancel_all_of(deleted);
        }
        Ok(())
    }
}
