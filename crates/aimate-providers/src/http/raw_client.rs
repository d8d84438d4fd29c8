//! The client for protocols that bring their own requests, such as MCP and OAuth.

use std::error::Error as StdError;

use aimate_core::provider::AddressSource;
use aimate_core::{Error, Result};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, StatusCode, Url};

use super::address_guard::RefusedAddress;
use super::{CONNECT_MS, ClientKey, Transport};

/// Maximum redirects within one origin.
const MAX_REDIRECTS: usize = 5;

/// Where a raw client goes on to by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Redirects {
    /// Nowhere: a redirect is an answer.
    Never,
    /// To another path of the same origin, with the same method and body (307 and 308).
    SameOrigin,
}

impl Redirects {
    pub(super) fn policy(self) -> Policy {
        match self {
            Self::Never => Policy::none(),
            Self::SameOrigin => {
                Policy::custom(
                    |attempt| {
                        if leads_within_origin(&attempt) { attempt.follow() } else { attempt.stop() }
                    },
                )
            }
        }
    }
}

/// The origin is that of the first request, whose address was checked; a name is resolved and
/// checked again.
fn leads_within_origin(attempt: &Attempt<'_>) -> bool {
    let keeps_body =
        matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let first = attempt.previous().first();
    keeps_body
        && attempt.previous().len() <= MAX_REDIRECTS
        && first.is_some_and(|first| first.origin() == attempt.url().origin())
}

impl Transport {
    /// A client for requests to the origin of `url`, an address that `source` gave; for no
    /// other origin, since literal addresses are checked here alone. What a name resolves to is
    /// checked at each connection. It has no deadline but that of connecting (5 s), and bounds
    /// no answer: whoever sends does.
    ///
    /// # Errors
    /// `Invalid` if `url` is none of `http` or `https`, or has credentials; `Forbidden` if the
    /// policy of the source refuses it.
    pub async fn raw_client(&self, url: &str, source: AddressSource, redirects: Redirects) -> Result<Client> {
        let url = Url::parse(url).map_err(|error| Error::field("url", format!("is not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(Error::field("url", "should begin with `http://` or `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::field("url", "has credentials; they belong into a header"));
        }
        let refused = |refused: RefusedAddress| Error::forbidden(format!("`url`: {refused}"));
        self.guard(source).check(&url).map_err(refused)?;
        let key = ClientKey { connect_timeout_ms: CONNECT_MS, proxy: None, source, redirects };
        let Some(proxy) = self.0.proxy.as_ref().filter(|proxy| !proxy.is_empty()) else {
            return self.client(key);
        };
        let address = Url::parse(proxy)
            .map_err(|error| Error::invalid(format!("the proxy of the transport is no URL: {error}")))?;
        self.guard(AddressSource::Operator).check(&address).map_err(refused)?;
        self.guard(source).check_behind_proxy(&url).await.map_err(refused)?;
        self.client(ClientKey { proxy: Some(proxy.clone()), source: AddressSource::Operator, ..key })
    }

    /// Why the policy refused what a raw client was to connect to, if that is what `error`
    /// came of.
    pub fn refusal(error: &(dyn StdError + 'static)) -> Option<String> {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        causes.filter_map(|error| error.downcast_ref::<RefusedAddress>()).map(ToString::to_string).next()
    }
}

#[cfg(test)]
mod tests {
    use aimate_core::ErrorKind;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::AddressPolicy;

    /// A server that answers one request after the other with these heads.
    #[allow(clippy::disallowed_methods, reason = "a test's server runs beside the test")]
    async fn server(heads: Vec<String>) -> (String, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut answered = 0;
            for head in heads {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4_096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                let answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                answered += 1;
            }
            answered
        });
        (url, task)
    }

    #[tokio::test]
    async fn raw_client_follows_within_its_origin_alone() {
        let (url, asked) =
            server(vec!["307 Temporary Redirect\r\nlocation: /mcp/".to_owned(), "200 OK".to_owned()]).await;
        let client =
            Transport::new().raw_client(&url, AddressSource::Operator, Redirects::SameOrigin).await.unwrap();
        let answer = client.post(&url).body("{}").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.url().path()), (200, "/mcp/"));
        assert_eq!(asked.await.unwrap(), 2);

        let (elsewhere, _unasked) = server(vec!["200 OK".to_owned()]).await;
        for (status, location, redirects) in [
            ("307 Temporary Redirect", elsewhere.as_str(), Redirects::SameOrigin),
            ("302 Found", "/mcp/", Redirects::SameOrigin),
            ("308 Permanent Redirect", "/mcp/", Redirects::Never),
        ] {
            let (url, _) = server(vec![format!("{status}\r\nlocation: {location}")]).await;
            let client = Transport::new().raw_client(&url, AddressSource::Operator, redirects).await.unwrap();
            let answer = client.post(&url).body("{}").send().await.unwrap();
            assert!(status.starts_with(answer.status().as_str()), "{status}: {}", answer.status());
        }
    }

    #[tokio::test]
    async fn address_outside_of_the_policy_is_not_reached() {
        let strict = Transport::new().untrusted_policy(AddressPolicy::public_only());
        for url in ["http://127.0.0.1:9/", "http://[::1]:81/", "http://169.254.169.254/", "http://10.0.0.1/"]
        {
            let refused =
                strict.raw_client(url, AddressSource::Untrusted, Redirects::Never).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Forbidden, "{url}");
        }
        for url in ["file:///etc/passwd", "ftp://example.org/", "http://user:key@example.org/", "nothing"] {
            let refused =
                strict.raw_client(url, AddressSource::Operator, Redirects::Never).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{url}");
        }
        let url = "http://localhost:8081/";
        let client = strict.raw_client(url, AddressSource::Untrusted, Redirects::Never).await.unwrap();
        let error = client.get(url).send().await.unwrap_err();
        assert!(Transport::refusal(&error).is_some_and(|why| why.contains("localhost")), "{error:?}");
    }
}
