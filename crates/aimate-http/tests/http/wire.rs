//! What strangers' servers and clients showed to be wrong between the two faces.

use serde_json::{Value, json};

use crate::families::{Server, bench, said, sse, whole};

const OK: &str = r#"{"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}"#;

fn chat(messages: &Value) -> Value {
    json!({"model": "lab/m", "messages": messages})
}

#[tokio::test]
async fn fields_of_messages_are_handed_on_as_they_are() {
    let server =
        Server::start(vec![whole(r#"{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}"#)])
            .await;
    let bench = bench(&[("lab", "openai", &server)]).await;
    let messages = json!([
        {"role": "user", "content": "Hi", "name": "ann"},
        {"role": "assistant", "content": "Well", "prefix": true},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": ""},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}}]},
    ]);
    let mut body = chat(&messages);
    body["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": {}, "x": 1}, "cache_control": {"type": "ephemeral"}}]);
    body["max_completion_tokens"] = json!(7.0);
    body["seed"] = json!(42.0);
    let reply = bench.post("/v1/chat/completions", body.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let sent = &server.asked()[0];
    assert_eq!(sent["messages"], messages);
    assert_eq!(sent["tools"], body["tools"]);
    assert_eq!((&sent["max_completion_tokens"], &sent["seed"]), (&json!(7), &json!(42)));
    assert!(sent.get("max_tokens").is_none());
    let unlimited =
        json!({"model": "lab/m", "messages": [{"role": "user", "content": ""}], "max_tokens": -1});
    assert_eq!(bench.post("/v1/chat/completions", unlimited).await.status, 200);
    let sent = &server.asked()[1];
    assert_eq!(sent["messages"], json!([{"role": "user", "content": ""}]));
    assert!(sent.get("max_tokens").is_none());
}

#[tokio::test]
async fn what_a_server_refuses_is_not_sent_to_it_again() {
    let refusal = |message: &str| {
        (
            422,
            "application/json",
            json!({"detail": [{"loc": ["body", message], "msg": "Extra inputs are not permitted"}]})
                .to_string(),
        )
    };
    let gpt5 = (400, "application/json", json!({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "param": "max_tokens", "code": "unsupported_parameter"}}).to_string());
    let server = Server::start(vec![refusal("stream_options"), gpt5, sse(&[OK])]).await;
    let bench = bench(&[("lab", "openai", &server)]).await;
    for _ in 0..2 {
        let body = json!({"model": "lab/m", "messages": [{"role": "user", "content": "Hi"}], "stream": true, "max_tokens": 9});
        let reply = bench.post("/v1/chat/completions", body).await;
        assert!(reply.body.contains("\"content\":\"ok\""), "{}", reply.body);
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    for body in &asked[2..] {
        assert!(body.get("stream_options").is_none() && body.get("max_tokens").is_none(), "{body}");
        assert_eq!(body["max_completion_tokens"], 9);
    }
}

#[tokio::test]
async fn conversation_goes_to_no_other_company_by_itself() {
    let server = Server::start(vec![sse(&[OK])]).await;
    let other = Server::start(vec![sse(&[OK])]).await;
    let bench = bench(&[]).await;
    let mut ids = Vec::new();
    for (name, server) in [("a", &server), ("b", &other)] {
        let new = json!({"name": name, "provider": "openai", "url": server.url, "api_key": "sk-1"});
        let reply = bench.post("/api/v1/connections", new).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        ids.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    let id = &ids[0];
    let conversation = bench.conversation().await;
    let turn = json!({"content": "secret", "model": "a/m"});
    bench.post(&format!("{conversation}/messages"), turn).await.events();
    for change in [json!({"is_enabled": false}), json!({"is_enabled": true, "name": "renamed"})] {
        assert_eq!(bench.patch(&format!("/api/v1/connections/{id}"), change.clone()).await.status, 200);
        let reply = bench.post(&format!("{conversation}/messages"), json!({"content": "more"})).await;
        assert_eq!(reply.status, 400, "{change}: {}", reply.body);
        assert!(reply.body.contains("connection `a`") && reply.body.contains("model"), "{}", reply.body);
        assert!(other.asked().is_empty());
    }
    let named = json!({"content": "more", "model": "b/m"});
    assert_eq!(
        bench.post(&format!("{conversation}/messages"), named).await.events().last().unwrap().name,
        "finished"
    );
}

#[tokio::test]
async fn window_that_is_not_known_neither_refuses_nor_cuts_but_the_server_may() {
    let overflow = (400, "application/json", json!({"error": {"message": "This model's maximum context length is 3000 tokens. However, you requested 7000 tokens.", "code": "context_length_exceeded"}}).to_string());
    let server = Server::start(vec![sse(&[OK]), sse(&[OK]), overflow, sse(&[OK])]).await;
    let bench = bench(&[("lab", "openai", &server)]).await;
    let conversation = bench.conversation().await;
    let long = "word ".repeat(12_000);
    let say = |text: &str| json!({"content": text, "model": "lab/mystery"});
    let path = format!("{conversation}/messages");
    let reply = bench.post(&path, say(&long)).await;
    assert_eq!(reply.events().last().unwrap().name, "finished", "{}", &reply.body[..200]);
    bench.post(&path, say("second")).await.events();
    assert_eq!(server.asked()[1]["messages"].as_array().unwrap().len(), 3);
    let events = bench.post(&path, say("third")).await.events();
    assert_eq!(events.last().unwrap().name, "finished");
    let warning = events.iter().find(|event| event.name == "warning").unwrap();
    assert_eq!(warning.data["code"], "context_truncated");
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    let last = asked[3]["messages"].as_array().unwrap();
    assert_eq!((last.len(), &last[0]["content"]), (3, &json!("second")));
}

#[tokio::test]
async fn refused_picture_fails_one_turn_and_not_those_after_it() {
    let refusal = (
        400,
        "application/json",
        json!({"error": {"message": "Could not process image", "type": "invalid_request_error"}}).to_string(),
    );
    let server = Server::start(vec![refusal, sse(&[OK])]).await;
    let bench = bench(&[("lab", "openai", &server)]).await;
    let conversation = bench.conversation().await;
    let path = format!("{conversation}/messages");
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
    let picture = json!([{"type": "text", "text": "What is it?"}, {"type": "image", "data": png, "media_type": "image/jpeg"}]);
    let events = bench.post(&path, json!({"content": picture, "model": "lab/m"})).await.events();
    assert_eq!(events.last().unwrap().name, "error");
    let sent = server.asked()[0]["messages"][0].to_string();
    assert!(sent.contains("data:image/png;base64,"), "{sent}");
    let events = bench.post(&path, json!({"content": "And now?"})).await.events();
    assert_eq!(events.last().unwrap().name, "finished");
    assert!(events.iter().any(|event| event.name == "warning" && event.data["code"] == "image_left_out"));
    let sent = server.asked()[1]["messages"].clone();
    assert_eq!(sent.as_array().unwrap().len(), 1, "{sent}");
    assert!(!sent.to_string().contains("base64"), "{sent}");
    let broken = json!([{"type": "image", "data": "aGk=", "media_type": "image/png"}]);
    assert_eq!(bench.post(&path, json!({"content": broken})).await.status, 400);
}

#[tokio::test]
async fn thoughts_told_too_late_are_sorted_in_the_stored_message() {
    let late = [
        r#"{"choices":[{"delta":{"content":"First I think.\n"}}]}"#,
        r#"{"choices":[{"delta":{"content":"</think>\n\nFour."},"finish_reason":"stop"}]}"#,
    ];
    let server = Server::start(vec![sse(&late), sse(&late), sse(&[OK])]).await;
    let bench = bench(&[("lab", "openai", &server)]).await;
    let reply =
        bench.post("/v1/chat/completions", chat(&json!([{"role": "user", "content": "2+2"}]))).await.json();
    let message = &reply["choices"][0]["message"];
    assert_eq!(
        (&message["content"], &message["reasoning_content"]),
        (&json!("Four."), &json!("First I think.\n"))
    );
    let conversation = bench.conversation().await;
    let path = format!("{conversation}/messages");
    let events = bench.post(&path, json!({"content": "2+2", "model": "lab/m"})).await.events();
    assert!(events.iter().any(|event| event.name == "text_was_reasoning"));
    assert_eq!(said(&events.last().unwrap().data["message"]), "Four.");
    bench.post(&path, json!({"content": "again"})).await.events();
    assert_eq!(server.asked()[2]["messages"][1], json!({"role": "assistant", "content": "Four."}));
}

#[tokio::test]
async fn token_ids_are_embedded_as_the_text_that_they_stand_for() {
    let vectors = r#"{"data":[{"index":0,"embedding":[1.0,0.0]},{"index":1,"embedding":[0.0,1.0]}],"usage":{"prompt_tokens":2}}"#;
    let one = r#"{"data":[{"index":0,"embedding":[1.0,0.0]}]}"#;
    let server = Server::start(vec![whole(vectors), whole(one)]).await;
    let bench = bench(&[("lab", "openai", &server)]).await;
    let ids = json!({"model": "lab/e", "input": [[15339, 1917], [15339]]});
    let reply = bench.post("/v1/embeddings", ids).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(server.asked()[0]["input"], json!(["hello world", "hello"]));
    let flat = json!({"model": "lab/e", "input": [15339, 1917]});
    assert_eq!(bench.post("/v1/embeddings", flat).await.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.asked()[1]["input"], json!(["hello world"]));
    for wrong in [json!([[]]), json!(["a", [1]]), json!([9_000_000]), json!([-1])] {
        let reply = bench.post("/v1/embeddings", json!({"model": "lab/e", "input": wrong})).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
    }
}

#[tokio::test]
async fn ollamas_own_options_arrive_there() {
    let line = r#"{"message":{"role":"assistant","content":"ok"},"done":true,"done_reason":"stop"}"#;
    let server = Server::start(vec![whole(line)]).await;
    let bench = bench(&[("lab", "ollama", &server)]).await;
    let options = json!({"top_k": 5, "min_p": 0.1, "num_ctx": 4096, "repeat_penalty": 1.2, "keep_alive": "9m", "think": false});
    let mut body = chat(&json!([{"role": "user", "content": "Hi"}]));
    body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    assert_eq!(bench.post("/v1/chat/completions", body).await.status, 200);
    let conversation = bench.conversation().await;
    let turn = json!({"content": "Hi", "model": "lab/m", "stream": false, "extra": options});
    assert_eq!(bench.post(&format!("{conversation}/messages"), turn).await.status, 200);
    for sent in server.asked() {
        assert_eq!((&sent["keep_alive"], &sent["think"]), (&json!("9m"), &json!(false)), "{sent}");
        let options = &sent["options"];
        assert_eq!(
            (&options["top_k"], &options["num_ctx"], &options["min_p"]),
            (&json!(5), &json!(4096), &json!(0.1)),
            "{sent}"
        );
    }
}
