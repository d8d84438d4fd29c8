//! `aimate ingest`.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aimate::Result;
use aimate::engine::{Knowledge, SyncEvent, SyncOptions, SyncReport};
use aimate::knowledge::{Collection, DEFAULT_COLLECTION, Document, DocumentStatus};
use indicatif::ProgressBar;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::config::Config;
use crate::terminal::{counted, number, plain, say};
use crate::wait::{Waiting, bar, documents};

/// Files that are told of at the end for one reason, at most.
const MAX_TOLD: usize = 50;
/// The exit code of a command that was called wrongly.
const USAGE: u8 = 2;
/// The exit code of a command that Ctrl-C ended.
const STOPPED: u8 = 130;

/// What `ingest` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct IngestArguments {
    /// Files, and folders with all that is in them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The collection, by name or id; made if there is none of this name
    #[arg(long, value_name = "NAME", default_value = DEFAULT_COLLECTION)]
    collection: String,
    /// Print one line of JSON for each document
    #[arg(long)]
    json: bool,
    /// Read documents again that failed, although their files did not change
    #[arg(long)]
    retry_failed: bool,
    /// Keep documents whose files are gone
    #[arg(long)]
    keep_deleted: bool,
    #[command(flatten)]
    config: Config,
}

/// Brings a collection in step with files and folders and waits until all of
/// them are read.
pub(crate) async fn ingest(arguments: IngestArguments) -> Result<ExitCode> {
    let mut paths = Vec::with_capacity(arguments.paths.len());
    for path in &arguments.paths {
        match std::fs::canonicalize(path) {
            Ok(path) => paths.push(path),
            Err(error) => {
                eprintln!("aimate: `{}` cannot be read: {error}", path.display());
                return Ok(ExitCode::from(USAGE));
            }
        }
    }
    let (builder, _) = arguments.config.engine().await?;
    let engine = builder.build().await?;
    let me = engine.local_scope().await?;
    let knowledge = engine.knowledge(&me);
    let start = Instant::now();
    let outcome = match knowledge.collection_or_new(&arguments.collection).await {
        Err(error) => Err(error),
        Ok(collection) => {
            let mut work = Ingest::new(&knowledge, collection, &arguments, paths);
            let outcome = tokio::select! {
                report = Box::pin(work.run()) => report.map(Some),
                _ = tokio::signal::ctrl_c() => Ok(None),
            };
            if let Some(bar) = &work.bar {
                bar.finish_and_clear();
            }
            outcome.map(|report| (work, report))
        }
    };
    engine.drain(Duration::ZERO).await;
    let (work, report) = outcome?;
    Ok(match report {
        Some(report) => work.tell_end(&report, start.elapsed()),
        None => work.tell_stop(),
    })
}

struct Ingest<'a> {
    knowledge: &'a Knowledge,
    collection: Collection,
    paths: Vec<PathBuf>,
    options: SyncOptions,
    json: bool,
    bar: Option<ProgressBar>,
    waiting: Waiting,
    /// Files that are as their documents are, by source; for JSON.
    unchanged: HashSet<String>,
    failed: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
    read: u64,
    chunks: u64,
}

impl<'a> Ingest<'a> {
    fn new(
        knowledge: &'a Knowledge,
        collection: Collection,
        arguments: &IngestArguments,
        paths: Vec<PathBuf>,
    ) -> Self {
        let lines_are_seen = arguments.json && std::io::stdout().is_terminal();
        Self {
            knowledge,
            waiting: Waiting::new(knowledge, collection.id),
            collection,
            paths,
            options: SyncOptions { delete: !arguments.keep_deleted, retry_failed: arguments.retry_failed },
            json: arguments.json,
            bar: if lines_are_seen { None } else { bar() },
            unchanged: HashSet::new(),
            failed: Vec::new(),
            skipped: Vec::new(),
            read: 0,
            chunks: 0,
        }
    }

    /// Queues what changed and waits for it at the same time.
    async fn run(&mut self) -> Result<SyncReport> {
        let (knowledge, paths) = (self.knowledge, self.paths.clone());
        let (heard, events) = tokio::sync::mpsc::unbounded_channel();
        let tell = move |event| drop(heard.send(event));
        let sync = Box::pin(knowledge.sync(self.collection.id, &paths, self.options, tell));
        let (report, ()) = tokio::try_join!(sync, Box::pin(self.follow(events)))?;
        self.look_back().await?;
        Ok(report)
    }

