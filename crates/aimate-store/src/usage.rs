//! Usage.

use std::collections::BTreeMap;

use aimate_core::budget::{Amount, BudgetPeriod};
use aimate_core::usage::{
    Cost, ListedUsage, TokenUsage, UsageFilter, UsageGroup, UsageRecord, UsageStore, UsageSum,
};
use aimate_core::{Cursor, Page, PageRequest, Result, Role, Scope, Timestamp, UserId};
use async_trait::async_trait;
use serde_json::json as object;

use crate::budget::{settled, subjects};
use crate::database::{Row, Sql, Statement, each};
use crate::page::{before, rows_of};
use crate::value::{count, json, maybe_text};
use crate::{Kind, SqlStore};

/// Stores the records in the JSON of `$1`. One that is known is not stored again:
/// the batch was sent before, and its acknowledgement was lost. PostgreSQL counts in the
/// same statement what they cost in the budgets, of the day and the month that began at
/// `$2` and `$3`, and gives back what was set aside; for SQLite see `budget::settled`.
const RECORD: Sql = Sql::Each {
    sqlite: "INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
        input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at, tags, workspace_id) \
        SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3), \
        unhex(value ->> 4), value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, \
        value ->> 11, value ->> 12, value ->> 13, value -> 14, unhex(value ->> 15) FROM json_each($1) WHERE true \
        ON CONFLICT (tenant_id, id) DO NOTHING",
    postgres: "WITH called AS MATERIALIZED ( \
            SELECT (r.value ->> 0)::uuid AS tenant_id, (r.value ->> 2)::uuid AS id, r.value AS value \
            FROM jsonb_array_elements($1::jsonb) AS r (value)), \
        stored AS ( \
            INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
            input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at, tags, \
            workspace_id) \
            SELECT c.tenant_id, (c.value ->> 1)::uuid, c.id, (c.value ->> 3)::uuid, (c.value ->> 4)::uuid, \
            c.value ->> 5, c.value ->> 6, (c.value ->> 7)::bigint, (c.value ->> 8)::bigint, (c.value ->> 9)::bigint, \
            (c.value ->> 10)::bigint, (c.value ->> 11)::bigint, (c.value ->> 12)::boolean, (c.value ->> 13)::bigint, \
            c.value -> 14, (c.value ->> 15)::uuid FROM called c \
            ON CONFLICT (tenant_id, id) DO NOTHING \
            RETURNING tenant_id, id), \
        gone AS (DELETE FROM budget_reservations v USING called c \
            WHERE v.tenant_id = c.tenant_id AND v.call_id = c.id \
            RETURNING v.tenant_id, v.budget_id, v.cost, v.tokens), \
        back AS (SELECT o.tenant_id, o.budget_id, sum(o.cost)::bigint AS cost, sum(o.tokens)::bigint AS tokens \
            FROM gone o GROUP BY o.tenant_id, o.budget_id), \
        spent AS (SELECT b.tenant_id, b.id, sum((c.value ->> 17)::bigint)::bigint AS cost, \
            sum((c.value ->> 18)::bigint)::bigint AS tokens \
            FROM stored s JOIN called c ON c.tenant_id = s.tenant_id AND c.id = s.id \
            CROSS JOIN LATERAL (SELECT jsonb_array_elements_text(c.value -> 16) \
                UNION ALL SELECT 'group:' || replace(m.group_id::text, '-', '') FROM group_members m \
                WHERE m.tenant_id = c.tenant_id AND m.user_id = (c.value ->> 1)::uuid) AS n (subject) \
            JOIN budgets b ON b.tenant_id = c.tenant_id AND b.subject = n.subject GROUP BY b.tenant_id, b.id), \
        locked AS (SELECT b.tenant_id, b.id FROM budgets b WHERE (b.tenant_id, b.id) IN ( \
                SELECT s.tenant_id, s.id FROM spent s UNION SELECT k.tenant_id, k.budget_id FROM back k) \
            ORDER BY b.tenant_id, b.id FOR UPDATE) \
        UPDATE budgets SET \
        cost_spent = CASE WHEN budgets.begins_at < CASE budgets.period WHEN 'day' THEN $2::bigint ELSE $3::bigint END \
            THEN COALESCE(s.cost, 0) \
            WHEN budgets.begins_at = CASE budgets.period WHEN 'day' THEN $2::bigint ELSE $3::bigint END \
            THEN budgets.cost_spent + COALESCE(s.cost, 0) ELSE budgets.cost_spent END, \
        tokens_spent = CASE WHEN budgets.begins_at < CASE budgets.period WHEN 'day' THEN $2::bigint ELSE $3::bigint END \
            THEN COALESCE(s.tokens, 0) \
            WHEN budgets.begins_at = CASE budgets.period WHEN 'day' THEN $2::bigint ELSE $3::bigint END \
            THEN budgets.tokens_spent + COALESCE(s.tokens, 0) ELSE budgets.tokens_spent END, \
        begins_at = GREATEST(budgets.begins_at, CASE budgets.period WHEN 'day' THEN $2::bigint ELSE $3::bigint END), \
        cost_reserved = budgets.cost_reserved - COALESCE(k.cost, 0), \
        tokens_reserved = budgets.tokens_reserved - COALESCE(k.tokens, 0) \
        FROM locked l LEFT JOIN spent s ON s.tenant_id = l.tenant_id AND s.id = l.id \
        LEFT JOIN back k ON k.tenant_id = l.tenant_id AND k.budget_id = l.id \
        WHERE budgets.tenant_id = l.tenant_id AND budgets.id = l.id",
};

