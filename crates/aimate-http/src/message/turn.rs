//! What a turn takes.

use aimate_core::chat::{InputMessage, OnDisconnect, Turn, TurnInput};
use aimate_core::conversation::NewConversation;
use aimate_core::knowledge::SourcePassage;
use aimate_core::message::Part;
use aimate_core::provider::{ResponseFormat, Sampling, ToolChoice, ToolSpec};
use aimate_core::{ConversationId, Error, MessageId};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{TurnRequest, accepts_stream, client_id};
use crate::content::Content;
use crate::error::Result;
use crate::openai::number::Whole;

/// A question and how it is to be answered.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TurnBody {
    /// What is said: text, or a list of parts (`text`, `image`, `tool_result`).
    /// Required but for `regenerate`.
    #[schema(value_type = Option<ContentSchema>)]
    content: Option<Content<Part>>,
    /// The message that it follows; default: the end of the branch that is open.
    parent_id: Option<MessageId>,
    /// The model, as `CONNECTION/MODEL` or a bare name; default: the one that
    /// answered before, else the first active one.
    model: Option<String>,
    /// The collections, by id or name, whose passages the model is shown; an
    /// empty list is none. Default: none, but all for the model
    /// `builtin`, which has nothing else to answer from.
    knowledge: Option<Vec<String>>,
    /// Searches of the application that are asked for passages too, by their names;
    /// default: none.
    retrievers: Vec<String>,
    /// Passages that the model is shown before any that are found; default: none.
    passages: Vec<SourcePassage>,
    /// Tools that the model may call. Names are of tools that the server calls itself within
    /// the answer: `NAME` of one of its own, `SERVER` for all of a tool server, `SERVER/TOOL`
    /// for one. The calls of others come back to the caller, who sends their results as
    /// `tool_result` parts.
    tools: Vec<TurnTool>,
    /// Whether it must call one.
    tool_choice: Option<ToolChoice>,
    /// Whether several calls at once are welcome.
    parallel_tool_calls: Option<bool>,
    /// Instructions of this turn in place of the conversation's own.
    system_prompt: Option<String>,
    /// The form of the answer.
    response_format: Option<ResponseFormat>,
    /// Whether the answer comes as a stream of events; default true, unless
    /// the header `Accept` names JSON alone.
    stream: Option<bool>,
    /// What happens when nobody listens any more; default `continue`.
    #[schema(required = false)]
    on_disconnect: OnDisconnect,
    /// What the turn's usage can be summed by, such as `ticket:42`: at most 50 of 1 to
    /// 100 characters.
    tags: Vec<String>,
    /// The caller's own id of the turn: sent twice, it is answered once.
    client_id: Option<String>,
    /// Whether a turn of this `client_id` that was answered without success is answered
    /// anew, beside the answer before; else that answer comes back.
    retry: bool,
    /// What the new conversation is like, where the turn starts one.
    conversation: Option<NewConversation>,
    /// Free for the application, at most 64 KiB as JSON; kept with the message.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// Randomness, 0 to 2.
    temperature: Option<f64>,
    /// Nucleus: the share of probability to pick from, 0 to 1.
    top_p: Option<f64>,
    /// Tokens of the answer at most; -1 is no limit.
    #[schema(value_type = Option<i64>)]
    max_tokens: Option<Whole>,
    /// Texts that end the answer.
    stop: Vec<String>,
    /// The seed of the randomness.
    #[schema(value_type = Option<i64>)]
    seed: Option<Whole>,
    /// Penalty on frequent tokens, -2 to 2.
    frequency_penalty: Option<f64>,
    /// Penalty on tokens that occurred, -2 to 2.
    presence_penalty: Option<f64>,
    /// How much to think: `low`, `medium`, `high`, or what the provider takes.
    reasoning_effort: Option<String>,
    /// More fields for the model server, under its own names, such as `top_k`.
    #[schema(value_type = Object)]
    extra: Map<String, Value>,
}

