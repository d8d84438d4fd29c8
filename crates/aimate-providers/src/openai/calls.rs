//! Putting the calls of tools together from the pieces that a stream gives, in
//! all the ways that servers number them.

use std::borrow::Cow;
use std::collections::HashSet;

use aimate_core::WarningCode;
use aimate_core::message::{Part, ToolCall};
use aimate_core::provider::{ChatRequest, ProviderEvent};
use serde_json::Value;
use serde_json::value::RawValue;

use super::wire::{CallPiece, FunctionPiece};
use crate::json::{arguments, clean, clean_value};
use crate::stream::Queue;

/// The most calls of one answer, against a server that never stops numbering.
const MAX_CALLS: usize = 512;

/// Calls whose arguments are still coming.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: Vec<OpenCall>,
    legacy: Option<OpenCall>,
    ids: CallIds,
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
        Self { ids: CallIds::new(request), ..Self::default() }
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
        }
    }

    /// Adds a piece of the one call that servers of old make.
    pub(crate) fn push_legacy(&mut self, piece: FunctionPiece<'_>) {
        if !piece.name.is_empty() || self.legacy.is_some() {
            self.legacy.get_or_insert_default().push(piece);
        }
    }

    /// The call that `piece` belongs to: the one of its index, or without an
    /// index the one of its id or the last one. A new id where the arguments
    /// are whole begins a new call, for servers that number every call 0.
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

    /// Emits every call in the order of its index and says how many there were.
    /// If the model was `cut` off, a call whose arguments are no JSON is left
    /// out with a warning: half a call must not be made.
    pub(crate) fn finish(&mut self, cut: bool, events: &mut Queue) -> usize {
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
    /// Name once, arguments piece by piece.
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

/// Ids for calls that came without one, or with one that is taken: `call_1`,
/// `call_2`, … after those in the prompt, so that none is there twice.
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

    /// `id` if it is one and new in this answer, else another.
    pub(crate) fn unique(&mut self, id: String) -> String {
        if !id.is_empty() && self.taken.insert(id.clone()) {
            return id;
        }
        loop {
            self.last = self.last.wrapping_add(1);
            let made = format!("call_{}", self.last);
            if self.taken.insert(made.clone()) {
                return made;
            }
        }
    }
}
