//! The body of a response, read piece by piece within its deadlines.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aimate_core::Result;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};

use super::compression::{Broken, Decompressor};
use super::deadline::{Deadline, after};
use super::upstream_errors::UpstreamErrors;
use crate::frame::begin_of_text;

/// The response to a call whose head has arrived. Dropping it closes the
/// connection, unless the body was read to its end: that is how a cancelled run
/// stops the model server.
pub(crate) struct ResponseBody {
    /// The errors of this server.
    pub(crate) errors: UpstreamErrors,
    response: Response,
    decompressor: Decompressor,
    deadline: Deadline,
    /// How long the deadline is: the first-byte timeout, then `idle`.
    wait: Duration,
    /// How long the server may be silent before its answer has begun.
    first: Duration,
    /// And from then on.
    idle: Duration,
    /// A piece has arrived.
    has_arrived: bool,
    /// The answer has begun, with its first content.
    has_begun: bool,
    /// The idle deadline was set, and nothing was heard since. The deadline runs only
    /// while it waits: a slow reader is not a slow server.
    is_waiting: bool,
    /// The deadline is for all of the rest and no longer moves.
    is_deadline_fixed: bool,
    is_closing: bool,
    /// What was read and is to be read again.
    ahead: Option<Bytes>,
    /// How many more pieces [`ResponseBody::close`] reads.
    pieces_to_skip: u8,
}

impl ResponseBody {
    /// A response whose first byte must arrive before `deadline`, `wait` after the
    /// call, each further piece within `wait` too, and once the answer has begun
    /// within `idle`.
    pub(super) fn new(
        errors: UpstreamErrors,
        response: Response,
        deadline: Deadline,
        wait: Duration,
        idle: Duration,
    ) -> Self {
        let decompressor = Decompressor::new(response.headers());
        Self {
            errors,
            response,
            decompressor,
            deadline,
            wait,
            first: wait,
            idle,
            has_arrived: false,
            has_begun: false,
            is_waiting: false,
            is_deadline_fixed: false,
            is_closing: false,
            ahead: None,
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

    /// The answer has begun: what follows must arrive within the idle timeout. What
    /// comes before, such as a role, may be long before the first word.
    pub(crate) fn begin(&mut self) {
        self.has_begun = true;
    }

    /// Returns the next piece of the body, decompressed; `None` at its end.
    ///
    /// # Errors
    /// `Timeout` after the first-byte timeout or, once the answer has begun, the
    /// idle one; `Upstream` if the connection fails or the compression is broken or
    /// unknown.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>> {
        if let Some(piece) = self.ahead.take() {
            return Ok(Some(piece));
        }
        loop {
            match self.decompressor.next() {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) => {}
                Err(broken) => return Err(self.broken(&broken)),
            }
            let piece = poll_fn(|cx| self.poll_piece(cx)).await?;
            self.has_arrived = true;
            match piece.map_err(|error| self.errors.truncated().with_source(error.without_url()))? {
                Some(piece) => self.decompressor.push(piece),
                None => return self.decompressor.end().map(|()| None).map_err(|broken| self.broken(&broken)),
            }
        }
    }

    fn broken(&self, broken: &Broken) -> aimate_core::Error {
        match broken {
            Broken::Unknown(name) => self.errors.error(
                aimate_core::ErrorKind::Upstream,
                format_args!("the server compressed its answer with `{name}`, which was not asked for"),
            ),
            Broken::Data => self.errors.truncated(),
        }
    }

    /// Whether the first bytes are JSON; waits for them. They are read again.
    ///
    /// # Errors
    /// `Upstream` if they are those of a web page.
    pub(crate) async fn begins_with_json(&mut self) -> Result<bool> {
        let mut blank = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            blank.extend_from_slice(&piece);
            if let Some(first) = begin_of_text(&blank).and_then(|at| blank.get(at)) {
                if *first == b'<' {
                    return Err(self.errors.web_page());
                }
                let is_json = matches!(first, b'{' | b'[');
                self.ahead = Some(blank.freeze());
                return Ok(is_json);
            }
            if blank.len() > 64 * 1024 {
                blank.clear();
            }
        }
        Ok(true)
    }

    /// Notes that something was said: the idle deadline begins anew. Comments, which
    /// some servers send for ever, say nothing.
    pub(crate) fn heard(&mut self) {
        self.is_waiting = false;
    }

    /// A piece of a body that is read whole, where each says something.
    async fn whole_piece(&mut self) -> Result<Option<Bytes>> {
        let piece = self.piece().await;
        self.begin();
        self.heard();
        piece
    }

    /// Polls for a piece first: what has arrived needs no deadline.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<reqwest::Result<Option<Bytes>>>> {
        if let Poll::Ready(piece) = pin!(self.response.chunk()).poll(cx) {
            return Poll::Ready(Ok(piece));
        }
        if self.has_arrived && !self.is_deadline_fixed && !std::mem::replace(&mut self.is_waiting, true) {
            self.wait = if self.has_begun { self.idle } else { self.first };
            self.deadline.as_mut().reset(after(self.wait));
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
        if first.len() + second.len() > limit {
            return Err(self.errors.too_long(limit));
        }
        let mut all = BytesMut::with_capacity(announced.unwrap_or(0).max(first.len() + second.len()));
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
