//! The tool `mcp`: tool servers whose tools a response may call.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};

use aimate_core::provider::ToolChoice;
use aimate_core::tool::{OfferedServer, Tool, ToolPolicy, TurnToolServer};
use aimate_core::{Error, ErrorKind, Scope, Secret};
use futures_util::future::try_join_all;
use http::Uri;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::echo::{Echo, ListedTools, MAX_LISTED};
use crate::app::App;
use crate::error::{Failure, Result};
use crate::json;

/// Tool servers of one request at most.
pub(super) const MAX_SERVERS: usize = 32;
/// Names of tools in one list at most, and characters of each.
const MAX_NAMES: (usize, usize) = (1_000, 200);
/// Characters of a label at most.
const MAX_LABEL: usize = 200;
/// Tools that are listed in a response at most: as many as a turn offers.
const MAX_TOOLS: usize = 256;

/// The tool as a request has it. What may be a secret is read by hand: an error of it must not quote
/// it.
#[derive(Deserialize)]
struct McpBody {
    server_label: Option<String>,
    server_description: Option<String>,
    server_url: Option<Value>,
    connector_id: Option<Value>,
    authorization: Option<Value>,
    headers: Option<Value>,
    allowed_tools: Option<Value>,
    require_approval: Option<Value>,
}

/// A tool server that the model may use.
#[derive(Clone, Debug)]
pub(super) struct McpTool {
    /// Where it stands in the request.
    path: String,
    pub(super) wanted: TurnToolServer,
}

/// Which call the model has to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForcedCall {
    pub(super) label: String,
    /// A tool of the server; `None` for any.
    pub(super) tool: Option<String>,
}

fn wrong(path: &str, field: &str, why: impl Into<String>) -> Failure {
    Error::field(format!("{path}.{field}"), why.into()).into()
}

/// Reads the tool at `path`, and gives it as the response repeats it: without what may be a secret.
pub(super) fn read(tool: &Value, path: &str) -> Result<(McpTool, Value)> {
    let body: McpBody = json::part(tool, path)?;
    let label = body.server_label.filter(|label| !label.trim().is_empty());
    let label = label.ok_or_else(|| wrong(path, "server_label", "is missing"))?;
    if label.chars().count() > MAX_LABEL {
        return Err(wrong(path, "server_label", format!("has more than {MAX_LABEL} characters")));
    }
    if body.connector_id.is_some_and(|id| !id.is_null()) {
        let why =
            "is not supported; send `server_url`, or the name of a registered tool server as `server_label`";
        return Err(Failure::unsupported(format!("{path}.connector_id"), why));
    }
    let url = match body.server_url {
        None | Some(Value::Null) => None,
        Some(Value::String(url)) => Some(url),
        Some(_) => return Err(wrong(path, "server_url", "must be a text")),
    };
    let mut wanted = match &url {
        Some(url) => TurnToolServer::at(&label, url),
        None => TurnToolServer::registered(&label),
    };
    secrets(&mut wanted, body.authorization, body.headers, path)?;
    let (only, read_only) = allowed(body.allowed_tools.as_ref(), &format!("{path}.allowed_tools"))?;
    (wanted.only, wanted.read_only) = (only, read_only);
    approvals(&mut wanted, body.require_approval.as_ref(), &format!("{path}.require_approval"))?;
    let echoed = json!({
        "type": "mcp", "server_label": label, "server_url": url.as_deref().map(shown_url),
        "server_description": body.server_description,
        "allowed_tools": echoed_tools(&wanted), "require_approval": echoed_approval(&wanted),
        "headers": null,
    });
    Ok((McpTool { path: path.to_owned(), wanted }, echoed))
}

/// An address as it is repeated: what follows the host may be a secret.
fn shown_url(url: &str) -> String {
    let parsed: Option<Uri> = url.trim().parse().ok();
    let shown = parsed.as_ref().and_then(|url| Some((url.scheme_str()?, url.host()?, url.port())));
    match shown {
        Some((scheme, host, Some(port))) => format!("{scheme}://{host}:{port}/<redacted>"),
        Some((scheme, host, None)) => format!("{scheme}://{host}/<redacted>"),
        None => "<redacted>".to_owned(),
    }
}

/// What the server is authorized with.
fn secrets(
    wanted: &mut TurnToolServer,
    authorization: Option<Value>,
    headers: Option<Value>,
    path: &str,
) -> Result<()> {
    let authorization = authorization.filter(|given| !given.is_null());
    let headers = headers.filter(|given| !given.is_null());
    if wanted.url.is_none() && (authorization.is_some() || headers.is_some()) {
        let field = if authorization.is_some() { "authorization" } else { "headers" };
        let why = "goes with a `server_url`; a registered tool server has its own";
        return Err(wrong(path, field, why));
    }
    match authorization {
        None => {}
        Some(Value::String(token)) => wanted.token = Some(Secret::new(token)),
        Some(_) => return Err(wrong(path, "authorization", "must be a text: the token alone")),
    }
    match headers {
        None => {}
        Some(Value::Object(headers)) => {
            for (name, value) in headers {
                let shown: String = name.chars().take(MAX_LABEL).collect();
                let Value::String(value) = value else {
                    return Err(wrong(path, &format!("headers.{shown}"), "must be a text"));
                };
                if name.eq_ignore_ascii_case("authorization") && wanted.token.is_some() {
                    let why = "and `authorization` are given; send one of them";
                    return Err(wrong(path, "headers.Authorization", why));
                }
                wanted.headers.insert(name, Secret::new(value));
            }
        }
        Some(_) => return Err(wrong(path, "headers", "must be an object of texts")),
    }
    Ok(())
}

