//! `kill -9` while documents are read: run again, everything is findable once,
//! nothing is stuck, and at most one batch was embedded for nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aimate::knowledge::{BlobEntry, DocumentFilter, DocumentStatus};
use aimate::{Engine, PageRequest};
use futures_util::TryStreamExt as _;
use tokio::time::sleep;

use crate::random::{self, Random};
use crate::upstream::Upstream;
use crate::{Folder, TRIALS, on_postgres, on_sqlite, setting};

/// Texts that the engine embeds together.
const BATCH: u64 = 64;
const KILL_AFTER: std::ops::Range<u64> = 150..1_500;

/// A chunk as it must be: document, place, text, start, end.
type Known = BTreeSet<(String, u32, String, u64, u64)>;

/// What an ingest left behind.
#[derive(Debug, PartialEq)]
struct Outcome {
    chunks: Known,
    /// Documents that are not ready.
    stuck: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_ingest_ends_as_an_undisturbed_one_on_sqlite() {
    on_sqlite("ingest", trials).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_ingest_ends_as_an_undisturbed_one_on_postgres() {
    on_postgres("ingest", trials).await;
}

async fn trials(store: &str, database: &str, folder: &Folder) {
    let seed = setting("AIMATE_KILL_SEED").unwrap_or_else(random::seed);
    let trials = setting("AIMATE_KILL_TRIALS").unwrap_or(TRIALS / 2);
    println!("{store}: {trials} kills of an ingest, AIMATE_KILL_SEED={seed}");
    let mut random = Random::new(seed);
    let upstream = Upstream::start(seed).await;
    let shelf = Shelf { database: database.to_owned(), folder: folder.0.clone(), upstream };
    let documents = shelf.write_documents();

    let mut undisturbed = shelf.ingest("undisturbed");
    assert!(undisturbed.wait().expect("it ends").success(), "{}", shelf.log());
    let Outcome { chunks: expected, stuck: 0 } = shelf.outcome("undisturbed").await else {
        panic!("an undisturbed ingest leaves documents that are not ready: {}", shelf.log());
    };
    assert_eq!(expected.iter().map(|chunk| &chunk.0).collect::<BTreeSet<_>>().len(), documents);
    let needed = shelf.upstream.embedded().values().sum::<u64>();
    assert!(needed >= 4 * BATCH, "{needed} chunks: too few to be killed in the middle");

    let (mut killed, mut again, mut max) = (0, 0, 0);
    let (mut different, mut stuck) = (0, 0);
    let mut trial = 0;
    while killed < trials {
        trial += 1;
        let collection = format!("trial {trial}");
        shelf.upstream.forget_embedded();
        let mut kills = 0;
        for _ in 0..=random.within(0..3) {
            let mut child = shelf.ingest(&collection);
            sleep(Duration::from_millis(random.within(KILL_AFTER))).await;
            if child.try_wait().expect("a child of ours").is_none() {
                child.kill().expect("it runs until it is killed");
                kills += 1;
            }
            child.wait().expect("it has ended");
        }
        let mut last = shelf.ingest(&collection);
        assert!(last.wait().expect("it ends").success(), "AIMATE_KILL_SEED={seed}: {}", shelf.log());
        let outcome = shelf.outcome(&collection).await;
        if outcome.chunks != expected || outcome.stuck > 0 {
            println!(
                "{store}, AIMATE_KILL_SEED={seed}, trial {trial}: {} chunks, {} documents stuck\n{}",
                outcome.chunks.len(),
                outcome.stuck,
                shelf.log()
            );
        }
        different += usize::from(outcome.chunks != expected);
        stuck += outcome.stuck;
        let twice = shelf.upstream.embedded().values().sum::<u64>().saturating_sub(needed);
        assert!(
            twice <= kills * BATCH,
            "{store}, AIMATE_KILL_SEED={seed}, trial {trial}: {twice} texts embedded again after {kills} kills"
        );
        killed += kills;
        again += twice;
        max = max.max(twice.div_ceil(kills.max(1)));
    }
    println!(
        "{store}: {killed} kills in {trial} ingests of {} chunks; sets that differ {different}, stuck {stuck}; \
         {again} texts embedded again, at most {max} for a kill",
        expected.len()
    );
    assert_eq!((different, stuck), (0, 0), "{store}, AIMATE_KILL_SEED={seed}");
    shelf.nothing_is_left_over().await;
}

struct Shelf {
    database: String,
    folder: PathBuf,
    upstream: Upstream,
}

impl Shelf {
    /// Small documents and a few long ones; returns how many.
    fn write_documents(&self) -> usize {
        let folder = self.documents();
        fs::create_dir_all(&folder).expect("a folder");
        for n in 0..24 {
            let parts = if n % 8 == 0 { 60 } else { 2 + n % 5 };
            let text: String = (0..parts)
                .map(|part| {
                    format!(
                        "## Part {part}\n\n{}\n\n",
                        format!("document {n} part {part} says so. ").repeat(20)
                    )
                })
                .collect();
            fs::write(folder.join(format!("{n:02}.md")), format!("# Document {n}\n\n{text}"))
                .expect("a file");
        }
        24
    }

    fn documents(&self) -> PathBuf {
        self.folder.join("documents")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("ingest-log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn ingest(&self, collection: &str) -> Child {
        let log = File::create(self.log_file()).expect("a file for the log");
        Command::new(env!("CARGO_BIN_EXE_aimate"))
            .arg("ingest")
            .arg(self.documents())
            .args(["--collection", collection, "--database", &self.database])
            .arg("--data-dir")
            .arg(&self.folder)
            .current_dir(&self.folder)
            .env_clear()
            .env("AI_PROVIDER", "openai")
            .env("OPENAI_BASE_URL", format!("http://{}/v1", self.upstream.address))
            .env("OPENAI_API_KEY", "sk-kill")
            .env("AIMATE_EMBEDDER", "openai/mock")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log's second handle"))
            .stderr(log)
            .spawn()
            .expect("the binary starts")
    }

    async fn engine(&self) -> (Engine, aimate::store::Store) {
        let options = aimate::store::Options {
            blobs: Some(Path::new(&self.folder).join("blobs")),
            ..aimate::store::Options::default()
        };
        let store = aimate::store::connect_with(&self.database, options).await.expect("the database opens");
        (Engine::builder().store(store.clone()).readers(0).build().await.expect("an engine"), store)
    }

    /// What can be found in a collection.
    async fn outcome(&self, collection: &str) -> Outcome {
        let (engine, store) = self.engine().await;
        let me = engine.local_scope().await.expect("a scope");
        let knowledge = engine.knowledge(&me);
        let id = knowledge.collection(collection).await.expect("the collection").id;
        let filter = DocumentFilter { collection: Some(id), ..DocumentFilter::default() };
        let documents = knowledge.documents(&filter, PageRequest::first(200)).await.expect("documents").data;
        let mut outcome = Outcome { chunks: Known::new(), stuck: 0 };
        for document in documents {
            if document.status != DocumentStatus::Ready {
                outcome.stuck += 1;
                continue;
            }
            let mut from = 0;
            loop {
                let page = knowledge.chunks(document.id, from, 200).await.expect("chunks");
                from += page.len() as u32;
                if page.is_empty() {
                    break;
                }
                outcome.chunks.extend(
                    page.into_iter().map(|c| (document.name.clone(), c.index, c.text, c.start, c.end)),
                );
            }
            assert_eq!(from, document.chunk_count);
        }
        engine.drain(Duration::from_secs(1)).await;
        store.close().await;
        outcome
    }

    /// No vector, segment or file that nothing refers to.
    async fn nothing_is_left_over(&self) {
        let (engine, store) = self.engine().await;
        let stores = store.stores();
        assert_eq!(stores.maintenance.orphans(false).await.expect("an answer"), Vec::<String>::new());
        let entries = stores.blobs.list().try_collect::<Vec<_>>().await.expect("a list");
        let is_blob = |entry: BlobEntry| match entry {
            BlobEntry::Blob(blob) => blob,
            BlobEntry::Foreign(name) => panic!("{name} is no blob"),
        };
        let blobs: Vec<_> = entries.into_iter().map(is_blob).collect();
        assert!(!blobs.is_empty());
        assert_eq!(stores.maintenance.unreferenced_blobs(&blobs).await.expect("an answer"), []);
        let (worker, lease) = (aimate::Ids::next(&aimate::RandomIds).into(), Duration::from_secs(30));
        let loose = stores.queue.blobs_to_remove(worker, aimate::Timestamp(0), lease, 10).await;
        assert_eq!(loose.expect("an answer"), []);
        engine.drain(Duration::from_secs(1)).await;
        store.close().await;
    }
}
