//! A provider that plays a script, for tests of applications.

use std::sync::Arc;
use std::time::Duration;

use aimate::provider::{ChatProvider, ProviderEvent};
use aimate::testing::{ScriptedProvider, Step, answer};
use aimate::{Error, ErrorKind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use serde_json::Value;

use crate::provider::{provider_event, request_object};
use crate::{config, convert};

/// Plays one script for each call, in order; `Hello there` when none is left. A script is a
/// text, or a list of steps: what the model says (as a provider yields it),
/// `{"type": "wait", "seconds": 0.1}`, `{"type": "hang"}` or
/// `{"type": "fail", "code": "upstream", "detail": "…"}`.
#[pyclass(frozen, name = "Script", module = "aimate._aimate")]
pub(crate) struct PlayedScript {
    provider: Arc<ScriptedProvider>,
}

impl PlayedScript {
    pub(crate) fn provider(&self) -> Arc<dyn ChatProvider> {
        self.provider.clone()
    }
}

#[pymethods]
impl PlayedScript {
    #[new]
    fn new(scripts: &Bound<'_, PyAny>) -> PyResult<Self> {
        let script = Self { provider: ScriptedProvider::new([]) };
        for one in scripts.try_iter()? {
            script.push(&one?)?;
        }
        Ok(script)
    }

    /// Adds a script.
    fn push(&self, script: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = script.cast::<PyString>() {
            self.provider.push(answer(text.to_str()?));
            return Ok(());
        }
        let steps: PyResult<Vec<Vec<Step>>> = script.try_iter()?.map(|step| steps(&step?)).collect();
        let mut steps: Vec<Step> = steps?.into_iter().flatten().collect();
        let ends =
            |step: &Step| matches!(step, Step::Hang | Step::Fail(_) | Step::Say(ProviderEvent::Finish(_)));
        if !steps.iter().any(ends) {
            let calls = steps.iter().any(|step| matches!(step, Step::Say(ProviderEvent::ToolCall(_))));
            let reason = if calls { "tool_calls" } else { "stop" };
            steps.push(Step::Say(ProviderEvent::Finish(reason.to_owned().into())));
        }
        self.provider.push(steps);
        Ok(())
    }

    /// What it was asked so far.
    #[getter]
    fn requests<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let requests = self.provider.requests();
        convert::object_of(py, &Value::Array(requests.iter().map(request_object).collect()))
    }

    /// How many answers are being played.
    #[getter]
    fn open(&self) -> usize {
        self.provider.open()
    }
}

fn steps(step: &Bound<'_, PyAny>) -> PyResult<Vec<Step>> {
    let kind = match step.cast::<PyString>() {
        Ok(_) => None,
        Err(_) => step.call_method1("get", ("type",))?.extract::<Option<String>>()?,
    };
    let field = |name: &str| step.call_method1("get", (name,));
    Ok(match kind.as_deref() {
        Some("wait") => vec![Step::Wait(seconds(field("seconds")?.extract()?)?)],
        Some("hang") => vec![Step::Hang],
        Some("fail") => {
            let code: String =
                field("code")?.extract::<Option<String>>()?.unwrap_or_else(|| "upstream".to_owned());
            let kind: ErrorKind = code
                .parse()
                .map_err(|_| PyValueError::new_err(format!("code: there is no code `{code}`")))?;
            let detail: Option<String> = field("detail")?.extract()?;
            vec![Step::Fail(Error::new(kind, detail.unwrap_or_else(|| "the script says so".to_owned())))]
        }
        _ => provider_event(step)?.into_iter().map(Step::Say).collect(),
    })
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    config::duration("seconds", seconds).map_err(|error| PyValueError::new_err(error.to_string()))
}
