//! A load on one server: so many connections, each with one request at a time,
//! every answer checked.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout_at};

use crate::Result;
use crate::client::{Client, Reader};
use crate::server::Process;

/// How long an answer may take before the load gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to send, and for how long.
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) request: Vec<u8>,
    /// What each piece of an answer's text follows.
    pub(crate) mark: &'static [u8],
    /// The text that every answer must have.
    pub(crate) text: String,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Load {
    /// Wrong answers and failures, the warm-up's included.
    pub(crate) failures: usize,
    pub(crate) first_failure: Option<String>,
    /// Right answers a second in the measured time.
    pub(crate) per_second: f64,
    pub(crate) latency: Spread,
    pub(crate) first_token: Spread,
    /// Processor time of the server for each answer.
    pub(crate) cpu: Duration,
    /// Processor time of the load itself for each answer.
    pub(crate) own_cpu: Duration,
}

/// Durations, and how they are spread.
#[derive(Default)]
pub(crate) struct Spread(Vec<u64>);

impl Spread {
    pub(crate) fn new(mut nanoseconds: Vec<u64>) -> Self {
        nanoseconds.sort_unstable();
        Self(nanoseconds)
    }

    /// The time that this share (0 to 1) of them stays within, in milliseconds.
    pub(crate) fn at(&self, share: f64) -> Millis {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position in a list, and a duration that is printed with three digits"
        )]
        {
            let last = self.0.len().saturating_sub(1);
            let position = (last as f64 * share).round() as usize;
            let nanoseconds = self.0.get(position).copied().unwrap_or_default();
            Millis(nanoseconds as f64 / 1e6)
        }
    }

    pub(crate) fn p50(&self) -> Millis {
        self.at(0.5)
    }

    pub(crate) fn p99(&self) -> Millis {
        self.at(0.99)
    }
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Millis(pub(crate) f64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0.abs() < 10.0 { 3 } else { 1 };
        write!(f, "{:.digits$}", self.0)
    }
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(duration.as_secs_f64() * 1e3)
    }
}

impl std::ops::Sub for Millis {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

/// What one connection has to tell.
#[derive(Default)]
struct Tally {
    latency: Vec<u64>,
    first_token: Vec<u64>,
    failures: usize,
    first_failure: Option<String>,
}

/// Puts the load on `server` and measures.
pub(crate) async fn run(plan: Plan, server: &Process) -> Result<Load> {
    let plan = Arc::new(plan);
    let from = Instant::now() + plan.warm_up;
    let until = from + plan.measured;
    let mut clients = JoinSet::new();
    for n in 0..u32::try_from(plan.connections)? {
        let plan = Arc::clone(&plan);
        // Not all at the same moment: streams of one pace would stay in step for ever.
        let wait = plan.warm_up * n / u32::try_from(plan.connections)?;
        clients.spawn(async move {
            sleep(wait).await;
            let client = Client::connect(plan.address).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(drive(client, &plan, from, until).await)
        });
    }
    sleep_until(from.into()).await;
    let before = (server.cpu()?, Process::own_cpu()?);
    sleep_until(until.into()).await;
    let after = (server.cpu()?, Process::own_cpu()?);

    let mut tally = Tally::default();
    while let Some(one) = clients.join_next().await {
        let one = one??;
        tally.latency.extend(one.latency);
        tally.first_token.extend(one.first_token);
        tally.failures += one.failures;
        tally.first_failure = tally.first_failure.or(one.first_failure);
    }
    let answers = tally.latency.len();
    let each = u32::try_from(answers.max(1))?;
    Ok(Load {
        failures: tally.failures,
        first_failure: tally.first_failure,
        per_second: f64::from(u32::try_from(answers)?) / plan.measured.as_secs_f64(),
        latency: Spread::new(tally.latency),
        first_token: Spread::new(tally.first_token),
        cpu: (after.0 - before.0) / each,
        own_cpu: (after.1 - before.1) / each,
    })
}

async fn drive(mut client: Client, plan: &Plan, from: Instant, until: Instant) -> Tally {
    let mut tally = Tally::default();
    let give_up = until + PATIENCE;
    loop {
        let begun = Instant::now();
        if begun >= until {
            return tally;
        }
        let mut reader = Reader::new(plan.mark);
        let exchange = client.exchange(&plan.request, |body| reader.read(body, |_| ()));
        let wrong = match timeout_at(give_up.into(), exchange).await {
            Ok(Ok(200)) if reader.text == plan.text.as_bytes() => None,
            Ok(Ok(status)) => Some(format!(
                "status {status}, {}",
                String::from_utf8_lossy(client.body()).chars().take(400).collect::<String>()
            )),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        };
        let ended = Instant::now();
        if let Some(wrong) = wrong {
            tally.failures += 1;
            tally.first_failure.get_or_insert(wrong);
            // A server that refuses must not turn the load into a busy loop.
            sleep(Duration::from_millis(10)).await;
            if client.reconnect().await.is_err() {
                return tally;
            }
        } else if ended >= from && ended < until {
            tally.latency.push(nanoseconds(ended - begun));
            let first = reader.first.unwrap_or(ended);
            tally.first_token.push(nanoseconds(first - begun));
        }
    }
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
