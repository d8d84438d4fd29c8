//! Assembles tool calls from the pieces of a stream, in all the ways in which
//! servers number them.

use std::borrow::Cow;
use std::collections::HashSet;

use aimate_core::WarningCode;
use aimate_core::message::{Part, ToolCall};
use aimate_core::provider::{ChatRequest, ProviderEvent};
use serde_json::Value;
use serde_json::value::RawValue;

use super::wire::{CallPiece, FunctionPiece};
use crate::json::{arguments, clean, clean_value};
use crate::stream::EventQueue;

/// Maximum calls of one answer, against a server that never stops.
const MAX_CALLS: usize = 512;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: Vec<OpenCall>,
    legacy: Option<OpenCall>,
    ids: CallIds,
    /// Bytes of the arguments of one call at most.
    limit: usize,
    is_too_long: bool,
}

#[derive(Debug, Default)]
struct OpenCall {
    index: Option<u64>,
    id: String,
    name: String,
    json: String,
    /// Arguments that came as an object.
    object: Option<Value>,
}

impl Calls {
    pub(crate) fn new(request: &ChatRequest) -> Self {
        Self { ids: CallIds::new(request), limit: request.limits.arguments, ..Self::default() }
    }

    /// The limit of arguments that a call has reached; what it had is dropped.
    pub(crate) fn reached(&self) -> Option<usize> {
        self.is_too_long.then_some(self.limit)
    }

    /// Adds a piece of a call.
    pub(crate) fn push(&mut self, piece: CallPiece<'_>) {
        let index = piece.index.count();
        let at = match self.position(index, &piece) {
            Some(at) => at,
            None if self.open.len() >= MAX_CALLS => return,
            None => {
                self.open.push(OpenCall { index, ..OpenCall::default() });
                self.open.len() - 1
            }
        };
        if let Some(call) = self.open.get_mut(at) {
            if call.id.is_empty() {
                call.id = piece.id.clean();
            }
            if let Some(function) = piece.function {
                call.push(function);
            }
            if call.json.len() > self.limit {
                call.json = String::new();
                self.is_too_long = true;
            }
        }
    }

    /// Adds a piece of the single call of the `function_call` API, which preceded
    /// `tool_calls`.
    pub(crate) fn push_legacy(&mut self, piece: FunctionPiece<'_>) {
        if !piece.name.is_empty() || self.legacy.is_some() {
            let call = self.legacy.get_or_insert_default();
            call.push(piece);
            if call.json.len() > self.limit {
                call.json = String::new();
                self.is_too_long = true;
            }
        }
    }

    /// Returns the position of the call that `piece` belongs to: the one with its
    /// index, or without an index the one with its id, or the last. A new id after
    /// complete arguments begins a new call: some servers number every call 0.
    fn position(&self, index: Option<u64>, piece: &CallPiece<'_>) -> Option<usize> {
        let id = piece.id.0.as_ref();
        let found = match index {
            Some(_) => self.open.iter().rposition(|call| call.index == index)?,
            None if id.is_empty() => {
                let names_another = piece.function.as_ref().is_some_and(|function| !function.name.is_empty());
                let last = self.open.len().checked_sub(1)?;
                return (!names_another || !self.open.get(last)?.is_whole()).then_some(last);
            }
            None => return self.open.iter().rposition(|call| call.id == id),
        };
        let call = self.open.get(found)?;
        let is_another = !id.is_empty() && !call.id.is_empty() && call.id != id && call.is_whole();
        (!is_another).then_some(found)
    }

    /// Emits the calls in the order of their indexes and returns their number. If
    /// the answer was `cut` off, a call whose arguments are not valid JSON becomes
    /// a warning: half a call must not be executed.
    pub(crate) fn finish(&mut self, cut: bool, events: &mut EventQueue) -> usize {
        let mut open = std::mem::take(&mut self.open);
        if open.is_empty() {
            open.extend(self.legacy.take());
        }
        open.sort_by_key(|call| call.index);
        let mut count = 0;
        for mut call in open.into_iter().filter(|call| !call.name.is_empty()) {
            let id = self.ids.unique(std::mem::take(&mut call.id));
            if cut && !call.is_whole() {
                events.push_back(ProviderEvent::Warning {
                    code: WarningCode::ToolCallTruncated,
                    detail: format!(
                        "The model was cut off in the middle of a call of `{}`; it is not made.",
                        call.name
                    ),
                });
                continue;
            }
            count += 1;
            let arguments = call.object.unwrap_or_else(|| arguments(&call.json));
            events.push_back(ProviderEvent::ToolCall(ToolCall { id, name: call.name, arguments }));
        }
        count
    }
}

impl OpenCall {
    /// Adds a piece: the name comes once, the arguments in pieces.
    fn push(&mut self, piece: FunctionPiece<'_>) {
        if self.name.is_empty() {
            self.name = clean(piece.name.0).trim().to_owned();
        }
        match piece.arguments.map(RawValue::get) {
            Some(text) if text.starts_with('"') => {
                if let Ok(text) = serde_json::from_str::<Cow<'_, str>>(text) {
                    self.json.push_str(&text);
                }
            }
            Some(object) if object.starts_with(['{', '[']) => {
                self.object = serde_json::from_str(object).ok().map(|mut value| {
                    clean_value(&mut value);
                    value
                });
            }
            _ => {}
        }
    }

    fn is_whole(&self) -> bool {
        self.object.is_some() || serde_json::from_str::<serde::de::IgnoredAny>(&self.json).is_ok()
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
