//! Calls with which an answer ended, and that its next one begins with.

use std::collections::BTreeMap;

use super::Engine;
use crate::audit::{AuditEvent, action};
use crate::chat::tool_loop::WaitingCall;
use crate::chat::transcript::Transcript;
use crate::chat::{AskedCall, CallDecision, DecidedCall};
use crate::error::{Error, Result};
use crate::id::{MessageId, RunId};
use crate::limit;
use crate::message::{CallApproval, Message, MessageStatus, Part, ToolCall};
use crate::scope::Scope;
use crate::text::shorten;
use crate::tool::toolbox::Toolbox;

/// Calls that one turn may bring decisions of at most.
const MAX_DECIDED: usize = 128;

/// Calls that a person has decided, as an answer begins with them.
#[derive(Default)]
pub(super) struct DecidedCalls {
    /// The calls, each with an id of its own.
    pub(super) calls: Vec<ToolCall>,
    /// What was said of each, by its id.
    pub(super) said: BTreeMap<String, WaitingCall>,
}

impl DecidedCalls {
    /// Finds the calls in the branch that the turn follows; `toolbox` has the tools of those that
    /// the caller brings.
    ///
    /// # Errors
    /// `Invalid` if one is none with which an answer of the branch ended, or was decided before.
    pub(super) fn find(path: &[Message], decided: &[DecidedCall], toolbox: &Toolbox) -> Result<Self> {
        if decided.len() > MAX_DECIDED {
            let count = decided.len();
            return Err(Error::field("decided", format!("has {count} calls; the most is {MAX_DECIDED}")));
        }
        let mut found = Self::default();
        let mut transcript = Transcript::default();
        for (n, one) in decided.iter().enumerate() {
            let field = format!("decided[{n}]");
            if let Some(reason) = &one.decision.reason {
                limit::text("reason", reason, limit::PROMPT)?;
            }
            limit::name("request", &one.request, limit::NAME)?;
            let (asked, tool) = match &one.asked {
                AskedCall::Brought(call) => (&**call, toolbox.fingerprint(&call.name).unwrap_or_default()),
                AskedCall::Answer { message, call } => match of_answer(path, *message, call) {
                    Some((call, tool)) => (call, tool.to_owned()),
                    None => {
                        let call = shorten(call, 100);
                        let why =
                            format!("names the call `{call}`, with which no answer of this branch ended");
                        return Err(Error::field(field, why));
                    }
                },
            };
            let is_given = |call: &ToolCall| match &call.approval {
                Some(CallApproval::Given { request, .. }) => *request == one.request,
                _ => false,
            };
            let of_path = path.iter().flat_map(|message| calls(&message.content));
            if of_path.chain(&found.calls).any(is_given) {
                return Err(Error::field(field, "names a call that was decided before"));
            }
            let CallDecision { approve, reason } = one.decision.clone();
            let given = CallApproval::Given { request: one.request.clone(), approve, reason };
            let mut call = ToolCall { approval: Some(given), is_made_here: true, ..asked.clone() };
            transcript.rename(&mut call, &[]);
            transcript.mark(Part::ToolCall(call.clone()));
            let said = WaitingCall { tool, decision: Some(one.decision.clone()) };
            found.said.insert(call.id.clone(), said);
            found.calls.push(call);
        }
        Ok(found)
    }
}

/// The call with which an answer of the branch ended, and what tells its tool.
fn of_answer<'a>(path: &'a [Message], message: MessageId, call: &str) -> Option<(&'a ToolCall, &'a str)> {
    let answer = path.iter().find(|one| one.id == message && one.status == MessageStatus::Complete)?;
    let asked = calls(&answer.content).find(|asked| asked.id == call)?;
    Some((asked, asked.asked_of()?))
}

fn calls(content: &[Part]) -> impl Iterator<Item = &ToolCall> {
    content.iter().filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None })
}

impl Engine {
    /// Records what a person decided of a call in an answer that is not stored.
    pub(super) async fn audit_unstored(&self, scope: &Scope, call: &ToolCall, decision: &CallDecision) {
        let did = if decision.approve { action::TOOL_APPROVED } else { action::TOOL_REJECTED };
        let event = AuditEvent::new(did).detail("call", shorten(&call.id, 200));
        self.audit_of(scope, event.detail("tool", shorten(&call.name, 200))).await;
    }

    /// Records what a person decided of calls that `run` makes.
    pub(super) async fn audit_decided(&self, scope: &Scope, run: RunId, decided: &[DecidedCall]) {
        for DecidedCall { asked, decision, .. } in decided {
            let call = match asked {
                AskedCall::Answer { call, .. } => call,
                AskedCall::Brought(call) => &call.name,
            };
            let did = if decision.approve { action::TOOL_APPROVED } else { action::TOOL_REJECTED };
            let event = AuditEvent::new(did).target("run", run).detail("call", shorten(call, 200));
            self.audit_of(scope, event).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::MessageRole;

    fn asked(id: &str) -> Part {
        let approval = Some(CallApproval::Asked { tool: "t".to_owned() });
        Part::ToolCall(ToolCall { approval, is_made_here: true, ..ToolCall::new(id, "add", json!({})) })
    }

    fn answer(id: u128, content: Vec<Part>) -> Message {
        Message { id: uuid::Uuid::from_u128(id).into(), ..Message::sample(MessageRole::Assistant, content) }
    }

    fn decide(message: u128, call: &str, request: &str) -> DecidedCall {
        DecidedCall {
            asked: AskedCall::Answer {
                message: uuid::Uuid::from_u128(message).into(),
                call: call.to_owned(),
            },
            decision: CallDecision::approve(),
            request: request.to_owned(),
        }
    }

    fn find(path: &[Message], decided: &[DecidedCall]) -> Result<DecidedCalls> {
        DecidedCalls::find(path, decided, &Toolbox::default())
    }

    #[test]
    fn calls_of_two_answers_keep_apart() {
        let path = [answer(1, vec![asked("c")]), answer(2, vec![asked("c")])];
        let found = find(&path, &[decide(1, "c", "r1"), decide(2, "c", "r2")]).unwrap();
        let ids: Vec<_> = found.calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["c", "c_2"]);
        assert_eq!(found.said.len(), 2);
        assert!(found.calls.iter().all(|call| !call.is_asked() && call.is_made_here));
    }

    #[test]
    fn call_is_decided_once_in_a_branch_and_must_have_been_asked_of() {
        let path = [answer(1, vec![asked("c"), Part::ToolCall(ToolCall::new("d", "add", json!({})))])];
        for wrong in [
            vec![decide(1, "x", "r")],
            vec![decide(1, "d", "r")],
            vec![decide(2, "c", "r")],
            vec![decide(1, "c", "r"), decide(1, "c", "r")],
        ] {
            assert!(find(&path, &wrong).is_err(), "{wrong:?}");
        }
        let first = find(&path, &[decide(1, "c", "r")]).unwrap();
        let longer = [path[0].clone(), answer(2, first.calls.into_iter().map(Part::ToolCall).collect())];
        assert!(find(&longer, &[decide(1, "c", "r")]).is_err());
        let unfinished = Message { status: MessageStatus::Interrupted, ..path[0].clone() };
        assert!(find(&[unfinished], &[decide(1, "c", "r")]).is_err());
    }
}
