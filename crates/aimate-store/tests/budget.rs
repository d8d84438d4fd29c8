//! Budgets through the engine, on both databases: nothing is spent beyond them, however
//! calls end, and what they counted is what the usage records say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use aimate_core::budget::{Amount, Budget, BudgetLimits, BudgetSubject, NewBudget};
use aimate_core::chat::Turn;
use aimate_core::chat::event::ChatEvent;
use aimate_core::conformance::budget::is_balanced;
use aimate_core::connection::NewConnection;
use aimate_core::engine::{Completion, EmbeddingRequest};
use aimate_core::message::{MessageStatus, text_of};
use aimate_core::model::Prices;
use aimate_core::price::NewPrice;
use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent};
use aimate_core::testing::{FixedClock, ScriptedProvider, Step, answer};
use aimate_core::usage::{Cost, TokenUsage, UsageFilter};
use aimate_core::{
    Clock, ClockAndIds, Engine, ErrorKind, ErrorReason, PageRequest, RandomIds, Role, Scope, WarningCode,
};
use aimate_store::Store;
use futures_util::StreamExt as _;
use futures_util::future::join_all;

/// An admin's engine on a store.
struct Bench {
    store: Store,
    engine: Engine,
    provider: Arc<ScriptedProvider>,
    admin: Scope,
}

impl Bench {
    async fn new(store: &Store) -> Self {
        Self::with(store, ClockAndIds::default()).await
    }

    async fn with(store: &Store, sources: ClockAndIds) -> Self {
        let provider = ScriptedProvider::new([]);
        let engine = Engine::builder()
            .store(store.clone())
            .sources(sources)
            .lease(Duration::ZERO)
            .provider("scripted", provider.clone())
            .connection(NewConnection::new("lab", "scripted").url("http://127.0.0.1:9/v1"))
            .build()
            .await
            .unwrap();
        let admin = engine.scope("acme", "root").role(Role::Admin).ensure().await.unwrap();
        Self { store: store.clone(), engine, provider, admin }
    }

    async fn budget(&self, subject: BudgetSubject, limits: BudgetLimits) -> Budget {
        self.engine.budgets(&self.admin).create(NewBudget::monthly(subject, limits)).await.unwrap()
    }

    async fn price(&self, input: f64, output: f64) {
        let prices = Prices { input, output, cached: None };
        self.engine.prices(&self.admin).create(NewPrice::new("lab/*", prices)).await.unwrap();
    }

    async fn now_of(&self, budget: &Budget) -> (Amount, Amount) {
        let budget = self.engine.budgets(&self.admin).get(budget.id).await.unwrap();
        (budget.spent, budget.reserved)
    }

    async fn events(&self, turn: Turn) -> Vec<ChatEvent> {
        let mut answer = self.engine.chat(&self.admin, turn).await.unwrap();
        let mut events = Vec::new();
        while let Some(event) = answer.next().await {
            events.push(event);
        }
        events
    }

    /// Waits until nothing is set aside any more, and looks at the accounts.
    async fn is_balanced(&self) {
        let page = PageRequest::first(100);
        let is_idle = async || {
            let budgets = self.engine.budgets(&self.admin).list(page).await.unwrap().data;
            budgets.iter().all(|budget| budget.reserved == Amount::default())
        };
        let idle = async {
            while !is_idle().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), idle).await.expect("all is given back");
        is_balanced(&self.store.stores(), &self.admin, true).await;
        // What messages say is what records say.
        let sums = self.engine.usage(&self.admin, &UsageFilter::new().group_by([])).await.unwrap();
        let records = self
            .engine
            .usage_records(&self.admin, &UsageFilter::new(), PageRequest::first(200))
            .await
            .unwrap();
        let cost: i64 = records.data.iter().filter_map(|one| one.record.usage.cost).map(|cost| cost.0).sum();
        assert_eq!(sums.first().map_or(Cost(0), |sum| sum.cost), Cost(cost));
    }
}

fn say(text: &str) -> Step {
    Step::Say(ProviderEvent::Text(text.to_owned()))
}

/// An answer of so many pieces, each of a token.
fn long(pieces: usize) -> Vec<Step> {
    let mut steps: Vec<_> = (0..pieces).map(|_| say("abcd")).collect();
    steps.push(Step::Say(ProviderEvent::Finish(FinishReason::Stop)));
    steps.push(Step::Say(ProviderEvent::Usage(TokenUsage {
        input_tokens: 10,
        output_tokens: pieces as u64,
        ..TokenUsage::default()
    })));
    steps
}

