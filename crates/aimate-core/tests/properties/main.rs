//! What holds for every value.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod cursor;
mod filter;
