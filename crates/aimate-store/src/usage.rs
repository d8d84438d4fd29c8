//! Usage.

use aimate_core::usage::{UsageFilter, UsageGroup, UsageRecord, UsageStore, UsageSum};
use aimate_core::{Result, Role, Scope, Timestamp, UserId};
use async_trait::async_trait;
use sqlx::QueryBuilder;

use crate::SqlStore;
use crate::row::Columns;
use crate::statement::built;
use crate::value::{count, text};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

fn sum(row: &impl Columns, group_by: UsageGroup) -> Result<UsageSum> {
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
        cost: row.get("cost")?,
        estimated_calls: row.get("estimated_calls")?,
    })
}

/// Sums come as numerics from PostgreSQL.
const SUMS: &str = " AS key, count(*) AS calls, CAST(sum(input_tokens) AS BIGINT) AS input_tokens, \
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens, CAST(sum(cached_tokens) AS BIGINT) AS cached_tokens, \
    CAST(COALESCE(sum(cost), 0) AS BIGINT) AS cost, \
    CAST(sum(CASE WHEN is_estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated_calls \
    FROM usage_records WHERE tenant_id = ";

#[async_trait]
impl UsageStore for SqlStore {
    async fn record(&self, records: &[(Scope, UsageRecord)]) -> Result<()> {
        on!(self, |db| {
            let mut queries = Vec::new();
            for records in records.chunks(1000) {
                let mut query = QueryBuilder::new(
                    "INSERT INTO usage_records (tenant_id, user_id, id, run_id, conversation_id, model, outcome, \
                     input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, is_estimated, \
                     created_at) ",
                );
                query.push_values(records, |mut values, (scope, record)| {
                    let usage = &record.usage;
                    values.push_bind(scope.tenant.0);
                    values.push_bind(scope.user.0);
                    values.push_bind(record.id.0);
                    values.push_bind(record.run_id.map(|id| id.0));
                    values.push_bind(record.conversation_id.map(|id| id.0));
                    values.push_bind(text(&record.model));
                    values.push_bind(record.outcome.as_str());
                    values.push_bind(count(usage.input_tokens));
                    values.push_bind(count(usage.output_tokens));
                    values.push_bind(count(usage.cached_tokens));
                    values.push_bind(count(usage.reasoning_tokens));
                    values.push_bind(usage.cost.map(|cost| cost.0));
                    values.push_bind(usage.estimated);
                    values.push_bind(record.created_at.0);
                });
                query.push(" ON CONFLICT (tenant_id, id) DO NOTHING");
                queries.push(built(query).persistent(false));
            }
            match queries.len() {
                0 => Ok(()),
                _ => db.all(queries, |_| Ok(())).await,
            }
        })
    }

    async fn summarize(&self, scope: &Scope, filter: &UsageFilter) -> Result<Vec<UsageSum>> {
        let key = match filter.group_by {
            UsageGroup::Model => "model",
            UsageGroup::User => "user_id",
            UsageGroup::Day => "created_at / 86400000000",
        };
        on!(self, |db| {
            let mut query = QueryBuilder::new("SELECT ");
            query.push(key).push(SUMS).push_bind(scope.tenant.0);
            if scope.role != Role::Admin {
                query.push(" AND user_id = ").push_bind(scope.user.0);
            }
            if let Some(from) = filter.from {
                query.push(" AND created_at >= ").push_bind(from.0);
            }
            if let Some(to) = filter.to {
                query.push(" AND created_at < ").push_bind(to.0);
            }
            query.push(" GROUP BY 1 ORDER BY 1 LIMIT 1000");
            db.read(built(query)).await?.iter().map(|row| sum(row, filter.group_by)).collect()
        })
    }
}
