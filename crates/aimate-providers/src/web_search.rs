//! Search engines of the web.

use std::time::Duration;

use aimate_core::connection::ConnectionSettings;
use aimate_core::provider::{AddressSource, Endpoint, ProviderId};
use aimate_core::tool::{WebHit, WebSearch};
use aimate_core::{Error, Result, Secret};
use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::{Call, MAX_BODY, Transport};

/// Whom logs and errors name: a search engine has no provider beside it.
const PROVIDER: ProviderId = ProviderId::from_static("web_search");
/// How long a tool waits for a search engine.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Pages that Brave returns at most.
const BRAVE_MOST: u32 = 20;

/// A SearXNG server, which asks other search engines. Its settings must allow the format
/// `json`.
///
/// ```
/// use aimate_providers::{SearxngSearch, Transport};
/// let search = SearxngSearch::new(Transport::new(), "http://127.0.0.1:8888");
/// # let _ = search;
/// ```
#[derive(Clone)]
pub struct SearxngSearch {
    transport: Transport,
    endpoint: Endpoint,
}

impl SearxngSearch {
    /// A server at `url`, to which `/search` is added.
    pub fn new(transport: Transport, url: &str) -> Self {
        let url = url.trim_end_matches('/');
        let url = url.strip_suffix("/search").unwrap_or(url);
        Self { transport, endpoint: endpoint("SearXNG", url, None) }
    }
}

/// Brave's search API.
#[derive(Clone)]
pub struct BraveSearch {
    transport: Transport,
    endpoint: Endpoint,
}

impl BraveSearch {
    /// The API of Brave, with this key.
    pub fn new(transport: Transport, key: Secret) -> Self {
        Self::at(transport, "https://api.search.brave.com", key)
    }

    /// The same API at another address, such as a proxy's.
    pub fn at(transport: Transport, url: &str, key: Secret) -> Self {
        Self { transport, endpoint: endpoint("Brave Search", url.trim_end_matches('/'), Some(key)) }
    }
}

fn endpoint(name: &str, url: &str, api_key: Option<Secret>) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        provider: PROVIDER,
        url: url.to_owned(),
        address_source: AddressSource::Operator,
        api_key,
        settings: ConnectionSettings {
            first_byte_timeout_ms: u64::try_from(TIMEOUT.as_millis()).ok(),
            retries: Some(1),
            ..ConnectionSettings::default()
        },
    }
}

#[derive(Deserialize)]
struct SearxngResponse {
    results: Vec<SearxngPage>,
}

#[derive(Deserialize)]
struct SearxngPage {
    url: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default, rename = "publishedDate")]
    published: Option<String>,
}

#[async_trait]
impl WebSearch for SearxngSearch {
    async fn search(&self, query: &str, limit: u32) -> Result<Vec<WebHit>> {
        let path = format!("/search?format=json&q={}", encoded(query));
        let response: SearxngResponse = ask(&self.transport, &Call::get(&self.endpoint, &path)).await?;
        let hits = response.results.into_iter().take(limit as usize).map(|page| {
            let mut hit = WebHit::new(
                plain(&page.title.unwrap_or_default()),
                page.url,
                plain(&page.content.unwrap_or_default()),
            );
            hit.published = page.published.filter(|at| !at.is_empty());
            hit
        });
        Ok(hits.collect())
    }
}

#[derive(Deserialize)]
struct BraveResponse {
    /// Absent if nothing was found.
    #[serde(default)]
    web: Option<BravePages>,
}

#[derive(Deserialize)]
struct BravePages {
    #[serde(default)]
    results: Vec<BravePage>,
}

#[derive(Deserialize)]
struct BravePage {
    url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    page_age: Option<String>,
}

#[async_trait]
impl WebSearch for BraveSearch {
    async fn search(&self, query: &str, limit: u32) -> Result<Vec<WebHit>> {
        let count = limit.clamp(1, BRAVE_MOST);
        let path = format!("/res/v1/web/search?count={count}&q={}", encoded(query));
        let call = Call::get(&self.endpoint, &path).with_key_in("x-subscription-token");
        let response: BraveResponse = ask(&self.transport, &call).await?;
        let pages = response.web.map(|web| web.results).unwrap_or_default();
        let hits = pages.into_iter().take(limit as usize).map(|page| {
            let mut hit =
                WebHit::new(plain(&page.title), page.url, plain(&page.description.unwrap_or_default()));
            hit.published = page.page_age;
            hit
        });
        Ok(hits.collect())
    }
}

async fn ask<T: DeserializeOwned>(transport: &Transport, call: &Call<'_>) -> Result<T> {
    let mut response = transport.send(call).await?;
    let body = response.read_all(MAX_BODY).await?;
    serde_json::from_slice(&body).map_err(|error| -> Error {
        response.errors.invalid_response("the response is no list of pages", &body).with_source(error)
    })
}

fn encoded(query: &str) -> String {
    utf8_percent_encode(query, NON_ALPHANUMERIC).to_string()
}

/// Without the marks that search engines put around the words they found, and with the
/// few characters that they escape.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        text.push_str(before);
        let is_tag = tag.chars().nth(1).is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
        match tag.find('>').filter(|_| is_tag) {
            Some(end) => rest = tag.get(end + 1..).unwrap_or_default(),
            None => {
                text.push('<');
                rest = tag.get(1..).unwrap_or_default();
            }
        }
    }
    text.push_str(rest);
    for (escaped, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&amp;", "&")]
    {
        text = text.replace(escaped, character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_search_engines_are_taken_off() {
        for (html, text) in [
            ("The <strong>boiler</strong> &amp; the pump", "The boiler & the pump"),
            ("1 < 2 and <b>3</b>", "1 < 2 and 3"),
            ("open <b", "open <b"),
            ("&amp;lt;", "&lt;"),
            ("<", "<"),
        ] {
            assert_eq!(plain(html), text);
        }
    }
}
