//! `item_reference`: an item that the caller names instead of sending it again.

use std::collections::{BTreeMap, BTreeSet};

use aimate_core::message::MessageStatus;
use aimate_core::{Error, MessageId, Scope};
use serde_json::{Value, json};

use super::item_kind::ItemKind;
use super::request::check_bytes;
use crate::app::App;
use crate::error::Result;
use crate::openai::item::{Item, items as items_of, message_of, prefix};
use crate::openai::wire_id;

/// References of one request at most.
const MAX_REFERENCES: usize = 1_000;
/// Messages that are read at once.
const AT_ONCE: usize = 20;
/// The item of a search before an answer: what it found stands in the question.
const SEARCH: &str = "fs_";

/// Puts the items that are named in place of their references.
///
/// # Errors
/// `Invalid`, naming the reference, for an item that the user has not; `TooLarge`.
pub(super) async fn resolve(app: &App, scope: &Scope, items: &mut [Value]) -> Result<()> {
    let mut wanted: BTreeMap<usize, (String, MessageId)> = BTreeMap::new();
    for (n, item) in items.iter().enumerate().filter(|(_, item)| is_reference(item)) {
        let id = item.get("id").and_then(Value::as_str);
        let id = id.ok_or_else(|| Error::field(format!("input[{n}].id"), "is missing"))?;
        let message = match id.strip_prefix(SEARCH) {
            Some(rest) => message_of(&format!("{}{rest}", prefix::MESSAGE)),
            None => message_of(id),
        };
        let message = message.ok_or_else(|| unknown(n, id))?;
        wanted.insert(n, (id.to_owned(), message));
        if wanted.len() > MAX_REFERENCES {
            let why = format!("has more than {MAX_REFERENCES} references; name a response or a conversation");
            return Err(Error::field("input", why).into());
        }
    }
    let messages: Vec<MessageId> =
        wanted.values().map(|(_, message)| *message).collect::<BTreeSet<_>>().into_iter().collect();
    let named: BTreeSet<&str> = wanted.values().map(|(id, _)| id.as_str()).collect();
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    let conversations = app.engine.conversations(scope);
    for ids in messages.chunks(AT_ONCE) {
        let read = conversations.find_messages(ids).await?;
        let whole = read.iter().filter(|message| message.status != MessageStatus::Streaming);
        let of_messages = whole.flat_map(items_of).filter(|item: &Item| named.contains(item.id()));
        found.extend(of_messages.map(|item| (item.id().to_owned(), json!(item))));
        let searches = read.iter().map(|message| ItemKind::FileSearch.id(message.id, 0));
        let named_searches = searches.filter(|id| named.contains(id.as_str()));
        found.extend(named_searches.map(|id| (id, json!({"type": "file_search_call"}))));
        check_bytes(found.values())?;
    }
    for (n, (id, _)) in &wanted {
        let item = found.get(id).ok_or_else(|| unknown(*n, id))?;
        if let Some(place) = items.get_mut(*n) {
            *place = item.clone();
        }
    }
    if wanted.is_empty() { Ok(()) } else { check_bytes(items.iter()) }
}

/// Some clients leave the type out.
fn is_reference(item: &Value) -> bool {
    match item.get("type").and_then(Value::as_str) {
        Some(kind) => kind == "item_reference",
        None => item.get("role").is_none() && item.get("id").is_some(),
    }
}

fn unknown(n: usize, id: &str) -> Error {
    let shown = wire_id::shown(id);
    Error::field(format!("input[{n}].id"), format!("Item with id '{shown}' not found."))
}
