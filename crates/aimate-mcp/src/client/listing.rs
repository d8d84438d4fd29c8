//! Lists of a server, page by page, within bounds. One entry that is damaged costs itself alone.

use std::collections::HashSet;
use std::time::Duration;

use aimate_core::tool::{ResourceInfo, ServerListing, ServerPrompt, Tool, ToolEndpoint, ToolHints};
use aimate_core::{ErrorKind, Result};
use rmcp::model::{
    ClientRequest, ListPromptsRequest, ListResourceTemplatesRequest, ListResourcesRequest, ListToolsRequest,
    PaginatedRequestParams,
};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::errors::Errors;
use super::session::ServerSession;

/// Pages of one list that are read.
const MAX_PAGES: usize = 64;
/// Entries of one list that are read.
const MAX_ENTRIES: usize = 10_000;
/// Tools of one server that are passed on.
const MAX_TOOLS: usize = 1_000;
/// Bytes that one tool may have, its schemas included.
const MAX_TOOL: usize = 256 * 1024;
/// Levels that a schema may have.
const MAX_DEPTH: usize = 64;
/// Characters of a tool's name.
const MAX_NAME: usize = 256;
/// Sentences about what was left out.
const MAX_PROBLEMS: usize = 20;

/// A list of a server.
#[derive(Clone, Copy)]
enum List {
    Tools,
    Resources,
    Templates,
    Prompts,
}

impl List {
    fn request(self, cursor: Option<String>) -> ClientRequest {
        let params = Some(PaginatedRequestParams::default().with_cursor(cursor));
        match self {
            Self::Tools => ClientRequest::ListToolsRequest(ListToolsRequest { params, ..Default::default() }),
            Self::Resources => {
                ClientRequest::ListResourcesRequest(ListResourcesRequest { params, ..Default::default() })
            }
            Self::Templates => ClientRequest::ListResourceTemplatesRequest(ListResourceTemplatesRequest {
                params,
                ..Default::default()
            }),
            Self::Prompts => {
                ClientRequest::ListPromptsRequest(ListPromptsRequest { params, ..Default::default() })
            }
        }
    }

    /// The field of the result that holds the entries.
    fn field(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }
}

/// The entries of a list, as they came.
#[derive(Default)]
struct Entries {
    all: Vec<Value>,
    problems: Problems,
    ttl: Option<Duration>,
}

/// What was left out, in sentences.
#[derive(Default)]
struct Problems {
    told: Vec<String>,
    untold: usize,
}

impl Problems {
    fn tell(&mut self, sentence: impl Into<String>) {
        if self.told.len() < MAX_PROBLEMS { self.told.push(sentence.into()) } else { self.untold += 1 }
    }

    fn into_sentences(mut self) -> Vec<String> {
        if self.untold > 0 {
            self.told.push(format!("and {} more of this kind", self.untold));
        }
        self.told
    }
}

/// The server's tools.
pub(super) async fn tools(session: &ServerSession, endpoint: &ToolEndpoint) -> Result<ServerListing> {
    let mut listing = ServerListing::default();
    listing.server = session.server.clone();
    let mut entries = Entries::default();
    if session.capabilities.tools.is_some() || session.is_unknown_revision {
        entries = read(session, endpoint, List::Tools).await?;
    }
    if session.is_unknown_revision {
        let revision = Errors(endpoint).quoted(&session.server.protocol);
        entries.problems.tell(format!("it speaks the revision `{revision}` of MCP, which is unknown here"));
    }
    let (mut names, mut count) = (HashSet::new(), 0);
    for entry in &entries.all {
        match tool(entry) {
            Ok(tool) if !names.insert(tool.name.clone()) => {
                entries.problems.tell(format!("the tool `{}` is there twice; the first counts", tool.name));
            }
            Ok(_) if listing.tools.len() == MAX_TOOLS => count += 1,
            Ok(tool) => listing.tools.push(tool),
            Err(problem) => entries.problems.tell(problem),
        }
    }
    if count > 0 {
        let all = MAX_TOOLS + count;
        entries.problems.tell(format!("it has {all} tools; the first {MAX_TOOLS} are taken"));
    }
    listing.problems = entries.problems.into_sentences();
    listing.ttl = entries.ttl;
    Ok(listing)
}

