//! An answer's body, read piece by piece under its deadlines.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aimate_core::Result;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};

use super::{Deadline, Peer, after};

/// The answer to a call, whose head has come. Dropping it closes the
/// connection, unless the body was read to its end.
pub(crate) struct Answer {
    /// Who answers.
    pub(crate) peer: Peer,
    response: Response,
    deadline: Deadline,
    /// What the deadline stands for: the first byte's wait, then `idle`.
    wait: Duration,
    idle: Duration,
    has_begun: bool,
    /// Nothing was here when the reader last looked, and the idle deadline
    /// stands from then: a slow reader is not a slow server.
    is_waiting: bool,
    /// The deadline stays where it is.
    is_hurried: bool,
    is_closing: bool,
    /// Pieces that may follow the end of what was said.
    rest: u8,
}

impl Answer {
    /// An answer whose first byte must come before `deadline`, `wait` after the
    /// call, and every other one `idle` after the one before.
    pub(super) fn new(
        peer: Peer,
        response: Response,
        deadline: Deadline,
        wait: Duration,
        idle: Duration,
    ) -> Self {
        Self {
            peer,
            response,
            deadline,
            wait,
            idle,
            has_begun: false,
            is_waiting: false,
            is_hurried: false,
            is_closing: false,
            rest: 16,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Whether the body says to be of this media type.
    pub(crate) fn is(&self, media_type: &str) -> bool {
        let found = self.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
        found
            .and_then(|found| found.get(..media_type.len()))
            .is_some_and(|found| found.eq_ignore_ascii_case(media_type.as_bytes()))
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// `Timeout` after the first-byte deadline or, once it began, the idle one;
    /// `Upstream` if the connection is cut.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>> {
        let piece = poll_fn(|cx| self.poll_piece(cx)).await?;
        self.has_begun = true;
        self.is_waiting = false;
        piece.map_err(|error| self.peer.cut_off().with_source(error.without_url()))
    }

    /// Looks for a piece first: what is already here needs no deadline.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<reqwest::Result<Option<Bytes>>>> {
        if let Poll::Ready(piece) = pin!(self.response.chunk()).poll(cx) {
            return Poll::Ready(Ok(piece));
        }
        if self.has_begun && !self.is_hurried && !std::mem::replace(&mut self.is_waiting, true) {
            self.wait = self.idle;
            self.deadline.as_mut().reset(after(self.idle));
        }
        ready!(self.deadline.as_mut().poll(cx));
        let what =
            if self.has_begun { "stopped in the middle of its answer" } else { "did not begin to answer" };
        Poll::Ready(Err(self.peer.timeout(what, self.wait)))
    }

    /// All that still comes must come within `wait`.
    pub(crate) fn hurry(&mut self, wait: Duration) {
        self.is_hurried = true;
        self.wait = self.idle.min(wait);
        self.deadline.as_mut().reset(after(self.wait));
    }

    /// The whole body, of at most `limit` bytes.
    pub(crate) async fn whole(&mut self, limit: usize) -> Result<Bytes> {
        let said = self.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if said.is_some_and(|said: usize| said > limit) {
            return Err(self.peer.too_long(limit));
        }
        let Some(first) = self.piece().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.piece().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::with_capacity(said.unwrap_or(first.len() + second.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.piece().await? {
            if all.len() + piece.len() > limit {
                return Err(self.peer.too_long(limit));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// As much of the body's first `limit` bytes as comes without a failure.
    pub(super) async fn beginning(&mut self, limit: usize) -> Bytes {
        self.hurry(Duration::from_secs(5));
        let mut all = BytesMut::new();
        while let Ok(Some(piece)) = self.piece().await {
            all.extend_from_slice(piece.get(..limit - all.len()).unwrap_or(&piece));
            if all.len() >= limit {
                break;
            }
        }
        all.freeze()
    }

    /// Ends an answer that said all: if the end of its body comes at once, the
    /// connection can be used again.
    pub(crate) async fn close(&mut self) {
        if !self.is_closing {
            self.is_closing = true;
            self.hurry(Duration::from_millis(20));
        }
        while self.rest > 0 && matches!(self.piece().await, Ok(Some(_))) {
            self.rest -= 1;
        }
    }
}
