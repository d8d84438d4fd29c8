//! Assembles tool calls from the pieces of a stream, in all the ways in which
//! servers number them.

use std::collections::HashSet;

use aimate_core::WarningCode;
use aimate_core::message::{Part, ToolCall};
use aimate_core::provider::{ChatRequest, ProviderEvent};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::wire::{CallPiece, FunctionPiece};
use crate::halves::{Joiner, keep, replace_in};
use crate::json::{arguments, clean, clean_value, says_something};
use crate::stream::EventQueue;

/// Maximum calls of one answer, against a server that never stops.
const MAX_CALLS: usize = 512;
/// Maximum bytes of a tool's name.
const MAX_NAME: usize = 1_024;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: Vec<OpenCall>,
    legacy: Option<OpenCall>,
    ids: CallIds,
    /// Bytes of the arguments of one call at most.
    limit: usize,
    is_too_long: bool,
    /// The names that the request offers.
    tools: HashSet<String>,
}

#[derive(Debug, Default)]
struct OpenCall {
    index: Option<u64>,
    id: String,
    name: String,
    json: String,
    joiner: Joiner,
    /// Arguments that came as an object.
    object: Option<Value>,
    /// A piece of the arguments was neither text nor an object.
    is_broken: bool,
    extra: Map<String, Value>,
}

impl Calls {
    pub(crate) fn new(request: &ChatRequest) -> Self {
        let tools = request.tools.iter().map(|tool| tool.name.clone()).collect();
        Self { ids: CallIds::new(request), tools, limit: request.limits.arguments, ..Self::default() }
    }

    /// The limit of arguments that a call has reached; what it had is dropped.
    pub(crate) fn reached(&self) -> Option<usize> {
        self.is_too_long.then_some(self.limit)
    }

    /// Adds the pieces that one message has. Those of a `whole` message are calls
    /// of their own each.
    pub(crate) fn push(&mut self, pieces: Vec<CallPiece<'_>>, whole: bool, has_halves: bool) {
        let mut touched = HashSet::new();
        for mut piece in pieces {
            let (index, function) = (piece.index.count(), piece.function.take());
            let found = if whole { None } else { self.position(index, &piece, function.as_ref(), &touched) };
            let at = match found {
                Some(at) => at,
                None if self.open.len() >= MAX_CALLS => return,
                None => {
                    self.open.push(OpenCall { index, ..OpenCall::default() });
                    self.open.len() - 1
                }
            };
            touched.insert(at);
            if let Some(call) = self.open.get_mut(at) {
                call.add(piece);
                if let Some(function) = function {
                    call.push(function, has_halves, &self.tools);
                }
                if call.json.len() > self.limit {
                    call.json = String::new();
                    self.is_too_long = true;
                }
            }
        }
    }

    /// Whether there are none so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.legacy.is_none()
    }

    /// Adds a piece of the single call of the `function_call` API, which preceded
    /// `tool_calls`.
    pub(crate) fn push_legacy(&mut self, piece: FunctionPiece<'_>, has_halves: bool) {
        if !piece.name.is_empty() || self.legacy.is_some() {
            let call = self.legacy.get_or_insert_default();
            call.push(piece, has_halves, &self.tools);
            if call.json.len() > self.limit {
                call.json = String::new();
                self.is_too_long = true;
            }
        }
    }

    /// Returns the position of the call that `piece` continues; `None` if it begins
    /// one. It continues the one with its id, else the last with its index, else
    /// without an index the last; but a piece with a name and another id begins a
    /// call, and so does one with another name, or with a name after a whole call:
    /// some servers number every call 0 and give no ids.
    fn position(
        &self,
        index: Option<u64>,
        piece: &CallPiece<'_>,
        function: Option<&FunctionPiece<'_>>,
        touched: &HashSet<usize>,
    ) -> Option<usize> {
        let id = piece.id.0.as_ref();
        let is_its = |call: &OpenCall| index.is_none() || call.index == index;
        if !id.is_empty()
            && let Some(known) = self.open.iter().rposition(|call| call.id == id && is_its(call))
        {
            return Some(known);
        }
        let last = match index {
            Some(_) => self.open.iter().rposition(|call| call.index == index)?,
            None => self.open.len().checked_sub(1)?,
        };
        let call = self.open.get(last)?;
        let name = function.map_or("", |function| function.name.0.as_ref());
        let has_other_id = !id.is_empty() && !call.id.is_empty();
        let is_another = if name.is_empty() {
            has_other_id && call.is_whole()
        } else {
            has_other_id
                || touched.contains(&last)
                || !call.goes_on_with(name, &self.tools)
                || (call.is_whole() && function.is_some_and(says_arguments))
        };
        (!is_another).then_some(last)
    }

    /// Emits the calls in the order of their indexes and returns their number. A
    /// call that cannot be read, or whose arguments are not whole in an answer that
    /// was `cut` off, becomes a warning: half a call must not be executed.
    pub(crate) fn finish(&mut self, cut: bool, events: &mut EventQueue) -> usize {
        let mut open = std::mem::take(&mut self.open);
        if open.is_empty() {
            open.extend(self.legacy.take());
        }
        open.sort_by_key(|call| call.index);
        let mut count = 0;
        for mut call in open {
            if call.name.is_empty() {
                if !call.json.trim().is_empty() || call.object.is_some() || !call.id.is_empty() {
                    events
                        .push_back(not_made("The model called a tool without a name; the call is not made."));
                }
                continue;
            }
            let end = call.joiner.end();
            call.json.push_str(&end);
            if call.is_broken {
                let name = &call.name;
                events.push_back(not_made(&format!(
                    "The arguments of a call of `{name}` cannot be read; it is not made."
                )));
                continue;
            }
            if cut && !call.is_whole() {
                let name = &call.name;
                let detail =
                    format!("The model was cut off in the middle of a call of `{name}`; it is not made.");
                events.push_back(not_made(&detail));
                continue;
            }
            let OpenCall { id, name, json, object, mut extra, .. } = call;
            let all = match object {
                Some(object) => vec![object],
                None => split(&json).unwrap_or_else(|| vec![arguments(&json)]),
            };
            let mut id = Some(id);
            for arguments in all {
                count += 1;
                let id = self.ids.unique(id.take().unwrap_or_default());
                let mut call = ToolCall::new(id, &name, arguments);
                call.extra = std::mem::take(&mut extra);
                events.push_back(ProviderEvent::ToolCall(call));
            }
        }
        count
    }
}

