use futures_util::future::join_all;

use super::group;
use super::world::{World, all, at, finish, id, missing, refused, text_events, tokens};
use crate::budget::{
    Amount, Budget, BudgetLimits, BudgetPeriod, BudgetSubject, BudgetedCall, Reserve, Reserved,
};
use crate::error::ErrorKind;
use crate::id::{UsageId, WorkspaceId};
use crate::page::PageRequest;
use crate::usage::{Cost, TokenUsage, UsageFilter, UsageGroup, UsageOutcome, UsageRecord};
use crate::{Scope, Stores, Timestamp};

const DAY: i64 = 86_400;

/// A budget of `me`'s tenant that begins with 2026.
pub fn budget(subject: BudgetSubject, period: BudgetPeriod, limits: BudgetLimits) -> Budget {
    Budget {
        id: id(),
        subject,
        period,
        limits,
        begins_at: at(0),
        spent: Amount::default(),
        reserved: Amount::default(),
        created_at: at(1),
        updated_at: at(1),
    }
}

async fn created(w: &World<'_>, subject: BudgetSubject, limits: BudgetLimits) -> Budget {
    let new = budget(subject, BudgetPeriod::Day, limits);
    w.stores.budgets.create(&w.admin, &new).await.unwrap()
}

/// A budget of so many tokens for the tenant.
async fn of_tokens(w: &World<'_>, tokens: u64) -> Budget {
    created(w, BudgetSubject::Tenant, BudgetLimits::tokens(tokens)).await
}

fn amount(cost: i64, tokens: u64) -> Amount {
    Amount { cost: Cost(cost), tokens }
}

/// Something to set aside for a call of `scope`'s user.
pub fn reserve(scope: &Scope, wanted: Amount, now: Timestamp) -> Reserve {
    let call = BudgetedCall { user: scope.user, workspace: None, model: "lab/m", tags: &["t".into()] };
    Reserve {
        call: id(),
        step: 0,
        subjects: call.subjects(),
        wanted,
        least: amount(0, 1),
        now,
        expires_at: now.plus(std::time::Duration::from_secs(60)),
    }
}

/// The usage record of a call.
fn record(call: UsageId, cost: i64, input: u64, at: Timestamp) -> UsageRecord {
    UsageRecord {
        id: call,
        run_id: None,
        conversation_id: None,
        model: "lab/m".into(),
        tags: vec!["t".into()],
        workspace_id: None,
        outcome: UsageOutcome::Completed,
        usage: TokenUsage { cost: Some(Cost(cost)), ..tokens(input, 0) },
        created_at: at,
    }
}

async fn spent(w: &World<'_>, scope: Scope, cost: i64, input: u64, at: Timestamp) {
    w.stores.usage.record(&[(scope, record(id(), cost, input, at))]).await.unwrap();
}

async fn granted(w: &World<'_>, reserve: &Reserve) -> Vec<Amount> {
    match w.stores.budgets.reserve(&w.me, reserve).await.unwrap() {
        Reserved::Granted(budgets) => budgets.into_iter().map(|(_, amount)| amount).collect(),
        other => panic!("{other:?}"),
    }
}

async fn is_refused(w: &World<'_>, reserve: &Reserve) -> bool {
    matches!(w.stores.budgets.reserve(&w.me, reserve).await.unwrap(), Reserved::Refused(_))
}

async fn now_of(w: &World<'_>, budget: &Budget) -> (Amount, Amount) {
    let found = w.stores.budgets.get(&w.admin, budget.id).await.unwrap();
    (found.spent, found.reserved)
}

