//! Turns that are sent again under their `client_id`.

use super::{Answer, Engine};
use crate::chat::Turn;
use crate::error::{Error, ErrorReason, Result};
use crate::id::RunId;
use crate::run::{Run, RunStatus};
use crate::scope::Scope;

/// What there is already of a turn that may be tried again.
pub(super) enum Tried {
    /// It was answered, or is being answered: that answer counts.
    Answered(Box<Run>),
    /// It was answered without success by this run, and is to be answered anew like
    /// this.
    Failed(RunId, Box<Turn>),
    /// Nothing, or it is not to be tried again.
    Not(Box<Turn>),
}

impl Engine {
    /// What to do with a turn that may be tried again.
    ///
    /// # Errors
    /// `Conflict` if its `client_id` was used for another turn.
    pub(super) async fn tried_before(&self, scope: &Scope, turn: Turn, hash: Option<&[u8]>) -> Result<Tried> {
        let client_id = turn.client_id.as_ref().filter(|_| turn.retry);
        let Some(client_id) = client_id else { return Ok(Tried::Not(Box::new(turn))) };
        let Some(run) = self.inner.stores.runs.of_client(scope, client_id).await? else {
            return Ok(Tried::Not(Box::new(turn)));
        };
        same(&run, hash)?;
        match run.status {
            RunStatus::Failed | RunStatus::Interrupted | RunStatus::Cancelled => {
                Ok(Tried::Failed(run.id, Box::new(turn.again(run.conversation_id, run.message_id))))
            }
            _ => Ok(Tried::Answered(Box::new(run))),
        }
    }

    /// The answer to a turn that cannot be begun because it already was: sent
    /// again while it is answered, it stands in its own way.
    pub(super) async fn same_turn(
        &self,
        scope: &Scope,
        client_id: Option<String>,
        client_hash: Option<Vec<u8>>,
        error: Error,
    ) -> Result<Answer> {
        let Some(client_id) = client_id else { return Err(error) };
        match self.inner.stores.runs.of_client(scope, &client_id).await? {
            Some(run) => self.replay(scope, &run, client_hash.as_deref()),
            None => Err(error),
        }
    }

    /// The answer of a stored turn, for a caller who sends the same turn again.
    pub(super) fn replay(&self, scope: &Scope, run: &Run, client_hash: Option<&[u8]>) -> Result<Answer> {
        same(run, client_hash)?;
        let live = self.inner.channel(scope, run.id);
        Ok(Answer::new(self.clone(), *scope, run, 0, live))
    }
}

/// Whether a stored run is of the turn with this hash.
fn same(run: &Run, hash: Option<&[u8]>) -> Result<()> {
    if run.client_hash.as_deref() == hash {
        return Ok(());
    }
    let why = "this `client_id` was used for another turn; use a new one for a new turn";
    Err(Error::conflict(why).with_reason(ErrorReason::ClientIdUsed))
}
