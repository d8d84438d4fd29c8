//! Searching the titles and messages of a user's conversations.

use std::collections::HashMap;

use super::Conversations;
use crate::conversation::{Conversation, ConversationFilter, FoundConversation, FoundMessage};
use crate::error::{Error, Result};
use crate::id::ConversationId;
use crate::message::{Message, text_of};
use crate::page::{Cursor, Page, PageRequest};

/// Characters of what is searched for at most.
const MAX_QUERY: usize = 200;
/// Conversations that are looked at together.
const TOGETHER: u32 = 50;
/// Conversations, and messages, that are looked at for one page at most, but for the last of
/// each that were looked at together.
const MAX_CONVERSATIONS: usize = 1_000;
const MAX_MESSAGES: u64 = 20_000;
/// Messages of a conversation that are shown at most.
const MAX_SHOWN: u32 = 3;
/// Characters of a snippet before what was found, and in all.
const BEFORE: usize = 60;
const SNIPPET: usize = 200;

impl Conversations {
    /// The user's conversations whose title, or the text of a message, contains `query` in that
    /// order of words and whatever the case; last changed first, archived ones too.
    ///
    /// A page looks at 1,000 conversations or 20,000 messages and then gives what it has found,
    /// which may be nothing, and where to go on. So no search costs more than that, however much
    /// there is; who wants to know of all reads on until there is no next page.
    ///
    /// # Errors
    /// `Invalid` on the field `q` for a query that is blank or has more than 200 characters.
    pub async fn search(&self, query: &str, page: PageRequest) -> Result<Page<FoundConversation>> {
        self.engine.admit(&self.scope).await?;
        let query = query.trim();
        let length = query.chars().count();
        if length == 0 || length > MAX_QUERY {
            let why = format!("has {length} characters; a search needs 1 to {MAX_QUERY} that are not blank");
            return Err(Error::field("q", why));
        }
        let folded = query.to_lowercase();
        let (mut found, mut place) = (Vec::new(), page.after);
        let (mut looked_at, mut messages) = (0, 0);
        while looked_at < MAX_CONVERSATIONS && messages < MAX_MESSAGES {
            let Page { data, next } = self.some(place).await?;
            let mut matching = self.matching(&data, query).await?;
            looked_at += data.len();
            messages += data.iter().map(|conversation| conversation.message_count).sum::<u64>();
            for conversation in data {
                if found.len() >= page.limit as usize {
                    return Ok(Page { data: found, next: place });
                }
                place = Some(Cursor { at: conversation.updated_at, id: conversation.id.0 });
                let messages = matching.remove(&conversation.id).unwrap_or_default();
                let is_in_title = conversation.title.to_lowercase().contains(&folded);
                if is_in_title || !messages.is_empty() {
                    let messages = messages.iter().map(|message| shown(message, query)).collect();
                    found.push(FoundConversation { conversation, is_in_title, messages });
                }
            }
            if next.is_none() {
                return Ok(Page { data: found, next: None });
            }
        }
        Ok(Page { data: found, next: place })
    }

    /// The next conversations, all of them.
    async fn some(&self, after: Option<Cursor>) -> Result<Page<Conversation>> {
        let page = PageRequest { after, ..PageRequest::first(TOGETHER) };
        self.engine.inner.stores.conversations.list(&self.scope, &ConversationFilter::default(), page).await
    }

    /// What is found in their messages.
    async fn matching(
        &self,
        conversations: &[Conversation],
        query: &str,
    ) -> Result<HashMap<ConversationId, Vec<Message>>> {
        let ids: Vec<_> = conversations.iter().map(|conversation| conversation.id).collect();
        let store = &self.engine.inner.stores.conversations;
        let mut matching: HashMap<_, Vec<_>> = HashMap::new();
        for message in store.matching_messages(&self.scope, &ids, query, MAX_SHOWN).await? {
            matching.entry(message.conversation_id).or_default().push(message);
        }
        Ok(matching)
    }
}

fn shown(message: &Message, query: &str) -> FoundMessage {
    let snippet = snippet(&text_of(&message.content), query);
    FoundMessage { id: message.id, role: message.role, snippet, created_at: message.created_at }
}

/// The part of `text` around `query`, in one line.
fn snippet(text: &str, query: &str) -> String {
    let text: Vec<char> = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let begin = position(&text, query).unwrap_or_default().saturating_sub(BEFORE);
    let part: String = text.iter().skip(begin).take(SNIPPET).collect();
    let dots = |is_cut: bool| if is_cut { "…" } else { "" };
    format!("{}{}{}", dots(begin > 0), part.trim(), dots(begin + SNIPPET < text.len()))
}

/// The place in `text` where `query` begins, whatever the case.
fn position(text: &[char], query: &str) -> Option<usize> {
    let query: Vec<char> = query.to_lowercase().chars().collect();
    // Some letters become two: each says from which it came.
    let folded: Vec<(usize, char)> =
        text.iter().enumerate().flat_map(|(at, c)| c.to_lowercase().map(move |c| (at, c))).collect();
    let found = folded.windows(query.len()).find(|some| some.iter().map(|(_, c)| c).eq(&query));
    found.and_then(|some| some.first()).map(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippet_shows_what_was_found() {
        assert_eq!(snippet("The BOILER is\nserviced.", "boiler"), "The BOILER is serviced.");
        let long = format!("{}İstanbul Größe {}", "a ".repeat(100), "b ".repeat(100));
        let snippet = snippet(&long, "GRÖßE");
        assert!(snippet.starts_with('…') && snippet.ends_with('…') && snippet.contains("Größe"), "{snippet}");
        assert!(snippet.chars().count() <= SNIPPET + 2);
        assert_eq!(super::snippet("nothing of it", "else"), "nothing of it");
    }
}
