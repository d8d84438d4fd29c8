//! Servers that do wrong over HTTP: an answer or a clear error, never a call that hangs.

use std::time::Duration;

use aimate_core::provider::AddressSource;
use aimate_core::tool::{ToolAccess, ToolContent, ToolOutput, ToolServerClient};
use aimate_core::{ErrorKind, ErrorReason};
use aimate_mcp::client::McpClient;
use aimate_providers::{AddressPolicy, Transport};
use serde_json::{Map, Value, json};

use crate::person::Person;
use crate::server::{Asked, Reply, Server, answer, error, legacy, modern, result, tool};
use crate::{client, endpoint, endpoint_of};

async fn call(server: &Server) -> aimate_core::Result<ToolOutput> {
    client().call(&endpoint(&server.url), "it", &Map::new(), "k", Person::away()).await
}

fn names(listing: &aimate_core::tool::ServerListing) -> Vec<&str> {
    listing.tools.iter().map(|tool| tool.name.as_str()).collect()
}

#[tokio::test]
async fn damaged_tool_leaves_the_others() {
    let tools =
        json!([tool("good"), {"name": "bare"}, {"inputSchema": {}}, "text", tool("good"), tool("last")]);
    let server = Server::modern(move |asked| answer(asked, json!({"tools": tools}))).await;
    let listing = client().list(&endpoint(&server.url)).await.unwrap();
    assert_eq!(names(&listing), ["good", "last"]);
    let problems = listing.problems.join("\n");
    assert_eq!(listing.problems.len(), 4, "{problems}");
    assert!(problems.contains("`bare`") && problems.contains("`good` is there twice"), "{problems}");
}

#[tokio::test]
async fn list_without_end_is_ended() {
    // The same page again and again, and pages that are new for ever.
    let same = Server::modern(|asked| answer(asked, json!({"tools": [tool("a")], "nextCursor": "x"}))).await;
    let listing = client().list(&endpoint(&same.url)).await.unwrap();
    assert_eq!((names(&listing), same.asked_for("tools/list").len()), (vec!["a"], 2));
    assert!(
        listing.problems.iter().any(|problem| problem.contains("read already")),
        "{:?}",
        listing.problems
    );

    let fresh = Server::modern(|asked| {
        let page = asked.body["params"]["cursor"].as_str().map_or(0, |page| page.parse::<u32>().unwrap());
        let tools = [tool(&format!("t{page}"))];
        answer(asked, json!({"tools": tools, "nextCursor": (page + 1).to_string()}))
    })
    .await;
    let listing = client().list(&endpoint(&fresh.url)).await.unwrap();
    assert_eq!((listing.tools.len(), fresh.asked_for("tools/list").len()), (64, 64));
    assert!(listing.problems.iter().any(|problem| problem.contains("64 pages")), "{:?}", listing.problems);
}

#[tokio::test]
async fn thousand_tools_are_taken_of_more() {
    let tools: Vec<_> = (0..12_000).map(|number| tool(&format!("t{number}"))).collect();
    let server = Server::modern(move |asked| answer(asked, json!({"tools": tools}))).await;
    let listing = client().list(&endpoint(&server.url)).await.unwrap();
    assert_eq!((listing.tools.len(), listing.tools[999].name.as_str()), (1_000, "t999"));
    let problems = listing.problems.join("\n");
    assert!(problems.contains("10000 entries") && problems.contains("10000 tools"), "{problems}");
}

#[tokio::test]
async fn silent_server_ends_with_the_deadline() {
    let mut endpoint = endpoint("");
    endpoint.timeout = Duration::from_millis(200);
    let set = |endpoint: &mut aimate_core::tool::ToolEndpoint, to: &str| {
        if let ToolAccess::Http { url, .. } = &mut endpoint.access {
            to.clone_into(url);
        }
    };
    let mute = Server::start(|_| Reply::Silence).await;
    set(&mut endpoint, &mute.url);
    let refused = client().list(&endpoint).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout, "{refused}");

    for reply in [Reply::Silence, Reply::Held(vec![])] {
        let server = Server::modern(move |_| reply.clone()).await;
        set(&mut endpoint, &server.url);
        let refused = client().list(&endpoint).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Timeout, "{refused}");
        // Nobody waits any more, and the server is told by the end of the stream.
        server.until_gone().await;
    }
}

#[tokio::test]
async fn unknown_content_leaves_what_is_known() {
    let server = Server::modern(|asked| {
        answer(
            asked,
            json!({"content": [{"type": "text", "text": "known"}, {"type": "smell", "of": "roses"}]}),
        )
    })
    .await;
    let output = call(&server).await.unwrap();
    assert_eq!(output.content[0], ToolContent::Text { text: "known".into() });
    assert!(
        matches!(&output.content[1], ToolContent::Text { text } if text.contains("`smell`")),
        "{output:?}"
    );
}

