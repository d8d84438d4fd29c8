//! `kill -9` while responses are made in the background: each of them that was acknowledged is
//! there, reaches an end, is told again without a gap to the response that `GET` gives, and a client
//! that comes back hears the rest.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::client::{get, http};
use crate::random::{self, Random};
use crate::server::Server;
use crate::upstream::Upstream;
use crate::{Folder, on_postgres, on_sqlite, setting};

/// Kills where `AIMATE_KILL_TRIALS` says nothing.
const TRIALS: u64 = 10;
/// Responses that are made at once; every other one is listened to.
const AT_ONCE: u64 = 4;
/// When after their start the server is killed, in milliseconds.
const KILL_AFTER: Range<u64> = 20..500;
/// How long a response may be unfinished after the restart.
const PATIENCE: Duration = Duration::from_secs(60);

/// A response that was acknowledged.
struct Told {
    id: String,
    /// The number of the last event that a listener has.
    heard: Option<u64>,
    /// The listener heard the end.
    has_ended: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_responses_end_and_are_told_again_on_sqlite() {
    on_sqlite("responses", trials).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_responses_end_and_are_told_again_on_postgres() {
    on_postgres("responses", trials).await;
}

async fn trials(store: &str, database: &str, folder: &Folder) {
    let seed = setting("AIMATE_KILL_SEED").unwrap_or_else(random::seed);
    let trials = setting("AIMATE_KILL_TRIALS").unwrap_or(TRIALS);
    println!("{store}: {trials} kills, AIMATE_KILL_SEED={seed}");
    let mut random = Random::new(seed);
    let upstream = Upstream::start(seed).await;
    let mut server = Server::start(database, &folder.0, upstream.address).await;
    let (mut finished, mut broken) = (0, 0);
    for trial in 0..trials {
        let mut running = JoinSet::new();
        for n in 0..AT_ONCE {
            running.spawn(ask(server.address, format!("{trial}-{n}: when is it serviced?"), n % 2 == 0));
        }
        sleep(Duration::from_millis(random.within(KILL_AFTER))).await;
        server.kill();
        let told: Vec<Told> = running.join_all().await.into_iter().flatten().collect();
        server = Server::start(database, &folder.0, upstream.address).await;
        for one in told {
            match check(server.address, &one).await {
                Ok(status) if status == "completed" => finished += 1,
                Ok(_) => broken += 1,
                Err(why) => panic!(
                    "{store}, AIMATE_KILL_SEED={seed}, trial {trial}: {}: {why}\n{}",
                    one.id,
                    server.log()
                ),
            }
        }
    }
    println!("{store}: {finished} responses finished, {broken} broke off");
    assert!(broken > 0, "no kill met a response that was made: the test tests nothing");
}

/// Asks in the background, and listens until the server is gone, or only asks; `None` if it was not
/// acknowledged.
async fn ask(server: SocketAddr, question: String, listens: bool) -> Option<Told> {
    let body = json!({"model": "openai/mock", "input": question, "background": true, "stream": listens});
    let request = http().post(format!("http://{server}/v1/responses"));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let mut answer = request.send().await.ok()?;
    if !listens {
        let response: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        let id = response["id"].as_str().expect("an id").to_owned();
        return Some(Told { id, heard: None, has_ended: false });
    }
    let (mut told, mut inbox) = (None::<Told>, Vec::new());
    // Ends with the server.
    while let Ok(Some(bytes)) = answer.chunk().await {
        inbox.extend_from_slice(&bytes);
        while let Some(end) = inbox.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = inbox.drain(..=end).collect();
            let line = String::from_utf8(line).expect("lines are UTF-8");
            let Some(event) = event(&line) else { continue };
            let told = told.get_or_insert_with(|| {
                let id = event["response"]["id"].as_str().expect("the first event has the id").to_owned();
                Told { id, heard: None, has_ended: false }
            });
            told.heard = event["sequence_number"].as_u64();
            told.has_ended |= is_last(&event);
        }
    }
    told
}

fn is_last(event: &Value) -> bool {
    let kind = event["type"].as_str().unwrap_or_default();
    matches!(kind, "response.completed" | "response.incomplete" | "response.failed")
}

/// How a response ended; what is wrong with it, if anything is.
async fn check(server: SocketAddr, told: &Told) -> Result<String, String> {
    let client = http();
    let at = format!("http://{server}/v1/responses/{}", told.id);
    let deadline = Instant::now() + PATIENCE;
    let response = loop {
        let response = get(&client, &at).await;
        match response["status"].as_str() {
            Some("queued" | "in_progress") if Instant::now() < deadline => {
                sleep(Duration::from_millis(50)).await;
            }
            Some("completed" | "incomplete" | "failed") => break response,
            _ => return Err(format!("it is {response}")),
        }
    };
    let events = events(&client, &format!("{at}?stream=true")).await;
    for (n, event) in events.iter().enumerate() {
        if event["sequence_number"] != n {
            return Err(format!("event {n} has the number {}", event["sequence_number"]));
        }
    }
    let last = events.last().filter(|event| is_last(event)).ok_or("it is told without an end")?;
    if last["response"] != response {
        return Err(format!("its last event has {}, and it is {response}", last["response"]));
    }
    if let Some(heard) = told.heard.filter(|_| !told.has_ended) {
        let rest = self::events(&client, &format!("{at}?stream=true&starting_after={heard}")).await;
        // What was told and not stored yet has numbers too: the last event comes behind them.
        let is_end = |event: &Value| is_last(event) && event["response"] == response;
        if !rest.last().is_some_and(is_end) {
            return Err(format!("who has heard {heard} and comes back hears {rest:?}"));
        }
    }
    if told.has_ended && response["status"] != "completed" {
        return Err("its end was told, and it broke off".to_owned());
    }
    Ok(response["status"].as_str().unwrap_or_default().to_owned())
}

/// The events that are told at an address.
async fn events(client: &reqwest::Client, url: &str) -> Vec<Value> {
    let answer = client.get(url).send().await.expect("an answer");
    let told = answer.text().await.expect("a whole answer");
    told.lines().filter_map(event).collect()
}

/// The event of a line, if it has one.
fn event(line: &str) -> Option<Value> {
    let data = line.trim_end().strip_prefix("data: ").filter(|data| *data != "[DONE]")?;
    Some(serde_json::from_str(data).expect("data is JSON"))
}
