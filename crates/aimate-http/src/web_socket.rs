//! `WebSocket`s: who may open one, and what holds for each connection: its messages have room
//! among the bodies of requests, it ends with the sign-in of who opened it, after an hour, and
//! with the server.

use std::time::Duration;

use aimate_core::audit::AuditOrigin;
use aimate_core::rate_limit::{RateBucket, RequestClass};
use aimate_core::{Error, Scope};
use axum::extract::FromRequestParts;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::Instrument as _;

use crate::app::{App, Seat};
#[cfg(feature = "accounts")]
use crate::callers::Callers;
use crate::error::{Failure, Result};
use crate::middleware::RequestId;
use crate::origin;
#[cfg(feature = "accounts")]
use crate::principal::PrincipalSlot;
use crate::scope::{Caller, scope_of};
#[cfg(feature = "accounts")]
use crate::watched_body;

/// How long a connection may last.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Bytes of a message at most.
const MAX_MESSAGE: usize = 24 * 1024 * 1024;
/// Bytes of a connection's buffer for what it reads.
const READ_BUFFER: usize = 8 * 1024;
/// How often is looked whether the server is shutting down, and whether who asks still may.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two pings.
const PING_EVERY: u32 = 25;

/// Who asks for a connection.
pub(crate) struct Upgrade {
    scope: Scope,
    head: Parts,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
}

impl FromRequestParts<App> for Upgrade {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        origin::check_socket(&app.options, &parts.headers)?;
        let mut head = parts.clone();
        let Caller(scope) = Caller::from_request_parts(&mut head, app).await?;
        let socket = WebSocketUpgrade::from_request_parts(parts, app).await;
        Ok(Self { scope, head, socket })
    }
}

impl Upgrade {
    /// Opens the connection, which `serve` serves to its end. `else_do` is what to do at this
    /// path where no `WebSocket` is meant.
    pub(crate) fn open<S, F>(self, app: App, else_do: &str, serve: S) -> Result<Response>
    where
        S: FnOnce(OpenSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let Self { scope, head, socket } = self;
        let socket = socket.map_err(|rejection| {
            let error = Error::invalid(format!(
                "this path is a WebSocket: connect with `Upgrade: websocket`, or {else_do}"
            ));
            Failure::with_status(error.with_source(rejection), StatusCode::UPGRADE_REQUIRED)
        })?;
        let seat = app.seat(&scope)?;
        let most = max_message(&app);
        // What is said is small as a rule; each read would clear a buffer of 128 KiB.
        let socket = socket.max_message_size(most).max_frame_size(most).read_buffer_size(READ_BUFFER);
        let audit = RequestId::audit_origin(&app, &head);
        let span = tracing::Span::current();
        Ok(socket.on_upgrade(move |socket| {
            let served = async move {
                let mut look = interval_at(Instant::now() + LOOK, LOOK);
                look.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let ends = Instant::now() + LIFETIME;
                let asker = Asker { app: app.clone(), head };
                let connection = OpenSocket { asker, audit, socket, look, ends, looks: 0, _seat: seat };
                app.sockets.serve(serve(connection)).await;
            };
            Box::pin(served.instrument(span))
        }))
    }
}

/// A connection that is open.
pub(crate) struct OpenSocket {
    /// Who opened it.
    pub(crate) asker: Asker,
    pub(crate) audit: AuditOrigin,
    pub(crate) socket: WebSocket,
    /// When [`OpenSocket::check`] is due.
    pub(crate) look: Interval,
    /// When it has lasted as long as one may.
    pub(crate) ends: Instant,
    looks: u32,
    _seat: Seat,
}

/// A message of the client.
pub(crate) struct ClientMessage {
    /// `None` if it is no text.
    pub(crate) text: Option<Utf8Bytes>,
    /// Its part of the room for bodies.
    _room: Option<OwnedSemaphorePermit>,
}

impl ClientMessage {
    pub(crate) fn len(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.len())
    }
}

/// Why a connection ends.
pub(crate) enum End {
    /// The client is gone.
    Gone,
    /// It is closed, with this code.
    Close(u16),
    /// It is told why it is closed, with this code.
    Refused(Box<Failure>, u16),
}

impl End {
    fn refused(failure: impl Into<Failure>, code: u16) -> Self {
        Self::Refused(Box::new(failure.into()), code)
    }
}

