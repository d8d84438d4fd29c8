//! One turn, as a caller asks for it.

use serde_json::{Map, Value};

use super::input::{OnDisconnect, Truncation, TurnInput, role_of};
use crate::conversation::NewConversation;
use crate::error::{Error, Result};
use crate::id::{ConversationId, MessageId, WorkspaceId};
use crate::knowledge::SourcePassage;
use crate::limit;
use crate::message::{MessageRole, Part, normalize_content};
use crate::provider::{ResponseFormat, Sampling, ToolChoice, ToolSpec};
use crate::tool::OfferedServer;

use super::InputMessage;
use super::approval::{DecidedCall, OnApproval};

/// One turn: a question and how it is to be answered.
///
/// ```
/// use aimate_core::chat::Turn;
/// let turn = Turn::new("When is the boiler serviced?").model("ollama/llama3.2");
/// # let _ = turn;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Turn {
    /// The conversation; `None` starts a new one.
    pub conversation: Option<ConversationId>,
    /// What a new conversation is like: its title, labels, metadata and so on; `None`
    /// for every default. The turn's own `workspace` and `system_prompt` go first.
    pub new_conversation: Option<NewConversation>,
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
    pub knowledge: Option<Vec<String>>,
    /// Searches of the application's own, by the names under which they are
    /// registered, that are asked for passages too. Default: none.
    pub retrievers: Vec<String>,
    /// Passages of the application's own that the model is shown, before any that are
    /// found. What is more than a third of the prompt is left out, with a warning.
    pub passages: Vec<SourcePassage>,
    /// How words are picked.
    pub sampling: Sampling,
    /// Tools the model may call; the calls come back to the caller.
    pub tools: Vec<ToolSpec>,
    /// Tools that aiMate calls for the model, within the answer: the names of registered
    /// ones, `SERVER` for all of a tool server, `SERVER/TOOL` for one. Default: none.
    pub use_tools: Vec<String>,
    /// Tool servers whose tools aiMate calls too, as
    /// [`ToolServers::offered`](crate::engine::ToolServers::offered) gave them. They are this turn's alone: it must
    /// not wait for an approval ([`Turn::on_approval`]). Default: none.
    pub tool_servers: Vec<OfferedServer>,
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
    /// What the application wants the turn's usage summed by, such as `ticket:42`: at
    /// most 50 of 1 to 100 characters. Kept with the run and with its usage.
    pub tags: Vec<String>,
    /// The caller's own id of the turn: sent twice, it is answered once. The same id
    /// with another turn is a `Conflict`; a turn is another one if any of its fields
    /// differs but this one and `retry`.
    pub client_id: Option<String>,
    /// Whether a turn of this `client_id` that was answered without success (it failed,
    /// was cancelled, or was interrupted by a crash) is answered anew: as another
    /// answer to the same question, beside the one before. Without it, the answer
    /// that is stored comes back, whatever it is.
    pub retry: bool,
    /// What the caller wants back with the run, such as the request that the turn was made of:
    /// an object of at most 256 KiB as JSON, which comes back by [`Runs::with_request`]
    /// until [`Runs::forget`](crate::engine::Runs::forget). Default: nothing.
    ///
    /// [`Runs::with_request`]: crate::engine::Runs::with_request
    pub request: Option<Value>,
    /// What tells the turn from another one of its `client_id` in place of what was found for it
    /// and may be found otherwise when it is sent again: `passages`, `tool_servers` and `request`.
    /// Default: these.
    pub identity: Option<Value>,
    /// Whether a conversation that the turn starts is hidden: found by its id alone, and in
    /// no list, count or search. Default: false. A turn in a conversation leaves it as it is.
    pub hidden: bool,
    /// What is done with a conversation that is longer than the model's window. Default: its
    /// oldest turns are left out.
    pub truncation: Truncation,
    /// Whether the model is told nothing but the turn's own `system_prompt`: no prompts of the
    /// engine, the workspace or the conversation. Default: false.
    pub own_prompts_only: bool,
    /// How many calls of tools aiMate makes for the answer at most, from 1; what the model calls
    /// after that is not made, and it is asked to answer. Calls of the caller's own `tools`
    /// do not count. Default: as many as the engine's [`ToolLimits`](crate::tool::ToolLimits)
    /// allow.
    pub max_tool_calls: Option<u32>,
    /// What becomes of the answer where its model calls a tool that needs a person's approval.
    /// Default: it waits.
    pub on_approval: OnApproval,
    /// What a person decided of calls with which an answer of this branch ended
    /// ([`OnApproval::End`]): the answer begins with them, made or refused. With some, the turn
    /// needs no new message. Default: none.
    pub decided: Vec<DecidedCall>,
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
            new_conversation: None,
            workspace: None,
            system_prompt: None,
            input,
            parent: None,
            model: None,
            knowledge: None,
            retrievers: Vec::new(),
            passages: Vec::new(),
            sampling: Sampling::default(),
            tools: Vec::new(),
            use_tools: Vec::new(),
            tool_servers: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            response_format: None,
            extra: Map::new(),
            stream: true,
            on_disconnect: OnDisconnect::Continue,
            tags: Vec::new(),
            client_id: None,
            retry: false,
            request: None,
            identity: None,
            hidden: false,
            truncation: Truncation::Auto,
            own_prompts_only: false,
            max_tool_calls: None,
            on_approval: OnApproval::Wait,
            decided: Vec::new(),
        }
    }

    /// In this conversation.
    #[must_use]
    pub fn conversation(mut self, id: ConversationId) -> Self {
        self.conversation = Some(id);
        self
    }

    /// In a new conversation like this.
    #[must_use]
    pub fn new_conversation(mut self, new: NewConversation) -> Self {
        self.new_conversation = Some(new);
        self
    }

    /// In this workspace, if the turn starts a conversation.
    #[must_use]
    pub fn workspace(mut self, id: WorkspaceId) -> Self {
        self.workspace = Some(id);
        self
    }

    /// With this system prompt.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// After this message.
    #[must_use]
    pub fn parent(mut self, id: MessageId) -> Self {
        self.parent = Some(id);
        self
    }

    /// Answered by this model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// With passages of these collections, by id or name; with none of an empty
    /// list.
    #[must_use]
    pub fn knowledge<T: Into<String>>(mut self, collections: impl IntoIterator<Item = T>) -> Self {
        self.knowledge = Some(collections.into_iter().map(Into::into).collect());
        self
    }

    /// With passages of these searches of the application's own, in place of all
    /// before.
    #[must_use]
    pub fn retrievers<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.retrievers = names.into_iter().map(Into::into).collect();
        self
    }

    /// With these passages of the application's own, in place of all before.
    #[must_use]
    pub fn passages(mut self, passages: impl IntoIterator<Item = SourcePassage>) -> Self {
        self.passages = passages.into_iter().collect();
        self
    }

    /// With words picked in this way.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// With these tools in place of all before.
    #[must_use]
    pub fn tools(mut self, tools: impl IntoIterator<Item = ToolSpec>) -> Self {
        self.tools = tools.into_iter().collect();
        self
    }

    /// With these tools, which aiMate calls, in place of all before.
    #[must_use]
    pub fn use_tools<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.use_tools = names.into_iter().map(Into::into).collect();
        self
    }

    /// With the tools of these servers, in place of all before.
    #[must_use]
    pub fn tool_servers(mut self, servers: impl IntoIterator<Item = OfferedServer>) -> Self {
        self.tool_servers = servers.into_iter().collect();
        self
    }

    /// Waiting for a person's approval, or ending with the call that needs one.
    #[must_use]
    pub fn on_approval(mut self, choice: OnApproval) -> Self {
        self.on_approval = choice;
        self
    }

    /// With what a person decided of calls of an answer before.
    #[must_use]
    pub fn decided(mut self, calls: impl IntoIterator<Item = DecidedCall>) -> Self {
        self.decided = calls.into_iter().collect();
        self
    }

    /// With this choice of tools.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = Some(choice);
        self
    }

    /// With several tool calls at once, or one at a time.
    #[must_use]
    pub fn parallel_tool_calls(mut self, are_welcome: bool) -> Self {
        self.parallel_tool_calls = Some(are_welcome);
        self
    }

    /// With an answer of this form.
    #[must_use]
    pub fn response_format(mut self, format: ResponseFormat) -> Self {
        self.response_format = Some(format);
        self
    }

    /// With these more fields in place of all before.
    #[must_use]
    pub fn extra(mut self, fields: Map<String, Value>) -> Self {
        self.extra = fields;
        self
    }

    /// With the provider streaming, or answering in one piece.
    #[must_use]
    pub fn stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }

    /// With this choice when nobody listens any more.
    #[must_use]
    pub fn on_disconnect(mut self, choice: OnDisconnect) -> Self {
        self.on_disconnect = choice;
        self
    }

    /// With one more tag, by which its usage can be summed.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// With the caller's own id.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Answered anew where its `client_id` was answered without success.
    #[must_use]
    pub fn retry(mut self) -> Self {
        self.retry = true;
        self
    }

    /// With this kept for the caller: a JSON object.
    #[must_use]
    pub fn request(mut self, request: impl Into<Value>) -> Self {
        self.request = Some(request.into());
        self
    }

    /// In a hidden conversation, if the turn starts one.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// With a conversation that does not fit cut, or refused.
    #[must_use]
    pub fn truncation(mut self, truncation: Truncation) -> Self {
        self.truncation = truncation;
        self
    }

    /// With the turn's own system prompt alone.
    #[must_use]
    pub fn own_prompts_only(mut self) -> Self {
        self.own_prompts_only = true;
        self
    }

    /// With at most so many calls of tools that aiMate makes.
    #[must_use]
    pub fn max_tool_calls(mut self, most: u32) -> Self {
        self.max_tool_calls = Some(most);
        self
    }

    /// The same question of a stored turn, to be answered anew beside `answer`.
    pub(crate) fn again(self, conversation: ConversationId, answer: MessageId) -> Self {
        Self {
            conversation: Some(conversation),
            new_conversation: None,
            workspace: None,
            input: TurnInput::Regenerate(answer),
            parent: None,
            retrievers: Vec::new(),
            passages: Vec::new(),
            ..self
        }
    }

    /// The turn with its content cleaned, if it is within the limits.
    pub(crate) fn validated(mut self) -> Result<Self> {
        match &mut self.input {
            TurnInput::Messages(messages) if messages.is_empty() && !self.decided.is_empty() => {}
            TurnInput::Messages(messages) => {
                *messages = InputMessage::validated_all(std::mem::take(messages))?;
            }
            TurnInput::Edit(_, content) => {
                normalize_content("content", content)?;
                role_of(content)?;
            }
            TurnInput::Regenerate(_) => {
                let given =
                    [("passages", self.passages.is_empty()), ("retrievers", self.retrievers.is_empty())];
                if let Some((name, _)) = given.into_iter().find(|(_, is_empty)| !is_empty) {
                    return Err(Error::field(
                        name,
                        "is not taken here: the same question is answered again, with the passages that it has",
                    ));
                }
            }
        }
        if !matches!(self.input, TurnInput::Messages(_)) && self.conversation.is_none() {
            return Err(Error::invalid("an edit or regeneration needs its conversation"));
        }
        match (&self.new_conversation, self.conversation) {
            (Some(_), Some(_)) => {
                return Err(Error::field("conversation", "is not taken here: the turn continues one"));
            }
            (Some(new), None) => new.check()?,
            (None, _) => {}
        }
        if self.retry && self.client_id.is_none() {
            return Err(Error::field("retry", "needs the `client_id` of the turn that is to be tried again"));
        }
        if let Some(text) = &self.system_prompt {
            limit::text("system_prompt", text, limit::PROMPT)?;
        }
        if let Some(request) = &self.request {
            limit::request("request", request)?;
        }
        if self.max_tool_calls == Some(0) {
            return Err(Error::field(
                "max_tool_calls",
                "is 0; the least is 1: leave `use_tools` out for none",
            ));
        }
        if !self.decided.is_empty() && !matches!(self.input, TurnInput::Messages(_)) {
            return Err(Error::field("decided", "is not taken here: it goes with new messages, or none"));
        }
        if !self.tool_servers.is_empty() && self.on_approval == OnApproval::Wait {
            return Err(Error::field("tool_servers", "are this turn's alone; `on_approval` has to be `End`"));
        }
        self.tags = limit::distinct_tags("tags", std::mem::take(&mut self.tags))?;
        if let Some(id) = &self.client_id {
            limit::name("client_id", id, limit::CLIENT_ID)?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::message::ToolResult;

    #[test]
    fn hash_tells_other_content_apart() {
        assert_eq!(Turn::new("a").hash(), Turn::new("a").hash());
        assert_ne!(Turn::new("a").hash(), Turn::new("b").hash());
        assert_ne!(Turn::new("a").hash(), Turn::new("a").model("m").hash());
        assert_eq!(Turn::new("a").client_id("1").hash(), Turn::new("a").client_id("2").hash());
        let found = |request: &str, identity: Option<&str>| {
            let (request, identity) = (Some(request.into()), identity.map(Into::into));
            Turn { request, identity, ..Turn::new("a") }.hash()
        };
        assert_eq!(found("x", Some("i")), found("y", Some("i")));
        assert_ne!(found("x", Some("i")), found("x", Some("j")));
        assert_ne!(found("x", None), found("y", None));
    }

    #[test]
    fn hash_is_the_same_in_every_version() {
        let hex = |turn: &Turn| crate::hash::hex(&turn.hash());
        assert_eq!(hex(&Turn::new("a")), "cfbe78a3b929d8cd768184861e0e081cf6e9e76b621bf90749fe49795282239b");
        assert_eq!(
            hex(&Turn::new("a").model("lab/m").knowledge(["docs"]).stream(false)),
            "9dee3ec201a5c61b94bfe5aa918ec38c3ba2586be19b7bb1d1986eaf32010ad5"
        );
    }

    #[test]
    fn content_says_who_speaks() {
        let result = Part::ToolResult(ToolResult::new("1", "x"));
        let role = |content: Vec<Part>| InputMessage::from_content(content).map(|message| message.role);
        assert_eq!(role(vec![Part::text("a")]).unwrap(), MessageRole::User);
        assert_eq!(role(vec![result.clone(), result.clone()]).unwrap(), MessageRole::Tool);
        let mixed = role(vec![result, Part::text("a")]).unwrap_err();
        assert_eq!(mixed.fields()[0].path, "content[1]");
        let thought = Part::Reasoning { text: "a".to_owned(), details: None };
        assert_eq!(role(vec![thought]).unwrap_err().kind(), ErrorKind::Invalid);
        let file = Part::File {
            file_id: uuid::Uuid::nil().into(),
            name: "a".to_owned(),
            media_type: "text/plain".to_owned(),
        };
        assert_eq!(role(vec![file]).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn empty_turn_is_invalid() {
        assert!(Turn::messages(vec![]).validated().is_err());
        assert!(Turn::new("").validated().is_err());
        assert!(Turn::of(TurnInput::Regenerate(MessageId(uuid::Uuid::nil()))).validated().is_err());
    }
}
