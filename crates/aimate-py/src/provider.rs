//! Providers of the application's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aimate::message::{ToolCall, text_of};
use aimate::model::Capability;
use aimate::provider::{
    ChatProvider, ChatRequest, Endpoint, FinishReason, ListedModel, ONLY_MODEL, ProviderEvent,
    ProviderProfile, ProviderStream,
};
use aimate::usage::TokenUsage;
use aimate::{Error, Result, StreamExt, WarningCode, async_trait, stream};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::convert;
use crate::fault::{self, Fault};
use crate::host::{Function, Host, Running};
use crate::outcome::Outcome;
use crate::pending::Pending;

/// Events that wait for the engine; then the provider waits.
const WAITING: usize = 256;

/// An object with `chat(request)`.
pub(crate) struct HostProvider {
    host: Arc<Host>,
    name: String,
    chat: Function,
    models: Vec<ListedModel>,
    profile: ProviderProfile,
}

impl HostProvider {
    /// `plan` is `{"chat": function(request, sink), "models": [{"id", "context_window"?, …}]}`.
    pub(crate) fn new(host: &Arc<Host>, name: String, plan: &Bound<'_, PyAny>) -> PyResult<Self> {
        let chat = plan.get_item("chat")?.unbind();
        let listed = convert::value(&plan.get_item("models")?, "models")?;
        let listed = listed.as_array().cloned().unwrap_or_default();
        let models: PyResult<Vec<_>> = listed.iter().map(listed_model).collect();
        let mut models = models?;
        if models.is_empty() {
            models.push(ListedModel::new(ONLY_MODEL));
        }
        Ok(Self { host: host.clone(), name, chat: Arc::new(chat), models, profile: ProviderProfile::new() })
    }
}

fn listed_model(model: &Value) -> PyResult<ListedModel> {
    let id = model.get("id").and_then(Value::as_str);
    let id = id.ok_or_else(|| PyTypeError::new_err("models: each is a name, or a dict with `id`"))?;
    let mut listed = ListedModel::new(id);
    if let Some(name) = model.get("name").and_then(Value::as_str) {
        listed = listed.name(name);
    }
    if let Some(window) = model.get("context_window").and_then(Value::as_u64) {
        listed = listed.context_window(u32::try_from(window).unwrap_or(u32::MAX));
    }
    if let Some(capabilities) = model.get("capabilities") {
        let read = serde_json::from_value::<Vec<Capability>>(capabilities.clone());
        let capabilities = read.map_err(|error| PyValueError::new_err(format!("models: {error}")))?;
        listed = listed.capabilities(capabilities);
    }
    Ok(listed)
}

#[async_trait]
impl ChatProvider for HostProvider {
    fn profile(&self) -> ProviderProfile {
        self.profile.clone()
    }

    async fn chat(&self, _: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let is_finished = Arc::new(AtomicBool::new(false));
        let calls_tools = Arc::new(AtomicBool::new(false));
        let sink = Sink {
            sender: sender.clone(),
            is_finished: is_finished.clone(),
            calls_tools: calls_tools.clone(),
        };
        let asked = request_object(request);
        let arguments = move |py: Python<'_>| -> PyResult<_> {
            Ok((convert::object_of(py, &asked)?, Py::new(py, sink)?).into_pyobject(py)?.unbind())
        };
        let who = format!("the provider `{}`", self.name);
        let deliver = move |outcome: PyResult<Bound<'_, PyAny>>, py: Python<'_>| {
            let last = match outcome {
                Ok(_) if is_finished.load(Ordering::Acquire) => return,
                // A provider that returns is done.
                Ok(_) if calls_tools.load(Ordering::Acquire) => {
                    Ok(ProviderEvent::Finish(FinishReason::ToolCalls))
                }
                Ok(_) => Ok(ProviderEvent::Finish(FinishReason::Stop)),
                Err(error) => Err(fault::of_exception(py, &error, &who)),
            };
            if let Err(TrySendError::Full(last)) = sender.try_send(last) {
                // There is room for it once what waits is taken.
                let sender = sender.clone();
                crate::runtime::spawn(async move { drop(sender.send(last).await) });
            }
        };
        let running = self.host.begin(&self.chat, Box::new(arguments), Box::new(deliver));
        Ok(events(receiver, running))
    }

    async fn models(&self, _: &Endpoint) -> Result<Vec<ListedModel>> {
        Ok(self.models.clone())
    }
}

/// The events, whose provider is cancelled when they are dropped.
fn events(receiver: mpsc::Receiver<Result<ProviderEvent>>, running: Running) -> ProviderStream {
    stream::unfold((receiver, running), |(mut receiver, running)| async move {
        let event = receiver.recv().await?;
        Some((event, (receiver, running)))
    })
    .boxed()
}

