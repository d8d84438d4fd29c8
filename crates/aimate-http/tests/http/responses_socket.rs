//! `/v1/responses` as a `WebSocket`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aimate_core::EngineBuilder;
use aimate_core::message::{ToolCall, text_of};
use aimate_core::provider::ProviderEvent;
use aimate_core::testing::{ScriptedProvider, Step, answer};
use aimate_http::{Options, serve};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::common::{Bench, end, say};
use crate::responses::{ask, output_text, with};

pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) provider: Arc<ScriptedProvider>,
    /// The same engine over HTTP.
    pub(crate) bench: Bench,
}

pub(crate) async fn server(scripts: impl IntoIterator<Item = Vec<Step>>) -> Server {
    server_with(scripts, Options::local()).await
}

pub(crate) async fn server_with(scripts: impl IntoIterator<Item = Vec<Step>>, options: Options) -> Server {
    serving(scripts, options, |builder| builder).await
}

/// A server whose engine has more than others.
pub(crate) async fn server_of(
    scripts: impl IntoIterator<Item = Vec<Step>>,
    with: impl FnOnce(EngineBuilder) -> EngineBuilder,
) -> Server {
    serving(scripts, Options::local(), with).await
}

async fn serving(
    scripts: impl IntoIterator<Item = Vec<Step>>,
    options: Options,
    with: impl FnOnce(EngineBuilder) -> EngineBuilder,
) -> Server {
    let provider = ScriptedProvider::new(scripts);
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let engine = with(crate::common::builder(store, provider.clone())).build().await.unwrap();
    let router = aimate_http::router(engine.clone(), options.clone());
    let bench = Bench { engine: engine.clone(), provider: provider.clone(), router };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = serve(listener, engine, options, std::future::pending());
    #[expect(clippy::disallowed_methods, reason = "the test is the process here")]
    tokio::spawn(serving);
    Server { address, provider, bench }
}

pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Server {
    pub(crate) async fn connect(&self) -> Socket {
        self.connect_to("/v1/responses").await
    }

    pub(crate) async fn connect_to(&self, path: &str) -> Socket {
        Socket(connect_async(format!("ws://{}{path}", self.address)).await.unwrap().0)
    }

    fn url(&self) -> String {
        format!("ws://{}/v1/responses", self.address)
    }

    fn told(&self) -> Vec<String> {
        let requests = self.provider.requests();
        requests.last().unwrap().messages.iter().map(|message| text_of(&message.content)).collect()
    }
}

fn create(body: Value) -> Value {
    with(body, json!({"type": "response.create"}))
}

impl Socket {
    pub(crate) async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(crate) async fn event(&mut self) -> Value {
        loop {
            let message = timeout(Duration::from_secs(10), self.0.next()).await.unwrap().unwrap().unwrap();
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The events of one response: to its end, or an error.
    async fn events(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.event().await);
            let kind = events.last().unwrap()["type"].as_str().unwrap();
            if matches!(kind, "error" | "response.completed" | "response.failed" | "response.incomplete") {
                return events;
            }
        }
    }

    /// The response that a message makes.
    pub(crate) async fn respond(&mut self, body: Value) -> Value {
        self.send(create(body)).await;
        self.events().await.pop().unwrap()["response"].take()
    }

    /// The error of a message.
    async fn refused(&mut self, message: Value) -> Value {
        self.send(message).await;
        let event = self.event().await;
        assert_eq!(event["type"], "error", "{event}");
        event
    }
}

#[tokio::test]
async fn events_are_those_of_a_stream() {
    let server = server([answer("one two")]).await;
    let mut socket = server.connect().await;
    socket.send(create(ask("a"))).await;
    let events = socket.events().await;
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], n);
    }
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(output_text(&events.last().unwrap()["response"]), "one two");
}

#[tokio::test]
async fn stored_response_is_followed_on_any_connection() {
    let server = server([answer("one"), answer("two")]).await;
    let first = server.connect().await.respond(ask("a")).await;
    let follow = with(ask("b"), json!({"previous_response_id": first["id"]}));
    let second = server.connect().await.respond(follow).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_eq!(server.told(), ["a", "one", "b"]);
}

