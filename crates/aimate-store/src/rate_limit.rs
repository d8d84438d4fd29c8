//! Buckets of rate limits.

use aimate_core::rate_limit::{LimitStore, RateBucket, RateLimit, TakenRequests};
use aimate_core::{Result, Timestamp};
use async_trait::async_trait;

use crate::SqlStore;
use crate::database::{Sql, Statement};
use crate::page::or_not_found;

/// At `$5`, of a bucket that gets one more every `$6` and is full after `$7`: takes `$8`,
/// or what there is. A time beyond `$5 + $7` is another limit's or another clock's.
const TAKE: Sql = Sql::Each {
    sqlite: "INSERT INTO rate_limits (tenant_id, user_id, address, class, full_at, granted) \
        VALUES ($1, $2, $3, $4, $5 + $6 * min($8, $7 / $6), min($8, $7 / $6)) \
        ON CONFLICT (tenant_id, user_id, address, class) DO UPDATE SET \
        granted = min($8, max(0, ($5 + $7 - max(rate_limits.full_at, $5)) / $6)), \
        full_at = min(max(rate_limits.full_at, $5), $5 + $7) \
            + $6 * min($8, max(0, ($5 + $7 - max(rate_limits.full_at, $5)) / $6)) \
        RETURNING full_at, granted",
    postgres: "INSERT INTO rate_limits (tenant_id, user_id, address, class, full_at, granted) \
        VALUES ($1, $2, $3, $4, $5::bigint + $6::bigint * LEAST($8::bigint, $7::bigint / $6), LEAST($8, $7 / $6)) \
        ON CONFLICT (tenant_id, user_id, address, class) DO UPDATE SET \
        granted = LEAST($8, GREATEST(0, ($5 + $7 - GREATEST(rate_limits.full_at, $5)) / $6)), \
        full_at = LEAST(GREATEST(rate_limits.full_at, $5), $5 + $7) \
            + $6 * LEAST($8, GREATEST(0, ($5 + $7 - GREATEST(rate_limits.full_at, $5)) / $6)) \
        RETURNING full_at, granted",
};
const GIVE_BACK: Sql = Sql::Same(
    "UPDATE rate_limits SET full_at = full_at - $5 \
     WHERE tenant_id = $1 AND user_id = $2 AND address = $3 AND class = $4",
);
const CLEAR: Sql = Sql::Same("DELETE FROM rate_limits WHERE full_at < $1");

fn of(bucket: &RateBucket, sql: Sql) -> Statement {
    let address = bucket.address.map_or_else(String::new, |address| address.to_string());
    sql.bind(bucket.tenant).bind(bucket.user).bind(address).bind(bucket.class.as_str())
}

#[async_trait]
impl LimitStore for SqlStore {
    async fn take(
        &self,
        bucket: &RateBucket,
        limit: RateLimit,
        wanted: u32,
        now: Timestamp,
    ) -> Result<TakenRequests> {
        let take = of(bucket, TAKE)
            .bind(now)
            .bind(limit.interval())
            .bind(limit.window())
            .bind(wanted)
            .uses_reserve();
        let rows = self.database.write(take).await?;
        let row = or_not_found(rows.first(), || aimate_core::Error::internal("a bucket came back empty"))?;
        let full_at: Timestamp = row.get("full_at")?;
        let next_at = full_at.0.saturating_add(limit.interval()).saturating_sub(limit.window());
        let granted: i64 = row.get("granted")?;
        Ok(TakenRequests { granted: granted.try_into().unwrap_or(0), next_at: Timestamp(next_at) })
    }

    async fn give_back(&self, bucket: &RateBucket, limit: RateLimit, count: u32) -> Result<()> {
        let back = limit.interval().saturating_mul(i64::from(count));
        self.database.execute(of(bucket, GIVE_BACK).bind(back)).await?;
        Ok(())
    }

    async fn clear(&self, before: Timestamp) -> Result<u64> {
        Ok(self.database.execute(CLEAR.bind(before)).await?)
    }
}
