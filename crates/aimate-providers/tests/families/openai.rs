//! OpenAI, and vendors' own endpoints in its format.

use super::{Family, Refusal};

pub(super) const ROWS: &[Family] = &[
    Family {
        name: "OpenAI",
        sources: "openai-openapi openapi.yaml; OpenAI's guide to error codes",
        provider: "openai",
        stream: r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x1"}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","choices":[{"index":0,"delta":{"content":" there"},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}

data: [DONE]

"#,
        plain: r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17},"service_tier":"default"}"#,
        thinks: false,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_9","type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Köln\"}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
        wants_back: "call_9",
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"message":"Incorrect API key provided: sk-can***cdef. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                "upstream",
                "You can find your API key",
            ),
            Refusal(
                "quota",
                429,
                r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                "upstream",
                "no credits",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9020 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
                "context_overflow",
                "9020",
            ),
            Refusal(
                "unknown model",
                404,
                r#"{"error":{"message":"The model `m` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
                "not_found",
                "do not have access",
            ),
            Refusal(
                "region",
                403,
                r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","param":null,"type":"request_forbidden"}}"#,
                "upstream",
                "territory not supported",
            ),
            Refusal(
                "moderation",
                400,
                r#"{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","param":null,"code":"invalid_prompt"}}"#,
                "invalid",
                "usage policy",
            ),
        ],
    },
    Family {
        name: "Azure",
        sources: "simonw/llm#294, pydantic/pydantic-ai#164, microsoft/autogen#6465; Azure OpenAI content filtering",
        provider: "openai",
        stream: r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}

data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4o","object":"chat.completion.chunk"}

data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Hello there"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4o","object":"chat.completion.chunk"}

data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4o","object":"chat.completion.chunk"}

data: {"choices":[{"content_filter_offsets":{"check_offset":1,"start_offset":1,"end_offset":9},"content_filter_results":{},"finish_reason":null,"index":0}],"created":0,"id":"","model":"","object":""}

data: {"choices":[],"created":1,"id":"chatcmpl-1","model":"gpt-4o","object":"chat.completion.chunk","usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17}}

data: [DONE]

"#,
        plain: r#"{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"Hello there","refusal":null,"role":"assistant"}}],"created":1,"id":"chatcmpl-1","model":"gpt-4o","object":"chat.completion","prompt_filter_results":[],"usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17}}"#,
        thinks: false,
        counts: true,
        call: r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}

data: {"choices":[{"content_filter_results":{},"delta":{"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"","name":"get_weather"},"id":"call_9","index":0,"type":"function"}]},"finish_reason":null,"index":0}]}

data: {"choices":[{"content_filter_results":{},"delta":{"tool_calls":[{"function":{"arguments":"{\"city\":\"Köln\"}"},"index":0}]},"finish_reason":null,"index":0}]}

data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"tool_calls","index":0}]}

data: [DONE]

"#,
        wants_back: "call_9",
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
                "upstream",
                "wrong API endpoint",
            ),
            Refusal(
                "unknown model",
                404,
                r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
                "not_found",
                "deployment for this resource",
            ),
            Refusal(
                "moderation",
                400,
                r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"violence":{"filtered":true,"severity":"medium"}}}}}"#,
                "invalid",
                "content management policy",
            ),
            Refusal(
                "rate",
                429,
                r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded call rate limit. Please retry after 7 seconds."}}"#,
                "rate_limited",
                "retry after 7 seconds",
            ),
        ],
    },
    Family {
        name: "Gemini",
        sources: "Gemini's OpenAI compatibility and thought signatures; NousResearch/hermes-agent#62940, su-kaka/gcli2api#406",
        provider: "openai",
        stream: r#"data: {"choices":[{"delta":{"content":"Hello","role":"assistant"},"index":0}],"created":1,"id":"a","model":"gemini-2.5-flash","object":"chat.completion.chunk","usage":{"completion_tokens":1,"prompt_tokens":12,"total_tokens":13}}

data: {"choices":[{"delta":{"content":" there","role":"assistant","extra_content":{"google":{"thought_signature":"c2ln"}}},"finish_reason":"stop","index":0}],"created":1,"id":"a","model":"gemini-2.5-flash","object":"chat.completion.chunk","usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17}}

data: [DONE]

"#,
        plain: r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"Hello there","role":"assistant"}}],"created":1,"id":"a","model":"gemini-2.5-flash","object":"chat.completion","usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17}}"#,
        thinks: false,
        counts: true,
        call: r#"data: {"choices":[{"delta":{"role":"assistant","tool_calls":[{"extra_content":{"google":{"thought_signature":"c2lnbmF0dXJl"}},"function":{"arguments":"{\"city\":\"Köln\"}","name":"get_weather"},"id":"function-call-9","index":0,"type":"function"}]},"finish_reason":"stop","index":0}]}

