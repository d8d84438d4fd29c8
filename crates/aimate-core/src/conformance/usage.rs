use super::budget::budget;
use super::world::{World, at, id, tokens};
use crate::budget::{Amount, BudgetLimits, BudgetPeriod, BudgetSubject};
use crate::id::{ConversationId, RunId, UserId};
use crate::usage::{
    Cost, ListedUsage, TokenUsage, UsageFilter, UsageGroup, UsageOutcome, UsageRecord, UsageSum,
};
use crate::{Page, PageRequest, Scope, Stores, Timestamp};

fn record(model: &str, input: u64, at: Timestamp) -> UsageRecord {
    UsageRecord {
        id: id(),
        run_id: None,
        conversation_id: None,
        model: model.into(),
        tags: Vec::new(),
        workspace_id: None,
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
    sorted(w.stores.usage.summarize(&scope, &filter).await.unwrap())
}

fn sorted(mut sums: Vec<UsageSum>) -> Vec<UsageSum> {
    sums.sort_by_cached_key(|sum| (sum.key.clone(), sum.input_tokens));
    sums
}

fn by(groups: impl IntoIterator<Item = UsageGroup>) -> UsageFilter {
    UsageFilter::new().group_by(groups)
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
    let sums = summarize(&w, w.me, by([UsageGroup::Day])).await;
    assert_eq!(brief(&sums), [("2026-01-01", 2, 3), ("2026-01-02", 1, 4)]);
}

pub async fn admin_sees_the_tenant(stores: &Stores) {
    let w = World::new(stores).await;
    for (scope, input) in [(w.me, 1), (w.other, 2), (w.stranger, 4)] {
        store(&w, scope, vec![record("a", input, at(0))]).await;
    }
    let filter = by([UsageGroup::User]);
    let (me, other) = (w.me.user.to_string(), w.other.user.to_string());
    let mut both = [(me.as_str(), 1, 1), (&other, 1, 2)];
    both.sort_unstable();
    assert_eq!(brief(&summarize(&w, w.admin, filter.clone()).await), both);
    assert_eq!(brief(&summarize(&w, w.me, filter.clone()).await), [(me.as_str(), 1, 1)]);
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
        model: Some("a".into()),
        calls: 10,
        input_tokens: 30,
        output_tokens: 10,
        cached_tokens: 20,
        cost: Cost(900_000_000),
        estimated_calls: 1,
        ..UsageSum::default()
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
    let budget = budget(BudgetSubject::Tenant, BudgetPeriod::Day, BudgetLimits::tokens(1));
    stores.budgets.create(&w.admin, &budget).await.unwrap();
    store(&w, w.me, records).await;
    let spent = stores.budgets.get(&w.admin, budget.id).await.unwrap().spent;
    let cost = Cost(3 * TokenUsage::MAX_COST.0);
    assert_eq!(spent, Amount { cost, tokens: 6 * TokenUsage::MAX_TOKENS });
    for group_by in [UsageGroup::Model, UsageGroup::User, UsageGroup::Day] {
        let sums = summarize(&w, w.me, by([group_by])).await;
        let most = 3 * TokenUsage::MAX_TOKENS;
        assert_eq!((sums[0].calls, sums[0].input_tokens, sums[0].output_tokens), (3, most, most));
        assert_eq!(sums[0].cost, Cost(i64::MAX));
        assert_eq!(summarize(&w, w.admin, by([group_by])).await[0].calls, 3);
    }
}

/// Six records of two users, models, days, conversations and tags.
async fn mixed(w: &World<'_>) -> (ConversationId, RunId) {
    let (talk, run): (ConversationId, RunId) = (id(), id());
    let day = 86_400;
    let of = |model: &str, input, at, tags: &[&str]| UsageRecord {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..record(model, input, at)
    };
    let mut mine = vec![
        of("a", 1, at(0), &["x", "y"]),
        of("a", 2, at(day), &["x"]),
        of("b", 4, at(day), &[]),
        of("b", 8, at(day), &["100%_\\'"]),
    ];
    mine[1].conversation_id = Some(talk);
    mine[2].conversation_id = Some(talk);
    mine[2].run_id = Some(run);
    store(w, w.me, mine).await;
    store(w, w.other, vec![of("a", 16, at(0), &["x"])]).await;
    store(w, w.stranger, vec![of("a", 32, at(0), &["x"])]).await;
    (talk, run)
}

pub async fn several_groupings_make_a_row_for_each_combination(stores: &Stores) {
    let w = World::new(stores).await;
    let (talk, _) = mixed(&w).await;
    let sums = summarize(&w, w.admin, by([UsageGroup::User, UsageGroup::Model, UsageGroup::Day])).await;
    let mut rows: Vec<_> = sums
        .iter()
        .map(|sum| (sum.user_id, sum.model.as_deref(), sum.day.as_deref(), sum.calls, sum.input_tokens))
        .collect();
    rows.sort_by_key(|row| row.4);
    let (me, other, first, second) =
        (Some(w.me.user), Some(w.other.user), Some("2026-01-01"), Some("2026-01-02"));
    let expected = [
        (me, Some("a"), first, 1, 1),
        (me, Some("a"), second, 1, 2),
        (me, Some("b"), second, 2, 12),
        (other, Some("a"), first, 1, 16),
    ];
    assert_eq!(rows, expected);
    assert!(sums.iter().all(|sum| sum.tag.is_none() && sum.conversation_id.is_none()));
    let all = summarize(&w, w.admin, by([])).await;
    assert_eq!((all.len(), all[0].key.as_str(), all[0].calls, all[0].input_tokens), (1, "", 5, 31));
    let talks = summarize(&w, w.me, by([UsageGroup::Conversation])).await;
    let talk = talk.to_string();
    assert_eq!(brief(&talks), [("", 2, 9), (talk.as_str(), 2, 6)]);
}

pub async fn call_counts_for_each_of_its_tags(stores: &Stores) {
    let w = World::new(stores).await;
    mixed(&w).await;
    let sums = summarize(&w, w.me, by([UsageGroup::Tag])).await;
    assert_eq!(brief(&sums), [("", 1, 4), ("100%_\\'", 1, 8), ("x", 2, 3), ("y", 1, 1)]);
    // Grouped by something else, each call counts once.
    assert_eq!(summarize(&w, w.me, by([])).await[0].calls, 4);
}

pub async fn usage_is_narrowed_down(stores: &Stores) {
    let w = World::new(stores).await;
    let (talk, run) = mixed(&w).await;
    let all = || by([]);
    for (filter, expected) in [
        (all(), 31),
        (all().user(w.me.user), 15),
        (all().user(w.other.user), 16),
        (all().model("a"), 19),
        (all().tag("x"), 19),
        (all().tag("100%_\\'"), 8),
        (all().tag("x").model("a").user(w.me.user).from(at(1)), 2),
        (all().conversation(talk), 6),
        (all().run(run), 4),
        (all().tenant(w.admin.tenant), 31),
        (all().tag("X"), 0),
    ] {
        let sums = summarize(&w, w.admin, filter.clone()).await;
        assert_eq!(sums.iter().map(|sum| sum.input_tokens).sum::<u64>(), expected, "{filter:?}");
        let page = PageRequest::first(200);
        let listed = stores.usage.records(&w.admin, &filter, page).await.unwrap();
        assert_eq!(listed.data.iter().map(|row| row.record.usage.input_tokens).sum::<u64>(), expected);
    }
    for (scope, filter) in [
        (w.me, all().user(w.other.user)),
        (w.admin, all().user(id::<UserId>())),
        (w.admin, all().tenant(w.stranger.tenant)),
    ] {
        assert_eq!(stores.usage.records(&scope, &filter, PageRequest::default()).await.unwrap().data, []);
        let sums = summarize(&w, scope, filter).await;
        assert_eq!(sums.iter().map(|sum| sum.calls).sum::<u64>(), 0);
    }
}

pub async fn records_are_listed_newest_first_and_by_page(stores: &Stores) {
    let w = World::new(stores).await;
    let mut mine: Vec<_> = (0..5).map(|n| record("a", n, at(i64::try_from(n / 2).unwrap()))).collect();
    mine[4].run_id = Some(id());
    mine[4].conversation_id = Some(id());
    mine[4].tags = vec!["b".into(), "a".into()];
    mine[4].usage.cost = Some(Cost(7));
    mine[4].usage.reasoning_tokens = 3;
    mine[4].usage.estimated = true;
    mine[4].outcome = UsageOutcome::Interrupted;
    store(&w, w.me, mine.clone()).await;
    store(&w, w.other, vec![record("a", 9, at(9))]).await;
    let (mut page, mut found) = (PageRequest::first(2), Vec::new());
    loop {
        let Page { data, next } = stores.usage.records(&w.me, &UsageFilter::new(), page).await.unwrap();
        assert!(data.len() == 2 || next.is_none());
        found.extend(data);
        page.after = next;
        if next.is_none() {
            break;
        }
    }
    mine.sort_by_key(|record| (std::cmp::Reverse(record.created_at), std::cmp::Reverse(record.id)));
    let mine: Vec<_> = mine.into_iter().map(|record| ListedUsage { user_id: w.me.user, record }).collect();
    assert_eq!(found, mine);
    let all = stores.usage.records(&w.admin, &UsageFilter::new(), PageRequest::first(200)).await.unwrap();
    assert_eq!(all.data.len(), 6);
    for scope in [w.stranger, w.other] {
        let theirs =
            stores.usage.records(&scope, &UsageFilter::new(), PageRequest::first(200)).await.unwrap();
        assert!(theirs.data.iter().all(|row| row.record.usage.input_tokens == 9));
    }
    assert_eq!(stores.usage.records(&w.stranger, &UsageFilter::new(), page).await.unwrap().data, []);
}

pub async fn operator_sees_the_sums_of_tenants(stores: &Stores) {
    let w = World::new(stores).await;
    mixed(&w).await;
    let groups = [UsageGroup::Tenant, UsageGroup::User];
    let sums = stores.usage.summarize_all(&by(groups)).await.unwrap();
    let of = |scope: &Scope| {
        let row = |sum: &&UsageSum| sum.tenant_id == Some(scope.tenant) && sum.user_id == Some(scope.user);
        sums.iter().find(row).map(|sum| (sum.key.clone(), sum.calls, sum.input_tokens))
    };
    assert_eq!(of(&w.me), Some((w.me.tenant.to_string(), 4, 15)));
    assert_eq!(of(&w.other), Some((w.me.tenant.to_string(), 1, 16)));
    assert_eq!(of(&w.stranger), Some((w.stranger.tenant.to_string(), 1, 32)));
    let one = by(groups).tenant(w.stranger.tenant).tag("x");
    let sums = stores.usage.summarize_all(&one).await.unwrap();
    assert_eq!(sums.iter().map(|sum| sum.input_tokens).collect::<Vec<_>>(), [32]);
    let none = by(groups).tenant(w.me.tenant).user(id::<UserId>());
    assert_eq!(stores.usage.summarize_all(&none).await.unwrap(), []);
}
