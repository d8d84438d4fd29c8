//! Usage.

use aimate_core::usage::{
    Cost, ListedUsage, TokenUsage, UsageFilter, UsageGroup, UsageRecord, UsageStore, UsageSum,
};
use aimate_core::{Cursor, Page, PageRequest, Result, Role, Scope, Timestamp, UserId};
use async_trait::async_trait;
use serde_json::json as object;

use crate::SqlStore;
use crate::database::{Row, Sql, Statement, each};
use crate::page::{before, rows_of};
use crate::value::{count, json, maybe_text};

/// Stores the records in the JSON of `$1`. One that is known is not stored again:
/// the batch was sent before, and its acknowledgement was lost.
const RECORD: Sql = Sql::Each {
    sqlite: "INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
        input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at, tags) \
        SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3), \
        unhex(value ->> 4), value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, \
        value ->> 11, value ->> 12, value ->> 13, value -> 14 FROM json_each($1) WHERE true \
        ON CONFLICT (tenant_id, id) DO NOTHING",
    postgres: "INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
        input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at, tags) \
        SELECT (r.value ->> 0)::uuid, (r.value ->> 1)::uuid, (r.value ->> 2)::uuid, (r.value ->> 3)::uuid, \
        (r.value ->> 4)::uuid, r.value ->> 5, r.value ->> 6, (r.value ->> 7)::bigint, (r.value ->> 8)::bigint, \
        (r.value ->> 9)::bigint, (r.value ->> 10)::bigint, (r.value ->> 11)::bigint, \
        (r.value ->> 12)::boolean, (r.value ->> 13)::bigint, r.value -> 14 FROM jsonb_array_elements($1::jsonb) AS r (value) \
        ON CONFLICT (tenant_id, id) DO NOTHING",
};

// From `$1` to before `$2`, grouped by what `$3` to `$8` say (a record with several
// tags counts in the sum of each), of model `$9`, run `$10`, conversation `$11` and tag
// `$12` where they are given. Each has its index. A count that is in no call
// (`TokenUsage::MAX_TOKENS`; rows of older versions hold some) counts as that many, and
// dollars are summed apart from their billionths, so that no sum leaves 64 bits.
// PostgreSQL sums to numerics.

