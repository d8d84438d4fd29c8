//! The metrics of `/metrics`, in Prometheus' text format. They belong to the
//! router: an application that embeds it keeps its own registry.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Method;

const REQUESTS: &str = "aimate_http_requests_total";
const DURATION: &str = "aimate_http_request_duration_seconds";
const STREAMS: &str = "aimate_http_streams_open";
const REFUSED: &str = "aimate_http_overload_refusals_total";
const IN_WORK: &str = "aimate_http_requests_in_work";
const RUNS: &str = "aimate_runs_running";
/// The upper bounds of the buckets of [`DURATION`], in seconds.
const BOUNDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// The metrics of one router.
#[derive(Default)]
pub(crate) struct Metrics {
    /// By method and status, then by route: looking a series up allocates nothing.
    requests: RwLock<HashMap<(Method, u16), SeriesByRoute>>,
    streams: Arc<AtomicUsize>,
    /// Requests that were refused because there was too much to do.
    refused: AtomicU64,
}

type SeriesByRoute = HashMap<String, Arc<RequestSeries>>;

/// The time series of one method, status and route.
#[derive(Default)]
struct RequestSeries {
    /// Requests by the first bucket that holds them; the last one has no bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// The sum of all durations.
    nanoseconds: AtomicU64,
}

/// Counts an event stream as open until it is dropped.
pub(crate) struct OpenStream(Arc<AtomicUsize>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Records one request.
    pub(crate) fn record_request(&self, method: &Method, route: &str, status: u16, duration: Duration) {
        let key = (method_label(method), status);
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = requests.get(&key).and_then(|routes| routes.get(route)) {
            return series.record(duration);
        }
        drop(requests);
        let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        requests.entry(key).or_default().entry(route.to_owned()).or_default().record(duration);
    }

    /// Counts one more open stream until the returned value is dropped.
    pub(crate) fn open_stream(&self) -> OpenStream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        OpenStream(Arc::clone(&self.streams))
    }

    /// Counts a request that was refused because there was too much to do.
    pub(crate) fn refuse_overload(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the metrics in Prometheus' text format.
    pub(crate) fn render(&self, running: usize, in_work: usize) -> String {
        let requests = self.snapshot();
        let mut text = String::new();
        head(&mut text, REQUESTS, "counter", "Requests answered.");
        for (labels, series) in &requests {
            let count: u64 = series.counts().iter().sum();
            line(&mut text, format_args!("{REQUESTS}{{{labels}}} {count}"));
        }
        head(&mut text, DURATION, "histogram", "Seconds until the response head is sent.");
        for (labels, series) in &requests {
            series.render(&mut text, labels);
        }
        head(&mut text, STREAMS, "gauge", "Event streams that are open.");
        line(&mut text, format_args!("{STREAMS} {}", self.streams.load(Ordering::Relaxed)));
        head(&mut text, IN_WORK, "gauge", "Requests in work.");
        line(&mut text, format_args!("{IN_WORK} {in_work}"));
        head(&mut text, REFUSED, "counter", "Requests refused because there was too much to do.");
        line(&mut text, format_args!("{REFUSED} {}", self.refused.load(Ordering::Relaxed)));
        head(&mut text, RUNS, "gauge", "Runs that are generating an answer.");
        line(&mut text, format_args!("{RUNS} {running}"));
        text
    }

    /// Every series with its labels, sorted by them.
    fn snapshot(&self) -> Vec<(String, Arc<RequestSeries>)> {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for ((method, status), routes) in requests.iter() {
            for (route, series) in routes {
                let route = route.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
                all.push((labels, Arc::clone(series)));
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

impl RequestSeries {
    fn record(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.buckets.get(BOUNDS.partition_point(|bound| *bound < seconds));
        bucket.map(|bucket| bucket.fetch_add(1, Ordering::Relaxed));
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn counts(&self) -> [u64; BOUNDS.len() + 1] {
        self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// Writes the histogram: each bucket counts those below it too.
    fn render(&self, text: &mut String, labels: &str) {
        let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (bound, requests) in bounds.zip(self.counts()) {
            count += requests;
            line(text, format_args!("{DURATION}_bucket{{{labels},le=\"{bound}\"}} {count}"));
        }
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        line(text, format_args!("{DURATION}_sum{{{labels}}} {sum}"));
        line(text, format_args!("{DURATION}_count{{{labels}}} {count}"));
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_counts_what_the_smaller_ones_count() {
        let metrics = Metrics::default();
        for milliseconds in [1, 30, 60_000] {
            metrics.record_request(&Method::GET, "/a", 200, Duration::from_millis(milliseconds));
        }
        let text = metrics.render(0, 0);
        let labels = "method=\"GET\",route=\"/a\",status=\"200\"";
        for line in [
            format!("{REQUESTS}{{{labels}}} 3"),
            format!("{DURATION}_bucket{{{labels},le=\"0.0005\"}} 0"),
            // A bound belongs to its bucket.
            format!("{DURATION}_bucket{{{labels},le=\"0.001\"}} 1"),
            format!("{DURATION}_bucket{{{labels},le=\"0.05\"}} 2"),
            format!("{DURATION}_bucket{{{labels},le=\"30\"}} 2"),
            format!("{DURATION}_bucket{{{labels},le=\"+Inf\"}} 3"),
            format!("{DURATION}_sum{{{labels}}} 60.031"),
            format!("{DURATION}_count{{{labels}}} 3"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn route_cannot_break_out_of_its_label() {
        let metrics = Metrics::default();
        metrics.record_request(&Method::GET, "/a\"b\\c\nd", 200, Duration::ZERO);
        assert!(metrics.render(0, 0).contains(r#"route="/a\"b\\c\nd",status"#));
    }

    #[test]
    fn unknown_methods_share_one_series() {
        let metrics = Metrics::default();
        for name in ["BREW", "WHEN"] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            metrics.record_request(&method, "/a", 405, Duration::ZERO);
        }
        assert!(metrics.render(0, 0).contains("method=\"OPTIONS\",route=\"/a\",status=\"405\"} 2"));
    }

    #[test]
    fn stream_is_open_until_it_is_dropped() {
        let metrics = Metrics::default();
        let stream = metrics.open_stream();
        assert!(metrics.render(0, 0).contains("aimate_http_streams_open 1\n"));
        drop(stream);
        assert!(metrics.render(2, 1).contains("aimate_http_streams_open 0\n"));
        assert!(metrics.render(2, 1).contains("aimate_runs_running 2\n"));
    }
}
