//! `aimate eval`: how well search finds, on a test collection with known
//! answers.

mod compare;
mod data;
mod score;

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aimate::engine::Knowledge;
use aimate::knowledge::{
    Chunking, Collection, DocumentStatus, EmbeddingModel, NewCollection, NewDocument, SearchMode,
    SearchRequest,
};
use aimate::{DocumentId, Engine, Error, Result};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

use crate::config::Config;
use crate::embedder::Embedding;
use crate::reading::Reading;
use crate::reranker;
use crate::terminal::{counted, say};
use crate::wait::{Waiting, bar};
use compare::{Comparison, Difference, EarlierRun, Scores, compare};
use data::Dataset;
use score::{Score, mean, percentile, ranked, score};

/// Documents that are added beside each other.
const TOGETHER: usize = 8;
/// Characters of a question that are searched for: the most that search takes.
const MAX_QUERY: usize = 20_000;

/// What `eval` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct EvalArguments {
    /// A folder in the layout of BEIR: `corpus.jsonl`, `queries.jsonl`, and `qrels.tsv` or
    /// `qrels/test.tsv`
    #[arg(long, value_name = "DIR")]
    collection: PathBuf,
    /// A database for the documents, which are deleted from it in the end [default: a SQLite file that
    /// is deleted in the end]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Hits that are asked for; several of one document count once
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=200))]
    depth: u32,
    /// The data folder of that database: its servers look there for the documents' bytes
    #[arg(long, env = "AIMATE_DATA_DIR", default_value = "aimate-data")]
    data_dir: PathBuf,
    /// Measure `text`, `vector` or `hybrid` alone
    #[arg(long)]
    mode: Option<SearchMode>,
    /// A folder for the lists that were found, in the format of TREC
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Compare with what another search found: a folder that `--run-dir` wrote, or one file of it. Tells
    /// the differences with intervals of 95 %, by a paired bootstrap over the questions
    #[arg(long, value_name = "RUN")]
    compare: Option<PathBuf>,
    /// Characters of a chunk, of which it shares a fifth with the next [default: 1000]
    #[arg(long, value_name = "N")]
    chunk_size: Option<u32>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Hosts and networks that connections may reach although they are private
    #[arg(long, env = "AIMATE_ALLOW_PRIVATE", value_name = "HOSTS")]
    allow_private: Option<String>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    embedding: Embedding,
}

