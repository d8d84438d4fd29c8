//! How fast documents become findable and are found, for benches/README.md:
//! `cargo test --release -p aimate-store --test search -- --ignored --nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "these are tests"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aimate_core::conformance::knowledge_world::chunks;
use aimate_core::conformance::world::{World, at};
use aimate_core::knowledge::{Filter, Publication, PublishedDocument, SearchScope, SpaceVectors};
use aimate_core::{ChunkId, Stores};
use aimate_index::analysis::analyze_query;
use aimate_store::Store;
use sqlx::Connection as _;
use support::knowledge::{Fixture, Random, unit};

const DIMENSIONS: usize = 384;
const BATCH: usize = 500;
const CHUNKS_OF_DOCUMENT: usize = 10;

/// Vectors around centres, as those of texts about some subjects are.
struct Vectors {
    random: Random,
    centres: Vec<Vec<f32>>,
}

impl Vectors {
    fn new() -> Self {
        let mut random = Random(5);
        let centres = (0..1000).map(|_| (0..DIMENSIONS).map(|_| random.number()).collect()).collect();
        Self { random, centres }
    }

    fn next(&mut self) -> Vec<f32> {
        let Self { random, centres } = self;
        let centre = &centres[random.below(1000) as usize];
        unit(centre.iter().map(|number| number + 0.8 * random.number()).collect())
    }
}

fn text(random: &mut Random) -> String {
    let mut text = String::with_capacity(1100);
    while text.len() < 1000 {
        // As frequent as words are: the nth every nth time.
        let rank = (random.below(1 << 20) as f64 / f64::from(1 << 20) * 10.8).exp() as u64;
        text.push_str(&format!("word{rank} "));
    }
    text
}

/// Seconds of CPU that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

fn percentiles(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |at: usize| times[at].as_secs_f64() * 1e3;
    println!("{name:44} p50 {:7.2} ms  p95 {:7.2} ms", ms(times.len() / 2), ms(times.len() * 95 / 100));
}