#[tokio::test]
async fn failure_of_a_tool_is_an_output() {
    let server = Server::modern(|asked| {
        answer(asked, json!({"isError": true, "content": [{"type": "text", "text": "no such file"}]}))
    })
    .await;
    let output = call(&server).await.unwrap();
    assert_eq!(output, ToolOutput::error("no such file"));
}

#[tokio::test]
async fn refusal_of_the_server_is_quoted_without_secrets() {
    let server = Server::modern(|asked| {
        let said = format!("no\u{7}\n{} {}", asked.header("x-key"), "and so on ".repeat(100));
        error(asked, -32602, &said)
    })
    .await;
    let endpoint = endpoint_of(1, &server.url, &[("x-key", "sk-secret-0123456789")]);
    let refused = client().call(&endpoint, "it", &Map::new(), "k", Person::away()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let said = refused.message();
    assert!(said.contains("no [key] and so on") && said.chars().count() < 500, "{said}");
}

/// How a fault shows.
async fn shows(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> aimate_core::Error {
    let server = Server::modern(reply).await;
    call(&server).await.unwrap_err()
}

#[tokio::test]
async fn nonsense_is_an_error_that_says_so() {
    let json = || vec![("content-type", "application/json".to_owned())];
    let status = |status: u16| move |_: &Asked| Reply::Status(status, vec![], "<html>oops</html>".into());
    assert_eq!(
        shows(move |_| Reply::Status(200, json(), "{\"broken".into())).await.kind(),
        ErrorKind::Upstream
    );
    assert_eq!(shows(move |_| Reply::Status(200, json(), "[]".into())).await.kind(), ErrorKind::Upstream);
    assert_eq!(shows(status(200)).await.kind(), ErrorKind::Upstream);
    assert_eq!(shows(status(418)).await.kind(), ErrorKind::Upstream);
    assert_eq!(shows(status(500)).await.kind(), ErrorKind::Upstream);
    assert_eq!(shows(status(503)).await.kind(), ErrorKind::Unavailable);
    assert_eq!(shows(|_| Reply::Events(vec![])).await.kind(), ErrorKind::Unavailable);
    assert_eq!(shows(|asked| error(asked, -32603, "broken")).await.kind(), ErrorKind::Upstream);
    assert_eq!(shows(|asked| error(asked, -32601, "what?")).await.kind(), ErrorKind::Unsupported);
    let limited = shows(|_| Reply::Status(429, vec![("retry-after", "7".into())], String::new())).await;
    assert_eq!(
        (limited.kind(), limited.retry_after()),
        (ErrorKind::RateLimited, Some(Duration::from_secs(7)))
    );
}

#[tokio::test]
async fn answer_to_another_request_is_not_taken() {
    let said =
        |asked: &Asked, text: &str| result(asked, json!({"content": [{"type": "text", "text": text}]}));
    let foreign = move |asked: &Asked| {
        let mut foreign = said(asked, "foreign");
        foreign["id"] = json!(77_777);
        foreign
    };
    let server = Server::modern(move |asked| {
        Reply::Events(vec![said(asked, "own"), said(asked, "again"), foreign(asked)])
    })
    .await;
    assert_eq!(call(&server).await.unwrap(), ToolOutput::text("own"));
    // A stream is that of one request: what answers another ends it.
    for handshake in [modern, legacy] {
        let server = Server::start(move |asked| {
            handshake(asked).unwrap_or_else(|| Reply::Events(vec![foreign(asked), said(asked, "own")]))
        })
        .await;
        match call(&server).await {
            Ok(output) => assert_eq!(output, ToolOutput::text("own")),
            Err(refused) => assert_eq!(refused.kind(), ErrorKind::Unavailable),
        }
    }
}

#[tokio::test]
async fn answer_beyond_the_limit_is_not_read_to_its_end() {
    const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"";
    const EVENT: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {";
    for head in [JSON, EVENT] {
        let server = Server::modern(move |_| Reply::Flood(head, vec![b'x'; 64 * 1024])).await;
        let mut endpoint = endpoint(&server.url);
        endpoint.max_bytes = 1024 * 1024;
        let refused = client().call(&endpoint, "it", &Map::new(), "k", Person::away()).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Upstream | ErrorKind::Unavailable), "{refused:?}");
        server.until_gone().await;
    }
}

#[tokio::test]
async fn server_that_is_not_there_is_unavailable() {
    let refused = client().list(&endpoint("http://127.0.0.1:9/mcp")).await.unwrap_err();
    // The port is one that no browser asks either.
    assert_eq!(refused.kind(), ErrorKind::Forbidden, "{refused}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let refused = client().list(&endpoint(&url)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
}

#[tokio::test]
async fn web_server_without_mcp_is_told_apart() {
    let server =
        Server::start(|_| Reply::Status(404, vec![("content-type", "text/html".into())], "<h1>no".into()))
            .await;
    let refused = client().list(&endpoint(&server.url)).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Upstream | ErrorKind::Unavailable), "{refused:?}");
}

