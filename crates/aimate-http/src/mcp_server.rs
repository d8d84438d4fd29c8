//! The MCP server of a router.

use aimate_core::Engine;
use aimate_mcp::server::{AllowedHosts, HttpServer, HttpServerOptions, WebPolicy};

use crate::options::Options;

/// The server of a router with these options.
pub(crate) fn server(engine: Engine, options: &Options) -> HttpServer {
    let hosts = match &options.allowed_hosts {
        _ if options.callers.is_local() => AllowedHosts::Loopback,
        hosts if hosts.is_empty() => AllowedHosts::Any,
        hosts => AllowedHosts::Listed(hosts.clone()),
    };
    let origins =
        options.allowed_origins.iter().filter(|origin| crate::options::parse_origin(origin).is_some());
    HttpServer::new(engine, HttpServerOptions::new(WebPolicy { hosts, origins: origins.cloned().collect() }))
}
