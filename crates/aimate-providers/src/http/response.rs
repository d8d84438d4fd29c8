//! The body of a response, read piece by piece within its deadlines.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aimate_core::Result;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};

use super::deadline::{Deadline, after};
use super::upstream_errors::UpstreamErrors;

/// The response to a call whose head has arrived. Dropping it closes the
/// connection, unless the body was read to its end: that is how a cancelled run
/// stops the model server.
pub(crate) struct ResponseBody {
    /// The errors of this server.
    pub(crate) errors: UpstreamErrors,
    response: Response,
    deadline: Deadline,
    /// How long the deadline is: the first-byte timeout, then `idle`.
    wait: Duration,
    idle: Duration,
    has_begun: bool,
    /// The idle deadline was set, and nothing was heard since. The deadline runs only
    /// while it waits: a slow reader is not a slow server.
    is_waiting: bool,
    /// The deadline is for all of the rest and no longer moves.
    is_deadline_fixed: bool,
    is_closing: bool,
    /// How many more pieces [`ResponseBody::close`] reads.
    pieces_to_skip: u8,
}

impl ResponseBody {
    /// A response whose first byte must arrive before `deadline`, `wait` after the
    /// call, and each further piece within `idle`.
    pub(super) fn new(
        errors: UpstreamErrors,
        response: Response,
        deadline: Deadline,
        wait: Duration,
        idle: Duration,
    ) -> Self {
        Self {
            errors,
            response,
            deadline,
            wait,
            idle,
            has_begun: false,
            is_waiting: false,
            is_deadline_fixed: false,
            is_closing: false,
            pieces_to_skip: 16,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns whether `Content-Type` is this media type.
    pub(crate) fn is(&self, media_type: &str) -> bool {
        let found = self.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
        found
            .and_then(|found| found.get(..media_type.len()))
            .is_some_and(|found| found.eq_ignore_ascii_case(media_type.as_bytes()))
    }

    /// Returns the next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// `Timeout` after the first-byte deadline or, from then on, the idle one;
    /// `Upstream` if the connection fails.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>> {
        let piece = poll_fn(|cx| self.poll_piece(cx)).await?;
        piece.map_err(|error| self.errors.truncated().with_source(error.without_url()))
    }

    /// Notes that something was said: the idle deadline begins anew. Comments, which
    /// some servers send for ever, say nothing.
    pub(crate) fn heard(&mut self) {
        self.has_begun = true;
        self.is_waiting = false;
    }

    /// A piece of a body that is read whole, where each says something.
    async fn whole_piece(&mut self) -> Result<Option<Bytes>> {
        let piece = self.piece().await;
        self.heard();
        piece
    }

    /// Polls for a piece first: what has arrived needs no deadline.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<reqwest::Result<Option<Bytes>>>> {
        if let Poll::Ready(piece) = pin!(self.response.chunk()).poll(cx) {
            return Poll::Ready(Ok(piece));
        }
        if self.has_begun && !self.is_deadline_fixed && !std::mem::replace(&mut self.is_waiting, true) {
            self.wait = self.idle;
            self.deadline.as_mut().reset(after(self.idle));
        }
        ready!(self.deadline.as_mut().poll(cx));
        let what =
            if self.has_begun { "stopped in the middle of its answer" } else { "did not begin to answer" };
        Poll::Ready(Err(self.errors.timeout(what, self.wait)))
    }

    /// Sets a deadline for all of the rest.
    pub(crate) fn finish_within(&mut self, wait: Duration) {
        self.is_deadline_fixed = true;
        self.wait = self.idle.min(wait);
        self.deadline.as_mut().reset(after(self.wait));
    }

    /// Reads the whole body, of at most `limit` bytes.
    pub(crate) async fn read_all(&mut self, limit: usize) -> Result<Bytes> {
        let announced =
            self.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > limit) {
            return Err(self.errors.too_long(limit));
        }
        // Most bodies are one piece, which needs no copy.
        let Some(first) = self.whole_piece().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.whole_piece().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::with_capacity(announced.unwrap_or(first.len() + second.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.whole_piece().await? {
            if all.len() + piece.len() > limit {
                return Err(self.errors.too_long(limit));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// Reads up to `limit` bytes of the body, as many as arrive without an error.
    pub(super) async fn read_prefix(&mut self, limit: usize) -> Bytes {
        self.finish_within(Duration::from_secs(5));
        let mut all = BytesMut::new();
        while let Ok(Some(piece)) = self.piece().await {
            all.extend_from_slice(piece.get(..limit - all.len()).unwrap_or(&piece));
            if all.len() >= limit {
                break;
            }
        }
        all.freeze()
    }

    /// Reads to the end of a body whose content is complete. If the end arrives at
    /// once, the connection goes back to the pool.
    pub(crate) async fn close(&mut self) {
        if !self.is_closing {
            self.is_closing = true;
            self.finish_within(Duration::from_millis(20));
        }
        while self.pieces_to_skip > 0 && matches!(self.piece().await, Ok(Some(_))) {
            self.pieces_to_skip -= 1;
        }
    }
}
