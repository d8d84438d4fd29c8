//! `GET /v1/responses` as a `WebSocket`: a second door to the same responses. Each message asks
//! for one, and its events come as messages; one is answered after the other.

use std::collections::VecDeque;
use std::time::Duration;

use aimate_core::audit::AuditOrigin;
use aimate_core::chat::InputMessage;
use aimate_core::message::{MessageRole, Part};
#[cfg(feature = "accounts")]
use aimate_core::rate_limit::RateBucket;
use aimate_core::{Error, Scope};
use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tracing::Instrument as _;

use super::ask::{Asked, refused};
use super::body::StoredBody;
use super::frame::{Frames, Framing};
use super::request::{ResponseBody, previous_not_found};
use super::routes::begin;
use super::unstored::{self, UnstoredBody, bytes_of};
use crate::app::{App, Seat};
#[cfg(feature = "accounts")]
use crate::callers::Callers;
use crate::error::{Failure, Result};
use crate::json;
use crate::middleware::RequestId;
use crate::openai::wire_id;
use crate::origin;
#[cfg(feature = "accounts")]
use crate::principal::PrincipalSlot;
#[cfg(feature = "accounts")]
use crate::request_class;
use crate::scope::Caller;
#[cfg(feature = "accounts")]
use crate::watched_body;
use crate::work;

/// How long a connection may last.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Bytes of a message at most.
const MAX_MESSAGE: usize = 24 * 1024 * 1024;
/// Messages that may wait for the one that is answered, and their bytes, before the client
/// waits with the next one.
const MAX_WAITING: (usize, usize) = (128, 1024 * 1024);
/// Bytes of what was asked and said that a connection remembers; what is more is not followed.
const MAX_REMEMBERED: usize = 4 * 1024 * 1024;
/// How often is looked whether the server is shutting down, and whether who asks still may.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two pings.
const PING_EVERY: u32 = 25;

/// Who asks, as one who posts would.
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
        head.method = Method::POST;
        let Caller(scope) = Caller::from_request_parts(&mut head, app).await?;
        let socket = WebSocketUpgrade::from_request_parts(parts, app).await;
        Ok(Self { scope, head, socket })
    }
}

/// Opens a `WebSocket`. Each message is a `response.create` with the fields of a request; the
/// events of its response come as messages. One that is not stored can be followed on the same
/// connection.
#[utoipa::path(get, path = "/v1/responses", tag = "responses",
    responses((status = 101, description = "The connection is a WebSocket from here on"),
        (status = 426, description = "It is no WebSocket")))]
pub(crate) async fn connect(State(app): State<App>, upgrade: Upgrade) -> Result<Response> {
    let Upgrade { scope, head, socket } = upgrade;
    let socket = socket.map_err(|rejection| {
        let error = Error::invalid(
            "this path is a WebSocket: connect with `Upgrade: websocket`, or send `POST` for a response",
        );
        Failure::with_status(error.with_source(rejection), StatusCode::UPGRADE_REQUIRED)
    })?;
    let seat = app.seat(&scope)?;
    let most = max_message(&app);
    let socket = socket.max_message_size(most).max_frame_size(most);
    let audit = RequestId::audit_origin(&app, &head);
    let span = tracing::Span::current();
    Ok(socket.on_upgrade(move |socket| {
        let served = async move {
            let mut connection = ResponseSocket {
                app: app.clone(),
                head,
                audit,
                socket,
                waiting: VecDeque::new(),
                memory: None,
                look: look(),
                looks: 0,
                _seat: seat,
            };
            app.sockets.serve(connection.serve()).await;
        };
        Box::pin(served.instrument(span))
    }))
}

struct ResponseSocket {
    app: App,
    /// The request that opened it: who sent it is asked for anew with each message. It holds the
    /// connection's place too.
    head: Parts,
    audit: AuditOrigin,
    socket: WebSocket,
    /// Messages that came while one was answered.
    waiting: VecDeque<ClientMessage>,
    /// The last response that was not stored.
    memory: Option<Remembered>,
    /// When it is looked next whether who asks still may.
    look: Interval,
    looks: u32,
    _seat: Seat,
}

