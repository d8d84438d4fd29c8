//! `aimate tools`: the tool servers that this installation knows, and their tools.

use aimate::engine::{ToolServerTest, ToolServers, UsableTool};
use aimate::tool::{ToolContent, ToolOutput, ToolServer, ToolState};
use aimate::{Engine, Error, PageRequest, Result};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::terminal::{counted, plain, say};

/// What `tools` takes.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ToolCommand {
    /// List the tools that turns may choose, and those that nobody has approved
    List {
        /// Print them as JSON, with their schemas
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Connect to tool servers and read their tools
    Test {
        /// The servers, by name [default: all]
        servers: Vec<String>,
        /// Approve the tools as the servers describe them now, each by its present policy
        #[arg(long)]
        approve: bool,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Call a tool and print what it returns
    Call {
        /// The tool: `SERVER/TOOL`, or the name of one of aiMate's own
        tool: String,
        /// Its arguments, a JSON object
        #[arg(long, default_value = "{}", value_name = "JSON")]
        arguments: String,
        /// Print the whole output as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: Box<Config>,
    },
}

/// Does what is asked for with tools.
pub(crate) async fn tools(command: ToolCommand) -> Result<()> {
    match command {
        ToolCommand::List { json, config } => {
            with_engine(&config, async |engine| list(&servers(engine).await?, json).await).await
        }
        ToolCommand::Test { servers: names, approve, config } => {
            let work = async |engine: &Engine| test(&servers(engine).await?, &names, approve).await;
            with_engine(&config, work).await
        }
        ToolCommand::Call { tool, arguments, json, config } => {
            let arguments = parsed(&arguments)?;
            let work = async |engine: &Engine| {
                let output = servers(engine).await?.call(&tool, &arguments).await?;
                print(&output, json)
            };
            with_engine(&config, work).await
        }
    }
}

async fn with_engine(config: &Config, work: impl AsyncFnOnce(&Engine) -> Result<()>) -> Result<()> {
    let (builder, _) = config.engine().await?;
    let engine = builder.readers(0).build().await?;
    let outcome = work(&engine).await;
    engine.drain(std::time::Duration::ZERO).await;
    outcome
}

async fn servers(engine: &Engine) -> Result<ToolServers> {
    Ok(engine.tool_servers(&engine.local_scope().await?))
}

fn parsed(arguments: &str) -> Result<Map<String, Value>> {
    let wrong =
        |why: String| Error::invalid(format!("--arguments: {why}; it is an object such as `{{\"n\": 1}}`"));
    match serde_json::from_str(arguments) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(wrong("it is JSON, but no object".to_owned())),
        Err(error) => Err(wrong(format!("it is no JSON: {error}"))),
    }
}

/// All servers, page by page.
pub(crate) async fn all_servers(servers: &ToolServers) -> Result<Vec<ToolServer>> {
    let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
    let mut all = Vec::new();
    loop {
        let found = servers.list(page).await?;
        all.extend(found.data);
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(all),
        }
    }
}

async fn list(servers: &ToolServers, json: bool) -> Result<()> {
    // Those that were never read have no tools to list.
    for server in
        all_servers(servers).await?.into_iter().filter(|one| one.is_enabled && one.tools_fetched_at.is_none())
    {
        let tested = servers.test(server.id).await?;
        if let Some(error) = tested.error {
            say(&format!("{}: {}", plain(&server.name), plain(&error)));
        }
    }
    let tools = servers.usable().await?;
    if json {
        return print_json(&tools);
    }
    tools.iter().for_each(print_tool);
    say(&counted(tools.len() as u64, "tool"));
    Ok(())
}

fn print_tool(tool: &UsableTool) {
    let state = match tool.listed.state {
        ToolState::Approved => "",
        ToolState::New => ", new: not offered until it is approved",
        ToolState::Changed => ", changed since it was approved: not offered",
    };
    let about = tool.listed.tool.description.lines().next().unwrap_or_default();
    let about: String = about.chars().take(100).collect();
    say(&format!("{}  [{}{state}]  {}", plain(&tool.id), tool.listed.policy, plain(&about)));
}

async fn test(servers: &ToolServers, names: &[String], approve: bool) -> Result<()> {
    let found = all_servers(servers).await?;
    if let Some(unknown) = names.iter().find(|name| !found.iter().any(|server| server.name == **name)) {
        return Err(Error::not_found(format!("there is no tool server `{unknown}`")));
    }
    let mut failed = 0;
    for server in found.iter().filter(|server| names.is_empty() || names.contains(&server.name)) {
        let tested = servers.test(server.id).await?;
        failed += u64::from(!tested.ok);
        print_test(server, &tested);
        if approve {
            let anew = tested.tools.iter().filter(|tool| tool.state != ToolState::Approved);
            let change = anew.map(|tool| (tool.tool.name.clone(), None)).collect();
            servers.set_policy(server.id, &change).await?;
            say(&format!("  approved {}", counted(change.len() as u64, "tool")));
        }
    }
    if failed > 0 {
        return Err(Error::unavailable(format!("{} failed", counted(failed, "tool server"))));
    }
    Ok(())
}

fn print_test(server: &ToolServer, tested: &ToolServerTest) {
    let outcome = match &tested.error {
        None => format!("{} in {} ms", counted(tested.tools.len() as u64, "tool"), tested.latency_ms),
        Some(error) => plain(error),
    };
    say(&format!("{}: {outcome}", plain(&server.name)));
    for tool in &tested.tools {
        let state = match tool.state {
            ToolState::Approved => continue,
            ToolState::New => "is new",
            ToolState::Changed => "has changed",
        };
        say(&format!("  {} {state}; `--approve` offers it as it is now:", plain(&tool.tool.name)));
        if let Some(before) = &tool.approved {
            say(&format!("    before: {}", plain(&before.description)));
        }
        say(&format!("    now:    {}", plain(&tool.tool.description)));
    }
    for problem in &tested.problems {
        say(&format!("  {}", plain(problem)));
    }
}

fn print(output: &ToolOutput, json: bool) -> Result<()> {
    if json {
        print_json(output)?;
    } else {
        for content in &output.content {
            say(&plain(&shown(content)));
        }
        if let (Some(value), true) = (&output.structured, output.content.is_empty()) {
            print_json(value)?;
        }
    }
    match output.is_error {
        true => Err(Error::invalid("the tool says that it failed; what it returned is above")),
        false => Ok(()),
    }
}

fn shown(content: &ToolContent) -> String {
    let bytes = |data: &str| data.len() / 4 * 3;
    match content {
        ToolContent::Text { text } => text.clone(),
        ToolContent::Image { data, media_type } | ToolContent::Audio { data, media_type } => {
            format!("[{media_type}, about {} bytes; `--json` prints them]", bytes(data))
        }
        ToolContent::Resource { uri, text: Some(text), .. } => format!("{uri}:\n{text}"),
        ToolContent::Resource { uri, .. } => format!("[{uri}; `--json` prints its bytes]"),
        ToolContent::ResourceLink { uri, name, .. } => format!("[{name}: {uri}]"),
        other => format!("{other:?}"),
    }
}

fn print_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<()> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("it cannot be written as JSON").with_source(error))?;
    say(&json);
    Ok(())
}
