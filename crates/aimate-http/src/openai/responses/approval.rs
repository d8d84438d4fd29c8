//! Items `mcp_approval_response`: what a person decided of calls with which an answer ended.

use std::collections::HashSet;

use aimate_core::chat::{AskedCall, CallDecision, DecidedCall};
use aimate_core::message::{CallApproval, Part, ToolCall};
use aimate_core::tool::OfferedServer;
use aimate_core::{ConversationId, Error, ErrorKind, Scope};
use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::error::{Failure, Result};
use crate::json;
use crate::openai::item::{Item, message_of, placed};
use crate::openai::wire_id;

/// Decisions of one request at most.
const MAX_DECISIONS: usize = 128;

/// Characters of a request's id that stand in the id of its call.
const MAX_ID: usize = 48;

/// The item as a request has it.
#[derive(Deserialize)]
struct ApprovalBody {
    approval_request_id: String,
    approve: bool,
    reason: Option<String>,
}

/// A request of an approval, as a client sends it back.
#[derive(Deserialize)]
struct RequestBody {
    server_label: String,
    name: String,
    arguments: Option<String>,
}

/// What a person decided of a call.
#[derive(Clone, Debug)]
pub(super) struct Approval {
    asked: ApprovalSource,
    decision: CallDecision,
    request: String,
}

/// Where the call comes from.
#[derive(Clone, Debug)]
enum ApprovalSource {
    /// A stored answer ended with it: as a turn takes it, and the call.
    Stored(DecidedCall, Box<ToolCall>),
    /// The client sent it back: of this server, this tool.
    Sent { server: String, tool: String, arguments: Value },
}

/// What is decided in `items`, where the request goes on with a conversation.
///
/// # Errors
/// `Invalid`, naming the item, if there is no such call.
pub(super) async fn read(
    app: &App,
    scope: &Scope,
    items: &[Value],
    follows: Option<ConversationId>,
) -> Result<Vec<Approval>> {
    let made: HashSet<&str> = items.iter().filter_map(request_of_call).collect();
    let mut all = Vec::new();
    for (n, item) in items.iter().enumerate() {
        if kind(item) != Some("mcp_approval_response") {
            continue;
        }
        let path = format!("input[{n}]");
        let ApprovalBody { approval_request_id: request, approve, reason } = json::part(item, &path)?;
        if made.contains(request.as_str()) {
            // What the client sends back was decided before.
            continue;
        }
        if all.iter().any(|other: &Approval| other.request == request) {
            let shown = wire_id::shown(&request);
            let why = format!("names `{shown}`, which another item answers");
            return Err(Error::field(format!("{path}.approval_request_id"), why).into());
        }
        if all.len() == MAX_DECISIONS {
            return Err(
                Error::field(path, format!("is one more approval than {MAX_DECISIONS}, the most")).into()
            );
        }
        let decision =
            if approve { CallDecision::approve() } else { CallDecision::reject(reason.unwrap_or_default()) };
        let asked = match sent(items, &request)? {
            Some(asked) => asked,
            None => stored(app, scope, follows, &request, &decision, &path).await?,
        };
        all.push(Approval { asked, decision, request });
    }
    Ok(all)
}

fn kind(item: &Value) -> Option<&str> {
    item.get("type").and_then(Value::as_str)
}

/// The request after which the call of an item was made, or refused.
fn request_of_call(item: &Value) -> Option<&str> {
    item.get("approval_request_id").and_then(Value::as_str).filter(|_| kind(item) == Some("mcp_call"))
}

/// A request that the client sent back beside its answer.
fn sent(items: &[Value], request: &str) -> Result<Option<ApprovalSource>> {
    let is_it = |item: &Value| {
        kind(item) == Some("mcp_approval_request") && item.get("id").and_then(Value::as_str) == Some(request)
    };
    let Some(at) = items.iter().position(is_it) else { return Ok(None) };
    let item = items.get(at).unwrap_or(&Value::Null);
    let RequestBody { server_label, name, arguments } = json::part(item, &format!("input[{at}]"))?;
    let arguments = ToolCall::parse_arguments(&arguments.unwrap_or_default());
    Ok(Some(ApprovalSource::Sent { server: server_label, tool: name, arguments }))
}

/// A request of a stored answer that is followed.
async fn stored(
    app: &App,
    scope: &Scope,
    follows: Option<ConversationId>,
    request: &str,
    decision: &CallDecision,
    path: &str,
) -> Result<ApprovalSource> {
    let missing = || -> Failure {
        let shown = wire_id::shown(request);
        let why = format!("names `{shown}`, and there is no such approval request in what is followed");
        Error::field(format!("{path}.approval_request_id"), why).into()
    };
    let (id, conversation) = message_of(request).zip(follows).ok_or_else(missing)?;
    let message = app.engine.conversations(scope).message(conversation, id).await;
    let message = message
        .map_err(|error| if error.kind() == ErrorKind::NotFound { missing() } else { error.into() })?;
    let is_it = |item: &Item| matches!(item, Item::McpApprovalRequest { id, .. } if id == request);
    let found = placed(&message).into_iter().find(|placed| is_it(&placed.item));
    let place = found.and_then(|placed| placed.parts.first().copied()).ok_or_else(missing)?;
    let Some(Part::ToolCall(call)) = message.content.get(place as usize) else { return Err(missing()) };
    let decided = DecidedCall {
        asked: AskedCall::Answer { message: id, call: call.id.clone() },
        decision: decision.clone(),
        request: request.to_owned(),
    };
    Ok(ApprovalSource::Stored(decided, Box::new(call.clone())))
}

impl Approval {
    /// As a turn takes it.
    pub(super) fn into_decided(self, n: usize, servers: &[OfferedServer]) -> DecidedCall {
        let Self { asked, decision, request } = self;
        match asked {
            ApprovalSource::Stored(decided, _) => decided,
            asked @ ApprovalSource::Sent { .. } => {
                let sent = Self { asked, decision, request: request.clone() };
                let (call, decision) = sent.into_call(n, servers);
                DecidedCall { asked: AskedCall::Brought(Box::new(call)), decision, request }
            }
        }
    }

    /// As a call of a model takes it that is not stored.
    pub(super) fn into_call(self, n: usize, servers: &[OfferedServer]) -> (ToolCall, CallDecision) {
        let mut call = match self.asked {
            ApprovalSource::Stored(_, call) => *call,
            ApprovalSource::Sent { server, tool, arguments } => {
                let offered = servers.iter().find(|offered| offered.name() == server);
                let name = offered.and_then(|offered| offered.offered_as(&tool));
                let name = name.map_or_else(|| format!("{server}__{tool}"), str::to_owned);
                let mut call = ToolCall::new(String::new(), name, arguments);
                call.server = Some(server);
                call
            }
        };
        // No call of the context has it, and every provider takes it.
        let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let request: String = self.request.chars().filter(fits).take(MAX_ID).collect();
        call.id = format!("call_{request}_{n}");
        call.is_made_here = true;
        let CallDecision { approve, reason, .. } = self.decision.clone();
        call.approval = Some(CallApproval::Given { request: self.request, approve, reason });
        (call, self.decision)
    }
}