data: [DONE]

"#,
        wants_back: r#""extra_content":{"google":{"thought_signature":"c2lnbmF0dXJl"}}"#,
        refusals: &[
            Refusal(
                "wrong key",
                400,
                r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}]"#,
                "upstream",
                "pass a valid API key",
            ),
            Refusal(
                "overflow",
                400,
                r#"[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
                "context_overflow",
                "1048576",
            ),
            Refusal(
                "unknown model",
                404,
                r#"[{"error":{"code":404,"message":"models/m is not found for API version v1main, or is not supported for generateContent.","status":"NOT_FOUND"}}]"#,
                "not_found",
                "is not supported for",
            ),
            Refusal(
                "quota",
                429,
                r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}]"#,
                "rate_limited",
                "current quota",
            ),
            Refusal(
                "busy",
                503,
                r#"[{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]"#,
                "upstream",
                "overloaded",
            ),
            Refusal(
                "missing signature",
                400,
                r#"[{"error":{"code":400,"message":"Function call is missing a thought_signature in functionCall parts.","status":"INVALID_ARGUMENT"}}]"#,
                "invalid",
                "thought_signature",
            ),
        ],
    },
    Family {
        name: "Anthropic",
        sources: "Anthropic's OpenAI SDK compatibility; Anthropic's errors",
        provider: "openai",
        stream: r#"data: {"id":"msg_1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"created":1,"model":"claude-sonnet-4-5","object":"chat.completion.chunk"}

data: {"id":"msg_1","choices":[{"index":0,"delta":{"content":"Hello there"}}],"created":1,"model":"claude-sonnet-4-5","object":"chat.completion.chunk"}

data: {"id":"msg_1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"created":1,"model":"claude-sonnet-4-5","object":"chat.completion.chunk"}

data: {"id":"msg_1","choices":[],"created":1,"model":"claude-sonnet-4-5","object":"chat.completion.chunk","usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17}}

data: [DONE]

"#,
        plain: r#"{"id":"msg_1","choices":[{"finish_reason":"stop","index":0,"message":{"content":"Hello there","role":"assistant"}}],"created":1,"model":"claude-sonnet-4-5","object":"chat.completion","usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17}}"#,
        thinks: false,
        counts: true,
        call: r#"data: {"id":"msg_1","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"toolu_9","type":"function","function":{"name":"get_weather","arguments":""}}]}}]}

data: {"id":"msg_1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": \"Köln\"}"}}]}}]}

data: {"id":"msg_1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
        wants_back: "toolu_9",
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"code":"authentication_error","message":"invalid x-api-key","type":"invalid_request_error","param":null}}"#,
                "upstream",
                "invalid x-api-key",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"error":{"code":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum","type":"invalid_request_error","param":null}}"#,
                "context_overflow",
                "200000 maximum",
            ),
            Refusal(
                "quota",
                400,
                r#"{"error":{"code":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API.","type":"invalid_request_error","param":null}}"#,
                "upstream",
                "credit balance",
            ),
            Refusal(
                "unknown model",
                404,
                r#"{"type":"error","error":{"type":"not_found_error","message":"model: m"},"request_id":"req_1"}"#,
                "not_found",
                "model: m",
            ),
            Refusal(
                "busy",
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                "upstream",
                "Overloaded",
            ),
        ],
    },
];