#[tokio::test]
async fn unstored_response_is_followed_on_its_connection_alone() {
    let server = server([answer("one"), answer("two"), answer("three")]).await;
    let mut socket = server.connect().await;
    let unstored = |text: &str| with(ask(text), json!({"store": false}));
    let first = socket.respond(unstored("a")).await;
    let follow = |of: &Value, text: &str| with(unstored(text), json!({"previous_response_id": of["id"]}));
    let second = socket.respond(follow(&first, "b")).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    assert_eq!(server.told(), ["a", "one", "b"]);
    let mut other = server.connect().await;
    let error = other.refused(create(follow(&second, "c"))).await;
    assert_eq!(
        (&error["status"], &error["error"]["code"]),
        (&json!(400), &json!("previous_response_not_found"))
    );
    assert_eq!(error["error"]["param"], "previous_response_id");
    assert_eq!(output_text(&other.respond(unstored("d")).await), "three", "the connection goes on");
}

#[tokio::test]
async fn continuation_that_fails_is_forgotten() {
    let call = Step::Say(ProviderEvent::ToolCall(ToolCall::new("c1", "time", json!({}))));
    let server = server([vec![call, end()], answer("Noon.")]).await;
    let mut socket = server.connect().await;
    let tools = json!({"store": false, "tools": [{"type": "function", "name": "time"}]});
    let first = socket.respond(with(ask("When?"), tools)).await;
    let output = |id: &str| {
        let items = json!([{"type": "function_call_output", "call_id": id, "output": "12:00"}]);
        create(with(ask(items), json!({"store": false, "previous_response_id": first["id"]})))
    };
    let error = socket.refused(output("c9")).await;
    assert_eq!(error["status"], 400);
    let error = socket.refused(output("c1")).await;
    assert_eq!(error["error"]["code"], "previous_response_not_found");
}

#[tokio::test]
async fn function_is_answered_out_of_memory() {
    let call = Step::Say(ProviderEvent::ToolCall(ToolCall::new("c1", "time", json!({}))));
    let server = server([vec![call, end()], answer("Noon.")]).await;
    let mut socket = server.connect().await;
    let tools = json!({"store": false, "tools": [{"type": "function", "name": "time"}]});
    let first = socket.respond(with(ask("When?"), tools)).await;
    let items = json!([{"type": "function_call_output", "call_id": "c1", "output": "12:00"}]);
    let follow = json!({"store": false, "previous_response_id": first["id"]});
    assert_eq!(output_text(&socket.respond(with(ask(items), follow)).await), "Noon.");
}

#[tokio::test]
async fn nonsense_is_answered_and_the_connection_goes_on() {
    let server = server([answer("one")]).await;
    let mut socket = server.connect().await;
    for (message, status) in [
        (json!([1]), 400),
        (json!({"type": "response.cancel"}), 400),
        (json!({"type": "response.create"}), 400),
        (create(with(ask("a"), json!({"background": true}))), 400),
        (create(with(ask("a"), json!({"model": "nobody/x"}))), 404),
    ] {
        assert_eq!(socket.refused(message).await["status"], status);
    }
    socket.0.send(Message::text("no json")).await.unwrap();
    assert_eq!(socket.event().await["status"], 400);
    socket.0.send(Message::binary(vec![1, 2])).await.unwrap();
    assert_eq!(socket.event().await["type"], "error");
    assert_eq!(output_text(&socket.respond(ask("a")).await), "one");
}

#[tokio::test]
async fn messages_wait_for_each_other() {
    let slow = |text: &str| vec![Step::Wait(Duration::from_millis(20)), say(text), end()];
    let server = server((0..100).map(|n| slow(&n.to_string()))).await;
    let mut socket = server.connect().await;
    for _ in 0..100 {
        socket.send(create(with(ask("a"), json!({"store": false})))).await;
    }
    for n in 0..100 {
        let events = socket.events().await;
        assert_eq!(events[0]["sequence_number"], 0);
        assert_eq!(output_text(&events.last().unwrap()["response"]), n.to_string());
    }
}

#[tokio::test]
async fn frame_that_is_too_large_ends_the_connection() {
    let server = server([]).await;
    let mut socket = server.connect().await;
    let large = "x".repeat(50 * 1024 * 1024);
    // The server stops reading: either the client sees that, or the end.
    let sent = socket.0.send(Message::text(large)).await;
    let next = timeout(Duration::from_secs(10), socket.0.next()).await.unwrap();
    assert!(sent.is_err() || !matches!(next, Some(Ok(Message::Text(_)))), "{next:?}");
    assert_eq!(server.provider.requests().len(), 0);
}

#[tokio::test]
async fn message_that_is_too_large_is_told_so() {
    let server = server_with([], Options::local().body_limit(10_000)).await;
    let mut socket = server.connect().await;
    let error = socket.refused(create(ask("x".repeat(20_000)))).await;
    assert_eq!(error["status"], 413);
    let next = timeout(Duration::from_secs(10), socket.0.next()).await.unwrap();
    let Some(Ok(Message::Close(Some(close)))) = next else { panic!("{next:?}") };
    assert_eq!(u16::from(close.code), 1009);
}