/// Each budget of the tenant has counted what the usage records of its period say,
/// and (where nothing is under way) has nothing set aside.
pub async fn is_balanced(stores: &Stores, admin: &Scope, is_idle: bool) {
    let page = PageRequest::first(PageRequest::MAX_LIMIT);
    for budget in stores.budgets.list(admin, page).await.unwrap().data {
        let mut filter = UsageFilter::new().group_by([]).from(budget.begins_at);
        match &budget.subject {
            BudgetSubject::Tenant => {}
            BudgetSubject::User(user) => filter = filter.user(*user),
            BudgetSubject::Model(name) if !name.ends_with('*') => filter = filter.model(name.as_str()),
            BudgetSubject::Tag(tag) => filter = filter.tag(tag.as_str()),
            BudgetSubject::Model(name) => {
                let sums =
                    stores.usage.summarize(admin, &filter.group_by([UsageGroup::Model])).await.unwrap();
                let of = sums.iter().filter(|sum| sum.key.starts_with(name.trim_end_matches('*')));
                let used = of.fold(Amount::default(), |all, sum| Amount {
                    cost: Cost(all.cost.0 + sum.cost.0),
                    tokens: all.tokens + sum.input_tokens + sum.output_tokens,
                });
                assert_eq!(budget.spent, used, "{:?}", budget.subject);
                continue;
            }
            other => panic!("nobody can look at the usage of {other:?}"),
        }
        let sums = stores.usage.summarize(admin, &filter).await.unwrap();
        let sum = sums.first().cloned().unwrap_or_default();
        let used = Amount { cost: sum.cost, tokens: sum.input_tokens + sum.output_tokens };
        assert_eq!(budget.spent, used, "{:?}", budget.subject);
        if is_idle {
            assert_eq!(budget.reserved, Amount::default(), "{:?}", budget.subject);
        }
    }
}

pub async fn created_budget_is_found(stores: &Stores) {
    let w = World::new(stores).await;
    let limits = BudgetLimits { max_cost: Some(Cost(7)), max_tokens: Some(9) };
    assert!(!stores.budgets.any(&w.me).await.unwrap());
    for subject in [
        BudgetSubject::Tenant,
        BudgetSubject::User(w.me.user),
        BudgetSubject::Group(id()),
        BudgetSubject::Workspace(id()),
        BudgetSubject::Model("lab/*".into()),
        BudgetSubject::Tag("ticket:42 \u{e9}".into()),
    ] {
        for period in [BudgetPeriod::Day, BudgetPeriod::Month] {
            let new = budget(subject.clone(), period, limits);
            assert_eq!(stores.budgets.create(&w.admin, &new).await.unwrap(), new);
            assert_eq!(stores.budgets.get(&w.admin, new.id).await.unwrap(), new);
        }
    }
    assert!(stores.budgets.any(&w.me).await.unwrap());
    missing(stores.budgets.get(&w.admin, id()).await);
}

pub async fn taken_subject_conflicts(stores: &Stores) {
    let w = World::new(stores).await;
    let first = of_tokens(&w, 5).await;
    let again = budget(BudgetSubject::Tenant, BudgetPeriod::Day, BudgetLimits::tokens(6));
    refused(stores.budgets.create(&w.admin, &again).await, ErrorKind::Conflict);
    refused(stores.budgets.create(&w.admin, &first).await, ErrorKind::Conflict);
    let nowhere = Scope { tenant: id(), ..w.admin };
    missing(stores.budgets.create(&nowhere, &Budget { id: id(), ..first.clone() }).await);
    stores.budgets.create(&w.stranger, &Budget { id: id(), ..first }).await.unwrap();
}

pub async fn others_see_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let ours = of_tokens(&w, 5).await;
    let limits = BudgetLimits::tokens(9);
    let call = reserve(&w.me, amount(0, 2), at(2));
    granted(&w, &call).await;
    for scope in [w.stranger] {
        missing(stores.budgets.get(&scope, ours.id).await);
        missing(stores.budgets.update(&scope, ours.id, &limits, at(1)).await);
        missing(stores.budgets.delete(&scope, ours.id).await);
        assert!(stores.budgets.list(&scope, PageRequest::default()).await.unwrap().data.is_empty());
        assert!(!stores.budgets.any(&scope).await.unwrap());
        assert_eq!(stores.budgets.reserve(&scope, &call).await.unwrap(), Reserved::Unlimited);
        stores.budgets.release(&scope, call.call).await.unwrap();
        let theirs = Budget { id: ours.id, ..budget(BudgetSubject::Tenant, BudgetPeriod::Day, limits) };
        stores.budgets.create(&scope, &theirs).await.unwrap();
        spent(&w, scope, 3, 3, at(3)).await;
    }
    assert_eq!(now_of(&w, &ours).await, (amount(0, 0), amount(0, 2)));
}

pub async fn budgets_are_listed_oldest_first(stores: &Stores) {
    let w = World::new(stores).await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(created(&w, BudgetSubject::Tag(format!("{n}")), BudgetLimits::dollars(1.0)).await);
    }
    assert_eq!(all(|page| stores.budgets.list(&w.admin, page)).await, made);
}

