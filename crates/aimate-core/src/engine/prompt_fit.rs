//! Whether the prompt of a call that is not stored fits the model's window.

use aimate_text::tokens::Tokenizer;

use super::Engine;
use crate::chat::Truncation;
use crate::chat::context::{PromptBudget, message_tokens, tool_tokens};
use crate::error::{Error, Result};
use crate::message::MessageRole;
use crate::provider::{ChatMessage, ChatRequest};

impl Engine {
    /// Has the prompt fit the model's window: its oldest turns are left out, or it is refused, as
    /// `truncation` says. System messages at its beginning stay, and so does the last turn.
    ///
    /// # Errors
    /// `ContextOverflow`.
    pub(super) async fn fit(
        &self,
        request: &mut ChatRequest,
        truncation: Truncation,
        tokenizer: Tokenizer,
        budget: PromptBudget,
    ) -> Result<()> {
        let messages = std::mem::take(&mut request.messages);
        let count = move || {
            let tokens = |message: &ChatMessage| u64::from(message_tokens(tokenizer, &message.content));
            let counts: Vec<u64> = messages.iter().map(tokens).collect();
            (messages, counts)
        };
        let counted = self.inner.tasks.spawn_blocking(count).await;
        let (messages, counts) =
            counted.map_err(|error| Error::internal("counting tokens failed").with_source(error))?;
        let tools: u64 = request.tools.iter().map(|tool| u64::from(tool_tokens(tokenizer, tool))).sum();
        let all = tools + counts.iter().sum::<u64>();
        let room = budget.prompt().saturating_sub(tools);
        let kept = if all <= budget.prompt() {
            Some((messages.len(), messages.len()))
        } else if truncation == Truncation::Auto {
            newest(&messages, &counts, room)
        } else {
            None
        };
        let Some((system, first)) = kept else {
            return Err(Error::context_overflow(format!(
                "the messages have about {all} tokens; the model reads at most {} and {} of them are kept for the \
                 answer: send less, let `truncation` be `auto`, or use a model with a larger window",
                budget.window, budget.answer
            )));
        };
        let messages = messages.into_iter().enumerate();
        request.messages =
            messages.filter(|(n, _)| *n < system || *n >= first).map(|(_, message)| message).collect();
        Ok(())
    }
}

/// How many messages at the beginning are the system's, and the first of the turns that fit `room`
/// together with them; `None` if not even the last turn does.
fn newest(messages: &[ChatMessage], counts: &[u64], room: u64) -> Option<(usize, usize)> {
    let system = messages.iter().take_while(|message| message.role == MessageRole::System).count();
    let mut taken: u64 = counts.iter().sum();
    for (n, (message, tokens)) in messages.iter().zip(counts).enumerate().skip(system) {
        if message.role == MessageRole::User && taken <= room {
            return Some((system, n));
        }
        taken -= tokens;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Part;

    #[test]
    fn oldest_turns_are_left_out_whole() {
        use MessageRole::{Assistant, System, Tool, User};
        let messages = [System, User, Assistant, Tool, Assistant, User, Assistant, User]
            .map(|role| ChatMessage::new(role, vec![Part::text("x")]));
        let counts = [1; 8];
        for (room, first) in [
            (8, Some((1, 1))),
            (7, Some((1, 5))),
            (4, Some((1, 5))),
            (3, Some((1, 7))),
            (2, Some((1, 7))),
            (1, None),
        ] {
            assert_eq!(newest(&messages, &counts, room), first, "{room}");
        }
    }
}
