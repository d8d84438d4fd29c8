//! A search of your own: any type that implements `Retriever`. What it finds is cited
//! as the documents of aiMate are.
//!
//! `cargo run --example custom_retriever`

use std::sync::Arc;

use aimate::knowledge::{Retriever, SourcePassage};
use aimate::message::Part;
use aimate::{Engine, Result, Scope, Turn, async_trait};

/// The tickets of a helpdesk: what it has, each company's apart.
struct Tickets(Vec<(u32, &'static str)>);

#[async_trait]
impl Retriever for Tickets {
    async fn retrieve(&self, _: &Scope, question: &str, limit: u32) -> Result<Vec<SourcePassage>> {
        let question = question.to_lowercase();
        let fits = |text: &str| text.to_lowercase().split(' ').any(|word| question.contains(word));
        let found = self.0.iter().filter(|(_, text)| fits(text)).take(limit as usize);
        Ok(found
            .map(|(id, text)| {
                SourcePassage::new(format!("ticket:{id}"), *text)
                    .title(format!("Ticket {id}"))
                    .url(format!("https://helpdesk.example.org/tickets/{id}"))
            })
            .collect())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let tickets = Tickets(vec![(7, "The boiler lost pressure"), (8, "No light in the hall")]);
    let engine = Engine::builder()
        .store(aimate::store::connect("sqlite::memory:").await?)
        .connection(aimate::providers::builtin())
        .retriever("tickets", Arc::new(tickets))
        .build()
        .await?;
    let me = engine.local_scope().await?;
    let turn = Turn::new("What is wrong with the boiler?").retrievers(["tickets"]);
    let answer = engine.chat(&me, turn).await?;
    let conversation = answer.conversation_id();
    println!("{}", aimate::message::text_of(&answer.message().await?.content));
    let page = engine.conversations(&me).messages(conversation, None, aimate::PageRequest::default()).await?;
    for part in page.data.iter().flat_map(|listed| &listed.message.content) {
        if let Part::Citation(citation) = part {
            println!("[{}] {:?}", citation.n, citation.title);
        }
    }
    Ok(())
}

#[test]
fn runs() -> Result<()> {
    main()
}
