//! Opening a conversation costs what is shown, and so does listing them.

use std::time::Instant;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Bench;
use crate::Result;
use crate::client::{Client, request};
use crate::load::{Spread, nanoseconds};
use crate::report::{Report, Short};
use crate::server::Process;
use crate::upstream;

const READS: usize = 400;
/// Connections that fill the list.
const WRITERS: usize = 16;
const PAGE: usize = 50;
/// Conversations of a page on the way to the deep one; the most there may be.
const STRIDE: usize = 200;

/// First page of a long conversation against a short one.
pub(super) async fn open(bench: &Bench, report: &mut Report) -> Result {
    let many = if bench.quick { 1_000 } else { 10_000 };
    let (mut rows, mut goals) = (Vec::new(), Vec::new());
    for store in bench.stores() {
        let aimate = bench.aimate(store, "open").await?;
        let mut client = Client::connect(aimate.address).await?;
        let short = fill_conversation(&mut client, 10).await?;
        let long = fill_conversation(&mut client, many).await?;
        for (limit, shown) in [("?limit=10", "10"), ("", "default")] {
            let short = format!("/api/v1/conversations/{short}/messages{limit}");
            let long = format!("/api/v1/conversations/{long}/messages{limit}");
            let spreads = read(&mut client, &[&short, &long]).await?;
            let [short, long] = spreads.as_slice() else {
                continue;
            };
            let ratio = long.p50().0 / short.p50().0;
            rows.push(vec![
                store.title().to_owned(),
                shown.to_owned(),
                format!("{} / {}", short.p50(), short.p99()),
                format!("{} / {}", long.p50(), long.p99()),
                format!("{ratio:.2}"),
            ]);
            goals.push((
                format!("open {many} messages, {}, page {shown}: of 10 messages", store.title()),
                ratio,
            ));
        }
    }
    let long = format!("{many} messages, ms p50 / p99");
    report.table(
        "Opening a conversation (first page of its messages)",
        &["store", "page", "10 messages, ms p50 / p99", &long, "ratio"],
        &rows,
    );
    for (name, ratio) in goals {
        report.at_most(name, ratio, 2.0, "×");
    }
    Ok(())
}

/// A conversation of `count` messages, made by one turn that brings all but the answer.
async fn fill_conversation(client: &mut Client, count: usize) -> Result<String> {
    let messages: Vec<Value> = (1..count)
        .map(|n| {
            let role = if (count - n) % 2 == 1 { "user" } else { "assistant" };
            json!({"role": role, "content": format!("Message {n} of the boiler's long story.")})
        })
        .collect();
    let body = json!({"model": format!("openai/{}", upstream::PLAIN), "messages": messages});
    let answer = client.call("POST", "/api/v1/chat/completions", Some(&body)).await?;
    let id = answer["conversation_id"].as_str().ok_or("the answer has no conversation_id")?;
    let found = client.call("GET", &format!("/api/v1/conversations/{id}"), None).await?;
    match found["message_count"].as_u64() {
        Some(found) if found == count as u64 => Ok(id.to_owned()),
        found => Err(format!("{count} messages were sent, {found:?} are stored").into()),
    }
}

/// First and deep page of a long list.
pub(super) async fn list(bench: &Bench, report: &mut Report) -> Result {
    let count = if bench.quick { 2_000 } else { 100_000 };
    let mut rows = Vec::new();
    for store in bench.stores() {
        let aimate = bench.aimate(store, "list").await?;
        let begun = Instant::now();
        fill_list(&aimate, count).await?;
        let filled = begun.elapsed();
        let mut client = Client::connect(aimate.address).await?;
        let first = format!("/api/v1/conversations?limit={PAGE}");
        let deep = deep_page(&mut client, count / 2).await?;
        let searched = format!("/api/v1/conversations?limit={PAGE}&q=story%20{}", count / 2);
        let spreads = read(&mut client, &[&first, &deep, &searched]).await?;
        let mut row = vec![store.title().to_owned()];
        row.push(Short((count as f64 / filled.as_secs_f64()).round()).to_string());
        row.extend(spreads.iter().map(|spread| format!("{} / {}", spread.p50(), spread.p99())));
        row.push(format!("{:.0}", f64::from(aimate.resident()?) / 1024.0));
        rows.push(row);
    }
    report.table(
        &format!("Listing {count} conversations, {PAGE} a page, ms p50 / p99"),
        &["store", "created per second", "first page", "page in the middle", "search of one title", "MB"],
        &rows,
    );
    Ok(())
}

async fn fill_list(aimate: &Process, count: usize) -> Result {
    let address = aimate.address;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(async move {
            let mut client = Client::connect(address).await?;
            for n in (writer..count).step_by(WRITERS) {
                let body = json!({"title": format!("The boiler's story {n}")});
                client.call("POST", "/api/v1/conversations", Some(&body)).await?;
            }
            Result::Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok(())
}

/// The path of the page that begins after `skip` conversations.
async fn deep_page(client: &mut Client, skip: usize) -> Result<String> {
    let mut cursor = String::new();
    for _ in 0..skip / STRIDE {
        let path = format!("/api/v1/conversations?limit={STRIDE}{cursor}");
        let page = client.call("GET", &path, None).await?;
        let next = page["next_cursor"].as_str().ok_or("the list ends too early")?;
        cursor = format!("&cursor={next}");
    }
    Ok(format!("/api/v1/conversations?limit={PAGE}{cursor}"))
}

/// Reads the paths in turn and tells how long each takes.
async fn read(client: &mut Client, paths: &[&str]) -> Result<Vec<Spread>> {
    let address = client.address();
    let requests: Vec<_> = paths.iter().map(|path| request("GET", address, path, "")).collect();
    let mut times = vec![Vec::new(); paths.len()];
    for round in 0..READS + READS / 10 {
        for (request, times) in requests.iter().zip(&mut times) {
            let begun = Instant::now();
            let status = client.exchange(request, |_| ()).await?;
            if status != 200 {
                let said = String::from_utf8_lossy(client.body());
                return Err(format!("a page was answered {status}: {said}").into());
            }
            // The first tenth warms up.
            if round >= READS / 10 {
                times.push(nanoseconds(begun.elapsed()));
            }
        }
    }
    Ok(times.into_iter().map(Spread::new).collect())
}
