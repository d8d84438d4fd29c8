//! Searches of the engine, of SQL by hand, and of other frameworks, on the same
//! chunks, vectors and questions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::knowledge::{Filter, SearchMode, SearchRequest};
use serde_json::Value;

use super::super::{Bench, Store};
use super::by_hand::{ByHand, Way};
use super::child::{self, Arguments, First, Work};
use super::data::{Data, HITS, KEPT, Question};
use super::frameworks::{self, Framework, Frameworks};
use super::fts::Fts;
use super::measure::{Measured, measure};
use super::shelf::{COLLECTION, Precomputed, Shelf, fill};
use crate::Result;
use crate::load::{Millis, Spread};
use crate::report::{Report, Short, chain};

/// Chunks up to which HNSW is built and other frameworks are measured.
const MAX_COMPARED: usize = 100_000;

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Vector,
    Frequent,
    Mid,
    Long,
    Hybrid,
}

const KINDS: [Kind; 5] = [Kind::Vector, Kind::Frequent, Kind::Mid, Kind::Long, Kind::Hybrid];

/// One measured way to search.
struct Row {
    store: Store,
    kind: Kind,
    filtered: bool,
    who: String,
    is_aimate: bool,
    p50: Millis,
    p95: Millis,
    p99: Millis,
    /// Of aimate: the time in its store, without what the engine does around it.
    leg: Option<Millis>,
    recall: Option<f64>,
}

/// Everything about one number of chunks.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    /// Who, rows a second, whether it is aimate, on which store.
    fills: Vec<(Store, String, f64, bool)>,
    cold: Vec<Vec<String>>,
    failed: Vec<String>,
}

pub(in super::super) async fn run(bench: &Bench, report: &mut Report) -> Result {
    let python = match &bench.postgres {
        Some(_) if !bench.sizes.no_frameworks => Some(frameworks::install().await),
        _ => None,
    };
    for size in &bench.sizes.sizes {
        let questions = if *size > MAX_COMPARED { 100 } else { 200 };
        let size = *size;
        let data = tokio::task::spawn_blocking(move || Arc::new(Data::new(size, questions))).await?;
        let mut found = Found::default();
        for store in bench.databases() {
            eprintln!("search, {} chunks, {}", data.len(), store.title());
            engine(bench, store, &data, &mut found).await?;
            let baseline = match store {
                Store::Sqlite => fts(bench, &data, &mut found).await,
                Store::Postgres => by_hand(bench, &data, &mut found).await,
            };
            if let Err(error) = baseline {
                found.failed.push(format!("SQL by hand on {} broke off: {}", store.title(), chain(&*error)));
            }
        }
        if let Some(python) = &python
            && data.len() <= MAX_COMPARED
        {
            eprintln!("search, {} chunks, other frameworks", data.len());
            let measured = match python {
                Ok(python) => compare(bench, python, &data).await,
                Err(error) => Err(error.to_string().into()),
            };
            let measured = measured.unwrap_or_else(|error| Frameworks::none(&*error));
            measured.stores.into_iter().for_each(|store| found.add_framework(store));
        }
        found.report(data.len(), report);
    }
    Ok(())
}

fn max(bench: &Bench) -> Duration {
    Duration::from_secs(bench.seconds)
}

/// The engine on a store: filled, then every search, then the first one of a
/// new process.
async fn engine(bench: &Bench, store: Store, data: &Arc<Data>, found: &mut Found) -> Result {
    let name = format!("search-{}-{}", data.len(), store.name());
    let (database, blobs) =
        (bench.database(store, &name).await?, bench.folder.join(&format!("{name}-blobs")));
    let questions = data.questions.iter().map(|q| (q.long.join(" "), q.vector.clone()));
    let embedder = Precomputed::new(questions.collect());
    let shelf = Shelf::open(&database, &blobs, Some(embedder), Some(0)).await?;
    let filled = fill(&shelf, data).await?;
    let rate = data.len() as f64 / filled.time.as_secs_f64();
    found.fills.push((store, "aimate, published by the engine's port".to_owned(), rate, true));
    if store == Store::Postgres {
        ByHand::connect(&database).await?.vacuum().await?;
    }
    let knowledge = shelf.knowledge();
    for kind in KINDS {
        for filtered in [false, true] {
            let legs = RefCell::new(Vec::new());
            let ask = async |question: &Question| {
                let answer = knowledge.search(&kind.search(question, filtered)).await?;
                if let Some(warning) = answer.warnings.first() {
                    return Err(warning.clone().into());
                }
                let timings = answer.explain.unwrap_or_default().timings;
                let ms = timings.text_ms.max(timings.vector_ms);
                legs.borrow_mut().push((f64::from(ms) * 1e6) as u64);
                let place =
                    |hit: &aimate_core::knowledge::SearchHit| filled.places.get(&hit.chunk_id).copied();
                Ok(answer.hits.iter().filter_map(place).collect())
            };
            let measured = measure(&data.questions, filtered, max(bench), ask).await?;
            let leg = Spread::new(legs.take()).p50();
            found.add(store, kind, filtered, "aimate", measured, Some(leg));
        }
    }
    shelf.close().await;
    for mode in ["vector", "text", "hybrid"] {
        let arguments = Arguments {
            work: Work::Search { chunks: data.len(), mode: mode.to_owned() },
            database: database.clone(),
            blobs: blobs.clone(),
        };
        let first: First = child::start(&arguments).await?;
        let kind = match mode {
            "vector" => Kind::Vector,
            "text" => Kind::Long,
            _ => Kind::Hybrid,
        };
        let warm = found.aimate(store, kind, false).map(|row| row.p50.to_string());
        found.cold.push(vec![
            store.title().to_owned(),
            kind.title().to_owned(),
            Millis(first.open_ms).to_string(),
            Millis(first.search_ms).to_string(),
            warm.unwrap_or_default(),
        ]);
        if first.hits == 0 {
            return Err("the first search of a new process found nothing".into());
        }
    }
    Ok(())
}

