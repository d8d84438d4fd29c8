//! A chat that is asked for, and the turn that keeps it.

use aimate_core::chat::{InputMessage, Turn};
use aimate_core::message::{MessageRole, text_of};
use aimate_core::provider::{ChatMessage, ChatRequest};
use aimate_core::{ConversationId, Error};
use serde_json::{Map, Value};

use crate::error::Result;

/// What a request asks, in the terms of the engine.
pub(crate) struct Question {
    pub(super) model: Option<String>,
    pub(super) request: ChatRequest,
    pub(super) include_usage: bool,
    pub(super) conversation: Option<ConversationId>,
    pub(super) knowledge: Option<Vec<String>>,
    pub(super) metadata: Map<String, Value>,
}

impl Question {
    /// The turn that keeps question and answer. The system messages at the
    /// beginning are the system prompt; in a conversation that goes on, what
    /// follows the last answer is new.
    pub(super) fn turn(self) -> Result<Turn> {
        let ChatRequest {
            messages,
            tools,
            tool_choice,
            parallel_tool_calls,
            response_format,
            sampling,
            stream,
            extra,
            ..
        } = self.request;
        let (system_prompt, new) = split(messages, self.conversation.is_some());
        let mut new: Vec<_> =
            new.into_iter().map(|message| InputMessage::new(message.role, message.content)).collect();
        match new.last_mut() {
            None => {
                return Err(Error::field(
                    "messages",
                    "has no new message; the last one must be what is to be answered",
                )
                .into());
            }
            Some(last) => last.metadata = self.metadata,
        }
        let mut turn = Turn::messages(new).sampling(sampling).tools(tools).extra(extra).stream(stream);
        turn.conversation = self.conversation;
        turn.model = self.model;
        turn.knowledge = self.knowledge;
        turn.system_prompt = system_prompt;
        turn.tool_choice = tool_choice;
        turn.parallel_tool_calls = parallel_tool_calls;
        turn.response_format = response_format;
        Ok(turn)
    }
}

/// The system prompt at the beginning of `messages`, and those that are new.
fn split(mut messages: Vec<ChatMessage>, goes_on: bool) -> (Option<String>, Vec<ChatMessage>) {
    let is_system = |message: &ChatMessage| message.role == MessageRole::System;
    let leading = messages.iter().take_while(|message| is_system(message)).count();
    let mut new = messages.split_off(leading);
    let texts: Vec<_> = messages.iter().map(|message| text_of(&message.content)).collect();
    if goes_on {
        let answered =
            new.iter().rposition(|message| message.role == MessageRole::Assistant).map_or(0, |last| last + 1);
        new.drain(..answered);
    }
    ((!texts.is_empty()).then(|| texts.join("\n\n")), new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aimate_core::message::Part;

    fn chat(roles: &[MessageRole]) -> Vec<ChatMessage> {
        let message =
            |role: &MessageRole| ChatMessage { role: *role, content: vec![Part::text(role.as_str())] };
        roles.iter().map(message).collect()
    }

    #[test]
    fn only_what_follows_the_last_answer_is_new() {
        use MessageRole::{Assistant, System, User};
        let (system, new) = split(chat(&[System, System, User, Assistant, User]), true);
        assert_eq!(system.as_deref(), Some("system\n\nsystem"));
        assert_eq!(new, chat(&[User]));
        let (_, new) = split(chat(&[User, Assistant, User]), false);
        assert_eq!(new, chat(&[User, Assistant, User]));
    }
}