fn not_made(detail: &str) -> ProviderEvent {
    ProviderEvent::Warning { code: WarningCode::ToolCallTruncated, detail: detail.to_owned() }
}

/// The arguments of several calls that a server ran together, such as
/// `{"a":1}{"a":2}`; `None` if it is not so.
fn split(json: &str) -> Option<Vec<Value>> {
    if serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok() {
        return None;
    }
    let mut all = Vec::new();
    for value in serde_json::Deserializer::from_str(json).into_iter::<Value>() {
        let mut value = value.ok().filter(Value::is_object)?;
        clean_value(&mut value);
        all.push(value);
    }
    (1..=MAX_CALLS).contains(&all.len()).then_some(all)
}

fn says_arguments(function: &FunctionPiece<'_>) -> bool {
    let says = |json: &RawValue| !matches!(json.get().trim_matches('"').trim(), "" | "null");
    function.arguments.is_some_and(says)
}

impl OpenCall {
    /// Adds what a piece says of the call itself.
    fn add(&mut self, piece: CallPiece<'_>) {
        if self.id.is_empty() {
            self.id = piece.id.clean();
        }
        for (name, mut value) in piece.extra {
            if says_something(&value) && name != "type" {
                clean_value(&mut value);
                self.extra.insert(name, value);
            }
        }
    }

    /// Adds a piece: the name comes once, or in pieces that make the name of a
    /// tool; the arguments come in pieces.
    fn push(&mut self, piece: FunctionPiece<'_>, has_halves: bool, tools: &HashSet<String>) {
        let name = clean(piece.name.0);
        let name = name.trim();
        if self.name.len() + name.len() < MAX_NAME
            && (self.name.is_empty() || (self.name != name && self.is_part(name, tools)))
        {
            self.name.push_str(name);
        }
        let Some(json) = piece.arguments.map(RawValue::get) else { return };
        let (value, has_halves) = match serde_json::from_str::<Value>(json) {
            Ok(value) => (Ok(value), has_halves),
            // Nobody has looked at the escapes in a raw value before.
            Err(_) => (serde_json::from_str(&keep(json.as_bytes())), true),
        };
        match value {
            Ok(Value::String(text)) => self.json.push_str(&self.joiner.join(text, has_halves)),
            Ok(Value::Null) => {}
            Ok(mut value @ Value::Object(_)) => {
                if has_halves {
                    replace_in(&mut value);
                }
                clean_value(&mut value);
                self.object = Some(value);
            }
            Ok(list @ Value::Array(_)) => self.object = Some(Value::String(list.to_string())),
            Ok(_) | Err(_) => self.is_broken = true,
        }
    }

    /// Whether a piece with `name` may belong to this call.
    fn goes_on_with(&self, name: &str, tools: &HashSet<String>) -> bool {
        let name = name.trim();
        self.name.is_empty() || name.is_empty() || self.name == name || self.is_part(name, tools)
    }

    /// Whether `more` is the next part of this call's name.
    fn is_part(&self, more: &str, tools: &HashSet<String>) -> bool {
        let longer = [&self.name, more].concat();
        !more.is_empty() && !tools.contains(&self.name) && tools.iter().any(|tool| tool.starts_with(&longer))
    }

    fn is_whole(&self) -> bool {
        self.object.is_some()
            || (self.json.trim_end().ends_with('}')
                && serde_json::from_str::<serde::de::IgnoredAny>(&self.json).is_ok())
    }
}

/// Generates ids for calls without an id or with a duplicate one: `call_1`,
/// `call_2`, … after those of the prompt, so that ids stay unique.
#[derive(Debug, Default)]
pub(crate) struct CallIds {
    last: u64,
    taken: HashSet<String>,
}

impl CallIds {
    pub(crate) fn new(request: &ChatRequest) -> Self {
        let parts = request.messages.iter().flat_map(|message| &message.content);
        let ids =
            parts.filter_map(|part| if let Part::ToolCall(call) = part { Some(&call.id) } else { None });
        let numbers = ids.filter_map(|id| id.strip_prefix("call_")?.parse().ok());
        Self { last: numbers.max().unwrap_or(0), taken: HashSet::new() }
    }

    /// Returns `id` if it is not empty and new in this answer, else a generated one.
    pub(crate) fn unique(&mut self, id: String) -> String {
        if !id.is_empty() && self.taken.insert(id.clone()) {
            return id;
        }
        loop {
            self.last = self.last.wrapping_add(1);
            let id = format!("call_{}", self.last);
            if self.taken.insert(id.clone()) {
                return id;
            }
        }
    }
}
