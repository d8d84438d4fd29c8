//! The tools of one turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aimate_text::tokens::Tokenizer;

use super::schema::{ArgumentSchema, SchemaCache};
use super::{OfferedTool, ToolAccess, ToolPolicy, ToolSource};
use crate::chat::context::tool_tokens;
use crate::hash::{PartsHash, hex};
use crate::message::{CallApproval, ToolCall, ToolResult};
use crate::provider::ToolSpec;

/// The tools that aiMate calls for the model of a turn.
#[derive(Clone, Default)]
pub(crate) struct Toolbox {
    tools: Vec<Arc<ReadyTool>>,
    by_name: HashMap<String, usize>,
}

/// A tool with what each turn that offers it needs, made once.
pub(crate) struct ReadyTool {
    pub(crate) offered: OfferedTool,
    schema: Arc<ArgumentSchema>,
    /// What telling a model of it costs, by the tokenizers that were asked.
    tokens: Mutex<Vec<(Tokenizer, u32)>>,
}

impl ReadyTool {
    /// Readies a tool.
    ///
    /// # Errors
    /// A sentence that says why it cannot be offered.
    pub(crate) fn new(offered: OfferedTool, schemas: &SchemaCache) -> Result<Self, String> {
        let schema = schemas
            .compile(&offered.spec.parameters)
            .map_err(|why| format!("the tool `{}` is left out: {why}", offered.spec.name))?;
        Ok(Self { offered, schema, tokens: Mutex::default() })
    }

    fn tokens(&self, tokenizer: Tokenizer) -> u32 {
        let mut counted = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tokens)) = counted.iter().find(|(by, _)| *by == tokenizer) {
            return *tokens;
        }
        let tokens = tool_tokens(tokenizer, &self.offered.spec);
        counted.push((tokenizer, tokens));
        tokens
    }
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
    /// A box of these tools; of several with one name, the first.
    pub(crate) fn new(ready: Vec<Arc<ReadyTool>>) -> Self {
        let mut toolbox = Self::default();
        for tool in ready {
            let name = &tool.offered.spec.name;
            if !toolbox.by_name.contains_key(name) {
                toolbox.by_name.insert(name.clone(), toolbox.tools.len());
                toolbox.tools.push(tool);
            }
        }
        toolbox
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// What the model is told of them and of `foreign`, the caller's own; and the tokens of it.
    pub(crate) fn offer(&self, tokenizer: Tokenizer, foreign: &[ToolSpec]) -> (Vec<ToolSpec>, u32) {
        let own = self.tools.iter().map(|tool| tool.tokens(tokenizer));
        let tokens = own.chain(foreign.iter().map(|spec| tool_tokens(tokenizer, spec)));
        let specs = self.specs().chain(foreign).cloned().collect();
        (specs, tokens.fold(0, u32::saturating_add))
    }

    /// What the model is told of them.
    pub(crate) fn specs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.tools.iter().map(|tool| &tool.offered.spec)
    }

    /// The names of the tools of servers, each with that of its server.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (String, String)> {
        self.tools.iter().filter_map(|tool| match &tool.offered.source {
            ToolSource::Server { endpoint, .. } => {
                Some((tool.offered.spec.name.clone(), endpoint.name.clone()))
            }
            ToolSource::Handler(_) => None,
        })
    }

    /// Whether a tool of this name is in it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// What is to be done with `call`. One of no known tool is the caller's if `foreign` has
    /// its name.
    pub(crate) fn judge(&self, call: &ToolCall, foreign: &[ToolSpec]) -> CallVerdict<'_> {
        let Some(ReadyTool { offered: tool, schema, .. }) = self.named(&call.name) else {
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
                let arguments = call.arguments.as_object().cloned();
                match self.named(&call.name).zip(arguments) {
                    Some((tool, arguments)) => CallVerdict::Make(&tool.offered, arguments),
                    None => CallVerdict::Refuse(ToolResult::error(&call.id, self.unknown(&call.name))),
                }
            }
            verdict => verdict,
        }
    }

    /// The mark of a call that a person is asked of; `None` if it is made or refused.
    pub(crate) fn asks(&self, call: &ToolCall) -> Option<CallApproval> {
        match self.judge(call, &[]) {
            CallVerdict::Ask => self.fingerprint(&call.name).map(|tool| CallApproval::Asked { tool }),
            _ => None,
        }
    }

    /// What tells the tool of this name from others of the name: where its calls go, what the
    /// model is told of it.
    pub(crate) fn fingerprint(&self, name: &str) -> Option<String> {
        let tool = &self.named(name)?.offered;
        let ToolSpec { description, parameters, .. } = &tool.spec;
        let place = match &tool.source {
            ToolSource::Handler(_) => String::new(),
            // The id of one that a turn brought is that turn's alone.
            ToolSource::Server { endpoint, tool, link: Some(_) } => match &endpoint.access {
                ToolAccess::Http { url, .. } => format!("{url}/{tool}"),
                ToolAccess::Stdio { .. } => format!("{}/{tool}", endpoint.name),
            },
            ToolSource::Server { endpoint, tool, link: None } => format!("{}/{tool}", endpoint.id),
        };
        let parts = [name, description, &parameters.to_string(), &place];
        Some(hex(&parts.iter().fold(PartsHash::new("aimate/tool/1"), PartsHash::part).finish()))
    }

    fn named(&self, name: &str) -> Option<&ReadyTool> {
        self.tools.get(*self.by_name.get(name)?).map(AsRef::as_ref)
    }

    fn unknown(&self, name: &str) -> String {
        let names: Vec<&str> =
            self.tools.iter().map(|tool| tool.offered.spec.name.as_str()).take(50).collect();
        format!("There is no tool `{}`. The tools are: {}.", crate::text::shorten(name, 64), names.join(", "))
    }
}
