//! What a message of `/api/v1/ws` asks for.

use aimate_core::chat::CallDecision;
use aimate_core::rate_limit::RequestClass;
use aimate_core::tool::ElicitationAnswer;
use aimate_core::{ConversationId, Error, MessageId, RunId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{Failure, Result};
use crate::json;
use crate::message::turn::TurnBody;
use crate::web_socket::ClientMessage;

/// Characters of a request's id at most.
const MAX_ID: usize = 100;

/// A request.
pub(super) struct SocketRequest {
    /// What its reply names it by.
    pub(super) id: String,
    pub(super) what: Command,
}

/// A message that is no request.
pub(super) struct Unread {
    /// Its id, where that can be read.
    pub(super) id: Option<String>,
    pub(super) failure: Failure,
}

/// What is asked for.
pub(super) enum Command {
    /// A message, and an answer to it.
    Create { conversation: Option<ConversationId>, body: Box<TurnBody> },
    /// Another wording of a message.
    Edit { conversation: ConversationId, message: MessageId, body: Box<TurnBody> },
    /// Another answer.
    Regenerate { conversation: ConversationId, message: MessageId, body: Box<TurnBody> },
    /// The events of a run, those after `after`.
    Events { run: RunId, after: u64 },
    /// No more events of a run.
    Leave { run: RunId },
    /// The end of a run.
    Cancel { run: RunId },
    /// Whether a tool may be called.
    Approve { run: RunId, call: String, decision: CallDecision },
    /// What a tool asked for.
    Input { run: RunId, call: String, answer: ElicitationAnswer },
}

/// The types of requests, as messages name them.
#[derive(Clone, Copy, Deserialize)]
enum Kind {
    #[serde(rename = "message.create")]
    Create,
    #[serde(rename = "message.edit")]
    Edit,
    #[serde(rename = "message.regenerate")]
    Regenerate,
    #[serde(rename = "run.events")]
    Events,
    #[serde(rename = "run.leave")]
    Leave,
    #[serde(rename = "run.cancel")]
    Cancel,
    #[serde(rename = "run.approve")]
    Approve,
    #[serde(rename = "run.input")]
    Input,
}

/// A message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestMessage {
    id: String,
    #[serde(rename = "type")]
    kind: Kind,
    conversation_id: Option<ConversationId>,
    message_id: Option<MessageId>,
    run_id: Option<RunId>,
    call_id: Option<String>,
    after: Option<u64>,
    /// What the same request over HTTP has as its body.
    body: Option<Box<RawValue>>,
}

/// What is read of a message that is wrong: its name.
#[derive(Deserialize)]
struct Named {
    id: String,
}

impl SocketRequest {
    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong with it, with its id where that can be read.
    pub(super) fn read(message: &ClientMessage) -> std::result::Result<Self, Unread> {
        let Some(text) = &message.text else {
            let error = Error::invalid("messages must be text: JSON with an `id` and a `type`");
            return Err(Unread { id: None, failure: error.into() });
        };
        let id = || {
            let read = serde_json::from_str::<Named>(text).ok();
            read.map(|read| read.id).filter(|id| is_id(id))
        };
        let read = json::parse::<RequestMessage>(text.as_bytes()).and_then(RequestMessage::into_request);
        read.map_err(|failure| Unread { id: id(), failure })
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.chars().count())
}

impl RequestMessage {
    fn into_request(self) -> Result<SocketRequest> {
        if !is_id(&self.id) {
            return Err(Error::field("id", format!("must have 1 to {MAX_ID} characters")).into());
        }
        let Self { id, kind, conversation_id, message_id, run_id, call_id, after, body } = self;
        let conversation = || needed("conversation_id", conversation_id);
        let message = || needed("message_id", message_id);
        let run = || needed("run_id", run_id);
        let call = || needed("call_id", call_id.clone());
        let takes: &[&str];
        let what = match kind {
            Kind::Create => {
                takes = &["conversation_id", "body"];
                Command::Create { conversation: conversation_id, body: body_of(body.as_deref())? }
            }
            Kind::Edit => {
                takes = &["conversation_id", "message_id", "body"];
                Command::Edit {
                    conversation: conversation()?,
                    message: message()?,
                    body: body_of(body.as_deref())?,
                }
            }
            Kind::Regenerate => {
                takes = &["conversation_id", "message_id", "body"];
                let body = body.as_deref().map_or_else(|| Ok(Box::default()), |body| body_of(Some(body)))?;
                Command::Regenerate { conversation: conversation()?, message: message()?, body }
            }
            Kind::Events => {
                takes = &["run_id", "after"];
                Command::Events { run: run()?, after: after.unwrap_or(0) }
            }
            Kind::Leave => {
                takes = &["run_id"];
                Command::Leave { run: run()? }
            }
            Kind::Cancel => {
                takes = &["run_id"];
                Command::Cancel { run: run()? }
            }
            Kind::Approve => {
                takes = &["run_id", "call_id", "body"];
                Command::Approve { run: run()?, call: call()?, decision: *body_of(body.as_deref())? }
            }
            Kind::Input => {
                takes = &["run_id", "call_id", "body"];
                Command::Input { run: run()?, call: call()?, answer: *body_of(body.as_deref())? }
            }
        };
        let given = [
            ("conversation_id", conversation_id.is_some()),
            ("message_id", message_id.is_some()),
            ("run_id", run_id.is_some()),
            ("call_id", call_id.is_some()),
            ("after", after.is_some()),
            ("body", body.is_some()),
        ];
        match given.into_iter().find(|(name, is_given)| *is_given && !takes.contains(name)) {
            Some((name, _)) => Err(Error::field(name, "is not taken by a request of this type").into()),
            None => Ok(SocketRequest { id, what }),
        }
    }
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T> {
    Ok(value.ok_or_else(|| Error::field(name, "is missing"))?)
}

fn body_of<T: DeserializeOwned>(body: Option<&RawValue>) -> Result<Box<T>> {
    let body = needed("body", body)?;
    json::parse(body.get().as_bytes()).map(Box::new)
}

impl Command {
    /// Whether something begins with it that goes on.
    pub(super) fn begins(&self) -> bool {
        matches!(
            self,
            Self::Create { .. } | Self::Edit { .. } | Self::Regenerate { .. } | Self::Events { .. }
        )
    }

    /// Which rate limit it counts for: that of the same request over HTTP.
    pub(super) fn class(&self) -> RequestClass {
        match self {
            Self::Create { .. } | Self::Edit { .. } | Self::Regenerate { .. } => RequestClass::Chat,
            Self::Events { .. } | Self::Leave { .. } => RequestClass::Read,
            Self::Cancel { .. } | Self::Approve { .. } | Self::Input { .. } => RequestClass::Write,
        }
    }
}
