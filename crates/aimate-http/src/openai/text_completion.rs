//! `POST /v1/completions`: a text is gone on with, as many tools still ask for it. The text is
//! one message of a user; nothing is stored but the usage.

use std::task::Poll;

use aimate_core::engine::{Completion, CompletionStream};
use aimate_core::message::{MessageRole, Part};
use aimate_core::provider::{ChatMessage, ChatRequest, FinishReason, ProviderEvent, Sampling};
use aimate_core::{ClockAndIds, Error};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use futures_util::{StreamExt, future::poll_fn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::completion::{ChatCompletion, incomplete_answer, log_warning};
use super::number::Whole;
use super::request::{StopSchema, StreamOptions};
use super::schema::Usage;
use super::write::put;
use crate::app::App;
use crate::content::Content;
use crate::error::{Failure, OpenAiError, Result};
use crate::json::Json;
use crate::scope::Caller;
use crate::sse::{self, SseSource};

/// A text to go on with. Fields that are not listed are passed over.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct TextCompletionBody {
    /// The model, as `CONNECTION/MODEL` or a bare name; default: the first active one.
    model: Option<String>,
    /// The text, or a list with one.
    #[schema(value_type = String)]
    prompt: Option<Content<Value>>,
    /// Whether the answer comes as a stream.
    stream: Option<bool>,
    /// Options of the stream.
    stream_options: Option<StreamOptions>,
    /// Tokens of the answer at most; -1 is no limit.
    #[schema(value_type = Option<i64>)]
    max_tokens: Option<Whole>,
    /// Randomness, 0 to 2.
    temperature: Option<f64>,
    /// The share of probability to pick from, 0 to 1.
    top_p: Option<f64>,
    /// A stop sequence, or several.
    #[schema(value_type = Option<StopSchema>)]
    stop: Option<Content<String>>,
    /// The random seed.
    #[schema(value_type = Option<i64>)]
    seed: Option<Whole>,
    /// Penalty on frequent tokens, -2 to 2.
    frequency_penalty: Option<f64>,
    /// Penalty on tokens that have occurred, -2 to 2.
    presence_penalty: Option<f64>,
    /// Number of answers: only 1 is supported.
    #[schema(minimum = 1, maximum = 1, value_type = Option<u32>)]
    n: Option<Whole>,
    /// Number of answers to choose from: only 1 is supported.
    #[schema(minimum = 1, maximum = 1, value_type = Option<u32>)]
    best_of: Option<Whole>,
    /// Not supported; leave it out.
    #[schema(value_type = Option<u32>)]
    logprobs: Option<Whole>,
    /// Whether the answer begins with the prompt.
    echo: Option<bool>,
    /// What follows the answer: not supported; leave it out.
    suffix: Option<String>,
}

/// An answer, or a piece of one that is streamed. The last line of a stream is `data: [DONE]`.
#[derive(Serialize, ToSchema)]
#[schema(as = TextCompletion)]
pub(crate) struct TextCompletionSchema {
    /// Its id.
    id: String,
    /// `text_completion`.
    object: String,
    /// The time of the answer, in seconds since 1970.
    created: i64,
    /// The model, as `CONNECTION/MODEL`.
    model: String,
    /// Exactly one; none in the piece with the usage.
    choices: Vec<TextChoice>,
    /// Tokens and cost.
    #[schema(required = false)]
    usage: Option<Usage>,
}

#[derive(Serialize, ToSchema)]
struct TextChoice {
    /// 0.
    index: u32,
    /// The text.
    text: String,
    /// Always null.
    logprobs: Option<bool>,
    /// `stop`, `length` or `content_filter`.
    finish_reason: Option<String>,
}

/// Goes on with a text.
#[utoipa::path(post, path = "/v1/completions", tag = "chat", request_body = TextCompletionBody,
    responses((status = 200, content((TextCompletionSchema = "application/json"), (TextCompletionSchema = "text/event-stream")))))]
pub(crate) async fn text_completion(
    State(app): State<App>,
    Caller(scope): Caller,
    Json(body): Json<TextCompletionBody>,
) -> Result<Response> {
    let is_streamed = body.stream.unwrap_or(false);
    let include_usage = body.stream_options.is_some_and(|options| options.include_usage());
    let (completion, begins_with) = body.into_completion()?;
    let seat = app.seat(&scope)?;
    let stream = app.engine.complete(&scope, completion).await?;
    let head = TextHead::new(app.engine.sources(), stream.model());
    if is_streamed {
        let body = TextBody { stream, head, begins_with, include_usage, reason: None, is_over: false };
        return Ok(sse::response(&app, body, seat));
    }
    let answer = ChatCompletion::collect(stream).await?;
    let text = format!("{}{}", begins_with.unwrap_or_default(), answer.text);
    let mut whole = head.piece(Some((&text, Some(reason_word(answer.finish_reason.as_ref())))));
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("usage".to_owned(), json!(Usage::from(&answer.usage)));
    }
    Ok(Json(whole).into_response())
}

