//! Searching conversations.

use std::collections::HashMap;

use aimate_core::conversation::{
    ConversationSearch, FoundConversation, FoundMessage, searchable_parts, searchable_title,
};
use aimate_core::message::{MessageRole, Part};
use aimate_core::{Cursor, Page, PageRequest, Result, Scope, Timestamp};
use aimate_index::analysis::SearchWords;
use uuid::Uuid;

use super::conversation;
use crate::SqlStore;
use crate::database::{Row, Sql};
use crate::message_index::{Candidate, MAX_ATTEMPTS, contention_error};
use crate::value::{json, maybe_text};

/// Conversations that are read at once, and of which a page is made at most: with rare
/// labels, it has fewer.
const READ: usize = 20;
const MAX_READ: usize = 1_000;
/// Bytes of text after which a page ends.
const MAX_BYTES: usize = 8 << 20;

/// Those of the array `$3` of `[conversation, message]` that the user sees.
const SHOW: Sql = Sql::Each {
    sqlite: "SELECT c.id, c.workspace_id, c.title, c.system_prompt, c.is_pinned, c.is_archived, c.is_hidden, c.tags, c.metadata, \
        c.active_leaf_id, c.message_count, c.created_at, c.updated_at, m.id AS message_id, m.role, m.content, \
        m.created_at AS said_at FROM json_each($3) r CROSS JOIN conversations c LEFT JOIN messages m \
        ON m.tenant_id = $1 AND m.conversation_id = c.id AND m.id = unhex(r.value ->> 1) \
        WHERE c.tenant_id = $1 AND c.id = unhex(r.value ->> 0) \
        AND (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
        AND c.is_hidden = false AND ($4 IS NULL OR c.is_archived = $4) \
        AND ($5 IS NULL OR EXISTS (SELECT 1 FROM json_each(c.tags) t WHERE t.value = $5)) \
        AND ($6 IS NULL OR c.workspace_id = $6)",
    postgres: "SELECT c.id, c.workspace_id, c.title, c.system_prompt, c.is_pinned, c.is_archived, c.is_hidden, c.tags, c.metadata, \
        c.active_leaf_id, c.message_count, c.created_at, c.updated_at, m.id AS message_id, m.role, m.content, \
        m.created_at AS said_at FROM jsonb_array_elements($3::jsonb) AS r (value) \
        CROSS JOIN LATERAL (SELECT * FROM conversations v WHERE v.tenant_id = $1 AND v.id = (r.value ->> 0)::uuid OFFSET 0) c \
        LEFT JOIN LATERAL (SELECT * FROM messages s WHERE s.tenant_id = $1 AND s.conversation_id = c.id \
            AND s.id = (r.value ->> 1)::uuid OFFSET 0) m ON true \
        WHERE (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
            WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
        AND NOT c.is_hidden AND ($4::boolean IS NULL OR c.is_archived = $4) \
        AND ($5::text IS NULL OR EXISTS (SELECT 1 FROM jsonb_array_elements_text(c.tags) AS t (value) WHERE t.value = $5)) \
        AND ($6::uuid IS NULL OR c.workspace_id = $6)",
};

impl SqlStore {
    /// See [`ConversationStore::search`](aimate_core::conversation::ConversationStore::search).
    pub(super) async fn search_conversations(
        &self,
        scope: &Scope,
        search: &ConversationSearch,
        page: PageRequest,
    ) -> Result<Page<FoundConversation>> {
        let words = search.words();
        if words.words().is_empty() {
            return Ok(Page::default());
        }
        for _ in 0..MAX_ATTEMPTS {
            if let Some(candidates) = self.candidates(scope, search.workspace_id, &words).await? {
                return self.show(scope, search, &words, &candidates, page).await;
            }
        }
        Err(contention_error())
    }

    /// Reads candidates, from the page's cursor on, until the page is full.
    async fn show(
        &self,
        scope: &Scope,
        search: &ConversationSearch,
        words: &SearchWords,
        candidates: &[Candidate],
        page: PageRequest,
    ) -> Result<Page<FoundConversation>> {
        let start = match page.after {
            Some(after) => candidates.partition_point(|candidate| candidate.key() >= after.id),
            None => 0,
        };
        let candidates = candidates.get(start..).unwrap_or_default();
        let cursor = |key: Uuid| Some(Cursor { at: Timestamp(0), id: key });
        let (mut data, mut last, mut bytes) = (Vec::new(), None, 0);
        // One more tells that there is a next page.
        let at_once = (page.limit as usize + 1).min(READ);
        for some in candidates.chunks(at_once).take(MAX_READ / at_once) {
            let rows = self.read_candidates(scope, search, some).await?;
            for candidate in some {
                if data.len() == page.limit as usize || bytes > MAX_BYTES {
                    return Ok(Page { data, next: last.and_then(cursor) });
                }
                last = Some(candidate.key());
                // Those that are gone, or not asked for, have no row.
                if let Some(row) = rows.get(&candidate.conversation.0)
                    && let Some(found) = found(row, candidate, words)?
                {
                    bytes += found.message.as_ref().map_or(0, |message| message.text.len());
                    data.push(found);
                }
            }
        }
        let is_cut = candidates.len() > MAX_READ / at_once * at_once;
        Ok(Page { data, next: last.filter(|_| is_cut).and_then(cursor) })
    }

    async fn read_candidates(
        &self,
        scope: &Scope,
        search: &ConversationSearch,
        candidates: &[Candidate],
    ) -> Result<HashMap<Uuid, Row>> {
        let id = |id: Uuid| id.simple().to_string();
        let pairs =
            candidates.iter().map(|one| (id(one.conversation.0), one.message.map(|message| id(message.0))));
        let show = SHOW
            .scoped(scope)
            .bind(json(&pairs.collect::<Vec<_>>())?)
            .bind(search.is_archived)
            .bind(maybe_text(search.tag.as_ref()))
            .bind(search.workspace_id);
        let rows = self.database.read(show).await?;
        rows.into_iter().map(|row| Ok((row.get("id")?, row))).collect()
    }
}

/// What a row shows; `None` if its title has changed and lacks what the messages lack.
fn found(row: &Row, candidate: &Candidate, words: &SearchWords) -> Result<Option<FoundConversation>> {
    let conversation = conversation(row)?;
    let title = searchable_title(&conversation.title);
    let titled = title.map_or(0, |title| words.occurring(&title));
    if titled == words.all() {
        return Ok(Some(FoundConversation { conversation, message: None }));
    }
    if candidate.said | titled != words.all() || row.maybe::<Uuid>("message_id")?.is_none() {
        return Ok(None);
    }
    let (role, content): (MessageRole, Vec<Part>) = (row.name("role")?, row.json("content")?);
    let text = searchable_parts(role, &content).unwrap_or_default();
    let message = FoundMessage { id: row.get("message_id")?, role, text, created_at: row.get("said_at")? };
    Ok(Some(FoundConversation { conversation, message: Some(message) }))
}