pub async fn update_sets_the_limits(stores: &Stores) {
    let w = World::new(stores).await;
    let before = of_tokens(&w, 5).await;
    granted(&w, &reserve(&w.me, amount(0, 4), at(2))).await;
    let limits = BudgetLimits { max_cost: Some(Cost(1)), max_tokens: None };
    let after = stores.budgets.update(&w.admin, before.id, &limits, at(9)).await.unwrap();
    assert_eq!(after, Budget { limits, updated_at: at(9), reserved: amount(0, 4), ..before });
    missing(stores.budgets.update(&w.admin, id(), &limits, at(9)).await);
}

pub async fn deleted_budget_limits_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let budget = of_tokens(&w, 5).await;
    let call = reserve(&w.me, amount(0, 4), at(2));
    granted(&w, &call).await;
    stores.budgets.delete(&w.admin, budget.id).await.unwrap();
    missing(stores.budgets.get(&w.admin, budget.id).await);
    missing(stores.budgets.delete(&w.admin, budget.id).await);
    let more = Reserve { step: 1, ..call.clone() };
    assert_eq!(stores.budgets.reserve(&w.me, &more).await.unwrap(), Reserved::Unlimited);
    stores.usage.record(&[(w.me, record(call.call, 1, 1, at(3)))]).await.unwrap();
}

pub async fn new_budget_counts_what_was_spent(stores: &Stores) {
    let w = World::new(stores).await;
    spent(&w, w.me, 5, 50, at(1)).await;
    spent(&w, w.other, 7, 70, at(1)).await;
    spent(&w, w.me, 11, 110, at(-1)).await;
    spent(&w, w.stranger, 13, 130, at(1)).await;
    let workspace: WorkspaceId = id();
    let in_workspace = UsageRecord { workspace_id: Some(workspace), ..record(id(), 17, 170, at(2)) };
    let other_model = UsageRecord { model: "labs/m".into(), tags: vec!["u".into()], ..in_workspace.clone() };
    let other_model = UsageRecord { id: id(), workspace_id: None, ..other_model };
    stores.usage.record(&[(w.me, in_workspace), (w.me, other_model)]).await.unwrap();
    let group = group::created(&w, "pumps", &[w.me.user]).await;
    for (subject, expected) in [
        (BudgetSubject::Tenant, amount(46, 460)),
        (BudgetSubject::User(w.me.user), amount(39, 390)),
        (BudgetSubject::Workspace(workspace), amount(17, 170)),
        (BudgetSubject::Model("lab/m".into()), amount(29, 290)),
        (BudgetSubject::Model("lab/*".into()), amount(29, 290)),
        (BudgetSubject::Tag("t".into()), amount(29, 290)),
        (BudgetSubject::Tag("v".into()), amount(0, 0)),
        (BudgetSubject::Group(group.id), amount(39, 390)),
        (BudgetSubject::Group(id()), amount(0, 0)),
    ] {
        let made = created(&w, subject.clone(), BudgetLimits::tokens(1)).await;
        assert_eq!(made.spent, expected, "{subject:?}");
    }
}

pub async fn call_counts_in_every_budget_of_it(stores: &Stores) {
    let w = World::new(stores).await;
    let workspace: WorkspaceId = id();
    let limits = BudgetLimits { max_cost: Some(Cost(100)), max_tokens: Some(100) };
    let ours = group::created(&w, "pumps", &[w.me.user, w.other.user]).await;
    let theirs = group::created(&w, "boilers", &[w.other.user]).await;
    let mut budgets = Vec::new();
    for (subject, counts) in [
        (BudgetSubject::Tenant, true),
        (BudgetSubject::User(w.me.user), true),
        (BudgetSubject::User(w.other.user), false),
        (BudgetSubject::Group(ours.id), true),
        (BudgetSubject::Group(theirs.id), false),
        (BudgetSubject::Workspace(workspace), true),
        (BudgetSubject::Model("lab/m".into()), true),
        (BudgetSubject::Model("lab/*".into()), true),
        (BudgetSubject::Model("lab/m2".into()), false),
        (BudgetSubject::Tag("t".into()), true),
        (BudgetSubject::Tag("u".into()), false),
    ] {
        budgets.push((created(&w, subject, limits).await, counts));
    }
    let tags = ["t".to_owned()];
    let call = BudgetedCall { user: w.me.user, workspace: Some(workspace), model: "lab/m", tags: &tags };
    let reserve = Reserve { subjects: call.subjects(), ..reserve(&w.me, amount(8, 9), at(2)) };
    assert_eq!(granted(&w, &reserve).await, [amount(8, 9); 7]);
    for (budget, counts) in &budgets {
        let expected = if *counts { amount(8, 9) } else { amount(0, 0) };
        assert_eq!(now_of(&w, budget).await, (amount(0, 0), expected), "{:?}", budget.subject);
    }
    let used = UsageRecord { workspace_id: Some(workspace), ..record(reserve.call, 3, 4, at(3)) };
    stores.usage.record(&[(w.me, used)]).await.unwrap();
    for (budget, counts) in &budgets {
        let expected = if *counts { amount(3, 4) } else { amount(0, 0) };
        assert_eq!(now_of(&w, budget).await, (expected, amount(0, 0)), "{:?}", budget.subject);
    }
}

