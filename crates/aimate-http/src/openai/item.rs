//! Items: what OpenAI's stateful API calls the pieces of a conversation. They are made of stored
//! messages, and messages of them; nothing of them is stored.
//!
//! An id is made of the message's and of the place of the item in it ([`ItemCounter`]), so it is
//! the same wherever and whenever the item is shown. What a caller brings is a message for each
//! item; an answer has an item for each text, each thought and each call.

mod citation;
mod count;
mod input;
mod mcp_call;
mod mcp_error;
mod web_search;

use aimate_core::MessageId;
use aimate_core::message::{Citation, Message, MessageRole, MessageStatus, Part, ToolResult};
use aimate_core::tool::ToolContent;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::wire_id;
pub(crate) use citation::{Annotation, annotations, file_id};
pub(crate) use count::ItemCounter;
pub(crate) use input::{input_message, input_messages};
pub(crate) use mcp_call::{approval_request, server_and_tool};
use mcp_call::{decision, mcp_call, mcp_call_of, returned};
pub(crate) use mcp_error::mcp_error;
pub(crate) use web_search::{is_web_search, search_action};

/// What the ids of items begin with.
pub(crate) mod prefix {
    /// A message.
    pub(crate) const MESSAGE: &str = "msg_";
    /// A call of a function.
    pub(crate) const CALL: &str = "fc_";
    /// What a function returned.
    pub(crate) const OUTPUT: &str = "fco_";
    /// What the model thought.
    pub(crate) const REASONING: &str = "rs_";
    /// A call of a tool of a tool server.
    pub(crate) const MCP_CALL: &str = "mcp_";
    /// What a person is asked of a call.
    pub(crate) const APPROVAL: &str = "mcpr_";
    /// What a person decided of a call.
    pub(crate) const DECISION: &str = "mcpa_";
    /// A search of the web.
    pub(crate) const WEB_SEARCH: &str = "ws_";
    /// All of them.
    pub(super) const ALL: [&str; 8] =
        [MESSAGE, CALL, OUTPUT, REASONING, MCP_CALL, APPROVAL, DECISION, WEB_SEARCH];
}

/// How far an item has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ItemStatus {
    /// It is being written.
    InProgress,
    /// It is whole.
    Completed,
    /// It was broken off.
    Incomplete,
    /// A tool failed.
    Failed,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Item {
    /// What somebody says.
    Message {
        /// Its id, `msg_…`.
        id: String,
        /// How far it is.
        status: ItemStatus,
        /// `user`, `system` or `assistant`; `developer` is shown as `system`.
        #[schema(value_type = String)]
        role: MessageRole,
        /// What is said.
        content: Vec<ContentPart>,
    },
    /// The model calls a function of the caller, or one that aiMate has.
    FunctionCall {
        /// Its id, `fc_…`.
        id: String,
        /// The id that its output names.
        call_id: String,
        /// The function.
        name: String,
        /// The arguments, JSON as text.
        arguments: String,
        /// How far it is.
        status: ItemStatus,
    },
    /// What a function returned.
    FunctionCallOutput {
        /// Its id, `fco_…`.
        id: String,
        /// The call that it answers.
        call_id: String,
        /// What it returned.
        output: FunctionOutput,
        /// How far it is.
        status: ItemStatus,
    },
    /// What the model thought.
    Reasoning {
        /// Its id, `rs_…`.
        id: String,
        /// A summary of it; there is none.
        summary: Vec<ReasoningText>,
        /// The thought.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<ReasoningText>,
        /// What a caller brought with it, unchanged.
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
        /// How far it is.
        status: ItemStatus,
    },
    /// A call of a tool of a tool server, with what it returned.
    McpCall {
        /// Its id, `mcp_…`.
        id: String,
        /// The tool server.
        server_label: String,
        /// The tool.
        name: String,
        /// The arguments, JSON as text.
        arguments: String,
        /// What it returned.
        output: Option<String>,
        /// Why it failed: `{type: "mcp_tool_execution_error", content}`, of what the tool said.
        #[schema(value_type = Option<Object>)]
        error: Option<Value>,
        /// The request by which a person was asked.
        approval_request_id: Option<String>,
        /// How far it is.
        status: ItemStatus,
    },
    /// A person is asked whether a call may be made.
    McpApprovalRequest {
        /// Its id, `mcpr_…`.
        id: String,
        /// The tool server.
        server_label: String,
        /// The tool.
        name: String,
        /// The arguments, JSON as text.
        arguments: String,
    },
    /// What they said.
    McpApprovalResponse {
        /// Its id, `mcpa_…`.
        id: String,
        /// What they were asked.
        approval_request_id: String,
        /// Whether it may be made.
        approve: bool,
        /// Why.
        reason: Option<String>,
    },
    /// A search of the web.
    WebSearchCall {
        /// Its id, `ws_…`.
        id: String,
        /// What was searched for.
        #[schema(value_type = Object)]
        action: Value,
        /// How far it is.
        status: ItemStatus,
    },
}

