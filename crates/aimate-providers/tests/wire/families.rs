//! A chat with a scripted server of each family, and what each refuses.

use aimate_core::message::{MessageRole, Part, ToolCall, ToolResult};
use aimate_core::provider::{ChatRequest, FinishReason, ProviderEvent, ProviderId, ToolSpec};
use aimate_core::usage::TokenUsage;
use aimate_core::{ErrorKind, ErrorReason};
use aimate_providers::{OLLAMA, OPENAI, OPENROUTER};
use serde_json::{Value, json};

use crate::families::{Family, Refusal, all};
use crate::server::{Script, Server, answer, collect, keeps_the_key, message, provider, question, text_of};

fn id(family: &Family) -> ProviderId {
    [OPENAI, OPENROUTER, OLLAMA].into_iter().find(|id| id.as_str() == family.provider).unwrap()
}

async fn ask(family: &Family, script: Script, request: &ChatRequest) -> (Vec<ProviderEvent>, Server) {
    let server = Server::once(script).await;
    let answer = provider(&id(family)).chat(&server.endpoint(id(family)), request).await;
    let events = collect(answer.unwrap_or_else(|error| panic!("{}: {error}", family.name))).await;
    (events.unwrap_or_else(|error| panic!("{}: {error}", family.name)), server)
}

fn thought(events: &[ProviderEvent]) -> String {
    let thoughts =
        events.iter().map(|event| if let ProviderEvent::Reasoning(text) = event { text } else { "" });
    thoughts.collect()
}

fn usage(events: &[ProviderEvent]) -> Option<TokenUsage> {
    events.iter().find_map(|event| if let ProviderEvent::Usage(usage) = event { Some(*usage) } else { None })
}

fn checked(family: &Family, events: &[ProviderEvent], counts: bool) {
    let name = family.name;
    assert_eq!(text_of(events), "Hello there", "{name}");
    assert_eq!(thought(events), if family.thinks { "Hm." } else { "" }, "{name}");
    let usage = usage(events).map(|usage| (usage.input_tokens, usage.output_tokens));
    assert_eq!(usage, counts.then_some((12, 5)), "{name}");
    assert_eq!(events.last(), Some(&ProviderEvent::Finish(FinishReason::Stop)), "{name}");
}

#[tokio::test]
async fn every_family_is_read_streamed_and_plain() {
    assert_eq!(all().len(), 19);
    for family in all() {
        assert!(!family.sources.is_empty());
        let stream = answer(200, &[("content-type", family.media_type())], family.stream);
        let (events, _) = ask(family, stream, &question()).await;
        checked(family, &events, family.counts);
        let plain = answer(200, &[("content-type", "application/json")], family.plain);
        let (events, _) = ask(family, plain.clone(), &ChatRequest { stream: false, ..question() }).await;
        checked(family, &events, true);
        // One body although a stream was asked for, and the other way round.
        if family.provider != "ollama" {
            let (events, _) = ask(family, plain, &question()).await;
            checked(family, &events, true);
            for media_type in ["text/event-stream", "application/json", "text/plain"] {
                let stream = answer(200, &[("content-type", media_type)], family.stream);
                for is_streamed in [true, false] {
                    let request = ChatRequest { stream: is_streamed, ..question() };
                    let (events, _) = ask(family, stream.clone(), &request).await;
                    checked(family, &events, family.counts);
                }
            }
        }
    }
}

#[tokio::test]
async fn sources_of_an_answer_are_kept() {
    for family in all().into_iter().filter(|family| family.stream.contains("citations")) {
        let stream = answer(200, &[("content-type", family.media_type())], family.stream);
        let (events, _) = ask(family, stream, &question()).await;
        let extra = events
            .iter()
            .find_map(|event| if let ProviderEvent::Extra(fields) = event { Some(fields) } else { None });
        assert_eq!(extra.unwrap()["citations"], json!(["https://example.org/1"]), "{}", family.name);
    }
}

#[tokio::test]
async fn calls_of_every_family_are_read_and_given_back_with_what_it_wants() {
    for family in all().into_iter().filter(|family| !family.call.is_empty()) {
        let name = family.name;
        let mut request = question();
        request.tools = vec![ToolSpec {
            name: "get_weather".into(),
            description: String::new(),
            parameters: json!({"type": "object"}),
            strict: None,
            extra: serde_json::Map::new(),
        }];
        let stream = answer(200, &[("content-type", family.media_type())], family.call);
        let (events, _) = ask(family, stream, &request).await;
        let calls: Vec<&ToolCall> = events
            .iter()
            .filter_map(|event| if let ProviderEvent::ToolCall(call) = event { Some(call) } else { None })
            .collect();
        assert_eq!(calls.len(), 1, "{name}: {events:?}");
        assert_eq!(
            (calls[0].name.as_str(), &calls[0].arguments),
            ("get_weather", &json!({"city": "Köln"})),
            "{name}"
        );
        assert_eq!(events.last(), Some(&ProviderEvent::Finish(FinishReason::ToolCalls)), "{name}");
        let details = events.iter().find_map(|event| match event {
            ProviderEvent::ReasoningDetails(details) => Some(details.clone()),
            _ => None,
        });
        let mut content = Vec::new();
        if details.is_some() || !thought(&events).is_empty() {
            content.push(Part::Reasoning { text: thought(&events), details });
        }
        content.push(Part::ToolCall(calls[0].clone()));
        request.messages.push(message(MessageRole::Assistant, content));
        let result = Part::ToolResult(ToolResult::new(&calls[0].id, json!("7 °C")));
        request.messages.push(message(MessageRole::Tool, vec![result]));
        let stream = answer(200, &[("content-type", family.media_type())], family.stream);
        let (_, server) = ask(family, stream, &request).await;
        let sent: Value = server.body()["messages"][1].clone();
        assert!(sent.to_string().contains(family.wants_back), "{name}: {sent}");
    }
}

#[tokio::test]
async fn refusals_of_every_family_are_told_in_its_own_words() {
    for family in all() {
        for Refusal(case, status, body, kind, words) in family.refusals {
            let media_type = match body.trim_start().as_bytes().first() {
                Some(b'{' | b'[') => "application/json",
                Some(b'<') => "text/html",
                _ => "text/event-stream",
            };
            let server = Server::once(answer(*status, &[("content-type", media_type)], body)).await;
            let outcome = provider(&id(family)).chat(&server.endpoint(id(family)), &question()).await;
            let error = match outcome {
                Err(error) => error,
                Ok(stream) => collect(stream).await.expect_err(case),
            };
            keeps_the_key(&error);
            let name = format!("{}, {case}: {error}", family.name);
            assert_eq!(error.kind().as_str(), *kind, "{name}");
            assert!(error.message().contains(words), "{name}");
            assert!(!error.message().contains("(0)"), "{name}");
            assert_eq!(error.reason() == Some(ErrorReason::KeyRefused), *case == "wrong key", "{name}");
            assert_eq!(error.kind() == ErrorKind::ContextOverflow, case.contains("overflow"), "{name}");
        }
    }
}
