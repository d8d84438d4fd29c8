//! Retrievers of the application's own.

use std::sync::Arc;

use aimate::knowledge::{Retriever, SourcePassage};
use aimate::{Error, Result, Scope, async_trait};
use pyo3::prelude::*;
use serde_json::Value;

use crate::convert;
use crate::host::{Function, Host};
use crate::observer::scope_object;

/// An object with `retrieve(scope, question, limit)`.
pub(crate) struct HostRetriever {
    host: Arc<Host>,
    who: String,
    retrieve: Function,
}

impl HostRetriever {
    /// `retrieve(scope, question, limit)` returns a list of passages, as dicts.
    pub(crate) fn new(host: &Arc<Host>, name: &str, retrieve: Py<PyAny>) -> Self {
        Self { host: host.clone(), who: format!("the retriever `{name}`"), retrieve: Arc::new(retrieve) }
    }

    fn passage(&self, n: usize, passage: Value) -> Result<SourcePassage> {
        serde_json::from_value(passage).map_err(|error| {
            Error::upstream(format!(
                "{} returned a passage (number {}) that is none: {error}",
                self.who,
                n + 1
            ))
        })
    }
}

#[async_trait]
impl Retriever for HostRetriever {
    async fn retrieve(&self, scope: &Scope, question: &str, limit: u32) -> Result<Vec<SourcePassage>> {
        let (scope, question) = (scope_object(scope), question.to_owned());
        let arguments = move |py: Python<'_>| -> PyResult<_> {
            let scope = convert::object_of(py, &scope)?;
            Ok((scope, question, limit).into_pyobject(py)?.unbind())
        };
        let read = |found: &Bound<'_, PyAny>| convert::value(found, "passages");
        let found = self.host.call(&self.who, &self.retrieve, Box::new(arguments), read).await?;
        let Value::Array(found) = found else {
            return Err(Error::upstream(format!("{} returned no list of passages", self.who)));
        };
        found.into_iter().enumerate().map(|(n, passage)| self.passage(n, passage)).collect()
    }
}
