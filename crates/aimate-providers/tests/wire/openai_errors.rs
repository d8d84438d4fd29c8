//! What refusals of OpenAI-like servers become.

use std::time::Duration;

use aimate_core::provider::ChatRequest;
use aimate_core::{Error, ErrorKind, ErrorReason};
use aimate_providers::OPENAI;

use crate::server::{CANARY, Script, Server, answer, json, keeps_the_key, provider, question};

/// What asking a server that always answers so comes to, and how often it was
/// asked.
async fn refused(script: Script) -> (Error, usize) {
    let server = Server::once(script).await;
    let error = provider(&OPENAI).chat(&server.endpoint(OPENAI), &question()).await.err().expect("an error");
    keeps_the_key(&error);
    (error, server.asked().len())
}

async fn status(status: u16, body: &str) -> (ErrorKind, String, usize) {
    let (error, asked) = refused(answer(status, &[("content-type", "application/json")], body)).await;
    (error.kind(), error.message().to_owned(), asked)
}

#[tokio::test]
async fn each_status_has_its_kind_and_its_retries() {
    use ErrorKind::{Invalid, NotFound, RateLimited, Timeout, TooLarge, Unsupported, Upstream};
    let cases = [
        (301, Upstream, 1),
        (307, Upstream, 1),
        (400, Invalid, 1),
        (401, Upstream, 1),
        (402, Upstream, 1),
        (403, Upstream, 1),
        (404, NotFound, 1),
        (408, Timeout, 3),
        (409, Invalid, 1),
        (413, TooLarge, 1),
        (422, Invalid, 1),
        (429, RateLimited, 3),
        (500, Upstream, 3),
        (501, Unsupported, 1),
        (502, Upstream, 3),
        (503, Upstream, 3),
        (504, Timeout, 3),
        (529, Upstream, 3),
    ];
    for (code, kind, tries) in cases {
        let (found, message, asked) = status(code, r#"{"error":{"message":"because"}}"#).await;
        assert_eq!((found, asked), (kind, tries), "{code}: {message}");
        assert!(message.contains(&code.to_string()), "{message}");
        assert_eq!(message.contains("because"), !matches!(code, 301 | 307), "{message}");
    }
}

#[tokio::test]
async fn refused_key_has_a_fixed_sentence() {
    let body = format!(
        r#"{{"error":{{"message":"Incorrect API key provided: {CANARY}","code":"invalid_api_key"}}}}"#
    );
    let (_, message, _) = status(401, &body).await;
    assert_eq!(
        message,
        "connection `here`: the server refused the key (401); put the right one into the connection: Incorrect \
         API key provided: [key]"
    );
    // Nor is a part of it shown.
    for part in ["sk-ca***cdef", "sk-canary-0123...", "****cdef", "canary-0123456789"] {
        let body = format!(r#"{{"error":{{"message":"Bad key {part} here"}}}}"#);
        let (_, message, _) = status(401, &body).await;
        assert!(message.ends_with("Bad key [key] here"), "{message}");
    }
    let (kind, message, _) = status(403, "<html>denied</html>").await;
    assert!(
        kind == ErrorKind::Upstream && message.ends_with("does not allow this request (403)"),
        "{message}"
    );
}

#[tokio::test]
async fn program_reads_why_a_server_refused() {
    let json = &[("content-type", "application/json")];
    for (code, body, reason) in [
        (401, "{}", Some(ErrorReason::KeyRefused)),
        (403, "{}", None),
        (403, r#"{"error":{"code":"invalid_api_key","message":"x"}}"#, Some(ErrorReason::KeyRefused)),
        (
            400,
            r#"{"code":"x","error":"Incorrect API key provided: sk***ef."}"#,
            Some(ErrorReason::KeyRefused),
        ),
        (400, r#"{"error":{"message":"Could not process image"}}"#, Some(ErrorReason::ImageRefused)),
        (404, r#"{"error":{"code":"model_not_found","message":"x"}}"#, Some(ErrorReason::UnknownModel)),
        (
            400,
            r#"{"error":{"message":"m is not a valid model ID","code":400}}"#,
            Some(ErrorReason::UnknownModel),
        ),
        (400, r#"{"message":"Invalid model: m","type":"invalid_model"}"#, Some(ErrorReason::UnknownModel)),
        (400, r#"{"error":{"message":"temperature is out of range"}}"#, None),
        (500, r#"{"error":{"message":"model not found"}}"#, None),
    ] {
        let (error, _) = refused(answer(code, json, body)).await;
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(error.kind() == ErrorKind::NotFound, reason == Some(ErrorReason::UnknownModel), "{error}");
    }
}

#[tokio::test]
async fn sec_t01_redirect_is_not_followed() {
    let other = Server::once(answer(200, &[], "{}")).await;
    for location in
        [&other.url, "http://169.254.169.254/latest", "http://[::1]:9/", "file:///etc/passwd", "//b"]
    {
        for status in [301, 302, 303, 307, 308] {
            let server = Server::once(answer(status, &[("location", location)], "")).await;
            let error = provider(&OPENAI).chat(&server.endpoint(OPENAI), &question()).await.err().unwrap();
            assert!(error.message().contains("final address"), "{error}");
            assert_eq!(server.asked().len(), 1);
        }
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn spent_account_is_told_and_not_tried_again() {
    for (code, body) in [
        (402, r#"{"error":{"code":402,"message":"Insufficient credits"}}"#),
        (429, r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}"#),
    ] {
        let (kind, message, asked) = status(code, body).await;
        assert_eq!((kind, asked), (ErrorKind::Upstream, 1));
        assert!(message.contains("no credits"), "{message}");
    }
}

#[tokio::test]
async fn too_long_prompt_is_a_context_overflow() {
    for (code, body) in [
        (400, r#"{"error":{"code":"context_length_exceeded","message":"x"}}"#),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 2048 tokens.","code":400}"#,
        ),
        (
            400,
            r#"{"error":{"type":"exceed_context_size_error","message":"the request exceeds the available context size"}}"#,
        ),
        (422, r#"{"detail":"prompt is too long"}"#),
        (413, r#"{"error":{"message":"Input length exceeds the context window"}}"#),
        (500, r#"{"error":{"code":"500","message":"litellm.ContextWindowExceededError: too many tokens"}}"#),
    ] {
        let (kind, message, asked) = status(code, body).await;
        assert_eq!((kind, asked), (ErrorKind::ContextOverflow, 1), "{message}");
    }
}

#[tokio::test]
async fn model_that_is_being_loaded_is_waited_for() {
    let loading =
        answer(503, &[], r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#);
    let good = json(r#"{"choices":[{"message":{"content":"ok"}}]}"#);
    let mut scripts = vec![loading.clone(); 9];
    scripts.push(good);
    let server = Server::start(scripts).await;
    drop(provider(&OPENAI).chat(&server.endpoint(OPENAI), &question()).await.unwrap());
    assert_eq!(server.asked().len(), 10);
    let server = Server::once(loading).await;
    let mut endpoint = server.endpoint(OPENAI);
    endpoint.settings.first_byte_timeout_ms = Some(100);
    let error = provider(&OPENAI).chat(&endpoint, &question()).await.err().unwrap();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("Loading model"), "{error}");
}

#[tokio::test]
async fn address_that_may_lack_its_version_is_told() {
    for script in [answer(404, &[], "{}"), answer(200, &[("content-type", "text/html")], "<html>")] {
        let server = Server::once(script).await;
        let mut endpoint = server.endpoint(OPENAI);
        let error = provider(&OPENAI).chat(&endpoint, &question()).await.err().unwrap();
        assert!(error.message().contains(&format!("try `{}/v1`", server.url)), "{error}");
        endpoint.url += "/v1";
        let error = provider(&OPENAI).chat(&endpoint, &question()).await.err().unwrap();
        assert!(!error.message().contains("try `"), "{error}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_stay_out_of_the_sentence() {
    for (code, body) in [
        (502, "<html><body>Bad Gateway</body></html>"),
        (500, "Internal Server Error"),
        (400, ""),
        (404, "404 page not found"),
    ] {
        let (error, _) = refused(answer(code, &[("content-type", "text/html")], body)).await;
        assert!(
            !error.message().contains("Gateway") && !error.message().contains("Internal Server"),
            "{error}"
        );
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, body);
    }
}

#[tokio::test]
async fn vendors_sentence_is_one_short_line_without_the_key() {
    let body = format!(r#"{{"error":{{"message":"no\nsuch\tthing as {CANARY} {}"}}}}"#, "x".repeat(20_000));
    let (kind, message, _) = status(400, &body[..]).await;
    // Only 12 KiB of a refusal are read, and half an object is none.
    assert_eq!((kind, message.contains("no such")), (ErrorKind::Invalid, false));
    let body = format!(r#"{{"error":{{"message":"no\nsuch\tthing as {CANARY} {}"}}}}"#, "x".repeat(1_000));
    let (_, message, _) = status(400, &body[..]).await;
    let (_, said) = message.split_once("(400): ").unwrap();
    assert!(said.starts_with("no such thing as [key] xxx") && said.ends_with('…'), "{said}");
    assert_eq!(said.chars().count(), 300);
}

#[tokio::test]
async fn key_at_the_edge_of_what_is_logged_is_not_shown_in_part() {
    for at in (8 * 1024 - CANARY.len())..=8 * 1024 {
        let (error, _) = refused(answer(400, &[], &format!("{}{CANARY}", "x".repeat(at)))).await;
        assert!(!format!("{error:?}").contains("sk-"), "key at {at}");
    }
}

#[tokio::test]
async fn error_forms_of_many_servers_are_read() {
    for body in [
        r#"{"error":"bad day"}"#,
        r#"{"error":{"message":"bad day","type":"t","param":null,"code":null}}"#,
        r#"{"detail":"bad day"}"#,
        r#"{"message":"bad day"}"#,
        r#"{"error":{"error":"bad day"}}"#,
    ] {
        let (_, message, _) = status(400, body).await;
        assert!(message.ends_with("(400): bad day"), "{message}");
    }
    let (kind, message, _) = status(422, r#"{"detail":[{"loc":["body"],"msg":"wrong"}]}"#).await;
    assert!(kind == ErrorKind::Invalid && message.ends_with("(422): body: wrong"), "{message}");
}

#[tokio::test]
async fn absent_model_is_not_found() {
    let (kind, message, _) = status(404, r#"{"error":{"message":"The model `m` does not exist"}}"#).await;
    assert!(kind == ErrorKind::NotFound && message.contains("no model `m`"), "{message}");
}

#[tokio::test]
async fn short_wait_is_waited_and_long_one_is_told() {
    let limited =
        |header: (&'static str, &'static str)| answer(429, &[header], r#"{"error":{"message":"slow"}}"#);
    let good = json(r#"{"choices":[{"message":{"content":"ok"}}]}"#);
    for header in
        [("retry-after-ms", "20"), ("retry-after", "0"), ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]
    {
        let server = Server::start(vec![limited(header), good.clone()]).await;
        let begin = std::time::Instant::now();
        drop(provider(&OPENAI).chat(&server.endpoint(OPENAI), &question()).await.unwrap());
        assert_eq!(server.asked().len(), 2);
        assert!(header.0 != "retry-after-ms" || begin.elapsed() >= Duration::from_millis(20));
    }
    let (error, asked) = refused(limited(("retry-after", "3600"))).await;
    assert_eq!((error.kind(), asked), (ErrorKind::RateLimited, 1));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn server_decides_over_retries_that_make_sense() {
    let told = |code, value| answer(code, &[("x-should-retry", value)], "{}");
    assert_eq!(refused(told(503, "false")).await.1, 1);
    assert_eq!(refused(told(520, "true")).await.1, 3);
    assert_eq!(refused(told(400, "true")).await.1, 1);
}

#[tokio::test]
async fn refusal_without_end_is_read_in_part() {
    use crate::server::Step::{Flood, Send};
    let script = vec![Send(b"HTTP/1.1 400 X\r\n\r\n".to_vec()), Flood(vec![b'x'; 64 * 1024])];
    let (error, _) = refused(script).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string().len(), 8 * 1024);
}

#[tokio::test]
async fn plain_question_is_refused_alike() {
    let server = Server::once(answer(429, &[("retry-after", "99")], "{}")).await;
    let request = ChatRequest { stream: false, ..question() };
    let error = provider(&OPENAI).chat(&server.endpoint(OPENAI), &request).await.err().unwrap();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(99))));
}
