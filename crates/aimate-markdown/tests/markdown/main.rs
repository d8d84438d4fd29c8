//! Markdown as HTML: what it becomes, that it is safe, and what it costs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may say what they mean, as tests may"
)]

mod cost;
mod render;
mod safety;
mod stream;