/// A tool of the server, by name, or one of the caller's.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
enum TurnTool {
    /// One that the server calls.
    Named(String),
    /// One whose calls come back.
    Own(ToolSpec),
}

/// Text, or a list of parts.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum ContentSchema {
    /// One text part.
    Text(String),
    /// Several parts.
    Parts(Vec<Part>),
}

impl TurnBody {
    /// The turn of a new message in a conversation, or in a new one.
    pub(crate) fn next(
        mut self,
        conversation: Option<ConversationId>,
        headers: &HeaderMap,
    ) -> Result<TurnRequest> {
        let message = self.message()?;
        self.turn(conversation, TurnInput::Messages(vec![message]), headers)
    }

    /// The turn of another wording of a message.
    pub(crate) fn edit(
        mut self,
        conversation: ConversationId,
        message: MessageId,
        headers: &HeaderMap,
    ) -> Result<TurnRequest> {
        let content = self.content()?;
        self.turn(Some(conversation), TurnInput::Edit(message, content), headers)
    }

    /// The turn that answers again.
    pub(crate) fn again(
        self,
        conversation: ConversationId,
        message: MessageId,
        headers: &HeaderMap,
    ) -> Result<TurnRequest> {
        self.has_no_content()?;
        self.turn(Some(conversation), TurnInput::Regenerate(message), headers)
    }

    /// What is said.
    fn content(&mut self) -> Result<Vec<Part>> {
        let content = self.content.take();
        let content = content.ok_or_else(|| Error::field("content", "is missing"))?;
        Ok(content.into_parts(Part::text))
    }

    /// The message that is said.
    fn message(&mut self) -> Result<InputMessage> {
        let message = InputMessage::from_content(self.content()?)?;
        Ok(InputMessage { metadata: std::mem::take(&mut self.metadata), ..message })
    }

    /// Refuses what a regeneration does not take.
    fn has_no_content(&self) -> Result<()> {
        let given = [
            ("content", self.content.is_some()),
            ("parent_id", self.parent_id.is_some()),
            ("metadata", !self.metadata.is_empty()),
            ("knowledge", self.knowledge.is_some()),
            ("retrievers", !self.retrievers.is_empty()),
            ("passages", !self.passages.is_empty()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Error::field(name, "is not taken here: the same question is answered again").into())
            }
        }
    }

    /// The turn that `input` makes in a conversation, or in a new one.
    fn turn(
        self,
        conversation: Option<ConversationId>,
        input: TurnInput,
        headers: &HeaderMap,
    ) -> Result<TurnRequest> {
        if self.parent_id.is_some() && !matches!(input, TurnInput::Messages(_)) {
            return Err(Error::field("parent_id", "is not taken here: the message has its place").into());
        }
        let stream = self.stream.unwrap_or_else(|| accepts_stream(headers));
        let mut turn = Turn::of(input).stream(stream);
        for tool in self.tools {
            match tool {
                TurnTool::Named(name) => turn.use_tools.push(name),
                TurnTool::Own(spec) => turn.tools.push(spec),
            }
        }
        turn.conversation = conversation;
        turn.new_conversation = self.conversation;
        turn.retry = self.retry;
        turn = turn.on_disconnect(self.on_disconnect).sampling(Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens.map_or(Ok(None), |limit| limit.limit("max_tokens"))?,
            stop: self.stop,
            seed: self.seed.map(|seed| seed.0),
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            reasoning_effort: self.reasoning_effort,
        });
        turn.extra = self.extra;
        turn.parent = self.parent_id;
        turn.model = self.model;
        turn.tags = self.tags;
        turn.knowledge = self.knowledge;
        turn.retrievers = self.retrievers;
        turn.passages = self.passages;
        turn.system_prompt = self.system_prompt;
        turn.tool_choice = self.tool_choice;
        turn.parallel_tool_calls = self.parallel_tool_calls;
        turn.response_format = self.response_format;
        turn.client_id = client_id(headers, self.client_id)?;
        Ok(TurnRequest { turn, stream })
    }
}
