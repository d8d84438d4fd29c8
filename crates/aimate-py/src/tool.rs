//! Functions of the application's own as tools.

use std::sync::Arc;

use aimate::tool::{HostTool, ToolContext, ToolOutput, ToolPolicy};
use aimate::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use serde_json::Value;

use crate::convert;
use crate::host::{Arguments, Function, Host};

/// A tool of `{"name", "description", "parameters", "policy", "title"}`, called as
/// `call(arguments, context)`, which returns `("text" | "value" | "error", what)`.
///
/// # Errors
/// `Invalid` if a field is missing.
pub(crate) fn host_tool(host: &Arc<Host>, spec: &Value, call: Py<PyAny>) -> Result<HostTool> {
    let text = |name: &str| spec.get(name).and_then(Value::as_str);
    let name = text("name").ok_or_else(|| Error::field("name", "is missing"))?.to_owned();
    let description = text("description").unwrap_or_default();
    let parameters = spec.get("parameters").cloned().unwrap_or_else(|| serde_json::json!({"type": "object"}));
    let (host, function): (_, Function) = (host.clone(), Arc::new(call));
    let who = format!("the tool `{name}`");
    let handler = move |context: ToolContext, arguments: Value| {
        let (host, function, who) = (host.clone(), function.clone(), who.clone());
        async move { host.call(&who, &function, arguments_of(context, arguments), output).await }
    };
    let mut tool = HostTool::new(name, description, parameters, handler);
    if let Some(policy) = text("policy") {
        let wrong = |_| Error::field("policy", format!("is `{policy}`; it is `allow`, `ask` or `deny`"));
        tool = tool.policy(serde_json::from_value::<ToolPolicy>(policy.into()).map_err(wrong)?);
    }
    if let Some(title) = text("title") {
        tool = tool.title(title);
    }
    Ok(tool)
}

fn arguments_of(context: ToolContext, arguments: Value) -> Arguments {
    Box::new(move |py| {
        let given = convert::object_of(py, &arguments)?;
        let told = PyDict::new(py);
        told.set_item("tenant_id", context.scope.tenant.to_string())?;
        told.set_item("user_id", context.scope.user.to_string())?;
        told.set_item("role", context.scope.role.as_str())?;
        told.set_item("conversation_id", context.conversation_id.map(|id| id.to_string()))?;
        told.set_item("run_id", context.run_id.map(|id| id.to_string()))?;
        told.set_item("call_id", &context.call_id)?;
        told.set_item("idempotency_key", &context.idempotency_key)?;
        told.set_item("knowledge", &context.knowledge)?;
        let caller = context.caller.clone();
        let progress = PyCFunction::new_closure(py, None, None, move |arguments: &Bound<'_, PyTuple>, _| {
            let progress = convert::value(&arguments.get_item(0)?, "progress")?;
            let progress = serde_json::from_value(progress);
            caller.progress(
                progress.map_err(|error| pyo3::exceptions::PyTypeError::new_err(error.to_string()))?,
            );
            PyResult::Ok(())
        })?;
        told.set_item("progress", progress)?;
        Ok((given, told).into_pyobject(py)?.unbind())
    })
}

fn output(result: &Bound<'_, PyAny>) -> PyResult<ToolOutput> {
    let (kind, what): (String, Bound<'_, PyAny>) = result.extract()?;
    let what = convert::value(&what, "the tool's result")?;
    Ok(match (kind.as_str(), what) {
        ("error", what) => ToolOutput::error(what.as_str().unwrap_or_default()),
        ("text", Value::String(text)) => ToolOutput::text(text),
        (_, value) => ToolOutput::value(value),
    })
}
