//! What went wrong, on its way to an exception.

use std::time::Duration;

use aimate::{Error, ErrorKind};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What the engine says.
    Engine(Error),
    /// What the HTTP API says: an RFC 9457 problem with this status.
    Problem(u16, Bytes),
    /// Its own words, as `aimate.ClosedError`.
    Closed(&'static str),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

/// The result of work for Python.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// A bug of aiMate, of which the log has more.
pub(crate) fn bug() -> Fault {
    Fault::Engine(Error::internal("aiMate failed unexpectedly; its log says more"))
}

impl Fault {
    /// The engine was closed before.
    pub(crate) fn closed() -> Self {
        Self::Closed("this engine is closed; open another one")
    }

    /// The exception for it: one class a code, `aimate.errors`.
    pub(crate) fn into_error(self, py: Python<'_>) -> PyErr {
        match self.exception(py) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    }

    fn exception(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let errors = py.import("aimate.errors")?;
        match self {
            Self::Closed(why) => errors.getattr("ClosedError")?.call1((why,)),
            Self::Problem(status, body) => {
                let problem = convert::object(py, &body).unwrap_or_else(|_| PyDict::new(py).into_any());
                errors.call_method1("of_problem", (status, problem))
            }
            Self::Engine(error) => {
                let fields = PyDict::new(py);
                for field in error.fields() {
                    fields.set_item(&field.path, &field.message)?;
                }
                let retry_after = error.retry_after().map(|wait| wait.as_secs_f64());
                let arguments = (error.kind().as_str(), error.message(), fields, retry_after);
                errors.call_method1("of_code", arguments)
            }
        }
    }
}

/// What an exception of the application's own code becomes for the engine: the kind and
/// the sentence of an `aimate.AimateError`; of any other its type alone, since its text
/// may be meant for nobody but the log.
pub(crate) fn of_exception(py: Python<'_>, error: &PyErr, who: &str) -> Error {
    if let Some(error) = of_aimate(py, error) {
        return error;
    }
    let name = error.get_type(py).name().map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    Error::upstream(format!("{who} raised {name}; the log says more"))
}

/// Why a result of the application's own code is of no use. The sentence is this module's,
/// or Python's of a type.
pub(crate) fn of_result(py: Python<'_>, error: &PyErr, who: &str) -> Error {
    of_aimate(py, error)
        .unwrap_or_else(|| Error::upstream(format!("what {who} returned is of no use: {}", error.value(py))))
}

fn of_aimate(py: Python<'_>, error: &PyErr) -> Option<Error> {
    let known = || -> PyResult<Option<Error>> {
        let base = py.import("aimate.errors")?.getattr("AimateError")?;
        let exception = error.value(py);
        if !exception.is_instance(&base)? {
            return Ok(None);
        }
        let code: String = exception.getattr("code")?.extract()?;
        let detail: String = exception.getattr("detail")?.extract()?;
        let error = Error::new(code.parse().unwrap_or(ErrorKind::Internal), detail);
        let wait: Option<f64> = exception.getattr("retry_after")?.extract()?;
        let wait = wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Some(match wait {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }))
    };
    known().ok().flatten()
}
