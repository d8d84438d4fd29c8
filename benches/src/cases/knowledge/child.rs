//! What is measured in a process of its own, so that its memory is its own and
//! nothing is in its caches. The last line it says is JSON.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aimate_core::CollectionId;
use aimate_core::knowledge::{NewCollection, NewDocument, SearchMode, SearchRequest};
use aimate_sync::{FolderSync, SyncEvent};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::data::{self, Space};
use super::random::Random;
use super::shelf::{COLLECTION, Precomputed, Shelf};
use super::words::Vocabulary;
use crate::Result;
use crate::server::Process;

/// Callers that add documents beside each other.
const CALLERS: usize = 8;
/// Bytes of a document: ten chunks of 1,000 characters that overlap by 200.
const DOCUMENT: usize = 8_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) work: Work,
    #[arg(long)]
    pub(super) database: String,
    #[arg(long)]
    pub(super) blobs: PathBuf,
}

#[derive(clap::Subcommand, Clone)]
pub(super) enum Work {
    /// Adds documents until there are so many chunks
    Ingest {
        #[arg(long)]
        chunks: usize,
        /// Without vectors
        #[arg(long)]
        text_only: bool,
    },
    /// Brings a collection in step with a folder
    Sync {
        #[arg(long)]
        folder: PathBuf,
    },
    /// One search
    Search {
        #[arg(long)]
        chunks: usize,
        #[arg(long)]
        mode: String,
    },
}

/// What came of [`Work::Ingest`] and [`Work::Sync`].
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Ingested {
    pub(super) documents: u64,
    pub(super) chunks: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    /// The most memory the process ever had, and what it had before the work.
    pub(super) peak_kib: u64,
    pub(super) idle_kib: u64,
}

/// What came of [`Work::Search`].
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct First {
    pub(super) open_ms: f64,
    pub(super) search_ms: f64,
    pub(super) hits: usize,
}

/// Does the work and says what came of it.
pub(crate) async fn run(arguments: Arguments) -> Result {
    let said = match &arguments.work {
        Work::Ingest { chunks, text_only } => {
            serde_json::to_string(&ingest(&arguments, *chunks, *text_only).await?)?
        }
        Work::Sync { folder } => serde_json::to_string(&sync(&arguments, folder.clone()).await?)?,
        Work::Search { chunks, mode } => {
            serde_json::to_string(&search(&arguments, *chunks, mode.parse()?).await?)?
        }
    };
    println!("{said}");
    Ok(())
}

/// Starts a process that does `work`, and waits for what it says.
pub(super) async fn start<T: DeserializeOwned>(arguments: &Arguments) -> Result<T> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("knowledge").arg("--database").arg(&arguments.database).arg("--blobs").arg(&arguments.blobs);
    match &arguments.work {
        Work::Ingest { chunks, text_only } => {
            command.args(["ingest", "--chunks", &chunks.to_string()]);
            command.args(text_only.then_some("--text-only"));
        }
        Work::Sync { folder } => {
            command.arg("sync").arg("--folder").arg(folder);
        }
        Work::Search { chunks, mode } => {
            command.args(["search", "--chunks", &chunks.to_string(), "--mode", mode]);
        }
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await?;
    if !output.status.success() {
        return Err(format!("the process that does the work ended with {}", output.status).into());
    }
    let said = String::from_utf8(output.stdout)?;
    let line = said.lines().last().ok_or("the process that does the work said nothing")?;
    Ok(serde_json::from_str(line)?)
}