/// A request as the provider sees it.
pub(crate) fn request_object(request: &ChatRequest) -> Value {
    let messages: Vec<Value> = request
        .messages
        .iter()
        .map(|message| {
            json!({
                "role": message.role.as_str(),
                "content": message.content,
                "text": text_of(&message.content),
            })
        })
        .collect();
    let mut object = json!({
        "model": request.model,
        "messages": messages,
        "tools": request.tools,
        "passages": request.passages,
        "stream": request.stream,
    });
    let optional = [
        ("tool_choice", request.tool_choice.as_ref().map(|choice| json!(choice))),
        ("parallel_tool_calls", request.parallel_tool_calls.map(Value::from)),
        ("response_format", request.response_format.as_ref().map(|format| json!(format))),
        ("context_window", request.context_window.map(Value::from)),
        ("extra", (!request.extra.is_empty()).then(|| Value::Object(request.extra.clone()))),
    ];
    if let Some(fields) = object.as_object_mut() {
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if let Ok(Value::Object(sampling)) = serde_json::to_value(&request.sampling) {
            fields.extend(sampling);
        }
    }
    object
}

/// Where a provider puts its events.
#[pyclass(frozen, module = "aimate._aimate")]
pub(crate) struct Sink {
    sender: mpsc::Sender<Result<ProviderEvent>>,
    is_finished: Arc<AtomicBool>,
    calls_tools: Arc<AtomicBool>,
}

#[pymethods]
impl Sink {
    /// Hands an event on: a dict, or a string for its text. Returns what is to be awaited
    /// where the engine is behind; `False` if nobody listens any more.
    fn put(&self, py: Python<'_>, event: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let Some(event) = provider_event(event)? else { return Ok(py.None()) };
        match &event {
            ProviderEvent::Finish(_) => self.is_finished.store(true, Ordering::Release),
            ProviderEvent::ToolCall(_) => self.calls_tools.store(true, Ordering::Release),
            _ => {}
        }
        match self.sender.try_send(Ok(event)) {
            Ok(()) => Ok(py.None()),
            Err(TrySendError::Closed(_)) => Ok(false.into_pyobject(py)?.to_owned().into_any().unbind()),
            Err(TrySendError::Full(event)) => {
                let sender = self.sender.clone();
                let pending = Pending::new(async move {
                    let gone =
                        |_| Fault::Engine(Error::unavailable("nobody listens to this answer any more"));
                    sender.send(event).await.map_err(gone)?;
                    Ok(Outcome::Nothing)
                });
                Ok(Py::new(py, pending)?.into_any())
            }
        }
    }
}

/// The event that an object stands for; `None` for an empty text.
pub(crate) fn provider_event(object: &Bound<'_, PyAny>) -> PyResult<Option<ProviderEvent>> {
    if let Ok(text) = object.cast::<PyString>() {
        let text = text.to_str()?;
        return Ok((!text.is_empty()).then(|| ProviderEvent::Text(text.to_owned())));
    }
    let event = convert::value(object, "event")?;
    let field = |name: &str| event.get(name).and_then(Value::as_str);
    let needed = |name: &'static str| {
        field(name).ok_or_else(|| {
            PyTypeError::new_err(format!("event: has no `{name}`, a string: {}", shortened(&event)))
        })
    };
    let text = |wrap: fn(String) -> ProviderEvent| {
        needed("text").map(|text| (!text.is_empty()).then(|| wrap(text.to_owned())))
    };
    match needed("type")? {
        "text" => text(ProviderEvent::Text),
        "reasoning" => text(ProviderEvent::Reasoning),
        "text_was_reasoning" => Ok(Some(ProviderEvent::TextWasReasoning)),
        "tool_call" => {
            let arguments = event.get("arguments").cloned().unwrap_or_else(|| json!({}));
            let arguments = match arguments {
                Value::String(text) => ToolCall::parse_arguments(&text),
                value => value,
            };
            Ok(Some(ProviderEvent::ToolCall(ToolCall::new(
                field("id").unwrap_or_default(),
                needed("name")?,
                arguments,
            ))))
        }
        "usage" => usage(&event).map(|usage| Some(ProviderEvent::Usage(usage))),
        "warning" => {
            let code: WarningCode = needed("code")?.to_owned().into();
            Ok(Some(ProviderEvent::Warning { code, detail: needed("detail")?.to_owned() }))
        }
        "extra" => {
            let fields = event.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
            Ok(Some(ProviderEvent::Extra(fields)))
        }
        "finish" => {
            let reason = field("reason").and_then(FinishReason::named).unwrap_or(FinishReason::Stop);
            Ok(Some(ProviderEvent::Finish(reason)))
        }
        other => Err(PyValueError::new_err(format!(
            "event: has the type `{other}`; it is `text`, `reasoning`, `text_was_reasoning`, `tool_call`, `usage`, \
             `warning`, `extra` or `finish`"
        ))),
    }
}

fn usage(event: &Value) -> PyResult<TokenUsage> {
    let mut fields = event.as_object().cloned().unwrap_or_default();
    fields.remove("type");
    for name in ["input_tokens", "output_tokens"] {
        fields.entry(name).or_insert_with(|| 0.into());
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| PyTypeError::new_err(format!("event: {error}")))
}

fn shortened(event: &Value) -> String {
    let text = event.to_string();
    text.get(..text.floor_char_boundary(80)).unwrap_or_default().to_owned()
}