async fn on_both(test: impl AsyncFn(&Store)) {
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    test(&store).await;
    store.close().await;
    support::ledger::is_balanced_on_sqlite(&folder.url()).await;
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        test(&store).await;
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_ends_where_its_budget_does() {
    on_both(async |store| {
        let bench = Bench::new(store).await;
        let budget = bench.budget(BudgetSubject::Tenant, BudgetLimits::tokens(3_000)).await;
        bench.provider.push(long(20_000));
        let events = bench.events(Turn::new("Tell me everything.")).await;
        let Some(ChatEvent::Finished(finished)) = events.last() else { panic!("{:?}", events.last()) };
        assert_eq!(finished.finish_reason, FinishReason::budget());
        assert_eq!(finished.message.status, MessageStatus::Complete);
        let is_warning = |event: &&ChatEvent| {
            matches!(event, ChatEvent::Warning { code: WarningCode::BudgetExceeded, .. })
        };
        assert_eq!(events.iter().filter(is_warning).count(), 1);
        let text = text_of(&finished.message.content);
        assert!((2_900 * 4..=3_000 * 4).contains(&text.len()), "{}", text.len());
        let (spent, _) = bench.now_of(&budget).await;
        // A piece more at most.
        assert!((2_990..=3_001).contains(&spent.tokens), "{spent:?}");
        bench.is_balanced().await;
        // The next turn is refused, and stored nowhere.
        let error = bench.engine.chat(&bench.admin, Turn::new("And?")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::RateLimited, Some(ErrorReason::BudgetExceeded))
        );
        assert!(error.message().contains("monthly budget of the tenant"), "{error}");
        assert_eq!(bench.provider.requests().len(), 1);
        let listed = bench
            .engine
            .conversations(&bench.admin)
            .list(&aimate_core::conversation::ConversationFilter::default(), PageRequest::default())
            .await
            .unwrap();
        assert_eq!(listed.data.len(), 1);
        // Until an admin raises it.
        let limits = BudgetLimits::tokens(5_000);
        bench.engine.budgets(&bench.admin).update(budget.id, limits).await.unwrap();
        bench.events(Turn::new("And?")).await;
        bench.is_balanced().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_answer_ends_where_its_budget_does() {
    on_both(async |store| {
        let bench = Bench::new(store).await;
        bench.price(1.0, 2.0).await;
        let user = BudgetSubject::User(bench.admin.user);
        // 3,000 tokens of an answer.
        let budget = bench.budget(user, BudgetLimits::dollars(0.006)).await;
        bench.provider.push(long(20_000));
        let call = Completion::new(ChatRequest { stream: true, ..ChatRequest::default() });
        let events: Vec<_> = bench.engine.complete(&bench.admin, call.clone()).await.unwrap().collect().await;
        assert!(matches!(events.last(), Some(Ok(ProviderEvent::Finish(reason))) if reason.is_budget()));
        let (spent, _) = bench.now_of(&budget).await;
        assert!((Cost(5_980_000)..=Cost(6_002_000)).contains(&spent.cost), "{spent:?}");
        let error = bench.engine.complete(&bench.admin, call.clone()).await.unwrap_err();
        assert_eq!(error.reason(), Some(ErrorReason::BudgetExceeded));
        let texts = EmbeddingRequest::new(["many words ".repeat(10)]).model("lab/test");
        let error = bench.engine.embed(&bench.admin, texts).await.unwrap_err();
        assert_eq!(error.reason(), Some(ErrorReason::BudgetExceeded));
        bench.is_balanced().await;
        // Who goes away pays for what came.
        bench.engine.budgets(&bench.admin).update(budget.id, BudgetLimits::dollars(1.0)).await.unwrap();
        bench.provider.push(vec![say("abcd"), Step::Hang]);
        let mut answer = bench.engine.complete(&bench.admin, call).await.unwrap();
        answer.next().await.unwrap().unwrap();
        assert!(bench.now_of(&budget).await.1.cost > Cost(0));
        drop(answer);
        bench.engine.embed(&bench.admin, EmbeddingRequest::new(["word"]).model("lab/test")).await.unwrap();
        bench.is_balanced().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_answer_is_asked_for_what_there_is() {
    on_both(async |store| {
        let bench = Bench::new(store).await;
        let budget = bench.budget(BudgetSubject::Tag("t".into()), BudgetLimits::tokens(500)).await;
        let capped = vec![say("abcd"), Step::Say(ProviderEvent::Finish(FinishReason::Length))];
        bench.provider.push(capped);
        let events = bench.events(Turn::new("q").tag("t").stream(false)).await;
        let Some(ChatEvent::Finished(finished)) = events.last() else { panic!() };
        assert!(finished.finish_reason.is_budget());
        let asked = bench.provider.requests()[0].sampling.max_tokens.unwrap();
        assert!((400..500).contains(&asked), "{asked}");
        // What is asked for by the caller fits.
        let mut turn = Turn::new("q").tag("t").stream(false);
        turn.sampling.max_tokens = Some(50);
        bench.provider.push(answer("fits"));
        bench.events(turn).await;
        assert_eq!(bench.provider.requests()[1].sampling.max_tokens, Some(50));
        assert!(bench.now_of(&budget).await.0.tokens < 100);
        bench.is_balanced().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_do_not_overspend_together() {
    on_both(async |store| {
        let (one, two) = (Bench::new(store).await, Bench::new(store).await);
        let budget = one.budget(BudgetSubject::Tenant, BudgetLimits::tokens(10_000)).await;
        let model = one.budget(BudgetSubject::Model("lab/*".into()), BudgetLimits::tokens(9_000)).await;
        let calls = (0..24).map(async |n: usize| {
            let bench = if n.is_multiple_of(2) { &one } else { &two };
            bench.provider.push(long(2_000));
            match bench.engine.chat(&bench.admin, Turn::new("q")).await {
                Ok(mut answer) => {
                    while answer.next().await.is_some() {}
                    true
                }
                Err(error) => {
                    assert_eq!(error.reason(), Some(ErrorReason::BudgetExceeded), "{error}");
                    false
                }
            }
        });
        let answered = join_all(calls).await.into_iter().filter(|answered| *answered).count() as u64;
        let (spent, _) = one.now_of(&budget).await;
        // Each that was answered may go beyond by one piece, of one token here.
        assert!((8_000..=9_000 + answered).contains(&spent.tokens), "{spent:?} of {answered}");
        assert_eq!(spent, one.now_of(&model).await.0);
        one.is_balanced().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_whole_however_answers_end() {
    on_both(async |store| {
        let bench = Bench::new(store).await;
        bench.price(1.0, 3.0).await;
        bench.budget(BudgetSubject::Tenant, BudgetLimits::dollars(1.0)).await;
        bench.budget(BudgetSubject::User(bench.admin.user), BudgetLimits::tokens(100_000)).await;
        let fail = || Step::Fail(aimate_core::Error::upstream("the server fell over, which servers do"));
        for script in [answer("whole"), vec![fail()], vec![say("some"), fail()], vec![say("some")]] {
            bench.provider.push(script);
            bench.events(Turn::new("q")).await;
        }
        // Cancelled, and deleted with its conversation.
        for is_deleted in [false, true] {
            bench.provider.push(vec![say("some"), Step::Hang]);
            let mut answer = bench.engine.chat(&bench.admin, Turn::new("q")).await.unwrap();
            let (run, conversation) = (answer.run_id(), answer.conversation_id());
            while !matches!(answer.next().await, Some(ChatEvent::Text { .. })) {}
            if is_deleted {
                bench.engine.conversations(&bench.admin).delete(conversation).await.unwrap();
            } else {
                bench.engine.runs(&bench.admin).cancel(run).await.unwrap();
            }
            while answer.next().await.is_some() {}
        }
        bench.is_balanced().await;
        // Refused before the model is asked: a turn that is sent again, and one that is wrong.
        let turn = || Turn::new("q").client_id("once");
        bench.events(turn()).await;
        bench.events(turn()).await;
        bench.engine.chat(&bench.admin, Turn::new("other").client_id("once")).await.unwrap_err();
        bench.is_balanced().await;
    })
    .await;
}

/// Starts an answer in a runtime of its own, which is dropped while the model answers:
/// every task of it ends without a word, as in a crash.
fn crash(url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = aimate_store::connect(url).await.unwrap();
        let bench = Bench::new(&store).await;
        bench.provider.push(vec![say("some"), Step::Hang]);
        let mut answer = bench.engine.chat(&bench.admin, Turn::new("q")).await.unwrap();
        while !matches!(answer.next().await, Some(ChatEvent::Text { .. })) {}
        std::mem::forget((answer, bench, store));
    });
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn next_process_gives_back_what_a_dead_one_set_aside() {
    let folder = support::Folder::new();
    killed(folder.url()).await;
    support::on_each_server(async |schema| killed(schema.url()).await).await;
}

async fn killed(url: String) {
    let store = aimate_store::connect(&url).await.unwrap();
    let first = Bench::new(&store).await;
    first.price(1.0, 1.0).await;
    let budget = first.budget(BudgetSubject::Tenant, BudgetLimits::dollars(1.0)).await;
    first.engine.drain(Duration::ZERO).await;
    let address = url.clone();
    tokio::task::spawn_blocking(move || crash(&address)).await.unwrap();
    let stores = store.stores();
    assert!(stores.budgets.get(&first.admin, budget.id).await.unwrap().reserved.tokens > 1_000);
    let next = Bench::new(&store).await;
    next.is_balanced().await;
    assert!(next.now_of(&budget).await.0.cost > Cost(0));
    drop((first, next, stores));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn price_holds_at_the_time_of_the_call() {
    on_both(async |store| {
        let clock = Arc::new(FixedClock::at(1_767_225_600_000_000));
        let sources = ClockAndIds { clock: clock.clone(), ids: Arc::new(RandomIds) };
        let bench = Bench::with(store, sources).await;
        let (prices, day) = (bench.engine.prices(&bench.admin), Duration::from_secs(86_400));
        let of = |input| Prices { input, output: 0.0, cached: None };
        // What the server says counts where nobody has set a price.
        let said = |cost| {
            let usage = TokenUsage { input_tokens: 1_000_000, cost, ..TokenUsage::default() };
            vec![Step::Say(ProviderEvent::Usage(usage)), Step::Say(ProviderEvent::Finish(FinishReason::Stop))]
        };
        let cost = async |of_server| {
            bench.provider.push(said(of_server));
            let events = bench.events(Turn::new("q").model("lab/test")).await;
            let Some(ChatEvent::Finished(finished)) = events.last() else { panic!() };
            finished.usage.cost
        };
        assert_eq!(cost(None).await, None);
        assert_eq!(cost(Some(Cost(5))).await, Some(Cost(5)));
        prices.create(NewPrice::new("lab/*", of(1.0))).await.unwrap();
        let later = clock.now().plus(day);
        prices.create(NewPrice::new("lab/*", of(2.0)).valid_from(later)).await.unwrap();
        let exact =
            prices.create(NewPrice::new("lab/test", of(3.0)).valid_from(later.plus(day))).await.unwrap();
        assert_eq!(cost(Some(Cost(5))).await, Some(Cost::from_dollars(1.0)));
        clock.advance(day);
        assert_eq!(cost(None).await, Some(Cost::from_dollars(2.0)));
        clock.advance(day);
        assert_eq!(cost(None).await, Some(Cost::from_dollars(3.0)));
        prices.delete(exact.id).await.unwrap();
        assert_eq!(cost(None).await, Some(Cost::from_dollars(2.0)));
        // What is over keeps its cost.
        let sum = bench.engine.usage(&bench.admin, &UsageFilter::new().group_by([])).await.unwrap();
        assert_eq!(sum[0].cost, Cost(Cost::from_dollars(8.0).0 + 5));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budget_of_another_process_holds_within_five_seconds() {
    on_both(async |store| {
        let clock = Arc::new(FixedClock::at(1_767_225_600_000_000));
        let sources = ClockAndIds { clock: clock.clone(), ids: Arc::new(RandomIds) };
        let (one, two) = (Bench::with(store, sources.clone()).await, Bench::with(store, sources).await);
        two.events(Turn::new("q")).await;
        let budget = one.budget(BudgetSubject::Tenant, BudgetLimits::tokens(1)).await;
        // What it does not know of yet is counted nonetheless.
        let before = one.now_of(&budget).await.0.tokens;
        two.events(Turn::new("q")).await;
        assert!(one.now_of(&budget).await.0.tokens > before);
        clock.advance(Duration::from_secs(5));
        let error = two.engine.chat(&two.admin, Turn::new("q")).await.unwrap_err();
        assert_eq!(error.reason(), Some(ErrorReason::BudgetExceeded));
        // In its own process, at once.
        let error = one.engine.chat(&one.admin, Turn::new("q")).await.unwrap_err();
        assert_eq!(error.reason(), Some(ErrorReason::BudgetExceeded));
        one.engine.budgets(&one.admin).delete(budget.id).await.unwrap();
        one.events(Turn::new("q")).await;
    })
    .await;
}

#[tokio::test]
async fn budgets_are_for_admins() {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let bench = Bench::new(&store).await;
    let user = bench.engine.scope("acme", "ann").ensure().await.unwrap();
    let new = NewBudget::daily(BudgetSubject::Tenant, BudgetLimits::tokens(1));
    let budget = bench.engine.budgets(&bench.admin).create(new.clone()).await.unwrap();
    let budgets = bench.engine.budgets(&user);
    for refused in [
        budgets.create(new).await.unwrap_err(),
        budgets.get(budget.id).await.unwrap_err(),
        budgets.list(PageRequest::default()).await.unwrap_err(),
        budgets.update(budget.id, BudgetLimits::tokens(5)).await.unwrap_err(),
        budgets.delete(budget.id).await.unwrap_err(),
        bench.engine.prices(&user).create(NewPrice::new("a/b", Prices::default())).await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Forbidden);
    }
    // It holds for them.
    let error = bench.engine.chat(&user, Turn::new("q")).await.unwrap_err();
    assert_eq!(error.reason(), Some(ErrorReason::BudgetExceeded));
}
