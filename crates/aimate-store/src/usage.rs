//! Usage.

use aimate_core::usage::{Cost, UsageFilter, UsageGroup, UsageRecord, UsageStore, UsageSum};
use aimate_core::{Result, Role, Scope, Timestamp, UserId};
use async_trait::async_trait;
use serde_json::json as object;

use crate::SqlStore;
use crate::database::{Row, Sql, Statement, each};
use crate::value::{count, json};

/// Stores the records in the JSON of `$1`. One that is known is not stored again:
/// the batch was sent before, and its acknowledgement was lost.
const RECORD: Sql = Sql::Each {
    sqlite: "INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
        input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at) \
        SELECT unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), unhex(value ->> 3), \
        unhex(value ->> 4), value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, \
        value ->> 11, value ->> 12, value ->> 13 FROM json_each($1) WHERE true \
        ON CONFLICT (tenant_id, id) DO NOTHING",
    postgres: "INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
        input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, created_at) \
        SELECT (r.value ->> 0)::uuid, (r.value ->> 1)::uuid, (r.value ->> 2)::uuid, (r.value ->> 3)::uuid, \
        (r.value ->> 4)::uuid, r.value ->> 5, r.value ->> 6, (r.value ->> 7)::bigint, (r.value ->> 8)::bigint, \
        (r.value ->> 9)::bigint, (r.value ->> 10)::bigint, (r.value ->> 11)::bigint, \
        (r.value ->> 12)::boolean, (r.value ->> 13)::bigint FROM jsonb_array_elements($1::jsonb) AS r (value) \
        ON CONFLICT (tenant_id, id) DO NOTHING",
};

// Of tenant `$1` from `$2` to before `$3`: of all users, or of user `$4`. Each
// has its index. A count that is in no call (`TokenUsage::MAX_TOKENS`; rows of older
// versions hold some) counts as that many, and dollars are summed apart from their
// billionths, so that no sum leaves 64 bits. PostgreSQL sums to numerics.

