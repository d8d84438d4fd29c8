//! What `/metrics` tells. The recorder is the router's own: an application
//! that embeds it keeps its global one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::CONTENT_TYPE;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use crate::app::App;

const REQUESTS: &str = "aimate_http_requests_total";
const DURATION: &str = "aimate_http_request_duration_seconds";
const STREAMS: &str = "aimate_http_streams_open";
const RUNS: &str = "aimate_runs_running";
/// Seconds until the head of the answer.
const BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Requests after which the histograms' samples are folded into their buckets,
/// so that they do not pile up where nobody reads the metrics.
const FOLD_EVERY: u64 = 16_384;

/// The metrics of one router.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    answers: RwLock<HashMap<(Method, u16), HashMap<String, Answers>>>,
    counted: AtomicU64,
    streams: Gauge,
    runs: Gauge,
}

/// What is counted of one route, method and status.
#[derive(Clone)]
struct Answers {
    count: Counter,
    duration: Histogram,
}

/// A stream of events that somebody listens to; counted until it is dropped.
pub(crate) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let name = Matcher::Full(DURATION.to_owned());
        let builder = PrometheusBuilder::new();
        // It only refuses an empty list.
        let recorder = builder.set_buckets_for_metric(name, &BUCKETS).unwrap_or_default().build_recorder();
        let describe = |name: &'static str, text: &'static str| (name.into(), None, text.into());
        let (name, unit, text) = describe(REQUESTS, "Requests that were answered.");
        recorder.describe_counter(name, unit, text);
        let (name, unit, text) = describe(DURATION, "Time until the head of the answer.");
        recorder.describe_histogram(name, unit, text);
        let (name, unit, text) = describe(STREAMS, "Streams of events that somebody listens to.");
        recorder.describe_gauge(name, unit, text);
        let (name, unit, text) = describe(RUNS, "Answers that are being written.");
        recorder.describe_gauge(name, unit, text);
        Self {
            streams: recorder.register_gauge(&Key::from_static_name(STREAMS), &METADATA),
            runs: recorder.register_gauge(&Key::from_static_name(RUNS), &METADATA),
            answers: RwLock::default(),
            counted: AtomicU64::new(0),
            recorder,
        }
    }

    /// Counts one answer.
    pub(crate) fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let answers = self.answers(method, route, status);
        answers.count.increment(1);
        answers.duration.record(took.as_secs_f64());
        if self.counted.fetch_add(1, Ordering::Relaxed) % FOLD_EVERY == FOLD_EVERY - 1 {
            self.recorder.handle().run_upkeep();
        }
    }

    /// Counts one stream until what this gives is dropped.
    pub(crate) fn open_stream(&self) -> OpenStream {
        self.streams.increment(1.0);
        OpenStream(self.streams.clone())
    }

    fn answers(&self, method: &Method, route: &str, status: u16) -> Answers {
        let key = (standard(method), status);
        let known = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(answers) = known.get(&key).and_then(|routes| routes.get(route)) {
            return answers.clone();
        }
        drop(known);
        let answers = self.register(&key.0, route, status);
        let mut known = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        let routes = known.entry(key).or_default();
        routes.entry(route.to_owned()).or_insert(answers).clone()
    }

    fn register(&self, method: &Method, route: &str, status: u16) -> Answers {
        let labels = vec![
            Label::new("method", method.to_string()),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let count = Key::from_parts(REQUESTS, labels.clone());
        let duration = Key::from_parts(DURATION, labels);
        Answers {
            count: self.recorder.register_counter(&count, &METADATA),
            duration: self.recorder.register_histogram(&duration, &METADATA),
        }
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The method; one for all that nobody serves, so that a caller cannot make
/// up new rows.
fn standard(method: &Method) -> Method {
    match *method {
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::HEAD => {
            method.clone()
        }
        _ => Method::OPTIONS,
    }
}

/// Tells the metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn get(State(app): State<App>) -> Response {
    let metrics = &app.metrics;
    metrics.runs.set(f64::from(u32::try_from(app.engine.running()).unwrap_or(u32::MAX)));
    let text = metrics.recorder.handle().render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
