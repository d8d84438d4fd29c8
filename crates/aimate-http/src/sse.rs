//! Server-sent events: all that is ready goes out as one frame of the body; when
//! nothing is, a comment every 15 s keeps proxies from closing the connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::chat::event::ChatEvent;
use aimate_core::engine::NumberedEvents;
use aimate_core::{Answer, Error};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::{Instant, Sleep, sleep};

use crate::app::{App, Seat};
use crate::event_frame::{LargeEvents, write_event};
use crate::metrics::OpenStream;

/// Longest time without a frame.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";
/// Initial capacity of a stream's buffer, in bytes: about twenty small events.
const INITIAL_CAPACITY: usize = 1024;

/// The events of `answer` as server-sent events, for routes of an application:
/// `id` is the sequence number, `event` the event's type, `data` its JSON, as in
/// `GET /api/v1/runs/{id}/events`. A comment every 15 s keeps the connection open.
///
/// A client that comes back sends the header `Last-Event-ID`; see
/// [`last_event_id`], [`sse_resumed`] and [`Runs::attach`](aimate_core::engine::Runs::attach). How
/// many clients may listen at once is the application's to say.
///
/// ```
/// # use aimate_core::{Engine, Scope, chat::Turn};
/// # use axum::response::Response;
/// async fn ask(engine: Engine, scope: Scope, question: String) -> Response {
///     match engine.chat(&scope, Turn::new(question)).await {
///         Ok(answer) => aimate_http::sse(answer),
///         Err(error) => aimate_http::problem(error),
///     }
/// }
/// ```
pub fn sse(answer: Answer) -> Response {
    stream_of(AnswerEvents::new(Arc::default(), answer), None)
}

/// [`sse`] for a client that came back: an answer that has nothing more to say is a `204`,
/// which keeps a browser's `EventSource` from coming back again. Waits for the first event.
pub async fn sse_resumed(answer: Answer) -> Response {
    match AnswerEvents::begun(Arc::default(), answer).await {
        Some(source) => stream_of(source, None),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// The sequence number of the last event that a client of [`sse`] has received:
/// its header `Last-Event-ID`, if it has one.
///
/// # Errors
/// `Invalid` if it is not a number.
pub fn last_event_id(headers: &HeaderMap) -> aimate_core::Result<Option<u64>> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    id.map(Some)
        .ok_or_else(|| Error::field("Last-Event-ID", "must be the `id` of an event, which is a number"))
}

/// A source of server-sent events.
pub(crate) trait SseSource: Send + 'static {
    /// What follows the events that were just written, where it is so large that
    /// all who listen share it.
    fn shared(&mut self) -> Option<Bytes> {
        None
    }

    /// Writes all events that are ready, waiting for the first one. Returns false
    /// after the last one, with nothing written. Dropping the future loses no
    /// event.
    fn write(&mut self, out: &mut BytesMut) -> impl Future<Output = bool> + Send;
}

/// The events of a run as a response.
pub(crate) fn answer(app: &App, answer: Answer, seat: Seat) -> Response {
    response(app, AnswerEvents::new(app.large_events.clone(), answer), seat)
}

/// The remaining events of a finished run; `204` if there are none, which keeps
/// a browser's `EventSource` from reconnecting.
pub(crate) async fn finished_answer(app: &App, answer: Answer, seat: Seat) -> Response {
    match AnswerEvents::begun(app.large_events.clone(), answer).await {
        Some(source) => response(app, source, seat),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// The events of a run.
struct AnswerEvents {
    answer: Answer,
    /// Events that were read ahead.
    events: NumberedEvents,
    large: Arc<LargeEvents>,
    /// The last event: as long as somebody reads it, others can share it.
    last: Option<Arc<ChatEvent>>,
    shared: Option<Bytes>,
}

impl AnswerEvents {
    fn new(large: Arc<LargeEvents>, answer: Answer) -> Self {
        Self { answer, events: Vec::new(), large, last: None, shared: None }
    }

    /// With the first events read ahead; `None` if there are none any more.
    async fn begun(large: Arc<LargeEvents>, mut answer: Answer) -> Option<Self> {
        let events = answer.next_batch().await?;
        Some(Self { events, ..Self::new(large, answer) })
    }
}

impl SseSource for AnswerEvents {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        if self.events.is_empty() {
            let Some(events) = self.answer.next_batch().await else {
                return false;
            };
            self.events = events;
        }
        for (id, event) in std::mem::take(&mut self.events) {
            if event.is_final() {
                self.shared = Some(self.large.frame(id, &event, write_event));
                self.last = Some(event);
            } else {
                write_event(out, id, &event);
            }
        }
        true
    }

    fn shared(&mut self) -> Option<Bytes> {
        self.shared.take()
    }
}

/// A response that streams the events of `source`. Dropping its body drops
/// `source` and gives the seat back.
pub(crate) fn response<S: SseSource>(app: &App, source: S, seat: Seat) -> Response {
    stream_of(source, Some((app.metrics.open_stream(), seat)))
}

fn stream_of<S: SseSource>(source: S, held: Option<(OpenStream, Seat)>) -> Response {
    let body = SseBody {
        source,
        buffer: BytesMut::with_capacity(INITIAL_CAPACITY),
        keep_alive: Box::pin(sleep(KEEP_ALIVE_AFTER)),
        last_frame: Instant::now(),
        _held: held,
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
    /// Its count among the open streams, and its seat.
    _held: Option<(OpenStream, Seat)>,
}

impl<S: SseSource> SseBody<S> {
    async fn next_frame(&mut self) -> Option<Bytes> {
        if let Some(shared) = self.source.shared() {
            self.last_frame = Instant::now();
            return Some(shared);
        }
        loop {
            tokio::select! {
                biased;
                more = self.source.write(&mut self.buffer) => {
                    self.last_frame = Instant::now();
                    if self.buffer.is_empty() && let Some(shared) = self.source.shared() {
                        return Some(shared);
                    }
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
