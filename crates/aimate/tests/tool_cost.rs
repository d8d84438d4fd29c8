//! What tools cost, beside turns without any; run by hand:
//! `cargo nextest run --release --workspace --all-features --test tool_cost --run-ignored only --no-capture`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement, not a part of the product"
)]

mod common;

use std::time::{Duration, Instant};

use aimate::message::{Part, ToolCall};
use aimate::provider::{FinishReason, ProviderEvent};
use aimate::testing::{Step, answer};
use aimate::tool::{HostTool, ToolContext};
use aimate::{EngineBuilder, Turn};
use common::Bench;
use serde_json::{Value, json};

fn tool(n: usize) -> HostTool {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}});
    HostTool::new(
        format!("tool_{n}"),
        "Does one thing, and says so.",
        schema,
        async |_: ToolContext, _: Value| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok("done")
        },
    )
}

async fn bench(scripts: Vec<Vec<Step>>) -> Bench {
    Bench::with(scripts, |builder| (0..10).map(tool).fold(builder, EngineBuilder::tool)).await
}

/// The middle of many turns, in microseconds.
async fn turns(bench: &Bench, tools: &[String]) -> f64 {
    let mut times = Vec::new();
    for _ in 0..400 {
        bench.provider.push(answer("one two three four five six seven eight nine ten"));
        let begun = Instant::now();
        bench
            .engine
            .chat(&bench.me, Turn::new("Hello").use_tools(tools))
            .await
            .unwrap()
            .message()
            .await
            .unwrap();
        times.push(begun.elapsed());
    }
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

#[tokio::test]
#[ignore = "a measurement"]
async fn tools_that_are_not_used() {
    let bench = bench(vec![]).await;
    let names: Vec<String> = (0..10).map(|n| format!("tool_{n}")).collect();
    turns(&bench, &[]).await;
    for round in 0..3 {
        let (without, with) = (turns(&bench, &[]).await, turns(&bench, &names).await);
        println!(
            "round {round}: {without:.0} µs without, {with:.0} µs with ten tools: {:.3}",
            with / without
        );
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn fifty_calls_of_one_step() {
    let call = |n: usize| {
        let call = ToolCall::new(format!("c{n}"), format!("tool_{}", n % 10), json!({"b": n}));
        Step::Say(ProviderEvent::ToolCall(call))
    };
    let bench = bench(vec![]).await;
    for round in 0..5 {
        let mut script: Vec<_> = (0..50).map(call).collect();
        script.push(Step::Say(ProviderEvent::Finish(FinishReason::ToolCalls)));
        bench.provider.push(script);
        bench.provider.push(answer("Done."));
        let names = (0..10).map(|n| format!("tool_{n}"));
        let begun = Instant::now();
        let message = bench
            .engine
            .chat(&bench.me, Turn::new("Go").use_tools(names))
            .await
            .unwrap()
            .message()
            .await
            .unwrap();
        let took = begun.elapsed();
        let slowest = message.content.iter().filter_map(|part| match part {
            Part::ToolResult(result) => result.duration_ms,
            _ => None,
        });
        println!("round {round}: 50 calls in {took:?}, the slowest took {} ms", slowest.max().unwrap());
    }
}

#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "a measurement"]
async fn large_result_leaves_nothing_in_memory() {
    let large =
        HostTool::new("large", "", json!({}), async |_: ToolContext, _: Value| Ok("x".repeat(50 << 20)));
    let bench = Bench::with([], |builder| builder.tool(large)).await;
    for round in 0..5 {
        let call = ProviderEvent::ToolCall(ToolCall::new("1", "large", json!({})));
        bench.provider.push(vec![Step::Say(call), Step::Say(ProviderEvent::Finish(FinishReason::ToolCalls))]);
        bench.provider.push(answer("Read."));
        let before = resident();
        let answer = bench.engine.chat(&bench.me, Turn::new("Go").use_tools(["large"])).await.unwrap();
        let conversation = answer.conversation_id();
        answer.message().await.unwrap();
        bench.engine.conversations(&bench.me).delete(conversation).await.unwrap();
        println!("round {round}: {before} KiB before, {} KiB after", resident());
    }
}
