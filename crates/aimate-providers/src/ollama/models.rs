//! Ollama's models: the list, and the window and capabilities of each.

use aimate_core::Result;
use aimate_core::model::Capability;
use aimate_core::provider::{Endpoint, ListedModel};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::http::{Call, MAX_BODY, Transport};
use crate::json::{Number, Text, list as lenient_list};

/// Concurrent requests for the details of models.
const MAX_CONCURRENT: usize = 4;

#[derive(Deserialize)]
struct Tags<'a> {
    #[serde(borrow, default, deserialize_with = "lenient_list")]
    models: Vec<Tag<'a>>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    model: Text<'a>,
}

#[derive(Default, Deserialize)]
struct Show {
    #[serde(default, deserialize_with = "lenient_list")]
    capabilities: Vec<Value>,
    #[serde(default)]
    model_info: Option<Map<String, Value>>,
}

/// Lists all models of the server. A model without details is listed without
/// window and capabilities.
pub(super) async fn list(transport: &Transport, endpoint: &Endpoint) -> Result<Vec<ListedModel>> {
    let mut response = transport.send(&Call::get(endpoint, "/api/tags")).await?;
    let body = response.read_all(MAX_BODY).await?;
    if body.trim_ascii().starts_with(b"<") {
        return Err(response.errors.web_page());
    }
    let tags: Tags<'_> = serde_json::from_slice(&body).map_err(|error| {
        response.errors.invalid_response(format_args!("the response has no list of models ({error})"), &body)
    })?;
    let ids =
        tags.models.into_iter().map(|tag| if tag.model.is_empty() { tag.name } else { tag.model }.clean());
    let ids: Vec<String> = ids.filter(|id| !id.is_empty()).collect();
    let models = ids.into_iter().map(|id| async {
        let show = show(transport, endpoint, &id).await.unwrap_or_default();
        show.listed(id)
    });
    Ok(stream::iter(models).buffered(MAX_CONCURRENT).collect().await)
}

async fn show(transport: &Transport, endpoint: &Endpoint, model: &str) -> Result<Show> {
    let body = json!({"model": model}).to_string().into_bytes();
    let mut response = transport.send(&Call::post(endpoint, "/api/show", model, body)).await?;
    let body = response.read_all(MAX_BODY).await?;
    serde_json::from_slice(&body).map_err(|error| response.errors.invalid_response(error, &body))
}

impl Show {
    fn listed(&self, id: String) -> ListedModel {
        let info = self.model_info.as_ref();
        let window = info.and_then(|info| info.iter().find(|(name, _)| name.ends_with(".context_length")));
        let context_window = window.and_then(|(_, value)| Number::deserialize(value).ok()?.tokens());
        let mut capabilities: Vec<Capability> = self.capabilities.iter().filter_map(capability).collect();
        if capabilities.contains(&Capability::Chat) {
            capabilities.push(Capability::JsonSchema);
        }
        ListedModel { name: id.clone(), id, context_window, capabilities, prices: None }
    }
}

fn capability(name: &Value) -> Option<Capability> {
    match name.as_str()? {
        "completion" => Some(Capability::Chat),
        "tools" => Some(Capability::Tools),
        "vision" => Some(Capability::Vision),
        "thinking" => Some(Capability::Reasoning),
        "embedding" => Some(Capability::Embedding),
        _ => None,
    }
}
