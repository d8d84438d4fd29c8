//! `GET /api/v1/ws` as a `WebSocket`: turns, what is decided of them, and the events of any number
//! of runs over one connection.

mod request;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aimate_core::chat::event::ChatEvent;
use aimate_core::engine::{Edited, NumberedEvents};
use aimate_core::rate_limit::RequestClass;
use aimate_core::{Answer, Error, RunId, Scope};
use axum::extract::State;
use axum::extract::ws::close_code;
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future;
use futures_util::stream::{self, BoxStream, FuturesUnordered, SelectAll, StreamExt as _};
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::app::{App, Seat};
use crate::error::{Failure, Result};
use crate::metrics::OpenStream;
use crate::web_socket::{self, Asker, ClientMessage, End, OpenSocket, Upgrade};
use crate::work;
use request::{Command, SocketRequest, Unread};

/// Requests under way on a connection, and replies that are not sent, before the client waits with
/// the next one.
const MAX_AT_ONCE: usize = 256;
/// How long what is told may go on once a connection is old enough to end.
const CLOSES_WITHIN: Duration = Duration::from_secs(60);
/// The same once the server is about to end.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Opens a `WebSocket` for turns and the events of any number of runs. Each message is a request
/// with an `id` of the client's; one message is its reply, with the status and the body that the
/// request has over HTTP.
#[utoipa::path(get, path = "/api/v1/ws", tag = "runs",
    responses((status = 101, description = "The connection is a WebSocket from here on"),
        (status = 426, description = "It is no WebSocket")))]
pub(crate) async fn connect(State(app): State<App>, upgrade: Upgrade) -> Result<Response> {
    let else_do = "use `POST /api/v1/messages` and `GET /api/v1/runs/{id}/events`";
    upgrade.open(app, else_do, |connection| EventSocket::new(connection).serve())
}

struct EventSocket {
    connection: OpenSocket,
    /// Requests under way. Each goes on by itself: one that has a place in work gives it back
    /// whether or not the client reads, and what is changed is changed though the client is gone.
    requests: FuturesUnordered<JoinHandle<Answered>>,
    /// What is to be sent before any event.
    replies: VecDeque<Bytes>,
    /// The events of the runs that are listened to.
    listeners: SelectAll<BoxStream<'static, Bytes>>,
    listened: Arc<Listened>,
    /// By when it ends at the latest; nothing new is begun once there is such a moment.
    ends_by: Option<Instant>,
    /// Whether the server is about to end.
    is_last_second: bool,
}