/// A folder that goes with the command.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let process = std::process::id();
        let mut options = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut options, 0o700);
        for n in 0_u32.. {
            let path = std::env::temp_dir().join(format!("aimate-eval-{process}-{n}"));
            match options.create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Somebody else's, or of a process that was killed.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let message = format!("cannot make {}: {error}", path.display());
                    return Err(Error::unavailable(message).with_source(error));
                }
            }
        }
        Err(Error::unavailable("there is no free name for a temporary folder"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Measures the search of the real engine.
pub(crate) async fn eval(arguments: EvalArguments) -> Result<()> {
    let dataset = Dataset::read(&arguments.collection)?;
    // First: what is wrong with it is not told after hours of reading.
    let before = arguments.compare.as_deref().map(|path| EarlierRun::read(path, &dataset)).transpose()?;
    let before = before.unwrap_or_default();
    if let Some(mode) = arguments.mode
        && !before.is_empty()
        && !before.iter().any(|before| before.mode.is_none_or(|other| other == mode))
    {
        return Err(Error::invalid(format!("the earlier run has no `{mode}.trec` to compare with")));
    }
    let scratch = Scratch::new()?;
    let is_own = arguments.database.as_ref().is_none_or(|url| url.is_empty());
    let config = Config {
        serves_others: false,
        database_direct: None,
        database_schema: None,
        table_prefix: None,
        row_level_security: false,
        database: arguments.database.clone().filter(|_| !is_own),
        data_dir: if is_own { scratch.0.clone() } else { arguments.data_dir.clone() },
        pool_size: None,
        database_timeout: 10_000,
        allow_private: arguments.allow_private.clone(),
        tool_servers: None,
        answer_bytes: 4 << 20,
        answer_seconds: 3_600,
        embedding: arguments.embedding.of(&arguments.data_dir)?,
        reading: arguments.reading.clone(),
    };
    let (mut builder, _) = config.engine().await?;
    // That of the real data folder, which the engine's own mostly is not.
    if let Some(reranker) = reranker::load(&config.transport()?, &arguments.data_dir).await? {
        builder = builder.reranker(reranker);
    }
    let engine = builder.build().await?;
    let outcome = Box::pin(in_collection(&engine, &arguments, &dataset, &before, &scratch)).await;
    engine.drain(Duration::ZERO).await;
    outcome
}

/// Measures in a collection of its own, which is deleted however it ends but for
/// a process that is killed.
async fn in_collection(
    engine: &Engine,
    arguments: &EvalArguments,
    dataset: &Dataset,
    before: &[EarlierRun],
    scratch: &Scratch,
) -> Result<()> {
    let me = engine.local_scope().await?;
    let knowledge = engine.knowledge(&me);
    let name = scratch.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let chunking =
        arguments.chunk_size.map_or_else(Chunking::default, |size| Chunking { size, overlap: size / 5 });
    let new = NewCollection { chunking, ..NewCollection::new(name) };
    let collection = knowledge.create_collection(new).await?;
    let mut outcome = tokio::select! {
        outcome = Box::pin(measure(&knowledge, &collection, arguments, dataset, before)) => outcome,
        _ = tokio::signal::ctrl_c() => Err(Error::unavailable("stopped before it was measured")),
    };
    if arguments.database.is_some() {
        outcome = knowledge.delete_collection(collection.id).await.and(outcome);
    }
    outcome
}

/// What was read before the questions are asked.
struct Corpus {
    documents: u64,
    chunks: u64,
    /// Those without any text, and those that failed.
    left_out: usize,
    seconds: f64,
    embedder: Option<EmbeddingModel>,
    ids: HashMap<DocumentId, String>,
}

/// What one mode found.
struct EvalRun {
    mode: SearchMode,
    score: Score,
    /// By question.
    scores: Scores,
    /// Milliseconds of each search.
    times: Vec<f64>,
    lists: Vec<(String, Vec<(String, f32)>)>,
}

async fn measure(
    knowledge: &Knowledge,
    collection: &Collection,
    arguments: &EvalArguments,
    dataset: &Dataset,
    before: &[EarlierRun],
) -> Result<()> {
    let corpus = read(knowledge, collection, dataset).await?;
    let modes = modes(arguments.mode, corpus.embedder.is_some())?;
    let mut runs = Vec::new();
    for mode in modes {
        runs.push(ask(knowledge, collection, &corpus, dataset, mode, arguments.depth).await?);
    }
    let comparisons = comparisons(before, dataset, &runs);
    if let Some(folder) = &arguments.run_dir {
        runs.iter().try_for_each(|run| write_run(folder, run))?;
    }
    let folder = std::fs::canonicalize(&arguments.collection).unwrap_or_default();
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if arguments.json {
        say(&as_json(&name, dataset, &corpus, &runs, &comparisons).to_string());
    } else {
        print(&name, dataset, &corpus, &runs);
        print_comparisons(&comparisons);
        for run in before.iter().filter(|run| comparisons.iter().all(|one| one.with != run.name)) {
            say(&format!("{} is of a mode that was not measured", run.name));
        }
    }
    Ok(())
}

/// Hybrid search beside each of its halves, and each mode beside what it found before.
fn comparisons(before: &[EarlierRun], dataset: &Dataset, runs: &[EvalRun]) -> Vec<Comparison> {
    let mut all = Vec::new();
    if let Some(hybrid) = runs.iter().find(|run| run.mode == SearchMode::Hybrid) {
        for half in runs.iter().filter(|run| run.mode != SearchMode::Hybrid) {
            let (name, with) = (hybrid.mode.as_str(), half.mode.as_str());
            all.push(compare(dataset, (name, &hybrid.scores), (with, &half.scores)));
        }
    }
    for run in runs {
        let of_mode = before.iter().filter(|before| before.mode.is_none_or(|mode| mode == run.mode));
        all.extend(of_mode.map(|before| {
            compare(dataset, (run.mode.as_str(), &run.scores), (&before.name, &before.scores))
        }));
    }
    all
}

fn print_comparisons(comparisons: &[Comparison]) {
    for Comparison { name, with, ndcg, recall_10, recall_100, mrr } in comparisons {
        say(&format!("{name} beside {with} (intervals of 95 %, * where 0 is outside)"));
        let all = [("nDCG@10", ndcg), ("recall@10", recall_10), ("recall@100", recall_100), ("MRR@10", mrr)];
        for (figure, difference) in all {
            let Difference { mean, low, high } = difference;
            let mark = if difference.is_significant() { " *" } else { "" };
            say(&format!("  {figure:<10}  {mean:>+7.4}  [{low:>+7.4}, {high:>+7.4}]{mark}"));
        }
    }
}

fn modes(wanted: Option<SearchMode>, has_vectors: bool) -> Result<Vec<SearchMode>> {
    match wanted {
        Some(mode) if mode != SearchMode::Text && !has_vectors => Err(Error::invalid(format!(
            "mode `{mode}` needs an embedder: `aimate model add potion-base-8M`, or set AIMATE_EMBEDDER to CONNECTION/MODEL"
        ))),
        Some(mode) => Ok(vec![mode]),
        None if has_vectors => Ok(vec![SearchMode::Text, SearchMode::Vector, SearchMode::Hybrid]),
        None => Ok(vec![SearchMode::Text]),
    }
}

/// Adds the documents and waits until all can be found.
async fn read(knowledge: &Knowledge, collection: &Collection, dataset: &Dataset) -> Result<Corpus> {
    let start = Instant::now();
    let filled: Vec<_> = dataset.documents.iter().filter(|entry| !entry.body().trim().is_empty()).collect();
    let progress = bar();
    if let Some(bar) = &progress {
        bar.set_length(filled.len() as u64);
    }
    let add = |entry: &data::Entry| {
        let id = entry.id.to_string();
        let new = NewDocument {
            media_type: Some("text/plain".to_owned()),
            metadata: [("_id".to_owned(), json!(id))].into_iter().collect(),
            ..NewDocument::new(entry.name())
        };
        let text = entry.body().to_owned();
        async move { Ok::<_, Error>((knowledge.add_text_to(collection.id, new, text).await?.id, id)) }
    };
    let ids: HashMap<DocumentId, String> =
        stream::iter(filled.iter().map(|entry| add(entry))).buffered(TOGETHER).try_collect().await?;
    let mut waiting = Waiting::new(knowledge, collection.id);
    ids.keys().for_each(|id| waiting.add(*id));
    let mut failed = Vec::new();
    while waiting.len() > 0 {
        tokio::time::sleep(waiting.pause()).await;
        let over = waiting.look().await?;
        failed.extend(over.into_iter().filter(|document| document.status == DocumentStatus::Failed));
        if let Some(bar) = &progress {
            bar.set_position((ids.len() - waiting.len()) as u64);
        }
    }
    if let Some(bar) = progress {
        bar.finish_and_clear();
    }
    for document in failed.iter().take(5) {
        let why = document.error.as_ref().map(|error| error.detail.as_str()).unwrap_or_default();
        eprintln!("failed: {}: {why}", ids.get(&document.id).map_or("", String::as_str));
    }
    let now = knowledge.collection(&collection.id.to_string()).await?;
    Ok(Corpus {
        documents: (ids.len() - failed.len()) as u64,
        chunks: now.chunk_count,
        left_out: dataset.documents.len() - ids.len() + failed.len(),
        seconds: start.elapsed().as_secs_f64(),
        embedder: now.space.map(|space| space.model),
        ids,
    })
}

/// Asks every judged question in one mode, one after the other.
async fn ask(
    knowledge: &Knowledge,
    collection: &Collection,
    corpus: &Corpus,
    dataset: &Dataset,
    mode: SearchMode,
    depth: u32,
) -> Result<EvalRun> {
    let (mut scores, mut times, mut lists) = (Scores::new(), Vec::new(), Vec::new());
    for (id, text) in dataset.queries.iter().filter(|(_, text)| !text.trim().is_empty()) {
        let request = SearchRequest::new(text.chars().take(MAX_QUERY).collect::<String>())
            .collections([collection.id.to_string()])
            .limit(depth)
            .mode(mode);
        let start = Instant::now();
        let found = knowledge.search(&request).await?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
        let hits = found.hits.into_iter();
        let list =
            ranked(hits.filter_map(|hit| Some((corpus.ids.get(&hit.document_id)?.clone(), hit.score))));
        if let Some(judged) = dataset.judgements.get(id) {
            scores.insert(id.clone(), score(&list, judged));
        }
        lists.push((id.clone(), list));
    }
    let all: Vec<Score> = scores.values().copied().collect();
    Ok(EvalRun { mode, score: mean(&all, dataset.judgements.len()), scores, times, lists })
}

/// Writes what a mode found as `MODE.trec`: query, `Q0`, document, rank, score, name.
fn write_run(folder: &Path, run: &EvalRun) -> Result<()> {
    let path = folder.join(format!("{}.trec", run.mode));
    let mut text = String::new();
    for (query, list) in &run.lists {
        for (rank, (document, score)) in (1..).zip(list) {
            let _ = writeln!(text, "{query} Q0 {document} {rank} {score} aimate-{}", run.mode);
        }
    }
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text)).map_err(|error| {
        Error::unavailable(format!("cannot write {}: {error}", path.display())).with_source(error)
    })
}