#[tokio::test]
async fn private_address_and_redirect_to_it_are_refused() {
    let strict = Transport::new().untrusted_policy(AddressPolicy::public_only());
    let client = McpClient::new(strict);
    for url in
        ["http://127.0.0.1:8080/mcp", "http://169.254.169.254/mcp", "http://[::1]/mcp", "http://10.1.2.3/"]
    {
        let refused = client.list(&endpoint(url)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Forbidden, "{url}: {refused}");
    }
    let secret = Server::modern(|asked| answer(asked, json!({"tools": [tool("secret")]}))).await;
    let elsewhere = secret.url.clone();
    let open =
        Server::start(move |_| Reply::Status(307, vec![("location", elsewhere.clone())], String::new()))
            .await;
    let mut endpoint = endpoint(&open.url);
    if let ToolAccess::Http { source, .. } = &mut endpoint.access {
        *source = AddressSource::Operator;
    }
    let refused = crate::client().list(&endpoint).await.unwrap_err();
    assert_eq!((refused.kind(), secret.asked().len()), (ErrorKind::Upstream, 0), "{refused}");
}

#[tokio::test]
async fn path_that_moved_within_the_server_is_followed() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/mcp" => Reply::Status(307, vec![("location", "/mcp/".into())], String::new()),
        _ => modern(asked).unwrap_or_else(|| answer(asked, json!({"tools": [tool("moved")]}))),
    })
    .await;
    let listing = client().list(&endpoint(&server.url)).await.unwrap();
    assert_eq!(names(&listing), ["moved"]);
}

#[tokio::test]
async fn server_that_wants_an_authorization_says_so() {
    for status in [401, 403] {
        for headers in [vec![], vec![("www-authenticate", "Bearer realm=\"x\"".to_owned())]] {
            let server = Server::start(move |_| Reply::Status(status, headers.clone(), String::new())).await;
            let refused = client().list(&endpoint(&server.url)).await.unwrap_err();
            assert_eq!(refused.reason(), Some(ErrorReason::KeyRefused), "{status}: {refused}");
        }
    }
}

#[tokio::test]
async fn unknown_revision_is_named_as_a_problem() {
    let server = Server::start(|asked| match asked.method() {
        "server/discover" => error(asked, -32601, "no"),
        "initialize" => answer(
            asked,
            json!({
                "protocolVersion": "2031-01-01", "capabilities": {"tools": {}},
                "serverInfo": {"name": "future", "version": "9"},
            }),
        ),
        "tools/list" => answer(asked, json!({"tools": [tool("a")]})),
        _ => Reply::Status(202, vec![], String::new()),
    })
    .await;
    let listing = client().list(&endpoint(&server.url)).await.unwrap();
    assert_eq!(names(&listing), ["a"]);
    assert!(listing.problems.iter().any(|problem| problem.contains("2031-01-01")), "{:?}", listing.problems);
}

#[tokio::test]
async fn server_that_answers_anything_is_asked_as_in_older_revisions() {
    let server = Server::start(|asked| match asked.method() {
        "initialize" => legacy(asked).unwrap(),
        "tools/list" => answer(asked, json!({"tools": [tool("a")]})),
        _ => answer(asked, json!({})),
    })
    .await;
    let listing = client().list(&endpoint(&server.url)).await.unwrap();
    assert_eq!((names(&listing), listing.server.protocol.as_str()), (vec!["a"], "2025-11-25"));
}

#[tokio::test]
async fn header_of_the_protocol_cannot_be_set() {
    for (name, value) in [("Mcp-Session-Id", "1"), ("accept", "*/*"), ("no name", "x"), ("x-line", "a\nb")] {
        let refused =
            client().list(&endpoint_of(1, "http://127.0.0.1:8000/", &[(name, value)])).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{name}: {refused}");
    }
}

#[tokio::test]
async fn deep_answer_is_an_error() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = move |asked: &Asked| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"structuredContent\":{deep}}}}}",
            asked.body["id"]
        )
    };
    let refused = shows(move |asked| {
        Reply::Status(200, vec![("content-type", "application/json".into())], body(asked))
    })
    .await;
    assert_eq!(refused.kind(), ErrorKind::Upstream, "{refused}");
}

#[tokio::test]
async fn result_may_be_any_json() {
    for value in [json!(null), json!(7), json!("text"), json!([1, {"a": null}]), json!({"x": 1})] {
        let structured = value.clone();
        let server = Server::modern(move |asked| {
            answer(asked, json!({"content": [], "structuredContent": structured}))
        })
        .await;
        assert_eq!(call(&server).await.unwrap().structured, Some(value.clone()), "{value}");
    }
    let server = Server::modern(|asked| answer(asked, Value::Object(Map::new()))).await;
    assert_eq!(call(&server).await.unwrap(), ToolOutput::default());
}
