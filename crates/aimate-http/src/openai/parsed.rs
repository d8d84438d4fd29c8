//! A validated chat request, and the turn that stores it.

use aimate_core::chat::{InputMessage, Turn};
use aimate_core::message::{MessageRole, text_of};
use aimate_core::provider::{ChatMessage, ChatRequest};
use aimate_core::{ConversationId, Error};
use serde_json::{Map, Value};

use crate::error::Result;

/// A chat request that has been validated and converted to the engine's types.
pub(crate) struct ParsedRequest {
    pub(super) model: Option<String>,
    pub(super) request: ChatRequest,
    pub(super) include_usage: bool,
    pub(super) conversation: Option<ConversationId>,
    pub(super) knowledge: Option<Vec<String>>,
    pub(super) retrievers: Vec<String>,
    pub(super) use_tools: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) metadata: Map<String, Value>,
}

impl ParsedRequest {
    /// Converts to a turn, which stores question and answer. Leading system
    /// messages become the system prompt. In an existing conversation only the
    /// messages after the last answer are new: clients send the whole history.
    pub(super) fn into_turn(self) -> Result<Turn> {
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
        let (system_prompt, new) = split_system_prompt(messages, self.conversation.is_some());
        let mut new: Vec<_> =
            new.into_iter().map(|message| InputMessage::new(message.role, message.content)).collect();
        match new.last_mut() {
            None => {
                return Err(Error::field(
                    "messages",
                    "has no new message; the last one must be the message to answer",
                )
                .into());
            }
            Some(last) => last.metadata = self.metadata,
        }
        let mut turn = Turn::messages(new).sampling(sampling).tools(tools).extra(extra).stream(stream);
        turn.conversation = self.conversation;
        turn.model = self.model;
        turn.knowledge = self.knowledge;
        turn.retrievers = self.retrievers;
        turn.use_tools = self.use_tools;
        turn.tags = self.tags;
        turn.system_prompt = system_prompt;
        turn.tool_choice = tool_choice;
        turn.parallel_tool_calls = parallel_tool_calls;
        turn.response_format = response_format;
        Ok(turn)
    }
}

/// Returns the leading system messages as one text, and the new messages.
fn split_system_prompt(
    mut messages: Vec<ChatMessage>,
    is_continued: bool,
) -> (Option<String>, Vec<ChatMessage>) {
    let is_system = |message: &ChatMessage| message.role == MessageRole::System;
    let leading = messages.iter().take_while(|message| is_system(message)).count();
    let mut new = messages.split_off(leading);
    let texts: Vec<_> = messages.iter().map(|message| text_of(&message.content)).collect();
    if is_continued {
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
        let message = |role: &MessageRole| ChatMessage::new(*role, vec![Part::text(role.as_str())]);
        roles.iter().map(message).collect()
    }

    #[test]
    fn only_what_follows_the_last_answer_is_new() {
        use MessageRole::{Assistant, System, User};
        let (system, new) = split_system_prompt(chat(&[System, System, User, Assistant, User]), true);
        assert_eq!(system.as_deref(), Some("system\n\nsystem"));
        assert_eq!(new, chat(&[User]));
        let (_, new) = split_system_prompt(chat(&[User, Assistant, User]), false);
        assert_eq!(new, chat(&[User, Assistant, User]));
    }
}
