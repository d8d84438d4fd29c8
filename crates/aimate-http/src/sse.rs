//! Server-sent events: all that is ready goes out as one frame of the body; when
//! nothing is, a comment every 15 s keeps proxies from closing the connection.

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

/// Longest time without a frame.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";
/// Initial capacity of a stream's buffer, in bytes: about twenty small events.
const INITIAL_CAPACITY: usize = 1024;

/// Returns the id of the last event that the client has received.
///
/// # Errors
/// `Invalid` if it is not a number.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    Ok(Some(
        id.ok_or_else(|| Error::field("Last-Event-ID", "must be the `id` of an event, which is a number"))?,
    ))
}

/// A source of server-sent events.
pub(crate) trait SseSource: Send + 'static {
    /// Writes all events that are ready, waiting for the first one. Returns false
    /// after the last one, with nothing written. Dropping the future loses no
    /// event.
    fn write(&mut self, out: &mut BytesMut) -> impl Future<Output = bool> + Send;
}

/// The events of a run as a response.
pub(crate) fn answer(app: &App, answer: Answer) -> Response {
    response(app, answer)
}

/// The remaining events of a finished run; `204` if there are none, which keeps
/// a browser's `EventSource` from reconnecting.
pub(crate) async fn finished_answer(app: &App, mut answer: Answer) -> Response {
    match answer.next_batch().await {
        Some(events) => response(app, PeekedAnswer { events, answer }),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

impl SseSource for Answer {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        let Some(events) = self.next_batch().await else {
            return false;
        };
        write_events(out, events);
        true
    }
}

/// An answer of which a batch of events has been read already.
struct PeekedAnswer {
    events: NumberedEvents,
    answer: Answer,
}

impl SseSource for PeekedAnswer {
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
        // Invariant: events are plain data, which always serializes.
        tracing::error!(id, event = event.name(), "failed to serialize an event");
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

/// A response that streams the events of `source`. Dropping its body drops
/// `source`.
pub(crate) fn response<S: SseSource>(app: &App, source: S) -> Response {
    let body = SseBody {
        source,
        buffer: BytesMut::with_capacity(INITIAL_CAPACITY),
        keep_alive: Box::pin(sleep(KEEP_ALIVE_AFTER)),
        last_frame: Instant::now(),
        _open: app.metrics.open_stream(),
    };
    let frames = stream::unfold(body, |mut body| async move {
        let frame = body.next_frame().await?;
        Some((Ok::<_, Infallible>(frame), body))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would buffer the stream.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The body of an event stream.
struct SseBody<S> {
    source: S,
    buffer: BytesMut,
    /// Fires at the earliest [`KEEP_ALIVE_AFTER`] after the last frame. It is
    /// reset when it fires and not with every frame, which would cost a timer
    /// update per token.
    keep_alive: Pin<Box<Sleep>>,
    last_frame: Instant,
    _open: OpenStream,
}

impl<S: SseSource> SseBody<S> {
    async fn next_frame(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                more = self.source.write(&mut self.buffer) => {
                    self.last_frame = Instant::now();
                    return more.then(|| self.buffer.split().freeze());
                }
                () = self.keep_alive.as_mut() => {
                    let due = self.last_frame + KEEP_ALIVE_AFTER;
                    let now = Instant::now();
                    if now >= due {
                        self.last_frame = now;
                        self.keep_alive.as_mut().reset(now + KEEP_ALIVE_AFTER);
                        return Some(Bytes::from_static(KEEP_ALIVE));
                    }
                    self.keep_alive.as_mut().reset(due);
                }
            }
        }
    }
}
