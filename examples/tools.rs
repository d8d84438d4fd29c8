//! Functions of your own as tools: the model calls them within its answer, one of them only
//! after you have said yes. With whatever Ollama serves here; its model must call tools.
//!
//! `cargo run --example tools --features schemars,testing`

use aimate::chat::CallDecision;
use aimate::tool::{HostTool, ToolContext, ToolPolicy};
use aimate::{ChatEvent, Engine, EngineBuilder, Result, Turn};

/// What `order_status` is asked for. The model is told the types and these comments.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Order {
    /// The number of the order, such as `A-17`.
    order: String,
}

fn builder() -> EngineBuilder {
    let status =
        HostTool::typed("order_status", "Says where an order is.", async |_: ToolContext, call: Order| {
            Ok(format!("Order {} left the warehouse this morning.", call.order))
        });
    let cancel =
        HostTool::typed("cancel_order", "Cancels an order.", async |context: ToolContext, call: Order| {
            // The same key for the same call, whoever makes it: safe to hand on to a shop.
            Ok(format!("Order {} is cancelled ({}).", call.order, context.idempotency_key))
        });
    Engine::builder().tool(status).tool(cancel.policy(ToolPolicy::Ask))
}

#[tokio::main]
async fn main() -> Result<()> {
    let engine = builder()
        .store(aimate::store::connect("sqlite:tools.db").await?)
        .connection(aimate::providers::ollama("http://127.0.0.1:11434"))
        .build()
        .await?;
    talk(&engine, "Where is order A-17? Then cancel it.").await?;
    engine.drain(std::time::Duration::from_secs(5)).await;
    Ok(())
}

async fn talk(engine: &Engine, question: &str) -> Result<()> {
    let me = engine.local_scope().await?;
    let turn = Turn::new(question).use_tools(["order_status", "cancel_order"]);
    let mut answer = engine.chat(&me, turn).await?;
    let run = answer.run_id();
    while let Some(event) = answer.next().await {
        match event {
            ChatEvent::Text { text } => print!("{text}"),
            ChatEvent::ToolCalled { call } => println!("[{} {}]", call.name, call.arguments),
            ChatEvent::ToolReturned(result) => println!("[{}]", result.text()),
            // Any process may say so, now or in a week.
            ChatEvent::ApprovalRequired { call } => {
                println!("[{} waits for you: yes]", call.name);
                engine.runs(&me).decide(run, &call.id, CallDecision::approve()).await?;
            }
            ChatEvent::Error { detail, .. } => println!("({detail})"),
            _ => {}
        }
    }
    println!();
    Ok(())
}

#[tokio::test]
async fn asks_and_cancels() -> Result<()> {
    use aimate::message::ToolCall;
    use aimate::provider::{FinishReason, ProviderEvent};
    use aimate::testing::{ScriptedProvider, Step, answer};

    let call = |id: &str, name: &str| {
        let arguments = aimate::serde_json::json!({"order": "A-17"});
        let call = ProviderEvent::ToolCall(ToolCall::new(id, name, arguments));
        vec![Step::Say(call), Step::Say(ProviderEvent::Finish(FinishReason::ToolCalls))]
    };
    let provider = ScriptedProvider::new([
        call("1", "order_status"),
        call("2", "cancel_order"),
        answer("It is cancelled."),
    ]);
    let engine = builder()
        .store(aimate::store::connect("sqlite::memory:").await?)
        .provider_named("scripted", provider.clone())
        .build()
        .await?;
    talk(&engine, "Where is order A-17? Then cancel it.").await?;
    let told =
        provider.requests().last().map(|request| format!("{:?}", request.messages)).unwrap_or_default();
    assert!(told.contains("left the warehouse") && told.contains("A-17 is cancelled"), "{told}");
    Ok(())
}
