//! The tools of a response, and which of them the model may call.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use aimate_core::Error;
use aimate_core::provider::{ToolChoice, ToolSpec};
use aimate_core::tool::WEB_SEARCH;
use serde::Deserialize;
use serde_json::{Value, json};

use super::echo::Echo;
use super::mcp::{self, ForcedCall, McpTool};
use super::search::{AnswerSearch, FileSearchBody};
use super::web_search::{self, WebSearchTool};
use crate::error::{Failure, Result};
use crate::json;

/// Tools of one request at most.
const MAX_TOOLS: usize = 1_000;
/// Characters of a function's name at most.
const MAX_NAME: usize = 64;

const CHOICES: &str = "must be `auto`, `none`, `required`, {\"type\":\"function\",\"name\":…}, \
    {\"type\":\"file_search\"}, {\"type\":\"mcp\",\"server_label\":…}, {\"type\":\"web_search\"} or {\"type\":\"allowed_tools\",\"mode\":…,\"tools\":[…]}";

/// What of the tools is offered to the model.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) tools: Vec<ToolSpec>,
    pub(super) tool_choice: Option<ToolChoice>,
    /// The search before the answer.
    pub(super) search: Option<AnswerSearch>,
    /// Tool servers.
    pub(super) servers: Vec<McpTool>,
    /// The search of the web.
    pub(super) web_search: Option<WebSearchTool>,
    /// The call of a tool server that the model has to make.
    pub(super) forced: Option<ForcedCall>,
}

/// A function of the client's own.
#[derive(Debug, Deserialize)]
struct FunctionBody {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    strict: Option<bool>,
}

/// Reads `tools` and `tool_choice`, and says in the echo what came.
///
/// # Errors
/// `Invalid` or `Unsupported`, naming the tool.
pub(super) fn offered(tools: Option<Vec<Value>>, choice: Option<Value>, echo: &mut Echo) -> Result<Offered> {
    let written = tools.unwrap_or_default();
    if written.len() > MAX_TOOLS {
        let count = written.len();
        return Err(Error::field("tools", format!("has {count} tools; the most is {MAX_TOOLS}")).into());
    }
    let mut all = Offered::default();
    let mut repeated = Vec::with_capacity(written.len());
    let mut names = HashSet::new();
    for (n, tool) in written.into_iter().enumerate() {
        match tool.get("type").and_then(Value::as_str) {
            Some("function") => {
                let (spec, echoed) = function(&tool, n)?;
                if !names.insert(spec.name.clone()) {
                    let why = format!("another tool is called `{}`", spec.name);
                    return Err(Error::field(format!("tools[{n}].name"), why).into());
                }
                repeated.push(echoed);
                all.tools.push(spec);
            }
            Some("file_search") => {
                if all.search.is_some() {
                    return Err(
                        Error::field(format!("tools[{n}]"), "is a second file search; send one").into()
                    );
                }
                let path = format!("tools[{n}]");
                let body: FileSearchBody = json::part(&tool, &path)?;
                let (search, echoed) = body.read(&path)?;
                repeated.push(echoed);
                all.search = Some(search);
            }
            Some("mcp") => {
                let (mcp, echoed) = mcp::read(&tool, &format!("tools[{n}]"))?;
                if all.servers.iter().any(|other| other.label() == mcp.label()) {
                    let why = format!("another tool server is called `{}`", mcp.label());
                    return Err(Error::field(format!("tools[{n}].server_label"), why).into());
                }
                if all.servers.len() == mcp::MAX_SERVERS {
                    let why = format!("is one more tool server than {}, the most", mcp::MAX_SERVERS);
                    return Err(Error::field(format!("tools[{n}]"), why).into());
                }
                repeated.push(echoed);
                all.servers.push(mcp);
            }
            Some(kind) if web_search::is_kind(kind) => {
                let (search, echoed) = web_search::read(&tool, &format!("tools[{n}]"))?;
                repeated.push(echoed);
                all.web_search.get_or_insert(search);
            }
            Some(kind) => {
                let shown: String = kind.chars().take(MAX_NAME).collect();
                let why = format!(
                    "`{shown}` is not supported; send `function`, `file_search`, `mcp` or `web_search`"
                );
                return Err(Failure::unsupported(format!("tools[{n}].type"), why));
            }
            None => return Err(Error::field(format!("tools[{n}].type"), "is missing").into()),
        }
    }
    echo.set("tools", repeated);
    if let Some(choice) = choice.filter(|choice| !choice.is_null()) {
        all.choose(&choice)?;
        echo.set("tool_choice", super::tool_choice::known(&choice));
        if all.is_empty() {
            // Model servers refuse a choice of nothing.
            all.tool_choice = None;
        }
    }
    Ok(all)
}

