//! Searching conversations by what was said in them.

use std::borrow::Cow;

use aimate_index::analysis::{FoundWord, SearchWords, composed};
use serde::Serialize;

use super::{Conversation, DEFAULT_TITLE};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{MessageId, WorkspaceId};
use crate::limit;
use crate::message::{Message, MessageRole, MessageStatus, Part};
use crate::setters::setters;

/// Characters of a snippet, about.
const SNIPPET: usize = 200;
/// Characters of a snippet before its first word, about.
const BEFORE: usize = 40;
/// Characters by which a snippet is made shorter at most, to begin and end with words.
const SLACK: usize = 20;

/// What is searched for in conversations.
///
/// ```
/// use aimate_core::conversation::ConversationSearch;
/// let search = ConversationSearch::new("leaky pum").is_archived(false);
/// # let _ = search;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversationSearch {
    /// Words, at most 500 characters. Each has to occur in the conversation's title or
    /// in one of its messages; the last one may be only begun. All other signs say
    /// nothing.
    pub query: String,
    /// Only conversations with this label.
    pub tag: Option<String>,
    /// Only archived conversations, or only the others; `None` for both.
    pub is_archived: Option<bool>,
    /// Only conversations of this workspace.
    pub workspace_id: Option<WorkspaceId>,
}

impl ConversationSearch {
    /// A search for these words in all conversations.
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), ..Self::default() }
    }

    setters! {
        /// With this label.
        optional tag: String;
        /// That are put away, or are not.
        optional is_archived: bool;
        /// Of this workspace.
        optional workspace_id: WorkspaceId;
    }

    /// Checks the limits of the query.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        limit::name("q", &self.query, limit::SEARCH)
    }

    /// Its words.
    pub fn words(&self) -> SearchWords {
        SearchWords::new(&limit::without_nul(&self.query))
    }
}

/// A conversation that a store has found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundConversation {
    /// The conversation.
    pub conversation: Conversation,
    /// Its message that has the most of the words, the newest of several; `None` if the
    /// title has all of them.
    pub message: Option<FoundMessage>,
}

/// The message by which a conversation was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundMessage {
    /// Its id.
    pub id: MessageId,
    /// Who says it.
    pub role: MessageRole,
    /// Its [`searchable_text`].
    pub text: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A conversation in which what was searched for was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConversationHit {
    /// The conversation.
    #[serde(flatten)]
    pub conversation: Conversation,
    /// The message with the most of the words, the newest of several; `null` if the title
    /// has all of them.
    pub message_id: Option<MessageId>,
    /// Who says it; `null` for the title.
    pub role: Option<MessageRole>,
    /// When the message was made; `null` for the title.
    pub message_created_at: Option<Timestamp>,
    /// The title, or the part of the message in which the words stand: plain text, about
    /// 200 characters, on one line.
    pub snippet: String,
    /// Where the words stand in the snippet, in its order.
    pub matches: Vec<SnippetMatch>,
}

/// A place in a snippet, in Unicode code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnippetMatch {
    /// The first character.
    pub start: usize,
    /// One more than the last character.
    pub end: usize,
}

impl ConversationHit {
    /// The hit of a found conversation, with the part of it that has `words`.
    pub(crate) fn new(found: FoundConversation, words: &SearchWords) -> Self {
        let text = found.message.as_ref().map_or(&found.conversation.title, |message| &message.text);
        let (snippet, matches) = snippet(words, text);
        let message = found.message.as_ref();
        Self {
            message_id: message.map(|message| message.id),
            role: message.map(|message| message.role),
            message_created_at: message.map(|message| message.created_at),
            snippet,
            matches,
            conversation: found.conversation,
        }
    }
}

/// What a message is found by: what the user and the model say in it; `None` for all
/// others and for an answer that is not whole yet.
pub fn searchable_text(message: &Message) -> Option<String> {
    match message.status {
        MessageStatus::Streaming => None,
        _ => searchable_parts(message.role, &message.content),
    }
}

/// [`searchable_text`] of a message of this role with this content.
pub fn searchable_parts(role: MessageRole, content: &[Part]) -> Option<String> {
    if !matches!(role, MessageRole::User | MessageRole::Assistant) {
        return None;
    }
    let texts = content.iter().filter_map(|part| match part {
        Part::Text { text } => Some(limit::without_nul(text)),
        _ => None,
    });
    let text = texts.collect::<Vec<Cow<'_, str>>>().join("\n");
    (!text.trim().is_empty()).then_some(text)
}

/// What a title is found by; `None` of one that nobody gave.
pub fn searchable_title(title: &str) -> Option<Cow<'_, str>> {
    (title != DEFAULT_TITLE && !title.trim().is_empty()).then(|| limit::without_nul(title))
}

