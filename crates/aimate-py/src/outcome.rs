//! What came of a call, on its way to an object.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::fault::{Result, bug};

/// Makes an object, where Python's lock is held.
type Make = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What came of a call, to be made an object where Python's lock is held.
pub(crate) enum Outcome {
    /// `None`.
    Nothing,
    /// JSON.
    Json(Bytes),
    /// Bytes as they are.
    Bytes(Bytes),
    /// What this makes.
    Made(Make),
}

impl Outcome {
    pub(crate) fn into_object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Nothing => Ok(py.None()),
            Self::Json(json) => convert::object(py, &json).map(Bound::unbind),
            Self::Bytes(bytes) => Ok(PyBytes::new(py, &bytes).into_any().unbind()),
            Self::Made(make) => make(py),
        }
    }

    /// A serializable value as an object.
    pub(crate) fn of(value: &impl serde::Serialize) -> Result<Self> {
        serde_json::to_vec(value).map(|json| Self::Json(json.into())).map_err(|_| bug())
    }
}
