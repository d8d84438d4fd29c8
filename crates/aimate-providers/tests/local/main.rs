//! The embedder that computes in this process, on tiny random models whose
//! vectors are worked out here by definition, and on all-MiniLM-L6-v2 where
//! `AIMATE_TEST_MODEL` names its folder (`cargo xtask test` sees to that).
#![cfg(feature = "local")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests, which may say what they mean"
)]

mod damage;
mod kinds;
mod minilm;
mod network;
mod reranker;
mod tiny;
