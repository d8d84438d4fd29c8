//! Vectors of your own: any type that implements `Embedder`.
//!
//! `cargo run --example custom_embedder`

use std::sync::Arc;

use aimate::knowledge::{EmbedPurpose, Embedder, EmbeddingModel, SearchMode, SearchRequest};
use aimate::{Engine, Result, async_trait};

/// Hashes three letters at a time, so that words of one family are near each
/// other: no match for a model, but it needs none.
struct Trigrams(EmbeddingModel);

impl Trigrams {
    fn new() -> Self {
        // A change that makes other vectors needs another version: vectors of
        // two versions are never compared.
        Self(EmbeddingModel { name: "trigrams".to_owned(), dimensions: 512, version: "1".to_owned() })
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.0.dimensions as usize];
        let letters: Vec<char> = format!("  {}  ", text.to_lowercase()).chars().collect();
        for three in letters.windows(3) {
            let hash = three.iter().fold(17_u32, |hash, letter| hash.wrapping_mul(31) ^ u32::from(*letter));
            if let Some(number) = vector.get_mut((hash % self.0.dimensions) as usize) {
                *number += 1.0_f32;
            }
        }
        vector
    }
}

#[async_trait]
impl Embedder for Trigrams {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }

    /// The engine scales the vectors to length 1.
    async fn embed(&self, texts: &[String], _: EmbedPurpose) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::builder()
        .store(aimate::store::connect("sqlite::memory:").await?)
        .embedder(Arc::new(Trigrams::new()))
        .build()
        .await?;
    let me = engine.local_scope().await?;
    let knowledge = engine.knowledge(&me);
    for (name, text) in [("heating", "Maintenance of the boilers"), ("garden", "Watering of the roses")] {
        knowledge.add_text(name, text).await?;
    }
    let request = SearchRequest::new("How is a boiler maintained?").mode(SearchMode::Vector);
    for hit in knowledge.search(&request).await?.hits {
        println!("{:.2}  {}: {}", hit.score, hit.title, hit.text);
    }
    engine.drain(std::time::Duration::from_secs(5)).await;
    Ok(())
}

#[test]
fn runs() -> Result<()> {
    main()
}
