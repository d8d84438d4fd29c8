//! `GET /v1/responses` as a `WebSocket`: a second door to the same responses. Each message asks
//! for one, and its events come as messages; one is answered after the other.

use std::collections::VecDeque;

use aimate_core::Error;
use aimate_core::chat::InputMessage;
use aimate_core::message::{MessageRole, Part};
use aimate_core::rate_limit::RequestClass;
use axum::extract::State;
use axum::extract::ws::close_code;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::ask::{Asked, refused};
use super::body::StoredBody;
use super::frame::{Frames, Framing};
use super::request::{ResponseBody, previous_not_found};
use super::routes::begin;
use super::unstored::{self, UnstoredBody, bytes_of};
use crate::app::App;
use crate::error::{Failure, Result};
use crate::json;
use crate::openai::wire_id;
use crate::web_socket::{ClientMessage, End, OpenSocket, Upgrade};
use crate::work;

/// Messages that may wait for the one that is answered, and their bytes, before the client
/// waits with the next one.
const MAX_WAITING: (usize, usize) = (128, 1024 * 1024);
/// Bytes of what was asked and said that a connection remembers; what is more is not followed.
const MAX_REMEMBERED: usize = 4 * 1024 * 1024;

/// Opens a `WebSocket`. Each message is a `response.create` with the fields of a request; the
/// events of its response come as messages. One that is not stored can be followed on the same
/// connection.
#[utoipa::path(get, path = "/v1/responses", tag = "responses",
    responses((status = 101, description = "The connection is a WebSocket from here on"),
        (status = 426, description = "It is no WebSocket")))]
pub(crate) async fn connect(State(app): State<App>, upgrade: Upgrade) -> Result<Response> {
    upgrade.open(app, "send `POST` for a response", |connection| async {
        let mut socket = ResponseSocket { connection, waiting: VecDeque::new(), memory: None };
        socket.serve().await;
    })
}

struct ResponseSocket {
    connection: OpenSocket,
    /// Messages that came while one was answered.
    waiting: VecDeque<ClientMessage>,
    /// The last response that was not stored.
    memory: Option<Remembered>,
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
        let end = loop {
            let answered = match self.next_message().await {
                Ok(Some(message)) => self.answer(message).await,
                Ok(None) => break End::Close(close_code::NORMAL),
                Err(end) => Err(end),
            };
            if let Err(end) = answered {
                break end;
            }
        };
        self.connection.end(end, refusal).await;
    }

    /// The next message; `None` once the connection is to end.
    async fn next_message(&mut self) -> Result<Option<ClientMessage>, End> {
        let app = self.connection.asker.app.clone();
        let ends = self.connection.ends;
        loop {
            let is_over = Instant::now() >= ends;
            if !is_over
                && !app.engine.is_draining()
                && let Some(message) = self.waiting.pop_front()
            {
                return Ok(Some(message));
            }
            let connection = &mut self.connection;
            tokio::select! {
                biased;
                () = app.sockets.closing() => return Ok(None),
                () = sleep_until(ends) => {
                    let error = Error::invalid("the connection is an hour old, the most; open another one");
                    let failure = Failure::from(error).coded("websocket_connection_limit_reached");
                    self.refuse(&failure).await?;
                    return Ok(None);
                }
                _ = connection.look.tick() => {
                    if app.engine.is_draining() {
                        return Ok(None);
                    }
                    connection.check().await?;
                }
                received = connection.socket.recv() => {
                    if let Some(message) = connection.taken(received)? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    /// Answers one message.
    async fn answer(&mut self, message: ClientMessage) -> Result<(), End> {
        let audit = self.connection.audit.clone();
        // What cannot be continued now is not continued later either: whoever follows the memory
        // takes it.
        // On the heap: it is as large as all that a request is answered with.
        let made = audit.of(work::handling(self.begun(&message))).await;
        drop(message);
        match made {
            Ok(Made::Stored(mut body)) => {
                let _stream = self.connection.asker.app.metrics.open_stream();
                while let Some(frame) = self.while_open(body.next()).await? {
                    self.connection.send(frame).await?;
                }
            }
            Ok(Made::Unstored(mut body, asking)) => {
                let _stream = self.connection.asker.app.metrics.open_stream();
                while let Some(frame) = self.while_open(body.next()).await? {
                    self.connection.send(frame).await?;
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
        let Ok(room) = self.connection.asker.app.room_for(bytes) else { return };
        messages.push(InputMessage::new(MessageRole::Assistant, said));
        self.memory = Some(Remembered { id, messages, bytes, _room: room });
    }

    /// On the heap: it is as large as all that a request is answered with.
    fn begun<'a>(&'a mut self, message: &'a ClientMessage) -> BoxFuture<'a, Result<Made>> {
        Box::pin(self.begin(message))
    }

    async fn begin(&mut self, message: &ClientMessage) -> Result<Made> {
        self.connection.asker.app.has_room()?;
        self.connection.asker.app.begin_work()?;
        let scope = self.connection.asker.caller(RequestClass::Chat).await?;
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
        let mut asked = Asked::read(&self.connection.asker.app, &scope, body).await?;
        asked.search(&self.connection.asker.app, &scope).await?;
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
            let (answer, echo) = begin(&self.connection.asker.app, &scope, asked).await?;
            let body = StoredBody::new(&self.connection.asker.app, &scope, answer, echo, frames);
            return Ok(Made::Stored(Box::new(body)));
        }
        let is_remembered = bytes <= MAX_REMEMBERED;
        let asking = is_remembered.then(|| Asking { messages: asked.messages.clone(), bytes });
        let (completion, echo) = unstored::call(&self.connection.asker.app, &scope, asked).await?;
        let stream = self
            .connection
            .asker
            .app
            .engine
            .complete(&scope, completion)
            .await
            .map_err(|error| refused(error, follows))?;
        let body = UnstoredBody::new(self.connection.asker.app.engine.sources(), stream, echo, frames);
        Ok(Made::Unstored(Box::new(body), asking))
    }

    /// Waits for what is made while the client is listened to: it may leave, and its messages
    /// wait.
    async fn while_open<T>(&mut self, made: impl Future<Output = T>) -> Result<T, End> {
        let mut made = std::pin::pin!(made);
        loop {
            let (most, bytes) = MAX_WAITING;
            let has_room = self.waiting.len() < most
                && self.waiting.iter().map(ClientMessage::len).sum::<usize>() < bytes;
            let connection = &mut self.connection;
            tokio::select! {
                biased;
                // First: what is made may be ready each time.
                _ = connection.look.tick() => connection.check().await?,
                made = made.as_mut() => return Ok(made),
                received = connection.socket.recv(), if has_room => {
                    if let Some(message) = connection.taken(received)? {
                        self.waiting.push_back(message);
                    }
                }
            }
        }
    }

    /// Says what was wrong with a message; the connection goes on.
    async fn refuse(&mut self, failure: &Failure) -> Result<(), End> {
        self.connection.send(refusal(failure)).await
    }
}

/// What is said of a failure.
fn refusal(failure: &Failure) -> Bytes {
    failure.log("a message of a WebSocket");
    error_event(failure).to_string().into()
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