    /// Hears the synchronisation to its end and waits for every document.
    async fn follow(&mut self, mut events: UnboundedReceiver<SyncEvent>) -> Result<()> {
        let mut is_listed = false;
        loop {
            let pause = self.waiting.pause();
            if is_listed {
                tokio::time::sleep(pause).await;
            } else {
                let hearing = async {
                    while let Some(event) = events.recv().await {
                        self.hear(event);
                    }
                };
                is_listed = tokio::time::timeout(pause, hearing).await.is_ok();
                if is_listed {
                    self.adopt().await?;
                }
            }
            for document in self.waiting.look().await? {
                self.over(&document);
            }
            self.show();
            if is_listed && self.waiting.len() == 0 {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, event: SyncEvent) {
        match event {
            SyncEvent::Listed { files, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_length(files);
                }
            }
            SyncEvent::Queued(_, document) => self.waiting.add(document.id),
            SyncEvent::Unchanged(path) => {
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
                if self.json {
                    self.unchanged.insert(format!("file:{}", path.display()));
                }
            }
            SyncEvent::Skipped(path, why) => {
                let path = path.display().to_string();
                if self.json {
                    let error = json!({ "code": "skipped", "detail": why });
                    self.line(&json!({
                        "path": path, "id": null, "status": "skipped", "chunks": 0, "error": error,
                        "unchanged": false,
                    }));
                } else if self.bar.is_none() {
                    say(&format!("skipped  {}: {}", shown(&path), plain(&why)));
                }
                self.skipped.push((path, why));
            }
        }
    }

    /// Waits for documents too that an earlier run left in the queue: their
    /// files did not change since.
    async fn adopt(&mut self) -> Result<()> {
        for document in self.waiting.unfinished().await? {
            if self.is_ours(&document) {
                self.waiting.add(document.id);
            }
        }
        Ok(())
    }

    /// One document was read, or could not be.
    fn over(&mut self, document: &Document) {
        self.read += 1;
        self.unchanged.remove(document.source.as_deref().unwrap_or_default());
        if document.status == DocumentStatus::Ready {
            self.chunks += u64::from(document.chunk_count);
        }
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        self.tell(document, false);
    }

    fn tell(&mut self, document: &Document, is_unchanged: bool) {
        let path = path_of(document);
        let failed = document.error.as_ref().filter(|_| document.status == DocumentStatus::Failed);
        if self.json {
            self.line(&json!({
                "path": path, "id": document.id, "status": document.status, "chunks": document.chunk_count,
                "error": failed, "unchanged": is_unchanged,
            }));
        } else if self.bar.is_none() && !is_unchanged {
            let chunks = counted(document.chunk_count.into(), "chunk");
            match failed {
                None => say(&format!("ready    {} ({chunks})", shown(path))),
                Some(_) => say(&format!("failed   {}", shown(path))),
            }
        }
        if let Some(error) = failed {
            self.failed.push((path.to_owned(), error.detail.clone()));
        }
    }

    /// Tells of files that did not change: with JSON of all, else of those whose
    /// documents failed before.
    async fn look_back(&mut self) -> Result<()> {
        let told: HashSet<_> = self.failed.iter().map(|(path, _)| path.clone()).collect();
        let status = (!self.json).then_some(DocumentStatus::Failed);
        for document in documents(self.knowledge, self.collection.id, status).await? {
            let source = document.source.clone().unwrap_or_default();
            let is_due = if self.json { self.unchanged.contains(&source) } else { self.is_ours(&document) };
            if is_due && !told.contains(path_of(&document)) {
                self.tell(&document, true);
            }
        }
        Ok(())
    }

    /// Whether a document came from one of the paths.
    fn is_ours(&self, document: &Document) -> bool {
        let path = Path::new(path_of(document));
        self.paths.iter().any(|root| path.starts_with(root))
    }

    fn line(&self, line: &serde_json::Value) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(&line.to_string())),
            None => say(&line.to_string()),
        }
    }

    fn show(&self) {
        let Some(bar) = &self.bar else { return };
        let chunks = counted(self.chunks, "chunk");
        let reading = self.waiting.reading.as_ref().map(|document| {
            format!(", reading {} {:.0} %", plain(&document.name), 100.0 * document.progress)
        });
        bar.set_message(format!("{chunks}{}", reading.unwrap_or_default()));
    }

    fn tell_end(&self, report: &SyncReport, took: Duration) -> ExitCode {
        // Lines on a terminal's standard output were told already.
        if self.bar.is_some() && !self.json {
            list("skipped", &self.skipped);
        }
        list("failed", &self.failed);
        let SyncReport { moved, deleted, unchanged, .. } = report;
        let n = |count: usize| number(count as u64);
        let summary = format!(
            "{} added, {} updated, {} moved, {} deleted, {} unchanged, {} failed, {} skipped; {} in {:.1} s",
            n(report.added.len()),
            n(report.updated.len()),
            number(*moved),
            number(*deleted),
            number(*unchanged),
            n(self.failed.len()),
            n(report.skipped.len()),
            counted(self.chunks, "chunk"),
            took.as_secs_f32()
        );
        // Standard output is for the lines of JSON alone.
        if self.json {
            eprintln!("{summary}");
        } else {
            say(&summary);
        }
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn tell_stop(&self) -> ExitCode {
        list("failed", &self.failed);
        eprintln!(
            "stopped: {} read and kept; {} left to the next run or to a server",
            counted(self.read, "document"),
            number(self.waiting.len() as u64)
        );
        ExitCode::from(STOPPED)
    }
}

/// Tells of files with the reason of each, those with the same one together.
fn list(what: &str, files: &[(String, String)]) {
    let mut by_reason: HashMap<&str, usize> = HashMap::new();
    for (path, why) in files {
        let count = by_reason.entry(why).or_default();
        *count += 1;
        if *count <= MAX_TOLD {
            eprintln!("{what}: {}: {}", shown(path), plain(why));
        }
    }
    for (why, count) in by_reason.into_iter().filter(|(_, count)| *count > MAX_TOLD) {
        eprintln!("{what}: and {} more: {}", number((count - MAX_TOLD) as u64), plain(why));
    }
}

fn path_of(document: &Document) -> &str {
    let source = document.source.as_deref().unwrap_or(&document.name);
    source.strip_prefix("file:").unwrap_or(source)
}

/// A path as a person at this place would write it.
fn shown(path: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let short = Path::new(path).strip_prefix(here).ok().filter(|short| !short.as_os_str().is_empty());
    plain(&short.map_or_else(|| path.to_owned(), |short| short.display().to_string()))
}
