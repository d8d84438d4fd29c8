//! Where the log and the spans of this process go.

use aimate::Result;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Sends what is left of the spans when it is dropped.
pub(crate) struct Log {
    #[cfg(feature = "otel")]
    spans: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

/// Starts the log on standard error, and the export of spans where
/// `OTEL_EXPORTER_OTLP_ENDPOINT` says where they go.
///
/// # Errors
/// `Invalid` if spans are to go where they cannot.
pub(crate) fn start() -> Result<Log> {
    let filter = ["AIMATE_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        // What clients of the MCP server do wrong is theirs to read.
        .unwrap_or_else(|| "warn,aimate=info,rmcp=error".to_owned());
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match std::env::var("AIMATE_LOG_FORMAT").as_deref() {
        Ok("json") => log.json().boxed(),
        // The end of each span too, with the time that it took.
        Ok("spans") => log.with_span_events(FmtSpan::CLOSE).boxed(),
        _ => log.boxed(),
    };
    let registry = tracing_subscriber::registry().with(log.with_filter(EnvFilter::new(filter)));
    #[cfg(feature = "otel")]
    {
        use opentelemetry::trace::TracerProvider as _;

        let spans = exporter()?;
        // Whatever the log shows: who exports spans wants those of aiMate.
        let exported =
            EnvFilter::new(std::env::var("AIMATE_SPANS").unwrap_or_else(|_| "off,aimate=info".to_owned()));
        let layer =
            spans.as_ref().map(|spans| tracing_opentelemetry::layer().with_tracer(spans.tracer("aimate")));
        registry.with(layer.with_filter(exported)).init();
        Ok(Log { spans })
    }
    #[cfg(not(feature = "otel"))]
    {
        registry.init();
        if std::env::var_os(ENDPOINT).is_some() {
            tracing::warn!("{ENDPOINT} has no effect: this build lacks the feature `otel`");
        }
        Ok(Log {})
    }
}

/// Where spans go, by OpenTelemetry's own name of the setting.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What sends spans by OTLP over HTTP, with the settings of OpenTelemetry's
/// environment; `None` if nothing says where to.
#[cfg(feature = "otel")]
fn exporter() -> Result<Option<opentelemetry_sdk::trace::SdkTracerProvider>> {
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    if std::env::var_os(ENDPOINT).is_none_or(|endpoint| endpoint.is_empty()) {
        return Ok(None);
    }
    // The collector's client takes the process' own; another may be there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build().map_err(|error| {
        aimate::Error::invalid(format!(
            "{ENDPOINT}: spans cannot be sent there; it should be like http://127.0.0.1:4318"
        ))
        .with_source(error)
    })?;
    let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "aimate".to_owned());
    let resource = Resource::builder().with_service_name(name).build();
    Ok(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
}

impl Drop for Log {
    fn drop(&mut self) {
        #[cfg(feature = "otel")]
        if let Some(spans) = &self.spans
            && let Err(error) = spans.shutdown()
        {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}
