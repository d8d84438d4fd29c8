//! Routers and proxies.

use super::{Family, Refusal};

pub(super) const ROWS: &[Family] = &[
    Family {
        name: "OpenRouter",
        sources: "OpenRouter's API overview, errors, reasoning tokens",
        provider: "openrouter",
        stream: r#": OPENROUTER PROCESSING

: OPENROUTER PROCESSING

data: {"id":"gen-1","provider":"Google","model":"google/gemini-3-pro","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Hm.","reasoning_details":[{"type":"reasoning.text","text":"Hm.","format":"google-gemini-v1","index":0}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

data: {"id":"gen-1","provider":"Google","model":"google/gemini-3-pro","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello there"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

data: {"id":"gen-1","provider":"Google","model":"google/gemini-3-pro","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"STOP","logprobs":null}]}

data: {"id":"gen-1","provider":"Google","model":"google/gemini-3-pro","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"cost":0.0001,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":2}}}

data: [DONE]

"#,
        plain: "\n         \n\n         \n{\"id\":\"gen-1\",\"provider\":\"Google\",\"model\":\"google/gemini-3-pro\",\"object\":\"chat.completion\",\"created\":1,\"choices\":[{\"logprobs\":null,\"finish_reason\":\"stop\",\"native_finish_reason\":\"STOP\",\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello there\",\"refusal\":null,\"reasoning\":\"Hm.\"}}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17,\"cost\":0.0001}}",
        thinks: true,
        counts: true,
        call: r#": OPENROUTER PROCESSING

data: {"id":"gen-1","provider":"Google","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_details":[{"type":"reasoning.encrypted","data":"c2VhbGVk","format":"google-gemini-v1","index":0}]},"finish_reason":null}]}

data: {"id":"gen-1","provider":"Google","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"tool_0_get_weather","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Köln\"}"}}]},"finish_reason":"tool_calls","native_finish_reason":"STOP"}]}

data: [DONE]

"#,
        wants_back: r#""data":"c2VhbGVk""#,
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"message":"No cookie auth credentials found","code":401}}"#,
                "upstream",
                "No cookie auth",
            ),
            Refusal(
                "quota",
                402,
                r#"{"error":{"message":"This request requires more credits, or fewer max_tokens.","code":402,"metadata":{"provider_name":null}}}"#,
                "upstream",
                "requires more credits",
            ),
            Refusal(
                "moderation",
                403,
                r#"{"error":{"code":403,"message":"Your input was flagged","metadata":{"reasons":["violence"],"flagged_input":"x","provider_name":"OpenAI","model_slug":"openai/gpt-4o"}}}"#,
                "upstream",
                "violence",
            ),
            Refusal(
                "unknown model",
                400,
                r#"{"error":{"message":"m is not a valid model ID","code":400},"user_id":"u"}"#,
                "not_found",
                "not a valid model ID",
            ),
            Refusal(
                "of the provider",
                400,
                r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"thinking is enabled but reasoning_content is missing in assistant tool call message at index 2\",\"type\":\"invalid_request_error\"}}","provider_name":"Moonshot AI","is_byok":true}},"user_id":"u"}"#,
                "invalid",
                "at index 2",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"error":{"message":"This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens (139000 of text input, 1000 in the output).","code":400,"metadata":{"provider_name":null}}}"#,
                "context_overflow",
                "140000",
            ),
            Refusal(
                "error in 200",
                200,
                r#"{"error":{"message":"Upstream error from Chutes: overloaded","code":502,"metadata":{"provider_name":"Chutes"}},"user_id":"u"}"#,
                "upstream",
                "from Chutes",
            ),
        ],
    },
    Family {
        name: "LiteLLM",
        sources: "seen of litellm's proxy on the wire; litellm's exception mapping",
        provider: "openai",
        stream: r#"data: {"id":"chatcmpl-1","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hello there","role":"assistant"}}]}

data: {"id":"chatcmpl-1","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"finish_reason":"stop","index":0,"delta":{}}]}

data: {"id":"chatcmpl-1","created":1,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{}}],"usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17}}

data: [DONE]

"#,
        plain: r#"{"id":"chatcmpl-1","created":1,"model":"m","object":"chat.completion","choices":[{"finish_reason":"stop","index":0,"message":{"content":"Hello there","role":"assistant","provider_specific_fields":{}}}],"usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17}}"#,
        thinks: false,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm.","thinking_blocks":[{"type":"thinking","thinking":"Hm.","signature":null}]}}]}

data: {"choices":[{"index":0,"delta":{"thinking_blocks":[{"type":"thinking","thinking":"","signature":"c2lnbmVk"}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"toolu_9","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Köln\"}"}}]}}]}

data: {"choices":[{"finish_reason":"tool_calls","index":0,"delta":{}}]}

data: [DONE]

"#,
        wants_back: r#""signature":"c2lnbmVk""#,
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"message":"Authentication Error, Invalid proxy server token passed.","type":"auth_error","param":"None","code":"401"}}"#,
                "upstream",
                "Invalid proxy server token",
            ),
            Refusal(
                "unknown model",
                400,
                r#"{"error":{"message":"/chat/completions: Invalid model name passed in model=m. Call `/v1/models` to view available models for your key.","type":"invalid_request_error","param":"model","code":"400"}}"#,
                "not_found",
                "Call `/v1/models`",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: this model is too small","type":null,"param":null,"code":"400"}}"#,
                "context_overflow",
                "too small",
            ),
            Refusal(
                "rate",
                429,
                r#"{"error":{"message":"litellm.RateLimitError: slow down","type":"throttling_error","param":null,"code":"429"}}"#,
                "rate_limited",
                "slow down",
            ),
        ],
    },
];
