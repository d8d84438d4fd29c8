//! Documents into the engine, against rows into a bare table.

use super::super::{Bench, Store};
use super::by_hand::ByHand;
use super::child::{self, Arguments, Ingested, Work};
use super::data::Space;
use super::fts::Fts;
use super::random::Random;
use super::words::Vocabulary;
use crate::Result;
use crate::report::{Report, Short};

/// Chunks a second that must be reached.
const GOAL: f64 = 5_000.0;
/// Characters of a row of the baselines.
const ROW: usize = 1_000;

/// Rows a second of the baseline.
struct Limit {
    with_vectors: f64,
    text_only: f64,
}

pub(in super::super) async fn run(bench: &Bench, report: &mut Report) -> Result {
    let chunks = bench.sizes.chunks;
    let (vocabulary, mut random) = (Vocabulary::new(), Random::new(1));
    let text = |_| {
        let mut text = String::with_capacity(ROW + 1_000);
        vocabulary.paragraphs(&mut random, ROW, &mut text);
        text.truncate(ROW);
        text
    };
    let texts: Vec<String> = (0..chunks).map(text).collect();
    let vectors = Space::new(4_096).vectors(1, 4_096);
    let mut rows = Vec::new();
    let mut goals = Vec::new();
    for store in bench.databases() {
        let limit = limit(bench, store, &texts, &vectors).await?;
        for (text_only, limit) in [(false, limit.with_vectors), (true, limit.text_only)] {
            let name = format!("ingest-{text_only}-{}", store.name());
            let arguments = Arguments {
                work: Work::Ingest { chunks, text_only },
                database: bench.database(store, &name).await?,
                blobs: bench.folder.join(&format!("{name}-blobs")),
            };
            let done: Ingested = child::start(&arguments).await?;
            let per_second = done.chunks as f64 / done.seconds;
            let what = if text_only { "text only" } else { "with vectors" };
            eprintln!("ingest, {}, {what}: {}/s", store.title(), Short(per_second.round()));
            rows.push(row(store, what, &done, limit));
            rows.push(limit_row(store, what, limit));
            goals.push((format!("ingest, {}, {what}: chunks a second", store.title()), per_second));
        }
    }
    report.table(
        &format!("Ingest of about {chunks} chunks, without the time of an embedder"),
        &["store", "", "", "chunks a second", "MB a second", "of the limit", "cores", "idle MB", "peak MB"],
        &rows,
    );
    report.note(
        "The limit is SQL by hand of the same number of rows of 1,000 characters: PostgreSQL, one binary COPY of id, \
         text and halfvec(384) into a table without an index; SQLite, prepared INSERTs in one transaction. \
         Both databases sync what is committed (PostgreSQL fsync and synchronous_commit on; SQLite WAL, synchronous=FULL).",
    );
    for (name, per_second) in goals {
        report.at_least(name, per_second.round(), GOAL, "");
    }
    Ok(())
}

fn row(store: Store, what: &str, done: &Ingested, limit: f64) -> Vec<String> {
    let per_second = done.chunks as f64 / done.seconds;
    vec![
        store.title().to_owned(),
        what.to_owned(),
        format!("aimate, {} chunks of {} documents", done.chunks, done.documents),
        Short(per_second.round()).to_string(),
        Short(done.bytes as f64 / 1e6 / done.seconds).to_string(),
        format!("{:.0}%", 100.0 * per_second / limit),
        format!("{:.2}", done.cpu_seconds / done.seconds),
        format!("{:.0}", done.idle_kib as f64 / 1024.0),
        format!("{:.0}", done.peak_kib as f64 / 1024.0),
    ]
}

fn limit_row(store: Store, what: &str, limit: f64) -> Vec<String> {
    let mut row = vec![
        store.title().to_owned(),
        what.to_owned(),
        "limit: SQL by hand".to_owned(),
        Short(limit.round()).to_string(),
        Short(limit * ROW as f64 / 1e6).to_string(),
        "100%".to_owned(),
    ];
    row.resize(9, String::new());
    row
}

async fn limit(bench: &Bench, store: Store, texts: &[String], vectors: &[Vec<f32>]) -> Result<Limit> {
    let per_second = |time: std::time::Duration| texts.len() as f64 / time.as_secs_f64();
    match store {
        Store::Postgres => {
            let hand = ByHand::connect(&bench.database(store, "ingest-limit").await?).await?;
            Ok(Limit {
                with_vectors: per_second(hand.copy(texts, Some(vectors)).await?),
                text_only: per_second(hand.copy(texts, None).await?),
            })
        }
        Store::Sqlite => tokio::task::block_in_place(|| {
            let mut fts = Fts::open(&bench.folder.join("ingest-limit.db"))?;
            Ok(Limit {
                with_vectors: per_second(fts.insert(texts, Some(vectors))?),
                text_only: per_second(fts.insert(texts, None)?),
            })
        }),
    }
}
