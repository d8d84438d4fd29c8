//! The rows of messages: reading them, and storing several at once.

mod store;

use aimate_core::message::{Message, PathStats};
use aimate_core::{ConversationId, Result, TenantId};

use crate::database::{Array, Row, Sql, Statement};
use crate::value::{JsonText, count, json, maybe_json, maybe_text};

/// One message. PostgreSQL stores several in one statement: see [`bind_arrays`].
const SQLITE_INSERT: Sql = Sql::Sqlite(
    "INSERT INTO messages (tenant_id, conversation_id, id, parent_id, role, content, status, model, usage, \
     cost, metadata, depth, tokens, path_tokens, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
);

/// SQLite: the statement that stores a message.
pub(crate) fn sqlite_insert(
    tenant: TenantId,
    conversation: ConversationId,
    message: &Message,
) -> Result<Statement> {
    Ok(SQLITE_INSERT
        .bind(tenant)
        .bind(conversation)
        .bind(message.id)
        .bind(message.parent_id)
        .bind(message.role.as_str())
        .bind(json(&message.content)?)
        .bind(message.status.as_str())
        .bind(maybe_text(message.model.as_ref()))
        .bind(maybe_json(message.usage.as_ref())?)
        .bind(message.cost.map(|cost| cost.0))
        .bind(json(&message.metadata)?)
        .bind(count(message.path_stats.depth))
        .bind(count(message.path_stats.tokens))
        .bind(count(message.path_stats.path_tokens))
        .bind(message.created_at))
}

/// PostgreSQL: binds an array for each of the columns `id`, `parent_id`, `role`,
/// `content`, `status`, `model`, `usage`, `cost`, `metadata`, `depth`, `tokens`,
/// `path_tokens` and `created_at`, for `unnest`.
pub(crate) fn bind_arrays(statement: Statement, messages: &[&Message]) -> Result<Statement> {
    let contents = messages.iter().map(|m| Ok(Some(json(&m.content)?)));
    let usages = messages.iter().map(|m| maybe_json(m.usage.as_ref()));
    let metadatas = messages.iter().map(|m| Ok(Some(json(&m.metadata)?)));
    let models = messages.iter().map(|m| maybe_text(m.model.as_ref()).map(|model| model.into_owned()));
    Ok(statement
        .bind(Array::uuids(messages.iter().map(|m| m.id.0)))
        .bind(Array::uuids(messages.iter().map(|m| m.parent_id.map(|id| id.0))))
        .bind(Array::texts(messages.iter().map(|m| m.role.as_str().to_owned())))
        .bind(Array::Jsons(contents.collect::<Result<Vec<Option<JsonText>>>>()?))
        .bind(Array::texts(messages.iter().map(|m| m.status.as_str().to_owned())))
        .bind(Array::texts(models))
        .bind(Array::Jsons(usages.collect::<Result<_>>()?))
        .bind(Array::ints(messages.iter().map(|m| m.cost.map(|cost| cost.0))))
        .bind(Array::Jsons(metadatas.collect::<Result<_>>()?))
        .bind(Array::ints(messages.iter().map(|m| count(m.path_stats.depth))))
        .bind(Array::ints(messages.iter().map(|m| count(m.path_stats.tokens))))
        .bind(Array::ints(messages.iter().map(|m| count(m.path_stats.path_tokens))))
        .bind(Array::ints(messages.iter().map(|m| m.created_at.0))))
}

/// The message of a row.
pub(crate) fn message(row: &Row) -> Result<Message> {
    Ok(Message {
        id: row.get("id")?,
        conversation_id: row.get("conversation_id")?,
        parent_id: row.maybe("parent_id")?,
        role: row.name("role")?,
        content: row.json("content")?,
        status: row.name("status")?,
        model: row.maybe("model")?,
        usage: row.maybe_json("usage")?,
        cost: row.maybe("cost")?,
        metadata: row.json("metadata")?,
        created_at: row.get("created_at")?,
        path_stats: PathStats {
            depth: row.get("depth")?,
            tokens: row.get("tokens")?,
            path_tokens: row.get("path_tokens")?,
        },
    })
}
