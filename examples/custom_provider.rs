//! A model of your own: any type that implements `ChatProvider`.
//!
//! `cargo run --example custom_provider`

use std::sync::Arc;

use aimate::message::text_of;
use aimate::provider::{ChatProvider, ChatRequest, Endpoint, FinishReason, ProviderEvent, ProviderStream};
use aimate::{Engine, Result, StreamExt, Turn, async_trait, stream};

/// Says the question back, word by word.
struct Parrot;

#[async_trait]
impl ChatProvider for Parrot {
    async fn chat(&self, _endpoint: &Endpoint, request: &ChatRequest) -> Result<ProviderStream> {
        let question = request.messages.last().map(|message| text_of(&message.content)).unwrap_or_default();
        let mut events: Vec<_> =
            question.split_inclusive(' ').map(|word| Ok(ProviderEvent::Text(word.to_owned()))).collect();
        events.push(Ok(ProviderEvent::Finish(FinishReason::Stop)));
        Ok(stream::iter(events).boxed())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::builder()
        .store(aimate::store::connect("sqlite::memory:").await?)
        .provider_named("parrot", Arc::new(Parrot))
        .build()
        .await?;
    let me = engine.local_scope().await?;
    let answer = engine.chat(&me, Turn::new("Is anybody there?").model("parrot/grey")).await?;
    println!("{}", text_of(&answer.message().await?.content));
    Ok(())
}

#[test]
fn runs() -> Result<()> {
    main()
}
