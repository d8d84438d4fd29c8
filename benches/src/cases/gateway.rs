//! Chat completions: the model server called directly, through the bare
//! pass-through, and through aimate, one after the other under each load.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use super::{Bench, Store, completion};
use crate::Result;
use crate::client::{OF_COMPLETION, OF_RESPONSE, request};
use crate::load::{self, Load, Millis, Plan};
use crate::report::{Report, Short};
use crate::server::Process;
use crate::upstream;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Plain,
    Stream,
    Paced,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    Direct,
    Passthrough,
    Stateless,
    Stored(Store),
    /// As an OpenAI response that is stored; streams alone.
    Response(Store),
}

struct Target<'a> {
    via: Via,
    server: &'a Process,
}

struct Row {
    mode: Mode,
    connections: usize,
    via: Via,
    load: Load,
    resident: u32,
}

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result {
    let passthrough = Process::passthrough(&bench.folder, bench.upstream.address).await?;
    let mut stores = Vec::new();
    for store in bench.stores() {
        stores.push((store, bench.aimate(store, "gateway").await?));
    }
    let mut targets = vec![
        Target { via: Via::Direct, server: &bench.upstream },
        Target { via: Via::Passthrough, server: &passthrough },
    ];
    if let Some((_, server)) = stores.first() {
        targets.push(Target { via: Via::Stateless, server });
    }
    for via in [Via::Stored, Via::Response] {
        targets.extend(stores.iter().map(|(store, server)| Target { via: via(*store), server }));
    }

    let mut rows = Vec::new();
    for (mode, connections) in loads(bench.quick) {
        for target in targets.iter().filter(|target| target.via.answers(mode)) {
            let row = measure(bench, mode, connections, target).await?;
            eprintln!("{mode:?} {connections} {:?}: {}/s", row.via, Short(row.load.per_second));
            rows.push(row);
        }
    }
    for mode in [Mode::Plain, Mode::Stream, Mode::Paced] {
        report.table(mode.title(), &COLUMNS, &table(&rows, mode));
    }
    report.note(&own_cost(&rows));
    goals(&rows, report);
    let failures = rows.iter().filter_map(|row| row.load.first_failure.as_ref());
    failures.for_each(|failure| eprintln!("a wrong answer: {failure}"));
    Ok(())
}

fn loads(quick: bool) -> Vec<(Mode, usize)> {
    let connections: &[usize] = if quick { &[1, 16] } else { &[1, 16, 256] };
    let full = [Mode::Plain, Mode::Stream].into_iter();
    let full = full.flat_map(|mode| connections.iter().map(move |count| (mode, *count)));
    let paced = connections.iter().skip(1).map(|count| (Mode::Paced, *count));
    full.chain(paced).collect()
}

async fn measure(bench: &Bench, mode: Mode, connections: usize, target: &Target<'_>) -> Result<Row> {
    let (model, tokens) = match mode {
        Mode::Plain => (upstream::PLAIN, 20),
        Mode::Stream => (upstream::STREAM, 20),
        Mode::Paced => (upstream::PACED, 50),
    };
    let plan = Plan {
        address: target.server.address,
        request: target.via.request(target.server.address, model, mode != Mode::Plain),
        mark: if matches!(target.via, Via::Response(_)) { OF_RESPONSE } else { OF_COMPLETION },
        text: upstream::text(tokens),
        connections,
        warm_up: Duration::from_millis(if bench.quick { 500 } else { 1_000 }),
        measured: Duration::from_secs(bench.seconds),
    };
    let load = load::run(plan, target.server).await?;
    Ok(Row { mode, connections, via: target.via, load, resident: target.server.resident()? })
}

impl Mode {
    fn title(self) -> &'static str {
        match self {
            Self::Plain => "Plain completions",
            Self::Stream => "Streams of 20 tokens, sent at once",
            Self::Paced => "Streams of 50 tokens, 10 ms apart",
        }
    }
}

impl Via {
    fn title(self) -> String {
        match self {
            Self::Direct => "model server itself".to_owned(),
            Self::Passthrough => "pass-through".to_owned(),
            Self::Stateless => "aimate, stateless".to_owned(),
            Self::Stored(store) => format!("aimate, stored, {}", store.title()),
            Self::Response(store) => format!("aimate, OpenAI response, {}", store.title()),
        }
    }

    /// Whether it is compared in this mode.
    fn answers(self, mode: Mode) -> bool {
        !matches!(self, Self::Response(_)) || mode == Mode::Stream
    }

    fn request(self, address: SocketAddr, model: &str, stream: bool) -> Vec<u8> {
        let (path, prefix) = match self {
            Self::Direct | Self::Passthrough => ("/v1/chat/completions", ""),
            Self::Stateless => ("/v1/chat/completions", "openai/"),
            Self::Stored(_) => ("/api/v1/chat/completions", "openai/"),
            Self::Response(_) => ("/v1/responses", "openai/"),
        };
        let mut body = completion(&format!("{prefix}{model}"), stream);
        if let Self::Response(_) = self {
            body = json!({"model": body["model"], "input": body["messages"], "stream": stream});
        }
        request("POST", address, path, &body.to_string())
    }
}

