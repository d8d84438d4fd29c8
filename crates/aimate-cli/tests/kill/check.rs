//! What must hold after a restart.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::client::{Turn, get, http, text};
use crate::upstream::{Sent, Upstream};

/// How long abandoned answers may stay unfinished after the start.
const SETTLE: Duration = Duration::from_secs(10);
/// How old the oldest text may be that a kill loses. It is saved every 250 ms;
/// the rest is for a busy machine.
const MAX_UNSAVED: Duration = Duration::from_secs(1);

/// What trials met, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    kills: u32,
    pub(crate) acknowledged: u32,
    pub(crate) finished: u32,
    pub(crate) interrupted: u32,
    /// The oldest text that was sent and is not stored, at the kill.
    unsaved: Duration,
    /// How long it took until nothing was unfinished.
    settled: Duration,
    /// What must not happen, by kind, with what was seen.
    violations: Vec<Violation>,
}

/// A broken promise.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    kind: Broken,
    seen: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// What was acknowledged is not stored as it was acknowledged.
    Lost,
    /// Something is stored, or was asked of the model, more than once.
    Twice,
    /// An answer or a run is neither finished nor interrupted.
    Running,
    /// The client or the store has what nobody sent.
    Wrong,
}

impl Broken {
    fn by(self, seen: impl Into<String>) -> Violation {
        Violation { kind: self, seen: seen.into() }
    }
}

impl Findings {
    pub(crate) fn add(&mut self, one: Self) {
        self.kills += one.kills;
        self.acknowledged += one.acknowledged;
        self.finished += one.finished;
        self.interrupted += one.interrupted;
        self.unsaved = self.unsaved.max(one.unsaved);
        self.settled = self.settled.max(one.settled);
        self.violations.extend(one.violations);
    }

    /// What was seen of broken promises, one on each line.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.iter().map(|one| format!("{:?}: {}", one.kind, one.seen)).collect()
    }

    fn count(&self, kind: Broken) -> usize {
        self.violations.iter().filter(|one| one.kind == kind).count()
    }

    fn note(&mut self, result: Result<(), Violation>) {
        self.violations.extend(result.err());
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lost, twice, running, wrong] =
            [Broken::Lost, Broken::Twice, Broken::Running, Broken::Wrong].map(|kind| self.count(kind));
        write!(
            f,
            "{} kills, {} turns acknowledged, {} finished, {} interrupted; lost {lost}, twice {twice}, \
             left running {running}, wrong {wrong}; unsaved text at most {:?} old, all settled within {:?} \
             of the restart",
            self.kills, self.acknowledged, self.finished, self.interrupted, self.unsaved, self.settled
        )
    }
}

/// Compares what the clients were told with what is stored.
pub(crate) async fn check(
    turns: &[Turn],
    server: SocketAddr,
    upstream: &Upstream,
    killed: Instant,
) -> Findings {
    let api = Api { client: http(), base: format!("http://{server}/api/v1") };
    let mut findings = Findings { kills: 1, ..Findings::default() };
    let begun = Instant::now();
    findings.violations.extend(api.settle(turns, begun).await);
    findings.settled = begun.elapsed();
    let conversations: BTreeSet<_> = turns.iter().map(|turn| &turn.conversation).collect();
    for conversation in conversations {
        let stored = api.messages(conversation).await;
        let count = api.count(conversation).await;
        findings.note(one_answer_each(conversation, &stored, count));
        for turn in turns.iter().filter(|turn| turn.conversation == *conversation) {
            match check_turn(turn, &stored, &upstream.sent(&turn.question), killed) {
                Ok(found) => findings.add(found),
                Err(violation) => {
                    let seen = format!("{}\nturn: {turn:?}\nstored: {stored:#?}", violation.seen);
                    findings.violations.push(Violation { seen, ..violation });
                }
            }
        }
    }
    findings
}

/// Looks whether everything that was acknowledged before any of the kills is there.
pub(crate) async fn still_there(turns: &[Turn], server: SocketAddr) -> Findings {
    let api = Api { client: http(), base: format!("http://{server}/api/v1") };
    let mut findings = Findings::default();
    let conversations: BTreeSet<_> = turns.iter().map(|turn| &turn.conversation).collect();
    for conversation in conversations {
        let stored = api.messages(conversation).await;
        let count = api.count(conversation).await;
        findings.note(one_answer_each(conversation, &stored, count));
        for turn in turns.iter().filter(|turn| turn.conversation == *conversation) {
            findings.note(turn_is_there(turn, &stored));
        }
    }
    findings
}

fn turn_is_there(turn: &Turn, stored: &[Value]) -> Result<(), Violation> {
    let Some(started) = &turn.started else { return Ok(()) };
    let find = |id: &str| stored.iter().find(|message| message["id"] == *id).map(text);
    if find(&started.user_message).as_ref() != Some(&turn.question) {
        return Err(Broken::Lost.by(format!("a question is gone after later kills: {turn:?}")));
    }
    let answer = find(&started.answer);
    let is_told = |answer: &String| turn.finished.as_ref().is_none_or(|told| told == answer);
    if answer.as_ref().is_none_or(|answer| !is_told(answer)) {
        return Err(Broken::Lost.by(format!("an answer is gone after later kills: {turn:?}, {answer:?}")));
    }
    Ok(())
}

