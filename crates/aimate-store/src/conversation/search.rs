//! Finding messages by what is said in them.

use aimate_core::message::Message;
use aimate_core::{ConversationId, Result, Scope};
use uuid::Uuid;

use crate::SqlStore;
use crate::database::{Sql, each};
use crate::message::message;
use crate::value::{literally, text};

/// Of conversations `$3` that the user sees, the newest `$7` messages of each with a part of
/// text like one of `$4`, `$5` and `$6`. It reads the messages of these conversations, and none
/// of others.
const MATCHING: Sql = Sql::Each {
    sqlite: "SELECT f.id, f.conversation_id, f.parent_id, f.role, f.content, f.status, f.model, f.usage, f.cost, \
        f.metadata, f.depth, f.tokens, f.path_tokens, f.created_at FROM (SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, \
            m.status, m.model, m.usage, m.cost, m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at, \
            row_number() OVER (PARTITION BY m.conversation_id ORDER BY m.id DESC) AS place \
            FROM json_each($3) i CROSS JOIN conversations c ON c.tenant_id = $1 AND c.id = unhex(i.value) \
            CROSS JOIN messages m ON m.tenant_id = $1 AND m.conversation_id = c.id \
            WHERE (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            AND m.status <> 'streaming' AND EXISTS (SELECT 1 FROM json_each(m.content) p \
                WHERE p.value ->> 'type' = 'text' AND (p.value ->> 'text' LIKE $4 ESCAPE '\\' \
                OR p.value ->> 'text' LIKE $5 ESCAPE '\\' OR p.value ->> 'text' LIKE $6 ESCAPE '\\'))) f \
        WHERE f.place <= $7 ORDER BY f.conversation_id, f.id DESC",
    postgres: "SELECT f.id, f.conversation_id, f.parent_id, f.role, f.content, f.status, f.model, f.usage, f.cost, \
        f.metadata, f.depth, f.tokens, f.path_tokens, f.created_at FROM (SELECT m.id, m.conversation_id, m.parent_id, m.role, m.content, \
            m.status, m.model, m.usage, m.cost, m.metadata, m.depth, m.tokens, m.path_tokens, m.created_at, \
            row_number() OVER (PARTITION BY m.conversation_id ORDER BY m.id DESC) AS place \
            FROM unnest($3::uuid[]) AS i (id) JOIN conversations c ON c.tenant_id = $1 AND c.id = i.id \
            JOIN messages m ON m.tenant_id = $1 AND m.conversation_id = c.id \
            WHERE (c.workspace_id IS NULL AND c.user_id = $2 OR (SELECT a.role FROM workspace_access a \
                WHERE a.tenant_id = $1 AND a.user_id = $2 AND a.workspace_id = c.workspace_id) IS NOT NULL) \
            AND m.status <> 'streaming' AND EXISTS (SELECT 1 FROM jsonb_array_elements(m.content) AS p (value) \
                WHERE p.value ->> 'type' = 'text' AND (p.value ->> 'text' ILIKE $4 ESCAPE '\\' \
                OR p.value ->> 'text' ILIKE $5 ESCAPE '\\' OR p.value ->> 'text' ILIKE $6 ESCAPE '\\'))) f \
        WHERE f.place <= $7 ORDER BY f.conversation_id, f.id DESC",
};

/// The patterns that find `query` in lower case, in upper case, and with one capital in front:
/// databases know no more of letters than ASCII, whose case they ignore.
fn patterns(query: &str) -> [String; 3] {
    let query = text(query);
    let mut letters = query.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let capital = format!("{first}{}", letters.as_str().to_lowercase());
    [query.to_lowercase(), query.to_uppercase(), capital].map(|text| literally(&text))
}

/// See [`ConversationStore`](aimate_core::conversation::ConversationStore::matching_messages).
pub(super) async fn matching_messages(
    store: &SqlStore,
    scope: &Scope,
    conversations: &[ConversationId],
    query: &str,
    most: u32,
) -> Result<Vec<Message>> {
    let ids: Vec<Uuid> = conversations.iter().map(|id| id.0).collect();
    let [lower, upper, capital] = patterns(query);
    let matching = MATCHING.scoped(scope).bind(ids).bind(lower).bind(upper).bind(capital);
    each(&store.database.read(matching.bind(i64::from(most))).await?, message)
}