// From `$1` to before `$2`, grouped by what `$3` to `$9` say (a record with several
// tags counts in the sum of each), of model `$10`, run `$11`, conversation `$12` and tag
// `$13` where they are given. Each has its index. A count that is in no call
// (`TokenUsage::MAX_TOKENS`; rows of older versions hold some) counts as that many, and
// dollars are summed apart from their billionths, so that no sum leaves 64 bits.
// PostgreSQL sums to numerics.

/// Sums over user `$15` of tenant `$14`.
const SUMS_OF_USER: Sql = Sql::Each {
    sqlite: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, CASE WHEN $9 THEN u.workspace_id END AS workspace_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN json_each(CASE WHEN $7 THEN u.tags ELSE '[]' END) AS t ON true \
        WHERE u.tenant_id = $14 AND u.user_id = $15 AND u.created_at >= $1 AND u.created_at < $2 \
        AND ($10 IS NULL OR u.model = $10) AND ($11 IS NULL OR u.run_id = $11) \
        AND ($12 IS NULL OR u.conversation_id = $12) \
        AND ($13 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $13)) \
        GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7 LIMIT 10000",
    postgres: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, CASE WHEN $9 THEN u.workspace_id END AS workspace_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN LATERAL jsonb_array_elements_text( \
            CASE WHEN $7 THEN u.tags ELSE '[]'::jsonb END) AS t (value) ON true \
        WHERE u.tenant_id = $14 AND u.user_id = $15 AND u.created_at >= $1 AND u.created_at < $2 \
        AND ($10::text IS NULL OR u.model = $10) AND ($11::uuid IS NULL OR u.run_id = $11) \
        AND ($12::uuid IS NULL OR u.conversation_id = $12) \
        AND ($13::text IS NULL OR u.tags @> jsonb_build_array($13::text)) \
        GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7 LIMIT 10000",
};
/// Sums over tenant `$14`.
const SUMS_OF_TENANT: Sql = Sql::Each {
    sqlite: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, CASE WHEN $9 THEN u.workspace_id END AS workspace_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN json_each(CASE WHEN $7 THEN u.tags ELSE '[]' END) AS t ON true \
        WHERE u.tenant_id = $14 AND u.created_at >= $1 AND u.created_at < $2 \
        AND ($10 IS NULL OR u.model = $10) AND ($11 IS NULL OR u.run_id = $11) \
        AND ($12 IS NULL OR u.conversation_id = $12) \
        AND ($13 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $13)) \
        GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7 LIMIT 10000",
    postgres: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, CASE WHEN $9 THEN u.workspace_id END AS workspace_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN LATERAL jsonb_array_elements_text( \
            CASE WHEN $7 THEN u.tags ELSE '[]'::jsonb END) AS t (value) ON true \
        WHERE u.tenant_id = $14 AND u.created_at >= $1 AND u.created_at < $2 \
        AND ($10::text IS NULL OR u.model = $10) AND ($11::uuid IS NULL OR u.run_id = $11) \
        AND ($12::uuid IS NULL OR u.conversation_id = $12) \
        AND ($13::text IS NULL OR u.tags @> jsonb_build_array($13::text)) \
        GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7 LIMIT 10000",
};
/// Sums over all tenants, or tenant `$14`, and all users, or user `$15`.
const SUMS_OF_ALL: Sql = Sql::Each {
    sqlite: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, CASE WHEN $9 THEN u.workspace_id END AS workspace_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN json_each(CASE WHEN $7 THEN u.tags ELSE '[]' END) AS t ON true \
        WHERE u.created_at >= $1 AND u.created_at < $2 AND ($14 IS NULL OR u.tenant_id = $14) \
        AND ($15 IS NULL OR u.user_id = $15) \
        AND ($10 IS NULL OR u.model = $10) AND ($11 IS NULL OR u.run_id = $11) \
        AND ($12 IS NULL OR u.conversation_id = $12) \
        AND ($13 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $13)) \
        GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7 LIMIT 10000",
    postgres: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, CASE WHEN $9 THEN u.workspace_id END AS workspace_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN LATERAL jsonb_array_elements_text( \
            CASE WHEN $7 THEN u.tags ELSE '[]'::jsonb END) AS t (value) ON true \
        WHERE u.created_at >= $1 AND u.created_at < $2 AND ($14::uuid IS NULL OR u.tenant_id = $14) \
        AND ($15::uuid IS NULL OR u.user_id = $15) \
        AND ($10::text IS NULL OR u.model = $10) AND ($11::uuid IS NULL OR u.run_id = $11) \
        AND ($12::uuid IS NULL OR u.conversation_id = $12) \
        AND ($13::text IS NULL OR u.tags @> jsonb_build_array($13::text)) \
        GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7 LIMIT 10000",
};
/// The records of user `$11` of tenant `$10`, newest first.
const RECORDS_OF_USER: Sql = Sql::Each {
    sqlite: "SELECT u.id, u.user_id, u.run_id, u.conversation_id, u.model, u.outcome, u.input_tokens, u.output_tokens, \
        u.cached_tokens, u.reasoning_tokens, u.cost, u.is_estimated, u.created_at, u.tags, u.workspace_id FROM usage_records u \
        WHERE u.tenant_id = $10 AND u.user_id = $11 AND u.created_at >= $1 AND u.created_at < $2 \
        AND (u.created_at, u.id) < ($3, $4) \
        AND ($5 IS NULL OR u.model = $5) AND ($6 IS NULL OR u.run_id = $6) \
        AND ($7 IS NULL OR u.conversation_id = $7) \
        AND ($8 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $8)) \
        ORDER BY u.created_at DESC, u.id DESC LIMIT $9",
    postgres: "SELECT u.id, u.user_id, u.run_id, u.conversation_id, u.model, u.outcome, u.input_tokens, u.output_tokens, \
        u.cached_tokens, u.reasoning_tokens, u.cost, u.is_estimated, u.created_at, u.tags, u.workspace_id FROM usage_records u \
        WHERE u.tenant_id = $10 AND u.user_id = $11 AND u.created_at >= $1 AND u.created_at < $2 \
        AND (u.created_at, u.id) < ($3, $4) \
        AND ($5::text IS NULL OR u.model = $5) AND ($6::uuid IS NULL OR u.run_id = $6) \
        AND ($7::uuid IS NULL OR u.conversation_id = $7) \
        AND ($8::text IS NULL OR u.tags @> jsonb_build_array($8::text)) \
        ORDER BY u.created_at DESC, u.id DESC LIMIT $9",
};
/// The records of tenant `$10`, newest first.
const RECORDS_OF_TENANT: Sql = Sql::Each {
    sqlite: "SELECT u.id, u.user_id, u.run_id, u.conversation_id, u.model, u.outcome, u.input_tokens, u.output_tokens, \
        u.cached_tokens, u.reasoning_tokens, u.cost, u.is_estimated, u.created_at, u.tags, u.workspace_id FROM usage_records u \
        WHERE u.tenant_id = $10 AND u.created_at >= $1 AND u.created_at < $2 \
        AND (u.created_at, u.id) < ($3, $4) \
        AND ($5 IS NULL OR u.model = $5) AND ($6 IS NULL OR u.run_id = $6) \
        AND ($7 IS NULL OR u.conversation_id = $7) \
        AND ($8 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $8)) \
        ORDER BY u.created_at DESC, u.id DESC LIMIT $9",
    postgres: "SELECT u.id, u.user_id, u.run_id, u.conversation_id, u.model, u.outcome, u.input_tokens, u.output_tokens, \
        u.cached_tokens, u.reasoning_tokens, u.cost, u.is_estimated, u.created_at, u.tags, u.workspace_id FROM usage_records u \
        WHERE u.tenant_id = $10 AND u.created_at >= $1 AND u.created_at < $2 \
        AND (u.created_at, u.id) < ($3, $4) \
        AND ($5::text IS NULL OR u.model = $5) AND ($6::uuid IS NULL OR u.run_id = $6) \
        AND ($7::uuid IS NULL OR u.conversation_id = $7) \
        AND ($8::text IS NULL OR u.tags @> jsonb_build_array($8::text)) \
        ORDER BY u.created_at DESC, u.id DESC LIMIT $9",
};
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