async fn by_hand(bench: &Bench, data: &Data, found: &mut Found) -> Result {
    let store = Store::Postgres;
    let hand = ByHand::connect(&bench.database(store, &format!("hand-{}", data.len())).await?).await?;
    let time = hand.fill(data).await?;
    let rate = |time: Duration| data.len() as f64 / time.as_secs_f64();
    found.fills.push((store, "SQL by hand, COPY, then indexes (bits, GIN)".to_owned(), rate(time), false));
    let mut ways = vec![Way::Exact, Way::Bits, Way::Words, Way::Fused];
    if data.len() <= MAX_COMPARED {
        let graph = hand.build_hnsw().await?;
        let who = "SQL by hand, the same and HNSW after it".to_owned();
        found.fills.push((store, who, rate(time + graph), false));
        ways.push(Way::Hnsw);
    }
    for way in ways {
        for filtered in [false, true] {
            let prepared = hand.prepare(way, filtered).await?;
            for kind in KINDS.into_iter().filter(|kind| kind.is_of(way)) {
                let ask = async |question: &Question| {
                    hand.search(&prepared, &question.vector, kind.words(question)).await
                };
                let measured = measure(&data.questions, filtered, max(bench), ask).await?;
                found.add(store, kind, filtered, way.title(), measured, None);
            }
        }
    }
    Ok(())
}

async fn fts(bench: &Bench, data: &Data, found: &mut Found) -> Result {
    let path = bench.folder.join(&format!("fts-{}.db", data.len()));
    let (fts, time) = tokio::task::block_in_place(|| {
        let mut fts = Fts::open(&path)?;
        let time = fts.fill(data)?;
        Result::Ok((fts, time))
    })?;
    let rate = data.len() as f64 / time.as_secs_f64();
    found.fills.push((Store::Sqlite, "SQL by hand, FTS5 alone".to_owned(), rate, false));
    for kind in KINDS.into_iter().filter(|kind| kind.is_of(Way::Words)) {
        for filtered in [false, true] {
            let ask = async |question: &Question| {
                tokio::task::block_in_place(|| fts.search(kind.words(question), filtered))
            };
            let measured = measure(&data.questions, filtered, max(bench), ask).await?;
            found.add(Store::Sqlite, kind, filtered, "SQL by hand, FTS5, bm25", measured, None);
        }
    }
    Ok(())
}

async fn compare(bench: &Bench, python: &Path, data: &Arc<Data>) -> Result<Frameworks> {
    let folder = bench.folder.join(&format!("vectors-{}", data.len()));
    tokio::task::block_in_place(|| data.write(&folder))?;
    let database = bench.database(Store::Postgres, &format!("frameworks-{}", data.len())).await?;
    frameworks::measure(python, &database, &folder, bench.seconds as f64).await
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Frequent => "text, 3 frequent words",
            Self::Mid => "text, 3 less frequent words",
            Self::Long => "text, question of 12 words",
            Self::Hybrid => "hybrid, question of 12 words",
        }
    }

    fn words(self, question: &Question) -> &[String] {
        match self {
            Self::Frequent => &question.frequent,
            Self::Mid => &question.mid,
            Self::Vector | Self::Long | Self::Hybrid => &question.long,
        }
    }

    /// Whether a way by hand does it.
    fn is_of(self, way: Way) -> bool {
        match way {
            Way::Exact | Way::Bits | Way::Hnsw => self == Self::Vector,
            Way::Words => matches!(self, Self::Frequent | Self::Mid | Self::Long),
            Way::Fused => self == Self::Hybrid,
        }
    }

    fn search(self, question: &Question, filtered: bool) -> SearchRequest {
        let (mode, limit) = match self {
            Self::Vector => (SearchMode::Vector, HITS as u32),
            Self::Hybrid => (SearchMode::Hybrid, HITS as u32),
            Self::Frequent | Self::Mid | Self::Long => (SearchMode::Text, 20),
        };
        let filter = Filter::Eq { field: "bucket".to_owned(), value: Value::from(KEPT) };
        let mut request = SearchRequest::new(self.words(question).join(" "))
            .collections([COLLECTION])
            .mode(mode)
            .limit(limit);
        request.filter = filtered.then_some(filter);
        request.explain(true)
    }
}

