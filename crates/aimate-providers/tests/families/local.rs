//! Servers that people run themselves.

use super::{Family, Refusal};

pub(super) const ROWS: &[Family] = &[
    Family {
        name: "vLLM",
        sources: "vLLM's OpenAI-compatible server; its reasoning outputs",
        provider: "openai",
        stream: r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"reasoning":"Hm.","reasoning_content":"Hm."},"logprobs":null,"finish_reason":null,"token_ids":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hello there"},"logprobs":null,"finish_reason":null,"token_ids":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":128009,"token_ids":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":12,"total_tokens":17,"completion_tokens":5}}

data: [DONE]

"#,
        plain: r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning":"Hm.","reasoning_content":"Hm."},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}],"service_tier":null,"usage":{"prompt_tokens":12,"total_tokens":17,"completion_tokens":5,"prompt_tokens_details":null},"prompt_logprobs":null,"kv_transfer_params":null}"#,
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"chatcmpl-tool-9","type":"function","index":0,"function":{"name":"get_weather"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": \"K"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"öln\"}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"tool_calls","stop_reason":null}]}

data: [DONE]

"#,
        wants_back: "chatcmpl-tool-9",
        refusals: &[
            Refusal("wrong key", 401, r#"{"error":"Unauthorized"}"#, "upstream", "Unauthorized"),
            Refusal(
                "unknown model",
                404,
                r#"{"object":"error","message":"The model `m` does not exist.","type":"NotFoundError","param":null,"code":404}"#,
                "not_found",
                "does not exist",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages. None","type":"BadRequestError","param":null,"code":400}"#,
                "context_overflow",
                "5000",
            ),
            Refusal(
                "bad value",
                400,
                r#"{"error":{"message":"temperature must be non-negative, got -1.0.","type":"BadRequestError","param":null,"code":400}}"#,
                "invalid",
                "non-negative",
            ),
        ],
    },
    Family {
        name: "SGLang",
        sources: "sgl-project/sglang#3912; SGLang's OpenAI-compatible API",
        provider: "openai",
        stream: r#"data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":null},"logprobs":null,"finish_reason":"","matched_stop":null}],"usage":null}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":"Hm.","tool_calls":null},"logprobs":null,"finish_reason":"","matched_stop":null}],"usage":null}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":null,"content":"Hello there","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":"","matched_stop":null}],"usage":null}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":null},"logprobs":null,"finish_reason":"stop","matched_stop":151645}],"usage":null}

data: {"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":12,"total_tokens":17,"completion_tokens":5,"prompt_tokens_details":null}}

data: [DONE]

"#,
        plain: r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there","reasoning_content":"Hm.","tool_calls":null},"logprobs":null,"finish_reason":"stop","matched_stop":151645}],"usage":{"prompt_tokens":12,"total_tokens":17,"completion_tokens":5,"prompt_tokens_details":null}}"#,
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":null,"tool_calls":[{"id":"call_9","index":0,"type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":null,"tool_calls":[{"id":null,"index":0,"type":"function","function":{"name":null,"arguments":"{\"city\": \"Köln\"}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":null,"tool_calls":null},"finish_reason":"tool_calls","matched_stop":null}]}

data: [DONE]

"#,
        wants_back: "call_9",
        refusals: &[
            Refusal("wrong key", 401, r#"{"error":"Unauthorized"}"#, "upstream", "Unauthorized"),
            Refusal(
                "overflow",
                400,
                r#"{"object":"error","message":"The input (5000 tokens) is longer than the model's context length (4096 tokens).","type":"BadRequestError","param":null,"code":400}"#,
                "context_overflow",
                "4096",
            ),
            Refusal(
                "bad value",
                422,
                r#"{"detail":[{"type":"float_parsing","loc":["body","temperature"],"msg":"Input should be a valid number"}]}"#,
                "invalid",
                "body.temperature: Input should be",
            ),
        ],
    },
    Family {
        name: "llama.cpp",
        sources: "ggml-org/llama.cpp#15780, #19774, oobabooga/textgen#7257; tools/server/README.md",
        provider: "openai",
        stream: r#"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"chatcmpl-1","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"Hm."}}],"created":1,"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hello there"}}],"created":1,"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1,"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk"}

data: {"choices":[],"created":1,"id":"chatcmpl-1","model":"m","object":"chat.completion.chunk","usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17},"timings":{"cache_n":0,"prompt_n":12,"prompt_ms":1.5,"predicted_n":5,"predicted_ms":2.5}}

data: [DONE]

"#,
        plain: r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","reasoning_content":"Hm.","content":"Hello there"}}],"created":1,"model":"m","system_fingerprint":"b1","object":"chat.completion","usage":{"completion_tokens":5,"prompt_tokens":12,"total_tokens":17},"id":"chatcmpl-1","timings":{"prompt_n":12,"predicted_n":5}}"#,
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"id":"AbC9","type":"function","function":{"name":"get_weather","arguments":"{\"city"}}]}}]}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\":\"Köln\"}"}}]}}]}

