//! Event streams and downloads end when who listens may not any more: signed out, disabled,
//! deleted, demoted, or with a token that was revoked. An answer that took long is not given
//! to them either.

use std::io;
use std::time::Duration;

use aimate_accounts::Accounts;
use aimate_core::{Error, ErrorKind, Role, Scope};
use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::error::{ErrorFormat, Failure, OpenAiError};
use crate::principal::{LetIn, check};

/// How often it is looked. What another process changed is known within five seconds of
/// it: this process may know what was true less than that ago.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A body of so many bytes is as good as sent: most of it is in the buffers of the connection.
const AT_ONCE: u64 = 256 * 1024;

/// Watches over a response that is an event stream, or longer than what is sent at once. Any
/// other is left as it is, if it has nothing in it or came at once: who signs out is told that
/// it is done.
pub(crate) async fn watch(
    response: Response,
    accounts: &Accounts,
    let_in: &LetIn,
    format: Option<ErrorFormat>,
    asked_at: Instant,
) -> Response {
    let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let length = response.body().size_hint().exact();
    if !is_stream {
        let tells = response.status().is_success() && !response.body().is_end_stream();
        if tells
            && asked_at.elapsed() >= LOOK_EVERY
            && let Err(error) = look(accounts, let_in).await
        {
            return Failure::from(error).into_response();
        }
        if length.is_some_and(|length| length <= AT_ONCE) {
            return response;
        }
    }
    let ending = if is_stream { Ending::Event(format) } else { Ending::Cut };
    let (accounts, let_in) = (accounts.clone(), let_in.clone());
    let mut response = response.map(|body| {
        let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watched = Watched { body: Some(body.into_data_stream()), looks, accounts, let_in, ending };
        Body::from_stream(stream::unfold(watched, Watched::next))
    });
    // The body does not tell it any more.
    if let Some(length) = length {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    response
}

/// How a response ends that is watched over.
#[derive(Clone, Copy)]
enum Ending {
    /// With an event in the form of its API.
    Event(Option<ErrorFormat>),
    /// In the middle, with the connection: nothing else tells that it is not whole.
    Cut,
}

struct Watched {
    /// `None` once it has ended.
    body: Option<BodyDataStream>,
    looks: Interval,
    accounts: Accounts,
    let_in: LetIn,
    ending: Ending,
}

impl Watched {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        loop {
            let body = self.body.as_mut()?;
            tokio::select! {
                biased;
                _ = self.looks.tick() => {
                    if let Err(error) = look(&self.accounts, &self.let_in).await {
                        // What it holds (a seat, a listener of a run) goes at once.
                        self.body = None;
                        return Some((self.ending.of(&error), self));
                    }
                }
                frame = body.next() => return match frame {
                    Some(Ok(frame)) => Some((Ok(frame), self)),
                    Some(Err(error)) => {
                        self.body = None;
                        Some((Err(io::Error::other(error)), self))
                    }
                    None => None,
                },
            }
        }
    }
}

/// Whether who listens still may, and as whom. Where that cannot be found out, they may: their
/// credential was good a moment ago, and the next look follows.
pub(crate) async fn look(accounts: &Accounts, let_in: &LetIn) -> Result<Scope, Error> {
    match accounts.check(&let_in.principal).await {
        // The handler goes on as whom it let in.
        Ok(now) if let_in.principal.scope.role == Role::Admin && now.scope.role != Role::Admin => {
            Err(Error::unauthenticated("this was asked for as an admin, who is none any more; ask again"))
        }
        Ok(now) => check(&now, let_in.needed).map(|()| now.scope),
        Err(error) if error.kind() == ErrorKind::Unauthenticated => Err(error),
        Err(error) => {
            tracing::debug!(%error, "who listens could not be checked");
            Ok(let_in.principal.scope)
        }
    }
}

impl Ending {
    fn of(self, error: &Error) -> io::Result<Bytes> {
        tracing::debug!(%error, "a response ended with the sign-in of who received it");
        match self {
            Self::Event(format) => Ok(last_event(format)),
            Self::Cut => Err(io::Error::other("the rights that this was asked for with are gone")),
        }
    }
}

/// The `error` event that a stream of events ends with, in the form of its API.
fn last_event(format: Option<ErrorFormat>) -> Bytes {
    let sentence = "the rights that this stream was opened with are gone; sign in again";
    let text = match format {
        Some(ErrorFormat::OpenAi) => {
            let error = Error::unauthenticated(sentence);
            serde_json::to_string(&OpenAiError::new(&error, None)).map(|data| format!("data: {data}\n\n"))
        }
        _ => {
            let code = ErrorKind::Unauthenticated.as_str();
            let data =
                serde_json::json!({"type": "error", "code": code, "detail": sentence, "retryable": false});
            Ok(format!("event: error\ndata: {data}\n\n"))
        }
    };
    text.unwrap_or_default().into()
}
