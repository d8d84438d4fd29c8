//! Fetches documents from the URLs of users. URLs are untrusted: the policy of
//! the transport checks each address, those of redirects too.

use std::time::Duration;

use aimate_core::knowledge::{ByteStream, Fetched, Fetcher};
use aimate_core::{Error, MediaType, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use percent_encoding::percent_decode_str;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response, Url};
use tokio::time::{Instant, timeout_at};

use super::address_guard::{RefusedAddress, is_public};
use super::deadline::after;
use super::{ClientKey, Transport};

/// Maximum redirects.
const MAX_REDIRECTS: usize = 5;

/// How long a server may take.
#[derive(Clone, Copy)]
struct Timeouts {
    /// Until the response head, for each redirect anew.
    head: Duration,
    /// Between two pieces of the body.
    idle: Duration,
    /// For everything, since a server could send a byte now and then for ever.
    total: Duration,
}

const TIMEOUTS: Timeouts = Timeouts {
    head: Duration::from_secs(30),
    idle: Duration::from_secs(30),
    total: Duration::from_secs(600),
};

#[async_trait]
impl Fetcher for Transport {
    async fn fetch(&self, url: &str, max: u64) -> Result<Fetched> {
        fetch(self, url, max, TIMEOUTS).await
    }
}

async fn fetch(transport: &Transport, url: &str, max: u64, timeouts: Timeouts) -> Result<Fetched> {
    let deadline = after(timeouts.total);
    let mut url = Url::parse(url).map_err(|error| invalid(format!("is not a URL: {error}")))?;
    let mut reach = Reach::Policy;
    for _ in 0..=MAX_REDIRECTS {
        check(&mut url)?;
        let response = send(transport, &url, reach, timeouts, deadline).await?;
        match redirect_target(&url, &response)? {
            Some(next) => {
                // What is not known to be private is taken for public.
                if response.remote_addr().is_none_or(|address| is_public(address.ip())) {
                    reach = Reach::Public;
                }
                url = next;
            }
            None => return into_fetched(&url, response, max, timeouts, deadline),
        }
    }
    Err(invalid(format!("leads to another address more than {MAX_REDIRECTS} times")))
}

/// Which addresses may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Those of the transport's policy for untrusted addresses: a user named this one.
    Policy,
    /// Public ones alone: a public server named it, and must not reach by this one
    /// what is private to it.
    Public,
}

/// Refuses what is not a plain web address.
fn check(url: &mut Url) -> Result<()> {
    // The guard knows how these two schemes write a host, and no others.
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(invalid("should begin, and lead on, with `http://` or `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("holds a user or password; only public addresses are fetched"));
    }
    url.set_fragment(None);
    Ok(())
}

async fn send(
    transport: &Transport,
    url: &Url,
    reach: Reach,
    timeouts: Timeouts,
    deadline: Instant,
) -> Result<Response> {
    let refused = |refused: &RefusedAddress| match reach {
        Reach::Policy => Error::forbidden(format!("`url`: {refused}")),
        Reach::Public => {
            Error::forbidden("`url` leads from a public address to one that is not; add that one itself")
        }
    };
    let (guard, client) = match reach {
        Reach::Policy => (&transport.0.untrusted_guard, transport.client(ClientKey::of_pages())?),
        Reach::Public => (&transport.0.public_guard, transport.public_client()?),
    };
    guard.check(url).map_err(|found| refused(&found))?;
    let mut request = Request::new(Method::GET, url.clone());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
    request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let by = after(timeouts.head).min(deadline);
    let answer = timeout_at(by, client.execute(request)).await.map_err(|_| too_slow(url))?;
    answer.map_err(|error| match RefusedAddress::in_source_of(&error) {
        Some(found) => refused(found),
        None if error.is_timeout() => too_slow(url).with_source(error.without_url()),
        None => {
            Error::unavailable(format!("`{}` cannot be reached", host(url))).with_source(error.without_url())
        }
    })
}

/// Returns the target of a redirect.
fn redirect_target(url: &Url, response: &Response) -> Result<Option<Url>> {
    let status = response.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let next = location.and_then(|location| url.join(location).ok());
    let nowhere =
        || Error::upstream(format!("`{}` leads to another address ({status}) that is none", host(url)));
    next.ok_or_else(nowhere).map(Some)
}

fn into_fetched(
    url: &Url,
    response: Response,
    max: u64,
    timeouts: Timeouts,
    deadline: Instant,
) -> Result<Fetched> {
    let host = host(url);
    let status = response.status().as_u16();
    match status {
        200..300 => {}
        401 | 403 | 407 => return Err(invalid(format!("is not public: `{host}` refuses it ({status})"))),
        404 | 410 => return Err(invalid(format!("leads to nothing: `{host}` has no such page ({status})"))),
        429 => return Err(Error::upstream(format!("`{host}` has too many requests (429); try again later"))),
        400..500 => return Err(invalid(format!("is refused by `{host}` ({status})"))),
        _ => return Err(Error::upstream(format!("`{host}` failed ({status})"))),
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if header(CONTENT_ENCODING).is_some_and(|coding| !coding.is_empty() && coding != "identity") {
        return Err(Error::upstream(format!("`{host}` sends it compressed although it was not asked to")));
    }
    if response.content_length().is_some_and(|length| length > max) {
        return Err(too_large(max));
    }
    // Two of them are none: readers differ in which one counts.
    let is_one = response.headers().get_all(CONTENT_TYPE).iter().count() == 1;
    let stated = header(CONTENT_TYPE).filter(|_| is_one).and_then(MediaType::parse);
    let media_type = stated.map(|media_type| media_type.to_string());
    let body = LimitedBody { response, host: host.to_owned(), max, left: max, idle: timeouts.idle, deadline };
    Ok(Fetched::new(name(url), body.bytes()).media_type(media_type))
}

/// The body of a response, within its limits.
struct LimitedBody {
    response: Response,
    host: String,
    max: u64,
    left: u64,
    idle: Duration,
    deadline: Instant,
}

impl LimitedBody {
    fn bytes(self) -> ByteStream<'static> {
        let pieces = stream::unfold(Some(self), |body| async move {
            let mut body = body?;
            match body.piece().await {
                Ok(piece) => piece.map(|piece| (Ok(piece), Some(body))),
                Err(error) => Some((Err(error), None)),
            }
        });
        pieces.boxed()
    }

    async fn piece(&mut self) -> Result<Option<Bytes>> {
        let host = &self.host;
        let by = after(self.idle).min(self.deadline);
        let piece = timeout_at(by, self.response.chunk()).await;
        let piece = piece.map_err(|_| Error::timeout(format!("`{host}` took too long to send it")))?;
        let broke = |error: reqwest::Error| {
            Error::upstream(format!("`{host}` broke off before it was whole; try again"))
                .with_source(error.without_url())
        };
        let Some(piece) = piece.map_err(broke)? else { return Ok(None) };
        self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(|| too_large(self.max))?;
        Ok(Some(piece))
    }
}

/// Returns the last segment of the path, else the host, without control
/// characters.
fn name(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
    let decoded = last.map(|last| percent_decode_str(last).decode_utf8_lossy().replace(char::is_control, ""));
    decoded.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| host(url).to_owned())
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

fn invalid(why: impl Into<String>) -> Error {
    Error::field("url", why)
}

fn too_slow(url: &Url) -> Error {
    Error::timeout(format!("`{}` took too long to answer", host(url)))
}

fn too_large(max: u64) -> Error {
    Error::too_large(format!("what `url` leads to is larger than the maximum of {max} bytes"))
}

#[cfg(test)]
mod tests;
