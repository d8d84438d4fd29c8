//! What calls used: by tag, in sums of several groupings, and one by one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod common;

use aimate::engine::Completion;
use aimate::provider::ChatRequest;
use aimate::testing::answer;
use aimate::usage::{UsageFilter, UsageGroup};
use aimate::{ErrorKind, PageRequest, Role, StreamExt, Turn};
use common::{Bench, bench, events};

async fn ask(bench: &Bench, turn: Turn) {
    events(bench.engine.chat(&bench.me, turn).await.unwrap()).await;
}

#[tokio::test]
async fn tags_of_a_turn_are_kept_with_its_run_and_its_usage() {
    let bench = bench([answer("a")]).await;
    let turn = Turn::new("q").tag("ticket:42").tag("plan:pro").tag("ticket:42");
    let listener = bench.engine.chat(&bench.me, turn).await.unwrap();
    let run = listener.run_id();
    events(listener).await;
    assert_eq!(bench.engine.runs(&bench.me).get(run).await.unwrap().tags, ["ticket:42", "plan:pro"]);
    let records = UsageFilter::new().run(run);
    let records = bench.engine.usage_records(&bench.me, &records, PageRequest::default()).await.unwrap();
    let [one] = records.data.try_into().unwrap();
    assert_eq!(
        (one.user_id, one.record.tags.as_slice()),
        (bench.me.user, ["ticket:42", "plan:pro"].map(Into::into).as_slice())
    );
    assert_eq!(one.record.usage.input_tokens, 7);
}

#[tokio::test]
async fn plain_call_has_tags_too() {
    let bench = bench([answer("a")]).await;
    let call = Completion::new(ChatRequest::default()).tag("batch");
    bench.engine.complete(&bench.me, call).await.unwrap().collect::<Vec<_>>().await;
    let sums = bench.engine.usage(&bench.me, &UsageFilter::new().group_by([UsageGroup::Tag])).await.unwrap();
    assert_eq!(
        sums.iter().map(|sum| (sum.tag.as_deref(), sum.calls)).collect::<Vec<_>>(),
        [(Some("batch"), 1)]
    );
}

#[tokio::test]
async fn tags_have_limits() {
    let bench = bench([]).await;
    let many = |count: usize| (0..count).fold(Turn::new("q"), |turn, n| turn.tag(format!("{n}")));
    for turn in [many(51), Turn::new("q").tag(""), Turn::new("q").tag("x".repeat(101))] {
        let error = bench.engine.chat(&bench.me, turn).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.fields()[0].path.starts_with("tags"), "{error}");
    }
    ask(&bench, many(50)).await;
    let call = Completion::new(ChatRequest::default()).tag(" ");
    assert_eq!(bench.engine.complete(&bench.me, call).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn sums_are_ordered_by_their_groupings() {
    let bench = bench([]).await;
    for (model, tag) in [("tiny", "b"), ("test", "b"), ("tiny", "a"), ("test", "a"), ("test", "a")] {
        ask(&bench, Turn::new("q").model(model).tag(tag)).await;
    }
    let rows = async |groups: &[UsageGroup]| {
        let filter = UsageFilter::new().group_by(groups.iter().copied());
        let sums = bench.engine.usage(&bench.me, &filter).await.unwrap();
        let row = |sum: &aimate::usage::UsageSum| {
            let keys: Vec<_> = groups.iter().map(|group| sum.of(*group)).collect();
            format!("{} {}", keys.join(" "), sum.calls)
        };
        sums.iter().map(row).collect::<Vec<_>>()
    };
    let (model, tag) = (UsageGroup::Model, UsageGroup::Tag);
    assert_eq!(rows(&[tag, model]).await, ["a lab/test 2", "a lab/tiny 1", "b lab/test 1", "b lab/tiny 1"]);
    assert_eq!(rows(&[model, tag]).await, ["lab/test a 2", "lab/test b 1", "lab/tiny a 1", "lab/tiny b 1"]);
    assert_eq!(rows(&[model, model]).await, ["lab/test lab/test 3", "lab/tiny lab/tiny 2"]);
}

#[tokio::test]
async fn tenants_are_the_operators() {
    let mut bench = bench([]).await;
    bench.me = bench.engine.scope("acme", "root").role(Role::Admin).ensure().await.unwrap();
    ask(&bench, Turn::new("q")).await;
    let filter = UsageFilter::new().group_by([UsageGroup::Tenant]);
    let error = bench.engine.usage(&bench.me, &filter).await.unwrap_err();
    assert_eq!(error.fields()[0].path, "group_by");
    let sums = bench.engine.usage_of_all(&filter).await.unwrap();
    assert_eq!(
        sums.iter().map(|sum| (sum.tenant_id, sum.calls)).collect::<Vec<_>>(),
        [(Some(bench.me.tenant), 1)]
    );
    let stranger = bench.engine.scope("other", "root").role(Role::Admin).ensure().await.unwrap();
    let theirs = UsageFilter::new().tenant(bench.me.tenant);
    let error = bench.engine.usage_records(&stranger, &theirs, PageRequest::default()).await.unwrap_err();
    assert_eq!(error.fields()[0].path, "tenant");
    let other = bench.engine.scope("acme", "other").ensure().await.unwrap();
    let mine = UsageFilter::new().user(bench.me.user);
    assert_eq!(bench.engine.usage(&other, &mine).await.unwrap(), []);
}