/// A part of what is said.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ContentPart {
    /// Text of a user or of instructions.
    InputText {
        /// The text.
        text: String,
    },
    /// A picture.
    InputImage {
        /// Its address, or `data:image/…;base64,…`.
        image_url: String,
        /// How closely it is looked at: `auto`.
        detail: &'static str,
    },
    /// A file.
    InputFile {
        /// The file.
        file_id: String,
        /// Its name.
        filename: String,
    },
    /// Text of an answer.
    OutputText {
        /// The text.
        text: String,
        /// What it relies on.
        annotations: Vec<Annotation>,
        /// None.
        #[schema(value_type = Vec<Object>)]
        logprobs: [Value; 0],
    },
}

/// What a function returned: text, or the parts where there are pictures.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum FunctionOutput {
    /// Text alone.
    Text(String),
    /// Text, and pictures.
    Parts(Vec<ContentPart>),
}

impl FunctionOutput {
    fn of(result: &ToolResult) -> Self {
        let text = result.text().into_owned();
        let mut parts: Vec<ContentPart> = result
            .content
            .iter()
            .filter_map(|piece| match piece {
                ToolContent::Image { data, media_type } => Some(ContentPart::inline_image(data, media_type)),
                _ => None,
            })
            .collect();
        if parts.is_empty() {
            return Self::Text(text);
        }
        if !text.is_empty() {
            parts.insert(0, ContentPart::InputText { text });
        }
        Self::Parts(parts)
    }
}

impl ContentPart {
    fn inline_image(data: &str, media_type: &str) -> Self {
        Self::InputImage { image_url: format!("data:{media_type};base64,{data}"), detail: "auto" }
    }

    /// A text of an answer.
    pub(crate) fn output_text(text: impl Into<String>, annotations: Vec<Annotation>) -> Self {
        Self::OutputText { text: text.into(), annotations, logprobs: [] }
    }
}

/// A text of what the model thought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ReasoningText {
    /// `reasoning_text`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The text.
    text: String,
}

impl ReasoningText {
    /// A piece of it.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { kind: "reasoning_text", text: text.into() }
    }
}

/// An item, and the parts of its message that it is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlacedItem {
    /// The item.
    pub(crate) item: Item,
    /// The index of each in the message's content.
    pub(crate) parts: Vec<u32>,
}

impl Item {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::FunctionCallOutput { id, .. }
            | Self::Reasoning { id, .. }
            | Self::McpCall { id, .. }
            | Self::McpApprovalRequest { id, .. }
            | Self::McpApprovalResponse { id, .. }
            | Self::WebSearchCall { id, .. } => id,
        }
    }

    fn set_status(&mut self, to: ItemStatus) {
        match self {
            Self::Message { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::FunctionCallOutput { status, .. }
            | Self::Reasoning { status, .. }
            | Self::McpCall { status, .. }
            | Self::WebSearchCall { status, .. } => *status = to,
            // It is what it is.
            Self::McpApprovalRequest { .. } | Self::McpApprovalResponse { .. } => {}
        }
    }
}

/// Hexadecimal digits of a UUID, after which its place stands in an id.
const DIGITS: usize = 32;

/// The id of the item at a place of a message: the prefix, the message's UUID as 32 hexadecimal
/// digits, and the place as 4.
pub(crate) fn item_id(prefix: &str, message: MessageId, place: u32) -> String {
    format!("{}{place:04x}", wire_id::write(prefix, message.0))
}

/// The message that an item of this id is of; `None` if it is no item's id.
pub(crate) fn message_of(id: &str) -> Option<MessageId> {
    let rest = prefix::ALL.iter().find_map(|prefix| id.strip_prefix(prefix))?;
    let (message, place) = rest.split_at_checked(DIGITS)?;
    u32::from_str_radix(place, 16).ok()?;
    wire_id::read("", message).map(MessageId)
}

/// The items of a message, in their order.
pub(crate) fn items(message: &Message) -> Vec<Item> {
    placed(message).into_iter().map(|placed| placed.item).collect()
}

/// The items of a message with what they are made of.
pub(crate) fn placed(message: &Message) -> Vec<PlacedItem> {
    let is_said = |part: &Part| matches!(part, Part::Text { .. } | Part::Image { .. } | Part::File { .. });
    let is_brought = message.model.is_none();
    let is_plain = message.content.iter().all(|part| is_said(part) || matches!(part, Part::Citation(_)));
    let mut all = if is_brought && is_plain { said(message) } else { spoken(message) };
    let last = match message.status {
        MessageStatus::Complete => None,
        MessageStatus::Streaming => Some(ItemStatus::InProgress),
        MessageStatus::Interrupted | MessageStatus::Cancelled | MessageStatus::Failed => {
            Some(ItemStatus::Incomplete)
        }
    };
    if let (Some(status), Some(last)) = (last, all.last_mut()) {
        last.item.set_status(status);
    }
    all
}

