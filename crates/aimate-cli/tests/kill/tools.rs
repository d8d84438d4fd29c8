//! `kill -9` while answers call tools, and a restart: no call is made twice, none is
//! forgotten, and every run ends or waits for a person.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{get, http};
use crate::random::Random;
use crate::server::Server;
use crate::upstream::{chunk, question, request, whole};
use crate::{Folder, on_postgres, on_sqlite, random, setting};

const TRIALS: u64 = 10;
const CLIENTS: u64 = 4;
/// When the server is killed, in milliseconds after the start of the clients.
const KILL_AFTER: std::ops::Range<u64> = 20..900;
/// How long runs may stay unfinished after the restart.
const SETTLE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_makes_no_tool_call_twice_on_sqlite() {
    on_sqlite("tools", trials).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_makes_no_tool_call_twice_on_postgres() {
    on_postgres("tools", trials).await;
}

async fn trials(store: &str, database: &str, folder: &Folder) {
    let seed = setting("AIMATE_KILL_SEED").unwrap_or_else(random::seed);
    let trials = setting("AIMATE_KILL_TRIALS").unwrap_or(TRIALS);
    println!("{store}: {trials} kills with tools, AIMATE_KILL_SEED={seed}");
    let mut random = Random::new(seed);
    let model = serve(|stream, body| Box::pin(answer(stream, body))).await;
    let counter = Counter::default();
    let noted = counter.clone();
    let tools = serve(move |stream, body| Box::pin(noted.clone().serve(stream, body))).await;
    let file = folder.0.join("tools.json");
    let url = format!("http://{tools}/mcp");
    let servers = json!({"servers": {"counter": {"url": url, "policy": {"add": "allow", "charge": "ask"}}}});
    std::fs::write(&file, servers.to_string()).expect("a file for the tool servers");
    let settings = [("AIMATE_TOOL_SERVERS", file.to_str().expect("a plain path"))];

    let (mut ended, mut waited, mut interrupted) = (0, 0, 0);
    let mut server = Server::start_with(database, &folder.0, model, &settings).await;
    for trial in 0..trials {
        let runs = Arc::new(Mutex::new(BTreeSet::new()));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(talk(trial, client, server.address, runs.clone()));
        }
        sleep(Duration::from_millis(random.within(KILL_AFTER))).await;
        server.kill();
        while clients.join_next().await.is_some() {}
        server = Server::start_with(database, &folder.0, model, &settings).await;
        let runs = runs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for run in runs {
            match settle(server.address, &run).await {
                Ended::Completed { has_waited } => {
                    ended += 1;
                    waited += u32::from(has_waited);
                }
                Ended::Interrupted => interrupted += 1,
                Ended::Never(seen) => {
                    panic!(
                        "{store}, AIMATE_KILL_SEED={seed}, trial {trial}: run {run}: {seen}\n{}",
                        server.log()
                    )
                }
            }
        }
    }
    let made = counter.made();
    let twice: Vec<_> = made.iter().filter(|(_, times)| **times > 1).collect();
    println!(
        "{store}: {} calls made, {} twice; {ended} runs ended ({waited} of them waited over a kill), {interrupted} \
         interrupted",
        made.len(),
        twice.len()
    );
    assert!(twice.is_empty(), "{store}, AIMATE_KILL_SEED={seed}: {twice:?}");
    assert!(!made.is_empty() && ended > 0, "no tool was called: the test tests nothing");
}

/// How a run was found after the restart.
enum Ended {
    Completed { has_waited: bool },
    Interrupted,
    Never(String),
}

