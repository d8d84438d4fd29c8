//! The client against servers that do wrong, and many users at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    reason = "tests fail by panicking, start tasks of their own, and take what `json!` makes"
)]

mod faults;
mod login;
#[cfg(all(feature = "stdio", unix))]
mod peers;
mod person;
mod server;
#[cfg(all(feature = "stdio", unix))]
mod stdio;
mod talk;
mod users;

use std::collections::BTreeMap;

use aimate_core::provider::AddressSource;
use aimate_core::tool::{ToolAccess, ToolEndpoint};
use aimate_core::{Role, Scope, Secret, TenantId, ToolServerId, UserId};
use aimate_mcp::client::McpClient;
use aimate_providers::Transport;

pub(crate) fn client() -> McpClient {
    McpClient::new(Transport::new())
}

/// The n-th user.
pub(crate) fn scope(number: u128) -> Scope {
    let id = |number: u128| uuid::Uuid::from_u128(number);
    Scope { tenant: TenantId(id(1)), user: UserId(id(number)), role: Role::User }
}

/// The server at `url` for the n-th user, with these headers.
pub(crate) fn endpoint_of(number: u128, url: &str, headers: &[(&str, &str)]) -> ToolEndpoint {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value)));
    let access = ToolAccess::Http {
        url: url.to_owned(),
        source: AddressSource::Untrusted,
        headers: headers.collect::<BTreeMap<_, _>>(),
        tokens: None,
    };
    ToolEndpoint::new(ToolServerId(uuid::Uuid::from_u128(7)), "fault", scope(number), access)
}

pub(crate) fn endpoint(url: &str) -> ToolEndpoint {
    endpoint_of(1, url, &[])
}
