//! The limits of every text a caller may store, in one place.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Characters of a name or title of a prompt, workspace or connection.
pub const NAME: usize = 200;
/// Characters of a collection's name for clients of OpenAI's API.
pub const LABEL: usize = 256;
/// Characters of a conversation's title.
pub const TITLE: usize = 500;
/// Characters of a search of conversations.
pub const SEARCH: usize = 500;
/// Characters of a description.
pub const DESCRIPTION: usize = 10_000;
/// Characters of a stored prompt.
pub const PROMPT: usize = 100_000;
/// Characters of a model's name, with its connection's.
pub const MODEL: usize = 500;
/// Bytes of all text of one message.
pub const MESSAGE: usize = 4 * 1024 * 1024;
/// Messages that are added at once.
pub const MESSAGES: usize = 10_000;
/// Bytes of one image or other inline data of a message, after base64.
pub const IMAGE: usize = 20 * 1024 * 1024;
/// Characters of a document's name or source.
pub const DOCUMENT_NAME: usize = 4_000;
/// Bytes of metadata as JSON.
pub const METADATA: usize = 64 * 1024;
/// Bytes of what a caller keeps with a run, as JSON.
pub const REQUEST: usize = 256 * 1024;
/// Tags of a conversation.
pub const TAGS: usize = 50;
/// Characters of a tag.
pub const TAG: usize = 100;
/// Characters of a caller's own id for a turn.
pub const CLIENT_ID: usize = 200;

/// `text` without NUL characters: PostgreSQL keeps them in no text, and SQLite's
/// functions take one for the end. They are removed and nothing is refused for
/// them, because models write them and people paste them without seeing them.
/// Stores do so with every text; others where they give back what they stored.
pub fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) }
}

/// `text` has at most `max` characters.
pub(crate) fn text(path: &str, text: &str, max: usize) -> Result<()> {
    let count = text.chars().count();
    if count > max {
        return Err(Error::field(path, format!("has {count} characters; the most is {max}")));
    }
    Ok(())
}

/// `text` is not blank and has at most `max` characters.
pub(crate) fn name(path: &str, name: &str, max: usize) -> Result<()> {
    if without_nul(name).trim().is_empty() {
        return Err(Error::field(path, format!("is empty; it needs 1 to {max} characters")));
    }
    text(path, name, max)
}

/// `metadata` is at most 64 KiB as JSON.
pub(crate) fn metadata(path: &str, metadata: &Map<String, Value>) -> Result<()> {
    json(path, metadata)
}

/// `value` is at most 64 KiB as JSON.
pub(crate) fn json(path: &str, value: &impl serde::Serialize) -> Result<()> {
    json_of(path, value, METADATA)
}

/// `request` is an object of at most 256 KiB as JSON.
pub(crate) fn request(path: &str, request: &Value) -> Result<()> {
    if !request.is_object() {
        return Err(Error::field(path, "is no JSON object"));
    }
    json_of(path, request, REQUEST)
}

fn json_of(path: &str, value: &impl serde::Serialize, most: usize) -> Result<()> {
    let bytes = serde_json::to_string(value).map_or(0, |json| json.len());
    if bytes > most {
        return Err(Error::field(path, format!("has {bytes} bytes as JSON; the most is {most}")));
    }
    Ok(())
}

/// Each of these tags once, without NUL; at most 50 of 1 to 100 characters.
pub(crate) fn distinct_tags(path: &str, given: Vec<String>) -> Result<Vec<String>> {
    tags(path, &given)?;
    let mut distinct: Vec<String> = Vec::with_capacity(given.len());
    for tag in given {
        let tag = without_nul(&tag).into_owned();
        if !distinct.contains(&tag) {
            distinct.push(tag);
        }
    }
    Ok(distinct)
}

/// At most 50 tags of 1 to 100 characters.
pub(crate) fn tags(path: &str, tags: &[String]) -> Result<()> {
    if tags.len() > TAGS {
        return Err(Error::field(path, format!("has {} tags; the most is {TAGS}", tags.len())));
    }
    tags.iter().enumerate().try_for_each(|(n, tag)| name(&format!("{path}[{n}]"), tag, TAG))
}