pub async fn run_counts_where_its_end_is_stored(stores: &Stores) {
    let w = World::new(stores).await;
    let begin = w.begun().await;
    let budget = of_tokens(&w, 1_000).await;
    let mine = created(&w, BudgetSubject::User(w.me.user), BudgetLimits::dollars(1.0)).await;
    let pumps = group::created(&w, "pumps", &[w.me.user]).await;
    let ours = created(&w, BudgetSubject::Group(pumps.id), BudgetLimits::dollars(1.0)).await;
    let call = Reserve { call: begin.run.id.0.into(), ..reserve(&w.me, amount(5, 500), at(100)) };
    granted(&w, &call).await;
    granted(&w, &Reserve { step: 1, ..call }).await;
    assert_eq!(now_of(&w, &budget).await, (amount(0, 0), amount(10, 1_000)));
    let mut end = finish(&begin, "x", text_events(1, &["x"]));
    end.usage.id = begin.run.id.0.into();
    end.usage.usage.cost = Some(Cost(3));
    stores.runs.finish(&w.me, &end).await.unwrap();
    refused(stores.runs.finish(&w.me, &end).await, ErrorKind::Conflict);
    assert_eq!(now_of(&w, &budget).await, (amount(3, 27), amount(0, 0)));
    assert_eq!(now_of(&w, &mine).await, (amount(3, 27), amount(0, 0)));
    assert_eq!(now_of(&w, &ours).await, (amount(3, 27), amount(0, 0)));
    stores.groups.delete(&w.admin, pumps.id).await.unwrap();
    missing(stores.budgets.get(&w.admin, ours.id).await);
    is_balanced(stores, &w.admin, true).await;
}

pub async fn recording_again_counts_once(stores: &Stores) {
    let w = World::new(stores).await;
    let budget = of_tokens(&w, 1_000).await;
    let one = (w.me, record(id(), 1, 10, at(2)));
    let batch = [one.clone(), (w.other, record(id(), 2, 20, at(2)))];
    stores.usage.record(std::slice::from_ref(&one)).await.unwrap();
    for _ in 0..2 {
        stores.usage.record(&batch).await.unwrap();
    }
    assert_eq!(now_of(&w, &budget).await, (amount(3, 30), amount(0, 0)));
    is_balanced(stores, &w.admin, true).await;
}

pub async fn rest_is_granted(stores: &Stores) {
    let w = World::new(stores).await;
    let budget = of_tokens(&w, 10).await;
    spent(&w, w.other, 5, 3, at(2)).await;
    let call = reserve(&w.me, amount(6, 5), at(2));
    assert_eq!(granted(&w, &call).await, [amount(6, 5)]);
    // With what the call has already.
    assert_eq!(granted(&w, &Reserve { step: 1, ..call.clone() }).await, [amount(12, 7)]);
    assert!(is_refused(&w, &Reserve { step: 2, ..call.clone() }).await);
    assert!(is_refused(&w, &reserve(&w.other, amount(0, 1), at(2))).await);
    assert_eq!(now_of(&w, &budget).await, (amount(5, 3), amount(12, 7)));
    let most = Reserve { least: amount(0, 0), ..reserve(&w.other, amount(0, 5), at(2)) };
    assert_eq!(granted(&w, &most).await, [amount(0, 0)]);
}

