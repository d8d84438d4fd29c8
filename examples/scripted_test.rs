//! Testing an application of your own without a model server: a provider that plays
//! what the test wrote.
//!
//! `cargo test --example scripted_test --features testing`

use std::sync::Arc;
use std::time::Duration;

use aimate::message::text_of;
use aimate::provider::ProviderEvent;
use aimate::testing::{ScriptedProvider, Step, answer};
use aimate::{Engine, Error, Result, Scope, Turn};

/// What is tested: it asks once more where the model server failed.
async fn patient(engine: &Engine, me: &Scope, question: &str) -> Result<String> {
    for _ in 0..2 {
        let asked = engine.chat(me, Turn::new(question).model("scripted/test")).await?.message().await;
        match asked {
            Ok(message) => return Ok(text_of(&message.content)),
            Err(error) if error.kind().retryable() => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::unavailable("the model is away; try again later"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let provider = ScriptedProvider::new([
        // The first call breaks off after a word; the second is a plain answer.
        vec![
            Step::Say(ProviderEvent::Text("In ".to_owned())),
            Step::Wait(Duration::from_millis(5)),
            Step::Fail(Error::upstream("the server went away")),
        ],
        answer("In May."),
    ]);
    let engine = Engine::builder()
        .store(aimate::store::connect("sqlite::memory:").await?)
        .provider_named("scripted", Arc::clone(&provider) as _)
        .build()
        .await?;
    let me = engine.local_scope().await?;
    println!("{}", patient(&engine, &me, "When is the boiler serviced?").await?);
    println!("asked {} times", provider.requests().len());
    Ok(())
}

#[test]
fn second_call_answers() -> Result<()> {
    main()
}
