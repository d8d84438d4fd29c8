//! The client that the official conformance suite of MCP drives:
//!
//! ```text
//! conformance client --command target/debug/examples/conformance_client --requirements 2026-07-28
//! ```
//!
//! It does the same in each scenario: it lists the tools, calls them, answers what it is asked,
//! and logs in where that is wanted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aimate_core::provider::AddressSource;
use aimate_core::tool::{
    Elicitation, ElicitationAnswer, OAuthClient, TokenKeeper, Tool, ToolAccess, ToolCaller, ToolEndpoint,
    ToolProgress, ToolServerClient,
};
use aimate_core::{Error, ErrorReason, Result, Role, Scope, Secret, TenantId, ToolServerId, UserId};
use aimate_mcp::client::McpClient;
use aimate_providers::{Redirects, Transport};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

const REDIRECT: &str = "http://localhost:3000/callback";
/// What the suite expects of a client that describes itself by a document.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
/// Times that the person is sent to log in.
const MAX_LOGINS: usize = 3;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let running = tokio::time::timeout(Duration::from_secs(25), run());
    match running.await.unwrap_or_else(|_| Err(Error::timeout("the scenario took too long"))) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let url = std::env::args().next_back().unwrap_or_default();
    let scenario = variable("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let context = variable("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let context: Value = serde_json::from_str(&context).unwrap_or_default();
    let mut person = Person {
        client: McpClient::new(Transport::new()).client_metadata_url(DOCUMENT),
        endpoint: endpoint(&url, &context),
        logins: 0,
    };
    let tools = person.list().await?;
    for (name, arguments) in calls(&context, &tools) {
        person.call(&name, &arguments).await?;
    }
    if scenario == "auth/authorization-server-migration" {
        person.list().await?;
        person.list().await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the suite tells what to do by the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn endpoint(url: &str, context: &Value) -> ToolEndpoint {
    let scope = Scope {
        tenant: TenantId(uuid::Uuid::from_u128(1)),
        user: UserId(uuid::Uuid::from_u128(2)),
        role: Role::User,
    };
    let access = ToolAccess::Http {
        url: url.to_owned(),
        source: AddressSource::Operator,
        headers: BTreeMap::new(),
        tokens: Some(Arc::new(Keeper::default())),
    };
    let mut endpoint =
        ToolEndpoint::new(ToolServerId(uuid::Uuid::from_u128(3)), "conformance", scope, access);
    let text = |name: &str| context.get(name).and_then(Value::as_str);
    endpoint.oauth_client = text("client_id")
        .map(|id| OAuthClient { id: id.to_owned(), secret: text("client_secret").map(Secret::new) });
    endpoint
}

/// What to call: what the suite names, else every tool with what it requires.
fn calls(context: &Value, tools: &[Tool]) -> Vec<(String, Map<String, Value>)> {
    let named = context.get("toolCalls").or_else(|| context.get("tool_calls")).and_then(Value::as_array);
    if let Some(named) = named {
        let call = |call: &Value| {
            let arguments = call.get("arguments").and_then(Value::as_object).cloned();
            Some((call.get("name")?.as_str()?.to_owned(), arguments.unwrap_or_default()))
        };
        return named.iter().filter_map(call).collect();
    }
    let mut calls: Vec<_> =
        tools.iter().map(|tool| (tool.name.clone(), required(&tool.input_schema))).collect();
    // This one is told what was understood of the schema of another.
    let schema = tools.iter().find(|tool| tool.name == "json_schema_2020_12_tool");
    let echo = calls.iter_mut().find(|(name, _)| name == "json_schema_echo");
    if let (Some(tool), Some((_, arguments))) = (schema, echo) {
        arguments.insert("schema".to_owned(), tool.input_schema.clone());
    }
    calls
}

fn required(schema: &Value) -> Map<String, Value> {
    let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let value = |name: &str| match schema.pointer(&format!("/properties/{name}/type")).and_then(Value::as_str)
    {
        Some("number") => json!(1.0),
        Some("integer") => json!(1),
        Some("boolean") => json!(true),
        Some("string") => json!("test"),
        _ => json!(null),
    };
    names.filter_map(Value::as_str).map(|name| (name.to_owned(), value(name))).collect()
}

/// Who uses the server.
struct Person {
    client: McpClient,
    endpoint: ToolEndpoint,
    logins: usize,
}

impl Person {
    async fn list(&mut self) -> Result<Vec<Tool>> {
        loop {
            match self.client.list(&self.endpoint).await {
                Ok(listing) => return Ok(listing.tools),
                Err(error) => self.log_in_for(error).await?,
            }
        }
    }

    async fn call(&mut self, tool: &str, arguments: &Map<String, Value>) -> Result<()> {
        loop {
            let call = self.client.call(&self.endpoint, tool, arguments, tool, Arc::new(Answers));
            match call.await {
                Ok(output) => {
                    println!("{tool}: {output:?}");
                    return Ok(());
                }
                Err(error) => self.log_in_for(error).await?,
            }
        }
    }

    /// Logs in if that is what `error` asks for.
    async fn log_in_for(&mut self, error: Error) -> Result<()> {
        if error.reason() != Some(ErrorReason::KeyRefused) || self.logins == MAX_LOGINS {
            return Err(error);
        }
        eprintln!("logging in: {error}");
        self.logins += 1;
        let (address, attempt) = self.client.begin_login(&self.endpoint, REDIRECT).await?;
        // The suite's authorization server asks nobody.
        let transport = Transport::new();
        let browser = transport.raw_client(&address, AddressSource::Operator, Redirects::Never).await?;
        let answer = browser.get(&address).send().await;
        let answer = answer.map_err(|error| Error::upstream("no authorization page").with_source(error))?;
        let back = answer.headers().get("location").and_then(|value| value.to_str().ok());
        let back = back.ok_or_else(|| Error::upstream("the authorization server does not send back"))?;
        self.client.end_login(&self.endpoint, &attempt, back).await
    }
}

/// Answers every question with yes.
struct Answers;

#[async_trait]
impl ToolCaller for Answers {
    fn progress(&self, progress: ToolProgress) {
        println!("{progress:?}");
    }

    async fn elicit(&self, question: Elicitation) -> ElicitationAnswer {
        println!("{question:?}");
        let properties = question.schema.as_ref().and_then(|schema| schema.get("properties"));
        let wants = |name: &str| properties.is_some_and(|properties| properties.get(name).is_some());
        let known = [("username", "testuser"), ("email", "test@example.com")];
        let content = known.into_iter().filter(|(name, _)| wants(name)).filter(|(name, _)| {
            properties.and_then(|all| all.get(name)).is_some_and(|field| field.get("default").is_none())
        });
        let mut content: Map<String, Value> =
            content.map(|(name, value)| (name.to_owned(), value.into())).collect();
        // Whatever else is required and has no default.
        for (name, value) in question.schema.as_ref().map(required).unwrap_or_default() {
            let has_default =
                properties.and_then(|all| all.get(&name)).is_some_and(|field| field.get("default").is_some());
            if !has_default {
                content.entry(name).or_insert(value);
            }
        }
        ElicitationAnswer::Accept { content }
    }
}

/// Keeps tokens as long as the scenario runs.
#[derive(Default)]
struct Keeper(Mutex<HashMap<String, Secret>>);

#[async_trait]
impl TokenKeeper for Keeper {
    async fn load(&self, issuer: &str) -> Result<Option<Secret>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned())
    }

    async fn save(&self, issuer: &str, tokens: Option<Secret>) -> Result<()> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens {
            Some(tokens) => drop(kept.insert(issuer.to_owned(), tokens)),
            None => drop(kept.remove(issuer)),
        }
        Ok(())
    }
}
