use super::*;

fn read(body: &str) -> VendorError {
    VendorError::new(&serde_json::from_str(body).unwrap())
}

#[test]
fn sentence_is_found_in_the_form_of_each_vendor() {
    for (body, said) in [
        (r#"{"error":{"message":"m","type":"t"}}"#, "m"),
        (r#"{"error":"m"}"#, "m"),
        (r#"{"error":{"error":"m"}}"#, "m"),
        (r#"{"message":"m","code":"x"}"#, "m"),
        (r#"{"detail":"m"}"#, "m"),
        (r#"{"detail":[{"loc":["body","stop"],"msg":"m","type":"x"}]}"#, "body.stop: m"),
        (r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#, "m"),
        (r#"{"errors":[{"message":"m"},{"message":"n"}]}"#, "m; n"),
        (r#"{"errors":["m"]}"#, "m"),
        (r#"{"code":1301,"msg":"m"}"#, "m"),
        (r#"{"base_resp":{"status_code":1004,"status_msg":"m"},"choices":null}"#, "m"),
        (r#"{"error_code":17,"error_msg":"m"}"#, "m"),
        (r#"{"status":403,"title":"t","detail":"m"}"#, "m"),
        (r#"{"fault":{"faultstring":"m"}}"#, "m"),
        (r#"{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}"#, "m"),
        (
            r#"{"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"m\"}}","provider_name":"x"}}}"#,
            "m",
        ),
        (r#"{"error":{"message":"Provider returned error","metadata":{"raw":"m"}}}"#, "m"),
        (
            r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"]}}}"#,
            "flagged: violence",
        ),
        (r#"{"error":"{\"error\":{\"message\":\"m\"}}"}"#, "m"),
        (r#"{"message":{"detail":"m"}}"#, "m"),
    ] {
        assert_eq!(read(body).message, said, "{body}");
    }
}

#[test]
fn answers_and_pings_are_no_errors() {
    for body in [
        r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
        r#"{"choices":[],"error":null,"detail":""}"#,
        r#"{"type":"ping"}"#,
        r#"{"id":"x","object":"chat.completion.chunk","base_resp":{"status_code":0,"status_msg":""}}"#,
        r#"{"code":0,"message":"ok"}"#,
        r#"{"error":{}}"#,
    ] {
        assert!(!read(body).is_error(&serde_json::from_str(body).unwrap()), "{body}");
    }
    for body in [
        r#"{"code":1301,"msg":"m"}"#,
        r#"{"errors":["m"]}"#,
        r#"[{"error":{"message":"m"}}]"#,
        r#"{"type":"error"}"#,
    ] {
        assert!(read(body).is_error(&serde_json::from_str(body).unwrap()), "{body}");
    }
}

#[test]
fn overflow_is_known_in_the_words_of_each_vendor() {
    for (message, window) in [
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9216 tokens (8000 in the messages, 1216 in the completion).",
            Some(8_192),
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            Some(1_048_576),
        ),
        (
            "This model's maximum prompt length is 131072 but the request contains 159834 tokens.",
            Some(131_072),
        ),
        ("Invalid request: Your request exceeded model token limit: 8192", Some(8_192)),
        ("prompt is too long: 210,000 tokens > 200,000 maximum", Some(200_000)),
        ("Input is too long for requested model.", None),
        ("Please reduce the length of the messages or completion.", None),
        ("the request exceeds the available context size (4096 tokens), try increasing it", Some(4_096)),
        ("Range of input length should be [1, 30720]", Some(30_720)),
        ("The number of tokens to keep from the initial prompt is greater than the context length.", None),
        (
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 512 `max_new_tokens`",
            Some(4_096),
        ),
    ] {
        let error = VendorError::of_text(message);
        assert!(error.is_overflow(), "{message}");
        assert_eq!(error.overflow().map(|overflow| overflow.window), window, "{message}");
    }
    assert!(!VendorError::of_text("Request too large: tokens per minute (TPM): Limit 6000").is_overflow());
}