/// A question in a message of so many bytes, of which the model sees few.
fn padded(bytes: usize) -> Value {
    with(ask("a"), json!({"padding": "x".repeat(bytes)}))
}

#[tokio::test]
async fn messages_take_their_room_among_the_bodies() {
    let options = Options::local().bodies_limit(256 * 1024);
    let server = server_with([answer("one"), answer("two")], options).await;
    let mut socket = server.connect().await;
    assert_eq!(output_text(&socket.respond(padded(150_000)).await), "one");
    // It was given back.
    assert_eq!(output_text(&socket.respond(padded(150_000)).await), "two");
    let error = socket.refused(create(padded(600_000))).await;
    assert_eq!(error["status"], 503);
    let next = timeout(Duration::from_secs(10), socket.0.next()).await.unwrap();
    assert!(matches!(next, Some(Ok(Message::Close(Some(_))))), "{next:?}");
    assert_eq!(server.provider.requests().len(), 2);
}

#[tokio::test]
async fn what_takes_too_much_room_is_not_remembered() {
    let options = Options::local().bodies_limit(256 * 1024);
    let server = server_with([answer("one"), answer("two")], options).await;
    let mut socket = server.connect().await;
    let unstored = with(padded(200_000), json!({"store": false}));
    let first = socket.respond(unstored.clone()).await;
    let follow = with(unstored, json!({"previous_response_id": first["id"]}));
    // What is remembered and what comes are more than there is room for together.
    let error = socket.refused(create(follow)).await;
    assert_eq!(error["status"], 503);
}

#[tokio::test]
async fn socket_keeps_its_place_among_the_connections() {
    let server = server_with([answer("one")], Options::local().max_connections(1)).await;
    let mut socket = server.connect().await;
    assert_eq!(output_text(&socket.respond(ask("a")).await), "one");
    let Err(Error::Http(response)) = connect_async(server.url()).await else { panic!("it was let in") };
    assert_eq!(response.status(), 503);
    drop(socket);
    crate::common::until(async || connect_async(server.url()).await.is_ok()).await;
}

#[cfg(feature = "accounts")]
#[tokio::test]
async fn sign_in_lasts_as_long_as_its_session() {
    use aimate_accounts::{AccountSettings, Accounts, RegistrationRule, SigningSecret};
    use std::sync::atomic::Ordering;

    let clock = Arc::new(crate::file::FastClock::default());
    let provider = ScriptedProvider::new([answer("one"), answer("two")]);
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let ids = Arc::new(aimate_core::RandomIds);
    let sources = aimate_core::ClockAndIds { clock: clock.clone(), ids };
    let engine =
        crate::common::builder(store.clone(), provider.clone()).sources(sources).build().await.unwrap();
    let settings =
        AccountSettings::new(SigningSecret::generate().unwrap()).registration(RegistrationRule::Open);
    let accounts = Accounts::new(engine.clone(), store, settings);
    let options = Options::default().callers(aimate_http::Callers::Accounts(accounts));
    let router = aimate_http::router(engine.clone(), options.clone());
    let bench = crate::common::Bench { engine: engine.clone(), provider: provider.clone(), router };
    let ada = crate::account::register(&bench, "ada@example.org").await;
    let access = ada["access_token"].as_str().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test is the process here")]
    tokio::spawn(serve(listener, engine, options, std::future::pending()));
    let mut request = format!("ws://{address}/v1/responses").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {access}").parse().unwrap());
    let mut socket = Socket(connect_async(request).await.unwrap().0);
    assert_eq!(output_text(&socket.respond(ask("a")).await), "one");
    clock.0.store(3_600, Ordering::SeqCst);
    let list = crate::account::by(&access, http::Method::GET, "/v1/models", None);
    assert_eq!(bench.ask(list).await.status, 401, "the access token is over");
    assert_eq!(output_text(&socket.respond(ask("b")).await), "two");
}

#[tokio::test]
async fn page_of_another_origin_may_not_connect() {
    let server = server([]).await;
    let mut request = format!("ws://{}/v1/responses", server.address).into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://evil.example.org".parse().unwrap());
    let Err(Error::Http(response)) = connect_async(request).await else { panic!("it was let in") };
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn plain_get_is_told_what_to_do() {
    let bench = crate::common::bench([]).await;
    bench.get("/v1/responses").await.openai_error(426, "invalid");
}