/// The function at position `n`, and as the response repeats it.
fn function(tool: &Value, n: usize) -> Result<(ToolSpec, Value)> {
    let path = format!("tools[{n}]");
    let FunctionBody { name, description, parameters, strict } = json::part(tool, &path)?;
    let is_name =
        |name: &str| name.bytes().all(|one| one.is_ascii_alphanumeric() || matches!(one, b'_' | b'-'));
    if name.is_empty() || name.len() > MAX_NAME || !is_name(&name) {
        let why = format!("must be 1 to {MAX_NAME} letters, digits, `_` or `-`");
        return Err(Error::field(format!("{path}.name"), why).into());
    }
    if parameters.as_ref().is_some_and(|schema| !schema.is_object() && !schema.is_null()) {
        return Err(
            Error::field(format!("{path}.parameters"), "must be a JSON Schema, which is an object").into()
        );
    }
    let echoed = json!({
        "type": "function", "name": name, "description": description, "parameters": parameters,
        "strict": strict,
    });
    let mut spec = ToolSpec::new(name, parameters.unwrap_or_default());
    spec.description = description.unwrap_or_default();
    spec.strict = strict;
    Ok((spec, echoed))
}

impl Offered {
    /// Holds to `tool_choice`: what it leaves out is not offered, so that no model can call
    /// it.
    fn choose(&mut self, choice: &Value) -> Result<()> {
        let kind = choice.get("type").and_then(Value::as_str);
        match (choice.as_str(), kind) {
            (Some("auto"), _) => self.tool_choice = Some(ToolChoice::Auto),
            (Some("none"), _) => {
                self.tool_choice = (!self.tools.is_empty()).then_some(ToolChoice::None);
                self.search = None;
                (self.servers, self.web_search) = (Vec::new(), None);
            }
            (Some("required"), _) => self.require()?,
            (_, Some("function")) => {
                let name = choice.get("name").and_then(Value::as_str);
                let name = name.ok_or_else(|| Error::field("tool_choice.name", "is missing"))?;
                if !self.has(name) {
                    return Err(not_offered("tool_choice.name", name));
                }
                self.tool_choice = Some(ToolChoice::Tool(name.to_owned()));
                self.search = None;
            }
            // The search comes before each answer: it needs not be forced.
            (_, Some("file_search")) if self.search.is_some() => {}
            (_, Some("file_search")) => return Err(not_offered("tool_choice.type", "file_search")),
            (_, Some("mcp")) => self.force_server(choice)?,
            (_, Some(kind)) if web_search::is_kind(kind) => {
                if self.web_search.is_none() {
                    return Err(not_offered("tool_choice.type", kind));
                }
                self.tool_choice = Some(ToolChoice::Tool(WEB_SEARCH.to_owned()));
                self.search = None;
            }
            (_, Some("allowed_tools")) => self.allow(choice)?,
            (
                _,
                Some(
                    "code_interpreter"
                    | "computer_use_preview"
                    | "image_generation"
                    | "custom"
                    | "shell"
                    | "apply_patch",
                ),
            ) => {
                return Err(not_offered("tool_choice.type", kind.unwrap_or_default()));
            }
            _ => return Err(Error::field("tool_choice", CHOICES).into()),
        }
        Ok(())
    }

