//! The index answers the same however its content came about, on both
//! databases.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "these are tests"
)]

mod support;

use std::collections::BTreeMap;

use aimate_core::knowledge::{
    EmbeddingSpace, Filter, RankedChunks, ScoredChunk, SearchScope, SpaceStatus, SpaceVectors,
};
use aimate_core::{ChunkId, DocumentId, ErrorKind, SpaceId, Stores};
use aimate_index::analysis::analyze_query;
use aimate_store::Options;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use support::knowledge::{self, Fixture, Random, document_id, number_of};
use uuid::Uuid;

/// What a collection holds: the texts of its documents.
type Content = BTreeMap<u128, Vec<String>>;

fn texts(random: &mut Random) -> Vec<String> {
    (0..random.below(6)).map(|_| random.text(30)).collect()
}

/// Changes `fixture` at random, together with what it is expected to hold.
async fn shuffle(fixture: &Fixture<'_>, random: &mut Random, content: &mut Content) {
    for round in 0..40 {
        let batch: Content =
            (0..1 + random.below(8)).map(|_| (random.below(60) as u128 + 1, texts(random))).collect();
        fixture.publish(&batch).await;
        content.extend(batch);
        if random.below(3) == 0 {
            let gone: Vec<u128> = content.keys().copied().filter(|_| random.below(6) == 0).collect();
            content.retain(|document, _| !gone.contains(document));
            let ids: Vec<DocumentId> = gone.iter().map(|id| document_id(*id)).collect();
            let blobs = fixture.stores.documents.delete(&fixture.me, &ids).await.unwrap();
            assert_eq!(blobs.len(), ids.len());
        }
        if round % 4 == 0 {
            fixture.stores.index.merge(&fixture.me, fixture.collection).await.unwrap();
        }
    }
}

/// Every answer of the shelf to some questions.
async fn answers(fixture: &Fixture<'_>) -> Vec<RankedChunks> {
    let mut random = Random(99);
    let mut legs = Vec::new();
    let even = Filter::Contains { field: "$name".into(), value: "even".into() };
    for filter in [None, Some(even)] {
        let target = SearchScope { collections: vec![fixture.collection], filter };
        for _ in 0..30 {
            let question = random.text(4);
            let terms = analyze_query(&question);
            let found = fixture.stores.index.find_text(&fixture.me, &target, &terms, 10);
            legs.push(found.await.unwrap());
            if legs.len() == 7 {
                // Its blocks are too many to hold.
                let long = analyze_query(&random.text(3_000));
                legs.push(fixture.stores.index.find_text(&fixture.me, &target, &long, 10).await.unwrap());
            }
            let query = knowledge::vector(&question);
            let found =
                fixture.stores.index.find_vector(&fixture.me, &target, &[fixture.space], &query, 10).await;
            legs.push(found.unwrap());
        }
    }
    legs
}

fn ids(legs: &[RankedChunks]) -> Vec<(Vec<ChunkId>, u64, u64)> {
    legs.iter()
        .map(|leg| (leg.best.iter().map(|best| best.chunk).collect(), leg.chunks, leg.filtered))
        .collect()
}

/// Changes a collection for a while; its answers are those of another that is
/// given the result at once.
async fn changed_is_as_fresh(stores: &Stores) -> Vec<RankedChunks> {
    let (mut random, mut content) = (Random(7), Content::new());
    let fixture = Fixture::new(stores, 1).await;
    shuffle(&fixture, &mut random, &mut content).await;
    let changed = answers(&fixture).await;
    let full = changed.iter().filter(|leg| leg.best.len() == 10).count();
    assert!(full >= 60, "{full}");
    assert_eq!(stores.maintenance.orphans(false).await.unwrap(), Vec::<String>::new());
    stores.collections.delete(&fixture.me, fixture.collection).await.unwrap();
    assert_eq!(stores.maintenance.orphans(false).await.unwrap(), Vec::<String>::new());

    let fresh = Fixture::of(stores, fixture.world, 2).await;
    fresh.publish(&content).await;
    let expected = answers(&fresh).await;
    assert_eq!(changed, expected);
    changed
}

#[tokio::test]
async fn changed_index_answers_as_a_fresh_one() {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let expected = changed_is_as_fresh(&store.stores()).await;
    store.close().await;
    let folder = support::Folder::new();
    let options = Options { index_cache: 0, ..Options::default() };
    let store = aimate_store::connect_with(&folder.url(), options).await.unwrap();
    assert_eq!(changed_is_as_fresh(&store.stores()).await, expected);
    store.close().await;
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        let legs = changed_is_as_fresh(&store.stores()).await;
        store.close().await;
        // Both compute sums of their own.
        assert_eq!(ids(&legs), ids(&expected));
        let scores = |legs: &[RankedChunks]| -> Vec<ScoredChunk> {
            legs.iter().flat_map(|leg| leg.best.clone()).collect()
        };
        for (one, other) in scores(&legs).iter().zip(&scores(&expected)) {
            assert!((one.score - other.score).abs() < 1e-5, "{one:?} {other:?}");
        }
    })
    .await;
}

