//! What accounts cost a request, measured: `cargo test --release --workspace --all-features --test http
//! account_cost -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use aimate_http::Options;
use http::Method;
use serde_json::json;

use crate::account::{PASSWORD, api_token, by, house, register, text};
use crate::common::{Bench, bench_with};

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The median of 2,000 requests that read one row.
async fn list(bench: &Bench, token: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let request = by(token, Method::GET, "/api/v1/workspaces", None);
        let started = Instant::now();
        assert_eq!(bench.ask(request).await.status, 200);
        times.push(started.elapsed());
    }
    median(times)
}

#[tokio::test]
#[ignore = "it measures"]
async fn cost_of_signing_in_and_of_being_known() {
    let (bench, accounts) = house([]).await;
    let ada = register(&bench, "ada@example.org").await;
    let access = text(&ada, "access_token").to_owned();
    let token = api_token(&bench, &access, &["read"]).await;
    let token = text(&token, "token").to_owned();
    let mut logins = Vec::new();
    for _ in 0..31 {
        let login = json!({"email": "ada@example.org", "password": PASSWORD});
        let started = Instant::now();
        assert_eq!(bench.post("/api/v1/auth/login", login).await.status, 200);
        logins.push(started.elapsed());
    }
    println!("login: {:?}", median(logins));
    for (what, credential) in [("access token", &access), ("API token", &token)] {
        let mut times = Vec::new();
        for _ in 0..20_000 {
            let started = Instant::now();
            accounts.authenticate(credential).await.unwrap();
            times.push(started.elapsed());
        }
        println!("{what}, known: {:?}", median(times));
    }
    let local = bench_with([], Options::local()).await;
    println!("a list, local mode: {:?}", list(&local, &access).await);
    println!("a list, access token: {:?}", list(&bench, &access).await);
    println!("a list, API token: {:?}", list(&bench, &token).await);
}
