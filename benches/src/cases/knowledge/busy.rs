//! Chat while the same process takes in documents, against the same without.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::{Bench, completion};
use super::random::Random;
use super::words::Vocabulary;
use crate::Result;
use crate::client::{Client, OF_COMPLETION, request};
use crate::load::{self, Load, Plan};
use crate::report::{Report, Short};
use crate::server::Process;
use crate::upstream;

/// Connections that chat.
const CHATS: usize = 4;
/// Bytes of a document.
const DOCUMENT: usize = 200_000;
/// Documents that wait or are being read at least: the queue is never empty.
const WAITING: usize = 20;
/// How long documents have come before anything is measured.
const SETTLE: Duration = Duration::from_secs(2);

/// A way to chat.
#[derive(Clone, Copy)]
struct Way {
    title: &'static str,
    path: &'static str,
}

const WAYS: [Way; 2] = [
    Way { title: "stateless", path: "/v1/chat/completions" },
    Way { title: "stored", path: "/api/v1/chat/completions" },
];

pub(in super::super) async fn run(bench: &Bench, report: &mut Report) -> Result {
    let mut rows = Vec::new();
    let mut failures = 0;
    for store in bench.stores() {
        let aimate = bench.aimate(store, "busy").await?;
        let mut alone = Vec::new();
        for way in WAYS {
            alone.push(chat(bench, &aimate, way).await?);
        }
        let body = json!({"name": "bench", "embedder": "none"});
        let mut client = Client::connect(aimate.address).await?;
        let made = client.call("POST", "/api/v1/knowledge/collections", Some(&body)).await?;
        let id = made["id"].as_str().ok_or("the collection has no id")?.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let feeder = tokio::spawn(feed(aimate.address, id.clone(), Arc::clone(&stop)));
        tokio::time::sleep(SETTLE).await;
        for (way, alone) in WAYS.into_iter().zip(alone) {
            let (begun, before) = (Instant::now(), chunks(&mut client, &id).await?);
            let busy = chat(bench, &aimate, way).await?;
            let came = chunks(&mut client, &id).await?.saturating_sub(before);
            let per_second = came as f64 / begun.elapsed().as_secs_f64();
            failures += alone.failures + busy.failures;
            let first = [&alone.first_failure, &busy.first_failure].into_iter().flatten();
            first.for_each(|failure| eprintln!("a wrong answer: {failure}"));
            let ratio = |share: f64| busy.latency.at(share).0 / alone.latency.at(share).0;
            rows.push(vec![
                store.title().to_owned(),
                way.title.to_owned(),
                Short(per_second.round()).to_string(),
                format!("{} / {}", Short(alone.per_second.round()), Short(busy.per_second.round())),
                format!("{} / {}", alone.latency.p50(), alone.latency.p99()),
                format!("{} / {}", busy.latency.p50(), busy.latency.p99()),
                format!("{:.2} / {:.2}", ratio(0.5), ratio(0.99)),
            ]);
        }
        stop.store(true, Ordering::Relaxed);
        feeder.await??;
    }
    report.table(
        &format!("Plain completions on {CHATS} connections while documents are taken in"),
        &[
            "store",
            "chat",
            "chunks a second meanwhile",
            "answers a second, without / with",
            "without, ms p50 / p99",
            "with, ms p50 / p99",
            "ratio p50 / p99",
        ],
        &rows,
    );
    report
        .note("Text of 200 kB a document through HTTP, never fewer than 20 in the queue; text search alone.");
    report.at_most("chat during ingest: wrong or lost answers", failures as f64, 0.0, "");
    Ok(())
}

async fn chat(bench: &Bench, aimate: &Process, way: Way) -> Result<Load> {
    let body = completion(&format!("openai/{}", upstream::PLAIN), false);
    let plan = Plan {
        address: aimate.address,
        request: request("POST", aimate.address, way.path, &body.to_string()),
        mark: OF_COMPLETION,
        text: upstream::text(20),
        connections: CHATS,
        warm_up: Duration::from_millis(500),
        measured: Duration::from_secs(bench.seconds),
    };
    load::run(plan, aimate).await
}

/// Adds documents so that some always wait.
async fn feed(address: SocketAddr, id: String, stop: Arc<AtomicBool>) -> Result {
    let (vocabulary, mut random) = (Vocabulary::new(), Random::new(9));
    let mut client = Client::connect(address).await?;
    let path = format!("/api/v1/knowledge/collections/{id}/documents");
    let waiting = format!("/api/v1/knowledge/documents?collection_id={id}&status=pending&limit={WAITING}");
    for number in 0.. {
        while count(&client.call("GET", &waiting, None).await?) >= WAITING {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut text = String::with_capacity(DOCUMENT + 1_000);
        vocabulary.paragraphs(&mut random, DOCUMENT, &mut text);
        let body = json!({"name": format!("document-{number}.txt"), "text": text});
        client.call("POST", &path, Some(&body)).await?;
    }
    Ok(())
}

fn count(page: &Value) -> usize {
    page["data"].as_array().map_or(0, Vec::len)
}

async fn chunks(client: &mut Client, id: &str) -> Result<u64> {
    let found = client.call("GET", &format!("/api/v1/knowledge/collections/{id}"), None).await?;
    Ok(found["chunk_count"].as_u64().ok_or("the collection tells no chunk_count")?)
}
