//! A model server that costs little. Its models are named after how they answer,
//! and their text is known beforehand, so that a client can tell what was lost.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::Result;

/// Answers in one piece; asked to stream, as [`STREAM`].
pub(crate) const PLAIN: &str = "mock-plain";
/// 20 tokens at once, each an HTTP chunk of its own.
pub(crate) const STREAM: &str = "mock-20";
/// 50 tokens, 10 ms apart.
pub(crate) const PACED: &str = "mock-50x10ms";
/// 20 tokens a second for 10 s, each with the time it was sent at.
pub(crate) const STAMPED: &str = "mock-200x50ms-stamped";
/// The same for 3 s.
pub(crate) const STAMPED_SHORT: &str = "mock-60x50ms-stamped";
/// One token with the time it was sent at.
pub(crate) const ONE: &str = "mock-1-stamped";

/// As listed: room for a conversation of 10,000 messages.
const WINDOW: u32 = 1_000_000;
/// Tokens of an answer of [`PLAIN`].
const PLAIN_TOKENS: usize = 20;

/// The text of the first `tokens` tokens of every model that is not stamped.
pub(crate) fn text(tokens: usize) -> String {
    (0..tokens).map(token).collect()
}

fn token(n: usize) -> String {
    format!("word{n} ")
}

/// Now, in the unit of the stamps: nanoseconds since 1970.
pub(crate) fn stamp() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// The number of a stamped token and when it was sent.
pub(crate) fn read_stamp(token: &[u8]) -> Option<(usize, u64)> {
    let token = std::str::from_utf8(token).ok()?.trim_end();
    let (n, sent) = token.strip_prefix('t')?.split_once('@')?;
    Some((n.parse().ok()?, sent.parse().ok()?))
}

/// When the first stamped token of an answer was sent, in whatever JSON it is.
pub(crate) fn sent_at(body: &[u8]) -> Option<u64> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once("\"t0@")?;
    rest.split(' ').next()?.parse().ok()
}

