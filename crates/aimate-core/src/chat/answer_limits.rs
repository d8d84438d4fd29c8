//! What one answer may take, and the stream that holds a model to it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::caught::caught_now;
use crate::error::{Error, Result};
use crate::message::ToolCall;
use crate::provider::{FinishReason, ProviderEvent, ProviderStream};
use crate::warning::WarningCode;

/// How long an answer that is whole may go on with what belongs to it, such as its
/// usage.
const AFTER_FINISH: Duration = Duration::from_secs(10);
/// Events in a row that bring nothing, after which other tasks have their turn.
const MAX_EMPTY: usize = 64;

/// Bytes of one piece of text; a longer one is handed on in several.
pub(crate) const PIECE: usize = 16 * 1024;

/// What one answer may take. An answer that reaches a limit is cut there: what came
/// is kept, its finish reason is `length`, and a warning (`answer_cut`) says which
/// limit it was.
///
/// ```
/// use aimate_core::chat::AnswerLimits;
/// let limits = AnswerLimits::default().text(256 * 1024).time(std::time::Duration::from_secs(600));
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerLimits {
    /// Bytes of text. Default: 4 MiB, as for a message of a user.
    pub text: usize,
    /// Bytes of reasoning, and of what the provider wants back with it. Default: 4 MiB.
    pub reasoning: usize,
    /// Bytes of the arguments of one tool call. Default: 1 MiB.
    pub arguments: usize,
    /// Tool calls. Default: 128.
    pub calls: usize,
    /// From asking the model until the end of its answer. Default: 1 hour.
    pub time: Duration,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self {
            text: 4 << 20,
            reasoning: 4 << 20,
            arguments: 1 << 20,
            calls: 128,
            time: Duration::from_secs(3_600),
        }
    }
}

impl AnswerLimits {
    /// Sets [`AnswerLimits::text`].
    #[must_use]
    pub fn text(self, bytes: usize) -> Self {
        Self { text: bytes, ..self }
    }

    /// Sets [`AnswerLimits::reasoning`].
    #[must_use]
    pub fn reasoning(self, bytes: usize) -> Self {
        Self { reasoning: bytes, ..self }
    }

    /// Sets [`AnswerLimits::arguments`].
    #[must_use]
    pub fn arguments(self, bytes: usize) -> Self {
        Self { arguments: bytes, ..self }
    }

    /// Sets [`AnswerLimits::calls`].
    #[must_use]
    pub fn calls(self, count: usize) -> Self {
        Self { calls: count, ..self }
    }

    /// Sets [`AnswerLimits::time`].
    #[must_use]
    pub fn time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// When an answer must end that is asked for now.
    pub(crate) fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.time).unwrap_or(now + Duration::from_secs(365 * 24 * 3_600))
    }

    /// `stream` within the limits, in pieces of at most [`PIECE`] bytes.
    pub(crate) fn hold(self, stream: ProviderStream, deadline: Instant) -> ProviderStream {
        let sleep = Box::pin(sleep_until(deadline));
        LimitedAnswer {
            stream: Some(stream),
            ready: VecDeque::new(),
            left: self,
            limits: self,
            deadline,
            sleep,
            is_whole: false,
        }
        .boxed()
    }
}

/// A model's answer within its limits.
struct LimitedAnswer {
    /// Dropped when the answer is cut, which closes the connection to the server.
    stream: Option<ProviderStream>,
    /// What was received and not handed on.
    ready: VecDeque<ProviderEvent>,
    limits: AnswerLimits,
    /// What of them is left; its time is not counted.
    left: AnswerLimits,
    deadline: Instant,
    sleep: Pin<Box<Sleep>>,
    /// Whether the provider said that the answer is whole.
    is_whole: bool,
}

impl LimitedAnswer {
    fn take(&mut self, event: ProviderEvent) {
        match event {
            ProviderEvent::Text(text) | ProviderEvent::Reasoning(text) if text.is_empty() => {}
            ProviderEvent::Text(text) => {
                let left = std::mem::take(&mut self.left.text);
                self.left.text =
                    self.take_text(text, left, ProviderEvent::Text, "bytes of text", self.limits.text);
            }
            ProviderEvent::Reasoning(text) => {
                let left = std::mem::take(&mut self.left.reasoning);
                let limit = self.limits.reasoning;
                self.left.reasoning =
                    self.take_text(text, left, ProviderEvent::Reasoning, "bytes of reasoning", limit);
            }
            ProviderEvent::ReasoningDetails(details) => {
                match self.left.reasoning.checked_sub(length(&details)) {
                    Some(left) => {
                        self.left.reasoning = left;
                        self.ready.push_back(ProviderEvent::ReasoningDetails(details));
                    }
                    None => self.cut(self.limits.reasoning, "bytes of reasoning"),
                }
            }
            ProviderEvent::ToolCall(call) => self.take_call(call),
            ProviderEvent::Finish(reason) => {
                self.is_whole = true;
                self.deadline = self.deadline.min(Instant::now() + AFTER_FINISH);
                self.sleep.as_mut().reset(self.deadline);
                self.ready.push_back(ProviderEvent::Finish(reason));
            }
            event => self.ready.push_back(event),
        }
    }