impl TextCompletionBody {
    /// The call, and what the answer begins with.
    fn into_completion(self) -> Result<(Completion, Option<String>)> {
        let refused = [
            ("n", self.n.is_some_and(|n| n.0 != 1), "must be 1; send the request again for another answer"),
            ("best_of", self.best_of.is_some_and(|n| n.0 != 1), "must be 1"),
            ("logprobs", self.logprobs.is_some_and(|n| n.0 > 0), "is not supported; leave it out"),
            (
                "suffix",
                self.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()),
                "is not supported; leave it out",
            ),
        ];
        if let Some((name, _, why)) = refused.into_iter().find(|(_, is_set, _)| *is_set) {
            return Err(Failure::unsupported(name, why));
        }
        let prompt = match self.prompt {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => match parts.as_slice() {
                [Value::String(text)] => text.clone(),
                _ => return Err(Error::field("prompt", "must be one text").into()),
            },
            None => return Err(Error::field("prompt", "is missing").into()),
        };
        if prompt.trim().is_empty() {
            return Err(Error::field("prompt", "is empty; it needs some text").into());
        }
        let message = ChatMessage::new(MessageRole::User, vec![Part::text(prompt.clone())]);
        let mut completion = Completion::new(ChatRequest {
            messages: vec![message],
            sampling: Sampling {
                temperature: self.temperature,
                top_p: self.top_p,
                max_tokens: self.max_tokens.map_or(Ok(None), |limit| limit.limit("max_tokens"))?,
                stop: self.stop.map_or_else(Vec::new, |stop| stop.into_parts(|text| text)),
                seed: self.seed.map(|seed| seed.0),
                frequency_penalty: self.frequency_penalty,
                presence_penalty: self.presence_penalty,
                ..Sampling::default()
            },
            stream: self.stream.unwrap_or(false),
            ..ChatRequest::default()
        });
        completion.model = self.model;
        Ok((completion, self.echo.unwrap_or(false).then_some(prompt)))
    }
}

/// The fields that each piece begins with.
struct TextHead {
    id: String,
    created: i64,
    model: String,
}

impl TextHead {
    fn new(sources: &ClockAndIds, model: &str) -> Self {
        let id: Uuid = sources.id();
        Self {
            id: format!("cmpl-{}", id.simple()),
            created: sources.now().unix_seconds(),
            model: model.to_owned(),
        }
    }

    /// A piece with a text, and why the model stopped.
    fn piece(&self, choice: Option<(&str, Option<&str>)>) -> Value {
        let choices: Vec<_> = choice
            .into_iter()
            .map(
                |(text, reason)| json!({"index": 0, "text": text, "logprobs": null, "finish_reason": reason}),
            )
            .collect();
        json!({
            "id": self.id, "object": "text_completion", "created": self.created, "model": self.model,
            "choices": choices,
        })
    }
}

fn reason_word(reason: Option<&FinishReason>) -> &'static str {
    match reason {
        Some(FinishReason::Length) => "length",
        Some(FinishReason::ContentFilter) => "content_filter",
        _ => "stop",
    }
}

/// A streamed answer.
struct TextBody {
    stream: CompletionStream,
    head: TextHead,
    begins_with: Option<String>,
    include_usage: bool,
    reason: Option<FinishReason>,
    is_over: bool,
}

impl TextBody {
    fn put(out: &mut BytesMut, piece: &impl Serialize) {
        out.put_slice(b"data: ");
        put(out, piece);
        out.put_slice(b"\n\n");
    }

    fn text(&mut self, out: &mut BytesMut, text: &str) {
        if let Some(prompt) = self.begins_with.take() {
            Self::put(out, &self.head.piece(Some((&prompt, None))));
        }
        Self::put(out, &self.head.piece(Some((text, None))));
    }

    fn take(&mut self, out: &mut BytesMut, event: Result<ProviderEvent, Error>) {
        match event {
            Ok(ProviderEvent::Text(text)) => self.text(out, &text),
            Ok(ProviderEvent::Warning { code, detail }) => log_warning(&code, &detail),
            Ok(ProviderEvent::Finish(reason)) => self.reason = Some(reason),
            Ok(_) => {}
            // The answer is whole: what fails now is the usage at most.
            Err(_) if self.reason.is_some() => self.end(out),
            Err(error) => self.fail(out, &error),
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        if self.reason.is_some()
            && let Some(prompt) = self.begins_with.take()
        {
            // Of an answer without a text too.
            Self::put(out, &self.head.piece(Some((&prompt, None))));
        }
        let Some(reason) = &self.reason else { return self.fail(out, &incomplete_answer()) };
        self.is_over = true;
        Self::put(out, &self.head.piece(Some(("", Some(reason_word(Some(reason)))))));
        if self.include_usage {
            let mut last = self.head.piece(None);
            if let Some(fields) = last.as_object_mut() {
                fields.insert("usage".to_owned(), json!(Usage::from(&self.stream.usage())));
            }
            Self::put(out, &last);
        }
        out.put_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, out: &mut BytesMut, error: &Error) {
        self.is_over = true;
        tracing::warn!(code = error.kind().as_str(), cause = ?error, "an answer failed while it was streamed");
        Self::put(out, &OpenAiError::new(error, None));
        out.put_slice(b"data: [DONE]\n\n");
    }
}

impl SseSource for TextBody {
    async fn write(&mut self, out: &mut BytesMut) -> bool {
        poll_fn(|context| {
            let before = out.len();
            while !self.is_over {
                match self.stream.poll_next_unpin(context) {
                    Poll::Ready(Some(event)) => self.take(out, event),
                    Poll::Ready(None) => self.end(out),
                    Poll::Pending if out.len() == before => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(out.len() > before)
        })
        .await
    }
}