const COLUMNS: [&str; 10] = [
    "connections",
    "",
    "per second",
    "of pass-through",
    "ms p50",
    "ms p99",
    "first token ms p50 / p99",
    "added ms p50 / p99",
    "CPU ms",
    "MB",
];

fn table(rows: &[Row], mode: Mode) -> Vec<Vec<String>> {
    let of_mode = rows.iter().filter(|row| row.mode == mode);
    let cells = of_mode.map(|row| {
        let limit = find(rows, mode, row.connections, Via::Passthrough);
        let direct = find(rows, mode, row.connections, Via::Direct);
        let share = limit.map(|limit| 100.0 * row.load.per_second / limit.load.per_second);
        let added = direct.filter(|_| row.via != Via::Direct).map(|direct| {
            let [p50, p99] = added(row, direct);
            format!("{p50} / {p99}")
        });
        let first = &row.load.first_token;
        vec![
            row.connections.to_string(),
            row.via.title(),
            Short(row.load.per_second.round()).to_string(),
            share.map(|share| format!("{share:.0}%")).unwrap_or_default(),
            row.load.latency.p50().to_string(),
            row.load.latency.p99().to_string(),
            format!("{} / {}", first.p50(), first.p99()),
            added.unwrap_or_default(),
            Millis::from(row.load.cpu).to_string(),
            format!("{:.0}", f64::from(row.resident) / 1024.0),
        ]
    });
    cells.collect()
}

/// What a row's first token takes longer than the model server's own, p50 and p99.
/// The first token of a plain answer is the answer.
fn added(row: &Row, direct: &Row) -> [Millis; 2] {
    let (one, other) = (&row.load.first_token, &direct.load.first_token);
    [one.p50() - other.p50(), one.p99() - other.p99()]
}

fn find(rows: &[Row], mode: Mode, connections: usize, via: Via) -> Option<&Row> {
    rows.iter().find(|row| (row.mode, row.connections, row.via) == (mode, connections, via))
}

/// Whether the load itself was what limited.
fn own_cost(rows: &[Row]) -> String {
    let direct = rows.iter().filter(|row| row.via == Via::Direct && row.mode != Mode::Paced);
    let busiest = direct.map(|row| row.load.own_cpu.as_secs_f64() * row.load.per_second).fold(0.0, f64::max);
    let failures: usize = rows.iter().map(|row| row.load.failures).sum();
    format!(
        "Where the model server is called directly, the load uses at most {busiest:.2} cores. \
         Wrong or lost answers in all loads: {failures}."
    )
}

fn goals(rows: &[Row], report: &mut Report) {
    let failures: usize = rows.iter().map(|row| row.load.failures).sum();
    report.at_most("gateway: wrong or lost answers", failures as f64, 0.0, "");
    for row in rows {
        let (mode, connections) = (row.mode, row.connections);
        let name = format!("{}: {}, {connections} connections", row.via.title(), mode.title());
        let limit = find(rows, mode, connections, Via::Passthrough);
        let direct = find(rows, mode, connections, Via::Direct);
        let (Some(limit), Some(direct)) = (limit, direct) else {
            continue;
        };
        let [Millis(added), _] = added(row, direct);
        let Millis(cpu) = row.load.cpu.into();
        match (row.via, mode, connections) {
            (Via::Stateless, Mode::Plain | Mode::Stream, 1) => {
                report.at_most(format!("{name}: added p50"), added, 0.3, " ms");
            }
            (Via::Stateless, Mode::Plain | Mode::Stream, _) => {
                let share = 100.0 * row.load.per_second / limit.load.per_second;
                report.at_least(format!("{name}: of the pass-through"), share, 50.0, "%");
            }
            (Via::Stored(_), Mode::Paced, _) | (Via::Stored(_), Mode::Stream, 1) => {
                report.at_most(format!("{name}: added to first token, p50"), added, 2.0, " ms");
            }
            (Via::Stored(_), Mode::Plain, 16..) => {
                report.at_most(format!("{name}: CPU"), cpu, 0.4, " ms");
            }
            (Via::Stored(_), Mode::Stream, 16..) => {
                report.at_most(format!("{name}: CPU"), cpu, 0.9, " ms");
            }
            (Via::Response(store), _, 16..) => {
                if let Some(turn) = find(rows, mode, connections, Via::Stored(store)) {
                    let Millis(of_turn) = turn.load.cpu.into();
                    report.at_most(format!("{name}: CPU of a turn's"), cpu / of_turn, 1.15, "×");
                }
            }
            _ => {}
        }
    }
}
