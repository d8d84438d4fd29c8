//! Fetches the files of a model from a hub: one with Hugging Face's addresses, a mirror
//! of it or a server of one's own.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use aimate_core::provider::AddressSource;
use aimate_core::{Error, Result};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, LOCATION, RANGE};
use reqwest::{Response, Url};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::failed;
use super::files::{hexadecimal, max_bytes};
use super::named::{NamedFile, NamedModel};
use crate::http::is_public;
use crate::{AddressPolicy, Redirects, Transport};

/// Until a server answers.
const HEAD: Duration = Duration::from_secs(30);
/// Between two pieces of a file.
const IDLE: Duration = Duration::from_secs(60);
/// For one try at a file, since a server could send a byte now and then for ever.
const TOTAL: Duration = Duration::from_secs(6 * 60 * 60);
/// How often a file that breaks off is gone on with.
const TRIES: u32 = 5;
/// Maximum redirects.
const MAX_REDIRECTS: usize = 5;

/// A hub that models are fetched from.
#[derive(Clone)]
pub struct ModelHub {
    transport: Transport,
    url: String,
}

/// How far the fetching of a model is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FetchProgress<'a> {
    /// The file.
    pub file: &'a str,
    /// Bytes of it that are there.
    pub bytes: u64,
    /// Bytes that it has, if the hub says.
    pub total: Option<u64>,
}

type OnProgress<'a> = &'a mut (dyn FnMut(FetchProgress<'_>) + Send);

impl ModelHub {
    /// The address of Hugging Face.
    pub const HUGGING_FACE: &'static str = "https://huggingface.co";

    /// Hugging Face.
    pub fn new(transport: Transport) -> Self {
        Self { transport, url: Self::HUGGING_FACE.to_owned() }
    }

    /// Sets the address, such as that of a mirror. The operator gives it; where it leads on
    /// to is held to the transport's policy for everybody else's addresses, and to public
    /// ones if it is public itself.
    #[must_use]
    pub fn url(self, url: impl Into<String>) -> Self {
        Self { url: url.into().trim_end_matches('/').to_owned(), ..self }
    }

    /// Returns the address of a model's page.
    pub fn page(&self, model: &NamedModel) -> String {
        format!("{}/{}", self.url, model.repository)
    }

    /// Fetches all files of a model into a folder: all from the commit that the first one
    /// came from, if the hub says which one that is.
    pub(super) async fn fetch(
        &self,
        model: &NamedModel,
        folder: &Path,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        fs::create_dir_all(folder).map_err(|error| failed("make", folder, error))?;
        let mut revision = model.revision.to_owned();
        for file in model.files {
            let url = format!("{}/{}/resolve/{revision}/{}", self.url, model.repository, file.path);
            let url = Url::parse(&url)
                .map_err(|error| Error::invalid(format!("`{}` is no address of a hub: {error}", self.url)))?;
            let place = folder.join(file.path);
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent).map_err(|error| failed("make", parent, error))?;
            }
            if let Some(commit) = self.file(&url, file, &place, &mut *progress).await? {
                revision = commit;
            }
        }
        Ok(())
    }

    /// Fetches one file, and goes on with what breaks off a few times. Returns the commit that
    /// the hub says it is of.
    async fn file(
        &self,
        url: &Url,
        file: &NamedFile,
        to: &Path,
        progress: OnProgress<'_>,
    ) -> Result<Option<String>> {
        let mut tries = TRIES;
        loop {
            let transfer = Transfer { hub: self, url, file, to };
            let attempt = timeout(TOTAL, transfer.attempt(&mut *progress)).await;
            match attempt.unwrap_or_else(|_| Err(Error::timeout(format!("`{}` took too long", file.path))))? {
                Outcome::Done(commit) => return Ok(commit),
                Outcome::BrokeOff(_) if tries > 1 => tries -= 1,
                Outcome::BrokeOff(why) => return Err(why),
            }
        }
    }

    /// Asks for what follows the first `from` bytes. Returns the answer, and what the hub itself
    /// says of the file.
    async fn ask(&self, url: &Url, from: u64) -> Result<(Response, Said)> {
        let (mut url, hub) = (url.clone(), url.origin());
        let (mut transport, mut source, mut said) =
            (self.transport.clone(), AddressSource::Operator, Said::default());
        for _ in 0..=MAX_REDIRECTS {
            let host = url.host_str().unwrap_or_default().to_owned();
            let client = transport.raw_client(url.as_str(), source, Redirects::Never).await?;
            let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let slow = || Error::timeout(format!("`{host}` took too long to answer"));
            let answer = timeout(HEAD, request.send()).await.map_err(|_| slow())?;
            let response = answer.map_err(|error| match Transport::refusal(&error) {
                Some(refused) => Error::forbidden(format!("the hub leads to an address: {refused}")),
                None => {
                    Error::unavailable(format!("`{host}` cannot be reached")).with_source(error.without_url())
                }
            })?;
            if url.origin() == hub && source == AddressSource::Operator {
                said.sha256 = said.sha256.or_else(|| linked_sha256(response.headers()));
                said.commit = said.commit.or_else(|| commit(response.headers()));
            }
            let Some(next) = redirect(&url, &response)? else { return Ok((response, said)) };
            if next.origin() != hub {
                source = AddressSource::Untrusted;
                // A public server must not reach by this one what is private to it.
                if response.remote_addr().is_none_or(|address| is_public(address.ip())) {
                    transport = transport.untrusted_policy(AddressPolicy::public_only());
                }
            }
            url = next;
        }
        Err(Error::upstream(format!("the hub leads to another address more than {MAX_REDIRECTS} times")))
    }
}

