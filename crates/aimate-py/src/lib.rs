//! The native module `aimate._aimate` of the Python package `aimate`.
//!
//! It is small on purpose: what a Python program sees is written in Python
//! (`python/aimate`). Here is what has to be Rust: the engine, the one door to its
//! HTTP API within the process, streams of events, and the way back, from the engine
//! to tools, providers, observers and so on that are written in Python.
//!
//! No thread of the async runtime ever takes Python's lock. What it has for Python
//! goes into the queue of an event loop (`port`) and is made into objects there,
//! so that a busy loop is not interrupted and an interpreter that ends is not entered.

mod asgi;
mod command;
mod config;
mod convert;
mod documents;
mod door;
mod engine;
mod fault;
mod host;
mod log;
mod observer;
mod open;
mod outcome;
mod pending;
mod port;
mod provider;
mod rerank;
mod retriever;
mod runtime;
mod scripted;
mod server;
mod sse;
mod stream;
mod tenant;
mod tool;
mod vector;

use pyo3::prelude::*;

/// The native part of aimate.
#[pymodule(gil_used = false)]
mod _aimate {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::asgi::Exchange;
    #[pymodule_export]
    use crate::command::{command, extract_worker};
    #[pymodule_export]
    use crate::engine::{NativeEngine, generate_key, open};
    #[pymodule_export]
    use crate::host::Reply;
    #[pymodule_export]
    use crate::log::{next_records, set_log_level, stop_log};
    #[pymodule_export]
    use crate::pending::Pending;
    #[pymodule_export]
    use crate::port::Port;
    #[pymodule_export]
    use crate::provider::Sink;
    #[pymodule_export]
    use crate::runtime::shutdown;
    #[pymodule_export]
    use crate::scripted::PlayedScript;
    #[pymodule_export]
    use crate::server::Server;
    #[pymodule_export]
    use crate::stream::Stream;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
