//! What tells a turn from another one.

use serde::Serialize;

use super::{Turn, TurnInput};
use crate::hash::PartsHash;
use crate::tool::OfferedServer;

/// What the hash of a turn begins with: which fields count, and how.
const HASH_VERSION: &[u8] = b"aimate/turn/1";

impl Turn {
    /// SHA-256 over the turn, to tell a repeated `client_id` from a reused one.
    ///
    /// Hashes are stored, so a turn has the same one in every version: each field
    /// that is not at its default goes in under its name, all but `client_id` and
    /// `retry`. A field that is added to [`Turn`] is added here, and changes no hash
    /// of a turn without it. Another way to hash begins with another [`HASH_VERSION`].
    pub(crate) fn hash(&self) -> Vec<u8> {
        let default = Self::of(TurnInput::Messages(Vec::new()));
        let mut hash = TurnHash(PartsHash::new(HASH_VERSION));
        // What was found for it may be found otherwise when it is sent again.
        let found = if self.identity.is_some() { &default } else { self };
        hash.field("conversation", &self.conversation, &default.conversation);
        hash.field("workspace", &self.workspace, &default.workspace);
        hash.field("system_prompt", &self.system_prompt, &default.system_prompt);
        hash.field("input", &self.input, &default.input);
        hash.field("parent", &self.parent, &default.parent);
        hash.field("model", &self.model, &default.model);
        hash.field("knowledge", &self.knowledge, &default.knowledge);
        hash.field("retrievers", &self.retrievers, &default.retrievers);
        hash.field("passages", &found.passages, &default.passages);
        let chunks: Vec<_> = found
            .passages
            .iter()
            .map(|passage| passage.chunk.map(|chunk| (chunk.document_id, chunk.chunk_id, chunk.start)))
            .collect();
        if chunks.iter().any(Option::is_some) {
            hash.field("passage_chunks", &chunks, &Vec::new());
        }
        hash.field("sampling", &self.sampling, &default.sampling);
        hash.field("tools", &self.tools, &default.tools);
        hash.field("use_tools", &self.use_tools, &default.use_tools);
        hash.field("tool_choice", &self.tool_choice, &default.tool_choice);
        hash.field("parallel_tool_calls", &self.parallel_tool_calls, &default.parallel_tool_calls);
        hash.field("response_format", &self.response_format, &default.response_format);
        hash.field("extra", &self.extra, &default.extra);
        hash.field("stream", &self.stream, &default.stream);
        hash.field("on_disconnect", &self.on_disconnect, &default.on_disconnect);
        hash.field("new_conversation", &self.new_conversation, &default.new_conversation);
        hash.field("tags", &self.tags, &default.tags);
        hash.field("request", &found.request, &default.request);
        hash.field("hidden", &self.hidden, &default.hidden);
        hash.field("truncation", &self.truncation, &default.truncation);
        hash.field("own_prompts_only", &self.own_prompts_only, &default.own_prompts_only);
        hash.field("max_tool_calls", &self.max_tool_calls, &default.max_tool_calls);
        let servers = |turn: &'_ Self| -> Vec<(String, Vec<String>)> {
            let names = turn.tool_servers.iter().map(OfferedServer::names);
            names
                .map(|(name, tools)| (name.to_owned(), tools.into_iter().map(str::to_owned).collect()))
                .collect()
        };
        hash.field("tool_servers", &servers(found), &servers(&default));
        hash.field("on_approval", &self.on_approval, &default.on_approval);
        hash.field("decided", &self.decided, &default.decided);
        hash.field("identity", &self.identity, &default.identity);
        hash.0.finish().to_vec()
    }
}

struct TurnHash(PartsHash);

impl TurnHash {
    /// Adds a field that is not at its default.
    fn field<T: Serialize + PartialEq>(&mut self, name: &str, value: &T, default: &T) {
        if value == default {
            return;
        }
        // Invariant: a turn is plain data, which JSON can always hold.
        let value = serde_json::to_vec(value).unwrap_or_default();
        self.0.add(name);
        self.0.add(value);
    }
}
