//! Many slow streams at once: what is lost, how late each token is, what each
//! stream costs in memory, and what aimate holds when it has nothing to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Bench, completion};
use crate::Result;
use crate::client::{Client, OF_COMPLETION, Reader, request};
use crate::load::{Millis, Spread};
use crate::report::{Report, Short};
use crate::server::Process;
use crate::upstream::{self, stamp};

/// How long the streams take to start, all of them.
const RAMP: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

struct Shape {
    streams: u32,
    tokens: usize,
    model: &'static str,
}

/// What one round of streams tells.
struct Round {
    idle: f64,
    per_stream: f64,
    delay: Spread,
    lost: usize,
    cpu_per_token: Duration,
}

/// One stream as its client saw it.
struct Seen {
    delays: Vec<u64>,
    is_whole: bool,
    text: Vec<u8>,
    conversation: Option<String>,
}

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result {
    let shape = if bench.quick {
        Shape { streams: 100, tokens: 60, model: upstream::STAMPED_SHORT }
    } else {
        Shape { streams: 1_000, tokens: 200, model: upstream::STAMPED }
    };
    let direct = streams(&bench.upstream, &shape, "/v1/chat/completions", "").await?;
    let passthrough = Process::passthrough(&bench.folder, bench.upstream.address).await?;
    let limit = streams(&passthrough, &shape, "/v1/chat/completions", "").await?;
    let mut rows = vec![row("model server itself", &direct), row("pass-through", &limit)];
    for store in bench.stores() {
        let aimate = bench.aimate(store, "streams").await?;
        // What starting needed has been given back by then.
        sleep(Duration::from_secs(3)).await;
        let round = streams(&aimate, &shape, "/api/v1/chat/completions", "openai/").await?;
        let name = format!("aimate, stored, {}", store.title());
        rows.push(row(&name, &round));
        let Millis(added) = round.delay.p99() - direct.delay.p99();
        let streams = shape.streams;
        report.at_most(format!("{name}: {streams} streams, lost or not stored"), round.lost as f64, 0.0, "");
        report.at_most(format!("{name}: {streams} streams, added for each token, p99"), added, 5.0, " ms");
        report.at_most(format!("{name}: memory of each stream"), round.per_stream, 64.0, " KiB");
        report.at_most(format!("{name}: idle"), round.idle, 40.0, " MB");
    }
    report.table(
        &format!("{} streams of 20 tokens a second at once", shape.streams),
        &["", "lost", "token late ms p50", "p99", "p99.9", "CPU ms a token", "idle MB", "KiB a stream"],
        &rows,
    );
    Ok(())
}

fn row(name: &str, round: &Round) -> Vec<String> {
    vec![
        name.to_owned(),
        round.lost.to_string(),
        round.delay.p50().to_string(),
        round.delay.p99().to_string(),
        round.delay.at(0.999).to_string(),
        Millis::from(round.cpu_per_token).to_string(),
        format!("{:.1}", round.idle),
        Short(round.per_stream).to_string(),
    ]
}

async fn streams(server: &Process, shape: &Shape, path: &str, prefix: &str) -> Result<Round> {
    let idle = server.resident()?;
    let body = completion(&format!("{prefix}{}", shape.model), true);
    let request: Arc<[u8]> = request("POST", server.address, path, &body.to_string()).into();
    let before = server.cpu()?;
    let mut clients = JoinSet::new();
    for n in 0..shape.streams {
        let (address, request) = (server.address, Arc::clone(&request));
        let wait = RAMP * n / shape.streams;
        clients.spawn(async move {
            sleep(wait).await;
            timeout(PATIENCE, listen(address, &request)).await?
        });
    }
    // All are open from the end of the ramp until the first has had its tokens.
    let length = Duration::from_millis(50) * u32::try_from(shape.tokens)?;
    sleep(RAMP + (length - RAMP) * 3 / 4).await;
    let open = server.resident()?;

    let (mut delays, mut lost, mut conversations) = (Vec::new(), 0, Vec::new());
    let mut first_failure = None;
    while let Some(client) = clients.join_next().await {
        match client? {
            Ok(seen) => {
                let is_whole = seen.is_whole && seen.delays.len() == shape.tokens;
                lost += usize::from(!is_whole);
                delays.extend(seen.delays);
                conversations.extend(seen.conversation.map(|id| (id, seen.text)));
            }
            Err(error) => {
                lost += 1;
                first_failure.get_or_insert(error);
            }
        }
    }
    if let Some(error) = first_failure {
        eprintln!("a stream failed: {error}");
    }
    let cpu = server.cpu()? - before;
    if path.starts_with("/api") {
        lost += shape.streams as usize - conversations.len();
        lost += not_stored(server.address, &conversations).await?;
    }
    Ok(Round {
        idle: f64::from(idle) / 1024.0,
        per_stream: (f64::from(open) - f64::from(idle)) / f64::from(shape.streams),
        cpu_per_token: cpu / u32::try_from(delays.len().max(1))?,
        delay: Spread::new(delays),
        lost,
    })
}

async fn listen(address: SocketAddr, request: &[u8]) -> Result<Seen> {
    let mut client = Client::connect(address).await?;
    let (mut reader, mut delays, mut in_order) = (Reader::new(OF_COMPLETION), Vec::new(), true);
    let status = client
        .exchange(request, |body| {
            let now = stamp();
            reader.read(body, |piece| {
                // A gateway may join tokens: each is looked at.
                for token in piece.split_inclusive(|byte| *byte == b' ') {
                    match upstream::read_stamp(token) {
                        Some((n, sent)) => {
                            in_order &= n == delays.len();
                            delays.push(now.saturating_sub(sent));
                        }
                        None => in_order = false,
                    }
                }
            });
        })
        .await?;
    if status != 200 {
        return Err(format!("status {status}: {}", String::from_utf8_lossy(client.body())).into());
    }
    let body = std::str::from_utf8(client.body())?;
    let conversation = body.split_once("\"conversation_id\":\"");
    let conversation = conversation.and_then(|(_, rest)| rest.split('"').next());
    Ok(Seen {
        delays,
        is_whole: in_order && body.trim_end().ends_with("data: [DONE]"),
        text: reader.text,
        conversation: conversation.map(str::to_owned),
    })
}

/// How many of the answers are not stored as they were sent.
async fn not_stored(address: SocketAddr, conversations: &[(String, Vec<u8>)]) -> Result<usize> {
    let mut client = Client::connect(address).await?;
    let mut missing = 0;
    for (id, sent) in conversations {
        let path = format!("/api/v1/conversations/{id}/messages");
        let page = client.call("GET", &path, None).await?;
        let messages = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_stored = |message: &Value| {
            message["status"] == "complete"
                && message["content"][0]["text"].as_str().map(str::as_bytes) == Some(sent)
        };
        missing += usize::from(!messages.iter().any(is_stored));
    }
    Ok(missing)
}