fn print(name: &str, dataset: &Dataset, corpus: &Corpus, runs: &[EvalRun]) {
    let embedder = corpus.embedder.as_ref().map_or("no embedder".to_owned(), |model| {
        format!("embedder {} with {} dimensions", model.name, model.dimensions)
    });
    say(&format!(
        "{name}: {} in {}, read in {:.1} s; {}; {embedder}",
        counted(corpus.documents, "document"),
        counted(corpus.chunks, "chunk"),
        corpus.seconds,
        counted(dataset.judgements.len() as u64, "question"),
    ));
    if corpus.left_out > 0 {
        say(&format!(
            "{} without text, or failed: not to be found",
            counted(corpus.left_out as u64, "document")
        ));
    }
    say("mode    nDCG@10  recall@10  recall@100  MRR@10  p50 ms  p95 ms");
    for EvalRun { mode, score, times, .. } in runs {
        let Score { ndcg, recall_10, recall_100, mrr } = score;
        let (half, max) = (percentile(times, 0.5), percentile(times, 0.95));
        let mode = mode.as_str();
        say(&format!(
            "{mode:<6}  {ndcg:>7.4}  {recall_10:>9.4}  {recall_100:>10.4}  {mrr:>6.4}  {half:>6.1}  {max:>6.1}"
        ));
    }
    if corpus.embedder.is_none() {
        say(
            "without an embedder there is only the search by words: `aimate model add potion-base-8M` adds meaning",
        );
    }
}

fn as_json(
    name: &str,
    dataset: &Dataset,
    corpus: &Corpus,
    runs: &[EvalRun],
    comparisons: &[Comparison],
) -> serde_json::Value {
    let modes: Vec<_> = runs
        .iter()
        .map(|EvalRun { mode, score, times, .. }| {
            let times = json!({ "p50_ms": percentile(times, 0.5), "p95_ms": percentile(times, 0.95) });
            json!({ "mode": mode, "score": score, "times": times })
        })
        .collect();
    json!({
        "collection": name,
        "documents": corpus.documents,
        "chunks": corpus.chunks,
        "left_out": corpus.left_out,
        "queries": dataset.judgements.len(),
        "ingest_seconds": corpus.seconds,
        "embedder": corpus.embedder,
        "modes": modes,
        "comparisons": comparisons,
    })
}
