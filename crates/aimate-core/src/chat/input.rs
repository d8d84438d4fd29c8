//! What a turn is about: the messages that it adds, and what goes for all of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::MessageId;
use crate::limit;
use crate::message::{MessageRole, Part, normalize_content};
use crate::setters::setters;
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

/// What is done with a conversation that is longer than the model's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// Its oldest turns are left out.
    #[default]
    Auto,
    /// Nothing is, but what is some 2,000 messages ago: the turn is refused as `ContextOverflow`,
    /// and nothing of it is stored.
    Disabled,
}

names! { Truncation { Auto = "auto", Disabled = "disabled" } }

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

    setters! {
        /// With this metadata.
        plain metadata: Map<String, Value>;
    }

    /// The message, cleaned; `path` names its content in errors. Turns do the same: this is for who
    /// has a name of their own for it.
    ///
    /// # Errors
    /// `Invalid` if it says nothing or has a part that its role does not say; `TooLarge`.
    pub fn validated(mut self, path: &str) -> Result<Self> {
        normalize_content(path, &mut self.content)?;
        self.check_parts(path)?;
        limit::metadata("metadata", &self.metadata)?;
        Ok(self)
    }

    /// Messages that are added together, each cleaned.
    ///
    /// # Errors
    /// `Invalid` naming the message where there are none, more than 10,000, or one says nothing
    /// or has a part that its role does not say; `TooLarge`.
    pub(crate) fn validated_all(messages: Vec<Self>) -> Result<Vec<Self>> {
        if messages.is_empty() {
            return Err(Error::field("messages", "is empty; it needs at least one message"));
        }
        if messages.len() > limit::MESSAGES {
            let (count, most) = (messages.len(), limit::MESSAGES);
            return Err(Error::field("messages", format!("has {count} messages; the most is {most}")));
        }
        let is_one = messages.len() == 1;
        let cleaned = messages.into_iter().enumerate().map(|(n, message)| {
            message.validated(&if is_one { "content".to_owned() } else { format!("messages[{n}].content") })
        });
        cleaned.collect()
    }

    /// Whether each part is one that the role says.
    fn check_parts(&self, path: &str) -> Result<()> {
        let is_its = |part: &Part| match part {
            Part::Text { .. } => self.role != MessageRole::Tool,
            Part::Image { .. } | Part::File { .. } => {
                matches!(self.role, MessageRole::User | MessageRole::Assistant)
            }
            Part::ToolResult(_) => matches!(self.role, MessageRole::Tool | MessageRole::Assistant),
            Part::Reasoning { .. } | Part::ToolCall(_) | Part::Extra { .. } => {
                self.role == MessageRole::Assistant
            }
            Part::Citation(_) => matches!(self.role, MessageRole::User | MessageRole::Assistant),
        };
        match self.content.iter().position(|part| !is_its(part)) {
            None => Ok(()),
            Some(n) => Err(Error::field(
                format!("{path}[{n}]"),
                format!("is a part that a message of the role `{}` does not have", self.role),
            )),
        }
    }

    /// What a person or their application says in a conversation: results of
    /// tools, or text and images of the user.
    ///
    /// # Errors
    /// `Invalid` for a part that only answers have, or one beside the result of
    /// a tool; `Unsupported` for a file.
    pub fn from_content(content: Vec<Part>) -> Result<Self> {
        Ok(Self::new(role_of(&content)?, content))
    }
}

/// Who says `content`: a tool where it is results, else the user.
pub(super) fn role_of(content: &[Part]) -> Result<MessageRole> {
    let has_results = content.iter().any(|part| matches!(part, Part::ToolResult(_)));
    for (n, part) in content.iter().enumerate() {
        let wrong = match part {
            Part::ToolResult(_) => continue,
            Part::Text { .. } | Part::Image { .. } if !has_results => continue,
            Part::Text { .. } | Part::Image { .. } => "stands beside a tool's result; send the results alone",
            Part::File { .. } => {
                return Err(Error::unsupported_field(
                    format!("content[{n}]"),
                    "this version takes no files yet; send text or an image",
                ));
            }
            Part::Reasoning { .. } | Part::ToolCall(_) | Part::Citation(_) | Part::Extra { .. } => {
                "is a part that only answers have; send `text`, `image` or `tool_result`"
            }
        };
        return Err(Error::field(format!("content[{n}]"), wrong));
    }
    Ok(if has_results { MessageRole::Tool } else { MessageRole::User })
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
