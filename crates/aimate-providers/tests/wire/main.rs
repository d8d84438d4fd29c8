//! The providers against a server that says exactly what a test wrote.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may say what they mean, their helpers too"
)]

mod embeddings;
#[path = "../families/mod.rs"]
mod families;
#[path = "families.rs"]
mod family_chats;
mod models;
mod ollama;
mod openai_errors;
mod openai_odd;
mod openai_request;
mod openai_stream;
mod openrouter;
mod rerank;
mod server;
mod transport;
mod web_search;

#[test]
fn sugar_makes_connections() {
    let connection = aimate_providers::openai("http://127.0.0.1:1234/v1", "").connection;
    assert_eq!((connection.provider, connection.api_key.is_none()), (aimate_providers::OPENAI, true));
    assert!(aimate_providers::openrouter("sk-or").connection.api_key.is_some());
    assert_eq!(aimate_providers::ollama("http://h:1").connection.url.as_deref(), Some("http://h:1"));
    assert_eq!(aimate_providers::builtin().connection.name, "builtin");
}

#[tokio::test]
async fn builtin_says_how_to_connect_a_model() {
    use aimate_core::provider::ProviderEvent::{Finish, Usage};
    use aimate_providers::BUILTIN;
    let provider = server::provider(&BUILTIN);
    let endpoint = server::endpoint_at("", BUILTIN);
    for stream in [true, false] {
        let request = aimate_core::provider::ChatRequest { stream, ..server::question() };
        let events = server::collect(provider.chat(&endpoint, &request).await.unwrap()).await.unwrap();
        let text = server::text_of(&events);
        assert!(text.contains("No model is connected") && text.contains("/api/v1/connections"), "{text}");
        assert!(
            matches!(&events[events.len() - 2..], [Usage(usage), Finish(_)] if *usage == Default::default())
        );
        assert_eq!(events.len() > 10, stream);
    }
    assert_eq!(provider.models(&endpoint).await.unwrap()[0].id, "builtin");
    let id = "0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f";
    let (document, chunk) = (id.parse().unwrap(), id.parse().unwrap());
    let passage = |n, text: &str| aimate_core::message::Citation::new(n, document, chunk, "Manual", text);
    let passages = vec![
        passage(1, "The cellar is dry. The pump runs at night."),
        passage(2, "The house has two boilers. The boiler is serviced in May. Bring the key."),
    ];
    let question = "Passages…\n\nBring the key.\n\nWhen is the boiler serviced?";
    let mut request = aimate_core::provider::ChatRequest { passages, ..server::question() };
    request.messages[0].content = vec![aimate_core::message::Part::text(question)];
    let events = server::collect(provider.chat(&endpoint, &request).await.unwrap()).await.unwrap();
    assert!(server::text_of(&events).contains("“The boiler is serviced in May.” [2]"), "{events:?}");
    let error = provider.embed(&endpoint, "builtin", &["a".into()], None).await.unwrap_err();
    assert_eq!(error.kind(), aimate_core::ErrorKind::Unsupported);
}
