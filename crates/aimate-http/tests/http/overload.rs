//! Ten times more than the server can do, on a real socket (P18), from a process of its own: the
//! clients take no more than one processor and none of the server's runtime. It takes half a
//! minute, and says what it measured; without `--release` it measures the lack of optimisation:
//! `cargo nextest run --run-ignored only --no-capture -E 'test(sec_p18)'`.

use std::net::SocketAddr;
use std::time::Duration;

use aimate_core::rate_limit::RateLimits;
use aimate_core::testing::ScriptedProvider;
use aimate_core::{Ids as _, RandomIds};
use aimate_http::{Options, serve};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

use crate::common::builder;

/// Requests in work at most, and clients that keep the server just busy.
const MOST: usize = 32;
/// How long each load lasts.
const TIME: Duration = Duration::from_secs(8);

/// Tells a process that it is the clients: their number, the microseconds from one request of
/// each to its next, and the server's address.
const CLIENTS: &str = "AIMATE_TEST_OVERLOAD";
/// What that process's result begins with.
const RESULT: &str = "overload clients saw ";

/// What clients saw: how many requests were answered and refused, and in how many milliseconds:
/// the median, the 99th percentile and the most.
#[derive(Debug, Deserialize, Serialize)]
struct Seen {
    answered: (usize, [f64; 3]),
    refused: (usize, [f64; 3]),
}

impl Seen {
    /// Of the times in microseconds of what was answered and of what was refused.
    fn of([answered, refused]: [Vec<u64>; 2]) -> Self {
        let percentiles = |mut times: Vec<u64>| {
            times.sort_unstable();
            let at =
                |share: usize| times.get(times.len().saturating_sub(1) * share / 100).copied().unwrap_or(0);
            (times.len(), [50, 99, 100].map(|share| at(share) as f64 / 1_000.0))
        };
        Self { answered: percentiles(answered), refused: percentiles(refused) }
    }

    fn rate(&self) -> f64 {
        self.answered.0 as f64 / TIME.as_secs_f64()
    }
}

/// One client on a connection of its own: a list, and every fourth time a new conversation.
struct LoadClient {
    address: SocketAddr,
    stream: Option<TcpStream>,
    sent: usize,
}

impl LoadClient {
    async fn ask(&mut self) -> u16 {
        let body = if self.sent.is_multiple_of(4) { "{}" } else { "" };
        let method = if body.is_empty() { "GET" } else { "POST" };
        self.sent += 1;
        let request = format!(
            "{method} /api/v1/conversations HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(TcpStream::connect(self.address).await.unwrap()),
        };
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::with_capacity(8 * 1024);
        loop {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the server hung up");
            // As little as possible: the clients share the processors with the server.
            if let Some(status) = status_of_whole(&read) {
                return status;
            }
        }
    }
}

/// The status of an answer that has come whole.
fn status_of_whole(read: &[u8]) -> Option<u16> {
    let head = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(read.get(..head)?).unwrap();
    let length = text.split_once("content-length: ").unwrap().1;
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let status = text.get(9..12).unwrap().parse().unwrap();
    assert!(status != 503 || text.contains("retry-after: 1"), "{text}");
    (read.len() >= head + 4 + length).then_some(status)
}

/// So many clients in a process of their own, each with a pause from one request to the next.
async fn load(address: SocketAddr, clients: usize, pace: Duration) -> Seen {
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "overload::clients_of_overload", "--nocapture"])
        .env(CLIENTS, format!("{clients} {} {address}", pace.as_micros()))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let result = said.split_once(RESULT).and_then(|(_, rest)| rest.lines().next());
    let Some(result) = result else { panic!("{said}{}", String::from_utf8_lossy(&output.stderr)) };
    serde_json::from_str(result).unwrap()
}

#[tokio::test]
#[ignore = "`sec_p18_*` starts it"]
#[expect(clippy::disallowed_methods, reason = "the test is the process here, and is told by its environment")]
async fn clients_of_overload() {
    let Ok(told) = std::env::var(CLIENTS) else { return };
    let [clients, pace, address] = told.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let (clients, address) = (clients.parse::<usize>().unwrap(), address.parse().unwrap());
    let pace = Duration::from_micros(pace.parse().unwrap());
    let end = Instant::now() + TIME;
    let clients = (0..clients).map(|n| {
        tokio::spawn(async move {
            let mut client = LoadClient { address, stream: None, sent: n };
            let mut times = [Vec::new(), Vec::new()];
            sleep(pace.mul_f64(n as f64 / clients as f64)).await;
            while Instant::now() < end {
                let start = Instant::now();
                let is_refused = match client.ask().await {
                    200 | 201 => false,
                    503 => true,
                    other => panic!("an answer of status {other}"),
                };
                times[usize::from(is_refused)].push(u64::try_from(start.elapsed().as_micros()).unwrap());
                sleep_until(start + pace).await;
            }
            times
        })
    });
    let mut all = [Vec::new(), Vec::new()];
    for client in join_all(clients).await {
        let [answered, refused] = client.unwrap();
        all[0].extend(answered);
        all[1].extend(refused);
    }
    println!("{RESULT}{}", serde_json::to_string(&Seen::of(all)).unwrap());
}

/// The time of `/health` meanwhile, at most.
async fn slowest_health(address: SocketAddr) -> Duration {
    let (mut slowest, end) = (Duration::ZERO, Instant::now() + TIME);
    while Instant::now() < end {
        let start = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        slowest = slowest.max(start.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a load of half a minute, whose figures depend on what else the machine does"]
async fn sec_p18_overload_is_refused_and_work_goes_on() {
    let folder = std::env::temp_dir().join(format!("aimate-overload-{}", RandomIds.next().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    let store =
        aimate_store::connect(&format!("sqlite:{}", folder.join("aimate.db").display())).await.unwrap();
    let engine = builder(store, ScriptedProvider::new([])).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // The limits of users are on too, so that their cost is in the figures.
    let limits: RateLimits = "read=6000000/100000,write=6000000/100000".parse().unwrap();
    let options = Options::local().max_requests(MOST).rate_limits(limits);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    #[expect(clippy::disallowed_methods, reason = "the test is the process here")]
    let served = tokio::spawn(serve(listener, engine, options, async move {
        let _ = stopped.await;
    }));

    let peak = load(address, MOST / 2, Duration::ZERO).await;
    println!("peak: {:.0} requests/s, {:?} ms (p50, p99, most)", peak.rate(), peak.answered.1);
    let clients = MOST * 10;
    let pace = Duration::from_secs_f64(clients as f64 / (10.0 * peak.rate()));
    let (over, health) = tokio::join!(load(address, clients, pace), slowest_health(address));
    let ((answered, times), (refused, refusals)) = (over.answered, over.refused);
    println!(
        "overload: {} requests/s came, {:.0} were answered ({:.0} % of the peak) in {times:?} ms; {refused} were \
         refused in {refusals:?} ms; /health took {health:?} at most",
        (answered + refused) / 8,
        over.rate(),
        100.0 * over.rate() / peak.rate(),
    );
    // The clients take of the same processors; and not optimised, a refusal costs so much that it
    // tells little.
    let least = if cfg!(debug_assertions) { 0.2 } else { 0.8 };
    assert!(over.rate() >= least * peak.rate(), "{} of {}", over.rate(), peak.rate());
    let _ = stop.send(());
    served.await.unwrap().unwrap();
    let _ = std::fs::remove_dir_all(folder);
}
