//! Decodes the frames of a response into a stream of events.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use aimate_core::provider::{ProviderEvent, ProviderStream};
use aimate_core::{Error, Result};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use crate::frame::{Frame, Frames};
use crate::http::{ResponseBody, UpstreamErrors};

/// How long to wait for more after the finish reason: some servers never end the
/// stream, and others give a reason long before they have finished.
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a streamed answer at most, with all that surrounds it: a server that
/// sends without ever saying anything must end.
const MAX_RECEIVED: usize = 256 * 1024 * 1024;

/// The events that were decoded and not taken yet.
pub(crate) type EventQueue = VecDeque<ProviderEvent>;

/// What may follow a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// What might follow before.
    More,
    /// Little: the server gave a reason for the end.
    Finishing,
    /// Nothing: the server said so.
    Done,
}

/// Decodes one answer of a vendor's format.
pub(crate) trait Decoder: Send + 'static {
    /// How the body is split into frames.
    type Frames: Frames + Default;
    /// Decodes one frame.
    fn frame(&mut self, errors: &UpstreamErrors, frame: &Frame, events: &mut EventQueue) -> Result<Flow>;
    /// Ends the answer: adds what was pending, or fails if it is incomplete.
    fn end(&mut self, errors: &UpstreamErrors, events: &mut EventQueue) -> Result<()>;
    /// Ends an answer that failed: adds what was received.
    fn fail(&mut self, events: &mut EventQueue);
}

/// Returns the events of a streamed response as they arrive.
pub(crate) fn streaming<D: Decoder>(response: ResponseBody, decoder: D) -> ProviderStream {
    let mut reader = EventReader {
        response,
        decoder,
        frames: D::Frames::default(),
        queue: EventQueue::with_capacity(4),
        error: None,
        flow: Flow::More,
        is_over: false,
        received: 0,
    };
    // A new future for each poll loses nothing (see `EventReader::next`), and the
    // reader is not moved with every event.
    stream::poll_fn(move |cx| pin!(reader.next()).poll(cx)).boxed()
}

/// Returns the events of a response that has arrived.
///
/// # Errors
/// What the server says in place of an answer.
pub(crate) fn whole<D: Decoder>(
    errors: &UpstreamErrors,
    body: Bytes,
    mut decoder: D,
) -> Result<ProviderStream> {
    let mut queue = EventQueue::with_capacity(4);
    let Err(error) = read_whole(errors, body, &mut decoder, &mut queue) else {
        return Ok(stream::iter(queue.into_iter().map(Ok)).boxed());
    };
    decoder.fail(&mut queue);
    let has_said =
        |event: &ProviderEvent| matches!(event, ProviderEvent::Text(_) | ProviderEvent::Reasoning(_));
    if !queue.iter().any(has_said) {
        return Err(error);
    }
    Ok(stream::iter(queue.into_iter().map(Ok).chain([Err(error)])).boxed())
}

fn read_whole<D: Decoder>(
    errors: &UpstreamErrors,
    body: Bytes,
    decoder: &mut D,
    queue: &mut EventQueue,
) -> Result<()> {
    let mut frames = D::Frames::default();
    frames.push(body);
    loop {
        let next = frames.next().map_err(|_| errors.too_long_frame())?;
        let Some(frame) = next.or_else(|| frames.rest()) else { break };
        if decoder.frame(errors, &frame, queue)? == Flow::Done {
            break;
        }
    }
    decoder.end(errors, queue)
}

struct EventReader<D: Decoder> {
    response: ResponseBody,
    decoder: D,
    frames: D::Frames,
    queue: EventQueue,
    /// Returned after the queue.
    error: Option<Error>,
    flow: Flow,
    is_over: bool,
    /// Bytes of the body so far.
    received: usize,
}

impl<D: Decoder> EventReader<D> {
    /// Returns the next event. Dropping the future loses nothing: it waits in one
    /// place only, for the next piece of the body, and keeps its state in `self`.
    async fn next(&mut self) -> Option<Result<ProviderEvent>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                self.response.begin();
                return Some(Ok(event));
            }
            if let Some(error) = self.error.take() {
                return Some(Err(error));
            }
            if self.is_over {
                if self.flow == Flow::Done {
                    self.response.close().await;
                }
                return None;
            }
            if let Err(error) = self.read().await {
                self.is_over = true;
                self.flow = Flow::More;
                self.decoder.fail(&mut self.queue);
                self.error = Some(error);
            }
        }
    }

    /// Decodes one frame, or reads one piece of the body if there is none.
    async fn read(&mut self) -> Result<()> {
        match self.frames.next() {
            Ok(Some(frame)) => self.frame(&frame),
            Err(_) => Err(self.response.errors.too_long_frame()),
            Ok(None) => match self.response.piece().await {
                Ok(Some(piece)) => {
                    self.received = self.received.saturating_add(piece.len());
                    if self.received > MAX_RECEIVED {
                        return Err(self.response.errors.too_long(MAX_RECEIVED));
                    }
                    self.frames.push(piece);
                    Ok(())
                }
                Ok(None) => self.end_of_body(),
                Err(_) if self.flow != Flow::More => self.end(),
                Err(error) => Err(error),
            },
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<()> {
        self.response.heard();
        match self.decoder.frame(&self.response.errors, frame, &mut self.queue)? {
            Flow::More => {}
            Flow::Done => {
                self.flow = Flow::Done;
                self.end()?;
            }
            Flow::Finishing => {
                self.flow = Flow::Finishing;
                self.response.finish_within(FINISH_TIMEOUT);
            }
        }
        Ok(())
    }

    /// Decodes the last frames that lack their terminator if they are complete; half
    /// a frame means that the response was cut off.
    fn end_of_body(&mut self) -> Result<()> {
        while let Some(frame) = self.frames.rest() {
            let is_whole = !frame.data.starts_with(b"{")
                || serde_json::from_slice::<serde::de::IgnoredAny>(&frame.data).is_ok();
            if is_whole {
                self.frame(&frame)?;
            } else if self.flow == Flow::More {
                return Err(self.response.errors.truncated());
            }
            if self.is_over {
                return Ok(());
            }
        }
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.is_over = true;
        self.decoder.end(&self.response.errors, &mut self.queue)
    }
}
