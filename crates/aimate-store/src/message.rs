//! The rows of messages: reading them, and storing several at once.

use aimate_core::message::{Message, PathStats};
use aimate_core::{ConversationId, Result, TenantId};
use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::postgres::PgQuery;
use crate::row::Columns;
use crate::value::{JsonText, count, json, maybe_json, maybe_text};

/// The columns of a message, each after `$prefix`, which is a table's name or
/// nothing.
macro_rules! columns {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "id, ",
            $prefix,
            "conversation_id, ",
            $prefix,
            "parent_id, ",
            $prefix,
            "role, ",
            $prefix,
            "content, ",
            $prefix,
            "status, ",
            $prefix,
            "model, ",
            $prefix,
            "usage, ",
            $prefix,
            "cost, ",
            $prefix,
            "metadata, ",
            $prefix,
            "depth, ",
            $prefix,
            "tokens, ",
            $prefix,
            "path_tokens, ",
            $prefix,
            "created_at"
        )
    };
}
pub(crate) use columns;

/// PostgreSQL: `INSERT INTO messages` of the arrays that [`bind`] binds, into
/// conversation `$3` of tenant `$1`, from `$from` on.
macro_rules! insert {
    ($from:literal) => {
        concat!(
            "INSERT INTO messages (tenant_id, conversation_id, id, parent_id, role, content, status, model, \
             usage, cost, metadata, depth, tokens, path_tokens, created_at) \
             SELECT $1, $3, m.* FROM unnest($4::uuid[], $5::uuid[], $6::text[], $7::jsonb[], $8::text[], \
             $9::text[], $10::jsonb[], $11::bigint[], $12::jsonb[], $13::bigint[], $14::bigint[], \
             $15::bigint[], $16::bigint[]) AS m ",
            $from
        )
    };
}
pub(crate) use insert;

/// PostgreSQL: binds `messages` as `$4` to `$16`.
pub(crate) fn bind(query: PgQuery, messages: &[&Message]) -> Result<PgQuery> {
    fn each<'m, T>(messages: &[&'m Message], get: impl Fn(&'m Message) -> T) -> Vec<T> {
        messages.iter().map(|message| get(message)).collect()
    }
    let contents: Result<Vec<JsonText>> = each(messages, |m| json(&m.content)).into_iter().collect();
    let usages: Result<Vec<Option<JsonText>>> =
        each(messages, |m| maybe_json(m.usage.as_ref())).into_iter().collect();
    let metadatas: Result<Vec<JsonText>> = each(messages, |m| json(&m.metadata)).into_iter().collect();
    Ok(query
        .bind(each(messages, |m| m.id.0))
        .bind(each(messages, |m| m.parent_id.map(|id| id.0)))
        .bind(each(messages, |m| m.role.as_str()))
        .bind(contents?)
        .bind(each(messages, |m| m.status.as_str()))
        .bind(each(messages, |m| maybe_text(m.model.as_ref())))
        .bind(usages?)
        .bind(each(messages, |m| m.cost.map(|cost| cost.0)))
        .bind(metadatas?)
        .bind(each(messages, |m| count(m.path_stats.depth)))
        .bind(each(messages, |m| count(m.path_stats.tokens)))
        .bind(each(messages, |m| count(m.path_stats.path_tokens)))
        .bind(each(messages, |m| m.created_at.0)))
}

/// SQLite: appends the statement that stores `messages`.
pub(crate) fn push(
    builder: &mut QueryBuilder<Sqlite>,
    tenant: TenantId,
    conversation: ConversationId,
    messages: &[&Message],
) -> Result<()> {
    // A statement takes 32,766 values.
    for messages in messages.chunks(1000) {
        builder.push(concat!("INSERT INTO messages (tenant_id, ", columns!(""), ") VALUES "));
        for (n, message) in messages.iter().enumerate() {
            let (content, metadata) = (json(&message.content)?, json(&message.metadata)?);
            let usage = maybe_json(message.usage.as_ref())?;
            builder.push(if n == 0 { "(" } else { ", (" });
            let mut values = builder.separated(", ");
            values.push_bind(tenant.0);
            values.push_bind(message.id.0);
            values.push_bind(conversation.0);
            values.push_bind(message.parent_id.map(|id| id.0));
            values.push_bind(message.role.as_str());
            values.push_bind(content);
            values.push_bind(message.status.as_str());
            values.push_bind(maybe_text(message.model.as_ref()));
            values.push_bind(usage);
            values.push_bind(message.cost.map(|cost| cost.0));
            values.push_bind(metadata);
            values.push_bind(count(message.path_stats.depth));
            values.push_bind(count(message.path_stats.tokens));
            values.push_bind(count(message.path_stats.path_tokens));
            values.push_bind(message.created_at.0);
            builder.push(")");
        }
        builder.push("; ");
    }
    Ok(())
}

/// SQLite: `ids` as the value of `IN (SELECT unhex(value) FROM json_each($n))`.
pub(crate) fn hex_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", ids.join(","))
}

/// The message of a row.
pub(crate) fn message(row: &impl Columns) -> Result<Message> {
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
