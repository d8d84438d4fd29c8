//! The engine's client of MCP servers.