/// What a hub says of a file.
#[derive(Default)]
struct Said {
    sha256: Option<String>,
    commit: Option<String>,
}

/// What came of one try.
enum Outcome {
    /// It is there, of this commit.
    Done(Option<String>),
    /// What came is kept, so that the next try goes on.
    BrokeOff(Error),
}

/// One file on its way.
struct Transfer<'a> {
    hub: &'a ModelHub,
    url: &'a Url,
    file: &'a NamedFile,
    to: &'a Path,
}

impl Transfer<'_> {
    async fn attempt(&self, progress: OnProgress<'_>) -> Result<Outcome> {
        let (path, failed) = (self.file.path, |error| failed("write", self.to, error));
        let mut part = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.to)
            .map_err(failed)?;
        // What has no checksum is small, and is not put together out of two answers.
        let can_resume = self.file.known.is_some() || self.file.is_weights();
        let have = if can_resume { part.metadata().map_err(failed)?.len() } else { 0 };
        if self.file.known.is_some_and(|(bytes, _)| bytes == have) {
            let mut hash = Sha256::new();
            io::copy(&mut part, &mut hash).map_err(failed)?;
            return self.finish(&part, hash, Said::default(), have);
        }
        let (mut response, said) = self.hub.ask(self.url, have).await?;
        let begin = match self.begin(&response, have)? {
            Begin::At(begin) => begin,
            Begin::Absent => {
                return fs::remove_file(self.to).map(|()| Outcome::Done(said.commit)).map_err(failed);
            }
            Begin::Again => {
                // It may be whole: a process that ended before it could say so.
                let mut hash = Sha256::new();
                io::copy(&mut part, &mut hash).map_err(failed)?;
                if said.sha256.as_ref().is_some_and(|sha256| *sha256 == hexadecimal(hash.clone())) {
                    return self.finish(&part, hash, said, have);
                }
                part.set_len(0).map_err(failed)?;
                return Ok(Outcome::BrokeOff(Error::upstream(format!("the hub has less of `{path}`"))));
            }
        };
        if self.file.is_weights() && self.file.known.is_none() && said.sha256.is_none() {
            if have == 0 {
                let _ = fs::remove_file(self.to);
            }
            return Err(Error::upstream(format!(
                "the hub says no SHA-256 of `{path}`, so that nobody could tell if it came whole"
            )));
        }
        let total = response.content_length().map(|rest| begin.saturating_add(rest));
        let max = self.file.known.map_or_else(|| max_bytes(self.to), |(bytes, _)| bytes);
        let too_large = || {
            Error::upstream(format!(
                "`{path}` is larger at the hub than the {max} bytes it should have at most"
            ))
        };
        if total.is_some_and(|total| total > max) {
            return Err(too_large());
        }
        part.set_len(begin).and_then(|()| part.seek(SeekFrom::Start(0))).map_err(failed)?;
        let mut hash = Sha256::new();
        io::copy(&mut Read::by_ref(&mut part).take(begin), &mut hash).map_err(failed)?;
        let mut bytes = begin;
        loop {
            progress(FetchProgress { file: path, bytes, total });
            let piece = match timeout(IDLE, response.chunk()).await {
                Ok(Ok(piece)) => piece,
                Ok(Err(error)) => {
                    let broke = Error::upstream(format!(
                        "the hub broke off `{path}` at {bytes} bytes; ask again, and it is gone on with"
                    ));
                    return Ok(Outcome::BrokeOff(broke.with_source(error.without_url())));
                }
                Err(_) => {
                    let silent = Error::timeout(format!("the hub went silent at {bytes} bytes of `{path}`"));
                    return Ok(Outcome::BrokeOff(silent));
                }
            };
            let Some(piece) = piece else { break };
            bytes = bytes.saturating_add(piece.len() as u64);
            if bytes > max {
                let _ = fs::remove_file(self.to);
                return Err(too_large());
            }
            part.write_all(&piece).map_err(failed)?;
            hash.update(&piece);
        }
        self.finish(&part, hash, said, bytes)
    }

    /// Where the answer begins in the file.
    fn begin(&self, response: &Response, have: u64) -> Result<Begin> {
        let (path, host) = (self.file.path, self.url.host_str().unwrap_or_default());
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        match response.status().as_u16() {
            200 => Ok(Begin::At(0)),
            206 if range.is_some_and(|range| range.starts_with(&format!("bytes {have}-"))) => {
                Ok(Begin::At(have))
            }
            206 | 416 => Ok(Begin::Again),
            404 if self.file.is_optional => Ok(Begin::Absent),
            404 | 410 => Err(Error::upstream(format!("`{host}` has no `{}`", self.url.path()))),
            401 | 403 => Err(Error::upstream(format!("`{host}` refuses `{}`", self.url.path()))),
            429 => Err(Error::upstream(format!("`{host}` has too many requests; try again later"))),
            status => Err(Error::upstream(format!("`{host}` failed at `{path}` ({status})"))),
        }
    }

    /// Checks a file that is all there.
    fn finish(&self, part: &File, hash: Sha256, said: Said, bytes: u64) -> Result<Outcome> {
        let path = self.file.path;
        let found = hexadecimal(hash);
        let expected = self.file.known.map(|(_, sha256)| sha256.to_owned()).or(said.sha256);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let _ = fs::remove_file(self.to);
            return Err(Error::upstream(format!(
                "`{path}` came with {bytes} bytes and the SHA-256 {found}; it should have {expected}. It is not kept"
            )));
        }
        part.sync_all().map_err(|error| failed("write", self.to, error))?;
        Ok(Outcome::Done(said.commit))
    }
}

/// Where an answer begins.
enum Begin {
    At(u64),
    /// There is no such file, and need not be.
    Absent,
    /// Nowhere in what is there: from the start once more.
    Again,
}

/// The SHA-256 of a large file, as the hub says it.
fn linked_sha256(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get("x-linked-etag")?.to_str().ok()?;
    let tag = tag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
    (tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(tag)
}

/// The commit that a file is of, as the hub says it.
fn commit(headers: &HeaderMap) -> Option<String> {
    let commit = headers.get("x-repo-commit")?.to_str().ok()?;
    (commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| commit.to_owned())
}

/// Where an answer leads on to.
fn redirect(url: &Url, response: &Response) -> Result<Option<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let next = location.and_then(|location| url.join(location).ok());
    let next = next.ok_or_else(|| Error::upstream("the hub leads to another address that is none"))?;
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(Error::forbidden("the hub leads from `https://` to an address that is not safe"));
    }
    Ok(Some(next))
}
