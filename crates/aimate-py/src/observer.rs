//! Observers of the application's own.

use std::collections::HashMap;
use std::sync::Arc;

use aimate::knowledge::Document;
use aimate::observer::{Observer, TurnSummary};
use aimate::run::Run;
use aimate::usage::{ListedUsage, UsageRecord};
use aimate::{Result, Scope, async_trait};
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use crate::convert;
use crate::host::{Arguments, Function, Host};

/// An object with some of an observer's methods.
pub(crate) struct HostObserver {
    host: Arc<Host>,
    who: String,
    fails_closed: bool,
    /// By their names in [`Observer`].
    methods: HashMap<String, Function>,
}

impl HostObserver {
    /// `plan` is `{"name", "fail_closed", "methods": {name: function(scope, what)}}`.
    pub(crate) fn new(host: &Arc<Host>, plan: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name: String = plan.get_item("name")?.extract()?;
        let methods: HashMap<String, Py<PyAny>> = plan.get_item("methods")?.extract()?;
        Ok(Self {
            host: host.clone(),
            who: format!("the observer `{name}`"),
            fails_closed: plan.get_item("fail_closed")?.extract()?,
            methods: methods.into_iter().map(|(name, method)| (name, Arc::new(method))).collect(),
        })
    }

    async fn call(&self, method: &str, scope: &Scope, what: impl Serialize) -> Result<()> {
        let Some(function) = self.methods.get(method) else { return Ok(()) };
        let what = serde_json::to_value(what).unwrap_or_default();
        self.host.call(&self.who, function, arguments(*scope, what), |_| Ok(())).await
    }

    /// What an observer raises when it is told harms nobody; the log has it.
    async fn tell(&self, method: &str, scope: &Scope, what: impl Serialize) {
        if let Err(error) = self.call(method, scope, what).await {
            tracing::warn!(method, "{error}");
        }
    }
}

fn arguments(scope: Scope, what: Value) -> Arguments {
    Box::new(move |py| {
        let scope = convert::object_of(py, &scope_object(&scope))?;
        Ok((scope, convert::object_of(py, &what)?).into_pyobject(py)?.unbind())
    })
}

/// Who asks, as code of the application sees it.
pub(crate) fn scope_object(scope: &Scope) -> Value {
    json!({"tenant_id": scope.tenant, "user_id": scope.user, "role": scope.role})
}

#[async_trait]
impl Observer for HostObserver {
    fn fail_closed(&self) -> bool {
        self.fails_closed
    }

    async fn before_turn(&self, scope: &Scope, turn: &TurnSummary) -> Result<()> {
        let turn = json!({
            "conversation_id": turn.conversation_id,
            "workspace_id": turn.workspace_id,
            "model": turn.model,
            "question": turn.question,
            "tags": turn.tags,
            "client_id": turn.client_id,
            "is_stored": turn.is_stored,
        });
        self.call("before_turn", scope, turn).await
    }

    async fn run_finished(&self, scope: &Scope, run: &Run) {
        self.tell("run_finished", scope, run).await;
    }

    async fn usage_recorded(&self, scope: &Scope, record: &UsageRecord) {
        // As lists of the API have it.
        let record = ListedUsage { user_id: scope.user, record: record.clone() };
        self.tell("usage_recorded", scope, record).await;
    }

    async fn document_ready(&self, scope: &Scope, document: &Document) {
        self.tell("document_ready", scope, document).await;
    }

    async fn document_failed(&self, scope: &Scope, document: &Document) {
        self.tell("document_failed", scope, document).await;
    }
}
