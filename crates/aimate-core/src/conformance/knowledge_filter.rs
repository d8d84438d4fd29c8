use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use aimate_index::analysis::analyze_query;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::knowledge_world::{EAST, Fixture, document};
use super::world::at;
use crate::knowledge::{Document, DocumentMove, Filter, FilterSubject, SearchScope};
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

/// Gives documents other metadata.
async fn change(fixture: &Fixture<'_>, documents: &mut [Document], metadata: Vec<Map<String, Value>>) {
    for (document, metadata) in documents.iter_mut().zip(metadata) {
        let attachments = &fixture.stores.attachments;
        *document = attachments.set_metadata(&fixture.me, document.id, &metadata, at(30)).await.unwrap();
    }
}

pub async fn changed_documents_are_filtered_by_what_they_are_now(stores: &Stores) {
    let mut runner = TestRunner::deterministic();
    let mut some = |count| -> Vec<Map<String, Value>> {
        (0..count).map(|_| metadata().new_tree(&mut runner).unwrap().current()).collect()
    };
    let (fixture, mut documents) = shelf_of(stores, some(24)).await;
    let agree = async |documents: &[Document]| {
        holds_for(60, filter(), async |filter| {
            let (found, expected) = (passing(&fixture, &filter).await, expected(documents, &filter));
            if found == expected { Ok(()) } else { Err(format!("{found:?} pass; {expected:?} should")) }
        })
        .await;
    };
    change(&fixture, &mut documents[..9], some(9)).await;
    let moved = &documents[8..12];
    let moves: Vec<_> = moved
        .iter()
        .map(|moved| DocumentMove {
            id: moved.id,
            name: format!("b{}", moved.name),
            source: moved.id.to_string(),
        })
        .collect();
    stores.documents.rename(&fixture.me, &moves, at(31)).await.unwrap();
    // Added again: its old version is what is found.
    let new = Document {
        source: documents[20].source.clone(),
        metadata: some(1).remove(0),
        ..document(fixture.collection, "again")
    };
    fixture.add_this(&new).await;
    for document in &mut documents {
        *document = fixture.get(document.id).await;
    }
    agree(&documents).await;
    while stores.index.merge(&fixture.me, fixture.collection).await.unwrap() {}
    agree(&documents).await;
    change(&fixture, &mut documents[4..5], some(1)).await;
    agree(&documents).await;
    let fence = fixture.fence(documents[20].id).await;
    fixture.publish(fence, &["apple"]).await;
    documents[20] = fixture.get(documents[20].id).await;
    stores.documents.delete(&fixture.me, &[documents[3].id]).await.unwrap();
    documents.remove(3);
    agree(&documents).await;
}

pub async fn changes_are_not_lost_while_segments_are_written_anew(stores: &Stores) {
    let numbered = |n: usize| Map::from_iter([("n".to_owned(), json!(n))]);
    let (fixture, mut documents) = shelf_of(stores, (0..12).map(numbered).collect()).await;
    let filter: Filter = serde_json::from_value(json!({"range": {"field": "n", "gte": 100}})).unwrap();
    for round in 1..6 {
        let merge = async {
            for _ in 0..6 {
                // Somebody else may always be faster.
                let _ = stores.index.merge(&fixture.me, fixture.collection).await;
            }
        };
        let changes = (0..12).map(|n| numbered(if (n + round) % 2 == 0 { 100 + n } else { n })).collect();
        let change = change(&fixture, &mut documents, changes);
        tokio::join!(merge, change);
        assert_eq!(passing(&fixture, &filter).await, expected(&documents, &filter), "{round}");
    }
}

pub async fn long_texts_are_filtered(stores: &Stores) {
    let long = "a".repeat(300);
    let all =
        [json!(long), json!(format!("{long}needle")), json!("needle"), json!([long, "needle"]), json!("b")];
    let all = all.map(|value| Map::from_iter([("t".to_owned(), value)])).to_vec();
    let (fixture, documents) = shelf_of(stores, all).await;
    let tests = [
        (json!({"contains": {"field": "t", "value": "needle"}}), vec![1, 2, 3]),
        (json!({"contains": {"field": "t", "value": long}}), vec![0, 1, 3]),
        (json!({"eq": {"field": "t", "value": long}}), vec![0]),
        (json!({"eq": {"field": "t", "value": "a".repeat(256)}}), vec![]),
        (json!({"in": {"field": "t", "values": [long, "b"]}}), vec![0, 4]),
        (json!({"range": {"field": "t", "gt": long}}), vec![1, 2, 4]),
        (json!({"range": {"field": "t", "gte": "a", "lt": "b"}}), vec![0, 1]),
        (json!({"range": {"field": "t", "gt": "a".repeat(256), "lte": "b"}}), vec![0, 1, 4]),
        (json!({"not": {"contains": {"field": "t", "value": "x"}}}), vec![0, 1, 2, 3, 4]),
        (json!({"exists": {"field": "t"}}), vec![0, 1, 2, 3, 4]),
    ];
    for (filter, places) in tests {
        let filter: Filter = serde_json::from_value(filter).unwrap();
        let ids: BTreeSet<_> = places.iter().map(|place: &usize| documents[*place].id).collect();
        assert_eq!(expected(&documents, &filter), ids, "{filter:?}");
        assert_eq!(passing(&fixture, &filter).await, ids, "{filter:?}");
    }
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
