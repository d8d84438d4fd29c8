//! The Model Context Protocol (MCP), both ways: [`client`] reaches the tools of MCP servers
//! for the engine, [`server`] offers the engine's knowledge and conversations to MCP clients.
//!
//! Both are thin layers over the official SDK `rmcp`, which no other crate knows.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