/// An application's database may keep its text so; vectors do not come through as text there.
#[tokio::test]
async fn database_in_utf_16_answers_the_same() {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let expected = changed_is_as_fresh(&store.stores()).await;
    store.close().await;
    let folder = support::Folder::new();
    let mut connection = SqliteConnection::connect(&format!("{}?mode=rwc", folder.url())).await.unwrap();
    let empty = "PRAGMA encoding = 'UTF-16le'; CREATE TABLE first (id); DROP TABLE first";
    connection.execute(empty).await.unwrap();
    let encoding: String = sqlx::query_scalar("PRAGMA encoding").fetch_one(&mut connection).await.unwrap();
    assert_eq!(encoding, "UTF-16le");
    connection.close().await.unwrap();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    assert_eq!(changed_is_as_fresh(&store.stores()).await, expected);
    store.close().await;
}

/// As a migration leaves them, or one that was not taken along when segments were merged.
#[tokio::test]
async fn documents_whose_segment_knows_nothing_of_them_are_filtered_by_what_they_are() {
    use aimate_core::conformance::knowledge_world;
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    let stores = store.stores();
    let shelf = knowledge_world::Fixture::new(&stores).await;
    shelf.ready("one", &["an apple"]).await;
    shelf.ready("two", &["another apple"]).await;
    let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
    let secret =
        "UPDATE documents SET indexed_version = -1, metadata = '{\"level\":\"secret\"}' WHERE name = 'two'";
    session.execute(secret).await.unwrap();
    for (filter, found) in [
        (json!({"not": {"eq": {"field": "level", "value": "secret"}}}), vec!["an apple"]),
        (json!({"not": {"exists": {"field": "level"}}}), vec!["an apple"]),
        (json!({"eq": {"field": "level", "value": "secret"}}), vec!["another apple"]),
        (json!({"range": {"field": "level", "gte": "a", "gt": "b"}}), vec!["another apple"]),
    ] {
        let filter = Some(serde_json::from_value(filter.clone()).unwrap());
        let target = SearchScope { filter, ..shelf.target() };
        assert_eq!(shelf.found(&shelf.me, &target, "apple").await, found, "{target:?}");
    }
    store.close().await;
}

async fn races(stores: &Stores) {
    let fixture = Fixture::new(stores, 1).await;
    let first: Content = (1..=30).map(|id| (id, vec![format!("word{id} old"), "same".into()])).collect();
    fixture.publish(&first).await;
    // All are in one segment, which everybody wants to replace.
    let fences = fixture.fences(1..=6).await;
    let replace = join_all(fences.into_iter().map(|fence| {
        let (fixture, id) = (&fixture, number_of(fence.document));
        async move {
            fixture.publish_fenced(&[fence], &Content::from([(id, vec![format!("word{id} new")])])).await;
        }
    }));
    let delete = join_all((7..=12_u128).map(|id| {
        let fixture = &fixture;
        async move {
            let ids = [document_id(id)];
            loop {
                match fixture.stores.documents.delete(&fixture.me, &ids).await {
                    Ok(blobs) => break assert_eq!(blobs.len(), 1),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
                }
            }
        }
    }));
    tokio::join!(replace, delete);
    let found = async |question: &str| {
        let target = SearchScope { collections: vec![fixture.collection], filter: None };
        let leg = stores.index.find_text(&fixture.me, &target, &analyze_query(question), 100).await.unwrap();
        leg.best.len()
    };
    assert_eq!((found("old").await, found("new").await, found("same").await), (18, 6, 18));
    assert_eq!(stores.maintenance.orphans(false).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_moment_are_all_there() {
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    races(&store.stores()).await;
    store.close().await;
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        races(&store.stores()).await;
        store.close().await;
    })
    .await;
}

/// A space is built and made active while documents come and go and segments
/// are put together: at every moment each search finds everything there is.
async fn switches(stores: &Stores) {
    let fixture = Fixture::new(stores, 1).await;
    let first: Content = (1..=40).map(|id| (id, vec![format!("text {id}")])).collect();
    fixture.publish(&first).await;
    let second = EmbeddingSpace {
        id: SpaceId(Uuid::from_u128(500)),
        status: SpaceStatus::Building,
        ..stores.spaces.list(&fixture.me, fixture.collection).await.unwrap().remove(0)
    };
    stores.spaces.create(&fixture.me, &second).await.unwrap();
    let build = async {
        loop {
            let missing = stores.spaces.missing_vectors(&fixture.me, second.id, 7).await.unwrap();
            let vectors = missing
                .iter()
                .map(|one| (one.chunk.id, one.chunk.document_id, knowledge::vector(&one.chunk.text)))
                .collect::<Vec<_>>();
            let done = vectors.is_empty();
            stores.spaces.fill(&fixture.me, &SpaceVectors { space: second.id, vectors }).await.unwrap();
            if done && stores.spaces.activate(&fixture.me, second.id).await.unwrap() {
                break;
            }
        }
    };
    let change = async {
        for id in 41..=70 {
            fixture.publish(&Content::from([(id, vec![format!("text {id}")])])).await;
            stores.index.merge(&fixture.me, fixture.collection).await.unwrap();
        }
    };
    tokio::join!(build, change);
    let target = SearchScope { collections: vec![fixture.collection], filter: None };
    let query = knowledge::vector("text 3");
    let leg = stores.index.find_vector(&fixture.me, &target, &[second.id], &query, 100).await.unwrap();
    assert_eq!((leg.best.len(), leg.chunks), (70, 70));
    assert!((leg.best[0].score - 1.0).abs() < 1e-3);
}

#[tokio::test(flavor = "multi_thread")]
async fn space_switches_under_load() {
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    switches(&store.stores()).await;
    store.close().await;
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        switches(&store.stores()).await;
        store.close().await;
    })
    .await;
}
