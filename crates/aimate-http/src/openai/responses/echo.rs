//! What a response repeats of its request, with the values that counted. It is stored with
//! the run, so that a response is the same whoever reads it, whenever.

use std::collections::BTreeMap;

use aimate_core::Error;
use aimate_core::message::Citation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::openai::include::SEARCH_RESULTS;
use crate::openai::item::file_id;

/// The field of a run's request that tells it from one that an application keeps for itself.
const STORED: &str = "response";

/// Bytes of the fields at most, as JSON: of them, names and marks a run's request is made.
const MAX_BYTES: usize = 240 * 1024;
/// Bytes of them that are kept for what a search was about and what it found.
const FOUND_BYTES: usize = 80 * 1024;
/// Bytes of a list of tools that are kept with a response: of more, the schemas of the last ones are
/// left out.
pub(super) const MAX_LISTED: usize = 96 * 1024;

/// What of a request its response repeats, and what the response is made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Echo {
    /// The fields of the response object, under their names.
    pub(super) fields: Map<String, Value>,
    /// What `include` named.
    pub(super) include: Vec<String>,
    /// What was searched for before the answer; `None` if nothing was.
    pub(super) queries: Option<Vec<String>>,
    /// The attributes of the files that were found, by the id of the document.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) attributes: Map<String, Value>,
    /// What tool servers list that nothing before the response does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lists: Vec<ListedTools>,
    /// What is listed in this response and before it: by the name of the server, a mark of its list.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) listed: BTreeMap<String, String>,
}

/// What a tool server lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ListedTools {
    pub(super) label: String,
    pub(super) tools: Vec<Value>,
    pub(super) error: Option<String>,
}

impl Default for Echo {
    /// What an answer says that was asked for in another way.
    fn default() -> Self {
        let fields = json!({
            "instructions": null, "previous_response_id": null, "conversation": null, "tools": [],
            "tool_choice": "auto", "parallel_tool_calls": true, "truncation": "disabled",
            "text": {"format": {"type": "text"}}, "temperature": 1.0, "top_p": 1.0,
            "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_logprobs": 0, "reasoning": null,
            "max_output_tokens": null, "max_tool_calls": null, "store": true, "background": false,
            "service_tier": "default", "metadata": {}, "safety_identifier": null,
            "prompt_cache_key": null,
        });
        let fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
        Self {
            fields,
            include: Vec::new(),
            queries: None,
            attributes: Map::new(),
            lists: Vec::new(),
            listed: BTreeMap::new(),
        }
    }
}

impl Echo {
    /// That of a stored run; `None` if its answer was asked for in another way, or is none
    /// of this version's.
    pub(super) fn read(stored: &Value) -> Option<Self> {
        Self::deserialize(stored.get(STORED)?).ok()
    }

    /// As it is stored.
    pub(super) fn stored(&self) -> Value {
        json!({STORED: self})
    }

    /// Whether it is small enough to be stored, and sent with each of several events; with what a
    /// search adds to it, if it `searches`, and what tool servers list, if it `lists` them.
    ///
    /// # Errors
    /// `Invalid`, naming the largest field.
    pub(super) fn check(&self, searches: bool, lists: bool) -> Result<()> {
        let found = if searches { FOUND_BYTES } else { 0 };
        let listed = if lists { MAX_LISTED } else { 0 };
        let most = MAX_BYTES - found - listed;
        let sizes = self.fields.iter().map(|(name, value)| (value.to_string().len(), name));
        let (all, largest) = (sizes.clone().map(|(bytes, _)| bytes).sum::<usize>(), sizes.max());
        let Some((bytes, name)) = largest.filter(|_| all > most) else { return Ok(()) };
        let why = format!(
            "has about {bytes} bytes; what a response repeats of its request has at most {most} bytes together"
        );
        Err(Error::field(name, why).into())
    }

    /// Sets a field of the response.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    fn is(&self, name: &str) -> bool {
        self.fields.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether the response runs by itself.
    pub(super) fn is_background(&self) -> bool {
        self.is("background")
    }

    /// Whether the response can be read again.
    pub(super) fn is_stored(&self) -> bool {
        self.is("store")
    }

    /// Whether something was asked to be included.
    pub(super) fn includes(&self, what: &str) -> bool {
        self.include.iter().any(|one| one == what)
    }

    /// The file search as an item; `None` if nothing was searched for.
    pub(super) fn search_item(&self, id: &str, status: &str, found: &[Citation]) -> Option<Value> {
        let queries = self.queries.as_ref()?;
        let results = (self.includes(SEARCH_RESULTS) && status == "completed").then(|| {
            let results = found.iter().map(|one| {
                let attributes = one.document_id.and_then(|id| self.attributes.get(&id.to_string()));
                json!({
                    "file_id": file_id(one), "filename": one.title, "score": one.score.clamp(0.0, 1.0),
                    "attributes": attributes.unwrap_or(&json!({})), "text": one.text,
                })
            });
            Value::from(results.collect::<Vec<_>>())
        });
        Some(json!({
            "id": id, "type": "file_search_call", "status": status, "queries": queries,
            "results": results,
        }))
    }
}
