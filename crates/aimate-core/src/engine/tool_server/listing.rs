//! ToolReading the tools of servers.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::super::Engine;
use crate::caught::caught;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::id::ToolServerId;
use crate::scope::Scope;
use crate::tool::{
    ObservedTools, ServerInfo, ServerListing, Tool, ToolAuthType, ToolEndpoint, ToolObservation, ToolPin,
    ToolServer, ToolServerClient, ToolServerStatus,
};

/// How long a caller waits for a list that was never read.
const WAIT: Duration = Duration::from_secs(5);
/// How long reading a list may take.
const LIST_PATIENCE: Duration = Duration::from_secs(60);
/// How soon the same server is asked again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long a list is good of which its server does not say it, and the bounds of what it says.
const GOOD: Duration = Duration::from_secs(300);
const GOOD_AT_LEAST: Duration = Duration::from_secs(30);
const GOOD_AT_MOST: Duration = Duration::from_secs(24 * 3_600);
/// Tools of a server at most, the bytes of one and of all of them.
const MAX_TOOLS: usize = 1_000;
const MAX_TOOL_BYTES: usize = 64 * 1024;
const MAX_LIST_BYTES: usize = 1024 * 1024;
/// Characters of a tool's name at most.
const MAX_NAME: usize = 200;
/// Sentences on what was left out at most.
const MAX_PROBLEMS: usize = 50;
/// Servers of which is known when they were asked last.
const MAX_READINGS: usize = 50_000;

/// When each server's list was last asked for, well or not.
#[derive(Default)]
pub(super) struct ToolReadings(Mutex<HashMap<ToolServerId, ToolReading>>);

/// A list on its way, or read.
#[derive(Clone)]
struct ToolReading {
    begun_at: Timestamp,
    /// Whether it is the first one of this process, or since the server's settings changed.
    is_first: bool,
    /// Closed when it is over.
    ended: watch::Receiver<()>,
}

impl ToolReadings {
    fn all(&self) -> MutexGuard<'_, HashMap<ToolServerId, ToolReading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Reads the list of a server that was never read, and waits a little for the first try;
    /// one that is no longer good it reads in the background. Gives the server as it is then.
    pub(super) async fn with_tools(&self, scope: &Scope, server: &ToolServer) -> Result<ToolServer> {
        let now = self.inner.sources.now();
        if server.tools_expire_at.is_some_and(|at| now < at) {
            return Ok(server.clone());
        }
        let mut reading = self.read_tools_soon(scope, server);
        if server.tools_fetched_at.is_some() {
            return Ok(server.clone());
        }
        if reading.is_first {
            let _ = timeout(WAIT, reading.ended.changed()).await;
        }
        self.inner.stores.tool_servers.get(scope, server.id).await
    }

    /// Reads a server's list in the background, unless it was asked a moment ago: then it gives
    /// that reading.
    fn read_tools_soon(&self, scope: &Scope, server: &ToolServer) -> ToolReading {
        let now = self.inner.sources.now();
        let mut readings = self.inner.tool_catalogs.readings.all();
        // Settings that changed since may be what it needed.
        let last = readings.get(&server.id).filter(|last| server.updated_at <= last.begun_at);
        if let Some(last) = last
            && now.since(last.begun_at) < AGAIN
        {
            return last.clone();
        }
        let is_first = last.is_none();
        if readings.len() >= MAX_READINGS {
            readings.clear();
        }
        let (end, ended) = watch::channel(());
        let reading = ToolReading { begun_at: now, is_first, ended };
        readings.insert(server.id, reading.clone());
        let (engine, scope, server) = (self.for_task(), *scope, server.clone());
        self.inner.tasks.spawn(async move {
            let _end = end;
            tokio::select! {
                () = engine.inner.stop.cancelled() => {}
                // A failure is kept in the server's status.
                _ = engine.read_tools(&scope, &server) => {}
            }
        });
        reading
    }

    /// Reads a server's list now and stores it. A failure leaves the last good list and marks
    /// it as stale.
    pub(super) async fn read_tools(&self, scope: &Scope, server: &ToolServer) -> Result<()> {
        let now = self.inner.sources.now();
        let (outcome, failure) = match self.asked_for_tools(scope, server).await {
            Ok(listing) => (Ok(observed(listing, now)), None),
            // Whether this user is signed in says nothing of the server, which others use too.
            Err(error) if is_login_missing(server, &error) => return Err(error),
            Err(error) => (Err((status(&error), error.message().to_owned())), Some(error)),
        };
        let seen = ToolObservation { outcome, now };
        let noted = match self.inner.stores.tool_servers.observe(scope, server, &seen).await {
            // Somebody changed or deleted it meanwhile: what they did counts.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
            outcome => outcome,
        };
        self.inner.tool_catalogs.forget(scope.tenant);
        noted?;
        failure.map_or(Ok(()), Err)
    }

    async fn asked_for_tools(&self, scope: &Scope, server: &ToolServer) -> Result<ServerListing> {
        let endpoint = self.tool_endpoint(scope, server).await?;
        listed(self.tool_client()?.as_ref(), &endpoint).await
    }
}

/// What a server lists now, in [`LIST_PATIENCE`].
pub(super) async fn listed(client: &dyn ToolServerClient, endpoint: &ToolEndpoint) -> Result<ServerListing> {
    let name = &endpoint.name;
    match timeout(LIST_PATIENCE, caught(async { client.list(endpoint).await })).await {
        Ok(Ok(listing)) => listing,
        Ok(Err(panic)) => {
            let broke = format!("tool server `{name}`: the client broke while it read the tools");
            Err(Error::internal(broke).with_source(panic))
        }
        Err(_) => {
            let seconds = LIST_PATIENCE.as_secs();
            Err(Error::timeout(format!("tool server `{name}` listed no tools in {seconds} s")))
        }
    }
}

