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
const MAX_LOST: Duration = Duration::from_secs(1);

/// What a trial met.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Findings {
    kills: u32,
    pub(crate) acknowledged: u32,
    pub(crate) finished: u32,
    pub(crate) interrupted: u32,
    /// The oldest text that was sent and is not stored, at the kill.
    lost: Duration,
    /// How long it took until nothing was unfinished.
    settled: Duration,
}

impl Findings {
    pub(crate) fn add(&mut self, one: Self) {
        self.kills += one.kills;
        self.acknowledged += one.acknowledged;
        self.finished += one.finished;
        self.interrupted += one.interrupted;
        self.lost = self.lost.max(one.lost);
        self.settled = self.settled.max(one.settled);
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} turns acknowledged, {} finished, {} interrupted; lost 0, twice 0, left running 0; \
             unsaved text at most {:?} old, all settled within {:?} of the restart",
            self.kills, self.acknowledged, self.finished, self.interrupted, self.lost, self.settled
        )
    }
}

/// Compares what the clients were told with what is stored.
pub(crate) async fn check(
    turns: &[Turn],
    server: SocketAddr,
    upstream: &Upstream,
    killed: Instant,
) -> Result<Findings, String> {
    let api = Api { client: http(), base: format!("http://{server}/api/v1") };
    let mut findings = Findings { kills: 1, ..Findings::default() };
    findings.settled = api.settle(turns).await?;
    let conversations: BTreeSet<_> = turns.iter().map(|turn| &turn.conversation).collect();
    for conversation in conversations {
        let stored = api.messages(conversation).await;
        let count = api.count(conversation).await;
        one_answer_each(conversation, &stored, count)?;
        for turn in turns.iter().filter(|turn| turn.conversation == *conversation) {
            let found = check_turn(turn, &stored, &upstream.sent(&turn.question), killed);
            findings.add(found.map_err(|wrong| format!("{wrong}\nturn: {turn:?}\nstored: {stored:#?}"))?);
        }
    }
    Ok(findings)
}

/// Panics unless everything that was acknowledged before any of the kills is there.
pub(crate) async fn still_there(turns: &[Turn], server: SocketAddr) {
    let api = Api { client: http(), base: format!("http://{server}/api/v1") };
    let conversations: BTreeSet<_> = turns.iter().map(|turn| &turn.conversation).collect();
    for conversation in conversations {
        let stored = api.messages(conversation).await;
        let count = api.count(conversation).await;
        one_answer_each(conversation, &stored, count).expect("nothing came twice");
        for turn in turns.iter().filter(|turn| turn.conversation == *conversation) {
            let Some(started) = &turn.started else {
                continue;
            };
            let find = |id: &str| stored.iter().find(|message| message["id"] == *id).map(text);
            assert_eq!(find(&started.user_message).as_ref(), Some(&turn.question));
            let answer = find(&started.answer).expect("the answer is still there");
            assert!(turn.finished.as_ref().is_none_or(|told| *told == answer), "{turn:?}: {answer}");
        }
    }
}

fn check_turn(turn: &Turn, stored: &[Value], sent: &Sent, killed: Instant) -> Result<Findings, String> {
    let mut findings = Findings::default();
    if let Some(wrong) = &turn.wrong {
        return Err(wrong.clone());
    }
    if sent.calls > 1 {
        return Err(format!("the model was asked {} times", sent.calls));
    }
    let mut asked =
        stored.iter().filter(|message| message["role"] == "user" && text(message) == turn.question);
    let question = asked.next();
    if asked.next().is_some() {
        return Err("the question is stored twice".to_owned());
    }
    let Some(question) = question else {
        return match &turn.started {
            Some(_) => Err("an acknowledged question is lost".to_owned()),
            None => Ok(findings),
        };
    };
    // Stored in one commit with the question.
    let answer = stored.iter().find(|message| message["parent_id"] == question["id"]);
    let answer = answer.ok_or("the question is stored without its answer's place")?;
    if let Some(started) = &turn.started {
        findings.acknowledged = 1;
        if question["id"] != *started.user_message || answer["id"] != *started.answer {
            return Err("other ids than those acknowledged".to_owned());
        }
    }
    let (kept, all) = (text(answer), sent.text());
    if !all.starts_with(&kept) {
        return Err("the stored text is no prefix of what the model sent".to_owned());
    }
    if !all.starts_with(&turn.text) {
        return Err("the client was told what the model did not send".to_owned());
    }
    match (answer["status"].as_str(), &turn.finished) {
        (Some("complete"), told) => {
            findings.finished = u32::from(told.is_some());
            if kept != all || !sent.is_whole {
                return Err("an answer is complete that the model did not send to its end".to_owned());
            }
            if told.as_ref().is_some_and(|told| *told != kept) {
                return Err("the client was told another answer than is stored".to_owned());
            }
        }
        (_, Some(_)) => return Err("a finished answer is not complete".to_owned()),
        (Some("interrupted"), None) => {
            findings.interrupted = 1;
            findings.lost = lost(sent, kept.len(), killed, turn);
            if findings.lost > MAX_LOST {
                return Err(format!("text is lost that was {:?} old", findings.lost));
            }
        }
        (status, None) => return Err(format!("an answer is {status:?} after the restart")),
    }
    Ok(findings)
}

/// The age at the kill of the oldest piece behind the first `kept` bytes. A plain
/// call's text came at no time, for it comes as a whole.
fn lost(sent: &Sent, kept: usize, killed: Instant, turn: &Turn) -> Duration {
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
fn one_answer_each(conversation: &str, stored: &[Value], count: usize) -> Result<(), String> {
    for key in ["id", "parent_id"] {
        let values: BTreeSet<_> = stored.iter().map(|message| message[key].to_string()).collect();
        if values.len() != stored.len() {
            return Err(format!("{conversation} has two messages with the same {key}: {stored:#?}"));
        }
    }
    if count != stored.len() {
        return Err(format!("{conversation} has {count} messages and shows {}: {stored:#?}", stored.len()));
    }
    Ok(())
}

struct Api {
    client: reqwest::Client,
    base: String,
}

impl Api {
    /// Waits until no answer of these conversations is being written and no run runs.
    async fn settle(&self, turns: &[Turn]) -> Result<Duration, String> {
        let begun = Instant::now();
        let conversations: BTreeSet<_> = turns.iter().map(|turn| &turn.conversation).collect();
        for conversation in conversations {
            while self.messages(conversation).await.iter().any(|message| message["status"] == "streaming") {
                pause(begun, "an answer is still streaming").await?;
            }
        }
        for run in turns.iter().filter_map(|turn| turn.started.as_ref()?.run.as_ref()) {
            let url = format!("{}/runs/{run}", self.base);
            while !["completed", "interrupted"]
                .contains(&get(&self.client, &url).await["status"].as_str().unwrap_or_default())
            {
                pause(begun, "a run is neither completed nor interrupted").await?;
            }
        }
        Ok(begun.elapsed())
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

async fn pause(begun: Instant, what: &str) -> Result<(), String> {
    if begun.elapsed() > SETTLE {
        return Err(format!("{what} {SETTLE:?} after the restart"));
    }
    sleep(Duration::from_millis(50)).await;
    Ok(())
}