/// The server's resources and templates of them.
pub(super) async fn resources(session: &ServerSession, endpoint: &ToolEndpoint) -> Result<Vec<ResourceInfo>> {
    if session.capabilities.resources.is_none() {
        return Err(Errors(endpoint).without("resources"));
    }
    let listed = read(session, endpoint, List::Resources).await?;
    let mut found: Vec<_> = listed.all.iter().filter_map(|entry| resource(entry, "uri")).collect();
    match read(session, endpoint, List::Templates).await {
        Ok(templates) => {
            let templates = templates.all.iter().filter_map(|entry| resource(entry, "uriTemplate"));
            found.extend(templates.map(|mut template| {
                template.is_template = true;
                template
            }));
        }
        // Servers without templates need not know the request.
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

/// The server's prompts.
pub(super) async fn prompts(session: &ServerSession, endpoint: &ToolEndpoint) -> Result<Vec<ServerPrompt>> {
    if session.capabilities.prompts.is_none() {
        return Err(Errors(endpoint).without("prompts"));
    }
    let listed = read(session, endpoint, List::Prompts).await?;
    Ok(listed.all.iter().filter_map(prompt).collect())
}

/// Reads a list to its end, or to where it goes beyond what is read. The deadline is that of
/// the whole list.
async fn read(session: &ServerSession, endpoint: &ToolEndpoint, list: List) -> Result<Entries> {
    let by = Instant::now() + endpoint.timeout;
    let (mut entries, mut cursor, mut seen) = (Entries::default(), None, HashSet::new());
    for page in 0.. {
        if page == MAX_PAGES {
            entries.problems.tell(format!("its list has more than {MAX_PAGES} pages; the rest was not read"));
            break;
        }
        let reading = session.read(endpoint, list.request(cursor.clone()));
        let answer =
            timeout_at(by, reading).await.map_err(|_| Errors(endpoint).too_slow("end its list"))??;
        let mut answer = serde_json::to_value(answer).unwrap_or_default();
        let Some(Value::Array(mut found)) = answer.get_mut(list.field()).map(Value::take) else {
            return Err(
                Errors(endpoint).nonsense("answered with something else than the list that was asked for")
            );
        };
        let left = MAX_ENTRIES - entries.all.len();
        let is_full = found.len() > left;
        found.truncate(left);
        entries.all.append(&mut found);
        entries.ttl = ttl(&answer, entries.ttl, page == 0);
        if is_full {
            entries
                .problems
                .tell(format!("its list has more than {MAX_ENTRIES} entries; the rest was not read"));
            break;
        }
        match answer.get("nextCursor").and_then(Value::as_str) {
            None => break,
            Some(next) if !seen.insert(next.to_owned()) => {
                entries.problems.tell("its list leads back to a page that was read already");
                break;
            }
            Some(next) => cursor = Some(next.to_owned()),
        }
    }
    Ok(entries)
}

/// How long all pages so far are good.
fn ttl(page: &Value, so_far: Option<Duration>, is_first: bool) -> Option<Duration> {
    let own = page.get("ttlMs").and_then(Value::as_u64).map(Duration::from_millis)?;
    if is_first { Some(own) } else { so_far.map(|so_far| so_far.min(own)) }
}

/// A tool as the server describes it, or why it is left out.
fn tool(entry: &Value) -> Result<Tool, String> {
    let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.trim().is_empty() {
        return Err("a tool without a name was left out".to_owned());
    }
    let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    if name.chars().count() > MAX_NAME {
        return Err(format!(
            "the tool `{shown}…` was left out: its name has more than {MAX_NAME} characters"
        ));
    }
    let Some(schema) = entry.get("inputSchema").filter(|schema| schema.is_object()) else {
        return Err(format!("the tool `{shown}` was left out: it has no schema of its arguments"));
    };
    let output = entry.get("outputSchema").filter(|schema| schema.is_object() || schema.is_boolean());
    if is_deeper(schema, MAX_DEPTH) || output.is_some_and(|schema| is_deeper(schema, MAX_DEPTH)) {
        return Err(format!("the tool `{shown}` was left out: its schema has more than {MAX_DEPTH} levels"));
    }
    if entry.to_string().len() > MAX_TOOL {
        return Err(format!(
            "the tool `{shown}` was left out: it is described with more than {MAX_TOOL} bytes"
        ));
    }
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut tool = Tool::new(name, text("description").unwrap_or_default(), schema.clone());
    let annotations = entry.get("annotations");
    let title = annotations.and_then(|all| all.get("title")).and_then(Value::as_str).map(str::to_owned);
    tool.title = text("title").or(title);
    tool.output_schema = output.cloned();
    tool.hints = annotations.map(hints).unwrap_or_default();
    Ok(tool)
}

fn hints(annotations: &Value) -> ToolHints {
    let hint = |name: &str| annotations.get(name).and_then(Value::as_bool);
    let mut hints = ToolHints::default();
    hints.read_only = hint("readOnlyHint");
    hints.destructive = hint("destructiveHint");
    hints.idempotent = hint("idempotentHint");
    hints.open_world = hint("openWorldHint");
    hints
}

/// Whether `value` has more than `levels` levels.
fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|field| is_deeper(field, levels - 1)),
        _ => false,
    }
}

