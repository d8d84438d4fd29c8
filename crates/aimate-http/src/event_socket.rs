//! `GET /api/v1/ws` as a `WebSocket`: turns, what is decided of them, and the events of any number
//! of runs over one connection.

mod request;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use aimate_core::chat::event::ChatEvent;
use aimate_core::engine::{Edited, NumberedEvents};
use aimate_core::{Answer, Error, RunId, Scope};
use axum::extract::State;
use axum::extract::ws::close_code;
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt as _};
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Seat};
use crate::error::{Failure, Result};
use crate::metrics::OpenStream;
use crate::web_socket::{ClientMessage, End, OpenSocket, Upgrade};
use crate::work;
use request::{Command, SocketRequest};

/// Requests under way on a connection before the client waits with the next one.
const MAX_AT_ONCE: usize = 256;

/// Opens a `WebSocket` for turns and the events of any number of runs. Each message is a request
/// with an `id` of the client's; one message is its reply, with the status and the body that the
/// request has over HTTP.
#[utoipa::path(get, path = "/api/v1/ws", tag = "runs",
    responses((status = 101, description = "The connection is a WebSocket from here on"),
        (status = 426, description = "It is no WebSocket")))]
pub(crate) async fn connect(State(app): State<App>, upgrade: Upgrade) -> Result<Response> {
    let else_do = "use `POST /api/v1/messages` and `GET /api/v1/runs/{id}/events`";
    upgrade.open(app, else_do, |connection| async {
        let (requests, listened) = (SelectAll::new(), Arc::default());
        EventSocket { connection, requests, listened, is_closing: false }.serve().await;
    })
}

struct EventSocket {
    connection: OpenSocket,
    /// What the requests under way have to say.
    requests: SelectAll<BoxStream<'static, Bytes>>,
    listened: Arc<Listened>,
    /// Whether nothing new is taken any more.
    is_closing: bool,
}

impl EventSocket {
    async fn serve(mut self) {
        let end = loop {
            match self.step().await {
                Ok(()) if self.is_closing && self.requests.is_empty() => {
                    break End::Close(close_code::NORMAL);
                }
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        let code = match end {
            End::Gone => return,
            End::Close(code) => code,
            End::Refused(failure, code) => {
                // Whoever is gone hears nothing of it.
                let _ = self.connection.send(refusal(None, &failure)).await;
                code
            }
        };
        self.connection.close(code).await;
    }

    /// Does what is next.
    async fn step(&mut self) -> Result<(), End> {
        let app = self.connection.app.clone();
        let ends = self.connection.ends;
        let is_open = !self.is_closing;
        let takes = is_open && self.requests.len() < MAX_AT_ONCE;
        let OpenSocket { look, socket, .. } = &mut self.connection;
        // In no order: a stream that never pauses must not keep a client from cancelling it.
        tokio::select! {
            () = app.sockets.closing(), if is_open => self.is_closing = true,
            () = sleep_until(ends), if is_open => {
                let error = Error::invalid("the connection is an hour old, the most; open another one");
                self.connection.send(refusal(None, &error.into())).await?;
                self.is_closing = true;
            }
            _ = look.tick() => {
                self.is_closing |= app.engine.is_draining();
                self.connection.check().await?;
            }
            Some(said) = self.requests.next(), if !self.requests.is_empty() => {
                self.connection.send(said).await?;
            }
            received = socket.recv(), if takes => {
                if let Some(message) = self.connection.taken(received)? {
                    self.take(message);
                }
            }
        }
        Ok(())
    }

    /// Begins what a message asks for.
    fn take(&mut self, message: ClientMessage) {
        let OpenSocket { app, audit, .. } = &self.connection;
        let request =
            Request { app: app.clone(), listened: self.listened.clone(), headers: HeaderMap::new() };
        let (asker, audit) = (self.connection.asker(), audit.clone());
        let began = async move {
            let handled = async move {
                let asked = SocketRequest::read(&message)?;
                let id = asked.id;
                let done = async {
                    request.app.has_room()?;
                    request.app.begin_work()?;
                    let scope = asker.caller(asked.what.class()).await?;
                    // On the heap: it is as large as all that a turn begins with.
                    Box::pin(request.handle(&scope, asked.what)).await
                };
                match done.await {
                    Ok(done) => Ok((id, done)),
                    Err(failure) => Err(Unread { id: Some(id), failure }),
                }
            };
            match audit.of(work::handling(handled)).await {
                Ok((id, Done::Said(status, body))) => one(reply(Some(&id), status, &body)),
                Ok((id, Done::Listens(run))) => run.told(&id),
                Err(Unread { id, failure }) => one(refusal(id.as_deref(), &failure)),
            }
        };
        self.requests.push(stream::once(began).flatten().boxed());
    }
}

/// A request that was not done.
struct Unread {
    id: Option<String>,
    failure: Failure,
}

/// What a request came to.
enum Done {
    /// It is answered with this status and body.
    Said(u16, Value),
    /// The events of a run follow.
    Listens(Box<Listener>),
}

/// What a request is done with.
struct Request {
    app: App,
    listened: Arc<Listened>,
    /// A message has none.
    headers: HeaderMap,
}

impl Request {
    async fn handle(&self, scope: &Scope, asked: Command) -> Result<Done> {
        let Self { app, headers, .. } = self;
        let runs = app.engine.runs(scope);
        match asked {
            Command::Create { conversation, body } => {
                let seat = app.seat(scope)?;
                let turn = body.next(conversation, headers)?.turn;
                self.listen(app.engine.chat(scope, turn).await?, seat)
            }
            Command::Edit { conversation, message, body } => {
                let seat = app.seat(scope)?;
                let turn = body.edit(conversation, message, headers)?.turn;
                match app.engine.edit(scope, turn).await? {
                    Edited::Question(answer) => self.listen(answer, seat),
                    Edited::Answer(message) => Ok(said(&*message)),
                }
            }
            Command::Regenerate { conversation, message, body } => {
                let seat = app.seat(scope)?;
                let turn = body.again(conversation, message, headers)?.turn;
                self.listen(app.engine.chat(scope, turn).await?, seat)
            }
            Command::Events { run, after } => {
                let seat = app.seat(scope)?;
                self.listen(runs.attach(run, after).await?, seat)
            }
            Command::Leave { run } => {
                self.listened.leave(run)?;
                Ok(Done::Said(204, Value::Null))
            }
            Command::Cancel { run } => Ok(said(&runs.cancel(run).await?)),
            Command::Approve { run, call, decision } => Ok(said(&runs.decide(run, &call, decision).await?)),
            Command::Input { run, call, answer } => {
                runs.answer_tool(run, &call, answer).await?;
                Ok(Done::Said(204, Value::Null))
            }
        }
    }

    /// Listens to a run, if the connection does not yet.
    fn listen(&self, answer: Answer, seat: Seat) -> Result<Done> {
        let run = answer.run_id();
        let place = self.listened.join(run)?;
        let stream = self.app.metrics.open_stream();
        let listener = Listener { app: self.app.clone(), answer, place, _held: (stream, seat) };
        Ok(Done::Listens(Box::new(listener)))
    }
}

/// The runs that a connection listens to.
#[derive(Default)]
struct Listened(Mutex<HashMap<RunId, CancellationToken>>);

impl Listened {
    /// Another run.
    ///
    /// # Errors
    /// `Conflict` if the connection listens to it already: each event would come twice.
    fn join(self: &Arc<Self>, run: RunId) -> Result<Place> {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match runs.entry(run) {
            Entry::Occupied(_) => {
                Err(Error::conflict(format!("this connection listens to the run `{run}` already")).into())
            }
            Entry::Vacant(place) => {
                let left = place.insert(CancellationToken::new()).clone();
                Ok(Place { listened: self.clone(), run, left })
            }
        }
    }

    /// One less, if the connection listens to it.
    fn leave(&self, run: RunId) -> Result<()> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = runs.get(&run);
        let left = left
            .ok_or_else(|| Error::not_found(format!("this connection does not listen to the run `{run}`")))?;
        left.cancel();
        Ok(())
    }
}

/// A run that a connection listens to, until this is dropped.
struct Place {
    listened: Arc<Listened>,
    run: RunId,
    left: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.listened.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.run);
    }
}

