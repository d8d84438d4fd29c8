//! Properties of asynchronous code, and the values that they are tried with.

#![allow(clippy::panic, reason = "a property that does not hold fails its test")]

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::knowledge::Filter;

/// Simplified cases that are tried at most, once one has failed.
const MAX_SHRINKS: u32 = 500;

/// Tries `property` with `cases` values of `strategy`, the same at each run.
/// proptest's own runner cannot await.
///
/// # Panics
/// With the simplest value found for which the property does not hold.
pub async fn holds_for<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl AsyncFn(S::Value) -> Result<(), String>,
) where
    S::Value: Clone,
{
    let mut runner = TestRunner::deterministic();
    for _ in 0..cases {
        let Ok(mut tree) = strategy.new_tree(&mut runner) else { continue };
        let Err(why) = property(tree.current()).await else { continue };
        let first = (tree.current(), why);
        let (case, why) = simplest(&mut tree, &property, first).await;
        panic!("{why}\nthe simplest case: {case:#?}");
    }
}

/// The simplest value of `tree` that fails, with why.
async fn simplest<T: ValueTree>(
    tree: &mut T,
    property: &impl AsyncFn(T::Value) -> Result<(), String>,
    mut failed: (T::Value, String),
) -> (T::Value, String)
where
    T::Value: Clone + Debug,
{
    let mut goes_on = tree.simplify();
    for _ in 0..MAX_SHRINKS {
        if !goes_on {
            break;
        }
        goes_on = match property(tree.current()).await {
            Err(why) => {
                failed = (tree.current(), why);
                tree.simplify()
            }
            Ok(()) => tree.complicate(),
        };
    }
    failed
}

/// Strings that could be taken for something else.
pub const STRINGS: [&str; 14] =
    ["a", "A", "b", "", "1", "true", "null", "ä", "é", "%", "_", "a'b", "a\\b", "2026-01-01T00:00:00Z"];
const KEYS: [&str; 8] = ["a", "b", "0", "ä b", "it's", "back\\slash", "$x", "a'; DROP TABLE documents; --"];

/// Metadata of a document: few keys, so that filters meet them.
pub fn metadata() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![1 => Just(Value::Null), 4 => scalar()];
    let value = leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::Array), object(inner).prop_map(Value::Object)]
    });
    object(value)
}

/// Filters on such metadata and on documents' own fields, which pass
/// [`Filter::check`].
pub fn filter() -> impl Strategy<Value = Filter> {
    let condition = prop_oneof![
        (field(), scalar()).prop_map(|(field, value)| Filter::Eq { field, value }),
        (field(), vec(scalar(), 0..4)).prop_map(|(field, values)| Filter::In { field, values }),
        prop_oneof![range(&number().boxed()), range(&string().boxed())],
        (field(), scalar()).prop_map(|(field, value)| Filter::Contains { field, value }),
        field().prop_map(|field| Filter::Exists { field }),
    ];
    condition.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| Filter::Not(Box::new(one))),
            vec(inner.clone(), 0..4).prop_map(Filter::And),
            vec(inner, 0..4).prop_map(Filter::Or),
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let entry = (select(&KEYS), value).prop_map(|(key, value)| (key.to_owned(), value));
    vec(entry, 0..6).prop_map(Map::from_iter)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![2 => number(), 1 => any::<bool>().prop_map(Value::from), 2 => string()]
}

fn string() -> impl Strategy<Value = Value> {
    prop_oneof![4 => select(&STRINGS).prop_map(Value::from), 1 => "[a-zA-Zäß日😀'\"%_\\\\ ]{0,4}".prop_map(Value::from)]
}

fn number() -> impl Strategy<Value = Value> {
    let known = [
        json!(0),
        json!(1),
        json!(-1),
        json!(2026),
        json!(9_007_199_254_740_993_i64),
        json!(1.0),
        json!(0.1),
        json!(-2.5),
        json!(1e300),
        json!(0.300_000_000_000_000_04),
    ];
    prop_oneof![
        6 => select(known.to_vec()),
        1 => any::<i64>().prop_map(Value::from),
        // Numbers that serde_json reads back to the last bit, as it does not do for
        // all without its feature `float_roundtrip`.
        1 => any::<i32>().prop_map(|number| Value::from(f64::from(number) / 64.0)),
    ]
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => select(&["$id", "$name", "$title", "$source", "$media_type"]).prop_map(str::to_owned),
        6 => select(&KEYS[..7]).prop_map(|key| key.trim_start_matches('$').to_owned()),
        3 => (select(&KEYS[..6]), select(&KEYS[..6])).prop_map(|(outer, inner)| format!("{outer}.{inner}")),
    ]
}

/// A range of one to four bounds of one type.
fn range(bound: &BoxedStrategy<Value>) -> impl Strategy<Value = Filter> + use<> {
    let maybe = || proptest::option::of(bound.clone());
    (field(), bound.clone(), 0..4_usize, [maybe(), maybe(), maybe(), maybe()]).prop_map(
        |(field, bound, place, mut bounds)| {
            if let Some(given) = bounds.get_mut(place) {
                *given = Some(bound);
            }
            let [gt, gte, lt, lte] = bounds;
            Filter::Range { field, gt, gte, lt, lte }
        },
    )
}
