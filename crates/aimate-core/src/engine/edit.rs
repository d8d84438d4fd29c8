//! Editing a message: another wording beside the one that is there.

use super::{Answer, Engine};
use crate::chat::{Turn, TurnInput};
use crate::error::{Error, Result};
use crate::message::{Message, MessageRole};
use crate::scope::Scope;

/// What came of an edit.
#[derive(Debug)]
pub enum Edited {
    /// A question was edited: it is answered anew.
    Question(Answer),
    /// An answer was edited: the new wording, as it is stored.
    Answer(Box<Message>),
}

impl Engine {
    /// Stores another wording of a message beside it. A question is answered
    /// anew, in the way that `turn` says; an answer is stored alone.
    ///
    /// # Errors
    /// `Invalid` if the turn is no [`TurnInput::Edit`] of a conversation; those
    /// of [`Engine::chat`] for a question, those of
    /// [`Conversations::edit_answer`](super::Conversations::edit_answer) for an
    /// answer.
    pub async fn edit(&self, scope: &Scope, turn: Turn) -> Result<Edited> {
        self.admit(scope).await?;
        let (Some(id), TurnInput::Edit(message, content)) = (turn.conversation, &turn.input) else {
            return Err(Error::invalid("an edit names its conversation and its message"));
        };
        let edited = self.inner.stores.conversations.message(scope, id, *message).await?;
        if edited.role != MessageRole::Assistant {
            return self.chat(scope, turn).await.map(Edited::Question);
        }
        let answer = self.conversations(scope).edit_answer(id, *message, content.clone()).await?;
        Ok(Edited::Answer(Box::new(answer)))
    }
}
