//! An engine on an in-memory store with a provider that plays scripts.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::expect_used, reason = "tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use aimate::message::{Message, Part, text_of};
use aimate::testing::{ScriptedProvider, Step};
use aimate::{Answer, ChatEvent, Engine, EngineBuilder, Scope};

pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) me: Scope,
    pub(crate) provider: Arc<ScriptedProvider>,
}

pub(crate) fn builder(provider: &Arc<ScriptedProvider>) -> EngineBuilder {
    Engine::builder()
        .provider("scripted", provider.clone())
        .connection(aimate::connection::NewConnection::new("lab", "scripted").url("http://127.0.0.1:9/v1"))
}

pub(crate) async fn bench(scripts: impl IntoIterator<Item = Vec<Step>>) -> Bench {
    Bench::with(scripts, |builder| builder).await
}

/// Every event of an answer.
pub(crate) async fn events(mut answer: Answer) -> Vec<ChatEvent> {
    let mut events = Vec::new();
    while let Some(event) = answer.next().await {
        events.push(event);
    }
    events
}

/// All text of the events.
pub(crate) fn said(events: &[ChatEvent]) -> String {
    events
        .iter()
        .filter_map(|event| if let ChatEvent::Text { text } = event { Some(text.as_str()) } else { None })
        .collect()
}

pub(crate) fn text(message: &Message) -> String {
    text_of(&message.content)
}

pub(crate) fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(text).collect()
}

pub(crate) fn say(text: &str) -> Step {
    Step::Say(aimate::provider::ProviderEvent::Text(text.to_owned()))
}

pub(crate) fn part(text: &str) -> Vec<Part> {
    vec![Part::text(text)]
}

impl Bench {
    /// A bench whose engine has more than the usual parts.
    pub(crate) async fn with(
        scripts: impl IntoIterator<Item = Vec<Step>>,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let provider = ScriptedProvider::new(scripts);
        let store = aimate::store::connect("sqlite::memory:").await.unwrap();
        let engine = more(builder(&provider)).store(store).build().await.unwrap();
        let me = engine.local_scope().await.unwrap();
        Self { engine, me, provider }
    }

    /// The open branch, oldest first.
    pub(crate) async fn branch(&self, id: aimate::ConversationId) -> Vec<Message> {
        let page = aimate::PageRequest::first(200);
        let listed = self.engine.conversations(&self.me).messages(id, None, page).await.unwrap();
        listed.data.into_iter().map(|listed| listed.message).collect()
    }

    /// Waits until the provider plays nothing any more.
    pub(crate) async fn idle(&self) {
        tokio::time::timeout(Duration::from_secs(10), async {
            while self.provider.open() > 0 || self.engine.running() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
        .expect("the run ends");
    }
}
