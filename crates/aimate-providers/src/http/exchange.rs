//! Single requests of other parts of the product, such as a login: under the same rules for
//! addresses, with no retries, and with little patience.

use std::time::Duration;

use aimate_core::provider::AddressSource;
use aimate_core::{Error, Result};
use bytes::Bytes;
use reqwest::{Request, Url};

use super::address_guard::RefusedAddress;
use super::{CONNECT_MS, ClientKey, Redirects, Transport};

/// How long a server may take to answer whole.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer at most.
const MAX_ANSWER: usize = 1 << 20;

impl Transport {
    /// Sends one request and reads the whole answer, of whatever status: at most 1 MiB within
    /// ten seconds. Follows no redirection.
    ///
    /// # Errors
    /// `Invalid` if the address is not of the web; `Forbidden` if the policy for addresses of
    /// `source` refuses it; `Unavailable`, `Timeout`, `TooLarge`.
    pub async fn exchange(
        &self,
        request: ::http::Request<Vec<u8>>,
        source: AddressSource,
    ) -> Result<::http::Response<Vec<u8>>> {
        self.exchanged_within(request, source, PATIENCE).await
    }

    async fn exchanged_within(
        &self,
        request: ::http::Request<Vec<u8>>,
        source: AddressSource,
        patience: Duration,
    ) -> Result<::http::Response<Vec<u8>>> {
        let request = Request::try_from(request)
            .map_err(|error| Error::invalid("the address is no URL").with_source(error.without_url()))?;
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let whole = self.exchanged(request, source, &host);
        tokio::time::timeout(patience, whole)
            .await
            .map_err(|_| Error::timeout(format!("`{host}` did not answer within {} s", patience.as_secs())))?
    }

    async fn exchanged(
        &self,
        request: Request,
        source: AddressSource,
        host: &str,
    ) -> Result<::http::Response<Vec<u8>>> {
        let unavailable = |error: reqwest::Error| match RefusedAddress::in_source_of(&error) {
            Some(refused) => forbidden(host, refused),
            None => {
                Error::unavailable(format!("`{host}` cannot be reached")).with_source(error.without_url())
            }
        };
        let client = self.exchange_client(request.url(), source).await?;
        let mut answer = client.execute(request).await.map_err(unavailable)?;
        let mut response = ::http::Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unavailable)? {
            append(&mut body, &piece, host)?;
        }
        response.body(body).map_err(|error| Error::internal("an answer could not be kept").with_source(error))
    }

    async fn exchange_client(&self, url: &Url, source: AddressSource) -> Result<reqwest::Client> {
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::invalid("the address should begin with `https://`"));
        }
        let refused = |found: RefusedAddress| forbidden(host, &found);
        self.guard(source).check(url).map_err(refused)?;
        let proxy = self.0.proxy.clone().filter(|proxy| !proxy.is_empty());
        let source = match proxy {
            Some(_) => {
                self.guard(source).check_behind_proxy(url).await.map_err(refused)?;
                AddressSource::Operator
            }
            None => source,
        };
        self.client(ClientKey { connect_timeout_ms: CONNECT_MS, proxy, source, redirects: Redirects::Never })
    }
}

fn forbidden(host: &str, refused: &RefusedAddress) -> Error {
    Error::forbidden(format!("`{host}` is not asked: {refused}"))
}

fn append(body: &mut Vec<u8>, piece: &Bytes, host: &str) -> Result<()> {
    if body.len() + piece.len() > MAX_ANSWER {
        return Err(Error::too_large(format!("`{host}` answers with more than {MAX_ANSWER} bytes")));
    }
    body.extend_from_slice(piece);
    Ok(())
}

#[cfg(test)]
mod tests;