fn sum(row: &Row, filter: &UsageFilter) -> Result<UsageSum> {
    let sum = UsageSum {
        key: String::new(),
        tenant_id: row.maybe("tenant_id")?,
        user_id: row.maybe("user_id")?,
        model: row.maybe("model")?,
        day: row.maybe::<i64>("day")?.map(|day| Timestamp(day.saturating_mul(DAY)).day()),
        conversation_id: row.maybe("conversation_id")?,
        tag: row.maybe("tag")?,
        workspace_id: row.maybe("workspace_id")?,
        calls: row.get("calls")?,
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        cached_tokens: row.get("cached_tokens")?,
        cost: cost(row.get("dollars")?, row.get("billionths")?),
        estimated_calls: row.get("estimated_calls")?,
    };
    Ok(sum.with_key(&filter.group_by))
}

fn listed(row: &Row) -> Result<ListedUsage> {
    let usage = TokenUsage {
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        cached_tokens: row.get("cached_tokens")?,
        reasoning_tokens: row.get("reasoning_tokens")?,
        cost: row.maybe("cost")?,
        estimated: row.get("is_estimated")?,
    };
    let record = UsageRecord {
        id: row.get("id")?,
        run_id: row.maybe("run_id")?,
        conversation_id: row.maybe("conversation_id")?,
        model: row.get("model")?,
        tags: row.json("tags")?,
        workspace_id: row.maybe("workspace_id")?,
        outcome: row.name("outcome")?,
        usage,
        created_at: row.get("created_at")?,
    };
    Ok(ListedUsage { user_id: row.get("user_id")?, record })
}

