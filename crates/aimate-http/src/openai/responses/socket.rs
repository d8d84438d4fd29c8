//! `GET /v1/responses` as a `WebSocket`: a second door to the same responses. Each message asks
//! for one, and its events come as messages; one is answered after the other.

use std::collections::VecDeque;
use std::time::Duration;

use aimate_core::chat::InputMessage;
use aimate_core::message::MessageRole;
use aimate_core::{Error, Scope};
use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

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
use crate::openai::wire_id;
use crate::origin;
#[cfg(feature = "accounts")]
use crate::principal::PrincipalSlot;
use crate::scope::Caller;
#[cfg(feature = "accounts")]
use crate::watched_body;

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
    let most = MAX_MESSAGE.min(app.options.body_limit);
    let socket = socket.max_message_size(most).max_frame_size(most);
    Ok(socket.on_upgrade(move |socket| async move {
        let mut connection = ResponseSocket {
            app: app.clone(),
            head,
            socket,
            waiting: VecDeque::new(),
            memory: None,
            look: look(),
            _seat: seat,
        };
        app.sockets.serve(connection.serve()).await;
    }))
}

struct ResponseSocket {
    app: App,
    /// The request that opened it: who sent it is asked for anew with each message.
    head: Parts,
    socket: WebSocket,
    /// Messages that came while one was answered.
    waiting: VecDeque<Utf8Bytes>,
    /// The last response that was not stored.
    memory: Option<Remembered>,
    /// When it is looked next whether who asks still may.
    look: Interval,
    _seat: Seat,
}

/// A response that only this connection knows, with all that was said.
struct Remembered {
    id: String,
    messages: Vec<InputMessage>,
    /// About as much as the messages take.
    bytes: usize,
}

/// The client is gone, or is to go.
struct Gone;

/// What answers a message.
enum Made {
    Stored(Box<StoredBody>),
    /// With the messages that it follows and is asked with.
    Unstored(Box<UnstoredBody>, Vec<InputMessage>),
}

impl ResponseSocket {
    async fn serve(&mut self) {
        let ends = Instant::now() + LIFETIME;
        while let Ok(Some(text)) = self.next_message(ends).await {
            if self.answer(&text).await.is_err() {
                break;
            }
        }
        let close = CloseFrame { code: close_code::NORMAL, reason: Utf8Bytes::from_static("") };
        // Whoever is gone hears nothing of it.
        let _ = self.socket.send(Message::Close(Some(close))).await;
    }

