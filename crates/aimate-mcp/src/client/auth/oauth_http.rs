//! The HTTP client of OAuth: the guarded one, within bounds.

use aimate_core::provider::AddressSource;
use aimate_providers::{Redirects, Transport};
use rmcp::transport::auth::{OAuthHttpClient, OAuthHttpClientError, OAuthHttpClientFuture, OAuthHttpRequest};
use url::{Host, Url};

/// Requests to a server about its authorization, and to the authorization server.
pub(super) struct OAuthHttp {
    transport: Transport,
    /// The host of the tool server, and who gave it.
    host: Option<String>,
    source: AddressSource,
}

impl OAuthHttp {
    pub(super) fn new(transport: &Transport, url: &str, source: AddressSource) -> Self {
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        Self { transport: transport.clone(), host, source }
    }

    /// Refuses an address that is not one of OAuth, or that the policy does not let be reached.
    pub(super) async fn vet(&self, address: &str) -> Result<(), OAuthHttpClientError> {
        let source = self.source_of(address)?;
        self.transport.raw_client(address, source, Redirects::Never).await?;
        Ok(())
    }

    /// Who vouches for an address: the operator for their server, not for where it leads.
    fn source_of(&self, address: &str) -> Result<AddressSource, OAuthHttpClientError> {
        let host = check(address)?;
        Ok(if host == self.host { self.source } else { AddressSource::Untrusted })
    }
}

impl OAuthHttpClient for OAuthHttp {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        // Redirects are not followed: what was asked for is at its address, or is not there.
        Box::pin(async move {
            let source = self.source_of(&request.request.uri().to_string())?;
            Ok(self.transport.exchange(request.request, source).await?)
        })
    }
}

/// The host of an address of OAuth. Tokens go there, and people: it is `https:`, or on this
/// machine, where the policy says whether it is reached.
pub(super) fn check(address: &str) -> Result<Option<String>, &'static str> {
    let url = Url::parse(address).map_err(|_| "an address of the authorization server is no URL")?;
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_local;
    if !is_safe || !url.username().is_empty() || url.password().is_some() {
        return Err("an address of the authorization server is not `https:`");
    }
    Ok(url.host_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_https_or_on_this_machine() {
        for address in
            ["https://as.example.org/authorize", "http://127.0.0.1:8080/", "http://localhost/token"]
        {
            assert!(check(address).is_ok(), "{address}");
        }
        for address in [
            "http://as.example.org/authorize",
            "javascript:alert(1)",
            "data:text/html,<script>",
            "file:///etc/passwd",
            "https://user:key@as.example.org/",
            "http://127.0.0.1.example.org/",
            "//as.example.org",
            "",
        ] {
            assert!(check(address).is_err(), "{address}");
        }
    }
}