/// The reply to a request, and the events that follow it.
type Answered = (Bytes, Option<BoxStream<'static, Bytes>>);

impl EventSocket {
    fn new(connection: OpenSocket) -> Self {
        Self {
            connection,
            requests: FuturesUnordered::new(),
            replies: VecDeque::new(),
            listeners: SelectAll::new(),
            listened: Arc::default(),
            ends_by: None,
            is_last_second: false,
        }
    }

    async fn serve(mut self) {
        let end = loop {
            if self.is_done() {
                break End::Close(close_code::AWAY);
            }
            if let Err(end) = self.step().await {
                break end;
            }
        };
        let Self { mut connection, requests, listeners, .. } = self;
        // Before anything is told: who does not read keeps nothing meanwhile.
        drop((requests, listeners));
        connection.end(end, |failure| refusal(None, failure)).await;
    }

    /// Whether it is to end, and has nothing more to say, or no time left for it.
    fn is_done(&self) -> bool {
        let Some(by) = self.ends_by else { return false };
        let is_idle = self.requests.is_empty() && self.replies.is_empty() && self.listeners.is_empty();
        is_idle || Instant::now() >= by
    }

    fn end_within(&mut self, time: Duration) {
        let by = Instant::now() + time;
        self.ends_by = Some(self.ends_by.map_or(by, |before| before.min(by)));
    }

    /// Does what is next.
    async fn step(&mut self) -> Result<(), End> {
        if let Some(reply) = self.replies.pop_front() {
            return self.send(reply).await;
        }
        let app = self.connection.asker.app.clone();
        let old_at = self.connection.ends;
        let ends_by = self.ends_by;
        let takes = self.requests.len() + self.replies.len() < MAX_AT_ONCE;
        let OpenSocket { look, socket, .. } = &mut self.connection;
        // In no order: a stream that never pauses must not keep a client from cancelling it.
        tokio::select! {
            () = app.sockets.closing(), if !self.is_last_second => {
                self.is_last_second = true;
                self.end_within(ENDS_WITHIN);
            }
            () = sleep_until(old_at), if ends_by.is_none() => {
                let error = Error::invalid("the connection is an hour old, the most; open another one");
                self.replies.push_back(refusal(None, &error.into()));
                self.end_within(CLOSES_WITHIN);
            }
            () = sleep_until(ends_by.unwrap_or(old_at)), if ends_by.is_some() => {}
            _ = look.tick() => {
                if app.engine.is_draining() && ends_by.is_none() {
                    self.end_within(CLOSES_WITHIN);
                }
                self.connection.check().await?;
            }
            Some(done) = self.requests.next(), if !self.requests.is_empty() => {
                take_in(done, &mut self.replies, &mut self.listeners);
            }
            Some(said) = self.listeners.next(), if !self.listeners.is_empty() => self.send(said).await?,
            received = socket.recv(), if takes => {
                if let Some(message) = self.connection.taken(received)? {
                    self.begin(message);
                }
            }
        }
        Ok(())
    }

    /// Sends a message. Meanwhile requests come to their end, and it is looked whether who listens
    /// still may: the client may read slowly, or not at all.
    async fn send(&mut self, said: Bytes) -> Result<(), End> {
        let Self { connection, requests, replies, listeners, ends_by, .. } = self;
        let OpenSocket { look, socket, asker, .. } = connection;
        let last = ends_by.unwrap_or_else(|| Instant::now() + CLOSES_WITHIN);
        let mut sending = pin!(web_socket::send(socket, said));
        loop {
            tokio::select! {
                biased;
                sent = sending.as_mut() => return sent,
                Some(done) = requests.next(), if !requests.is_empty() => take_in(done, replies, listeners),
                _ = look.tick() => asker.check().await?,
                () = sleep_until(last), if ends_by.is_some() => return Err(End::Close(close_code::AWAY)),
            }
        }
    }

    /// Begins what a message asks for.
    #[expect(clippy::disallowed_methods, reason = "it ends with the request, which has a deadline")]
    fn begin(&mut self, message: ClientMessage) {
        let OpenSocket { asker, audit, .. } = &self.connection;
        let request = Request {
            asker: asker.clone(),
            listened: self.listened.clone(),
            takes_turns: self.ends_by.is_none(),
        };
        let answer = audit.clone().of(work::handling(request.answer(message)));
        self.requests.push(tokio::spawn(answer.instrument(tracing::Span::current())));
    }
}

/// Takes what a request came to.
fn take_in(
    done: std::result::Result<Answered, JoinError>,
    replies: &mut VecDeque<Bytes>,
    listeners: &mut SelectAll<BoxStream<'static, Bytes>>,
) {
    // One that was given up, with all others, is answered to nobody.
    let Ok((reply, events)) = done else { return };
    replies.push_back(reply);
    listeners.extend(events);
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
    asker: Asker,
    listened: Arc<Listened>,
    /// Whether the connection is not about to end.
    takes_turns: bool,
}

impl Request {
    async fn answer(mut self, message: ClientMessage) -> Answered {
        let read = match self.asker.app.has_room() {
            Ok(()) => SocketRequest::read(&message),
            Err(failure) => Err(Unread { id: None, failure }),
        };
        let class = read.as_ref().map_or(RequestClass::Read, |read| read.what.class());
        // What cannot be read counts too.
        let known = self.asker.caller(class).await;
        let (id, done) = match (read, known) {
            (Err(Unread { id, .. }), Err(failure)) | (Err(Unread { id, failure }), Ok(_)) => {
                (id, Err(failure))
            }
            (Ok(read), Err(failure)) => (Some(read.id), Err(failure)),
            (Ok(SocketRequest { id, what }), Ok(scope)) => {
                // On the heap: it is as large as all that a turn begins with.
                let handled = AssertUnwindSafe(Box::pin(self.handle(&scope, what))).catch_unwind().await;
                let handled = handled.unwrap_or_else(|_| Err(Failure::unexpected()));
                (Some(id), handled)
            }
        };
        match done {
            Ok(Done::Said(status, body)) => (reply(id.as_deref(), status, &body), None),
            Ok(Done::Listens(run)) => (reply(id.as_deref(), 200, &run.body()), Some(run.events())),
            Err(failure) => (refusal(id.as_deref(), &failure), None),
        }
    }

    async fn handle(&self, scope: &Scope, command: Command) -> Result<Done> {
        let app = &self.asker.app;
        app.begin_work()?;
        if !self.takes_turns && command.begins() {
            return Err(Error::unavailable("the connection is about to end; open another one").into());
        }
        // A message has none.
        let headers = &HeaderMap::new();
        let runs = app.engine.runs(scope);
        match command {
            Command::Create { conversation, body } => {
                let seat = app.seat(scope)?;
                let turn = body.next(conversation, headers)?.turn;
                Ok(self.listen(app.engine.chat(scope, turn).await?, seat))
            }
            Command::Edit { conversation, message, body } => {
                let seat = app.seat(scope)?;
                let turn = body.edit(conversation, message, headers)?.turn;
                match app.engine.edit(scope, turn).await? {
                    Edited::Question(answer) => Ok(self.listen(answer, seat)),
                    Edited::Answer(message) => Ok(said(&*message)),
                }
            }
            Command::Regenerate { conversation, message, body } => {
                let seat = app.seat(scope)?;
                let turn = body.again(conversation, message, headers)?.turn;
                Ok(self.listen(app.engine.chat(scope, turn).await?, seat))
            }
            Command::Events { run, after } => {
                let seat = app.seat(scope)?;
                let answer = runs.attach(run, after).await?;
                if self.listened.has(run) {
                    // Each event would come twice.
                    let why = format!("this connection listens to the run `{run}` already");
                    return Err(Error::conflict(why).into());
                }
                Ok(self.listen(answer, seat))
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

    /// Listens to a run; a connection that listens to it already goes on as before.
    fn listen(&self, answer: Answer, seat: Seat) -> Done {
        let app = &self.asker.app;
        match self.listened.join(answer.run_id()) {
            Some(place) => {
                let held = (app.metrics.open_stream(), seat);
                Done::Listens(Box::new(Listener { app: app.clone(), answer, place, _held: held }))
            }
            None => Done::Said(200, ids_of(&answer)),
        }
    }
}

fn ids_of(answer: &Answer) -> Value {
    json!({
        "run_id": answer.run_id(),
        "conversation_id": answer.conversation_id(),
        "message_id": answer.message_id(),
    })
}

/// The runs that a connection listens to.
#[derive(Default)]
struct Listened(Mutex<HashMap<RunId, CancellationToken>>);

impl Listened {
    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, run: RunId) -> bool {
        self.runs().contains_key(&run)
    }

    /// Another run; `None` if the connection listens to it already.
    fn join(self: &Arc<Self>, run: RunId) -> Option<Place> {
        match self.runs().entry(run) {
            Entry::Occupied(_) => None,
            Entry::Vacant(place) => {
                let left = place.insert(CancellationToken::new()).clone();
                Some(Place { listened: self.clone(), run, left })
            }
        }
    }

    /// One less: what is not sent of it is not sent any more.
    ///
    /// # Errors
    /// `NotFound` if the connection does not listen to it.
    fn leave(&self, run: RunId) -> Result<()> {
        let left = self.runs().remove(&run);
        let why = || Error::not_found(format!("this connection does not listen to the run `{run}`"));
        left.ok_or_else(why)?.cancel();
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
        // Who has left it may listen again, in another place.
        if !self.left.is_cancelled() {
            self.listened.runs().remove(&self.run);
        }
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
    /// What is replied to who asked for it.
    fn body(&self) -> Value {
        ids_of(&self.answer)
    }

    fn events(self: Box<Self>) -> BoxStream<'static, Bytes> {
        let left = self.place.left.clone();
        let batches = stream::unfold(self, |mut listener| async move {
            let events = tokio::select! {
                biased;
                () = listener.place.left.cancelled() => return None,
                events = listener.answer.next_batch() => events?,
            };
            Some((stream::iter(listener.messages(events)), listener))
        });
        batches.flatten().take_while(move |_| future::ready(!left.is_cancelled())).boxed()
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

/// What is said to a request; `None` for what is of no request.
fn reply(id: Option<&str>, status: u16, body: &impl Serialize) -> Bytes {
    json!({"reply_to": id, "status": status, "body": body}).to_string().into()
}

fn refusal(id: Option<&str>, failure: &Failure) -> Bytes {
    failure.log("a request of a WebSocket");
    let problem = failure.as_problem();
    reply(id, failure.status().as_u16(), &problem)
}
