//! How often a turn waits for PostgreSQL before the model is asked: counted by a
//! relay between aimate and the server, up to the stamp of the first token.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Bench, Store, completion};
use crate::Result;
use crate::client::{Client, request};
use crate::postgres::Relay;
use crate::report::Report;
use crate::upstream::{self, stamp};

const TURNS: usize = 40;
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result {
    if !bench.stores().contains(&Store::Postgres) {
        eprintln!("AIMATE_BENCH_POSTGRES is not set: round trips are not counted");
        return Ok(());
    }
    let database = bench.database(Store::Postgres, "trips").await?;
    let relay = Relay::start(&database).await?;
    let aimate = bench.aimate_on(&relay.url, "trips").await?;
    let mut client = Client::connect(aimate.address).await?;
    let model = format!("openai/{}", upstream::ONE);

    let mut first = completion(&model, true);
    let path = "/api/v1/chat/completions";
    let opening = turns(&mut client, &relay, path, &first).await?;

    first["stream"] = Value::Bool(false);
    let answer = client.call("POST", path, Some(&first)).await?;
    let id = answer["conversation_id"].as_str().ok_or("the answer has no conversation_id")?;
    let path = format!("/api/v1/conversations/{id}/messages");
    let body = json!({"content": "And who has the key?", "model": model, "stream": true});
    let following = turns(&mut client, &relay, &path, &body).await?;

    let row = |name: &str, trips: &[usize]| {
        let (median, max) = (trips.get(trips.len() / 2), trips.last());
        [Some(name.to_owned()), median.map(usize::to_string), max.map(usize::to_string)]
            .map(Option::unwrap_or_default)
            .to_vec()
    };
    report.table(
        "Round trips to PostgreSQL before the model is asked",
        &["turn", "median", "most"],
        &[row("that begins a conversation", &opening), row("that continues one", &following)],
    );
    for (name, trips) in [("begins", &opening), ("continues", &following)] {
        let median = trips.get(trips.len() / 2).copied().unwrap_or(usize::MAX);
        let name = format!("round trips before the model is asked, turn that {name} a conversation");
        report.at_most(name, f64::from(u32::try_from(median)?), 3.0, "");
    }
    Ok(())
}

/// The round trips of each turn, sorted.
async fn turns(client: &mut Client, relay: &Relay, path: &str, body: &Value) -> Result<Vec<usize>> {
    let mut trips = Vec::new();
    for turn in 0..TURNS {
        let address = client.address();
        let request = request("POST", address, path, &body.to_string());
        let begun = stamp();
        let status = client.exchange(&request, |_| ()).await?;
        let sent = upstream::sent_at(client.body());
        let Some(sent) = sent.filter(|_| (200..300).contains(&status)) else {
            let said = String::from_utf8_lossy(client.body());
            return Err(format!("{path} was answered {status}: {said}").into());
        };
        // The first turns prepare statements.
        if turn >= TURNS / 4 {
            trips.push(relay.trips(begun, sent));
        }
        // What a turn still writes after its last event is not the next one's.
        sleep(PAUSE).await;
    }
    trips.sort_unstable();
    Ok(trips)
}
