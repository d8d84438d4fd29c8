//! Clients that talk until the server is killed, and write down what they were told.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::random::Random;

const PATIENCE: Duration = Duration::from_secs(30);

/// One person, who keeps conversations over restarts.
pub(crate) struct Client {
    pub(crate) number: u64,
    random: Random,
    conversation: Option<String>,
}

/// One question, and what came back before the server was killed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn {
    pub(crate) conversation: String,
    pub(crate) question: String,
    /// The turn was acknowledged, with these ids.
    pub(crate) started: Option<Started>,
    /// The pieces of the answer so far.
    pub(crate) text: String,
    /// The whole answer, once its end was told.
    pub(crate) finished: Option<String>,
    /// What should not have been said.
    pub(crate) wrong: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) user_message: String,
    pub(crate) answer: String,
    /// Not told by a plain call.
    pub(crate) run: Option<String>,
}

/// A client without TLS's default provider, which a test of `http:` has not.
pub(crate) fn http() -> reqwest::Client {
    let provider = rustls::crypto::ring::default_provider();
    // Fails when another client was made before, and then it is there.
    let _ = provider.install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    client.build().expect("a client")
}

impl Client {
    pub(crate) fn new(number: u64, random: Random) -> Self {
        Self { number, random, conversation: None }
    }

    /// Asks and listens until the server is gone.
    pub(crate) async fn talk(mut self, trial: u64, server: SocketAddr) -> (Self, Vec<Turn>) {
        let (client, base) = (http(), format!("http://{server}/api/v1/conversations"));
        let mut turns = Vec::new();
        for n in 0.. {
            // A conversation in which an answer was interrupted goes on like any other.
            if self.conversation.is_none() || self.random.once_in(3) {
                match post(&client, &base, &json!({})).await {
                    Ok(created) => self.conversation = id(&created["id"]),
                    Err(_) => break,
                }
            }
            let mut turn = Turn {
                conversation: self.conversation.clone().unwrap_or_default(),
                question: format!("{trial}-{}-{n}: when is the boiler serviced?", self.number),
                ..Turn::default()
            };
            let url = format!("{base}/{}/messages", turn.conversation);
            let is_gone = if self.random.once_in(4) {
                turn.ask(&client, &url).await.is_err()
            } else {
                turn.listen(&client, &url).await.is_err()
            };
            let is_wrong = turn.wrong.is_some();
            turns.push(turn);
            if is_gone || is_wrong {
                break;
            }
        }
        (self, turns)
    }
}

impl Turn {
    /// The plain call: its answer acknowledges everything at once.
    async fn ask(&mut self, client: &reqwest::Client, url: &str) -> reqwest::Result<()> {
        let body = json!({"content": self.question, "model": "openai/mock", "stream": false});
        let message = post(client, url, &body).await?;
        let ids = (id(&message["parent_id"]), id(&message["id"]));
        let (Some(user_message), Some(answer)) = ids else {
            self.wrong = Some(format!("a plain call was answered {message}"));
            return Ok(());
        };
        self.started = Some(Started { user_message, answer, run: None });
        self.text = text(&message);
        self.finished = Some(self.text.clone());
        Ok(())
    }

    /// The stream: `started` acknowledges the question, `finished` the answer.
    async fn listen(&mut self, client: &reqwest::Client, url: &str) -> reqwest::Result<()> {
        let body = json!({"content": self.question, "model": "openai/mock", "stream": true});
        let request = client.post(url).header("content-type", "application/json");
        let mut response = request.body(body.to_string()).send().await?;
        if !response.status().is_success() {
            let status = response.status();
            self.wrong = Some(format!("{url} was answered {status}: {}", response.text().await?));
            return Ok(());
        }
        let mut inbox = Vec::new();
        while let Some(bytes) = response.chunk().await? {
            inbox.extend_from_slice(&bytes);
            while let Some(end) = inbox.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = inbox.drain(..=end).collect();
                let line = String::from_utf8(line).expect("lines are UTF-8");
                if let Some(data) = line.strip_prefix("data:") {
                    self.hear(&serde_json::from_str(data).expect("data is JSON"));
                }
            }
        }
        if self.finished.is_none() && self.wrong.is_none() {
            self.wrong = Some("the stream ended in order, but without `finished`".to_owned());
        }
        Ok(())
    }

    fn hear(&mut self, event: &Value) {
        match event["type"].as_str() {
            Some("started") => {
                self.started = Some(Started {
                    user_message: id(&event["user_message_id"]).expect("an id"),
                    answer: id(&event["message_id"]).expect("an id"),
                    run: id(&event["run_id"]),
                });
            }
            Some("text") => self.text.push_str(event["text"].as_str().unwrap_or_default()),
            Some("finished") => self.finished = Some(text(&event["message"])),
            Some("error") => self.wrong = Some(format!("the turn failed: {event}")),
            _ => {}
        }
    }
}

async fn post(client: &reqwest::Client, url: &str, body: &Value) -> reqwest::Result<Value> {
    let request = client.post(url).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await?.text().await?;
    Ok(serde_json::from_str(&answer).unwrap_or(Value::String(answer)))
}

/// Reads JSON; panics if the server does not give it in time.
pub(crate) async fn get(client: &reqwest::Client, url: &str) -> Value {
    let answer = timeout(PATIENCE, client.get(url).send()).await.expect("an answer in time");
    let answer = answer.expect("an answer").text().await.expect("a whole answer");
    serde_json::from_str(&answer).expect("an answer in JSON")
}

/// All text of a message.
pub(crate) fn text(message: &Value) -> String {
    let parts = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter_map(|part| part["text"].as_str()).collect()
}

fn id(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
