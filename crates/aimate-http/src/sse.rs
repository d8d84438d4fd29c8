//! Server-sent events: whatever is ready goes out as one frame of the body;
//! while nothing is, a comment every 15 s keeps the connection open.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aimate_core::chat::event::ChatEvent;
use aimate_core::engine::NumberedEvents;
use aimate_core::{Answer, Error};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::{Instant, Sleep, sleep};

use crate::app::App;
use crate::error::Result;
use crate::metrics::OpenStream;

/// How long nothing may be sent.
const QUIET: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b": keep-alive\n\n";
/// Bytes a stream's buffer begins with: some twenty small events.
const BUFFER: usize = 1024;

/// The last event that the caller knows.
///
/// # Errors
/// `Invalid` if it is no number.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    Ok(Some(id.ok_or_else(|| Error::field("Last-Event-ID", "is not the `id` of an event: a number"))?))
}

/// Something that is told piece by piece.
pub(crate) trait Source: Send + 'static {
    /// Writes all that is ready, at least one piece; waits for it if need be.
    /// False after the end, with nothing written. Dropping the future loses
    /// nothing.
    fn write(&mut self, out: &mut BytesMut) -> impl Future<Output = bool> + Send;
}

/// The events of a run.
pub(crate) fn answer(app: &App, answer: Answer) -> Response {
    response(app, answer)
}

/// The rest of the events of a run that is over: `204` if there is none, which
/// tells a browser not to come back.
pub(crate) async fn rest(app: &App, mut answer: Answer) -> Response {
    match answer.next_batch().await {
        Some(events) => response(app, Rest { events, answer }),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

impl Source for Answer {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        let Some(events) = self.next_batch().await else {
            return false;
        };
        write_events(out, events);
        true
    }
}

struct Rest {
    /// Those that were read already.
    events: NumberedEvents,
    answer: Answer,
}

impl Source for Rest {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        if self.events.is_empty() {
            return self.answer.write(out).await;
        }
        write_events(out, std::mem::take(&mut self.events));
        true
    }
}

fn write_events(out: &mut BytesMut, events: NumberedEvents) {
    for (id, event) in events {
        write_event(out, id, &event);
    }
}

fn write_event(out: &mut BytesMut, id: u64, event: &ChatEvent) {
    let before = out.len();
    if try_write_event(out, id, event).is_err() {
        // Invariant: events are plain data, which JSON can always hold.
        tracing::error!(id, event = event.name(), "an event could not be written");
        out.truncate(before);
    }
}

fn try_write_event(out: &mut BytesMut, id: u64, event: &ChatEvent) -> std::io::Result<()> {
    use std::io::Write;
    let mut writer = out.writer();
    write!(writer, "id: {id}\nevent: {}\ndata: ", event.name())?;
    serde_json::to_writer(&mut writer, event)?;
    writer.write_all(b"\n\n")
}

/// A stream of events out of `source`. Dropping the response's body drops it.
pub(crate) fn response<S: Source>(app: &App, source: S) -> Response {
    let told = Telling {
        source,
        buffer: BytesMut::with_capacity(BUFFER),
        alarm: Box::pin(sleep(QUIET)),
        last: Instant::now(),
        _open: app.metrics.open_stream(),
    };
    let frames = stream::unfold(told, |mut told| async move {
        let frame = told.frame().await?;
        Some((Ok::<_, Infallible>(frame), told))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Telling<S> {
    source: S,
    buffer: BytesMut,
    /// Rings at the earliest when nothing was sent for [`QUIET`]; it is set
    /// again when it rings, not with every frame.
    alarm: Pin<Box<Sleep>>,
    last: Instant,
    _open: OpenStream,
}

impl<S: Source> Telling<S> {
    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                more = self.source.write(&mut self.buffer) => {
                    self.last = Instant::now();
                    return more.then(|| self.buffer.split().freeze());
                }
                () = self.alarm.as_mut() => {
                    let due = self.last + QUIET;
                    let now = Instant::now();
                    if now >= due {
                        self.last = now;
                        self.alarm.as_mut().reset(now + QUIET);
                        return Some(Bytes::from_static(COMMENT));
                    }
                    self.alarm.as_mut().reset(due);
                }
            }
        }
    }
}