/// Binds the period, the grouping and what is left of the filter.
fn sums(sql: Sql, filter: &UsageFilter) -> Statement {
    let by = |group| filter.group_by.contains(&group);
    sql.bind(from(filter))
        .bind(to(filter))
        .bind(by(UsageGroup::Model))
        .bind(by(UsageGroup::User))
        .bind(by(UsageGroup::Day))
        .bind(by(UsageGroup::Conversation))
        .bind(by(UsageGroup::Tag))
        .bind(by(UsageGroup::Tenant))
        .bind(by(UsageGroup::Workspace))
        .bind(maybe_text(filter.model.as_ref()))
        .bind(filter.run)
        .bind(filter.conversation)
        .bind(maybe_text(filter.tag.as_ref()))
}

fn from(filter: &UsageFilter) -> i64 {
    filter.from.map_or(i64::MIN, |from| from.0)
}

fn to(filter: &UsageFilter) -> i64 {
    filter.to.map_or(i64::MAX, |to| to.0)
}

/// A sum of which dollars and billionths were summed apart.
fn cost(dollars: i64, billionths: i64) -> Cost {
    Cost(dollars.saturating_mul(1_000_000_000).saturating_add(billionths))
}

/// The statement that stores records, which ended on the day that began at `day`.
fn record(records: &[&(Scope, UsageRecord)], day: Timestamp) -> Result<Statement> {
    let rows = records.iter().map(|(scope, record)| {
        let usage = &record.usage;
        let amount = Amount::of(usage);
        object!([
            scope.tenant.0.simple(),
            scope.user.0.simple(),
            record.id.0.simple(),
            record.run_id.map(|id| id.0.simple()),
            record.conversation_id.map(|id| id.0.simple()),
            record.model,
            record.outcome.as_str(),
            count(usage.input_tokens),
            count(usage.output_tokens),
            count(usage.cached_tokens),
            count(usage.reasoning_tokens),
            usage.cost.map(|cost| cost.0),
            usage.estimated,
            record.created_at.0,
            record.tags,
            record.workspace_id.map(|id| id.0.simple()),
            subjects(scope, record),
            amount.cost.0,
            count(amount.tokens),
        ])
    });
    let month = BudgetPeriod::Month.begin(day);
    Ok(RECORD.bind(json(&rows.collect::<Vec<_>>())?).bind(day).bind(month))
}

