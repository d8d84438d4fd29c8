//! Fuzz targets for aiMate's parsers: whatever comes from outside.
//!
//! A target is a plain function of bytes that panics when something does not
//! hold. The test `fuzz` of this crate runs each for a while on stable Rust with
//! inputs mutated from seeds (`cargo xtask fuzz`); `libfuzzer/` has the same
//! targets for `cargo fuzz`, which is guided by coverage and needs nightly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target says with a panic what does not hold"
)]

mod mutate;
mod run;
pub mod targets;

pub use run::{Failure, Outcome, Plan, replay, run};

/// A function of bytes that must not panic, and where its inputs begin.
pub struct Target {
    /// Its name, which is that of its function and of its file in `libfuzzer`.
    pub name: &'static str,
    /// Panics if something does not hold for these bytes.
    pub run: fn(&[u8]),
    /// Inputs that reach far into what is tested.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What its inputs are made of.
    pub words: &'static [&'static str],
}
