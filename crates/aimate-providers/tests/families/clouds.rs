//! Vendors with APIs of their own in OpenAI's format.

use super::{Family, Refusal};

pub(super) const ROWS: &[Family] = &[
    Family {
        name: "DeepSeek",
        sources: "DeepSeek's thinking mode and error codes; earendil-works/pi#3636, SaladDay/cc-switch-cli#170",
        provider: "openai",
        stream: r#": keep-alive

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"deepseek-reasoner","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"deepseek-reasoner","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Hm."},"logprobs":null,"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"deepseek-reasoner","choices":[{"index":0,"delta":{"content":"Hello there","reasoning_content":null},"logprobs":null,"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"deepseek-reasoner","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":2},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":12}}

data: [DONE]

"#,
        plain: "\n\n{\"id\":\"a\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"deepseek-reasoner\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello there\",\"reasoning_content\":\"Hm.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17}}",
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"Hm."},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_00_9","type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": \"Köln\"}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
        wants_back: r#""reasoning_content":"Hm.""#,
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"message":"Authentication Fails, Your api key: ****cdef is invalid","type":"authentication_error","param":null,"code":"invalid_request_error"}}"#,
                "upstream",
                "Authentication Fails",
            ),
            Refusal(
                "quota",
                402,
                r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
                "upstream",
                "Insufficient Balance",
            ),
            Refusal(
                "unknown model",
                400,
                r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
                "not_found",
                "Model Not Exist",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"error":{"message":"This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (62000 in the messages, 8000 in the completion).","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
                "context_overflow",
                "70000",
            ),
            Refusal(
                "missing reasoning",
                400,
                r#"{"error":{"message":"Missing `reasoning_content` field in the assistant message at message index 2.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
                "invalid",
                "message index 2",
            ),
        ],
    },
    Family {
        name: "Kimi",
        sources: "Moonshot's chat API; mnfst/llm-gateway#1862",
        provider: "openai",
        stream: r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"system_fingerprint":"f"}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"delta":{"reasoning_content":"Hm."},"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"delta":{"content":"Hello there"},"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"cached_tokens":4}}]}

data: [DONE]

"#,
        plain: r#"{"id":"a","object":"chat.completion","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","reasoning_content":"Hm."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"cached_tokens":4}}"#,
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":"Hm."},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"get_weather:0","type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":\"Köln\"}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
        wants_back: r#""reasoning_content":"Hm.""#,
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"message":"Invalid Authentication","type":"invalid_authentication_error"}}"#,
                "upstream",
                "Invalid Authentication",
            ),
            Refusal(
                "quota",
                429,
                r#"{"error":{"message":"Your account is suspended, please check your plan and billing details","type":"exceeded_current_quota_error"}}"#,
                "upstream",
                "no credits",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"error":{"message":"Invalid request: Your request exceeded model token limit: 8192","type":"invalid_request_error"}}"#,
                "context_overflow",
                "8192",
            ),
            Refusal(
                "unknown model",
                404,
                r#"{"error":{"message":"Not found the model m or Permission denied","type":"resource_not_found_error"}}"#,
                "not_found",
                "Permission denied",
            ),
            Refusal(
                "moderation",
                400,
                r#"{"error":{"message":"The request was rejected because it was considered high risk","type":"content_filter"}}"#,
                "invalid",
                "high risk",
            ),
            Refusal(
                "busy",
                429,
                r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}"#,
                "rate_limited",
                "overloaded",
            ),
        ],
    },
    Family {
        name: "Mistral",
        sources: "Mistral's API; vercel/ai#8072, charmbracelet/crush#1590, mistralai/platform-docs-public#7",
        provider: "openai",
        stream: r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"magistral-medium","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"magistral-medium","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]}]},"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"magistral-medium","choices":[{"index":0,"delta":{"content":"Hello there"},"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"magistral-medium","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"total_tokens":17,"completion_tokens":5}}

data: [DONE]

"#,
        plain: r#"{"id":"a","object":"chat.completion","created":1,"model":"magistral-medium","choices":[{"index":0,"message":{"role":"assistant","tool_calls":null,"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]},{"type":"text","text":"Hello there"}],"prefix":false},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"total_tokens":17,"completion_tokens":5}}"#,
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"D681PevKs","function":{"name":"get_weather","arguments":"{\"city\": \"Köln\"}"},"index":0}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":12,"total_tokens":17,"completion_tokens":5}}

data: [DONE]

