//! An embedder without a model.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::error::Result;
use crate::knowledge::{EmbedPurpose, Embedder, EmbeddingModel};

/// Makes vectors out of the hashes of a text's words: texts that share words
/// are near each other. It counts the texts it was given.
#[derive(Debug)]
pub struct HashEmbedder {
    model: EmbeddingModel,
    texts: AtomicU64,
}

impl HashEmbedder {
    /// One named `local/NAME` with vectors of `dimensions` numbers, at least 1.
    pub fn new(name: &str, dimensions: u32) -> Self {
        let model = EmbeddingModel {
            name: format!("local/{name}"),
            dimensions: dimensions.max(1),
            version: "hash-1".to_owned(),
        };
        Self { model, texts: AtomicU64::new(0) }
    }

    /// How many texts it embedded.
    pub fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let size = self.model.dimensions as usize;
        let mut vector = vec![0.001; size];
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            // FNV-1a: the same on every machine.
            let hash = word.to_lowercase().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let at = usize::try_from(hash % size as u64).unwrap_or_default();
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            if let Some(x) = vector.get_mut(at) {
                *x += sign;
            }
        }
        vector
    }
}

#[async_trait]
impl Embedder for HashEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn max_tokens(&self) -> usize {
        256
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    async fn embed(&self, texts: &[String], _: EmbedPurpose) -> Result<Vec<Vec<f32>>> {
        self.texts.fetch_add(texts.len() as u64, Ordering::Relaxed);
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}
