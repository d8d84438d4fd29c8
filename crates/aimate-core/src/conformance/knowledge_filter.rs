use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use aimate_index::analysis::analyze_query;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::knowledge_world::{EAST, Fixture, document};
use crate::knowledge::{Document, Filter, FilterSubject, SearchScope};
use crate::testing::property::{STRINGS, filter, holds_for, metadata};
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

pub async fn sec_t10_filters_mean_the_same_in_every_store(stores: &Stores) {
    let mut runner = TestRunner::deterministic();
    let all = (0..30).map(|_| metadata().new_tree(&mut runner).unwrap().current()).collect();
    let (fixture, documents) = shelf_of(stores, all).await;
    let passed = AtomicUsize::new(0);
    holds_for(300, filter(), async |filter| {
        filter.check().map_err(|error| error.to_string())?;
        let (found, expected) = (passing(&fixture, &filter).await, expected(&documents, &filter));
        passed.fetch_add(found.len(), Ordering::Relaxed);
        if found == expected { Ok(()) } else { Err(format!("{found:?} pass; {expected:?} should")) }
    })
    .await;
    // The cases are fair: filters tell documents apart.
    let passed = passed.into_inner();
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

pub async fn sec_t10_filters_hold_no_sql(stores: &Stores) {
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