/// Waits until a run is over, and approves what it waits for.
async fn settle(server: SocketAddr, run: &str) -> Ended {
    let (client, base) = (http(), format!("http://{server}/api/v1"));
    let (begun, mut has_waited) = (Instant::now(), false);
    loop {
        let found = get(&client, &format!("{base}/runs/{run}")).await;
        let status = found["status"].as_str().unwrap_or_default().to_owned();
        match status.as_str() {
            "completed" | "interrupted" => {
                let conversation = found["conversation_id"].as_str().unwrap_or_default();
                let messages = get(&client, &format!("{base}/conversations/{conversation}/messages")).await;
                let answer = messages["data"]
                    .as_array()
                    .and_then(|all| all.iter().find(|one| one["id"] == found["message_id"]));
                let parts = answer.and_then(|one| one["content"].as_array().cloned()).unwrap_or_default();
                let of = |kind: &str| parts.iter().filter(|part| part["type"] == kind).count();
                if of("tool_call") != of("tool_result") {
                    return Ended::Never(format!("a call has no result: {parts:?}"));
                }
                return if status == "completed" {
                    Ended::Completed { has_waited }
                } else {
                    Ended::Interrupted
                };
            }
            "waiting" => {
                has_waited = true;
                let conversation = found["conversation_id"].as_str().unwrap_or_default();
                let messages = get(&client, &format!("{base}/conversations/{conversation}/messages")).await;
                for part in messages["data"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .flat_map(|one| one["content"].as_array().cloned().unwrap_or_default())
                {
                    if let (Some("tool_call"), Some(call)) = (part["type"].as_str(), part["id"].as_str()) {
                        approve(&client, &base, run, call).await;
                    }
                }
            }
            _ => {}
        }
        if begun.elapsed() > SETTLE {
            return Ended::Never(format!("it is {status}"));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn approve(client: &reqwest::Client, base: &str, run: &str, call: &str) {
    let url = format!("{base}/runs/{run}/approvals/{call}");
    let body = json!({"approve": true}).to_string();
    // Of a call that does not wait, or a server that is gone, it is refused.
    let _ = client.post(url).header("content-type", "application/json").body(body).send().await;
}

/// Asks, listens, approves, until the server is gone.
async fn talk(trial: u64, client: u64, server: SocketAddr, runs: Arc<Mutex<BTreeSet<String>>>) {
    let (http, base) = (http(), format!("http://{server}/api/v1"));
    for n in 0.. {
        let body = json!({
            "content": format!("{trial}-{client}-{n}: add and charge"), "model": "openai/mock", "tools": ["counter"],
        });
        let sent = http.post(format!("{base}/messages")).header("content-type", "application/json");
        let Ok(mut response) = sent.body(body.to_string()).send().await else { return };
        let (mut inbox, mut run) = (Vec::new(), String::new());
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => inbox.extend_from_slice(&bytes),
                Ok(None) => break,
                Err(_) => return,
            }
            while let Some(end) = inbox.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = inbox.drain(..=end).collect();
                let line = String::from_utf8(line).expect("lines are UTF-8");
                let Some(data) = line.strip_prefix("data:") else { continue };
                let event: Value = serde_json::from_str(data).expect("data is JSON");
                match event["type"].as_str() {
                    Some("started") => {
                        run = event["run_id"].as_str().expect("an id").to_owned();
                        runs.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone());
                    }
                    Some("approval_required") => {
                        approve(&http, &base, &run, event["call"]["id"].as_str().expect("an id")).await;
                    }
                    _ => {}
                }
            }
        }
    }
}

type Served<'s> = std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>> + Send + 's>>;

/// A server whose every POST is answered by `answer`.
async fn serve(
    answer: impl for<'s> Fn(&'s mut BufReader<TcpStream>, Value) -> Served<'s> + Clone + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Ok(Some((line, body))) = request(&mut stream).await {
                    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let done = if line.starts_with("GET /v1/models ") {
                        let list = json!({"object": "list", "data": [{"id": "mock", "object": "model"}]});
                        whole(&mut stream, &list).await
                    } else if line.starts_with("POST ") {
                        answer(&mut stream, body).await
                    } else {
                        stream
                            .write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n")
                            .await
                    };
                    if done.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The model: it adds and charges, then says so.
async fn answer(stream: &mut BufReader<TcpStream>, asked: Value) -> std::io::Result<()> {
    let messages = asked["messages"].as_array().cloned().unwrap_or_default();
    let returned = messages.iter().rev().take_while(|message| message["role"] == "tool").count();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let reason = if returned == 0 {
        let names: Vec<_> = asked["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tool| tool["function"]["name"].as_str())
            .collect();
        for (n, name) in names.iter().filter(|name| name.starts_with("counter")).enumerate() {
            let arguments = json!({"note": question(&asked)}).to_string();
            let call = json!({"index": n, "id": format!("call_{n}"), "type": "function",
                "function": {"name": name, "arguments": arguments}});
            chunk(stream, &json!({"tool_calls": [call]}), &Value::Null).await?;
        }
        "tool_calls"
    } else {
        sleep(Duration::from_millis(20)).await;
        chunk(stream, &json!({"role": "assistant", "content": "Added and charged."}), &Value::Null).await?;
        "stop"
    };
    chunk(stream, &json!({}), &json!(reason)).await?;
    stream.write_all(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").await
}

/// A tool server that notes how often each call was made, by its idempotency key.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<HashMap<String, u32>>>);

impl Counter {
    fn made(&self) -> HashMap<String, u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn serve(self, stream: &mut BufReader<TcpStream>, asked: Value) -> std::io::Result<()> {
        let schema = json!({"type": "object", "properties": {"note": {"type": "string"}}});
        let tool = |name: &str| json!({"name": name, "description": "Counts.", "inputSchema": schema});
        let result = match asked["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "counter", "version": "1"},
            }),
            "tools/list" => json!({"tools": [tool("add"), tool("charge")]}),
            "tools/call" => {
                let key =
                    asked["params"]["_meta"]["aimate/idempotency-key"].as_str().unwrap_or("none").to_owned();
                let wait = Random::new(key.bytes().map(u64::from).sum()).within(0..150);
                *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
                sleep(Duration::from_millis(wait)).await;
                json!({"content": [{"type": "text", "text": "done"}]})
            }
            _ if asked.get("id").is_none() => {
                return stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await;
            }
            _ => {
                let error = json!({"code": -32601, "message": "Method not found"});
                return whole(stream, &json!({"jsonrpc": "2.0", "id": asked["id"], "error": error})).await;
            }
        };
        whole(stream, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).await
    }
}