"#,
        wants_back: "D681PevKs",
        refusals: &[
            Refusal("wrong key", 401, r#"{"detail":"Unauthorized"}"#, "upstream", "Unauthorized"),
            Refusal(
                "unknown model",
                400,
                r#"{"object":"error","message":"Invalid model: m","type":"invalid_model","param":null,"code":"1500"}"#,
                "not_found",
                "Invalid model: m",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_message","param":null,"code":"3051"}"#,
                "context_overflow",
                "32768",
            ),
            Refusal(
                "unknown field",
                422,
                r#"{"object":"error","message":"{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"frequency_penalty\"],\"msg\":\"Extra inputs are not permitted\",\"input\":0.0}]}","type":"internal_error_proxy","param":null,"code":"1000"}"#,
                "invalid",
                "body.frequency_penalty: Extra inputs are not permitted",
            ),
            Refusal(
                "roles",
                400,
                r#"{"object":"error","message":{"detail":[{"type":"value_error","loc":["body","messages"],"msg":"Expected last role User or Tool"}]},"type":"invalid_request_error","param":null,"code":null}"#,
                "invalid",
                "Expected last role",
            ),
            Refusal(
                "rate",
                429,
                r#"{"message":"Requests rate limit exceeded"}"#,
                "rate_limited",
                "rate limit exceeded",
            ),
        ],
    },
    Family {
        name: "xAI",
        sources: "xAI's API; openai/codex#1352, continuedev/continue#10778",
        provider: "openai",
        stream: r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"grok-4","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm."}}],"system_fingerprint":"f"}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"grok-4","choices":[{"index":0,"delta":{"content":"Hello there","role":"assistant"}}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"grok-4","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"citations":["https://example.org/1"]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"grok-4","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":2},"num_sources_used":1}}

data: [DONE]

"#,
        plain: r#"{"id":"a","object":"chat.completion","created":1,"model":"grok-4","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","reasoning_content":"Hm.","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":2}},"citations":["https://example.org/1"]}"#,
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_9","function":{"name":"get_weather","arguments":"{\"city\":\"Köln\"}"},"index":0,"type":"function"}]}}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
        wants_back: "call_9",
        refusals: &[
            Refusal(
                "wrong key",
                400,
                r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: sk***ef. You can obtain an API key from https://console.x.ai."}"#,
                "upstream",
                "console.x.ai",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 159834 tokens."}"#,
                "context_overflow",
                "159834",
            ),
            Refusal(
                "unknown model",
                404,
                r#"{"code":"Some requested entity was not found","error":"The model m does not exist or your team does not have access to it."}"#,
                "not_found",
                "your team",
            ),
            Refusal(
                "moderation",
                403,
                r#"{"code":"The caller does not have permission to execute the specified operation","error":"Content violates usage guidelines."}"#,
                "upstream",
                "usage guidelines",
            ),
        ],
    },
    Family {
        name: "Groq",
        sources: "Groq's API and error codes",
        provider: "openai",
        stream: r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"openai/gpt-oss-20b","system_fingerprint":"f","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_1"}}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"openai/gpt-oss-20b","choices":[{"index":0,"delta":{"reasoning":"Hm.","channel":"analysis"},"logprobs":null,"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"openai/gpt-oss-20b","choices":[{"index":0,"delta":{"content":"Hello there"},"logprobs":null,"finish_reason":null}]}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"openai/gpt-oss-20b","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.1,"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}}

data: [DONE]

"#,
        plain: r#"{"id":"a","object":"chat.completion","created":1,"model":"openai/gpt-oss-20b","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","reasoning":"Hm."},"logprobs":null,"finish_reason":"stop"}],"usage":{"queue_time":0.1,"prompt_tokens":12,"completion_tokens":5,"total_tokens":17},"x_groq":{"id":"req_1"}}"#,
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}],"x_groq":{"id":"req_1"}}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"fc_9","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Köln\"}"},"index":0}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
        wants_back: "fc_9",
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"message":"Invalid API Key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                "upstream",
                "Invalid API Key",
            ),
            Refusal(
                "too many tokens a minute",
                413,
                r#"{"error":{"message":"Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000","type":"tokens","code":"rate_limit_exceeded"}}"#,
                "too_large",
                "Limit 6000",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
                "context_overflow",
                "reduce the length",
            ),
            Refusal(
                "unknown model",
                404,
                r#"{"error":{"message":"The model `m` does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}"#,
                "not_found",
                "do not have access",
            ),
            Refusal(
                "bad call",
                400,
                r#"{"error":{"message":"Failed to call a function. Please adjust your prompt.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=x>"}}"#,
                "invalid",
                "adjust your prompt",
            ),
        ],
    },
    Family {
        name: "Perplexity",
        sources: "Perplexity's API; perplexityai/api-discussion#175, continuedev/continue#4512",
        provider: "openai",
        stream: r#"data: {"id":"a","model":"sonar","created":1,"usage":{"prompt_tokens":12,"completion_tokens":1,"total_tokens":13},"citations":["https://example.org/1"],"search_results":[{"title":"One","url":"https://example.org/1","date":null}],"object":"chat.completion.chunk","choices":[{"index":0,"finish_reason":null,"message":{"role":"assistant","content":"Hello"},"delta":{"role":"assistant","content":"Hello"}}]}

data: {"id":"a","model":"sonar","created":1,"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"cost":{"total_cost":0.005}},"citations":["https://example.org/1"],"search_results":[{"title":"One","url":"https://example.org/1","date":null}],"object":"chat.completion.done","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hello there"},"delta":{"role":"assistant","content":" there"}}]}

"#,
        plain: r#"{"id":"a","model":"sonar","created":1,"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"search_context_size":"low"},"citations":["https://example.org/1"],"search_results":[{"title":"One","url":"https://example.org/1"}],"object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hello there"},"delta":{"role":"assistant","content":""}}]}"#,
        thinks: false,
        counts: true,
        call: "",
        wants_back: "",
        refusals: &[
            Refusal(
                "wrong key",
                401,
                "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body></body></html>",
                "upstream",
                "refused the key",
            ),
            Refusal(
                "unknown model",
                400,
                r#"{"error":{"message":"Invalid model 'm'. Permitted models can be found in the documentation.","type":"invalid_model","code":400}}"#,
                "not_found",
                "Permitted models",
            ),
            Refusal(
                "roles",
                400,
                r#"{"error":{"message":"After the (optional) system message(s), user or tool message(s) should alternate with assistant message(s).","type":"invalid_message","code":400}}"#,
                "invalid",
                "should alternate",
            ),
        ],
    },
];