fn is_login_missing(server: &ToolServer, error: &Error) -> bool {
    server.auth_type == ToolAuthType::Oauth
        && server.tools_fetched_at.is_some()
        && error.reason() == Some(ErrorReason::KeyRefused)
}

fn status(error: &Error) -> ToolServerStatus {
    match error.reason() {
        Some(ErrorReason::KeyRefused | ErrorReason::KeyUnavailable | ErrorReason::NoEncryptionKey) => {
            ToolServerStatus::NeedsAuth
        }
        _ => ToolServerStatus::Unreachable,
    }
}

/// What of a listing is kept: its size is the server's to choose, what is kept of it is not.
pub(super) fn observed(listing: ServerListing, now: Timestamp) -> ObservedTools {
    let mut problems = listing.problems;
    let mut leave_out = |name: &str, why: &str| {
        let name: String = name.chars().take(60).collect();
        problems.push(format!("tool `{name}` was left out: {why}"));
    };
    let (mut tools, mut bytes, mut names) = (Vec::new(), 0, HashSet::new());
    for tool in listing.tools {
        let size = serde_json::to_vec(&tool).map_or(usize::MAX, |json| json.len());
        if let Some(why) = wrong(&tool, size) {
            leave_out(&tool.name, why);
        } else if tools.len() >= MAX_TOOLS || bytes + size > MAX_LIST_BYTES {
            leave_out(
                &tool.name,
                "the server lists too many, or too large, ones; the most is 1000 and 1 MiB",
            );
        } else if !names.insert(tool.name.clone()) {
            leave_out(&tool.name, "the server lists two of this name");
        } else {
            bytes += size;
            tools.push(tool);
        }
    }
    if problems.len() > MAX_PROBLEMS {
        let more = problems.len() - MAX_PROBLEMS + 1;
        problems.truncate(MAX_PROBLEMS - 1);
        problems.push(format!("and {more} more like these"));
    }
    problems.iter_mut().for_each(|problem| cut(problem, 500));
    let good = listing.ttl.unwrap_or(GOOD).clamp(GOOD_AT_LEAST, GOOD_AT_MOST);
    ObservedTools {
        first_pins: tools.iter().map(|tool| (tool.name.clone(), ToolPin::of(tool, None))).collect(),
        server: short(listing.server),
        tools,
        problems,
        expire_at: now.plus(good),
    }
}

fn wrong(tool: &Tool, size: usize) -> Option<&'static str> {
    let has_nul = || serde_json::to_string(tool).is_ok_and(|json| json.contains("\\u0000"));
    match () {
        () if size > MAX_TOOL_BYTES => Some("its description and schema have more than 64 KiB"),
        () if tool.name.trim().is_empty() || tool.name.chars().count() > MAX_NAME => {
            Some("its name is empty, or longer than 200 characters")
        }
        () if tool.name.chars().any(char::is_control) || has_nul() => Some("it has control characters"),
        () if !tool.input_schema.is_object() => Some("the schema of its arguments is no object"),
        () => None,
    }
}

fn short(mut info: ServerInfo) -> ServerInfo {
    cut(&mut info.name, 200);
    cut(&mut info.version, 200);
    cut(&mut info.protocol, 50);
    if let Some(instructions) = &mut info.instructions {
        cut(instructions, 10_000);
    }
    info
}

fn cut(text: &mut String, most: usize) {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(name: &str) -> Tool {
        Tool::new(name, "d", json!({"type": "object"}))
    }

    fn listing(tools: Vec<Tool>) -> ServerListing {
        ServerListing { tools, ..ServerListing::default() }
    }

    #[test]
    fn hostile_list_is_cut_and_said_so() {
        let large = Tool { description: "x".repeat(MAX_TOOL_BYTES), ..tool("large") };
        let tools = vec![
            tool("a"),
            tool("a"),
            tool(" "),
            tool(&"n".repeat(201)),
            tool("nul\0"),
            Tool { description: "x\0".into(), ..tool("nul in text") },
            Tool { input_schema: json!([1]), ..tool("no schema") },
            large,
            tool("b"),
        ];
        let kept = observed(listing(tools), Timestamp(0));
        let names: Vec<_> = kept.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(kept.problems.len(), 7);
        assert_eq!(kept.first_pins.len(), 2);
    }

    #[test]
    fn ten_thousand_tools_are_a_thousand() {
        let kept = observed(listing((0..10_000).map(|n| tool(&n.to_string())).collect()), Timestamp(0));
        assert_eq!((kept.tools.len(), kept.problems.len()), (MAX_TOOLS, MAX_PROBLEMS));
        assert!(kept.problems.last().unwrap().contains("8951 more"), "{:?}", kept.problems.last());
        let wide = |n: usize| Tool { description: "x".repeat(50_000), ..tool(&n.to_string()) };
        let kept = observed(listing((0..100).map(wide).collect()), Timestamp(0));
        assert!(serde_json::to_vec(&kept.tools).unwrap().len() <= MAX_LIST_BYTES + 1_000);
    }

    #[test]
    fn server_says_within_bounds_how_long_its_list_is_good() {
        let expire = |ttl: Option<u64>| {
            let listing = ServerListing { ttl: ttl.map(Duration::from_secs), ..ServerListing::default() };
            observed(listing, Timestamp(0)).expire_at.0 / 1_000_000
        };
        assert_eq!(
            (expire(None), expire(Some(60)), expire(Some(0)), expire(Some(u64::MAX))),
            (300, 60, 30, 86_400)
        );
    }
}
