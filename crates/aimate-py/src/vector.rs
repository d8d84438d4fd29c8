//! Embedders of the application's own.

use std::sync::Arc;

use aimate::knowledge::{EmbedPurpose, Embedder, EmbeddingModel};
use aimate::{Error, Result, async_trait};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::host::{Function, Host};

/// An object with `embed(texts)`.
pub(crate) struct HostEmbedder {
    host: Arc<Host>,
    model: EmbeddingModel,
    embed: Function,
}

impl HostEmbedder {
    /// `embed(texts, purpose)` returns a list of lists of numbers; or the bytes of an array of
    /// 32-bit floats, row by row, and how many are in a row.
    pub(crate) fn new(host: &Arc<Host>, model: EmbeddingModel, embed: Py<PyAny>) -> Self {
        Self { host: host.clone(), model, embed: Arc::new(embed) }
    }

    fn checked(&self, vectors: Vec<Vec<f32>>, texts: usize) -> Result<Vec<Vec<f32>>> {
        let (name, dimensions) = (&self.model.name, self.model.dimensions as usize);
        let wrong = |what: String| Err(Error::upstream(format!("the embedder `{name}` {what}")));
        if vectors.len() != texts {
            return wrong(format!("returned {} vectors for {texts} texts", vectors.len()));
        }
        for (n, vector) in vectors.iter().enumerate() {
            if vector.len() != dimensions {
                return wrong(format!(
                    "returned a vector of {} numbers (row {n}); its own are of {dimensions}",
                    vector.len()
                ));
            }
            if vector.iter().any(|number| !number.is_finite()) {
                return wrong(format!("returned a number that is not finite (row {n})"));
            }
        }
        Ok(vectors)
    }
}

#[async_trait]
impl Embedder for HostEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    async fn embed(&self, texts: &[String], purpose: EmbedPurpose) -> Result<Vec<Vec<f32>>> {
        let given = texts.to_vec();
        let purpose = match purpose {
            EmbedPurpose::Passage => "passage",
            EmbedPurpose::Query => "query",
        };
        let arguments = move |py: Python<'_>| -> PyResult<_> {
            Ok((PyList::new(py, given)?, purpose).into_pyobject(py)?.unbind())
        };
        let who = format!("the embedder `{}`", self.model.name);
        let vectors = self.host.call(&who, &self.embed, Box::new(arguments), vectors).await?;
        self.checked(vectors, texts.len())
    }
}

/// The vectors that were returned.
fn vectors(result: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<f32>>> {
    let Ok((bytes, columns)) = result.extract::<(Bound<'_, PyBytes>, usize)>() else {
        return result.extract();
    };
    let numbers = bytes.as_bytes().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four));
    let numbers: Vec<f32> = numbers.collect();
    Ok(numbers.chunks(columns.max(1)).map(<[f32]>::to_vec).collect())
}
