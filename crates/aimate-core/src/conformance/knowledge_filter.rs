use std::collections::BTreeSet;

use aimate_index::analysis::analyze_query;
use serde_json::{Map, Value, json};

use super::knowledge_world::{EAST, Fixture, document};
use crate::knowledge::{Document, Filter, FilterSubject, SearchScope};
use crate::{DocumentId, Stores};

/// The documents that a filter lets through, by either leg.
async fn passing(fixture: &Fixture<'_>, filter: &Filter) -> BTreeSet<DocumentId> {
    let target = SearchScope { filter: Some(filter.clone()), ..fixture.target() };
    let text =
        fixture.stores.index.find_text(&fixture.me, &target, &analyze_query("apple"), 100).await.unwrap();
    let spaces = [fixture.space.unwrap()];
    let vector = fixture.stores.index.find_vector(&fixture.me, &target, &spaces, &EAST, 100).await.unwrap();
    let mut chunks: Vec<_> = text.best.iter().map(|best| best.chunk).collect();
    let mut by_vector: Vec<_> = vector.best.iter().map(|best| best.chunk).collect();
    chunks.sort();
    by_vector.sort();
    assert_eq!(chunks, by_vector, "{filter:?}");
    let passages = fixture.stores.index.passages(&fixture.me, &chunks).await.unwrap();
    passages.into_iter().map(|passage| passage.chunk.document_id).collect()
}

/// Those that should pass.
fn expected(documents: &[Document], filter: &Filter) -> BTreeSet<DocumentId> {
    let passes = |document: &&Document| {
        let id = document.id.to_string();
        filter.matches(&FilterSubject {
            metadata: &document.metadata,
            id: &id,
            name: &document.name,
            title: &document.title,
            source: document.source.as_deref(),
            media_type: &document.media_type,
        })
    };
    documents.iter().filter(passes).map(|document| document.id).collect()
}

async fn shelf_of(stores: &Stores, all: Vec<Map<String, Value>>) -> (Fixture<'_>, Vec<Document>) {
    let fixture = Fixture::with_space(stores).await;
    let mut documents = Vec::new();
    for (n, metadata) in all.into_iter().enumerate() {
        let source = (n % 2 == 0).then(|| format!("docs/{n}"));
        let name = STRINGS[n % STRINGS.len()].to_owned() + "x";
        let new = Document { metadata, source, ..document(fixture.collection, &name) };
        documents.push(fixture.ready_this(&new, &["apple"]).await);
    }
    (fixture, documents)
}

/// What could be taken for something else.
const STRINGS: [&str; 14] =
    ["a", "A", "b", "", "1", "true", "null", "ä", "é", "%", "_", "a'b", "a\\b", "2026-01-01T00:00:00Z"];
const KEYS: [&str; 8] = ["a", "b", "0", "ä b", "it's", "back\\slash", "$x", "a'; DROP TABLE documents; --"];

/// The same numbers each time (xorshift).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())].clone()
    }

    fn scalar(&mut self) -> Value {
        match self.below(4) {
            0 => self.of(&[json!(0), json!(1), json!(-1), json!(2026), json!(9_007_199_254_740_993_i64)]),
            1 => self.of(&[json!(1.0), json!(0.1), json!(-2.5), json!(1e300), json!(0.30000000000000004)]),
            2 => self.of(&[json!(true), json!(false)]),
            _ => json!(self.of(&STRINGS)),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth > 2 { 4 } else { 7 }) {
            0 => Value::Null,
            4 => (0..self.below(4)).map(|_| self.value(depth + 1)).collect(),
            5 | 6 => Value::Object(self.metadata(depth + 1)),
            _ => self.scalar(),
        }
    }

    pub fn metadata(&mut self, depth: usize) -> Map<String, Value> {
        (0..self.below(6)).map(|_| (self.of(&KEYS).to_owned(), self.value(depth))).collect()
    }

    fn field(&mut self) -> String {
        match self.below(10) {
            0 => self.of(&["$id", "$name", "$title", "$source", "$media_type"]).to_owned(),
            1..=6 => self.of(&KEYS[..7]).trim_start_matches('$').to_owned(),
            _ => format!("{}.{}", self.of(&KEYS[..6]), self.of(&KEYS[..6])),
        }
    }

    fn bound(&mut self, is_string: bool) -> Option<Value> {
        let mut value = self.scalar();
        while value.is_boolean() || value.is_string() != is_string {
            value = self.scalar();
        }
        (self.below(3) > 0).then_some(value)
    }

    pub fn filter(&mut self, depth: usize) -> Filter {
        let field = self.field();
        match self.below(if depth > 2 { 5 } else { 8 }) {
            0 => Filter::Eq { field, value: self.scalar() },
            1 => Filter::In { field, values: (0..self.below(4)).map(|_| self.scalar()).collect() },
            2 => {
                let is_string = self.below(2) == 0;
                let first = loop {
                    if let Some(bound) = self.bound(is_string) {
                        break Some(bound);
                    }
                };
                let (gte, lt, lte) = (self.bound(is_string), self.bound(is_string), self.bound(is_string));
                Filter::Range { field, gt: first.filter(|_| lte.is_none()), gte, lt, lte }
            }
            3 => Filter::Contains { field, value: self.scalar() },
            4 => Filter::Exists { field },
            5 => Filter::Not(Box::new(self.filter(depth + 1))),
            6 => Filter::And((0..self.below(4)).map(|_| self.filter(depth + 1)).collect()),
            _ => Filter::Or((0..self.below(4)).map(|_| self.filter(depth + 1)).collect()),
        }
    }
}

