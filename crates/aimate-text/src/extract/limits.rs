//! How much a document may cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much a document may cost to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The most bytes a file may have. Default: 1 GiB.
    pub input: u64,
    /// The most bytes of text that may come out of it. Default: 20 MiB.
    pub output: usize,
    /// The most bytes of memory a worker may use. Default: 512 MiB.
    pub memory: u64,
    /// The most processor time a worker may use, in whole seconds rounded up.
    /// Default: 30 s.
    pub cpu: Duration,
    /// The longest a caller waits for a worker. Default: 120 s.
    pub wall: Duration,
    /// How many bytes one byte of an archive may become, beyond the first MiB.
    /// Default: 100.
    pub ratio: u64,
    /// The most levels that elements, objects and parts may be nested.
    /// Default: 64.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input: 1 << 30,
            output: 20 << 20,
            memory: 512 << 20,
            cpu: Duration::from_secs(30),
            wall: Duration::from_secs(120),
            ratio: 100,
            depth: 64,
        }
    }
}