    /// The next message; `None` once the connection is to end.
    async fn next_message(&mut self, ends: Instant) -> Result<Option<Utf8Bytes>, Gone> {
        loop {
            let is_over = Instant::now() >= ends;
            if !is_over
                && !self.app.engine.is_draining()
                && let Some(text) = self.waiting.pop_front()
            {
                return Ok(Some(text));
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
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => return Ok(Some(text)),
                    Some(Ok(Message::Binary(_))) => self.refuse(&not_text()).await?,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                },
            }
        }
    }

    /// Answers one message.
    async fn answer(&mut self, text: &str) -> Result<(), Gone> {
        let named = named_previous(text);
        let followed = self.memory.as_ref().filter(|memory| Some(&memory.id) == named.as_ref());
        let bytes = text.len() + followed.map_or(0, |memory| memory.bytes);
        let answered = match self.begin(text).await {
            Ok(Made::Stored(mut body)) => {
                while let Some(frame) = self.while_open(body.next()).await? {
                    self.send(frame).await?;
                }
                true
            }
            Ok(Made::Unstored(mut body, mut messages)) => {
                while let Some(frame) = self.while_open(body.next()).await? {
                    self.send(frame).await?;
                }
                let (id, said) = body.answered();
                match said {
                    Some(said) => {
                        let bytes = bytes + said.iter().map(bytes_of).sum::<usize>();
                        messages.push(InputMessage::new(MessageRole::Assistant, said));
                        let memory = Remembered { id, messages, bytes };
                        self.memory = Some(memory).filter(|memory| memory.bytes <= MAX_REMEMBERED);
                        true
                    }
                    None => false,
                }
            }
            Err(failure) => {
                self.refuse(&failure).await?;
                false
            }
        };
        // What could not be continued is not continued later either.
        if !answered && self.memory.as_ref().is_some_and(|memory| Some(&memory.id) == named.as_ref()) {
            self.memory = None;
        }
        Ok(())
    }

    async fn begin(&mut self, text: &str) -> Result<Made> {
        self.app.has_room()?;
        let Caller(scope) = Caller::from_request_parts(&mut self.head, &self.app).await?;
        let message: Value = json::parse::<Value>(text.as_bytes())?;
        match message.get("type").and_then(Value::as_str) {
            Some("response.create") => {}
            _ => return Err(Error::field("type", "must be `response.create`").into()),
        }
        if message.get("background").and_then(Value::as_bool) == Some(true) {
            return Err(Error::field("background", "is not taken on a WebSocket").into());
        }
        let mut body: ResponseBody = json::parse(text.as_bytes())?;
        body.set_stream(true);
        let memory = self.memory.as_ref().filter(|memory| body.previous() == Some(memory.id.as_str()));
        let before = memory.map(|memory| (memory.id.clone(), memory.messages.clone()));
        if before.is_some() {
            body.follows_memory();
        } else if body.is_unstored() && body.previous().is_some_and(|id| !self.is_stored_id(id)) {
            return Err(previous_not_found(body.previous().unwrap_or_default()));
        }
        let mut asked = Asked::read(&self.app, &scope, body).await?;
        asked.search(&self.app, &scope).await?;
        if let Some((id, messages)) = before {
            asked.parsed.echo.set("previous_response_id", id);
            asked.messages = [messages, asked.messages].concat();
        }
        let frames = Frames::new(Framing::Json, None);
        let follows = asked.follows;
        if asked.parsed.is_stored() || asked.parsed.conversation.is_some() {
            let (answer, echo) = begin(&self.app, &scope, asked).await?;
            let body = StoredBody::new(&self.app, &scope, answer, echo, frames);
            return Ok(Made::Stored(Box::new(body)));
        }
        let messages = asked.messages.clone();
        let (completion, echo) = unstored::call(&self.app, &scope, asked).await?;
        let stream =
            self.app.engine.complete(&scope, completion).await.map_err(|error| refused(error, follows))?;
        let body = UnstoredBody::new(self.app.engine.sources(), stream, echo, frames);
        Ok(Made::Unstored(Box::new(body), messages))
    }

    /// Whether an id can be one of a stored response.
    fn is_stored_id(&self, id: &str) -> bool {
        wire_id::read(super::object::PREFIX, id).is_some()
    }

    /// Waits for what is made while the client is listened to: it may leave, and its messages
    /// wait.
    async fn while_open<T>(&mut self, made: impl Future<Output = T>) -> Result<T, Gone> {
        let mut made = std::pin::pin!(made);
        loop {
            let (most, bytes) = MAX_WAITING;
            let has_room = self.waiting.len() < most
                && self.waiting.iter().map(|text| text.len()).sum::<usize>() < bytes;
            tokio::select! {
                biased;
                // First: what is made may be ready each time.
                _ = self.look.tick() => self.check_listener().await?,
                made = made.as_mut() => return Ok(made),
                message = self.socket.recv(), if has_room => match message {
                    Some(Ok(Message::Text(text))) => self.waiting.push_back(text),
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                },
            }
        }
    }

    /// Ends the connection of who may not listen any more, as a stream of events ends.
    async fn check_listener(&mut self) -> Result<(), Gone> {
        #[cfg(feature = "accounts")]
        if let Callers::Accounts(accounts) = &self.app.options.callers
            && let Some(let_in) = self.head.extensions.get::<PrincipalSlot>().and_then(PrincipalSlot::get)
            && let Err(error) = watched_body::look(accounts, let_in).await
        {
            self.refuse(&error.into()).await?;
            return Err(Gone);
        }
        Ok(())
    }

    /// Says what was wrong with a message; the connection goes on.
    async fn refuse(&mut self, failure: &Failure) -> Result<(), Gone> {
        self.send(Bytes::from(error_event(failure).to_string())).await
    }

    async fn send(&mut self, frame: Bytes) -> Result<(), Gone> {
        // Invariant: frames are JSON, which is UTF-8.
        let text = Utf8Bytes::try_from(frame).map_err(|_| Gone)?;
        self.socket.send(Message::Text(text)).await.map_err(|_| Gone)
    }
}

/// When it is looked whether who asks still may.
fn look() -> Interval {
    let mut look = interval_at(Instant::now() + LOOK, LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

/// The response that a message wants to follow.
fn named_previous(text: &str) -> Option<String> {
    let message: Value = serde_json::from_str(text).ok()?;
    Some(message.get("previous_response_id")?.as_str()?.to_owned())
}

/// An error as an event, with the fields of both documents that describe it.
fn error_event(failure: &Failure) -> Value {
    let mut event = serde_json::to_value(failure.openai_error()).unwrap_or_default();
    let error = event.get("error").cloned().unwrap_or_default();
    if let Some(fields) = event.as_object_mut() {
        fields.insert("type".to_owned(), json!("error"));
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