pub async fn filters_mean_the_same_in_every_store(stores: &Stores) {
    let mut dice = Dice::new(1);
    let all = (0..30).map(|_| dice.metadata(0)).collect();
    let (fixture, documents) = shelf_of(stores, all).await;
    let mut passed = 0;
    for _ in 0..300 {
        let filter = dice.filter(0);
        filter.check().unwrap();
        let found = passing(&fixture, &filter).await;
        assert_eq!(found, expected(&documents, &filter), "{}", serde_json::to_string(&filter).unwrap());
        passed += found.len();
    }
    // The dice are fair: filters tell documents apart.
    assert!(passed > 500 && passed < 8_000, "{passed}");
}

pub async fn fields_of_the_document_are_filtered(stores: &Stores) {
    let (fixture, documents) = shelf_of(stores, vec![Map::new(), Map::new(), Map::new()]).await;
    let one = &documents[1];
    let tests = [
        (json!({"eq": {"field": "$id", "value": one.id.to_string()}}), vec![1]),
        (json!({"contains": {"field": "$id", "value": "-"}}), vec![0, 1, 2]),
        (json!({"eq": {"field": "$name", "value": one.name}}), vec![1]),
        (json!({"in": {"field": "$title", "values": ["title", 1]}}), vec![0, 1, 2]),
        (json!({"exists": {"field": "$source"}}), vec![0, 2]),
        (json!({"not": {"contains": {"field": "$source", "value": "docs/0"}}}), vec![1, 2]),
        (json!({"eq": {"field": "$media_type", "value": "text/markdown"}}), vec![0, 1, 2]),
        (json!({"eq": {"field": "$media_type", "value": true}}), vec![]),
        (json!({"range": {"field": "$name", "gt": "Az"}}), vec![0, 2]),
    ];
    for (filter, places) in tests {
        let filter: Filter = serde_json::from_value(filter).unwrap();
        let ids: BTreeSet<_> = places.iter().map(|place: &usize| documents[*place].id).collect();
        assert_eq!(passing(&fixture, &filter).await, ids, "{filter:?}");
        assert_eq!(expected(&documents, &filter), ids, "{filter:?}");
    }
}

pub async fn filters_hold_no_sql(stores: &Stores) {
    let metadata = Map::from_iter([("a".to_owned(), json!("x"))]);
    let (fixture, documents) = shelf_of(stores, vec![metadata]).await;
    for hostile in
        ["' OR 1=1 --", "a' || 'b", "a\\\" OR TRUE", "$1", "?1", "a->b", "a[0]", "*", "a)) OR ((TRUE"]
    {
        for filter in [
            json!({"eq": {"field": "a", "value": hostile}}),
            json!({"contains": {"field": "a", "value": hostile}}),
            json!({"range": {"field": "a", "gt": "zz", "lt": hostile}}),
            json!({"exists": {"field": hostile.replace(['"', '$'], "")}}),
        ] {
            let filter: Filter = serde_json::from_value(filter).unwrap();
            assert_eq!(passing(&fixture, &filter).await, BTreeSet::new(), "{filter:?}");
        }
    }
    let not: Filter = serde_json::from_value(json!({"not": {"eq": {"field": "a", "value": "'"}}})).unwrap();
    assert_eq!(passing(&fixture, &not).await, BTreeSet::from([documents[0].id]));
}

pub async fn large_filter_is_answered(stores: &Stores) {
    let metadata = Map::from_iter([("a".to_owned(), json!(7)), ("b".to_owned(), json!("v9"))]);
    let (fixture, documents) = shelf_of(stores, vec![metadata]).await;
    let keys = vec!["k"; 100].join(".");
    let many: Vec<Value> = (0..1_000).map(|n| json!(format!("v{n}"))).collect();
    let mut all: Vec<Value> =
        (0..99).map(|_| json!({"not": {"contains": {"field": keys, "value": 1}}})).collect();
    all.truncate(90);
    all.push(json!({"in": {"field": "b", "values": many}}));
    let filter: Filter = serde_json::from_value(json!({ "and": all })).unwrap();
    filter.check().unwrap();
    assert_eq!(passing(&fixture, &filter).await, BTreeSet::from([documents[0].id]));
}
