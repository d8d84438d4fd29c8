//! Documents that are replaced, added again and deleted from many sides, with and
//! without `kill -9`: no acknowledged byte is lost, and none is left over.
//!
//! `AIMATE_KILL_TRIALS` sets how many kills (6), `AIMATE_DOCUMENT_ROUNDS` how many
//! rounds without one (6).

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::http;
use crate::random::{self, Random};
use crate::server::Server;
use crate::upstream::Upstream;
use crate::{Folder, on_postgres, on_sqlite, setting};

const TRIALS: u64 = 6;
/// Clients of a round: few that meet often, and many.
const CLIENTS: [u64; 3] = [2, 8, 50];
/// Sources that all clients share.
const SHARED: u64 = 3;
const ROUND: std::ops::Range<u64> = 100..700;
/// How long it may take until all is read and nothing is left over.
const SETTLE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_and_deleted_documents_lose_and_leave_nothing_on_sqlite() {
    on_sqlite("documents", trials).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_and_deleted_documents_lose_and_leave_nothing_on_postgres() {
    on_postgres("documents", trials).await;
}

async fn trials(store: &str, database: &str, folder: &Folder) {
    let seed = setting("AIMATE_KILL_SEED").unwrap_or_else(random::seed);
    let kills = setting("AIMATE_KILL_TRIALS").unwrap_or(TRIALS);
    let rounds = setting("AIMATE_DOCUMENT_ROUNDS").unwrap_or(TRIALS);
    println!("{store}: {kills} kills and {rounds} rounds of documents, AIMATE_KILL_SEED={seed}");
    let mut random = Random::new(seed);
    let upstream = Upstream::start(seed).await;
    let mut server = Server::start(database, &folder.0, upstream.address).await;
    let collection =
        post(&http(), &format!("{}/collections", base(server.address)), json!({"name": "c"})).await;
    let collection = collection.expect("a collection")["id"].as_str().expect("an id").to_owned();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut findings = Findings::default();
    for trial in 0..kills + rounds {
        let is_killed = trial < kills;
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for number in 0..CLIENTS[trial as usize % CLIENTS.len()] {
            let client = Client {
                number,
                address: server.address,
                collection: collection.clone(),
                random: random.fork(),
                ledger: ledger.clone(),
                stop: stop.clone(),
            };
            running.spawn(client.work(trial));
        }
        sleep(Duration::from_millis(random.within(ROUND))).await;
        if is_killed {
            server.kill();
            findings.kills += 1;
        } else {
            findings.rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
        while let Some(client) = running.join_next().await {
            client.expect("a client does not panic");
        }
        if is_killed {
            server = Server::start(database, &folder.0, upstream.address).await;
        }
        let wrong = check(server.address, &ledger, &folder.0.join("blobs"), &mut findings).await;
        assert_eq!(wrong, [""; 0], "{store}, trial {trial}, AIMATE_KILL_SEED={seed}\n{}", server.log());
    }
    println!("{store}: {findings}");
    assert!(findings.documents > 0, "no document was left to look at: the test tests nothing");
    assert!(
        findings.added > 50 && findings.deleted > 0,
        "hardly anything was changed: the test tests nothing"
    );
}

fn base(address: SocketAddr) -> String {
    format!("http://{address}/api/v1/knowledge")
}

/// What was met, counted.
#[derive(Default)]
struct Findings {
    kills: u64,
    rounds: u64,
    added: u64,
    deleted: u64,
    /// Documents whose bytes were read and compared, over all checks.
    documents: u64,
    settled: Duration,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills and {} rounds, {} uploads and {} deletions acknowledged, {} documents compared byte by byte; \
             lost 0, left over 0, stuck 0; all settled within {} ms",
            self.kills,
            self.rounds,
            self.added,
            self.deleted,
            self.documents,
            self.settled.as_millis()
        )
    }
}

/// What clients were told.
#[derive(Default)]
struct Ledger {
    /// For each source of one client alone: what it may hold now.
    own: BTreeMap<String, May>,
    /// The document of a source keeps its id as long as nobody deletes it.
    ids: BTreeMap<String, String>,
    added: u64,
    deleted: u64,
}

/// What a source may hold: after an acknowledged change one thing, after one that
/// was not acknowledged one thing more. `None`: no document.
type May = Vec<Option<String>>;

struct Client {
    number: u64,
    address: SocketAddr,
    collection: String,
    random: Random,
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
}