    /// Makes the model call a tool server: no other tool is offered unless one of its is named.
    fn force_server(&mut self, choice: &Value) -> Result<()> {
        let text = |name: &str| choice.get(name).and_then(Value::as_str).map(str::to_owned);
        let label =
            text("server_label").ok_or_else(|| Error::field("tool_choice.server_label", "is missing"))?;
        if !self.servers.iter().any(|server| server.label() == label) {
            return Err(not_offered("tool_choice.server_label", &label));
        }
        let tool = text("name");
        if tool.is_none() {
            self.servers.retain(|server| server.label() == label);
            (self.tools, self.web_search) = (Vec::new(), None);
        }
        (self.search, self.forced) = (None, Some(ForcedCall { label, tool }));
        Ok(())
    }

    /// Whether no tool is offered that the model calls.
    fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.servers.is_empty() && self.web_search.is_none()
    }

    /// Makes the model call one of the tools.
    fn require(&mut self) -> Result<()> {
        match (self.is_empty(), self.search.is_some()) {
            (true, false) => {
                return Err(Error::field("tool_choice", "is `required`, but no `tools` are given").into());
            }
            // The search is the call.
            (_, true) => {}
            (false, false) => self.tool_choice = Some(ToolChoice::Required),
        }
        Ok(())
    }

    /// Leaves the listed tools alone.
    fn allow(&mut self, choice: &Value) -> Result<()> {
        let listed = choice.get("tools").and_then(Value::as_array);
        let listed = listed.filter(|listed| !listed.is_empty());
        let listed = listed.ok_or_else(|| {
            Error::field("tool_choice.tools", "is missing or empty; list at least one tool")
        })?;
        let mut names = HashSet::new();
        let (mut searches, mut searches_web) = (false, false);
        // Of each server the tools that are named; none for all.
        let mut servers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (n, tool) in listed.iter().enumerate() {
            let path = || format!("tool_choice.tools[{n}]");
            match tool.get("type").and_then(Value::as_str) {
                Some("function") => {
                    let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
                    if !self.has(name) {
                        return Err(not_offered(&path(), name));
                    }
                    names.insert(name);
                }
                Some("file_search") if self.search.is_some() => searches = true,
                Some(kind) if web_search::is_kind(kind) && self.web_search.is_some() => searches_web = true,
                Some("mcp") => {
                    let label = tool.get("server_label").and_then(Value::as_str).unwrap_or_default();
                    if !self.servers.iter().any(|server| server.label() == label) {
                        return Err(not_offered(&path(), label));
                    }
                    let name = tool.get("name").and_then(Value::as_str).map(str::to_owned);
                    match (servers.entry(label), name) {
                        (Entry::Vacant(entry), name) => drop(entry.insert(name.into_iter().collect())),
                        (Entry::Occupied(mut entry), Some(name)) if !entry.get().is_empty() => {
                            entry.get_mut().insert(name);
                        }
                        (Entry::Occupied(mut entry), _) => entry.get_mut().clear(),
                    }
                }
                Some(kind) => return Err(not_offered(&path(), kind)),
                None => return Err(Error::field(format!("{}.type", path()), "is missing").into()),
            }
        }
        self.tools.retain(|tool| names.contains(tool.name.as_str()));
        self.search = self.search.take().filter(|_| searches);
        self.web_search = self.web_search.take().filter(|_| searches_web);
        self.servers.retain(|server| servers.contains_key(server.label()));
        for server in &mut self.servers {
            if let Some(names) = servers.get(server.label()).filter(|names| !names.is_empty()) {
                server.narrow(names);
            }
        }
        match choice.get("mode").and_then(Value::as_str) {
            Some("auto") => self.tool_choice = Some(ToolChoice::Auto),
            Some("required") => self.require()?,
            _ => return Err(Error::field("tool_choice.mode", "must be `auto` or `required`").into()),
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }
}

fn not_offered(path: &str, name: &str) -> Failure {
    let shown: String = name.chars().take(MAX_NAME).collect();
    Error::field(path, format!("names `{shown}`, which is not among `tools`")).into()
}