/// Who listens to a run over a connection.
struct Listener {
    app: App,
    answer: Answer,
    place: Place,
    /// Its count among the open streams, and its seat.
    _held: (OpenStream, Seat),
}

impl Listener {
    /// The reply to the request `id`, and the events after it.
    fn told(self: Box<Self>, id: &str) -> BoxStream<'static, Bytes> {
        let body = json!({
            "run_id": self.answer.run_id(),
            "conversation_id": self.answer.conversation_id(),
            "message_id": self.answer.message_id(),
        });
        let events = stream::unfold(self, |mut listener| async move {
            let events = tokio::select! {
                biased;
                () = listener.place.left.cancelled() => return None,
                events = listener.answer.next_batch() => events?,
            };
            Some((stream::iter(listener.messages(events)), listener))
        });
        stream::iter([reply(Some(id), 200, &body)]).chain(events.flatten()).boxed()
    }

    fn messages(&self, events: NumberedEvents) -> Vec<Bytes> {
        let run = self.place.run;
        let write = |out: &mut BytesMut, id: u64, event: &ChatEvent| write_message(out, run, id, event);
        let message = |(id, event): (u64, Arc<ChatEvent>)| {
            if event.is_final() {
                return self.app.large_messages.frame(id, &event, write);
            }
            let mut out = BytesMut::new();
            write(&mut out, id, &event);
            out.freeze()
        };
        events.into_iter().map(message).collect()
    }
}

/// An event of a run as a message.
#[derive(Serialize)]
struct EventMessage<'a> {
    run_id: RunId,
    /// Its sequence number.
    id: u64,
    event: &'static str,
    data: &'a ChatEvent,
}

fn write_message(out: &mut BytesMut, run_id: RunId, id: u64, data: &ChatEvent) {
    let message = EventMessage { run_id, id, event: data.name(), data };
    if let Err(error) = serde_json::to_writer(out.writer(), &message) {
        // Invariant: events are plain data, which always serializes.
        tracing::error!(%error, id, event = data.name(), "failed to serialize an event");
    }
}

fn said(body: &impl Serialize) -> Done {
    Done::Said(200, serde_json::to_value(body).unwrap_or_default())
}

fn one(message: Bytes) -> BoxStream<'static, Bytes> {
    stream::iter([message]).boxed()
}

/// What is said to a request; `None` for what is of no request.
fn reply(id: Option<&str>, status: u16, body: &impl Serialize) -> Bytes {
    json!({"reply_to": id, "status": status, "body": body}).to_string().into()
}

fn refusal(id: Option<&str>, failure: &Failure) -> Bytes {
    let problem = failure.as_problem();
    reply(id, failure.status().as_u16(), &problem)
}
