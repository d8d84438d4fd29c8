//! What an answer has besides text and calls: what its provider wants back with
//! it, and the pictures and sources that belong to it.

use serde_json::{Map, Value};

use crate::halves::replace_in;
use crate::json::{clean_value, says_something};

/// What must be sent back to the provider: the fields of the message by name.
#[derive(Debug)]
pub(crate) struct Opaque {
    fields: Map<String, Value>,
    /// Bytes that it may still have.
    left: usize,
}

impl Opaque {
    /// Of at most so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { fields: Map::new(), left: limit }
    }

    /// The readable text of details that come without any beside them.
    pub(crate) fn thoughts(details: Option<&Value>, blocks: Option<&Value>) -> String {
        let text = |list: Option<&Value>, name: &str| -> String {
            let items = list.and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|item| item.get(name)?.as_str()).collect()
        };
        let found = text(details, "text");
        if found.is_empty() { text(blocks, "thinking") } else { found }
    }

    /// Adds what a piece of the answer has under `name`; the pieces of a list are
    /// put together as they were before streaming, unless the message is `whole`.
    pub(crate) fn add(&mut self, name: &str, value: Option<Value>, whole: bool) {
        let Some(mut value) = value.filter(says_something) else { return };
        self.left = self.left.saturating_sub(value.to_string().len());
        if self.left == 0 {
            // Half of it is of no use to the provider.
            return self.fields.clear();
        }
        clean_value(&mut value);
        replace_in(&mut value);
        match (self.fields.get_mut(name), value) {
            (Some(Value::Array(all)), Value::Array(more)) => {
                more.into_iter().for_each(|item| join(all, item, whole));
            }
            (None, Value::Array(items)) => {
                let mut all = Vec::with_capacity(items.len());
                items.into_iter().for_each(|item| join(&mut all, item, whole));
                self.fields.insert(name.to_owned(), Value::Array(all));
            }
            (Some(Value::String(all)), Value::String(more)) => all.push_str(&more),
            (_, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }

    /// What was added: the list alone where there is only `reasoning_details`,
    /// else the fields by name.
    pub(crate) fn take(&mut self) -> Option<Value> {
        let mut fields = std::mem::take(&mut self.fields);
        match fields.len() {
            0 => None,
            1 if fields.get("reasoning_details").is_some_and(Value::is_array) => {
                fields.remove("reasoning_details")
            }
            _ => Some(Value::Object(fields)),
        }
    }
}

/// Adds a piece of a list. Pieces of one text are joined.
fn join(all: &mut Vec<Value>, item: Value, whole: bool) {
    let Some(last) = all.last_mut() else { return all.push(item) };
    let is_same = !whole && ["type", "index"].iter().all(|name| last.get(name) == item.get(name));
    let text =
        ["text", "summary", "thinking"].into_iter().find(|name| last.get(name).is_some_and(Value::is_string));
    match (text, item, last) {
        (Some(text), Value::Object(piece), Value::Object(last)) if is_same => {
            for (name, value) in piece {
                match (last.get_mut(&name), value) {
                    (Some(Value::String(all)), Value::String(more)) if name == text => all.push_str(&more),
                    (_, Value::Null) => {}
                    (_, value) => drop(last.insert(name, value)),
                }
            }
        }
        (_, item, _) => all.push(item),
    }
}

/// Pictures, sounds and sources of an answer, by the names of their fields.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    fields: Map<String, Value>,
    /// Bytes that were added.
    bytes: usize,
}

/// Bytes of pictures, sounds and sources of one answer at most; what comes after is
/// left out.
const MAX_SOURCES: usize = 8 * 1024 * 1024;

impl Sources {
    /// Adds what a piece of the message has.
    pub(crate) fn add(&mut self, name: &str, value: Option<Value>) {
        let Some(value) = self.taken(value) else { return };
        match (self.fields.get_mut(name), value) {
            (Some(Value::Array(all)), Value::Array(more)) => {
                for item in more {
                    if !all.contains(&item) {
                        all.push(item);
                    }
                }
            }
            (Some(Value::Object(all)), Value::Object(more)) => add_fields(all, more),
            (_, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }

    /// Sets what the whole answer has so far: servers repeat it in every chunk.
    pub(crate) fn set(&mut self, name: &str, value: Option<Value>) {
        if value.as_ref() == self.fields.get(name) {
            return;
        }
        if let Some(value) = self.taken(value) {
            self.fields.insert(name.to_owned(), value);
        }
    }

    /// The value as it is kept, if it says something and is not too much.
    fn taken(&mut self, value: Option<Value>) -> Option<Value> {
        let mut value = value.filter(says_something)?;
        self.bytes = self.bytes.saturating_add(value.to_string().len());
        clean_value(&mut value);
        replace_in(&mut value);
        (self.bytes <= MAX_SOURCES).then_some(value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub(crate) fn take(&mut self) -> Option<Map<String, Value>> {
        Some(std::mem::take(&mut self.fields)).filter(|fields| !fields.is_empty())
    }
}

/// Adds the fields of a piece of a sound: its data and transcript come in pieces.
fn add_fields(all: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (all.get_mut(&name), value) {
            (Some(Value::String(all)), Value::String(more))
                if matches!(name.as_str(), "data" | "transcript") =>
            {
                all.push_str(&more);
            }
            (_, value) => drop(all.insert(name, value)),
        }
    }
}
