//! What a vendor says of an error, in the forms of many vendors.

use aimate_core::Overflow;
use serde_json::Value;

use crate::json::says_something;

/// How deep the sentence may stand in an error's object.
const MAX_DEPTH: usize = 8;

/// A vendor's description of an error.
#[derive(Default)]
pub(super) struct VendorError {
    /// Its codes and types, in lower case.
    codes: Vec<String>,
    pub(super) message: String,
    /// Counts of tokens in fields of their own, as llama.cpp has them.
    counts: Vec<u32>,
}

/// Names of fields with an error in them, or a list of errors.
const ERRORS: [&str; 9] =
    ["error", "errors", "detail", "details", "fault", "base_resp", "response", "body", "exception"];

/// Names of fields with the sentence in them, the plainest first.
const SENTENCES: [&str; 16] = [
    "message",
    "msg",
    "detail",
    "error_msg",
    "error_message",
    "errorMessage",
    "status_msg",
    "error_description",
    "Message",
    "description",
    "faultstring",
    "reason",
    "title",
    "text",
    "error",
    "err",
];

/// Names of fields with a code in them.
const CODES: [&str; 9] = [
    "code",
    "type",
    "status",
    "error_code",
    "errorCode",
    "status_code",
    "statusCode",
    "http_code",
    "error_type",
];

/// Sentences that say nothing beside what they introduce.
const EMPTY: [&str; 4] = ["provider returned error", "error", "upstream error", "bad request"];

impl VendorError {
    /// Reads a body or an error object.
    pub(super) fn new(body: &Value) -> Self {
        let mut found = Self { message: sentence(body, 0).unwrap_or_default(), ..Self::default() };
        found.add_codes(body, 0);
        found
    }

    /// Reads a body that is no JSON; a web page says nothing.
    pub(super) fn of_text(text: &str) -> Self {
        let text = text.trim();
        let is_markup = text.starts_with('<') || text.contains("</") || text.contains('{');
        let message = if is_markup { String::new() } else { text.to_owned() };
        Self { message, ..Self::default() }
    }

