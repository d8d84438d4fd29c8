//! Parses model lists, in the forms that OpenAI-compatible servers have.

use std::collections::HashSet;

use aimate_core::Result;
use aimate_core::model::{Capability, Prices};
use aimate_core::provider::ListedModel;
use serde::Deserialize;
use serde_json::Value;

use super::dialect::Dialect;
use crate::http::UpstreamErrors;
use crate::json::{Number, Text};

/// A model. Each server has its own name for the context window.
#[derive(Deserialize)]
struct WireModel<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    context_length: Number,
    #[serde(default)]
    context_window: Number,
    #[serde(default)]
    max_model_len: Number,
    #[serde(default)]
    max_context_length: Number,
    /// llama.cpp's.
    #[serde(default)]
    meta: Option<Value>,
    /// OpenRouter's.
    #[serde(default)]
    pricing: Option<Pricing>,
    #[serde(default)]
    supported_parameters: Option<Value>,
    #[serde(default)]
    architecture: Option<Value>,
}

/// US dollars per token, as strings.
#[derive(Clone, Copy, Deserialize)]
struct Pricing {
    #[serde(default)]
    prompt: Number,
    #[serde(default)]
    completion: Number,
    #[serde(default)]
    input_cache_read: Number,
}

/// Parses the models of `{"data": […]}`, `{"models": […]}` or a bare list.
pub(crate) fn read(errors: &UpstreamErrors, dialect: Dialect, body: &[u8]) -> Result<Vec<ListedModel>> {
    if body.trim_ascii().starts_with(b"<") {
        return Err(errors.web_page());
    }
    let response: Value = serde_json::from_slice(body).map_err(|error| {
        errors.invalid_response(format_args!("the model list is not JSON ({error})"), body)
    })?;
    if let Some(error) = response.get("error").filter(|error| !error.is_null()) {
        return Err(errors.error_object(error));
    }
    let list = [response.get("data"), response.get("models"), Some(&response)]
        .into_iter()
        .flatten()
        .find_map(Value::as_array);
    let Some(list) = list else {
        return Err(errors.invalid_response("the response has no list of models", body));
    };
    let mut seen = HashSet::new();
    let models = list.iter().filter_map(|entry| WireModel::deserialize(entry).ok());
    Ok(models
        .map(|model| model.listed(dialect))
        .filter(|model| !model.id.is_empty() && seen.insert(model.id.clone()))
        .collect())
}

impl WireModel<'_> {
    fn listed(self, dialect: Dialect) -> ListedModel {
        let capabilities = if dialect == Dialect::OpenRouter { self.capabilities() } else { Vec::new() };
        let prices = self.pricing.and_then(Pricing::prices);
        let context_window = self.window();
        let id = self.id.clean();
        let name = Some(self.name.clean()).filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
        ListedModel { id, name, context_window, capabilities, prices }
    }

    fn window(&self) -> Option<u32> {
        let meta = |name| Number::deserialize(self.meta.as_ref()?.get(name)?).ok()?.tokens();
        [self.context_length, self.context_window, self.max_model_len, self.max_context_length]
            .into_iter()
            .find_map(Number::tokens)
            .or_else(|| meta("n_ctx"))
            .or_else(|| meta("n_ctx_train"))
    }

    fn capabilities(&self) -> Vec<Capability> {
        let takes = |name: &str| lists(self.supported_parameters.as_ref(), name);
        let inputs = self.architecture.as_ref().and_then(|architecture| architecture.get("input_modalities"));
        let found = [
            (Capability::Chat, true),
            (Capability::Tools, takes("tools")),
            (Capability::Vision, lists(inputs, "image")),
            (Capability::Reasoning, takes("reasoning")),
            (Capability::JsonSchema, takes("structured_outputs")),
        ];
        found.into_iter().filter_map(|(capability, has)| has.then_some(capability)).collect()
    }
}

fn lists(list: Option<&Value>, name: &str) -> bool {
    list.and_then(Value::as_array).is_some_and(|list| list.iter().any(|entry| entry == name))
}

impl Pricing {
    /// Per million tokens; `None` where the price is not fixed (-1).
    fn prices(self) -> Option<Prices> {
        let per_million = |price: Number| price.0.filter(|price| *price >= 0.0).map(|price| price * 1e6);
        Some(Prices {
            input: per_million(self.prompt)?,
            output: per_million(self.completion)?,
            cached: per_million(self.input_cache_read),
        })
    }
}
