//! Limits on what a document may cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits on what a document may cost to read.
///
/// ```
/// use aimate_text::extract::Limits;
/// let limits = Limits::default().output(1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum bytes of a file. Default: 1 GiB.
    pub input: u64,
    /// Maximum bytes of extracted text. Default: 20 MiB.
    pub output: usize,
    /// Maximum bytes of memory of a worker. Default: 512 MiB.
    pub memory: u64,
    /// Maximum CPU time of a worker, rounded up to whole seconds. Default: 30 s.
    pub cpu: Duration,
    /// Maximum time that a caller waits for a worker. Default: 120 s.
    pub wall: Duration,
    /// Maximum ratio of unpacked to packed bytes of an archive, beyond the first
    /// MiB. Default: 100.
    pub ratio: u64,
    /// Maximum nesting of elements, objects and parts. Default: 64.
    pub depth: usize,
    /// Maximum pages, slides, sheets or chapters. Default: 10,000.
    pub pages: usize,
    /// Maximum nesting of documents: messages within messages, files attached to
    /// them. Default: 8.
    pub nesting: usize,
    /// Maximum parts, messages and attached files that are read of one document.
    /// Default: 10,000.
    pub parts: usize,
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
            pages: 10_000,
            nesting: 8,
            parts: 10_000,
        }
    }
}

impl Limits {
    /// Sets [`Limits::input`].
    #[must_use]
    pub fn input(self, bytes: u64) -> Self {
        Self { input: bytes, ..self }
    }

    /// Sets [`Limits::output`].
    #[must_use]
    pub fn output(self, bytes: usize) -> Self {
        Self { output: bytes, ..self }
    }

    /// Sets [`Limits::memory`].
    #[must_use]
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: bytes, ..self }
    }

    /// Sets [`Limits::cpu`].
    #[must_use]
    pub fn cpu(self, time: Duration) -> Self {
        Self { cpu: time, ..self }
    }

    /// Sets [`Limits::wall`].
    #[must_use]
    pub fn wall(self, time: Duration) -> Self {
        Self { wall: time, ..self }
    }

    /// Sets [`Limits::ratio`].
    #[must_use]
    pub fn ratio(self, ratio: u64) -> Self {
        Self { ratio, ..self }
    }

    /// Sets [`Limits::depth`].
    #[must_use]
    pub fn depth(self, levels: usize) -> Self {
        Self { depth: levels, ..self }
    }

    /// Sets [`Limits::pages`].
    #[must_use]
    pub fn pages(self, pages: usize) -> Self {
        Self { pages, ..self }
    }

    /// Sets [`Limits::nesting`].
    #[must_use]
    pub fn nesting(self, levels: usize) -> Self {
        Self { nesting: levels, ..self }
    }

    /// Sets [`Limits::parts`].
    #[must_use]
    pub fn parts(self, parts: usize) -> Self {
        Self { parts, ..self }
    }
}
