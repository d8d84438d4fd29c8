//! Deadlines, cuts, limits and connections.

use std::time::{Duration, Instant};

use aimate_core::connection::ConnectionSettings;
use aimate_core::provider::{ChatRequest, Endpoint, FinishReason, ProviderEvent};
use aimate_core::{Error, ErrorKind};
use aimate_providers::OPENAI;
use futures_util::StreamExt;

use crate::server::Step::{Close, Flood, Send, UntilClosed, Wait};
use crate::server::{
    Script, Server, all, answer, chunk, collect, end, endpoint_at, events, head, json, keeps_the_key,
    provider, question, sse, text_of,
};

const HALLO: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hallo"}}]}"#;
const EMPTY: &str = r#"{"choices":[{"index":0,"delta":{"content":""}}]}"#;
const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

/// `server` with deadlines that a test can wait for, and `retries`.
fn hasty(server: &Server, retries: u32) -> Endpoint {
    let settings = ConnectionSettings {
        connect_timeout_ms: Some(2_000),
        first_byte_timeout_ms: Some(400),
        idle_timeout_ms: Some(100),
        retries: Some(retries),
        ..ConnectionSettings::default()
    };
    Endpoint { settings, ..server.endpoint(OPENAI) }
}

/// `server` with the usual deadlines and `retries`.
fn patient(server: &Server, retries: u32) -> Endpoint {
    let settings = ConnectionSettings { retries: Some(retries), ..ConnectionSettings::default() };
    Endpoint { settings, ..server.endpoint(OPENAI) }
}

async fn fails(script: Script) -> (String, Error) {
    let server = Server::once(script).await;
    match provider(&OPENAI).chat(&hasty(&server, 0), &question()).await {
        Err(error) => {
            keeps_the_key(&error);
            (String::new(), error)
        }
        Ok(stream) => {
            let (events, error) = all(stream).await;
            (text_of(&events), error.expect("an error"))
        }
    }
}

fn hallo() -> Vec<u8> {
    events(&[HALLO]).into_bytes()
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let server = Server::once(vec![Close]).await;
    let mut endpoint = patient(&server, 1);
    endpoint.url = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", free.local_addr().unwrap())
    };
    let error = provider(&OPENAI).chat(&endpoint, &question()).await.err().unwrap();
    keeps_the_key(&error);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("/chat/completions"), "{error:?}");
}

#[tokio::test]
async fn unknown_host_is_unavailable() {
    let mut endpoint = endpoint_at("http://no-such-host.invalid/v1", OPENAI);
    endpoint.settings.retries = Some(0);
    let error = provider(&OPENAI).chat(&endpoint, &question()).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error:?}");
}

#[tokio::test]
async fn https_without_a_default_provider_fails_by_handshake_only() {
    let server = Server::once(vec![Close]).await;
    let mut endpoint = hasty(&server, 0);
    endpoint.url = endpoint.url.replace("http:", "https:");
    let error = provider(&OPENAI).chat(&endpoint, &question()).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error:?}");
}