    /// Takes as much of a text as is left; returns what is left then.
    fn take_text(
        &mut self,
        text: String,
        left: usize,
        event: fn(String) -> ProviderEvent,
        what: &str,
        limit: usize,
    ) -> usize {
        if text.len() <= PIECE.min(left) {
            let left = left - text.len();
            self.ready.push_back(event(text));
            return left;
        }
        let whole = text.get(..text.floor_char_boundary(left)).unwrap_or_default();
        let mut rest = whole;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
            self.ready.push_back(event(piece.to_owned()));
            rest = after;
        }
        if whole.len() < text.len() {
            self.cut(limit, what);
        }
        left - whole.len()
    }

    fn take_call(&mut self, call: ToolCall) {
        if length(&call.arguments) > self.limits.arguments {
            return self.cut(self.limits.arguments, "bytes of arguments of one tool call");
        }
        match self.left.calls.checked_sub(1) {
            None => self.cut(self.limits.calls, "tool calls"),
            Some(left) => {
                self.left.calls = left;
                self.ready.push_back(ProviderEvent::ToolCall(call));
            }
        }
    }

    /// Ends the answer at a limit.
    fn cut(&mut self, limit: impl std::fmt::Display, of: &str) {
        self.stream = None;
        self.ready.push_back(ProviderEvent::Warning {
            code: WarningCode::AnswerCut,
            detail: format!("the answer was cut at the limit of {limit} {of}"),
        });
        self.ready.push_back(ProviderEvent::Finish(FinishReason::Length));
    }

    /// Ends an answer that takes too long. One that has not begun is none.
    fn run_out(&mut self) -> Option<Error> {
        if self.is_whole {
            self.stream = None;
            return None;
        }
        let has_begun = (self.left.text, self.left.reasoning, self.left.calls)
            != (self.limits.text, self.limits.reasoning, self.limits.calls);
        if has_begun {
            self.cut(self.limits.time.as_secs_f64(), "s for an answer");
            return None;
        }
        self.stream = None;
        Some(too_slow(self.limits.time))
    }
}

