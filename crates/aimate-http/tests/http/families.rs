//! A chat with a scripted server of each family, end to end: through the engine and
//! over `/v1`, streamed and plain, and what departs from the rows of the families.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aimate_core::connection::NewConnection;
use aimate_core::testing::ScriptedProvider;
use aimate_core::{Engine, KeyRing, Secret};
use aimate_http::Options;
use aimate_providers::Transport;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::Bench;
use crate::family_rows::{Family, all};

/// One answer of a server: status, media type, body.
pub(crate) type Canned = (u16, &'static str, String);

/// A server that answers the n-th chat with the n-th body, and all that follow with
/// the last; it lists no models. It remembers what it was asked.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    #[allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]
    pub(crate) async fn start(answers: Vec<Canned>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Value>>>::default();
        let seen = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, seen) = (answers.clone(), seen.clone());
                tokio::spawn(async move {
                    let (mut buffer, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
                    loop {
                        let Some(end) = buffer.windows(4).position(|four: &[u8]| four == b"\r\n\r\n") else {
                            match stream.read(&mut piece).await {
                                Ok(read @ 1..) => buffer.extend_from_slice(&piece[..read]),
                                _ => return,
                            }
                            continue;
                        };
                        let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                        let length =
                            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                        let whole = end + 4 + length.unwrap_or(0_usize);
                        while buffer.len() < whole {
                            let Ok(read @ 1..) = stream.read(&mut piece).await else { return };
                            buffer.extend_from_slice(&piece[..read]);
                        }
                        let body = serde_json::from_slice(&buffer[end + 4..whole]).unwrap_or_default();
                        buffer.drain(..whole);
                        let (status, media_type, body) =
                            if head.starts_with("post") && !head.contains("/api/show") {
                                let mut seen = seen.lock().unwrap();
                                seen.push(body);
                                answers.get(seen.len() - 1).or(answers.last()).unwrap().clone()
                            } else {
                                (404, "application/json", r#"{"error":{"message":"no list"}}"#.to_owned())
                            };
                        let head = format!(
                            "HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
                            body.len()
                        );
                        if stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

/// An engine with these connections, by name and provider.
pub(crate) async fn bench(connections: &[(&str, &'static str, &Server)]) -> Bench {
    let store = aimate_store::connect("sqlite::memory:").await.unwrap();
    let transport = Transport::new().backoff(Duration::from_millis(1));
    let mut builder = Engine::builder()
        .store(store)
        .providers(aimate_providers::with(&transport))
        .keys(KeyRing::parse(KeyRing::generate().unwrap().expose()).unwrap());
    for (name, provider, server) in connections {
        let connection = NewConnection::new(*name, *provider).url(server.url.clone());
        builder = builder.connection(connection.api_key(Secret::new("sk-canary-0123456789abcdef")));
    }
    let engine = builder.build().await.unwrap();
    let router = aimate_http::router(engine.clone(), Options::local());
    Bench { engine, provider: ScriptedProvider::new([]), router }
}

fn streamed(family: &Family, body: &str) -> Canned {
    (200, family.media_type(), body.to_owned())
}

pub(crate) fn whole(body: &str) -> Canned {
    (200, "application/json", body.to_owned())
}

pub(crate) fn sse(data: &[&str]) -> Canned {
    let events: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    (200, "text/event-stream", events + "data: [DONE]\n\n")
}

/// The text of a stored message.
pub(crate) fn said(message: &Value) -> String {
    let parts = message["content"].as_array().into_iter().flatten().filter(|part| part["type"] == "text");
    parts.filter_map(|part| part["text"].as_str()).collect()
}

fn deltas(body: &str, field: &str) -> String {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: {"));
    let chunks = data.map(|data| serde_json::from_str::<Value>(&format!("{{{data}")).unwrap());
    chunks.filter_map(|chunk| Some(chunk["choices"][0]["delta"][field].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn a_chat_with_each_family_through_the_engine_and_over_v1() {
    for family in all() {
        let name = family.name;
        let server = Server::start(vec![
            streamed(family, family.stream),
            whole(family.plain),
            streamed(family, family.stream),
            whole(family.plain),
        ])
        .await;
        let bench = bench(&[("lab", family.provider, &server)]).await;
        let thought = if family.thinks { "Hm." } else { "" };

        let conversation = bench.conversation().await;
        let turn = |stream| json!({"content": "Hi", "model": "lab/m", "stream": stream});
        let reply = bench.post(&format!("{conversation}/messages"), turn(true)).await;
        let events = reply.events();
        let last = &events.last().unwrap();
        assert_eq!(last.name, "finished", "{name}: {}", reply.body);
        assert_eq!(
            (said(&last.data["message"]).as_str(), &last.data["message"]["status"]),
            ("Hello there", &json!("complete")),
            "{name}"
        );
        assert_eq!(last.data["finish_reason"], "stop", "{name}");
        let told: String = events
            .iter()
            .filter(|event| event.name == "reasoning")
            .filter_map(|event| event.data["text"].as_str())
            .collect();
        assert_eq!(told, thought, "{name}");
        if family.counts {
            assert_eq!(last.data["usage"]["output_tokens"], 5, "{name}");
        }
        let reply = bench.post(&format!("{conversation}/messages"), turn(false)).await;
        assert_eq!(said(&reply.json()), "Hello there", "{name}: {}", reply.body);

        let chat = |stream| json!({"model": "lab/m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream});
        let reply = bench.post("/v1/chat/completions", chat(true)).await;
        assert_eq!(deltas(&reply.body, "content"), "Hello there", "{name}: {}", reply.body);
        assert_eq!(deltas(&reply.body, "reasoning_content"), thought, "{name}");
        assert!(
            reply.body.contains("\"finish_reason\":\"stop\"") && reply.body.ends_with("data: [DONE]\n\n"),
            "{name}"
        );
        let reply = bench.post("/v1/chat/completions", chat(false)).await.json();
        assert_eq!(reply["choices"][0]["message"]["content"], "Hello there", "{name}");
        assert_eq!(reply["choices"][0]["finish_reason"], "stop", "{name}");
        assert_eq!(
            (&reply["usage"]["prompt_tokens"], &reply["usage"]["completion_tokens"]),
            (&json!(12), &json!(5)),
            "{name}"
        );
        if family.plain.contains("citations") {
            assert_eq!(reply["citations"], json!(["https://example.org/1"]), "{name}");
        }
        // The second turn showed the first one's answer, and nothing that is another's.
        let second = server.asked()[1]["messages"].clone();
        let roles: Vec<_> = second.as_array().unwrap().iter().map(|message| &message["role"]).collect();
        assert_eq!(roles, ["user", "assistant", "user"], "{name}: {second}");
    }
}

#[tokio::test]
async fn what_a_provider_wants_back_travels_in_stored_turns_and_over_v1() {
    let tools = json!([{"name": "get_weather", "parameters": {"type": "object"}}]);
    let functions =
        json!([{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]);
    for family in all().into_iter().filter(|family| !family.call.is_empty()) {
        let name = family.name;
        let answers = vec![streamed(family, family.call), streamed(family, family.stream)];
        let server = Server::start(answers.clone()).await;
        let other =
            Server::start(vec![sse(&[r#"{"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}]}"#])])
                .await;
        let bench_of = bench(&[("lab", family.provider, &server), ("other", "openai", &other)]).await;
        let conversation = bench_of.conversation().await;
        let turn = json!({"content": "Weather?", "model": "lab/m", "tools": tools});
        let events = bench_of.post(&format!("{conversation}/messages"), turn).await.events();
        let message = &events.last().unwrap().data["message"];
        let parts = message["content"].as_array().unwrap();
        let id = parts.iter().find(|part| part["type"] == "tool_call").unwrap()["id"].as_str().unwrap();
        let result = json!([{"type": "tool_result", "id": id, "output": "7 °C"}]);
        let turn = json!({"content": result, "tools": tools});
        let reply = bench_of.post(&format!("{conversation}/messages"), turn.clone()).await;
        assert_eq!(reply.events().last().unwrap().name, "finished", "{name}: {}", reply.body);
        let sent = server.asked()[1]["messages"][1].to_string();
        assert!(sent.contains(family.wants_back), "{name}: {sent}");
        // Another connection gets the call, and nothing that was sealed for this one.
        let turn = json!({"content": "And now?", "model": "other/m"});
        bench_of.post(&format!("{conversation}/messages"), turn).await.events();
        let sent = other.asked()[0]["messages"].to_string();
        assert!(sent.contains("get_weather"), "{name}: {sent}");
        for sealed in ["extra_content", "reasoning_content", "reasoning_details", "thinking_blocks"] {
            assert!(!sent.contains(sealed), "{name}: {sent}");
        }

        // Over /v1 the client holds the history, and gives back what it was given.
        let server = Server::start(answers).await;
        let bench = bench(&[("lab", family.provider, &server)]).await;
        let mut chat = json!({"model": "lab/m", "messages": [{"role": "user", "content": "Weather?"}], "tools": functions});
        let mut message =
            bench.post("/v1/chat/completions", chat.clone()).await.json()["choices"][0]["message"].take();
        let id = message["tool_calls"][0]["id"].clone();
        message["content"].take();
        let messages = chat["messages"].as_array_mut().unwrap();
        messages.push(message);
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "7 °C"}));
        let reply = bench.post("/v1/chat/completions", chat).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello there", "{name}: {}", reply.body);
        let sent = server.asked()[1]["messages"][1].to_string();
        assert!(sent.contains(family.wants_back), "{name}: {sent}");
    }
}
