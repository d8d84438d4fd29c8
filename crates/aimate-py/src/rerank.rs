//! Rerankers of the application's own.

use std::sync::Arc;

use aimate::knowledge::Reranker;
use aimate::{Error, Result, async_trait};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::host::{Function, Host};

/// An object with `rerank(query, passages)`.
pub(crate) struct HostReranker {
    host: Arc<Host>,
    name: String,
    rerank: Function,
}

impl HostReranker {
    /// `rerank(query, passages)` returns a score for each passage.
    pub(crate) fn new(host: &Arc<Host>, name: String, rerank: Py<PyAny>) -> Self {
        Self { host: host.clone(), name, rerank: Arc::new(rerank) }
    }
}

#[async_trait]
impl Reranker for HostReranker {
    fn name(&self) -> &str {
        &self.name
    }

    async fn rerank(&self, query: &str, passages: &[String]) -> Result<Vec<f32>> {
        let (query, given) = (query.to_owned(), passages.to_vec());
        let arguments = move |py: Python<'_>| -> PyResult<_> {
            Ok((query, PyList::new(py, given)?).into_pyobject(py)?.unbind())
        };
        let who = format!("the reranker `{}`", self.name);
        let read = |result: &Bound<'_, PyAny>| result.extract::<Vec<f32>>();
        let scores = self.host.call(&who, &self.rerank, Box::new(arguments), read).await?;
        let (is_whole, are_finite) =
            (scores.len() == passages.len(), scores.iter().all(|score| score.is_finite()));
        if is_whole && are_finite {
            return Ok(scores);
        }
        let what = match is_whole {
            false => format!("returned {} scores for {} passages", scores.len(), passages.len()),
            true => "returned a score that is not finite".to_owned(),
        };
        Err(Error::upstream(format!("{who} {what}")))
    }
}