/// A message of the client.
struct ClientMessage {
    /// `None` if it is no text.
    text: Option<Utf8Bytes>,
    /// Its part of the room for bodies.
    _room: Option<OwnedSemaphorePermit>,
}

impl ClientMessage {
    fn len(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.len())
    }
}

/// A response that only this connection knows, with all that was said.
struct Remembered {
    id: String,
    messages: Vec<InputMessage>,
    /// About as much as the messages take.
    bytes: usize,
    /// Their part of the room for bodies.
    _room: Option<OwnedSemaphorePermit>,
}

/// Why a connection ends.
enum End {
    /// The client is gone.
    Gone,
    /// It is closed, with this code.
    Close(u16),
}

/// What answers a message.
enum Made {
    Stored(Box<StoredBody>),
    Unstored(Box<UnstoredBody>, Option<Asking>),
}

/// What is remembered once it is answered.
struct Asking {
    messages: Vec<InputMessage>,
    bytes: usize,
}

impl ResponseSocket {
    async fn serve(&mut self) {
        let ends = Instant::now() + LIFETIME;
        let end = loop {
            let answered = match self.next_message(ends).await {
                Ok(Some(message)) => self.answer(message).await,
                Ok(None) => break End::Close(close_code::NORMAL),
                Err(end) => Err(end),
            };
            if let Err(end) = answered {
                break end;
            }
        };
        let End::Close(code) = end else { return };
        let close = CloseFrame { code, reason: Utf8Bytes::from_static("") };
        // Whoever is gone hears nothing of it.
        let _ = self.socket.send(Message::Close(Some(close))).await;
    }