/// Sums over user `$14` of tenant `$13`.
const SUMS_OF_USER: Sql = Sql::Each {
    sqlite: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN json_each(CASE WHEN $7 THEN u.tags ELSE '[]' END) AS t ON true \
        WHERE u.tenant_id = $13 AND u.user_id = $14 AND u.created_at >= $1 AND u.created_at < $2 \
        AND ($9 IS NULL OR u.model = $9) AND ($10 IS NULL OR u.run_id = $10) \
        AND ($11 IS NULL OR u.conversation_id = $11) \
        AND ($12 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $12)) \
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 LIMIT 10000",
    postgres: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN LATERAL jsonb_array_elements_text( \
            CASE WHEN $7 THEN u.tags ELSE '[]'::jsonb END) AS t (value) ON true \
        WHERE u.tenant_id = $13 AND u.user_id = $14 AND u.created_at >= $1 AND u.created_at < $2 \
        AND ($9::text IS NULL OR u.model = $9) AND ($10::uuid IS NULL OR u.run_id = $10) \
        AND ($11::uuid IS NULL OR u.conversation_id = $11) \
        AND ($12::text IS NULL OR u.tags @> jsonb_build_array($12::text)) \
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 LIMIT 10000",
};
/// Sums over tenant `$13`.
const SUMS_OF_TENANT: Sql = Sql::Each {
    sqlite: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN json_each(CASE WHEN $7 THEN u.tags ELSE '[]' END) AS t ON true \
        WHERE u.tenant_id = $13 AND u.created_at >= $1 AND u.created_at < $2 \
        AND ($9 IS NULL OR u.model = $9) AND ($10 IS NULL OR u.run_id = $10) \
        AND ($11 IS NULL OR u.conversation_id = $11) \
        AND ($12 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $12)) \
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 LIMIT 10000",
    postgres: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN LATERAL jsonb_array_elements_text( \
            CASE WHEN $7 THEN u.tags ELSE '[]'::jsonb END) AS t (value) ON true \
        WHERE u.tenant_id = $13 AND u.created_at >= $1 AND u.created_at < $2 \
        AND ($9::text IS NULL OR u.model = $9) AND ($10::uuid IS NULL OR u.run_id = $10) \
        AND ($11::uuid IS NULL OR u.conversation_id = $11) \
        AND ($12::text IS NULL OR u.tags @> jsonb_build_array($12::text)) \
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 LIMIT 10000",
};
/// Sums over all tenants, or tenant `$13`, and all users, or user `$14`.
const SUMS_OF_ALL: Sql = Sql::Each {
    sqlite: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN json_each(CASE WHEN $7 THEN u.tags ELSE '[]' END) AS t ON true \
        WHERE u.created_at >= $1 AND u.created_at < $2 AND ($13 IS NULL OR u.tenant_id = $13) \
        AND ($14 IS NULL OR u.user_id = $14) \
        AND ($9 IS NULL OR u.model = $9) AND ($10 IS NULL OR u.run_id = $10) \
        AND ($11 IS NULL OR u.conversation_id = $11) \
        AND ($12 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $12)) \
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 LIMIT 10000",
    postgres: "SELECT CASE WHEN $3 THEN u.model END AS model, CASE WHEN $4 THEN u.user_id END AS user_id, \
        CASE WHEN $5 THEN u.created_at / 86400000000 END AS day, \
        CASE WHEN $6 THEN u.conversation_id END AS conversation_id, t.value AS tag, \
        CASE WHEN $8 THEN u.tenant_id END AS tenant_id, count(*) AS calls, \
        CAST(sum(CASE WHEN u.input_tokens > 1000000000 THEN 1000000000 ELSE u.input_tokens END) AS BIGINT) AS input_tokens, \
        CAST(sum(CASE WHEN u.output_tokens > 1000000000 THEN 1000000000 ELSE u.output_tokens END) AS BIGINT) AS output_tokens, \
        CAST(sum(CASE WHEN u.cached_tokens > 1000000000 THEN 1000000000 ELSE u.cached_tokens END) AS BIGINT) AS cached_tokens, \
        CAST(COALESCE(sum(u.cost / 1000000000), 0) AS BIGINT) AS dollars, \
        CAST(COALESCE(sum(u.cost % 1000000000), 0) AS BIGINT) AS billionths, \
        CAST(sum(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
        FROM usage_records u LEFT JOIN LATERAL jsonb_array_elements_text( \
            CASE WHEN $7 THEN u.tags ELSE '[]'::jsonb END) AS t (value) ON true \
        WHERE u.created_at >= $1 AND u.created_at < $2 AND ($13::uuid IS NULL OR u.tenant_id = $13) \
        AND ($14::uuid IS NULL OR u.user_id = $14) \
        AND ($9::text IS NULL OR u.model = $9) AND ($10::uuid IS NULL OR u.run_id = $10) \
        AND ($11::uuid IS NULL OR u.conversation_id = $11) \
        AND ($12::text IS NULL OR u.tags @> jsonb_build_array($12::text)) \
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 LIMIT 10000",
};
/// The records of user `$11` of tenant `$10`, newest first.
const RECORDS_OF_USER: Sql = Sql::Each {
    sqlite: "SELECT u.id, u.user_id, u.run_id, u.conversation_id, u.model, u.outcome, u.input_tokens, u.output_tokens, \
        u.cached_tokens, u.reasoning_tokens, u.cost, u.is_estimated, u.created_at, u.tags FROM usage_records u \
        WHERE u.tenant_id = $10 AND u.user_id = $11 AND u.created_at >= $1 AND u.created_at < $2 \
        AND (u.created_at, u.id) < ($3, $4) \
        AND ($5 IS NULL OR u.model = $5) AND ($6 IS NULL OR u.run_id = $6) \
        AND ($7 IS NULL OR u.conversation_id = $7) \
        AND ($8 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $8)) \
        ORDER BY u.created_at DESC, u.id DESC LIMIT $9",
    postgres: "SELECT u.id, u.user_id, u.run_id, u.conversation_id, u.model, u.outcome, u.input_tokens, u.output_tokens, \
        u.cached_tokens, u.reasoning_tokens, u.cost, u.is_estimated, u.created_at, u.tags FROM usage_records u \
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
        u.cached_tokens, u.reasoning_tokens, u.cost, u.is_estimated, u.created_at, u.tags FROM usage_records u \
        WHERE u.tenant_id = $10 AND u.created_at >= $1 AND u.created_at < $2 \
        AND (u.created_at, u.id) < ($3, $4) \
        AND ($5 IS NULL OR u.model = $5) AND ($6 IS NULL OR u.run_id = $6) \
        AND ($7 IS NULL OR u.conversation_id = $7) \
        AND ($8 IS NULL OR EXISTS (SELECT 1 FROM json_each(u.tags) f WHERE f.value = $8)) \
        ORDER BY u.created_at DESC, u.id DESC LIMIT $9",
    postgres: "SELECT u.id, u.user_id, u.run_id, u.conversation_id, u.model, u.outcome, u.input_tokens, u.output_tokens, \
        u.cached_tokens, u.reasoning_tokens, u.cost, u.is_estimated, u.created_at, u.tags FROM usage_records u \
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

/// The statement that stores records.
fn record(records: &[(Scope, UsageRecord)]) -> Result<Statement> {
    let rows = records.iter().map(|(scope, record)| {
        let usage = &record.usage;
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
        ])
    });
    Ok(RECORD.bind(json(&rows.collect::<Vec<_>>())?))
}

#[async_trait]
impl UsageStore for SqlStore {
    async fn record(&self, records: &[(Scope, UsageRecord)]) -> Result<()> {
        if !records.is_empty() {
            self.database.execute(record(records)?).await?;
        }
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
