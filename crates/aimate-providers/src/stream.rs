//! Turning an answer's frames into a stream of events.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use aimate_core::provider::{ProviderEvent, ProviderStream};
use aimate_core::{Error, Result};
use futures_util::stream::{self, StreamExt};

use crate::frame::{Frame, Frames};
use crate::http::{Answer, Peer};

/// How long to wait for usage after the model said that it was done.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// The events that a decoder has found and nobody has taken yet.
pub(crate) type Queue = VecDeque<ProviderEvent>;

/// Whether a frame was the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// More may come.
    More,
    /// The model said why it stopped: what comes now is usage at most.
    Finishing,
    /// The server said that nothing follows.
    Done,
}

/// The reader of one answer in a vendor's format.
pub(crate) trait Decoder: Send + 'static {
    /// How its frames are cut.
    type Frames: Frames + Default;
    /// Reads one frame.
    fn frame(&mut self, peer: &Peer, frame: &Frame, events: &mut Queue) -> Result<Flow>;
    /// Nothing follows: adds what was held back, or says that the answer is
    /// not whole.
    fn end(&mut self, peer: &Peer, events: &mut Queue) -> Result<()>;
    /// The answer failed: adds what is still worth telling.
    fn fail(&mut self, events: &mut Queue);
}

/// The events of `answer` while it comes.
pub(crate) fn live<D: Decoder>(answer: Answer, decoder: D) -> ProviderStream {
    let mut reader = Reader {
        answer,
        decoder,
        frames: D::Frames::default(),
        queue: Queue::with_capacity(4),
        error: None,
        flow: Flow::More,
        is_over: false,
    };
    // Polling a new future each time loses nothing (see `Reader::next`) and
    // spares moving the reader with every event.
    stream::poll_fn(move |cx| pin!(reader.next()).poll(cx)).boxed()
}

/// The events of one frame that is the whole answer.
pub(crate) fn whole<D: Decoder>(peer: &Peer, frame: &Frame, mut decoder: D) -> Result<ProviderStream> {
    let mut queue = Queue::with_capacity(4);
    decoder.frame(peer, frame, &mut queue)?;
    decoder.end(peer, &mut queue)?;
    Ok(stream::iter(queue.into_iter().map(Ok)).boxed())
}

struct Reader<D: Decoder> {
    answer: Answer,
    decoder: D,
    frames: D::Frames,
    queue: Queue,
    /// Told after the queue.
    error: Option<Error>,
    flow: Flow,
    is_over: bool,
}

impl<D: Decoder> Reader<D> {
    /// The next event. Dropping this future loses nothing: it waits in one place
    /// only, for the next piece of the body, and keeps what it read in `self`.
    async fn next(&mut self) -> Option<Result<ProviderEvent>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(Ok(event));
            }
            if let Some(error) = self.error.take() {
                return Some(Err(error));
            }
            if self.is_over {
                if self.flow == Flow::Done {
                    self.answer.close().await;
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

    /// Reads one frame, or one piece of the body if there is no whole frame.
    async fn read(&mut self) -> Result<()> {
        match self.frames.next() {
            Ok(Some(frame)) => self.frame(&frame),
            Err(_) => Err(self.answer.peer.too_long_frame()),
            Ok(None) => match self.answer.piece().await {
                Ok(Some(piece)) => {
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
        match self.decoder.frame(&self.answer.peer, frame, &mut self.queue)? {
            Flow::More => {}
            Flow::Done => {
                self.flow = Flow::Done;
                self.end()?;
            }
            Flow::Finishing if self.flow == Flow::More => {
                self.flow = Flow::Finishing;
                self.answer.hurry(AFTER_FINISH);
            }
            Flow::Finishing => {}
        }
        Ok(())
    }

    /// A last frame without its end is read if it makes sense; half a one says
    /// that the answer broke off.
    fn end_of_body(&mut self) -> Result<()> {
        if let Some(frame) = self.frames.rest() {
            let is_whole = !frame.data.starts_with(b"{")
                || serde_json::from_slice::<serde::de::IgnoredAny>(&frame.data).is_ok();
            if is_whole {
                self.frame(&frame)?;
            } else if self.flow == Flow::More {
                return Err(self.answer.peer.cut_off());
            }
        }
        if self.is_over { Ok(()) } else { self.end() }
    }

    fn end(&mut self) -> Result<()> {
        self.is_over = true;
        self.decoder.end(&self.answer.peer, &mut self.queue)
    }
}