fn resource(entry: &Value, address: &str) -> Option<ResourceInfo> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut info = ResourceInfo::default();
    info.uri = text(address)?;
    info.name = text("title").or_else(|| text("name")).unwrap_or_else(|| info.uri.clone());
    info.description = text("description");
    info.media_type = text("mimeType");
    Some(info)
}

fn prompt(entry: &Value) -> Option<ServerPrompt> {
    let text = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut prompt = ServerPrompt::default();
    prompt.name = text(entry, "name")?;
    prompt.description = text(entry, "description");
    let arguments = entry.get("arguments").and_then(Value::as_array).into_iter().flatten();
    let argument = |argument: &Value| {
        let is_required = argument.get("required").and_then(Value::as_bool).unwrap_or(false);
        Some((text(argument, "name")?, is_required))
    };
    prompt.arguments = arguments.filter_map(argument).collect();
    Some(prompt)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tool_is_read_with_what_it_says_of_itself() {
        let read = tool(&json!({
            "name": "search docs", "title": "Search", "description": "finds",
            "inputSchema": {"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"},
            "outputSchema": {"type": "array"},
            "annotations": {"title": "other", "readOnlyHint": true, "idempotentHint": false, "openWorldHint": "yes"},
        }));
        let read = read.unwrap();
        assert_eq!((read.name.as_str(), read.title.as_deref()), ("search docs", Some("Search")));
        assert_eq!(read.output_schema, Some(json!({"type": "array"})));
        let hints =
            (read.hints.read_only, read.hints.idempotent, read.hints.destructive, read.hints.open_world);
        assert_eq!(hints, (Some(true), Some(false), None, None));
    }

    #[test]
    fn damaged_tool_is_left_out_with_the_reason() {
        let mut deep = json!({});
        for _ in 0..=MAX_DEPTH {
            deep = json!({"properties": deep});
        }
        for (entry, why) in [
            (json!({"inputSchema": {}}), "without a name"),
            (json!({"name": " ", "inputSchema": {}}), "without a name"),
            (json!("tool"), "without a name"),
            (json!({"name": "a"}), "no schema"),
            (json!({"name": "a", "inputSchema": "string"}), "no schema"),
            (json!({"name": "a", "inputSchema": deep}), "levels"),
            (json!({"name": "a".repeat(300), "inputSchema": {}}), "characters"),
            (json!({"name": "a", "description": "x".repeat(MAX_TOOL), "inputSchema": {}}), "bytes"),
        ] {
            let problem = tool(&entry).unwrap_err();
            assert!(problem.contains(why), "{problem}");
        }
    }

    #[test]
    fn sentences_about_problems_are_bounded() {
        let mut problems = Problems::default();
        (0..1_000).for_each(|number| problems.tell(format!("{number}")));
        let sentences = problems.into_sentences();
        assert_eq!(sentences.len(), MAX_PROBLEMS + 1);
        assert_eq!(sentences.last().unwrap(), "and 980 more of this kind");
    }
}