async fn ingest(arguments: &Arguments, chunks: usize, text_only: bool) -> Result<Ingested> {
    let embedder = (!text_only).then(|| Precomputed::new(HashMap::new()));
    let shelf = Shelf::open(&arguments.database, &arguments.blobs, embedder, None).await?;
    let knowledge = shelf.knowledge();
    let collection = knowledge.create_collection(NewCollection::new(COLLECTION)).await?;
    let vocabulary = Vocabulary::new();
    let text = |number| {
        let mut text = String::with_capacity(DOCUMENT + 1_000);
        vocabulary.paragraphs(&mut Random::new(number), DOCUMENT, &mut text);
        text
    };
    let texts: Vec<String> = (0..chunks.div_ceil(10) as u64).map(text).collect();
    let meter = Meter::start()?;
    let adding = texts.into_iter().enumerate().map(|(number, text)| {
        let knowledge = &knowledge;
        async move {
            let bytes = text.len() as u64;
            let new = NewDocument {
                media_type: Some("text/plain".to_owned()),
                ..NewDocument::new(format!("document-{number}.txt"))
            };
            knowledge.add_text_to(collection.id, new, text).await.map(|_| bytes)
        }
    });
    let bytes: Vec<u64> = stream::iter(adding).buffer_unordered(CALLERS).try_collect().await?;
    meter.read(shelf, collection.id, bytes.iter().sum()).await
}

/// What the process had and had done before the work.
struct Meter {
    idle_kib: u64,
    cpu: Duration,
    begun: Instant,
}

impl Meter {
    fn start() -> Result<Self> {
        Ok(Self { idle_kib: memory("VmRSS:")?, cpu: Process::own_cpu()?, begun: Instant::now() })
    }

    /// What came of the work, once all of it is done.
    async fn read(self, shelf: Shelf, collection: CollectionId, bytes: u64) -> Result<Ingested> {
        shelf.settle(collection).await?;
        let seconds = self.begun.elapsed().as_secs_f64();
        let filled = shelf.knowledge().collection(COLLECTION).await?;
        let ingested = Ingested {
            documents: filled.document_count,
            chunks: filled.chunk_count,
            bytes,
            seconds,
            cpu_seconds: (Process::own_cpu()? - self.cpu).as_secs_f64(),
            peak_kib: memory("VmHWM:")?,
            idle_kib: self.idle_kib,
        };
        shelf.close().await;
        Ok(ingested)
    }
}

async fn sync(arguments: &Arguments, folder: PathBuf) -> Result<Ingested> {
    let shelf = Shelf::open(&arguments.database, &arguments.blobs, None, None).await?;
    let knowledge = shelf.knowledge();
    let collection = knowledge.create_collection(NewCollection::new(COLLECTION)).await?;
    let meter = Meter::start()?;
    let mut bytes = 0;
    let listed = |event| {
        if let SyncEvent::Listed { bytes: all, .. } = event {
            bytes = all;
        }
    };
    let report = FolderSync::new(&knowledge, collection.id).run_with(&[folder], listed).await?;
    if let Some(file) = report.skipped.iter().chain(&report.unreadable).next() {
        return Err(format!("{} was left out: {}", file.path.display(), file.reason).into());
    }
    meter.read(shelf, collection.id, bytes).await
}

async fn search(arguments: &Arguments, chunks: usize, mode: SearchMode) -> Result<First> {
    let questions = data::questions(&Space::new(chunks), &Vocabulary::new(), 1);
    let question = questions.into_iter().next().ok_or("no question")?;
    let query = question.long.join(" ");
    let embedder = Precomputed::new(HashMap::from([(query.clone(), question.vector)]));
    let begun = Instant::now();
    let shelf = Shelf::open(&arguments.database, &arguments.blobs, Some(embedder), Some(0)).await?;
    let open_ms = begun.elapsed().as_secs_f64() * 1e3;
    let request = SearchRequest::new(query).collections([COLLECTION]).mode(mode);
    let begun = Instant::now();
    let found = shelf.knowledge().search(&request).await?;
    let first = First { open_ms, search_ms: begun.elapsed().as_secs_f64() * 1e3, hits: found.hits.len() };
    shelf.close().await;
    Ok(first)
}

/// A line of `/proc/self/status`, in KiB.
fn memory(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("/proc does not tell the memory")?.parse()?)
}