pub async fn refused_call_has_nothing_set_aside(stores: &Stores) {
    let w = World::new(stores).await;
    let wide = of_tokens(&w, 1_000).await;
    let narrow = created(
        &w,
        BudgetSubject::Tag("t".into()),
        BudgetLimits { max_cost: Some(Cost(5)), max_tokens: None },
    );
    let narrow = narrow.await;
    let call = Reserve { least: amount(6, 1), ..reserve(&w.me, amount(9, 9), at(2)) };
    let Reserved::Refused(budget) = stores.budgets.reserve(&w.me, &call).await.unwrap() else { panic!() };
    assert_eq!(budget.id, narrow.id);
    for budget in [&wide, &narrow] {
        assert_eq!(now_of(&w, budget).await, (amount(0, 0), amount(0, 0)));
    }
    // Nothing is left of it: the same call may try again.
    assert_eq!(granted(&w, &Reserve { least: amount(5, 1), ..call }).await.len(), 2);
}

pub async fn call_that_costs_nothing_is_not_refused(stores: &Stores) {
    let w = World::new(stores).await;
    let limits = BudgetLimits { max_cost: Some(Cost(10)), max_tokens: None };
    let budget = created(&w, BudgetSubject::Tenant, limits).await;
    // More than there was: the last call cost more than was set aside for it.
    spent(&w, w.me, 15, 1, at(2)).await;
    let call = |wanted, least| Reserve { least, ..reserve(&w.me, wanted, at(3)) };
    assert!(is_refused(&w, &call(amount(1, 5), amount(1, 1))).await);
    assert_eq!(granted(&w, &call(amount(0, 5), amount(0, 1))).await, [amount(0, 5)]);
    assert_eq!(now_of(&w, &budget).await, (amount(15, 1), amount(0, 5)));
}

pub async fn calls_at_once_get_no_more_than_there_is(stores: &Stores) {
    let w = World::new(stores).await;
    let budget = of_tokens(&w, 100).await;
    let mine = created(&w, BudgetSubject::User(w.me.user), BudgetLimits::tokens(70)).await;
    let scopes = [w.me, w.other].into_iter().cycle().take(40);
    let calls: Vec<_> = scopes
        .map(|scope| (scope, Reserve { least: amount(0, 8), ..reserve(&scope, amount(1, 8), at(2)) }))
        .collect();
    let outcomes = join_all(calls.iter().map(async |(scope, call)| {
        let outcome = stores.budgets.reserve(scope, call).await.unwrap();
        matches!(outcome, Reserved::Granted(_)).then(|| (*scope, call.call))
    }));
    let granted: Vec<_> = outcomes.await.into_iter().flatten().collect();
    assert!((8..=12).contains(&granted.len()), "{}", granted.len());
    let (_, reserved) = now_of(&w, &budget).await;
    assert_eq!(reserved.tokens, granted.len() as u64 * 8);
    // All end at the same moment, in records and batches of them.
    let (some, others) = granted.split_at(granted.len() / 2);
    let single = some.iter().map(async |(scope, call)| {
        stores.usage.record(&[(*scope, record(*call, 1, 7, at(3)))]).await.unwrap();
    });
    let batch: Vec<_> = others.iter().map(|(scope, call)| (*scope, record(*call, 1, 7, at(3)))).collect();
    futures_util::future::join(join_all(single), stores.usage.record(&batch)).await.1.unwrap();
    let (used, reserved) = now_of(&w, &budget).await;
    assert_eq!((used.tokens, reserved), (granted.len() as u64 * 7, amount(0, 0)));
    let of_me = granted.iter().filter(|(scope, _)| *scope == w.me).count() as u64;
    assert_eq!(now_of(&w, &mine).await, (amount(i64::try_from(of_me).unwrap(), of_me * 7), amount(0, 0)));
    is_balanced(stores, &w.admin, true).await;
}

pub async fn budget_made_meanwhile_loses_no_call(stores: &Stores) {
    let w = World::new(stores).await;
    let calls = (0..30).map(async |n: i64| spent(&w, w.me, n, 1, at(2)).await);
    let makes = async {
        tokio::task::yield_now().await;
        for n in 0..6 {
            created(&w, BudgetSubject::Tag("t".into()), BudgetLimits::tokens(1)).await;
            let listed = stores.budgets.list(&w.admin, PageRequest::default()).await.unwrap();
            if n < 5 {
                stores.budgets.delete(&w.admin, listed.data[0].id).await.unwrap();
            }
        }
    };
    futures_util::future::join(join_all(calls), makes).await;
    is_balanced(stores, &w.admin, true).await;
}