#[tokio::test]
async fn broken_address_is_invalid() {
    let error = provider(&OPENAI).chat(&endpoint_at("nonsense", OPENAI), &question()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn cut_before_headers_is_tried_again() {
    let server =
        Server::start(vec![vec![Close], vec![Send(b"HTTP/1.1 2".to_vec()), Close], sse(&[HALLO, FINISH])])
            .await;
    let stream = provider(&OPENAI).chat(&patient(&server, 2), &question()).await.unwrap();
    assert_eq!(text_of(&collect(stream).await.unwrap()), "Hallo");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn cut_before_headers_is_unavailable_in_the_end() {
    let server = Server::once(vec![Close]).await;
    let error = provider(&OPENAI).chat(&patient(&server, 2), &question()).await.err().unwrap();
    keeps_the_key(&error);
    assert_eq!((error.kind(), server.asked().len()), (ErrorKind::Unavailable, 3));
}

#[tokio::test]
async fn cut_after_headers_is_not_tried_again() {
    let server = Server::once(vec![head(), Close]).await;
    let stream = provider(&OPENAI).chat(&patient(&server, 2), &question()).await.unwrap();
    let (events, error) = all(stream).await;
    assert_eq!((events.len(), error.unwrap().kind(), server.asked().len()), (0, ErrorKind::Upstream, 1));
}

#[tokio::test]
async fn cut_in_mid_token_keeps_what_came() {
    let body = [hallo(), b"data: {\"choices\":[{\"delta\":{\"cont".to_vec()].concat();
    let (text, error) = fails(vec![head(), chunk(&body), Close]).await;
    assert_eq!((text.as_str(), error.kind()), ("Hallo", ErrorKind::Upstream));
    assert!(error.message().contains("broke off"), "{error}");
    let (text, _) = fails(vec![head(), Send(b"ff\r\ndata: {\"cho".to_vec()), Close]).await;
    assert_eq!(text, "");
}

#[tokio::test]
async fn plain_body_cut_short_is_an_error() {
    let script = vec![Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"choices\":".to_vec()), Close];
    let server = Server::once(script).await;
    let request = ChatRequest { stream: false, ..question() };
    let error = provider(&OPENAI).chat(&patient(&server, 2), &request).await.err().unwrap();
    assert_eq!((error.kind(), server.asked().len()), (ErrorKind::Upstream, 1));
}

#[tokio::test]
async fn silent_server_times_out_before_headers() {
    let (_, error) = fails(vec![UntilClosed]).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("did not begin to answer for 400 ms"), "{error}");
}

#[tokio::test]
async fn silent_body_has_the_deadline_of_the_first_byte() {
    let server =
        Server::once(vec![head(), Wait(Duration::from_millis(180)), chunk(&hallo()), UntilClosed]).await;
    let stream = provider(&OPENAI).chat(&hasty(&server, 0), &question()).await.unwrap();
    let (events, error) = all(stream).await;
    assert_eq!(text_of(&events), "Hallo");
    assert!(error.unwrap().message().contains("in the middle of its answer for 100 ms"));
    let (_, error) = fails(vec![head(), UntilClosed]).await;
    assert!(error.message().contains("did not begin to answer for 400 ms"), "{error}");
}

#[tokio::test]
async fn slow_stream_that_never_stalls_is_not_cut() {
    let mut script = vec![head()];
    for _ in 0..20 {
        script.extend([Wait(Duration::from_millis(25)), chunk(events(&[EMPTY]).as_bytes())]);
    }
    script.extend([chunk(&events(&[HALLO, FINISH]).into_bytes()), end()]);
    let server = Server::once(script).await;
    let stream = provider(&OPENAI).chat(&hasty(&server, 0), &question()).await.unwrap();
    assert_eq!(text_of(&collect(stream).await.unwrap()), "Hallo");
}

#[tokio::test]
async fn comments_say_nothing() {
    let mut script = vec![head(), chunk(&hallo())];
    for _ in 0..200 {
        script.extend([Wait(Duration::from_millis(25)), chunk(b": alive\n\n")]);
    }
    let server = Server::once(script).await;
    let stream = provider(&OPENAI).chat(&hasty(&server, 0), &question()).await.unwrap();
    let found = tokio::time::timeout(Duration::from_secs(3), all(stream)).await;
    let (events, error) = found.expect("it goes on");
    assert_eq!(text_of(&events), "Hallo");
    assert_eq!(error.unwrap().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn slow_reader_is_not_a_slow_server() {
    let rest = events(&[HALLO, FINISH]);
    let script = vec![
        head(),
        chunk(&hallo()),
        chunk(&hallo()),
        Wait(Duration::from_millis(20)),
        chunk(rest.as_bytes()),
        end(),
    ];
    let server = Server::once(script).await;
    let mut stream = provider(&OPENAI).chat(&hasty(&server, 0), &question()).await.unwrap();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
        // Longer than the idle limit, with nobody reading.
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(160)).await;
        tokio::time::resume();
    }
    let rest = collect(stream).await.unwrap();
    assert_eq!(rest, [ProviderEvent::Finish(FinishReason::Stop)]);
}

#[tokio::test]
async fn chatter_after_the_reason_ends() {
    let mut script = vec![head(), chunk(events(&[HALLO, FINISH]).as_bytes())];
    for _ in 0..200 {
        script.extend([Wait(Duration::from_millis(20)), chunk(b": alive\n\n")]);
    }
    let server = Server::once(script).await;
    let stream = provider(&OPENAI).chat(&hasty(&server, 0), &question()).await.unwrap();
    let found = tokio::time::timeout(Duration::from_secs(2), collect(stream)).await;
    assert_eq!(text_of(&found.expect("it goes on").unwrap()), "Hallo");
}

#[tokio::test]
async fn flood_after_done_ends() {
    let body = events(&[HALLO, FINISH]) + "data: [DONE]\n\n";
    let open = Send([b"HTTP/1.1 200 OK\r\n\r\n", body.as_bytes()].concat());
    let server = Server::once(vec![open, Flood(vec![b'\n'; 64 * 1024])]).await;
    let stream = provider(&OPENAI).chat(&patient(&server, 0), &question()).await.unwrap();
    let found = tokio::time::timeout(Duration::from_secs(2), collect(stream)).await;
    assert_eq!(text_of(&found.expect("it goes on").unwrap()), "Hallo");
}

#[tokio::test]
async fn stall_after_the_reason_is_the_end() {
    let body = events(&[HALLO, FINISH]);
    let server = Server::once(vec![head(), chunk(body.as_bytes()), UntilClosed]).await;
    let stream = provider(&OPENAI).chat(&hasty(&server, 0), &question()).await.unwrap();
    let found = collect(stream).await.unwrap();
    assert_eq!(found.last(), Some(&ProviderEvent::Finish(FinishReason::Stop)));
}

#[tokio::test]
async fn endless_line_fails_without_being_buffered() {
    let open = Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ".to_vec());
    let (_, error) = fails(vec![open, Flood(vec![b'x'; 256 * 1024])]).await;
    assert_eq!(error.kind(), ErrorKind::Upstream);
    assert!(error.message().contains("one line of the answer is longer than 8388608 bytes"), "{error}");
}

#[tokio::test]
async fn too_large_a_body_is_refused() {
    let request = ChatRequest { stream: false, ..question() };
    let said = vec![Send(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n{".to_vec()), UntilClosed];
    let flood = vec![Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Flood(vec![b' '; 1024 * 1024])];
    for script in [said, flood] {
        let server = Server::once(script).await;
        let error = provider(&OPENAI).chat(&patient(&server, 0), &request).await.err().unwrap();
        assert!(error.kind() == ErrorKind::Upstream && error.message().contains("67108864"), "{error}");
    }
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    for (script, has_token) in
        [(vec![head(), chunk(&hallo()), UntilClosed], true), (vec![head(), UntilClosed], false)]
    {
        let server = Server::once(script).await;
        let mut stream = provider(&OPENAI).chat(&server.endpoint(OPENAI), &question()).await.unwrap();
        if has_token {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        server.closed().await;
    }
}

#[tokio::test]
async fn dropping_the_question_closes_the_connection() {
    let server = Server::once(vec![UntilClosed]).await;
    let (provider, endpoint, request) = (provider(&OPENAI), server.endpoint(OPENAI), question());
    let asking = provider.chat(&endpoint, &request);
    assert!(tokio::time::timeout(Duration::from_millis(50), asking).await.is_err());
    server.closed().await;
}

#[tokio::test]
async fn whole_answers_leave_their_connection_open() {
    let late_end = vec![
        head(),
        chunk((events(&[HALLO, FINISH]) + "data: [DONE]\n\n").as_bytes()),
        Wait(Duration::from_millis(2)),
        end(),
    ];
    let server = Server::start(vec![
        sse(&[HALLO, FINISH]),
        late_end,
        answer(404, &[], "{}"),
        json("{\"choices\":[{\"message\":{}}]}"),
    ])
    .await;
    let (provider, endpoint) = (provider(&OPENAI), server.endpoint(OPENAI));
    for stream in [true, true, true, false] {
        let request = ChatRequest { stream, ..question() };
        if let Ok(answer) = provider.chat(&endpoint, &request).await {
            collect(answer).await.unwrap();
        }
    }
    let connections: Vec<usize> = server.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0]);
}

#[tokio::test]
async fn connect_timeout_is_that_of_the_connection() {
    // A server whose queue of connections is full answers no more handshakes.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    let mut endpoint = endpoint_at(&format!("http://{address}"), OPENAI);
    endpoint.settings = ConnectionSettings {
        connect_timeout_ms: Some(60),
        retries: Some(0),
        ..ConnectionSettings::default()
    };
    let begin = Instant::now();
    let error = provider(&OPENAI).chat(&endpoint, &question()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_thousand_streams_run_at_once() {
    let script = vec![
        head(),
        chunk(&hallo()),
        Wait(Duration::from_millis(300)),
        chunk(&events(&[FINISH]).into_bytes()),
        end(),
    ];
    let server = Server::once(script).await;
    let (provider, endpoint, request) = (provider(&OPENAI), server.endpoint(OPENAI), question());
    let begin = Instant::now();
    let answers = (0..1_000).map(|_| async { collect(provider.chat(&endpoint, &request).await?).await });
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(text_of(&answer.unwrap()), "Hallo");
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
