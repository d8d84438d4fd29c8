//! What the command tells of its work: spans in the log and to a collector, and
//! metrics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "common/command.rs"]
mod command;
#[path = "common/model_server.rs"]
mod model_server;

use command::{Folder, err, out};
use model_server::ModelServer;

const KEY: &str = "sk-canary-0123456789";
const QUESTION: &str = "a question that no span may tell";

#[test]
fn one_turn_is_a_trace_without_secrets_or_content() {
    let (folder, model) = (Folder::new("spans"), ModelServer::start());
    let environment = [
        ("OPENAI_API_KEY", KEY),
        ("OPENAI_BASE_URL", &*model.url),
        ("AIMATE_LOG", "warn,aimate=debug"),
        ("AIMATE_LOG_FORMAT", "spans"),
        ("NO_COLOR", "1"),
    ];
    let told = folder.aimate(&["chat", QUESTION, "--model", "openai/m"], &environment);
    assert!(told.status.success(), "{}", err(&told));
    assert!(out(&told).contains("Yes"), "{}", out(&told));
    let log = err(&told);
    let closed: Vec<_> = log.lines().filter(|line| line.contains("close time.busy")).collect();
    let has = |parts: &[&str]| {
        let is_found = closed.iter().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(is_found, "{parts:?} in {log}");
    };
    has(&["turn{", "run_id=", "conversation_id=", "tenant="]);
    has(&["turn{", "model_call{", "gen_ai.operation.name=\"chat\"", "gen_ai.request.model=\"m\""]);
    has(&["model_call{", "gen_ai.usage.output_tokens=", "gen_ai.response.finish_reasons=\"stop\""]);
    has(&["turn{", "database{", "work=\"write\""]);
    assert!(!log.contains(KEY) && !log.contains("canary") && !log.contains(QUESTION), "{log}");
}

#[cfg(feature = "otel")]
#[test]
fn spans_go_to_the_collector_that_is_named() {
    let (folder, model, collector) = (Folder::new("otel"), ModelServer::start(), ModelServer::start());
    let endpoint = collector.url.trim_end_matches("/v1");
    let environment = [
        ("OPENAI_API_KEY", KEY),
        ("OPENAI_BASE_URL", &*model.url),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_SERVICE_NAME", "helpdesk-ai"),
    ];
    let told = folder.aimate(&["chat", QUESTION, "--model", "openai/m"], &environment);
    assert!(told.status.success(), "{}", err(&told));
    let sent = collector.asked();
    assert!(sent.contains("POST /v1/traces"), "{sent}");
    for part in ["helpdesk-ai", "turn", "model_call", "gen_ai.request.model", "gen_ai.usage.input_tokens"] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
    assert!(!sent.contains(KEY) && !sent.contains(QUESTION), "{sent}");
}