/// Publishes `count` chunks; their vectors by id.
async fn fill(fixture: &Fixture<'_>, count: usize) -> BTreeMap<ChunkId, Vec<f32>> {
    let (mut vectors, mut random) = (Vectors::new(), Random(11));
    let mut all = BTreeMap::new();
    let (mut publishing_cpu, mut merging_cpu) = (0.0, 0.0);
    let (mut publishing, mut merging, mut longest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for batch in 0..count / BATCH {
        let first = (batch * BATCH / CHUNKS_OF_DOCUMENT) as u128 + 1;
        let fences = fixture.fences(first..first + (BATCH / CHUNKS_OF_DOCUMENT) as u128).await;
        let mut documents = Vec::new();
        let mut rows = Vec::new();
        for fence in fences {
            let texts: Vec<String> = (0..CHUNKS_OF_DOCUMENT).map(|_| text(&mut random)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let chunks = chunks(fence.document, &texts);
            rows.extend(chunks.iter().map(|new| (new.chunk.id, fence.document, vectors.next())));
            documents.push(PublishedDocument {
                fence,
                title: "title".into(),
                media_type: "text/plain".into(),
                warnings: Vec::new(),
                chunks,
            });
        }
        all.extend(rows.iter().map(|(chunk, _, vector)| (*chunk, vector.clone())));
        let publication = Publication {
            collection: fixture.collection,
            documents,
            vectors: vec![SpaceVectors { space: fixture.space, vectors: rows }],
            now: at(20),
        };
        let (begun, used) = (Instant::now(), cpu());
        fixture.stores.ingest.publish(&fixture.me, &publication).await.unwrap();
        publishing += begun.elapsed();
        publishing_cpu += cpu() - used;
        let (begun, used) = (Instant::now(), cpu());
        while fixture.stores.index.merge(&fixture.me, fixture.collection).await.unwrap() {}
        merging += begun.elapsed();
        merging_cpu += cpu() - used;
        longest = longest.max(begun.elapsed());
    }
    println!(
        "{count} chunks: published {:.0}/s, with merging {:.0}/s; the longest merge {:.0} ms",
        count as f64 / publishing.as_secs_f64(),
        count as f64 / (publishing + merging).as_secs_f64(),
        longest.as_secs_f64() * 1e3
    );
    let each = 1e6 / count as f64;
    println!("cpu: publishing {:.0} µs a chunk, merging {:.0} µs", publishing_cpu * each, merging_cpu * each);
    all
}

async fn search(stores: &Stores, fixture: &Fixture<'_>, name: &str, times: usize, target: &SearchScope) {
    let (mut vectors, mut random) = (Vectors::new(), Random(77));
    let mut taken = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..times {
        let query = vectors.next();
        let mut word = |first: u64, last: u64| format!("word{} ", first + random.below(last - first));
        let frequent = word(20, 300) + &word(20, 300) + &word(20, 300);
        let rare = word(300, 3000) + &word(300, 3000) + &word(300, 3000);
        let begun = Instant::now();
        stores.index.find_vector(&fixture.me, target, &[fixture.space], &query, 10).await.unwrap();
        taken[0].push(begun.elapsed());
        for (question, taken) in [frequent, rare].into_iter().zip(&mut taken[1..]) {
            let begun = Instant::now();
            stores.index.find_text(&fixture.me, target, &analyze_query(&question), 10).await.unwrap();
            taken.push(begun.elapsed());
        }
    }
    let [vector, frequent, rare] = taken;
    percentiles(&format!("{name}: vector"), vector);
    percentiles(&format!("{name}: 3 frequent words"), frequent);
    percentiles(&format!("{name}: 3 rarer words"), rare);
}

async fn recall(
    stores: &Stores,
    fixture: &Fixture<'_>,
    target: &SearchScope,
    all: &BTreeMap<ChunkId, Vec<f32>>,
) {
    let mut vectors = Vectors::new();
    let (mut found, mut expected) = (0, 0);
    for _ in 0..50 {
        let query = vectors.next();
        let mut exact: Vec<(f32, ChunkId)> = all
            .iter()
            .map(|(id, vector)| (vector.iter().zip(&query).map(|(one, other)| one * other).sum(), *id))
            .collect();
        exact.select_nth_unstable_by(10, |one, other| other.0.total_cmp(&one.0));
        let leg = stores.index.find_vector(&fixture.me, target, &[fixture.space], &query, 10).await.unwrap();
        expected += 10;
        found += exact[..10].iter().filter(|(_, id)| leg.best.iter().any(|best| best.chunk == *id)).count();
    }
    println!("recall@10 {:.4}", f64::from(found as u32) / f64::from(expected));
}

/// `open` opens the store anew, with nothing in its cache.
async fn measure(open: impl AsyncFn() -> Store, forget: impl AsyncFn(&Store)) {
    #[expect(clippy::disallowed_methods, reason = "who measures says how much")]
    let count = std::env::var("CHUNKS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let store = open().await;
    let stores = store.stores();
    let fixture = Fixture::sized(&stores, World::new(&stores).await, 1, DIMENSIONS).await;
    let all = fill(&fixture, count).await;
    let target = SearchScope { collections: vec![fixture.collection], filter: None };
    let filtered = |filter| SearchScope { filter: Some(filter), ..target.clone() };
    let even = filtered(Filter::Contains { field: "$name".into(), value: "even".into() });
    let few = filtered(Filter::Eq { field: "group".into(), value: 7.into() });
    let range = Filter::Range {
        field: "number".into(),
        gt: None,
        gte: Some(0.into()),
        lt: Some(100.into()),
        lte: None,
    };
    let first = filtered(range);

    let cold = open().await;
    search(&cold.stores(), &fixture, "cold", 1, &target).await;
    search(&cold.stores(), &fixture, "warm", 100, &target).await;
    search(&cold.stores(), &fixture, "half pass", 30, &even).await;
    search(&cold.stores(), &fixture, "1 % pass", 100, &few).await;
    search(&cold.stores(), &fixture, "100 documents pass by a range", 100, &first).await;
    forget(&cold).await;
    search(&cold.stores(), &fixture, "1 % pass by SQL", 30, &few).await;
    let begun = Instant::now();
    while cold.stores().index.merge(&fixture.me, fixture.collection).await.unwrap() {}
    println!("attributes of all documents anew: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    search(&cold.stores(), &fixture, "1 % pass again", 100, &few).await;
    recall(&cold.stores(), &fixture, &target, &all).await;
    cold.close().await;

    for (name, words) in [("replacing", 1_u128), ("replacing another", 2)] {
        let begun = Instant::now();
        let texts = ["a new text".to_owned()];
        let fences = fixture.fences(std::iter::once(words)).await;
        let published = begun.elapsed();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let chunks = chunks(fences[0].document, &texts);
        let vectors = chunks
            .iter()
            .map(|new| (new.chunk.id, new.chunk.document_id, all.values().next().unwrap().clone()))
            .collect();
        let publication = Publication {
            collection: fixture.collection,
            documents: vec![PublishedDocument {
                fence: fences[0],
                title: "title".into(),
                media_type: "text/plain".into(),
                warnings: Vec::new(),
                chunks,
            }],
            vectors: vec![SpaceVectors { space: fixture.space, vectors }],
            now: at(20),
        };
        stores.ingest.publish(&fixture.me, &publication).await.unwrap();
        let took = begun.elapsed() - published;
        println!("{name} one document: {:.0} ms", took.as_secs_f64() * 1e3);
    }
    store.close().await;
}

/// Documents whose attributes no segment has.
const FORGET: &str = "UPDATE documents SET indexed_version = -1";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn sqlite() {
    let folder = support::Folder::new();
    let forget = async |_: &Store| {
        let mut session = sqlx::SqliteConnection::connect(&folder.url()).await.unwrap();
        sqlx::query(FORGET).execute(&mut session).await.unwrap();
    };
    measure(async || aimate_store::connect(&folder.url()).await.unwrap(), forget).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn postgres() {
    support::on_each_server(async |schema| {
        let forget = async |_: &Store| {
            sqlx::query(FORGET).execute(&mut schema.session().await).await.unwrap();
        };
        measure(async || support::connected(schema).await, forget).await;
    })
    .await;
}