impl Stream for LimitedAnswer {
    type Item = Result<ProviderEvent>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut taken = 0;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
            // A server that is never silent must not outlive its time either.
            let is_over = Instant::now() >= this.deadline;
            match if is_over { Poll::Pending } else { next_of(stream, context) } {
                // A provider that is always ready and says nothing must not keep
                // other tasks from their turn.
                Poll::Ready(Some(Ok(event))) if taken < MAX_EMPTY => {
                    this.take(event);
                    taken += 1;
                }
                Poll::Ready(Some(Ok(event))) => {
                    this.take(event);
                    if this.ready.is_empty() {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Ready(end) => {
                    this.stream = None;
                    return Poll::Ready(end);
                }
                Poll::Pending if is_over || this.sleep.as_mut().poll(context).is_ready() => {
                    if let Some(error) = this.run_out() {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What a provider's stream has; its panic ends the answer with an error.
fn next_of(stream: &mut ProviderStream, context: &mut Context<'_>) -> Poll<Option<Result<ProviderEvent>>> {
    caught_now(|| stream.as_mut().poll_next(context)).unwrap_or_else(|panic| {
        let error = Error::internal("the model's provider broke down within its answer: it panicked");
        Poll::Ready(Some(Err(error.with_source(panic))))
    })
}

/// The error of an answer that had no time to begin.
pub(crate) fn too_slow(time: Duration) -> Error {
    Error::timeout(format!("the model did not begin its answer within {} s", time.as_secs_f64()))
}

/// Bytes of a value as JSON; of a text, its own.
fn length(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len(),
        other => other.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use serde_json::json;

    use super::*;

    fn text(text: impl Into<String>) -> ProviderEvent {
        ProviderEvent::Text(text.into())
    }

    fn call(arguments: serde_json::Value) -> ProviderEvent {
        ProviderEvent::ToolCall(ToolCall::new("1", "a", arguments))
    }

    async fn held(limits: AnswerLimits, events: Vec<ProviderEvent>) -> Vec<ProviderEvent> {
        let stream = stream::iter(events.into_iter().map(Ok)).chain(stream::pending()).boxed();
        let held = limits.hold(stream, limits.deadline());
        held.map(Result::unwrap).take_until(tokio::time::sleep(Duration::from_secs(1))).collect().await
    }

    /// The end of an answer that was cut at this limit.
    fn cut(limit: &str) -> [ProviderEvent; 2] {
        let detail = format!("the answer was cut at the limit of {limit}");
        let warning = ProviderEvent::Warning { code: WarningCode::AnswerCut, detail };
        [warning, ProviderEvent::Finish(FinishReason::Length)]
    }

    #[tokio::test(start_paused = true)]
    async fn text_is_cut_at_its_limit_between_characters() {
        let limits = AnswerLimits::default().text(5);
        let [warning, finish] = cut("5 bytes of text");
        let events = held(limits, vec![text("ab"), text("cdé"), text("x")]).await;
        assert_eq!(events, [text("ab"), text("cd"), warning, finish]);
        assert_eq!(held(limits, vec![text("abcde")]).await, [text("abcde")]);
    }

    #[tokio::test(start_paused = true)]
    async fn reasoning_and_what_belongs_to_it_share_a_limit() {
        let limits = AnswerLimits::default().reasoning(8);
        let [warning, finish] = cut("8 bytes of reasoning");
        let thought = |text: &str| ProviderEvent::Reasoning(text.into());
        let details = ProviderEvent::ReasoningDetails(json!(["abcdef"]));
        assert_eq!(held(limits, vec![thought("ab"), details]).await, [thought("ab"), warning, finish]);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_bounded_in_number_and_size() {
        let limits = AnswerLimits::default().calls(2).arguments(20);
        let small = call(json!({"a": 1}));
        let [warning, finish] = cut("2 tool calls");
        let events = held(limits, vec![small.clone(); 3]).await;
        assert_eq!(events, [small.clone(), small.clone(), warning, finish]);
        let [warning, finish] = cut("20 bytes of arguments of one tool call");
        let events = held(limits, vec![small.clone(), call(json!("x".repeat(21)))]).await;
        assert_eq!(events, [small, warning, finish]);
    }

    #[tokio::test(start_paused = true)]
    async fn long_pieces_come_in_several() {
        let whole = "é".repeat(PIECE);
        let events = held(AnswerLimits::default(), vec![text(whole.as_str())]).await;
        let mut all = String::new();
        for event in events {
            let ProviderEvent::Text(piece) = event else { panic!("{event:?}") };
            assert!(piece.len() <= PIECE && !piece.is_empty());
            all.push_str(&piece);
        }
        assert_eq!(all, whole);
    }

    #[tokio::test(start_paused = true)]
    async fn time_ends_an_answer_that_is_never_silent() {
        let limits = AnswerLimits::default().time(Duration::from_secs(10));
        let endless = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok(text("x")), ()))
        });
        let events: Vec<_> =
            limits.hold(endless.boxed(), limits.deadline()).map(Result::unwrap).collect().await;
        assert_eq!(events[events.len() - 2..], cut("10 s for an answer"));
        assert!((9..=10).contains(&(events.len() - 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_is_whole_waits_for_its_usage_and_no_longer() {
        let limits = AnswerLimits::default();
        let finish = ProviderEvent::Finish(FinishReason::Stop);
        let stream = stream::iter([Ok(text("a")), Ok(finish.clone())]).chain(stream::pending()).boxed();
        let begun = Instant::now();
        let events: Vec<_> = limits.hold(stream, limits.deadline()).map(Result::unwrap).collect().await;
        assert_eq!(events, [text("a"), finish]);
        assert_eq!(begun.elapsed(), AFTER_FINISH);
    }

    #[tokio::test(start_paused = true)]
    async fn provider_that_says_nothing_without_end_runs_out_of_time() {
        let limits = AnswerLimits::default().time(Duration::from_secs(10));
        let empty = stream::repeat_with(|| Ok(text(""))).boxed();
        let mut events = limits.hold(empty, limits.deadline());
        tokio::select! {
            biased;
            event = events.next() => panic!("{event:?}"),
            // Others have their turn meanwhile.
            () = tokio::task::yield_now() => {}
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        let error = events.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Timeout);
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn panic_of_a_provider_is_the_last_item() {
        let limits = AnswerLimits::default();
        let stream = stream::iter([1, 0]).map(|n| Ok(text((10 / n).to_string())));
        let mut events = limits.hold(stream.boxed(), limits.deadline());
        assert_eq!(events.next().await.unwrap().unwrap(), text("10"));
        let error = events.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Internal);
        assert!(error.message().contains("panicked"), "{error}");
        assert!(events.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_does_not_begin_in_time_is_none() {
        let limits = AnswerLimits::default().time(Duration::from_secs(10));
        let mut events = limits.hold(stream::pending().boxed(), limits.deadline());
        let error = events.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Timeout);
        assert!(events.next().await.is_none());
    }
}
