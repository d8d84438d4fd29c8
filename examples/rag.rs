//! Documents in, cited answers out. Without a model: `builtin` answers with
//! sentences of the documents.
//!
//! `cargo run --example rag`

use aimate::knowledge::SearchRequest;
use aimate::message::{Part, text_of};
use aimate::{Engine, Result, Turn};

const MANUAL: &str = "# House manual\n\n## Heating\n\nThe boiler is serviced in May. Its pressure should be 1.5 bar.\n\n\
    ## Water\n\nThe main tap is in the cellar, behind the freezer.";

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::builder()
        .store(aimate::store::connect("sqlite::memory:").await?)
        .connection(aimate::providers::builtin())
        // With a model, search goes by meaning too:
        // .embedder(Arc::new(aimate::providers::local::LocalEmbedder::open("all-MiniLM-L6-v2".as_ref())?))
        .build()
        .await?;
    let me = engine.local_scope().await?;

    // `aimate::sync` adds a PDF, a Word file and so on, and follows folders.
    let knowledge = engine.knowledge(&me);
    knowledge.add_text("manual", MANUAL).await?;
    knowledge.add_text("Garden", "The hedge is cut in autumn. The roses want no water in winter.").await?;

    for hit in knowledge.search(&SearchRequest::new("Where is the main tap?")).await?.hits {
        println!("{:.2}  {}, characters {} to {}", hit.score, hit.title, hit.start, hit.end);
    }

    let turn = Turn::new("When is the boiler serviced?").knowledge(["documents"]);
    let answer = engine.chat(&me, turn).await?.message().await?;
    println!("\n{}\n", text_of(&answer.content));
    for part in &answer.content {
        if let Part::Citation(source) = part {
            println!("[{}] {}, characters {} to {}", source.n, source.title, source.start, source.end);
        }
    }
    engine.drain(std::time::Duration::from_secs(5)).await;
    Ok(())
}

#[test]
fn runs() -> Result<()> {
    main()
}