    fn add_codes(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Array(items) if depth < MAX_DEPTH => {
                items.iter().take(4).for_each(|item| self.add_codes(item, depth + 1));
            }
            Value::Object(fields) if depth < MAX_DEPTH => {
                for name in CODES {
                    match fields.get(name) {
                        Some(Value::String(code)) => self.codes.push(code.to_ascii_lowercase()),
                        Some(Value::Number(code)) => self.codes.push(code.to_string()),
                        _ => {}
                    }
                }
                let counts =
                    ["n_ctx", "n_prompt_tokens"].into_iter().filter_map(|name| fields.get(name)?.as_u64());
                self.counts.extend(counts.filter_map(|count| u32::try_from(count).ok()));
                for name in ERRORS {
                    if let Some(inner) = fields.get(name) {
                        self.add_codes(inner, depth + 1);
                    }
                }
                if let Some(raw) = raw(value) {
                    self.add_codes(&raw, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    fn says(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }

    /// Whether `body`, which this was read from, is an error at all: an error's
    /// field says something, or a code stands beside a sentence.
    pub(super) fn is_error(&self, body: &Value) -> bool {
        let Some(fields) = body.as_object() else {
            return body.as_array().is_some_and(|items| items.iter().any(|item| self.is_error(item)));
        };
        let says = |name: &str| fields.get(name).is_some_and(says_something);
        let is_failure = |name: &str| match fields.get(name) {
            Some(Value::Number(code)) => !matches!(code.as_i64(), Some(0 | 200)),
            Some(Value::String(code)) => {
                !matches!(code.to_ascii_lowercase().as_str(), "" | "0" | "200" | "ok" | "success" | "ping")
            }
            _ => false,
        };
        let base = fields.get("base_resp").and_then(|base| base.get("status_code")).and_then(Value::as_i64);
        says("error")
            || says("errors")
            || says("detail")
            || says("fault")
            || base.is_some_and(|code| code != 0)
            || ["type", "object", "status", "event"]
                .into_iter()
                .any(|name| fields.get(name).and_then(Value::as_str) == Some("error"))
            || fields.get("success") == Some(&Value::Bool(false))
            || (!self.message.is_empty()
                && ["code", "status", "error_code", "errorCode", "status_code", "statusCode"]
                    .into_iter()
                    .any(is_failure))
    }

    /// Returns the status that an error object stands for; 0 if it does not say.
    pub(super) fn status(&self) -> u16 {
        let number =
            self.codes.iter().find_map(|code| code.parse().ok()).filter(|code| (400..600).contains(code));
        match number {
            Some(status) => status,
            None if self.is_overflow() => 400,
            None if self.is_out_of_credits() => 0,
            None if self.is_key() => 401,
            None if self.has_code(&[
                "rate_limit_exceeded",
                "rate_limit_error",
                "rate_limited",
                "rate_limit_reached_error",
                "resource_exhausted",
                "too_many_requests",
                "throttling_error",
                "throttlingexception",
                "throttling",
            ]) =>
            {
                429
            }
            None if self.has_code(&["permission_denied", "permission_error", "content_policy_violation"]) => {
                403
            }
            None if self.has_code(&["model_not_found", "not_found_error", "not_found"]) => 404,
            None if self.has_code(&[
                "invalid_request_error",
                "invalid_prompt",
                "invalid_argument",
                "bad_request",
                "badrequesterror",
                "validation_error",
            ]) =>
            {
                400
            }
            None if self.has_code(&["timeout", "timeout_error", "deadline_exceeded"]) => 504,
            None => 0,
        }
    }

    /// Whether it is about the key.
    pub(super) fn is_key(&self) -> bool {
        self.has_code(&[
            "invalid_api_key",
            "authentication_error",
            "invalid_authentication_error",
            "incorrect_api_key_error",
            "invalidapikey",
            "unauthenticated",
            "unauthorized",
            "api_key_invalid",
            "auth_error",
        ]) || self.says(&[
            "incorrect api key",
            "invalid api key",
            "api key not valid",
            "invalid_api_key",
            "invalid api-key",
        ])
    }

    /// Whether the account has nothing left to pay with.
    pub(super) fn is_out_of_credits(&self) -> bool {
        self.has_code(&[
            "402",
            "insufficient_quota",
            "insufficient_credits",
            "insufficient_balance",
            "exceeded_current_quota_error",
            "billing_error",
            "billing_hard_limit_reached",
            "arrearage",
            "1113",
        ]) || self.says(&["insufficient balance", "credit balance is too low", "insufficient credits"])
    }

    /// Whether the model is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.has_code(&["model_loading", "loading"])
            || self.says(&[
                "loading model",
                "model is loading",
                "currently loading",
                "still loading",
                "is being loaded",
                "loading the model",
            ])
    }

    /// Whether it is about a picture of the prompt.
    pub(super) fn is_about_image(&self) -> bool {
        self.has_code(&[
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "image_parse_error",
            "invalid_image_url",
            "image_too_large",
        ]) || self.says(&["image"])
    }

    /// Whether the server does not know the model: not all of them report it with
    /// status 404.
    pub(super) fn is_unknown_model(&self) -> bool {
        const CODES: [&str; 5] = [
            "model_not_found",
            "model_not_available",
            "unknown_model",
            "invalid_model",
            "deploymentnotfound",
        ];
        const PHRASES: [&str; 8] = [
            "not a valid model id",
            "model not found",
            "model not exist",
            "invalid model name",
            "no such model",
            "unknown model",
            "model does not exist",
            "not found the model",
        ];
        self.has_code(&CODES) || self.says(&PHRASES)
    }

    /// Whether the prompt is longer than the model's window.
    pub(super) fn is_overflow(&self) -> bool {
        const PHRASES: [&str; 34] = [
            "context length",
            "context_length",
            "context window",
            "context size",
            "context limit",
            "context overflow",
            "contextwindowexceeded",
            "maximum context",
            "max context",
            "prompt is too long",
            "prompt too long",
            "prompt length is",
            "maximum prompt length",
            "prompt exceeds max",
            "prompt tokens exceed",
            "input length exceeds",
            "input is too long",
            "input too long",
            "input length and `max_tokens` exceed",
            "input token count",
            "range of input length",
            "too many tokens",
            "too many input tokens",
            "token limit",
            "maximum number of tokens",
            "maximum tokens allowed",
            "reduce the length of the messages",
            "reduce your prompt",
            "tokens to keep from the initial prompt",
            "`inputs` tokens + `max_new_tokens`",
            "`inputs` must have less than",
            "longer than the model",
            "exceeds the available context",
            "exceeds the model's",
        ];
        // A limit of tokens a minute is none of the prompt.
        if self.says(&["per minute", "per min", "per day", "(tpm)", "rate limit"]) {
            return false;
        }
        self.codes.iter().any(|code| {
            code.starts_with("context_length")
                || code == "exceed_context_size_error"
                || code == "string_above_max_length"
        }) || self.says(&PHRASES)
    }

    /// The window and the prompt that an overflow's sentence tells, in the server's
    /// tokens: the prompt is the greatest number, the window the next greatest.
    pub(super) fn overflow(&self) -> Option<Overflow> {
        let mut numbers: Vec<u32> = self
            .message
            .split(|c: char| !c.is_ascii_digit() && c != ',')
            .filter_map(|digits| digits.replace(',', "").parse().ok())
            .chain(self.counts.iter().copied())
            .filter(|number| (256..=100_000_000).contains(number))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        match numbers.as_slice() {
            [] => None,
            [window] => Some(Overflow { window: *window, prompt: None }),
            [.., window, prompt] => Some(Overflow { window: *window, prompt: Some(*prompt) }),
        }
    }
}

/// The sentence in an error of whatever form.
fn sentence(value: &Value, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            // Proxies put the error of the server behind them into a text.
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => sentence(&inner, depth + 1),
            _ => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        },
        Value::Array(items) => {
            let all: Vec<_> = items.iter().take(3).filter_map(|item| sentence(item, depth + 1)).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        Value::Object(fields) => {
            let nested =
                ERRORS.into_iter().filter_map(|name| fields.get(name)).filter(|inner| says_something(inner));
            let inner = nested
                .filter(|inner| inner.is_object() || inner.is_array())
                .find_map(|inner| sentence(inner, depth + 1));
            let own = SENTENCES
                .into_iter()
                .filter_map(|name| fields.get(name))
                .filter(|value| value.is_string() || value.is_object());
            let own = own.filter_map(|value| sentence(value, depth + 1)).next();
            let raw = raw(value).and_then(|raw| sentence(&raw, depth + 1));
            let place = fields.get("loc").and_then(Value::as_array).map(|loc| {
                let parts =
                    loc.iter().map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned));
                parts.collect::<Vec<_>>().join(".")
            });
            let own = own.filter(|own| raw.is_none() || !EMPTY.contains(&own.to_ascii_lowercase().as_str()));
            let found = match (raw, own, inner) {
                (Some(raw), Some(own), _) if !own.contains(&raw) => Some(format!("{own}: {raw}")),
                (Some(raw), None, _) => Some(raw),
                (_, Some(own), Some(inner)) if EMPTY.contains(&own.to_ascii_lowercase().as_str()) => {
                    Some(inner)
                }
                (_, Some(own), Some(inner)) if depth == 0 && own != inner => Some(inner),
                (_, Some(own), _) => Some(own),
                (_, None, inner) => inner,
            };
            match (found, place) {
                (Some(found), Some(place)) if !place.is_empty() => Some(format!("{place}: {found}")),
                (found, _) => found,
            }
        }
        _ => None,
    }
}

/// What the server behind a router said: OpenRouter's `metadata.raw`.
fn raw(error: &Value) -> Option<Value> {
    let metadata = error.get("metadata")?;
    let raw = ["raw", "reasons", "reason"]
        .into_iter()
        .filter_map(|name| metadata.get(name))
        .find(|raw| says_something(raw))?;
    Some(match raw.as_str().map(serde_json::from_str::<Value>) {
        Some(Ok(inner)) if inner.is_object() || inner.is_array() => inner,
        _ => raw.clone(),
    })
}

#[cfg(test)]
mod tests;
