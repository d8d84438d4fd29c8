//! `aimate ingest`.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aimate::engine::Knowledge;
use aimate::knowledge::{Collection, DEFAULT_COLLECTION, Document, DocumentStatus};
use aimate::sync::{FolderSync, LeftOut, SyncEvent, SyncOptions, SyncPlan, SyncReport, path_of, source_of};
use aimate::{DocumentId, Result};
use indicatif::ProgressBar;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::config::Config;
use crate::exit_code::ExitCode;
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
    /// Delete documents whose files are gone unasked, even if they are more than 20 and more than a quarter of the
    /// collection
    #[arg(long, conflicts_with = "keep_deleted")]
    delete: bool,
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
        Some(Outcome::Synced(report)) => work.tell_end(&report, start.elapsed()),
        Some(Outcome::Refused) => ExitCode::FAILURE,
        None => work.tell_stop(),
    })
}

/// How a run ended that nobody stopped.
enum Outcome {
    Synced(SyncReport),
    /// Much would have been deleted, and nobody allowed it.
    Refused,
}

struct Ingest<'a> {
    knowledge: &'a Knowledge,
    collection: Collection,
    paths: Vec<PathBuf>,
    sync: FolderSync,
    may_delete_many: bool,
    json: bool,
    bar: Option<ProgressBar>,
    waiting: Waiting,
    /// Files that are as their documents are, by source; for JSON.
    unchanged: HashSet<String>,
    /// The failed documents that were told of.
    told: HashSet<DocumentId>,
    failed: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
    unreadable: Vec<(String, String)>,
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
        let options =
            SyncOptions::default().delete(!arguments.keep_deleted).retry_failed(arguments.retry_failed);
        Self {
            knowledge,
            waiting: Waiting::new(knowledge, collection.id),
            sync: FolderSync::new(knowledge, collection.id).options(options),
            may_delete_many: arguments.delete,
            collection,
            paths,
            json: arguments.json,
            bar: if lines_are_seen { None } else { bar() },
            unchanged: HashSet::new(),
            told: HashSet::new(),
            failed: Vec::new(),
            skipped: Vec::new(),
            unreadable: Vec::new(),
            read: 0,
            chunks: 0,
        }
    }

    /// Compares the files with the collection, then queues what changed and
    /// waits for it at the same time.
    async fn run(&mut self) -> Result<Outcome> {
        let sync = self.sync.clone();
        let bar = self.bar.clone();
        let plan = Box::pin(sync.plan(&self.paths, |event| show_progress(bar.as_ref(), &event))).await?;
        if plan.deletes_many() && !self.may_delete_many && !self.confirm(&plan).await {
            return Ok(Outcome::Refused);
        }
        let (heard, events) = tokio::sync::mpsc::unbounded_channel();
        let apply = Box::pin(sync.apply(plan, move |event| drop(heard.send(event))));
        let (report, ()) = tokio::try_join!(apply, Box::pin(self.follow(events)))?;
        self.look_back().await?;
        Ok(Outcome::Synced(report))
    }

    /// Asks whether so many documents may be deleted. Where nobody can be asked,
    /// they may not.
    async fn confirm(&self, plan: &SyncPlan) -> bool {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let (gone, all) = (number(plan.delete.len() as u64), counted(plan.documents, "document"));
        eprintln!("the files of {gone} of the collection's {all} are gone");
        let is_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let is_yes = is_asked && {
            eprint!("delete these documents? [y/N] ");
            let mut answer = String::new();
            let read = BufReader::new(tokio::io::stdin()).read_line(&mut answer).await;
            read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
        };
        if !is_yes {
            eprintln!(
                "nothing was changed: is every folder mounted? `--delete` deletes these documents, `--keep-deleted` \
                 keeps them"
            );
        }
        if let Some(bar) = &self.bar {
            bar.reset();
        }
        is_yes
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
            SyncEvent::Queued(_, document) => self.waiting.add(document.id),
            SyncEvent::Unchanged(path) => {
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
                if self.json {
                    self.unchanged.insert(source_of(&path));
                }
            }
            SyncEvent::Skipped(file) => {
                let told = self.tell_left_out("skipped", file);
                self.skipped.push(told);
            }
            SyncEvent::Unreadable(file) => {
                let told = self.tell_left_out("unreadable", file);
                self.unreadable.push(told);
            }
            event => show_progress(self.bar.as_ref(), &event),
        }
    }

    /// Tells of a path that became no document; returns it and why.
    fn tell_left_out(&self, status: &str, LeftOut { path, reason, .. }: LeftOut) -> (String, String) {
        let path = path.display().to_string();
        if self.json {
            let error = json!({ "code": status, "detail": reason });
            self.line(&json!({
                "path": path, "id": null, "status": status, "chunks": 0, "error": error, "unchanged": false,
            }));
        } else if self.bar.is_none() {
            say(&format!("{status:<8} {}: {}", shown(&path), plain(&reason)));
        }
        (path, reason)
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
        let path = place_of(document);
        let failed = document.error.as_ref().filter(|_| document.status == DocumentStatus::Failed);
        if self.json {
            self.line(&json!({
                "path": path, "id": document.id, "status": document.status, "chunks": document.chunk_count,
                "error": failed, "unchanged": is_unchanged,
            }));
        } else if self.bar.is_none() && !is_unchanged {
            let chunks = counted(document.chunk_count.into(), "chunk");
            match failed {
                None => say(&format!("ready    {} ({chunks})", shown(&path))),
                Some(_) => say(&format!("failed   {}", shown(&path))),
            }
        }
        if let Some(error) = failed {
            self.told.insert(document.id);
            self.failed.push((path, error.detail.clone()));
        }
    }

    /// Tells of files that did not change: with JSON of all, else of those whose
    /// documents failed before.
    async fn look_back(&mut self) -> Result<()> {
        let status = (!self.json).then_some(DocumentStatus::Failed);
        for document in documents(self.knowledge, self.collection.id, status).await? {
            let source = document.source.clone().unwrap_or_default();
            let is_due = if self.json { self.unchanged.contains(&source) } else { self.is_ours(&document) };
            if is_due && !self.told.contains(&document.id) {
                self.tell(&document, true);
            }
        }
        Ok(())
    }

    /// Whether a document came from one of the paths.
    fn is_ours(&self, document: &Document) -> bool {
        let path = document.source.as_deref().and_then(path_of);
        path.is_some_and(|path| self.paths.iter().any(|root| path.starts_with(root)))
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
            list("unreadable", &self.unreadable);
        }
        list("failed", &self.failed);
        let SyncReport { moved, deleted, unchanged, .. } = report;
        let n = |count: usize| number(count as u64);
        let unreadable = match report.unreadable.len() {
            0 => String::new(),
            count => format!(", {} unreadable", n(count)),
        };
        let summary = format!(
            "{} added, {} updated, {} moved, {} deleted, {} unchanged, {} failed, {} skipped{unreadable}; {} in {:.1} s",
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
        let is_whole = self.failed.is_empty() && report.unreadable.is_empty();
        if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

/// Shows how far the comparison is.
fn show_progress(bar: Option<&ProgressBar>, event: &SyncEvent) {
    match (bar, event) {
        (Some(bar), SyncEvent::Listed { files, .. }) => bar.set_length(*files),
        (Some(bar), SyncEvent::Compared { files, of }) => {
            bar.set_message(format!("comparing, {} of {}", number(*files), number(*of)));
        }
        _ => {}
    }
}

/// Where a document came from, as people write it.
fn place_of(document: &Document) -> String {
    let source = document.source.as_ref().unwrap_or(&document.name);
    path_of(source).map_or_else(|| source.clone(), |path| path.display().to_string())
}

/// A path as a person at this place would write it.
fn shown(path: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let short = Path::new(path).strip_prefix(here).ok().filter(|short| !short.as_os_str().is_empty());
    plain(&short.map_or_else(|| path.to_owned(), |short| short.display().to_string()))
}