data: {"choices":[{"finish_reason":"tool_calls","index":0,"delta":{}}]}

data: [DONE]

"#,
        wants_back: "AbC9",
        refusals: &[
            Refusal(
                "wrong key",
                401,
                r#"{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}"#,
                "upstream",
                "Invalid API Key",
            ),
            Refusal(
                "overflow",
                400,
                r#"{"error":{"code":400,"message":"request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":4390,"n_ctx":4096}}"#,
                "context_overflow",
                "4390",
            ),
            Refusal(
                "overflow of the slot",
                500,
                r#"{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}"#,
                "context_overflow",
                "has been exceeded",
            ),
            Refusal(
                "overflow in 200",
                200,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}}"#,
                "context_overflow",
                "context shift",
            ),
            Refusal(
                "no pictures",
                500,
                r#"{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}"#,
                "upstream",
                "mmproj",
            ),
        ],
    },
    Family {
        name: "LM Studio",
        sources: "LM Studio's OpenAI compatibility; seen of its users' reports",
        provider: "openai",
        stream: r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"m","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm."},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello there"},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}

data: [DONE]

"#,
        plain: "{\n  \"id\": \"chatcmpl-1\",\n  \"object\": \"chat.completion\",\n  \"choices\": [\n    {\n      \"index\": 0,\n      \"message\": {\"role\": \"assistant\", \"content\": \"Hello there\", \"reasoning_content\": \"Hm.\", \"tool_calls\": []},\n      \"logprobs\": null,\n      \"finish_reason\": \"stop\"\n    }\n  ],\n  \"usage\": {\"prompt_tokens\": 12, \"completion_tokens\": 5, \"total_tokens\": 17},\n  \"stats\": {}\n}",
        thinks: true,
        counts: true,
        call: r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"936492","type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"type":"function","function":{"name":"","arguments":"{\"city\":\"Köln\"}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
        wants_back: "936492",
        refusals: &[
            Refusal(
                "overflow in the stream",
                200,
                "event: error\ndata: {\"error\":{\"message\":\"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens.\"}}\n\n",
                "context_overflow",
                "only 4096",
            ),
            Refusal(
                "unknown model",
                404,
                r#"{"error":{"message":"Model not found","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#,
                "not_found",
                "Model not found",
            ),
            Refusal(
                "wrong address",
                200,
                r#"{"error":"Unexpected endpoint or method. (POST /chat/completions)"}"#,
                "upstream",
                "Unexpected endpoint",
            ),
            Refusal(
                "no model",
                400,
                r#"{"error":{"message":"No models loaded. Please load a model in the developer page or use the `lms load` command.","type":"invalid_request_error","param":"model","code":null}}"#,
                "invalid",
                "lms load",
            ),
        ],
    },
    Family {
        name: "Ollama",
        sources: "ollama/ollama docs/api.md, docs/api/errors.mdx, api/types.go",
        provider: "ollama",
        stream: r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","thinking":"Hm."},"done":false}
{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Hello"},"done":false}
{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":" there"},"done":false}
{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":1,"load_duration":1,"prompt_eval_count":12,"prompt_eval_duration":1,"eval_count":5,"eval_duration":1}
"#,
        plain: r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Hello there","thinking":"Hm."},"done":true,"done_reason":"stop","total_duration":1,"prompt_eval_count":12,"eval_count":5}"#,
        thinks: true,
        counts: true,
        call: r#"{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_9","function":{"index":0,"name":"get_weather","arguments":{"city":"Köln"}}}]},"done":false}
{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":12,"eval_count":5}
"#,
        wants_back: "call_9",
        refusals: &[
            Refusal(
                "unknown model",
                404,
                r#"{"error":"model 'm' not found"}"#,
                "not_found",
                "model 'm' not found",
            ),
            Refusal(
                "no tools",
                400,
                r#"{"error":"registry.ollama.ai/library/m does not support tools"}"#,
                "invalid",
                "does not support tools",
            ),
            Refusal(
                "memory",
                500,
                r#"{"error":"model requires more system memory (9.1 GiB) than is available (4.0 GiB)"}"#,
                "upstream",
                "more system memory",
            ),
            Refusal(
                "busy",
                503,
                r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
                "upstream",
                "server busy",
            ),
            Refusal(
                "in the stream",
                200,
                "{\"error\":\"an error was encountered while running the model\"}\n",
                "upstream",
                "while running the model",
            ),
        ],
    },
    Family {
        name: "TGI",
        sources: "huggingface/text-generation-inference router/src/server.rs, its Messages API",
        provider: "openai",
        stream: r#"data:{"object":"chat.completion.chunk","id":"","created":1,"model":"m","system_fingerprint":"3.0-native","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello there"},"logprobs":null,"finish_reason":null}],"usage":null}

data:{"object":"chat.completion.chunk","id":"","created":1,"model":"m","system_fingerprint":"3.0-native","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":"eos_token"}],"usage":null}

data:{"object":"chat.completion.chunk","id":"","created":1,"model":"m","system_fingerprint":"3.0-native","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}

data: [DONE]

"#,
        plain: r#"{"object":"chat.completion","id":"","created":1,"model":"m","system_fingerprint":"3.0-native","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}"#,
        thinks: false,
        counts: true,
        call: r#"data:{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":{"index":0,"id":"0","type":"function","function":{"name":"get_weather","arguments":{"city":"Köln"}}}},"logprobs":null,"finish_reason":null}]}

data:{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":"stop"}]}

data: [DONE]

"#,
        wants_back: "get_weather",
        refusals: &[
            Refusal(
                "overflow",
                422,
                r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`","error_type":"validation"}"#,
                "context_overflow",
                "Given: 5000",
            ),
            Refusal(
                "busy",
                429,
                r#"{"error":"Model is overloaded","error_type":"overloaded"}"#,
                "rate_limited",
                "overloaded",
            ),
            Refusal(
                "in the stream",
                200,
                "data:{\"error\":{\"message\":\"Request failed during generation: Server error: CUDA out of memory\",\"http_status_code\":500,\"type\":\"generation\"}}\n\n",
                "upstream",
                "CUDA out of memory",
            ),
        ],
    },
    Family {
        name: "KoboldCpp",
        sources: "LostRuins/koboldcpp#1189, #2481",
        provider: "openai",
        stream: "event: message\ndata: {\"id\": \"koboldcpp\", \"object\": \"chat.completion.chunk\", \"created\": 1, \"model\": \"koboldcpp/m\", \"choices\": [{\"index\": 0, \"finish_reason\": null, \"delta\": {\"role\": \"assistant\", \"content\": \"Hello\"}}]}\n\nevent: message\ndata: {\"id\": \"koboldcpp\", \"object\": \"chat.completion.chunk\", \"created\": 1, \"model\": \"koboldcpp/m\", \"choices\": [{\"index\": 0, \"finish_reason\": null, \"delta\": {\"role\": \"assistant\", \"content\": \" there\"}}]}\n\nevent: message\ndata: {\"id\": \"koboldcpp\", \"object\": \"chat.completion.chunk\", \"created\": 1, \"model\": \"koboldcpp/m\", \"choices\": [{\"index\": 0, \"finish_reason\": \"stop\", \"delta\": {\"role\": \"assistant\", \"content\": \"\"}}]}\n\nevent: message\ndata: [DONE]\n\n",
        plain: r#"{"id": "chatcmpl-A1", "object": "chat.completion", "created": 1, "model": "koboldcpp/m", "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}, "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there", "tool_calls": []}, "finish_reason": "stop", "logprobs": null}]}"#,
        thinks: false,
        counts: false,
        call: "event: message\ndata: {\"id\": \"koboldcpp\", \"choices\": [{\"index\": 0, \"finish_reason\": \"tool_calls\", \"delta\": {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"call_9\", \"type\": \"function\", \"index\": 0, \"function\": {\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"Köln\\\"}\"}}]}}]}\n\nevent: message\ndata: [DONE]\n\n",
        wants_back: "call_9",
        refusals: &[
            Refusal(
                "busy",
                503,
                r#"{"detail":{"msg":"Server is busy; please try again later.","type":"service_unavailable"}}"#,
                "upstream",
                "Server is busy",
            ),
            Refusal(
                "wrong key",
                401,
                r#"{"detail":{"error":"Unauthorized","msg":"Authentication key is missing or invalid.","type":"unauthorized"}}"#,
                "upstream",
                "missing or invalid",
            ),
        ],
    },
];
