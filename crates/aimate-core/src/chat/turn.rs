//! What a caller asks of one turn.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::id::{ConversationId, MessageId, WorkspaceId};
use crate::limit;
use crate::message::{MessageRole, Part, check_content};
use crate::provider::{ResponseFormat, Sampling, ToolChoice, ToolSpec};
use crate::text::names;

/// What happens to a run when nobody listens to it any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// It goes on and its answer is stored.
    #[default]
    Continue,
    /// It is cancelled as soon as its last listener leaves.
    Cancel,
}

names! { OnDisconnect { Continue = "continue", Cancel = "cancel" } }

/// One message a caller adds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputMessage {
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub content: Vec<Part>,
    /// Free for the application.
    pub metadata: Map<String, Value>,
}

impl InputMessage {
    /// A message without metadata.
    pub fn new(role: MessageRole, content: Vec<Part>) -> Self {
        Self { role, content, metadata: Map::new() }
    }
}

/// What the model is to answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum TurnInput {
    /// New messages at the end of a branch.
    Messages(Vec<InputMessage>),
    /// The same question again: a sibling of this answer, or an answer to this
    /// user message.
    Regenerate(MessageId),
    /// Another wording of this user message: a sibling of it.
    Edit(MessageId, Vec<Part>),
}

/// One turn: a question and how it is to be answered.
///
/// ```
/// use aimate_core::chat::Turn;
/// let turn = Turn::new("When is the boiler serviced?").model("ollama/llama3.2");
/// # let _ = turn;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// The conversation; `None` starts a new one.
    pub conversation: Option<ConversationId>,
    /// The workspace of a new conversation.
    pub workspace: Option<WorkspaceId>,
    /// The system prompt of a new conversation; for an existing one it replaces
    /// the conversation's own in this turn alone.
    pub system_prompt: Option<String>,
    /// What is to be answered.
    pub input: TurnInput,
    /// The message that the input follows; default: the active leaf.
    pub parent: Option<MessageId>,
    /// The model, as `CONNECTION/MODEL` or a bare name; default: the one of the
    /// branch's last answer, else the first active model.
    pub model: Option<String>,
    /// The collections, by id or name, whose passages the model is shown; an
    /// empty list is none. Default: none, but all of the user's for `builtin`,
    /// which has nothing else to answer from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knowledge: Option<Vec<String>>,
    /// How words are picked.
    pub sampling: Sampling,
    /// Tools the model may call; the calls come back to the caller.
    pub tools: Vec<ToolSpec>,
    /// Whether it must.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls at once are welcome.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormat>,
    /// More fields for OpenAI-like servers.
    pub extra: Map<String, Value>,
    /// Whether the provider is asked to stream. A plain call is cheaper, but
    /// nothing of its answer is stored before it is whole.
    pub stream: bool,
    /// What happens when nobody listens any more.
    pub on_disconnect: OnDisconnect,
    /// The caller's own id of the turn: sent twice, it is answered once.
    pub client_id: Option<String>,
}

impl Turn {
    /// A turn of one user message of text, in a new conversation.
    pub fn new(text: impl Into<String>) -> Self {
        Self::messages(vec![InputMessage::new(MessageRole::User, vec![Part::text(text)])])
    }

    /// A turn of several messages, in a new conversation.
    pub fn messages(messages: Vec<InputMessage>) -> Self {
        Self::of(TurnInput::Messages(messages))
    }

    /// A turn of any input.
    pub fn of(input: TurnInput) -> Self {
        Self {
            conversation: None,
            workspace: None,
            system_prompt: None,
            input,
            parent: None,
            model: None,
            knowledge: None,
            sampling: Sampling::default(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            response_format: None,
            extra: Map::new(),
            stream: true,
            on_disconnect: OnDisconnect::Continue,
            client_id: None,
        }
    }

    /// In this conversation.
    #[must_use]
    pub fn conversation(mut self, id: ConversationId) -> Self {
        self.conversation = Some(id);
        self
    }

    /// Answered by this model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// With passages of these collections, by id or name.
    #[must_use]
    pub fn knowledge<T: Into<String>>(mut self, collections: impl IntoIterator<Item = T>) -> Self {
        self.knowledge = Some(collections.into_iter().map(Into::into).collect());
        self
    }

    /// With this choice when nobody listens any more.
    #[must_use]
    pub fn on_disconnect(mut self, choice: OnDisconnect) -> Self {
        self.on_disconnect = choice;
        self
    }

    /// With the caller's own id.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Checks and cleans what the caller sent.
    pub(crate) fn check(&mut self) -> Result<()> {
        match &mut self.input {
            TurnInput::Messages(messages) if messages.is_empty() => {
                return Err(Error::field("messages", "is empty; a turn needs at least one message"));
            }
            TurnInput::Messages(messages) => {
                for message in messages {
                    check_content("content", &mut message.content)?;
                }
            }
            TurnInput::Edit(_, content) => check_content("content", content)?,
            TurnInput::Regenerate(_) => {}
        }
        if !matches!(self.input, TurnInput::Messages(_)) && self.conversation.is_none() {
            return Err(Error::invalid("an edit or regeneration needs its conversation"));
        }
        if let Some(text) = &self.system_prompt {
            limit::text("system_prompt", text, limit::PROMPT)?;
        }
        self.client_id.as_ref().map_or(Ok(()), |id| limit::name("client_id", id, limit::CLIENT_ID))
    }

    /// SHA-256 over the turn, to tell a repeated `client_id` from a reused one.
    pub(crate) fn hash(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(json).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_tells_other_content_apart() {
        assert_eq!(Turn::new("a").hash(), Turn::new("a").hash());
        assert_ne!(Turn::new("a").hash(), Turn::new("b").hash());
    }

    #[test]
    fn empty_turn_is_invalid() {
        assert!(Turn::messages(vec![]).check().is_err());
        assert!(Turn::new("").check().is_err());
        assert!(Turn::of(TurnInput::Regenerate(MessageId(uuid::Uuid::nil()))).check().is_err());
    }
}