/// The records by the days on which they ended, the first day first: of one day, but
/// around midnight.
fn by_day(records: &[(Scope, UsageRecord)]) -> BTreeMap<Timestamp, Vec<&(Scope, UsageRecord)>> {
    let mut days = BTreeMap::<_, Vec<_>>::new();
    for of_one in records {
        days.entry(BudgetPeriod::Day.begin(of_one.1.created_at)).or_default().push(of_one);
    }
    days
}

#[async_trait]
impl UsageStore for SqlStore {
    async fn record(&self, records: &[(Scope, UsageRecord)]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut statements = match self.kind() {
            Kind::Sqlite => settled(records.iter().map(|(scope, record)| (scope, record)))?,
            Kind::Postgres => Vec::new(),
        };
        for (day, records) in by_day(records) {
            statements.push(record(&records, day)?);
        }
        self.database.transaction_of(statements).await?;
        Ok(())
    }

    async fn summarize(&self, scope: &Scope, filter: &UsageFilter) -> Result<Vec<UsageSum>> {
        let statement = match seen_user(scope, filter) {
            Seen::Nothing => return Ok(Vec::new()),
            Seen::Tenant => sums(SUMS_OF_TENANT, filter).bind(scope.tenant),
            Seen::User(user) => sums(SUMS_OF_USER, filter).bind(scope.tenant).bind(user),
        };
        each(&self.database.read(statement).await?, |row| sum(row, filter))
    }

    async fn summarize_all(&self, filter: &UsageFilter) -> Result<Vec<UsageSum>> {
        let statement = sums(SUMS_OF_ALL, filter).bind(filter.tenant).bind(filter.user);
        each(&self.database.read(statement).await?, |row| sum(row, filter))
    }

    async fn records(
        &self,
        scope: &Scope,
        filter: &UsageFilter,
        page: PageRequest,
    ) -> Result<Page<ListedUsage>> {
        let seen = seen_user(scope, filter);
        let sql = match seen {
            Seen::Nothing => return Ok(Page::default()),
            Seen::Tenant => RECORDS_OF_TENANT,
            Seen::User(_) => RECORDS_OF_USER,
        };
        // The index begins where the page does.
        let at = page.after.map_or(Timestamp(i64::MAX), |cursor| cursor.at);
        let statement = sql
            .bind(from(filter))
            .bind(to(filter).min(at.0.saturating_add(1)))
            .bind(at)
            .bind(before(page))
            .bind(maybe_text(filter.model.as_ref()))
            .bind(filter.run)
            .bind(filter.conversation)
            .bind(maybe_text(filter.tag.as_ref()))
            .bind(rows_of(page))
            .bind(scope.tenant);
        let statement = if let Seen::User(user) = seen { statement.bind(user) } else { statement };
        let rows = each(&self.database.read(statement).await?, listed)?;
        Ok(Page::of(rows, page.limit, |row| Cursor { at: row.record.created_at, id: row.record.id.0 }))
    }
}

/// Whose usage a scope is shown.
enum Seen {
    Nothing,
    Tenant,
    User(UserId),
}

/// A user sees their own, an admin the tenant's or a user's of it.
fn seen_user(scope: &Scope, filter: &UsageFilter) -> Seen {
    if filter.tenant.is_some_and(|tenant| tenant != scope.tenant) {
        return Seen::Nothing;
    }
    match (scope.role, filter.user) {
        (Role::Admin, None) => Seen::Tenant,
        (Role::Admin, Some(user)) => Seen::User(user),
        (Role::User, Some(user)) if user != scope.user => Seen::Nothing,
        (Role::User, _) => Seen::User(scope.user),
    }
}