impl OpenSocket {
    /// The message that was received, if it is one to answer.
    pub(crate) fn taken(
        &self,
        received: Option<Result<Message, axum::Error>>,
    ) -> Result<Option<ClientMessage>, End> {
        let text = match received {
            Some(Ok(Message::Text(text))) => Some(text),
            Some(Ok(Message::Binary(_))) => None,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(None),
            Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
            // Nothing can be read behind it.
            Some(Err(error)) => {
                tracing::debug!(%error, "a WebSocket ends");
                let most = max_message(&self.asker.app);
                let why =
                    format!("the message is larger than the maximum of {most} bytes, or none of a WebSocket");
                return Err(End::refused(Error::too_large(why), close_code::SIZE));
            }
        };
        match self.asker.app.room_for(text.as_ref().map_or(0, |text| text.len())) {
            Ok(room) => Ok(Some(ClientMessage { text, _room: room })),
            Err(failure) => Err(End::refused(failure, close_code::AGAIN)),
        }
    }

    /// See [`Asker::check`]; and keeps connections open on which nothing is said, which proxies
    /// cut off.
    pub(crate) async fn check(&mut self) -> Result<(), End> {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(PING_EVERY) {
            self.socket.send(Message::Ping(Bytes::new())).await.map_err(|_| End::Gone)?;
        }
        self.asker.check().await
    }

    /// Sends a text.
    pub(crate) async fn send(&mut self, text: Bytes) -> Result<(), End> {
        send(&mut self.socket, text).await
    }

    /// Ends it: who is refused is told why by what `refusal` makes of it.
    pub(crate) async fn end(&mut self, end: End, refusal: impl FnOnce(&Failure) -> Bytes) {
        // Whoever is gone hears nothing of it.
        let code = match end {
            End::Gone => return,
            End::Close(code) => code,
            End::Refused(failure, code) => {
                let _ = self.send(refusal(&failure)).await;
                code
            }
        };
        let close = CloseFrame { code, reason: Utf8Bytes::from_static("") };
        let _ = self.socket.send(Message::Close(Some(close))).await;
    }
}

/// Sends a text.
pub(crate) async fn send(socket: &mut WebSocket, text: Bytes) -> Result<(), End> {
    // Invariant: what is sent is JSON, which is UTF-8.
    let text = Utf8Bytes::try_from(text).map_err(|_| End::Gone)?;
    socket.send(Message::Text(text)).await.map_err(|_| End::Gone)
}

/// Who opened a connection.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) app: App,
    /// The request that opened it: who sent it is asked for anew with each message. It holds the
    /// connection's place too.
    head: Parts,
}

impl Asker {
    /// Who asks now, in a request that counts for the rate limit of `class`. Who signed in goes on
    /// for as long as their session or token lasts, also when the short-lived credential that they
    /// connected with is over.
    pub(crate) async fn caller(&mut self, class: RequestClass) -> Result<Scope> {
        let scope = self.scope().await?;
        self.app.pass(RateBucket::of_user(&scope, class)).await?;
        Ok(scope)
    }

    async fn scope(&mut self) -> Result<Scope> {
        #[cfg(feature = "accounts")]
        if let Callers::Accounts(accounts) = &self.app.options.callers
            && let Some(let_in) = self.head.extensions.get::<PrincipalSlot>().and_then(PrincipalSlot::get)
        {
            return Ok(watched_body::look(accounts, let_in).await?);
        }
        scope_of(&mut self.head, &self.app).await
    }

    /// Ends the connection of who may not listen any more, as a stream of events ends.
    #[cfg_attr(not(feature = "accounts"), allow(clippy::unused_async, reason = "accounts are asked"))]
    pub(crate) async fn check(&self) -> Result<(), End> {
        #[cfg(feature = "accounts")]
        if let Callers::Accounts(accounts) = &self.app.options.callers
            && let Some(let_in) = self.head.extensions.get::<PrincipalSlot>().and_then(PrincipalSlot::get)
            && let Err(error) = watched_body::look(accounts, let_in).await
        {
            return Err(End::refused(error, close_code::POLICY));
        }
        Ok(())
    }
}

/// Bytes of a message at most.
fn max_message(app: &App) -> usize {
    MAX_MESSAGE.min(app.options.body_limit)
}
