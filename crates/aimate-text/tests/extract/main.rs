//! Documents of each kind, good and bad, through `extract`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may say what they mean; the lints know only functions marked as tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod bad;
mod encodings;
mod good;
mod mail;
mod office;
mod old;
mod pdf;