impl Client {
    async fn work(mut self, trial: u64) {
        let client = http();
        for n in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let is_shared = self.random.once_in(2);
            let source = match is_shared {
                true => format!("shared-{}", self.random.within(0..SHARED)),
                false => format!("own-{}-{}", self.number, self.random.within(0..2)),
            };
            let known = self.ledger.lock().expect("no panic under the lock").ids.get(&source).cloned();
            let delete = known.filter(|_| self.random.once_in(4));
            let (change, done) = match delete {
                Some(id) => {
                    let url = format!("{}/documents/{id}", base(self.address));
                    let answer = client.delete(url).send().await;
                    self.ledger.lock().expect("no panic under the lock").ids.remove(&source);
                    // One that another client has deleted is not there.
                    let done = answer.is_ok_and(|it| it.status().is_success() || it.status().as_u16() == 404);
                    (None, done)
                }
                None => {
                    // Two versions that come again and again, and others.
                    let version = self.random.within(0..4);
                    let text = match version {
                        0 | 1 => format!("{source} says version {version}"),
                        _ => format!("{source} says {trial}-{}-{n}", self.number),
                    };
                    let url = format!("{}/collections/{}/documents", base(self.address), self.collection);
                    let body = json!({"name": "a.txt", "source": source, "text": text});
                    let added = post(&client, &url, body).await;
                    let id = added.as_ref().and_then(|added| added["id"].as_str());
                    if let Some(id) = id {
                        let mut ledger = self.ledger.lock().expect("no panic under the lock");
                        ledger.ids.insert(source.clone(), id.to_owned());
                    }
                    (Some(text), id.is_some())
                }
            };
            self.note(is_shared, source, change, done);
        }
    }

    fn note(&self, is_shared: bool, source: String, change: Option<String>, is_done: bool) {
        let mut ledger = self.ledger.lock().expect("no panic under the lock");
        if is_done {
            match change {
                Some(_) => ledger.added += 1,
                None => ledger.deleted += 1,
            }
        }
        if !is_shared {
            let may = ledger.own.entry(source).or_insert_with(|| vec![None]);
            if is_done {
                may.clear();
            }
            may.push(change);
        }
    }
}

/// What is wrong once everything is read.
async fn check(
    server: SocketAddr,
    ledger: &Mutex<Ledger>,
    blobs: &Path,
    findings: &mut Findings,
) -> Vec<String> {
    let (client, begun) = (http(), Instant::now());
    let mut wrong;
    // What is left to do after a crash is done within seconds.
    loop {
        wrong = Vec::new();
        let documents = documents(&client, server).await;
        let unread = documents.iter().filter(|document| document["status"] != "ready").count();
        let files = files(blobs);
        if unread > 0 {
            wrong.push(format!(
                "{unread} documents are not ready: {:?}",
                documents.iter().find(|document| document["status"] != "ready")
            ));
        }
        if files.len() != documents.len() {
            wrong.push(format!("{} documents have {} files", documents.len(), files.len()));
        }
        if wrong.is_empty() || begun.elapsed() > SETTLE {
            findings.settled = findings.settled.max(begun.elapsed());
            wrong.extend(compare(&client, server, ledger, &documents, findings).await);
            return wrong;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn compare(
    client: &reqwest::Client,
    server: SocketAddr,
    ledger: &Mutex<Ledger>,
    documents: &[Value],
    findings: &mut Findings,
) -> Vec<String> {
    let (mut wrong, mut found) = (Vec::new(), BTreeMap::new());
    for document in documents {
        let id = document["id"].as_str().expect("an id");
        let answer =
            client.get(format!("{}/documents/{id}/content", base(server))).send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a whole answer");
        let source = document["source"].as_str().expect("a source").to_owned();
        if !status.is_success() || !text.starts_with(&format!("{source} says")) {
            wrong.push(format!("the bytes of {source} are {status}: {text}"));
        }
        if text.len() as u64 != document["size"] {
            wrong.push(format!("{source} has {} bytes instead of {}", text.len(), document["size"]));
        }
        findings.documents += 1;
        found.insert(source, text);
    }
    let mut ledger = ledger.lock().expect("no panic under the lock");
    for (source, may) in &mut ledger.own {
        let is = found.get(source).cloned();
        if !may.contains(&is) {
            wrong.push(format!("{source} is {is:?}, but was told to be one of {may:?}"));
        }
        // From here on it is known.
        *may = vec![is];
    }
    (findings.added, findings.deleted) = (ledger.added, ledger.deleted);
    wrong
}

async fn documents(client: &reqwest::Client, server: SocketAddr) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!("{}/documents?limit=200{cursor}", base(server));
        let mut page = crate::client::get(client, &url).await;
        if let Value::Array(data) = page["data"].take() {
            all.extend(data);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// All files in a folder and below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

async fn post(client: &reqwest::Client, url: &str, body: Value) -> Option<Value> {
    let request = client.post(url).header("content-type", "application/json").body(body.to_string());
    let answer = request.send().await.ok()?;
    let is_success = answer.status().is_success();
    let text = answer.text().await.ok()?;
    is_success.then(|| serde_json::from_str(&text).ok()).flatten()
}