/// The one item of a message that a caller brought.
fn said(message: &Message) -> Vec<PlacedItem> {
    let is_answer = message.role == MessageRole::Assistant;
    let parts = (0..).zip(&message.content).filter_map(|(n, part)| {
        let part = match part {
            Part::Text { text } if is_answer => ContentPart::output_text(text, Vec::new()),
            Part::Text { text } => ContentPart::InputText { text: text.clone() },
            Part::Image { url: Some(url), .. } => {
                ContentPart::InputImage { image_url: url.clone(), detail: "auto" }
            }
            Part::Image { data, media_type, .. } => {
                let (data, media_type) = (data.as_deref(), media_type.as_deref());
                ContentPart::inline_image(data.unwrap_or_default(), media_type.unwrap_or_default())
            }
            Part::File { file_id, name, .. } => {
                ContentPart::InputFile { file_id: wire_id::write("file-", file_id.0), filename: name.clone() }
            }
            _ => return None,
        };
        Some((n, part))
    });
    let (parts, content): (Vec<u32>, Vec<_>) = parts.unzip();
    let id = item_id(prefix::MESSAGE, message.id, 0);
    let item = Item::Message { id, status: ItemStatus::Completed, role: message.role, content };
    vec![PlacedItem { item, parts }]
}

/// The items of an answer, and of what a caller brought of one.
fn spoken(message: &Message) -> Vec<PlacedItem> {
    let citations: Vec<&Citation> = message
        .content
        .iter()
        .filter_map(|part| if let Part::Citation(one) = part { Some(one) } else { None })
        .collect();
    let mut counter = ItemCounter::default();
    let mut all: Vec<PlacedItem> = Vec::new();
    for (index, part) in (0..).zip(&message.content) {
        let counted = counter.part(part, message.model.is_none());
        let id = |prefix: &str| item_id(prefix, message.id, counted.place);
        let status = ItemStatus::Completed;
        let item = match part {
            Part::Text { text } if counted.is_new => {
                if text.is_empty() {
                    continue;
                }
                let content = vec![ContentPart::output_text(text, annotations(text, &citations))];
                Item::Message { id: id(prefix::MESSAGE), status, role: message.role, content }
            }
            Part::Text { text } => {
                join(&mut all, index, text, &citations);
                continue;
            }
            Part::Reasoning { text, .. } if !counted.is_new => {
                join(&mut all, index, text, &citations);
                continue;
            }
            Part::Reasoning { text, details } => {
                let content = if text.is_empty() { Vec::new() } else { vec![ReasoningText::new(text)] };
                let encrypted_content = details
                    .as_ref()
                    .and_then(|details| Some(details.get(input::ENCRYPTED)?.as_str()?.to_owned()));
                let id = id(prefix::REASONING);
                Item::Reasoning { id, summary: Vec::new(), content, encrypted_content, status }
            }
            Part::ToolCall(call) if call.is_asked() => {
                let (server, tool) = server_and_tool(call);
                Item::McpApprovalRequest {
                    id: id(prefix::APPROVAL),
                    server_label: server.to_owned(),
                    name: tool.to_owned(),
                    arguments: call.arguments_json(),
                }
            }
            Part::ToolCall(call) if decision(call).is_some() => {
                if let Some((request, approve, reason)) = decision(call) {
                    let (id, approval_request_id) = (id(prefix::DECISION), request.to_owned());
                    let reason = reason.map(str::to_owned);
                    let item = Item::McpApprovalResponse { id, approval_request_id, approve, reason };
                    // The call is another item.
                    all.push(PlacedItem { item, parts: Vec::new() });
                }
                mcp_call(id(prefix::MCP_CALL), call)
            }
            Part::ToolCall(call) if is_web_search(call) => Item::WebSearchCall {
                id: id(prefix::WEB_SEARCH),
                action: search_action(call, None, false),
                status: ItemStatus::Incomplete,
            },
            Part::ToolCall(call) if call.is_made_here => mcp_call(id(prefix::MCP_CALL), call),
            Part::ToolCall(call) => Item::FunctionCall {
                id: id(prefix::CALL),
                call_id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments_json(),
                status,
            },
            Part::ToolResult(result) => {
                if let Some(call) = mcp_call_of(&mut all, &message.content, result) {
                    returned(&mut call.item, result);
                    call.parts.push(index);
                    continue;
                }
                Item::FunctionCallOutput {
                    id: id(prefix::OUTPUT),
                    call_id: result.id.clone(),
                    output: FunctionOutput::of(result),
                    status,
                }
            }
            _ => continue,
        };
        all.push(PlacedItem { item, parts: vec![index] });
    }
    all
}

/// Text that goes on after something that nobody sees.
fn join(all: &mut [PlacedItem], index: u32, more: &str, citations: &[&Citation]) {
    let Some(PlacedItem { item, parts }) = all.last_mut().filter(|_| !more.is_empty()) else { return };
    match item {
        Item::Message { content, .. } => {
            if let Some(ContentPart::OutputText { text, annotations: cited, .. }) = content.last_mut() {
                text.push_str(more);
                *cited = annotations(text, citations);
            }
        }
        Item::Reasoning { content, .. } => {
            if let Some(thought) = content.last_mut() {
                thought.text.push_str(more);
            }
        }
        _ => return,
    }
    parts.push(index);
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