pub async fn released_call_gives_back(stores: &Stores) {
    let w = World::new(stores).await;
    let budget = of_tokens(&w, 10).await;
    let [call, other] = [reserve(&w.me, amount(3, 4), at(2)), reserve(&w.me, amount(1, 2), at(2))];
    granted(&w, &call).await;
    granted(&w, &Reserve { step: 1, ..call.clone() }).await;
    granted(&w, &other).await;
    let both =
        join_all([stores.budgets.release(&w.me, call.call), stores.budgets.release(&w.me, call.call)]).await;
    assert!(both.iter().all(Result::is_ok));
    assert_eq!(now_of(&w, &budget).await, (amount(0, 0), amount(1, 2)));
    stores.budgets.release(&w.me, id()).await.unwrap();
}

pub async fn reservation_of_a_dead_process_expires(stores: &Stores) {
    let w = World::new(stores).await;
    let budget = of_tokens(&w, 10).await;
    let dead = reserve(&w.me, amount(0, 6), at(2));
    granted(&w, &dead).await;
    granted(&w, &Reserve { step: 1, ..dead.clone() }).await;
    let later = |seconds| Reserve { least: amount(0, 5), ..reserve(&w.me, amount(0, 5), at(seconds)) };
    assert!(is_refused(&w, &later(62)).await);
    assert_eq!(granted(&w, &later(63)).await, [amount(0, 5)]);
    assert_eq!(now_of(&w, &budget).await.1, amount(0, 5));
    // It was not dead, but slow: what it cost counts, and nothing is given back twice.
    stores.usage.record(&[(w.me, record(dead.call, 1, 4, at(64)))]).await.unwrap();
    assert_eq!(now_of(&w, &budget).await, (amount(1, 4), amount(0, 5)));
}

pub async fn next_period_begins_anew(stores: &Stores) {
    let w = World::new(stores).await;
    let daily = of_tokens(&w, 10).await;
    let monthly = budget(BudgetSubject::Tenant, BudgetPeriod::Month, BudgetLimits::tokens(100));
    stores.budgets.create(&w.admin, &monthly).await.unwrap();
    spent(&w, w.me, 1, 10, at(DAY - 1)).await;
    assert!(is_refused(&w, &reserve(&w.me, amount(0, 5), at(DAY - 1))).await);
    let over_night = reserve(&w.me, amount(0, 5), at(DAY));
    assert_eq!(granted(&w, &over_night).await, [amount(0, 5); 2]);
    assert_eq!(now_of(&w, &daily).await, (amount(0, 0), amount(0, 5)));
    assert_eq!(now_of(&w, &monthly).await, (amount(1, 10), amount(0, 5)));
    // A call counts on the day on which it ends.
    stores.usage.record(&[(w.me, record(over_night.call, 2, 20, at(2 * DAY)))]).await.unwrap();
    assert_eq!(now_of(&w, &daily).await, (amount(2, 20), amount(0, 0)));
    assert_eq!(stores.budgets.get(&w.admin, daily.id).await.unwrap().begins_at, at(2 * DAY));
    // One that ended yesterday and is recorded late belongs to yesterday.
    let straddling = [record(id(), 4, 40, at(2 * DAY - 1)), record(id(), 8, 80, at(2 * DAY))];
    stores.usage.record(&straddling.map(|record| (w.me, record))).await.unwrap();
    assert_eq!(now_of(&w, &daily).await.0, amount(10, 100));
    assert_eq!(now_of(&w, &monthly).await.0, amount(15, 150));
    spent(&w, w.me, 16, 160, at(31 * DAY)).await;
    for budget in [&daily, &monthly] {
        assert_eq!(now_of(&w, budget).await.0, amount(16, 160));
    }
    is_balanced(stores, &w.admin, true).await;
}

pub async fn deleted_user_takes_their_budget(stores: &Stores) {
    let w = World::new(stores).await;
    let mine = created(&w, BudgetSubject::User(w.me.user), BudgetLimits::tokens(10)).await;
    let theirs = created(&w, BudgetSubject::User(w.other.user), BudgetLimits::tokens(10)).await;
    stores.users.delete(&w.admin, w.me.user).await.unwrap();
    missing(stores.budgets.get(&w.admin, mine.id).await);
    stores.budgets.get(&w.admin, theirs.id).await.unwrap();
}
