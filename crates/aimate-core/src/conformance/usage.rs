use super::world::{World, at, id, tokens};
use crate::usage::{Cost, TokenUsage, UsageFilter, UsageGroup, UsageOutcome, UsageRecord, UsageSum};
use crate::{Scope, Stores, Timestamp};

fn record(model: &str, input: u64, at: Timestamp) -> UsageRecord {
    UsageRecord {
        id: id(),
        run_id: None,
        conversation_id: None,
        model: model.into(),
        outcome: UsageOutcome::Completed,
        usage: tokens(input, 1),
        created_at: at,
    }
}

async fn store(w: &World<'_>, scope: Scope, records: Vec<UsageRecord>) {
    let records: Vec<_> = records.into_iter().map(|record| (scope, record)).collect();
    w.stores.usage.record(&records).await.unwrap();
}

async fn summarize(w: &World<'_>, scope: Scope, filter: UsageFilter) -> Vec<UsageSum> {
    w.stores.usage.summarize(&scope, &filter).await.unwrap()
}

/// `(key, calls, input tokens)` of each row.
fn brief(sums: &[UsageSum]) -> Vec<(&str, u64, u64)> {
    sums.iter().map(|sum| (sum.key.as_str(), sum.calls, sum.input_tokens)).collect()
}

pub async fn calls_are_summed_by_model(stores: &Stores) {
    let w = World::new(stores).await;
    stores.usage.record(&[]).await.unwrap();
    store(&w, w.me, vec![record("b", 1, at(0)), record("a", 2, at(0)), record("b", 4, at(1))]).await;
    store(&w, w.other, vec![record("a", 100, at(0))]).await;
    let sums = summarize(&w, w.me, UsageFilter::default()).await;
    assert_eq!(brief(&sums), [("a", 1, 2), ("b", 2, 5)]);
}

pub async fn calls_are_summed_by_day(stores: &Stores) {
    let w = World::new(stores).await;
    let day = 86_400;
    store(&w, w.me, vec![record("a", 1, at(0)), record("a", 2, at(day - 1)), record("b", 4, at(day))]).await;
    let filter = UsageFilter { group_by: UsageGroup::Day, ..UsageFilter::default() };
    let sums = summarize(&w, w.me, filter).await;
    assert_eq!(brief(&sums), [("2026-01-01", 2, 3), ("2026-01-02", 1, 4)]);
}

pub async fn admin_sees_the_tenant(stores: &Stores) {
    let w = World::new(stores).await;
    for (scope, input) in [(w.me, 1), (w.other, 2), (w.stranger, 4)] {
        store(&w, scope, vec![record("a", input, at(0))]).await;
    }
    let filter = UsageFilter { group_by: UsageGroup::User, ..UsageFilter::default() };
    let (me, other) = (w.me.user.to_string(), w.other.user.to_string());
    assert_eq!(brief(&summarize(&w, w.admin, filter).await), [(me.as_str(), 1, 1), (&other, 1, 2)]);
    assert_eq!(brief(&summarize(&w, w.me, filter).await), [(me.as_str(), 1, 1)]);
    let theirs = stores.usage.summarize(&w.stranger, &filter).await.unwrap();
    assert_eq!(brief(&theirs), [(me.as_str(), 1, 4)]);
}

pub async fn period_is_half_open(stores: &Stores) {
    let w = World::new(stores).await;
    store(&w, w.me, (0..4).map(|n| record("a", 1 << n, at(n))).collect()).await;
    for (from, to, expected) in
        [(None, None, 15), (Some(1), None, 14), (None, Some(3), 7), (Some(1), Some(2), 2)]
    {
        let filter = UsageFilter { from: from.map(at), to: to.map(at), ..UsageFilter::default() };
        assert_eq!(summarize(&w, w.me, filter).await[0].input_tokens, expected);
    }
    let filter = UsageFilter { from: Some(at(9)), ..UsageFilter::default() };
    assert_eq!(summarize(&w, w.me, filter).await, []);
}

pub async fn recording_again_changes_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let one = record("a", 1, at(0));
    store(&w, w.me, vec![one.clone()]).await;
    store(&w, w.me, vec![one, record("a", 2, at(0))]).await;
    assert_eq!(brief(&summarize(&w, w.me, UsageFilter::default()).await), [("a", 2, 3)]);
}

pub async fn sums_are_exact(stores: &Stores) {
    let w = World::new(stores).await;
    let mut records: Vec<UsageRecord> = (0..10).map(|_| record("a", 3, at(0))).collect();
    for record in &mut records {
        record.usage.cost = Some(Cost::from_dollars(0.1));
        record.usage.cached_tokens = 2;
    }
    records[0].usage.cost = None;
    records[1].usage.estimated = true;
    store(&w, w.me, records).await;
    let expected = UsageSum {
        key: "a".into(),
        calls: 10,
        input_tokens: 30,
        output_tokens: 10,
        cached_tokens: 20,
        cost: Cost(900_000_000),
        estimated_calls: 1,
    };
    assert_eq!(summarize(&w, w.me, UsageFilter::default()).await, [expected]);
}

pub async fn counts_that_no_call_has_break_no_sum(stores: &Stores) {
    let w = World::new(stores).await;
    let mut records: Vec<UsageRecord> = (0..3).map(|_| record("a", u64::MAX, at(0))).collect();
    for record in &mut records {
        record.usage.output_tokens = u64::MAX;
        record.usage.cached_tokens = u64::MAX;
        record.usage.cost = Some(Cost(i64::MAX));
    }
    store(&w, w.me, records).await;
    for group_by in [UsageGroup::Model, UsageGroup::User, UsageGroup::Day] {
        let sums = summarize(&w, w.me, UsageFilter { group_by, ..UsageFilter::default() }).await;
        let most = 3 * TokenUsage::MAX_TOKENS;
        assert_eq!((sums[0].calls, sums[0].input_tokens, sums[0].output_tokens), (3, most, most));
        assert_eq!(sums[0].cost, Cost(i64::MAX));
        assert_eq!(
            summarize(&w, w.admin, UsageFilter { group_by, ..UsageFilter::default() }).await[0].calls,
            3
        );
    }
}