fn check_turn(turn: &Turn, stored: &[Value], sent: &Sent, killed: Instant) -> Result<Findings, Violation> {
    let mut findings = Findings::default();
    if let Some(wrong) = &turn.wrong {
        return Err(Broken::Wrong.by(wrong));
    }
    if sent.calls > 1 {
        return Err(Broken::Twice.by(format!("the model was asked {} times", sent.calls)));
    }
    let mut asked =
        stored.iter().filter(|message| message["role"] == "user" && text(message) == turn.question);
    let question = asked.next();
    if asked.next().is_some() {
        return Err(Broken::Twice.by("the question is stored twice"));
    }
    let Some(question) = question else {
        return match &turn.started {
            Some(_) => Err(Broken::Lost.by("an acknowledged question is lost")),
            None => Ok(findings),
        };
    };
    // Stored in one commit with the question.
    let answer = stored.iter().find(|message| message["parent_id"] == question["id"]);
    let answer =
        answer.ok_or_else(|| Broken::Lost.by("the question is stored without its answer's place"))?;
    if let Some(started) = &turn.started {
        findings.acknowledged = 1;
        if question["id"] != *started.user_message || answer["id"] != *started.answer {
            return Err(Broken::Lost.by("other ids than those acknowledged"));
        }
    }
    let (kept, all) = (text(answer), sent.text());
    if !all.starts_with(&kept) {
        return Err(Broken::Wrong.by("the stored text is no prefix of what the model sent"));
    }
    if !all.starts_with(&turn.text) {
        return Err(Broken::Wrong.by("the client was told what the model did not send"));
    }
    match (answer["status"].as_str(), &turn.finished) {
        (Some("complete"), told) => {
            findings.finished = u32::from(told.is_some());
            if kept != all || !sent.is_whole {
                return Err(Broken::Wrong.by("an answer is complete that the model did not send to its end"));
            }
            if told.as_ref().is_some_and(|told| *told != kept) {
                return Err(Broken::Lost.by("the client was told another answer than is stored"));
            }
        }
        (_, Some(_)) => return Err(Broken::Lost.by("a finished answer is not complete")),
        (Some("interrupted"), None) => {
            findings.interrupted = 1;
            findings.unsaved = unsaved(sent, kept.len(), killed, turn);
            if findings.unsaved > MAX_UNSAVED {
                return Err(Broken::Lost.by(format!("text is lost that was {:?} old", findings.unsaved)));
            }
        }
        (status, None) => {
            return Err(Broken::Running.by(format!("an answer is {status:?} after the restart")));
        }
    }
    Ok(findings)
}

/// The age at the kill of the oldest piece behind the first `kept` bytes. A plain
/// call's text came at no time, for it comes as a whole.
fn unsaved(sent: &Sent, kept: usize, killed: Instant, turn: &Turn) -> Duration {
    if turn.text.is_empty() {
        return Duration::ZERO;
    }
    let mut end = 0;
    let first = sent.pieces.iter().find(|(_, piece)| {
        end += piece.len();
        end > kept
    });
    first.map_or(Duration::ZERO, |(at, _)| killed.saturating_duration_since(*at))
}

/// No message is there twice, no question has two answers, and none has been put
/// beside the branch that is shown: the clients make no branches.
fn one_answer_each(conversation: &str, stored: &[Value], count: usize) -> Result<(), Violation> {
    for key in ["id", "parent_id"] {
        let values: BTreeSet<_> = stored.iter().map(|message| message[key].to_string()).collect();
        if values.len() != stored.len() {
            let seen = format!("{conversation} has two messages with the same {key}: {stored:#?}");
            return Err(Broken::Twice.by(seen));
        }
    }
    if count != stored.len() {
        let seen = format!("{conversation} has {count} messages and shows {}: {stored:#?}", stored.len());
        return Err(Broken::Twice.by(seen));
    }
    Ok(())
}

struct Api {
    client: reqwest::Client,
    base: String,
}

impl Api {
    /// Waits until no answer of these conversations is being written and no run
    /// runs; what still is when the time since `begun` is over.
    async fn settle(&self, turns: &[Turn], begun: Instant) -> Vec<Violation> {
        let mut unfinished = Vec::new();
        let conversations: BTreeSet<_> = turns.iter().map(|turn| &turn.conversation).collect();
        for conversation in conversations {
            let is_streaming = async || {
                self.messages(conversation).await.iter().any(|message| message["status"] == "streaming")
            };
            if still(begun, is_streaming).await {
                unfinished.push(Broken::Running.by(format!("an answer of {conversation} is streaming")));
            }
        }
        for run in turns.iter().filter_map(|turn| turn.started.as_ref()?.run.as_ref()) {
            let url = format!("{}/runs/{run}", self.base);
            let is_running = async || {
                let run = get(&self.client, &url).await;
                !["completed", "interrupted"].contains(&run["status"].as_str().unwrap_or_default())
            };
            if still(begun, is_running).await {
                unfinished.push(Broken::Running.by(format!("run {run} is unfinished")));
            }
        }
        unfinished
    }

    /// How many messages a conversation has, in all branches.
    async fn count(&self, conversation: &str) -> usize {
        let found = get(&self.client, &format!("{}/conversations/{conversation}", self.base)).await;
        found["message_count"].as_u64().and_then(|count| count.try_into().ok()).expect("a count")
    }

    /// All messages of the branch that is shown.
    async fn messages(&self, conversation: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        let first = format!("{}/conversations/{conversation}/messages?limit=200", self.base);
        let mut url = first.clone();
        loop {
            let page = get(&self.client, &url).await;
            messages.extend(page["data"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(cursor) => url = format!("{first}&cursor={cursor}"),
                None => return messages,
            }
        }
    }
}

/// Whether something still is so when the time since `begun` is over.
async fn still(begun: Instant, is_so: impl AsyncFn() -> bool) -> bool {
    while is_so().await {
        if begun.elapsed() > SETTLE {
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}