/// Serves until the process is ended.
pub(crate) async fn serve(address: SocketAddr) -> Result {
    let listener = TcpListener::bind(address).await?;
    let server = Arc::new(Server::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let service = service_fn(|request| server.answer(request));
            // A client that hangs up is no error of the server.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

struct Server {
    models: HashMap<&'static str, Arc<Model>>,
    list: Bytes,
}

/// How a model answers, rendered beforehand as far as it can be.
struct Model {
    gap: Duration,
    tokens: Tokens,
    role: Bytes,
    finish: Bytes,
    usage: Bytes,
    plain: Bytes,
}

enum Tokens {
    Known(Vec<Bytes>),
    Stamped { count: usize, before: String, after: String },
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    model: &'a str,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl Server {
    fn new() -> Self {
        let second_is_20 = Duration::from_millis(50);
        let models = HashMap::from(
            [
                (PLAIN, PLAIN_TOKENS, Duration::ZERO, false),
                (STREAM, 20, Duration::ZERO, false),
                (PACED, 50, Duration::from_millis(10), false),
                (STAMPED, 200, second_is_20, true),
                (STAMPED_SHORT, 60, second_is_20, true),
                (ONE, 1, Duration::ZERO, true),
            ]
            .map(|(name, tokens, gap, stamped)| (name, Arc::new(Model::new(name, tokens, gap, stamped)))),
        );
        let entry = |name: &&str| {
            serde_json::json!({"id": name, "object": "model", "created": 1_760_000_000,
                "owned_by": "bench", "max_model_len": WINDOW})
        };
        let entries: Vec<_> = models.keys().map(entry).collect();
        let list = serde_json::json!({"object": "list", "data": entries});
        Self { models, list: Bytes::from(list.to_string()) }
    }

    async fn answer(&self, request: Request<Incoming>) -> std::result::Result<Response<Answer>, Infallible> {
        let response = match (request.method(), request.uri().path()) {
            (&Method::GET, "/v1/models") => whole(StatusCode::OK, self.list.clone()),
            (&Method::POST, "/v1/chat/completions") => match request.into_body().collect().await {
                Ok(body) => self.complete(&body.to_bytes()),
                Err(error) => complain(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            _ => complain(StatusCode::NOT_FOUND, "no such route"),
        };
        Ok(response)
    }

    fn complete(&self, body: &[u8]) -> Response<Answer> {
        let asked: Asked<'_> = match serde_json::from_slice(body) {
            Ok(asked) => asked,
            Err(error) => return complain(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        let Some(model) = self.models.get(asked.model) else {
            return complain(StatusCode::NOT_FOUND, "no such model");
        };
        if !asked.stream {
            return whole(StatusCode::OK, model.plain.clone());
        }
        let mut response = Response::new(Answer::Stream(Box::new(Stream {
            model: Arc::clone(model),
            with_usage: asked.stream_options.is_some_and(|o| o.include_usage),
            next: Step::Role,
            begun: Instant::now(),
            timer: None,
        })));
        set_type(&mut response, "text/event-stream");
        response
    }
}

impl Model {
    fn new(name: &str, count: usize, gap: Duration, stamped: bool) -> Self {
        let chunk = |choices: &str, usage: &str| {
            format!(
                "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\
                 \"created\":1760000000,\"model\":\"{name}\",\"system_fingerprint\":\"fp_bench\",\
                 \"choices\":[{choices}]{usage}}}\n\n"
            )
        };
        let choice = |delta: &str, reason: &str| {
            format!("{{\"index\":0,\"delta\":{{{delta}}},\"logprobs\":null,\"finish_reason\":{reason}}}")
        };
        let content = |text: &str| chunk(&choice(&format!("\"content\":\"{text}\""), "null"), "");
        let usage = format!(
            "\"usage\":{{\"prompt_tokens\":40,\"completion_tokens\":{count},\"total_tokens\":{}}}",
            40 + count
        );
        let plain = format!(
            "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1760000000,\
             \"model\":\"{name}\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
             \"content\":\"{}\",\"refusal\":null}},\"logprobs\":null,\"finish_reason\":\"stop\"}}],\
             {usage},\"system_fingerprint\":\"fp_bench\"}}",
            text(count)
        );
        let tokens = if stamped {
            let template = content("\0");
            let (before, after) = template.split_once('\0').unwrap_or_default();
            let (before, after) = (before.to_owned(), after.to_owned());
            Tokens::Stamped { count, before, after }
        } else {
            let known = (0..count).map(|n| Bytes::from(content(&token(n))));
            Tokens::Known(known.collect())
        };
        let role = choice("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null");
        Self {
            gap,
            tokens,
            role: chunk(&role, "").into(),
            finish: chunk(&choice("", "\"stop\""), "").into(),
            usage: chunk("", &format!(",{usage}")).into(),
            plain: plain.into(),
        }
    }

    fn token(&self, n: usize) -> Option<Bytes> {
        match &self.tokens {
            Tokens::Known(known) => known.get(n).cloned(),
            Tokens::Stamped { count, before, after } => {
                (n < *count).then(|| format!("{before}t{n}@{} {after}", stamp()).into())
            }
        }
    }
}

/// The body of an answer.
enum Answer {
    Whole(Bytes),
    Stream(Box<Stream>),
}

struct Stream {
    model: Arc<Model>,
    with_usage: bool,
    next: Step,
    begun: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy)]
enum Step {
    Role,
    Token(usize),
    Usage,
    Done,
    End,
}

impl Stream {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let model = Arc::clone(&self.model);
        let (piece, next) = match self.next {
            Step::Role => (model.role.clone(), Step::Token(0)),
            Step::Token(n) => {
                ready!(self.poll_due(n, context));
                match model.token(n) {
                    Some(piece) => (piece, Step::Token(n + 1)),
                    None if self.with_usage => (model.finish.clone(), Step::Usage),
                    None => (model.finish.clone(), Step::Done),
                }
            }
            Step::Usage => (model.usage.clone(), Step::Done),
            Step::Done => (Bytes::from_static(b"data: [DONE]\n\n"), Step::End),
            Step::End => return Poll::Ready(None),
        };
        self.next = next;
        Poll::Ready(Some(piece))
    }

    /// Ready once token `n` may go: each at its own time, so that delays do not add up.
    fn poll_due(&mut self, n: usize, context: &mut Context<'_>) -> Poll<()> {
        if self.model.gap.is_zero() || n == 0 {
            return Poll::Ready(());
        }
        let due = self.begun + self.model.gap * u32::try_from(n).unwrap_or(u32::MAX);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(context)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            Self::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Self::Stream(stream) => ready!(stream.poll_piece(context)),
        };
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

fn whole(status: StatusCode, body: Bytes) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(body));
    *response.status_mut() = status;
    set_type(&mut response, "application/json");
    response
}

fn complain(status: StatusCode, message: &str) -> Response<Answer> {
    let error = serde_json::json!({"error": {"message": message, "type": "invalid_request_error",
        "param": null, "code": null}});
    whole(status, error.to_string().into())
}

fn set_type(response: &mut Response<Answer>, value: &'static str) {
    let value = hyper::header::HeaderValue::from_static(value);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
}
