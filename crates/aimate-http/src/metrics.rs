//! The metrics of `/metrics`. The recorder belongs to the router: an application
//! that embeds it keeps its own global recorder.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::Method;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

const REQUESTS: &str = "aimate_http_requests_total";
const DURATION: &str = "aimate_http_request_duration_seconds";
const STREAMS: &str = "aimate_http_streams_open";
const RUNS: &str = "aimate_runs_running";
/// Buckets of [`DURATION`], in seconds.
const BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Requests between two upkeeps of the recorder. It keeps raw samples until then,
/// which would pile up where nobody reads the metrics.
const UPKEEP_EVERY: u64 = 16_384;

/// The metrics of one router.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    /// By method and status, then by route: looking a series up allocates nothing.
    requests: RwLock<HashMap<(Method, u16), HashMap<String, RequestSeries>>>,
    recorded: AtomicU64,
    streams: Gauge,
    runs: Gauge,
}

/// The time series of one method, status and route.
#[derive(Clone)]
struct RequestSeries {
    count: Counter,
    duration: Histogram,
}

/// Counts an event stream as open until it is dropped.
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
        // Fails for an empty list only.
        let recorder = builder.set_buckets_for_metric(name, &BUCKETS).unwrap_or_default().build_recorder();
        let describe = |name: &'static str, text: &'static str| (name.into(), None, text.into());
        let (name, unit, text) = describe(REQUESTS, "Requests answered.");
        recorder.describe_counter(name, unit, text);
        let (name, unit, text) = describe(DURATION, "Seconds until the response head is sent.");
        recorder.describe_histogram(name, unit, text);
        let (name, unit, text) = describe(STREAMS, "Event streams that are open.");
        recorder.describe_gauge(name, unit, text);
        let (name, unit, text) = describe(RUNS, "Runs that are generating an answer.");
        recorder.describe_gauge(name, unit, text);
        Self {
            streams: recorder.register_gauge(&Key::from_static_name(STREAMS), &METADATA),
            runs: recorder.register_gauge(&Key::from_static_name(RUNS), &METADATA),
            requests: RwLock::default(),
            recorded: AtomicU64::new(0),
            recorder,
        }
    }

    /// Records one request.
    pub(crate) fn record_request(&self, method: &Method, route: &str, status: u16, duration: Duration) {
        let series = self.request_series(method, route, status);
        series.count.increment(1);
        series.duration.record(duration.as_secs_f64());
        if self.recorded.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1 {
            self.recorder.handle().run_upkeep();
        }
    }

    /// Counts one more open stream until the returned value is dropped.
    pub(crate) fn open_stream(&self) -> OpenStream {
        self.streams.increment(1.0);
        OpenStream(self.streams.clone())
    }

    /// Returns the metrics in Prometheus' text format.
    pub(crate) fn render(&self, running: usize) -> String {
        self.runs.set(f64::from(u32::try_from(running).unwrap_or(u32::MAX)));
        self.recorder.handle().render()
    }

    fn request_series(&self, method: &Method, route: &str, status: u16) -> RequestSeries {
        let key = (method_label(method), status);
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = requests.get(&key).and_then(|routes| routes.get(route)) {
            return series.clone();
        }
        drop(requests);
        let series = self.register(&key.0, route, status);
        let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        let routes = requests.entry(key).or_default();
        routes.entry(route.to_owned()).or_insert(series).clone()
    }

    fn register(&self, method: &Method, route: &str, status: u16) -> RequestSeries {
        let labels = vec![
            Label::new("method", method.to_string()),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let count = Key::from_parts(REQUESTS, labels.clone());
        let duration = Key::from_parts(DURATION, labels);
        RequestSeries {
            count: self.recorder.register_counter(&count, &METADATA),
            duration: self.recorder.register_histogram(&duration, &METADATA),
        }
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The method, with one label for all that no route supports: callers must not
/// be able to create time series at will.
fn method_label(method: &Method) -> Method {
    match *method {
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::HEAD => {
            method.clone()
        }
        _ => Method::OPTIONS,
    }
}
