//! The tools of one turn.

use std::collections::HashMap;
use std::sync::Arc;

use super::schema::{ArgumentSchema, SchemaCache};
use super::{OfferedTool, ToolPolicy, ToolSource};
use crate::hash::{PartsHash, hex};
use crate::message::{ToolCall, ToolResult};
use crate::provider::ToolSpec;

/// The tools that aiMate calls for the model of a turn.
#[derive(Default)]
pub(crate) struct Toolbox {
    tools: Vec<OfferedTool>,
    schemas: Vec<Arc<ArgumentSchema>>,
    by_name: HashMap<String, usize>,
}

/// What is to be done with a call.
pub(crate) enum CallVerdict<'a> {
    /// It is made, with these arguments.
    Make(&'a OfferedTool, serde_json::Map<String, serde_json::Value>),
    /// It waits for a person.
    Ask,
    /// It is not made: the model is told why.
    Refuse(ToolResult),
    /// It is the caller's own.
    Foreign,
}

impl Toolbox {
    /// A box of these tools, and a sentence about each that is left out.
    pub(crate) fn new(offered: Vec<OfferedTool>, schemas: &SchemaCache) -> (Self, Vec<String>) {
        let (mut toolbox, mut left_out) = (Self::default(), Vec::new());
        for tool in offered {
            match schemas.compile(&tool.spec.parameters) {
                Err(why) => left_out.push(format!("the tool `{}` is left out: {why}", tool.spec.name)),
                Ok(_) if toolbox.by_name.contains_key(&tool.spec.name) => {}
                Ok(schema) => {
                    toolbox.by_name.insert(tool.spec.name.clone(), toolbox.tools.len());
                    toolbox.tools.push(tool);
                    toolbox.schemas.push(schema);
                }
            }
        }
        (toolbox, left_out)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// What the model is told of them.
    pub(crate) fn specs(&self) -> impl Iterator<Item = ToolSpec> + '_ {
        self.tools.iter().map(|tool| tool.spec.clone())
    }

    /// Whether a tool of this name is in it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// What is to be done with `call`. One of no known tool is the caller's if `foreign` has
    /// its name.
    pub(crate) fn judge(&self, call: &ToolCall, foreign: &[ToolSpec]) -> CallVerdict<'_> {
        let found = self.by_name.get(&call.name).copied();
        let Some((tool, schema)) = found.and_then(|at| Some((self.tools.get(at)?, self.schemas.get(at)?)))
        else {
            if foreign.iter().any(|spec| spec.name == call.name) {
                return CallVerdict::Foreign;
            }
            return CallVerdict::Refuse(ToolResult::error(&call.id, self.unknown(&call.name)));
        };
        match schema.check(&call.arguments) {
            Err(why) => CallVerdict::Refuse(ToolResult::error(&call.id, why)),
            Ok(_) if tool.policy == ToolPolicy::Ask => CallVerdict::Ask,
            Ok(arguments) => CallVerdict::Make(tool, arguments),
        }
    }

    /// What is done with a call of which a person approved that `tool` is called. A tool that
    /// has only its name is not called: it is not what they approved.
    pub(crate) fn approved(&self, call: &ToolCall, tool: &str) -> CallVerdict<'_> {
        if self.fingerprint(&call.name).as_deref() != Some(tool) {
            let why = "The tool is not the one any more that the person approved, so it was not called.";
            return CallVerdict::Refuse(ToolResult::error(&call.id, why));
        }
        match self.judge(call, &[]) {
            CallVerdict::Ask => {
                let tool = self.by_name.get(&call.name).and_then(|at| self.tools.get(*at));
                let arguments = call.arguments.as_object().cloned();
                match tool.zip(arguments) {
                    Some((tool, arguments)) => CallVerdict::Make(tool, arguments),
                    None => CallVerdict::Refuse(ToolResult::error(&call.id, self.unknown(&call.name))),
                }
            }
            verdict => verdict,
        }
    }

    /// What tells the tool of this name from others of the name: where its calls go, what the
    /// model is told of it.
    pub(crate) fn fingerprint(&self, name: &str) -> Option<String> {
        let tool = self.tools.get(*self.by_name.get(name)?)?;
        let ToolSpec { description, parameters, .. } = &tool.spec;
        let place = match &tool.source {
            ToolSource::Handler(_) => String::new(),
            ToolSource::Server { endpoint, tool } => format!("{}/{tool}", endpoint.id),
        };
        let parts = [name, description, &parameters.to_string(), &place];
        Some(hex(&parts.iter().fold(PartsHash::new("aimate/tool/1"), PartsHash::part).finish()))
    }

    fn unknown(&self, name: &str) -> String {
        let names: Vec<&str> = self.tools.iter().map(|tool| tool.spec.name.as_str()).take(50).collect();
        format!("There is no tool `{}`. The tools are: {}.", crate::text::shorten(name, 64), names.join(", "))
    }
}
