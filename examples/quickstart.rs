//! A conversation of two turns on a SQLite file, with whatever Ollama serves
//! here, or `builtin` if nothing does.
//!
//! `cargo run --example quickstart`

use aimate::{ChatEvent, Engine, Result, Turn};

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::builder()
        .store(aimate::store::connect("sqlite:quickstart.db").await?)
        .connection(aimate::providers::ollama("http://127.0.0.1:11434"))
        .connection(aimate::providers::builtin())
        .build()
        .await?;
    talk(&engine).await?;
    engine.drain(std::time::Duration::from_secs(5)).await;
    Ok(())
}

async fn talk(engine: &Engine) -> Result<()> {
    let me = engine.local_scope().await?;

    let mut conversation = None;
    for question in ["Name a colour.", "And its complement?"] {
        let mut turn = Turn::new(question);
        turn.conversation = conversation;
        let mut answer = engine.chat(&me, turn).await?;
        conversation = Some(answer.conversation_id());
        println!("> {question}");
        while let Some(event) = answer.next().await {
            match event {
                ChatEvent::Text { text } => print!("{text}"),
                ChatEvent::Error { detail, .. } => print!("({detail})"),
                _ => {}
            }
        }
        println!();
    }
    Ok(())
}

#[tokio::test]
async fn talks() -> Result<()> {
    let store = aimate::store::connect("sqlite::memory:").await?;
    let engine = Engine::builder().store(store).connection(aimate::providers::builtin()).build().await?;
    talk(&engine).await
}