/// The list of names of tools at `path`.
fn names(list: &Value, path: &str) -> Result<Vec<String>> {
    let (most, length) = MAX_NAMES;
    let why = || format!("must be a list of at most {most} names of at most {length} characters");
    let refused = || Failure::from(Error::field(path, why()));
    let list = list.as_array().filter(|list| list.len() <= most).ok_or_else(refused)?;
    let name = |name: &Value| {
        let name = name.as_str().filter(|name| name.chars().count() <= length);
        name.map(str::to_owned).ok_or_else(refused)
    };
    list.iter().map(name).collect()
}

/// Which tools are offered.
fn allowed(given: Option<&Value>, path: &str) -> Result<(Option<Vec<String>>, Option<bool>)> {
    match given {
        None | Some(Value::Null) => Ok((None, None)),
        Some(list @ Value::Array(_)) => Ok((Some(names(list, path)?), None)),
        Some(Value::Object(filter)) => {
            let present = |name: &str| filter.get(name).filter(|value| !value.is_null());
            let only = present("tool_names").map(|list| names(list, &format!("{path}.tool_names")));
            let read_only = present("read_only").map(|value| {
                value
                    .as_bool()
                    .ok_or_else(|| Error::field(format!("{path}.read_only"), "must be true or false"))
            });
            Ok((only.transpose()?, read_only.transpose()?))
        }
        Some(_) => {
            Err(Error::field(path, "must be a list of names, or {\"tool_names\":[…],\"read_only\":…}").into())
        }
    }
}

/// Which calls a person is asked of.
fn approvals(wanted: &mut TurnToolServer, given: Option<&Value>, path: &str) -> Result<()> {
    let why = "must be `always`, `never` or {\"always\":{\"tool_names\":[…]},\"never\":{\"tool_names\":[…]}}";
    match given {
        None | Some(Value::Null) => {}
        Some(Value::String(word)) => {
            wanted.policy = Some(match word.as_str() {
                "always" => ToolPolicy::Ask,
                "never" => ToolPolicy::Allow,
                _ => return Err(Error::field(path, why).into()),
            });
        }
        Some(Value::Object(filters)) => {
            for (word, policy) in [("always", ToolPolicy::Ask), ("never", ToolPolicy::Allow)] {
                let Some(filter) = filters.get(word).filter(|filter| !filter.is_null()) else { continue };
                let path = format!("{path}.{word}");
                if filter.get("read_only").is_some_and(|value| !value.is_null()) {
                    let why = "is not supported: what a tool says of itself decides nothing; list its name";
                    return Err(Failure::unsupported(format!("{path}.read_only"), why));
                }
                let path = format!("{path}.tool_names");
                let list = filter.get("tool_names").ok_or_else(|| Error::field(&*path, "is missing"))?;
                for name in names(list, &path)? {
                    if wanted.policies.insert(name, policy).is_some_and(|other| other != policy) {
                        return Err(Error::field(path, "has a name that is in `always` too").into());
                    }
                }
            }
        }
        Some(_) => return Err(Error::field(path, why).into()),
    }
    Ok(())
}

fn echoed_tools(wanted: &TurnToolServer) -> Value {
    match (&wanted.only, wanted.read_only) {
        (None, None) => Value::Null,
        (Some(names), None) => json!(names),
        (names, read_only) => json!({"tool_names": names, "read_only": read_only}),
    }
}

fn echoed_approval(wanted: &TurnToolServer) -> Value {
    let word = |policy| if policy == ToolPolicy::Allow { "never" } else { "always" };
    match wanted.policy {
        Some(policy) => word(policy).into(),
        None if wanted.policies.is_empty() => Value::Null,
        None => {
            let mut filters: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
            for (name, policy) in &wanted.policies {
                filters.entry(word(*policy)).or_default().push(name);
            }
            let filters =
                filters.into_iter().map(|(word, names)| (word.to_owned(), json!({"tool_names": names})));
            Value::Object(filters.collect())
        }
    }
}

impl McpTool {
    /// What the caller calls it.
    pub(super) fn label(&self) -> &str {
        &self.wanted.name
    }

    /// Leaves these of its tools alone.
    pub(super) fn narrow(&mut self, names: &BTreeSet<String>) {
        let only = self.wanted.only.take();
        self.wanted.only = Some(match only {
            Some(only) => only.into_iter().filter(|name| names.contains(name)).collect(),
            None => names.iter().cloned().collect(),
        });
    }