/// The part of `text` that has the most of the words, and where they stand in it.
fn snippet(words: &SearchWords, text: &str) -> (String, Vec<SnippetMatch>) {
    let text = composed(text);
    let found = words.find(&text);
    let best = best_place(&found);
    let start = start_of(&text, best);
    let rest = text.get(start..).unwrap_or_default();
    let end = start + length_of(rest);
    let mut snippet = String::new();
    if start > 0 {
        snippet.push('…');
    }
    let shift = snippet.chars().count();
    // A character stays a character, so that places stay right.
    let shown = text.get(start..end).unwrap_or_default();
    snippet.extend(shown.chars().map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c }));
    if end < text.len() {
        snippet.push('…');
    }
    let characters = |end: usize| text.get(start..end).map_or(0, |part| part.chars().count());
    let mut matches: Vec<SnippetMatch> = Vec::new();
    for found in found.iter().filter(|found| found.range.start >= start && found.range.end <= end) {
        let (from, to) = (shift + characters(found.range.start), shift + characters(found.range.end));
        match matches.last_mut() {
            // Places overlap in scripts without spaces.
            Some(last) if from <= last.end => last.end = last.end.max(to),
            _ => matches.push(SnippetMatch { start: from, end: to }),
        }
    }
    (snippet, matches)
}

/// The byte at which the words stand closest together.
fn best_place(found: &[FoundWord]) -> usize {
    let within = |first: usize| {
        let near = found.iter().skip(first);
        let start = found.get(first).map_or(0, |found| found.range.start);
        // Bytes, which are never fewer than characters.
        let near = near.take_while(|next| next.range.start < start + SNIPPET - BEFORE - SLACK);
        near.fold(0_u64, |bits, found| bits | found.words).count_ones()
    };
    let mut best = (0, 0);
    // What stands far behind adds little, and a long text may have a word very often.
    for first in 0..found.len().min(1_000) {
        let words = within(first);
        if words > best.0 {
            best = (words, first);
        }
    }
    found.get(best.1).map_or(0, |found| found.range.start)
}

/// Where a snippet begins so that it shows `place`: at a word, if one begins close by.
fn start_of(text: &str, place: usize) -> usize {
    let before = text.get(..place).unwrap_or_default();
    let mut starts = before.char_indices().rev();
    let Some((start, _)) = starts.nth(BEFORE) else { return 0 };
    let near = before.get(start..).unwrap_or_default().char_indices().take(SLACK);
    let mut blanks = near.filter(|(_, c)| c.is_whitespace());
    blanks.next().map_or(start, |(at, blank)| start + at + blank.len_utf8())
}

/// The bytes of a snippet at the beginning of `rest`: up to the end of a word, if one
/// ends close by.
fn length_of(rest: &str) -> usize {
    let Some((end, _)) = rest.char_indices().nth(SNIPPET) else { return rest.len() };
    let shown = rest.get(..end).unwrap_or_default();
    let near = shown.char_indices().rev().take(SLACK);
    let mut blanks = near.filter(|(_, c)| c.is_whitespace());
    blanks.next().map_or(end, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(query: &str, text: &str) -> String {
        let (snippet, matches) = snippet(&SearchWords::new(query), text);
        let characters: Vec<char> = snippet.chars().collect();
        let mut out = String::new();
        for (n, c) in characters.iter().enumerate() {
            if matches.iter().any(|place| place.start == n) {
                out.push('[');
            }
            out.push(*c);
            if matches.iter().any(|place| place.end == n + 1) {
                out.push(']');
            }
        }
        out
    }

    #[test]
    fn short_text_is_shown_whole() {
        assert_eq!(marked("leaky pum", "The pumps\nare leaky"), "The [pumps] are [leaky]");
        assert_eq!(marked("机械学习", "我在学习机械学习的知识"), "我在[学习机械学习]的知识");
        assert_eq!(marked("cafe", "😀 Cafe\u{301} <b>"), "😀 [Cafe\u{301}] <b>");
    }

    #[test]
    fn long_text_is_cut_at_words_around_those_that_were_searched_for() {
        let text = format!("pump {} the pump has a leaky seal {}", "word ".repeat(200), "more ".repeat(200));
        let shown = marked("pump leaky", &text);
        assert!(shown.starts_with("…word ") && shown.ends_with(" more…"), "{shown}");
        assert!(shown.contains("the [pump] has a [leaky] seal"), "{shown}");
        assert!(shown.chars().count() < SNIPPET + 10, "{shown}");
        let unbroken = marked("字", &"文".repeat(5_000).replacen("文文文", "文字文", 900));
        assert!(unbroken.contains("[字]"), "{unbroken}");
        assert!(unbroken.chars().count() < 2 * SNIPPET);
    }

    #[test]
    fn only_what_people_and_models_say_is_searched() {
        let content = [
            Part::Reasoning { text: "hidden".into(), details: None },
            Part::text("said\0"),
            Part::text("twice"),
        ];
        assert_eq!(searchable_parts(MessageRole::Assistant, &content).unwrap(), "said\ntwice");
        assert_eq!(searchable_parts(MessageRole::Tool, &content), None);
        assert_eq!(searchable_parts(MessageRole::System, &content), None);
        assert_eq!(searchable_parts(MessageRole::User, &[Part::text(" ")]), None);
        assert_eq!(searchable_title(DEFAULT_TITLE), None);
    }

    #[test]
    fn query_is_neither_empty_nor_endless() {
        for query in ["", "  ", "\0", &"x".repeat(limit::SEARCH + 1)] {
            let error = ConversationSearch::new(query).check().unwrap_err();
            assert!(error.message().contains("`q`"), "{error}");
        }
        assert!(ConversationSearch::new("?").check().is_ok());
    }
}