const BY_MODEL: Sql = Sql::Same(
    "SELECT model AS key, count(*) AS calls, \
     CAST(sum(CASE WHEN input_tokens > 1000000000 THEN 1000000000 ELSE input_tokens END) AS BIGINT) AS input_tokens, \
     CAST(sum(CASE WHEN output_tokens > 1000000000 THEN 1000000000 ELSE output_tokens END) AS BIGINT) AS output_tokens, \
     CAST(sum(CASE WHEN cached_tokens > 1000000000 THEN 1000000000 ELSE cached_tokens END) AS BIGINT) AS cached_tokens, \
     CAST(COALESCE(sum(cost / 1000000000), 0) AS BIGINT) AS dollars, \
     CAST(COALESCE(sum(cost % 1000000000), 0) AS BIGINT) AS billionths, \
     CAST(sum(CASE WHEN is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
     FROM usage_records WHERE tenant_id = $1 AND created_at >= $2 AND created_at < $3 \
     GROUP BY 1 ORDER BY 1 LIMIT 1000",
);
const BY_MODEL_OF_USER: Sql = Sql::Same(
    "SELECT model AS key, count(*) AS calls, \
     CAST(sum(CASE WHEN input_tokens > 1000000000 THEN 1000000000 ELSE input_tokens END) AS BIGINT) AS input_tokens, \
     CAST(sum(CASE WHEN output_tokens > 1000000000 THEN 1000000000 ELSE output_tokens END) AS BIGINT) AS output_tokens, \
     CAST(sum(CASE WHEN cached_tokens > 1000000000 THEN 1000000000 ELSE cached_tokens END) AS BIGINT) AS cached_tokens, \
     CAST(COALESCE(sum(cost / 1000000000), 0) AS BIGINT) AS dollars, \
     CAST(COALESCE(sum(cost % 1000000000), 0) AS BIGINT) AS billionths, \
     CAST(sum(CASE WHEN is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
     FROM usage_records WHERE tenant_id = $1 AND user_id = $4 AND created_at >= $2 AND created_at < $3 \
     GROUP BY 1 ORDER BY 1 LIMIT 1000",
);
const BY_USER: Sql = Sql::Same(
    "SELECT user_id AS key, count(*) AS calls, \
     CAST(sum(CASE WHEN input_tokens > 1000000000 THEN 1000000000 ELSE input_tokens END) AS BIGINT) AS input_tokens, \
     CAST(sum(CASE WHEN output_tokens > 1000000000 THEN 1000000000 ELSE output_tokens END) AS BIGINT) AS output_tokens, \
     CAST(sum(CASE WHEN cached_tokens > 1000000000 THEN 1000000000 ELSE cached_tokens END) AS BIGINT) AS cached_tokens, \
     CAST(COALESCE(sum(cost / 1000000000), 0) AS BIGINT) AS dollars, \
     CAST(COALESCE(sum(cost % 1000000000), 0) AS BIGINT) AS billionths, \
     CAST(sum(CASE WHEN is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
     FROM usage_records WHERE tenant_id = $1 AND created_at >= $2 AND created_at < $3 \
     GROUP BY 1 ORDER BY 1 LIMIT 1000",
);
const BY_USER_OF_USER: Sql = Sql::Same(
    "SELECT user_id AS key, count(*) AS calls, \
     CAST(sum(CASE WHEN input_tokens > 1000000000 THEN 1000000000 ELSE input_tokens END) AS BIGINT) AS input_tokens, \
     CAST(sum(CASE WHEN output_tokens > 1000000000 THEN 1000000000 ELSE output_tokens END) AS BIGINT) AS output_tokens, \
     CAST(sum(CASE WHEN cached_tokens > 1000000000 THEN 1000000000 ELSE cached_tokens END) AS BIGINT) AS cached_tokens, \
     CAST(COALESCE(sum(cost / 1000000000), 0) AS BIGINT) AS dollars, \
     CAST(COALESCE(sum(cost % 1000000000), 0) AS BIGINT) AS billionths, \
     CAST(sum(CASE WHEN is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
     FROM usage_records WHERE tenant_id = $1 AND user_id = $4 AND created_at >= $2 AND created_at < $3 \
     GROUP BY 1 ORDER BY 1 LIMIT 1000",
);
const BY_DAY: Sql = Sql::Same(
    "SELECT created_at / 86400000000 AS key, count(*) AS calls, \
     CAST(sum(CASE WHEN input_tokens > 1000000000 THEN 1000000000 ELSE input_tokens END) AS BIGINT) AS input_tokens, \
     CAST(sum(CASE WHEN output_tokens > 1000000000 THEN 1000000000 ELSE output_tokens END) AS BIGINT) AS output_tokens, \
     CAST(sum(CASE WHEN cached_tokens > 1000000000 THEN 1000000000 ELSE cached_tokens END) AS BIGINT) AS cached_tokens, \
     CAST(COALESCE(sum(cost / 1000000000), 0) AS BIGINT) AS dollars, \
     CAST(COALESCE(sum(cost % 1000000000), 0) AS BIGINT) AS billionths, \
     CAST(sum(CASE WHEN is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
     FROM usage_records WHERE tenant_id = $1 AND created_at >= $2 AND created_at < $3 \
     GROUP BY 1 ORDER BY 1 LIMIT 1000",
);
const BY_DAY_OF_USER: Sql = Sql::Same(
    "SELECT created_at / 86400000000 AS key, count(*) AS calls, \
     CAST(sum(CASE WHEN input_tokens > 1000000000 THEN 1000000000 ELSE input_tokens END) AS BIGINT) AS input_tokens, \
     CAST(sum(CASE WHEN output_tokens > 1000000000 THEN 1000000000 ELSE output_tokens END) AS BIGINT) AS output_tokens, \
     CAST(sum(CASE WHEN cached_tokens > 1000000000 THEN 1000000000 ELSE cached_tokens END) AS BIGINT) AS cached_tokens, \
     CAST(COALESCE(sum(cost / 1000000000), 0) AS BIGINT) AS dollars, \
     CAST(COALESCE(sum(cost % 1000000000), 0) AS BIGINT) AS billionths, \
     CAST(sum(CASE WHEN is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
     FROM usage_records WHERE tenant_id = $1 AND user_id = $4 AND created_at >= $2 AND created_at < $3 \
     GROUP BY 1 ORDER BY 1 LIMIT 1000",
);
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

fn sum(row: &Row, group_by: UsageGroup) -> Result<UsageSum> {
    Ok(UsageSum {
        key: match group_by {
            UsageGroup::Model => row.get("key")?,
            UsageGroup::User => row.get::<UserId>("key")?.to_string(),
            UsageGroup::Day => Timestamp(row.get::<i64>("key")?.saturating_mul(DAY)).day(),
        },
        calls: row.get("calls")?,
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        cached_tokens: row.get("cached_tokens")?,
        cost: cost(row.get("dollars")?, row.get("billionths")?),
        estimated_calls: row.get("estimated_calls")?,
    })
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
        let sees_all = scope.role == Role::Admin;
        let sql = match (filter.group_by, sees_all) {
            (UsageGroup::Model, true) => BY_MODEL,
            (UsageGroup::Model, false) => BY_MODEL_OF_USER,
            (UsageGroup::User, true) => BY_USER,
            (UsageGroup::User, false) => BY_USER_OF_USER,
            (UsageGroup::Day, true) => BY_DAY,
            (UsageGroup::Day, false) => BY_DAY_OF_USER,
        };
        let from = filter.from.map_or(i64::MIN, |from| from.0);
        let to = filter.to.map_or(i64::MAX, |to| to.0);
        let mut sums = sql.bind(scope.tenant).bind(from).bind(to);
        if !sees_all {
            sums = sums.bind(scope.user);
        }
        each(&self.database.read(sums).await?, |row| sum(row, filter.group_by))
    }
}
