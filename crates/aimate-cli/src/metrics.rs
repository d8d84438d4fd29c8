//! The recorder of the metrics that `/metrics` shows.

use std::time::Duration;

use aimate::{Error, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of all times, in seconds: from a lookup in memory to a
/// model that thinks.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

/// How often what was measured is summed up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Installs the recorder for this process.
///
/// # Errors
/// `Internal` if there is one already.
pub(crate) fn install() -> Result<PrometheusHandle> {
    // What was measured is summed up now and then, so that it does not pile up while
    // nobody asks for it.
    let failed = |error: String| Error::internal("the metrics could not be set up").with_source(error);
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(|error| failed(error.to_string()))?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(error.to_string()))?;
    aimate::metrics::describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}