    /// The next message; `None` once the connection is to end.
    async fn next_message(&mut self, ends: Instant) -> Result<Option<ClientMessage>, End> {
        loop {
            let is_over = Instant::now() >= ends;
            if !is_over
                && !self.app.engine.is_draining()
                && let Some(message) = self.waiting.pop_front()
            {
                return Ok(Some(message));
            }
            tokio::select! {
                biased;
                () = self.app.sockets.closing() => return Ok(None),
                () = sleep_until(ends) => {
                    let error = Error::invalid("the connection is an hour old, the most; open another one");
                    let failure = Failure::from(error).coded("websocket_connection_limit_reached");
                    self.refuse(&failure).await?;
                    return Ok(None);
                }
                _ = self.look.tick() => {
                    if self.app.engine.is_draining() {
                        return Ok(None);
                    }
                    self.check_listener().await?;
                }
                received = self.socket.recv() => {
                    if let Some(message) = self.taken(received).await? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    /// The message that was received, if it is one to answer.
    async fn taken(
        &mut self,
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
                let most = max_message(&self.app);
                let why =
                    format!("the message is larger than the maximum of {most} bytes, or none of a WebSocket");
                self.refuse(&Error::too_large(why).into()).await?;
                return Err(End::Close(close_code::SIZE));
            }
        };
        match self.app.room_for(text.as_ref().map_or(0, |text| text.len())) {
            Ok(room) => Ok(Some(ClientMessage { text, _room: room })),
            Err(failure) => {
                self.refuse(&failure).await?;
                Err(End::Close(close_code::AGAIN))
            }
        }
    }

    /// Answers one message.
    async fn answer(&mut self, message: ClientMessage) -> Result<(), End> {
        let audit = self.audit.clone();
        // What cannot be continued now is not continued later either: whoever follows the memory
        // takes it.
        // On the heap: it is as large as all that a request is answered with.
        let made = audit.of(work::handling(self.begun(&message))).await;
        drop(message);
        match made {
            Ok(Made::Stored(mut body)) => {
                let _stream = self.app.metrics.open_stream();
                while let Some(frame) = self.while_open(body.next()).await? {
                    self.send(frame).await?;
                }
            }
            Ok(Made::Unstored(mut body, asking)) => {
                let _stream = self.app.metrics.open_stream();
                while let Some(frame) = self.while_open(body.next()).await? {
                    self.send(frame).await?;
                }
                let (id, said) = body.answered();
                if let (Some(asking), Some(said)) = (asking, said) {
                    self.remember(id, asking, said);
                }
            }
            Err(failure) => self.refuse(&failure).await?,
        }
        Ok(())
    }

    /// Remembers a response in place of the one before, if there is room for it.
    fn remember(&mut self, id: String, Asking { mut messages, bytes }: Asking, said: Vec<Part>) {
        self.memory = None;
        let bytes = bytes + said.iter().map(bytes_of).sum::<usize>();
        if bytes > MAX_REMEMBERED {
            return;
        }
        let Ok(room) = self.app.room_for(bytes) else { return };
        messages.push(InputMessage::new(MessageRole::Assistant, said));
        self.memory = Some(Remembered { id, messages, bytes, _room: room });
    }

    /// On the heap: it is as large as all that a request is answered with.
    fn begun<'a>(&'a mut self, message: &'a ClientMessage) -> BoxFuture<'a, Result<Made>> {
        Box::pin(self.begin(message))
    }

    async fn begin(&mut self, message: &ClientMessage) -> Result<Made> {
        self.app.has_room()?;
        self.app.begin_work()?;
        let scope = self.caller().await?;
        let text = message.text.as_ref().ok_or_else(not_text)?;
        let mut body: ResponseBody = json::parse(text.as_bytes())?;
        if body.kind.as_deref() != Some("response.create") {
            return Err(Error::field("type", "must be `response.create`").into());
        }
        if body.background == Some(true) {
            return Err(Error::field("background", "is not taken on a WebSocket").into());
        }
        body.set_stream(true);
        let followed = self.memory.take_if(|memory| body.previous() == Some(memory.id.as_str()));
        if followed.is_some() {
            body.follows_memory();
        } else if body.is_unstored()
            && let Some(id) = body.previous()
            && wire_id::read(super::object::PREFIX, id).is_none()
        {
            return Err(previous_not_found(id));
        }
        let mut asked = Asked::read(&self.app, &scope, body).await?;
        asked.search(&self.app, &scope).await?;
        let mut bytes = message.len();
        if let Some(Remembered { id, mut messages, bytes: before, _room: _ }) = followed {
            bytes += before;
            asked.parsed.echo.set("previous_response_id", id);
            messages.append(&mut asked.messages);
            asked.messages = messages;
        }
        let frames = Frames::new(Framing::Json, None);
        let follows = asked.follows;
        if asked.parsed.is_stored() || asked.parsed.conversation.is_some() {
            let (answer, echo) = begin(&self.app, &scope, asked).await?;
            let body = StoredBody::new(&self.app, &scope, answer, echo, frames);
            return Ok(Made::Stored(Box::new(body)));
        }
        let is_remembered = bytes <= MAX_REMEMBERED;
        let asking = is_remembered.then(|| Asking { messages: asked.messages.clone(), bytes });
        let (completion, echo) = unstored::call(&self.app, &scope, asked).await?;
        let stream =
            self.app.engine.complete(&scope, completion).await.map_err(|error| refused(error, follows))?;
        let body = UnstoredBody::new(self.app.engine.sources(), stream, echo, frames);
        Ok(Made::Unstored(Box::new(body), asking))
    }

    /// Who asks now. Who signed in goes on for as long as their session or token lasts, also when
    /// the short-lived credential that they connected with is over.
    async fn caller(&mut self) -> Result<Scope> {
        #[cfg(feature = "accounts")]
        if let Callers::Accounts(accounts) = &self.app.options.callers
            && let Some(let_in) = self.head.extensions.get::<PrincipalSlot>().and_then(PrincipalSlot::get)
        {
            let scope = watched_body::look(accounts, let_in).await?;
            let class = request_class::of(&self.head.method, self.head.uri.path());
            self.app.pass(RateBucket::of_user(&scope, class)).await?;
            return Ok(scope);
        }
        let Caller(scope) = Caller::from_request_parts(&mut self.head, &self.app).await?;
        Ok(scope)
    }

    /// Waits for what is made while the client is listened to: it may leave, and its messages
    /// wait.
    async fn while_open<T>(&mut self, made: impl Future<Output = T>) -> Result<T, End> {
        let mut made = std::pin::pin!(made);
        loop {
            let (most, bytes) = MAX_WAITING;
            let has_room = self.waiting.len() < most
                && self.waiting.iter().map(ClientMessage::len).sum::<usize>() < bytes;
            tokio::select! {
                biased;
                // First: what is made may be ready each time.
                _ = self.look.tick() => self.check_listener().await?,
                made = made.as_mut() => return Ok(made),
                received = self.socket.recv(), if has_room => {
                    if let Some(message) = self.taken(received).await? {
                        self.waiting.push_back(message);
                    }
                }
            }
        }
    }

    /// Ends the connection of who may not listen any more, as a stream of events ends; and keeps
    /// those open on which nothing is said, which proxies cut off.
    async fn check_listener(&mut self) -> Result<(), End> {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(PING_EVERY) {
            self.socket.send(Message::Ping(Bytes::new())).await.map_err(|_| End::Gone)?;
        }
        #[cfg(feature = "accounts")]
        if let Callers::Accounts(accounts) = &self.app.options.callers
            && let Some(let_in) = self.head.extensions.get::<PrincipalSlot>().and_then(PrincipalSlot::get)
            && let Err(error) = watched_body::look(accounts, let_in).await
        {
            self.refuse(&error.into()).await?;
            return Err(End::Close(close_code::POLICY));
        }
        Ok(())
    }

    /// Says what was wrong with a message; the connection goes on.
    async fn refuse(&mut self, failure: &Failure) -> Result<(), End> {
        self.send(Bytes::from(error_event(failure).to_string())).await
    }

    async fn send(&mut self, frame: Bytes) -> Result<(), End> {
        // Invariant: frames are JSON, which is UTF-8.
        let text = Utf8Bytes::try_from(frame).map_err(|_| End::Gone)?;
        self.socket.send(Message::Text(text)).await.map_err(|_| End::Gone)
    }
}

/// Bytes of a message at most.
fn max_message(app: &App) -> usize {
    MAX_MESSAGE.min(app.options.body_limit)
}

/// When it is looked whether who asks still may.
fn look() -> Interval {
    let mut look = interval_at(Instant::now() + LOOK, LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

/// An error as an event, with the fields of both documents that describe it.
fn error_event(failure: &Failure) -> Value {
    let mut event = serde_json::to_value(failure.openai_error()).unwrap_or_default();
    let error = event.get("error").cloned().unwrap_or_default();
    if let Some(fields) = event.as_object_mut() {
        fields.insert("type".to_owned(), json!("error"));
        // Strict readers want one in every event; this one is of no response.
        fields.insert("sequence_number".to_owned(), json!(0));
        fields.insert("status".to_owned(), json!(status_of(failure)));
        for name in ["code", "message", "param"] {
            fields.insert(name.to_owned(), error.get(name).cloned().unwrap_or_default());
        }
    }
    event
}

/// What is not found to be followed is a bad request here.
fn status_of(failure: &Failure) -> u16 {
    if failure.is_coded("previous_response_not_found") {
        return StatusCode::BAD_REQUEST.as_u16();
    }
    failure.openai_status().as_u16()
}

fn not_text() -> Failure {
    Error::invalid("messages must be text: JSON of the type `response.create`").into()
}
