//! A client of tool servers that plays what it is told, with faults, and remembers what it
//! was asked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::id::ToolServerId;
use crate::secret::Secret;
use crate::tool::{
    Elicitation, ResourceInfo, ServerInfo, ServerListing, ServerPrompt, Tool, ToolAccess, ToolCaller,
    ToolContent, ToolEndpoint, ToolOutput, ToolProgress, ToolServerClient,
};

/// One step of a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum ToolStep {
    /// The tool is so far.
    Progress(ToolProgress),
    /// The tool asks the person; the answer is the call's output, as JSON.
    Ask(Elicitation),
    /// The tool returns this.
    Return(ToolOutput),
    /// The call fails.
    Fail(Error),
    /// Nothing comes any more.
    Hang,
}

/// A call that was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolCallMade {
    /// The server, and as whom.
    pub endpoint: ToolEndpoint,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// The key that tells it from others.
    pub idempotency_key: String,
}

#[derive(Default)]
struct ServerScript {
    tools: Vec<Tool>,
    listing: VecDeque<Result<ServerListing>>,
    calls: VecDeque<Vec<ToolStep>>,
    made: Vec<ToolCallMade>,
    listed: Vec<ToolEndpoint>,
    forgotten: Vec<ToolServerId>,
    /// What logins gave, by attempt.
    attempts: HashMap<String, String>,
}

/// Plays every tool server there is: each lists the same tools, and a call returns what was
/// scripted, or its arguments.
#[derive(Default)]
pub struct ScriptedToolServer(Mutex<ServerScript>);

impl ScriptedToolServer {
    /// Servers that list these tools.
    pub fn new(tools: impl IntoIterator<Item = Tool>) -> Arc<Self> {
        let server = Self::default();
        server.set_tools(tools);
        Arc::new(server)
    }

    /// They list these tools from now on.
    pub fn set_tools(&self, tools: impl IntoIterator<Item = Tool>) {
        self.script().tools = tools.into_iter().collect();
    }

    /// The next list is this one, or fails so.
    pub fn list_once(&self, outcome: Result<ServerListing>) {
        self.script().listing.push_back(outcome);
    }

    /// The next call goes so. Without a script a call returns its arguments.
    pub fn push(&self, steps: impl IntoIterator<Item = ToolStep>) {
        self.script().calls.push_back(steps.into_iter().collect());
    }

    /// The calls that were made so far.
    pub fn calls(&self) -> Vec<ToolCallMade> {
        self.script().made.clone()
    }

    /// As whom, and how, lists were read so far.
    pub fn listed(&self) -> Vec<ToolEndpoint> {
        self.script().listed.clone()
    }

    /// The servers whose sessions were ended so far.
    pub fn forgotten(&self) -> Vec<ToolServerId> {
        self.script().forgotten.clone()
    }

    fn script(&self) -> MutexGuard<'_, ServerScript> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the logins of scripted servers come from.
pub const SCRIPTED_ISSUER: &str = "https://login.example.org";

#[async_trait]
impl ToolServerClient for ScriptedToolServer {
    async fn list(&self, endpoint: &ToolEndpoint) -> Result<ServerListing> {
        let mut script = self.script();
        script.listed.push(endpoint.clone());
        if let Some(outcome) = script.listing.pop_front() {
            return outcome;
        }
        let server = ServerInfo { name: "scripted".into(), version: "1".into(), ..ServerInfo::default() };
        Ok(ServerListing { server, tools: script.tools.clone(), ..ServerListing::default() })
    }

    async fn call(
        &self,
        endpoint: &ToolEndpoint,
        tool: &str,
        arguments: &Map<String, Value>,
        idempotency_key: &str,
        caller: Arc<dyn ToolCaller>,
    ) -> Result<ToolOutput> {
        let steps = {
            let mut script = self.script();
            script.made.push(ToolCallMade {
                endpoint: endpoint.clone(),
                tool: tool.to_owned(),
                arguments: arguments.clone(),
                idempotency_key: idempotency_key.to_owned(),
            });
            script.calls.pop_front()
        };
        let Some(steps) = steps else { return Ok(ToolOutput::value(Value::Object(arguments.clone()))) };
        let mut answer = None;
        for step in steps {
            match step {
                ToolStep::Progress(progress) => caller.progress(progress),
                ToolStep::Ask(question) => answer = Some(caller.elicit(question).await),
                ToolStep::Return(output) => return Ok(output),
                ToolStep::Fail(error) => return Err(error),
                ToolStep::Hang => std::future::pending().await,
            }
        }
        Ok(ToolOutput::value(serde_json::to_value(answer).unwrap_or_default()))
    }

    async fn resources(&self, _: &ToolEndpoint) -> Result<Vec<ResourceInfo>> {
        let mut resource = ResourceInfo::default();
        (resource.uri, resource.name) = ("test://one".into(), "one".into());
        Ok(vec![resource])
    }

    async fn read_resource(&self, _: &ToolEndpoint, uri: &str) -> Result<Vec<ToolContent>> {
        match uri {
            "test://one" => Ok(vec![ToolContent::Text { text: "first".into() }]),
            _ => Err(Error::not_found(format!("there is no resource `{uri}`"))),
        }
    }

    async fn prompts(&self, _: &ToolEndpoint) -> Result<Vec<ServerPrompt>> {
        let mut prompt = ServerPrompt::default();
        (prompt.name, prompt.arguments) = ("greet".into(), vec![("name".into(), true)]);
        Ok(vec![prompt])
    }

    async fn prompt(
        &self,
        _: &ToolEndpoint,
        name: &str,
        arguments: &BTreeMap<String, String>,
    ) -> Result<Vec<(String, ToolContent)>> {
        let (true, Some(who)) = (name == "greet", arguments.get("name")) else {
            return Err(Error::not_found(format!("there is no prompt `{name}`, or it needs `name`")));
        };
        Ok(vec![("user".into(), ToolContent::Text { text: format!("Greet {who}.") })])
    }

    /// Sends the browser to [`SCRIPTED_ISSUER`] with a `state`; the attempt is that state.
    async fn begin_login(&self, endpoint: &ToolEndpoint, redirect_url: &str) -> Result<(String, Secret)> {
        let mut script = self.script();
        let state = format!("state-{}", script.attempts.len() + 1);
        script.attempts.insert(state.clone(), redirect_url.to_owned());
        let location = format!("{SCRIPTED_ISSUER}/authorize?state={state}&server={}", endpoint.id);
        Ok((location, Secret::new(state)))
    }

    /// The tokens are `tokens of CODE`.
    async fn end_login(&self, endpoint: &ToolEndpoint, attempt: &Secret, callback: &str) -> Result<()> {
        let parsed = url::Url::parse(callback)
            .map_err(|error| Error::invalid("the callback is no address").with_source(error))?;
        let given = |name: &str| {
            parsed.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        if given("state").as_deref() != Some(attempt.expose()) {
            return Err(Error::invalid("the callback is of another login"));
        }
        let ToolAccess::Http { tokens: Some(keeper), .. } = &endpoint.access else {
            return Err(Error::unsupported("this server has no login"));
        };
        let code = given("code").ok_or_else(|| Error::upstream("the server refused the login"))?;
        keeper.save(SCRIPTED_ISSUER, Some(Secret::new(format!("tokens of {code}")))).await
    }

    async fn forget(&self, id: ToolServerId) {
        self.script().forgotten.push(id);
    }
}
