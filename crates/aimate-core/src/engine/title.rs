//! Titles of conversations that nobody named.

use crate::message::{Message, MessageRole, text_of};

/// Characters of a title taken from the first message.
const TITLE: usize = 60;

/// A title out of the first user message: its first line, cut at a word.
pub(super) fn title(messages: &[Message]) -> Option<String> {
    let first = messages.iter().find(|message| message.role == MessageRole::User)?;
    let text = text_of(&first.content);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    if line.chars().count() <= TITLE {
        return Some(line.to_owned());
    }
    let cut: String = line.chars().take(TITLE).collect();
    let whole = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    Some(format!("{whole}…"))
}