impl Found {
    fn add(
        &mut self,
        store: Store,
        kind: Kind,
        filtered: bool,
        who: &str,
        measured: Measured,
        leg: Option<Millis>,
    ) {
        let Measured { spread, recall, count } = measured;
        let (p50, p95, p99) = (spread.p50(), spread.at(0.95), spread.p99());
        let filter = if filtered { "1 %" } else { "all" };
        eprintln!("  {}, {filter}, {who}: p50 {p50} ms of {count}", kind.title());
        let recall = (kind == Kind::Vector).then_some(recall);
        let (who, is_aimate) = (who.to_owned(), leg.is_some());
        self.rows.push(Row { store, kind, filtered, who, is_aimate, p50, p95, p99, leg, recall });
    }

    fn add_framework(&mut self, framework: Framework) {
        let Framework { title, error, rows, rows_per_second, searches } = framework;
        if let Some(error) = error {
            self.failed.push(format!("{title} could not be measured: {error}"));
            return;
        }
        let who = format!("{title}, {rows} rows through its interface");
        self.fills.push((Store::Postgres, who, rows_per_second, false));
        self.rows.extend(searches.into_iter().map(|searched| Row {
            store: Store::Postgres,
            kind: if searched.hybrid { Kind::Hybrid } else { Kind::Vector },
            filtered: searched.filtered,
            who: title.clone(),
            is_aimate: false,
            p50: Millis(searched.p50),
            p95: Millis(searched.p95),
            p99: Millis(searched.p99),
            leg: None,
            recall: searched.recall,
        }));
    }

    fn aimate(&self, store: Store, kind: Kind, filtered: bool) -> Option<&Row> {
        let of = |row: &&Row| (row.store, row.kind, row.filtered) == (store, kind, filtered);
        self.rows.iter().filter(of).find(|row| row.is_aimate)
    }

    fn report(&self, chunks: usize, report: &mut Report) {
        let rate: HashMap<_, _> =
            self.fills.iter().filter(|fill| fill.3).map(|fill| (fill.0.name(), fill.2)).collect();
        let fills = self.fills.iter().map(|(store, who, per_second, _)| {
            let ratio = rate.get(store.name()).map(|aimate| per_second / aimate);
            vec![
                store.title().to_owned(),
                who.clone(),
                Short(per_second.round()).to_string(),
                ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            ]
        });
        report.table(
            &format!("Putting {chunks} chunks and their vectors in"),
            &["store", "", "rows a second", "of aimate"],
            &fills.collect::<Vec<_>>(),
        );
        let stores = [Store::Sqlite, Store::Postgres].into_iter();
        let groups = stores.flat_map(|store| KINDS.into_iter().map(move |kind| (store, kind)));
        let mut rows = Vec::new();
        for (store, kind) in groups {
            for filtered in [false, true] {
                let of = |row: &&Row| (row.store, row.kind, row.filtered) == (store, kind, filtered);
                let aimate = self.aimate(store, kind, filtered).map(|row| row.p50);
                rows.extend(self.rows.iter().filter(of).map(|row| row.cells(aimate)));
            }
        }
        report.table(
            &format!("Searching {chunks} chunks, one client"),
            &[
                "store",
                "search",
                "in",
                "",
                "ms p50",
                "ms p95",
                "ms p99",
                "p50 of aimate's",
                "in its store, ms p50",
                "recall@10",
            ],
            &rows,
        );
        report.note(
            "One collection, vectors of 384 dimensions, 100 around a direction (1,000 directions at most), 60 to 150 words a chunk after Zipf's law, \
             10 chunks a document; 10 hits with their text (20 of a text search). Recall is against brute force over f32. \
             `p50 of aimate's`: how long it takes against aimate on the same database. SQL by hand uses one prepared \
             statement on one connection. The other frameworks have no vector index, as where nobody asks for one; \
             what of their rows did not come through their interface came by COPY. LangChain's hybrid search \
             looks for passages that have all words of the question, the others for any.",
        );
        for failed in &self.failed {
            report.note(failed);
        }
        report.table(
            &format!("The first search of a new process, {chunks} chunks"),
            &["store", "search", "opening, ms", "first search, ms", "later ones, ms p50"],
            &self.cold,
        );
    }
}

impl Row {
    fn cells(&self, aimate: Option<Millis>) -> Vec<String> {
        let ratio = aimate.map(|aimate| format!("{:.2}×", self.p50.0 / aimate.0));
        vec![
            self.store.title().to_owned(),
            self.kind.title().to_owned(),
            if self.filtered { "1 % of the documents" } else { "all" }.to_owned(),
            self.who.clone(),
            self.p50.to_string(),
            self.p95.to_string(),
            self.p99.to_string(),
            ratio.unwrap_or_default(),
            self.leg.map(|leg| leg.to_string()).unwrap_or_default(),
            self.recall.map(|recall| format!("{recall:.3}")).unwrap_or_default(),
        ]
    }
}
