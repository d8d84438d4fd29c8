//! Markdown as HTML, by itself and of messages.

use aimate_core::testing::answer;
use aimate_http::Options;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Bench, bench, request};

const PATH: &str = "/api/v1/markdown";

#[tokio::test]
async fn text_is_rendered() {
    let bench = bench([]).await;
    let reply = bench.post(PATH, json!({"text": "**a** <b>é🙂</b>"})).await.json();
    assert_eq!(reply["html"], "<p><strong>a</strong> &lt;b&gt;é🙂&lt;/b&gt;</p>\n");
    assert_eq!(reply["rendered"], 16);
    // Beside the handler.
    let long = "a ".repeat(10_000);
    let reply = bench.post(PATH, json!({"text": long})).await.json();
    assert_eq!(reply["html"].as_str().unwrap().len(), "<p></p>\n".len() + long.trim_end().len());
}

#[tokio::test]
async fn text_that_grows_is_rendered_block_by_block() {
    let bench = bench([]).await;
    let begun = json!({"text": "# 🙂\n\n- b\n- c", "is_final": false});
    let reply = bench.post(PATH, begun).await.json();
    assert_eq!(reply, json!({"html": "<h1>🙂</h1>\n", "rendered": 6}));
    let reply = bench.post(PATH, json!({"text": "- b\n- c", "is_final": false})).await.json();
    assert_eq!(reply, json!({"html": "", "rendered": 0}));
}

#[tokio::test]
async fn wrong_text_is_refused() {
    let bench = bench([]).await;
    let long = "a".repeat(1024 * 1024 + 1);
    for is_final in [true, false] {
        let reply = bench.post(PATH, json!({"text": long, "is_final": is_final})).await;
        let problem = reply.problem(413, "too_large");
        assert!(problem["detail"].as_str().unwrap().contains("1048577 bytes; at most 1048576"), "{problem}");
    }
    bench.post(PATH, json!({})).await.problem(400, "invalid");
    bench.post(PATH, json!({"text": "a", "style": "b"})).await.problem(400, "invalid");
    let router = aimate_http::router(bench.engine.clone(), Options::default());
    let nobody = Bench { engine: bench.engine, provider: bench.provider, router };
    nobody.post(PATH, json!({"text": "a"})).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn messages_come_with_their_html() {
    let bench = bench([answer("In *May*. ![a](https://evil.example/?q=1)")]).await;
    let at = bench.conversation().await;
    bench.say(&at, "When <b>?").await;
    let plain = bench.get(&format!("{at}/messages")).await.json();
    assert!(!plain.to_string().contains("html"), "{plain}");
    let parts = |list: &Value| -> Vec<Value> {
        let messages = list["data"].as_array().unwrap().iter();
        messages.flat_map(|message| message["content"].as_array().unwrap().clone()).collect()
    };
    let mut list = bench.get(&format!("{at}/messages?html=true")).await.json();
    let with_html = parts(&list);
    assert_eq!(
        with_html[0],
        json!({"type": "text", "text": "When <b>?", "html": "<p>When &lt;b&gt;?</p>\n"})
    );
    let html = with_html[1]["html"].as_str().unwrap();
    assert!(html.starts_with("<p>In <em>May</em>. <a class=\"foreign image\""), "{html}");
    // Nothing else is other than without.
    for message in list["data"].as_array_mut().unwrap() {
        for part in message["content"].as_array_mut().unwrap() {
            part.as_object_mut().unwrap().remove("html");
        }
    }
    assert_eq!(list, plain);
    assert_eq!(bench.get(&format!("{at}/messages?html=false")).await.json(), plain);
    bench.get(&format!("{at}/messages?html=maybe")).await.problem(400, "invalid");
}

#[tokio::test]
async fn shared_conversation_comes_with_its_html() {
    let bench = bench([answer("In *May*.")]).await;
    let at = bench.conversation().await;
    bench.say(&at, "When?").await;
    let token = bench.post(&format!("{at}/shares"), json!({})).await.json()["token"].clone();
    let shared = format!("/api/v1/shared/{}", token.as_str().unwrap());
    let router = aimate_http::router(bench.engine.clone(), Options::default());
    let anybody = Bench { engine: bench.engine, provider: bench.provider, router };
    let reply = anybody.get(&format!("{shared}?html=true")).await;
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.json()["messages"][1]["content"][0]["html"], "<p>In <em>May</em>.</p>\n");
    assert!(!anybody.get(&shared).await.body.contains("html"));
    let wrong = anybody.ask(request(Method::GET, &format!("{shared}?html=maybe"), None)).await;
    wrong.problem(400, "invalid");
    assert_eq!(wrong.header("cache-control"), "no-store");
}

#[tokio::test]
async fn part_that_is_too_long_has_no_html() {
    let bench = bench([answer(&"a ".repeat(600_000))]).await;
    let at = bench.conversation().await;
    bench.say(&at, "When?").await;
    let list = bench.get(&format!("{at}/messages?html=true")).await.json();
    assert_eq!(list["data"][0]["content"][0]["html"], "<p>When?</p>\n");
    let long = &list["data"][1]["content"][0];
    assert_eq!((long["text"].as_str().unwrap().len(), long.get("html")), (1_200_000, None));
}