    /// Whether it is one that the request brings.
    pub(super) fn is_brought(&self) -> bool {
        self.wanted.url.is_some()
    }

    async fn offered(self, app: &App, scope: &Scope) -> Result<OfferedServer> {
        let path = self.path;
        let offered = app.engine.tool_servers(scope).offered(self.wanted).await;
        offered.map_err(|error| match error.kind() {
            ErrorKind::NotFound => wrong(&path, "server_label", error.message().to_owned()),
            ErrorKind::Forbidden => {
                Failure::unsupported(format!("{path}.server_url"), error.message().to_owned())
            }
            ErrorKind::Unsupported => {
                Failure::unsupported(format!("{path}.type"), error.message().to_owned())
            }
            _ => renamed(error, &path),
        })
    }
}

/// An error of a field under the name that the field has in a request.
fn renamed(error: Error, path: &str) -> Failure {
    let Some(field) = error.fields().first() else { return error.into() };
    let name = match field.path.as_str() {
        "name" => "server_label",
        "url" => "server_url",
        "auth_config.token" => "authorization",
        other => other.strip_prefix("auth_config.").unwrap_or(other),
    };
    Error::field(format!("{path}.{name}"), field.message.clone()).with_source(error).into()
}

/// The tools of the servers, all asked at once.
pub(super) async fn offered(app: &App, scope: &Scope, tools: Vec<McpTool>) -> Result<Vec<OfferedServer>> {
    try_join_all(tools.into_iter().map(|tool| tool.offered(app, scope))).await
}

/// Says in the echo what the servers list, but for what is listed in `before`.
pub(super) fn list(echo: &mut Echo, servers: &[OfferedServer], before: BTreeMap<String, String>) {
    echo.listed = before;
    let (mut room, mut count) = (MAX_LISTED, MAX_TOOLS);
    for server in servers {
        let has_none = server.tools().next().is_none();
        let error = server.problem().filter(|_| has_none).map(str::to_owned);
        let tools: Vec<Value> = server.tools().map(listed).collect();
        let mark = mark(&tools);
        if error.is_none() && echo.listed.get(server.name()) == Some(&mark) {
            continue;
        }
        let tools: Vec<_> = tools.into_iter().take(count).map(|tool| within(tool, &mut room)).collect();
        count -= tools.len();
        if error.is_none() {
            echo.listed.insert(server.name().to_owned(), mark);
        }
        echo.lists.push(ListedTools { label: server.name().to_owned(), tools, error });
    }
}

fn listed(tool: &Tool) -> Value {
    let hints = &tool.hints;
    let mut annotations = Map::new();
    let given = [
        ("title", tool.title.clone().map(Value::from)),
        ("readOnlyHint", hints.read_only.map(Value::from)),
        ("destructiveHint", hints.destructive.map(Value::from)),
        ("idempotentHint", hints.idempotent.map(Value::from)),
        ("openWorldHint", hints.open_world.map(Value::from)),
    ];
    for (name, value) in given {
        annotations.extend(value.map(|value| (name.to_owned(), value)));
    }
    json!({
        "name": tool.name, "description": tool.description, "input_schema": tool.input_schema,
        "annotations": (!annotations.is_empty()).then_some(annotations),
    })
}

/// What tells a list from another one.
fn mark(tools: &[Value]) -> String {
    let mut hasher = DefaultHasher::new();
    tools.iter().for_each(|tool| tool.to_string().hash(&mut hasher));
    format!("{:016x}", hasher.finish())
}

/// A tool as it is kept: without its schema and description where there is no room for them.
fn within(mut tool: Value, room: &mut usize) -> Value {
    let bytes = tool.to_string().len();
    if bytes <= *room {
        *room -= bytes;
        return tool;
    }
    if let Some(fields) = tool.as_object_mut() {
        fields.insert("input_schema".to_owned(), json!({"type": "object"}));
        fields.insert("description".to_owned(), Value::Null);
        fields.insert("annotations".to_owned(), Value::Null);
    }
    tool
}

/// The choice of a tool that the model has to call; `None` where its server offers nothing.
///
/// # Errors
/// `Invalid` if the server does not offer the tool.
pub(super) fn forced(servers: &[OfferedServer], forced: &ForcedCall) -> Result<Option<ToolChoice>> {
    let server = servers.iter().find(|server| server.name() == forced.label);
    let server = server.filter(|server| server.tools().next().is_some());
    match (server, &forced.tool) {
        (None, _) => Ok(None),
        (Some(_), None) => Ok(Some(ToolChoice::Required)),
        (Some(server), Some(tool)) => match server.offered_as(tool) {
            Some(name) => Ok(Some(ToolChoice::Tool(name.to_owned()))),
            None => {
                let shown: String = tool.chars().take(MAX_LABEL).collect();
                let why = format!("names `{shown}`, which the tool server does not offer");
                Err(Error::field("tool_choice.name", why).into())
            }
        },
    }
}

#[cfg(test)]
#[path = "mcp_tests.rs"]
mod tests;
