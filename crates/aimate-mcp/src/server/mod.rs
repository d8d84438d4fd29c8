//! The engine as an MCP server: its knowledge as tools and resources, its conversations as
//! tools, its prompts as prompts.
//!
//! [`HttpServer`] answers requests of the streamable HTTP transport, of whichever server
//! has them: clients of revision 2026-07-28 without sessions, older ones within sessions
//! that belong to the user who opened them. [`serve_stdio`] speaks to one client over
//! standard input and output.
//!
//! Who calls is not the protocol's business here: each request comes with its [`McpCaller`],
//! and every tool goes through the engine's own methods in that scope.

mod caller;
mod document_text;
mod error;
mod guard;
mod handler;
mod http;
mod prompts;
mod resources;
mod schema;
mod sessions;
mod stdio;
mod tools;

pub use caller::McpCaller;
pub use guard::{AllowedHosts, WebPolicy};
pub use http::{HttpServer, HttpServerOptions, ResponseBody};
pub use stdio::serve_stdio;
pub use tools::CalledTool;
